"""What all tests share: the repository's plugin, and one thread (small models wait for threads more than they compute)."""

import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch  # noqa: E402

import fairseq_dsl  # noqa: E402, F401

torch.set_num_threads(1)

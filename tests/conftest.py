"""What all tests share: the repository's plugin, and one thread (small models would wait for threads)."""

import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = str(Path(__file__).resolve().parents[1])
sys.path.insert(0, ROOT)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))  # of what tests start

import torch  # noqa: E402

import fairseq_dsl  # noqa: E402, F401

torch.set_num_threads(1)

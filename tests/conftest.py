"""What all tests share: the repository's plugin, one thread (small models wait for threads), and quicker flags."""

import copy
import functools
import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = str(Path(__file__).resolve().parents[1])
sys.path.insert(0, ROOT)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))  # of what tests start

import torch  # noqa: E402
from hydra.core.override_parser.overrides_parser import OverridesParser  # noqa: E402

import fairseq_dsl  # noqa: E402, F401

torch.set_num_threads(1)

# Each of fairseq's commands has hydra parse some 280 flags, most of them defaults: a third of a small training.
parse = OverridesParser.parse_rule
parse_once = functools.lru_cache(maxsize=None)(lambda text, rule: parse(OverridesParser.create(), text, rule))
OverridesParser.parse_rule = lambda self, text, rule: copy.copy(parse_once(text, rule))

"""What all tests share: the repository's plugin, one thread (small models wait for threads), and quicker flags."""

import contextlib
import copy
import functools
import os
import sys
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = str(Path(__file__).resolve().parents[1])
sys.path.insert(0, ROOT)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))  # of what tests start

import fairseq  # noqa: E402
import torch  # noqa: E402
from fairseq.dataclass import utils as dataclass_utils  # noqa: E402
from hydra._internal.config_loader_impl import ConfigLoaderImpl  # noqa: E402
from hydra.core.override_parser.overrides_parser import OverridesParser  # noqa: E402
from hydra.experimental import compose, initialize_config_dir  # noqa: E402
from omegaconf import OmegaConf  # noqa: E402

import fairseq_dsl  # noqa: E402, F401

torch.set_num_threads(1)

# Each of fairseq's commands has hydra compose a configuration, of choices such as `task=translation` and some 280
# flags, most of them defaults: a fifth of a small training. Here the same choices are composed once, and each flag is
# parsed once.
parse = OverridesParser.parse_rule
parse_once = functools.lru_cache(maxsize=None)(lambda text, rule: parse(OverridesParser.create(), text, rule))
OverridesParser.parse_rule = lambda self, text, rule: copy.copy(parse_once(text, rule))


@functools.lru_cache(maxsize=None)
def compose_once(name, choices):
    with initialize_config_dir(str(Path(fairseq.__file__).parent / "config")):
        return compose(name, list(choices), strict=False)


def compose_with(name, overrides, strict):
    choices, flags = [], []
    for override in overrides:
        (flags if "." in override.partition("=")[0] else choices).append(override)
    config = copy.deepcopy(compose_once(name, tuple(choices)))
    OmegaConf.set_struct(config, True)
    ConfigLoaderImpl._apply_overrides_to_config(OverridesParser.create().parse_overrides(flags), config)
    OmegaConf.set_struct(config, strict)
    return config


dataclass_utils.compose = compose_with
dataclass_utils.initialize = lambda config_path: contextlib.nullcontext()

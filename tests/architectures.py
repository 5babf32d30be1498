"""fairseq's architectures, made small."""

import argparse

from fairseq.models import ARCH_MODEL_REGISTRY

SIZES = {
    "embed-dim": 8, "ffn-embed-dim": 12, "out-embed-dim": 8, "hidden-size": 8, "conv-dim": 8, "attention-heads": 2,
    "layers": 1, "kernel-size-list": "[3]",
}  # fmt: skip


def small(arch):
    """Flags that make an architecture small, for those that it has."""
    parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
    ARCH_MODEL_REGISTRY[arch].add_args(parser)
    for action in parser._actions:
        flag = action.option_strings[-1]
        side, _, size = flag[2:].partition("-")
        if side in ("encoder", "decoder") and size in SIZES:
            convolutions = size == "layers" and action.type is str
            yield from (flag, "[(8,3)]" if convolutions else SIZES[size])

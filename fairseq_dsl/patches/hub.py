"""What `from_pretrained` takes over from training."""

import functools

from fairseq import hub_utils


def forget_language_models():
    """fairseq's `from_pretrained` takes the flags of training: translate with the language models that it is given.

    As ``fairseq-generate`` does, which would else translate otherwise. (Other tasks have no such flags.)
    """
    load = hub_utils.from_pretrained

    @functools.wraps(load)
    def from_pretrained(*args, **kwargs):
        return load(*args, **{"source_lm": None, "target_lm": None, **kwargs})

    hub_utils.from_pretrained = from_pretrained

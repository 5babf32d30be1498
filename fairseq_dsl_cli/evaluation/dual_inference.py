"""The systems that an evaluation translates with dual inference too, and the flags for it."""

import os
from dataclasses import dataclass, replace
from typing import Dict, List

from .. import arguments

BEAM = 10  # at least: what is not in the beam cannot be chosen
REVERSE_WEIGHT = 0.5  # where neither a flag nor the checkpoint says one


def systems_of(args, systems):
    """The control and all pairs once more, with dual inference; none unless ``--dual-inference`` is given."""
    if not args.dual_inference:
        return []
    chosen = [system for system in systems if system is args.baseline or system.is_pair]
    return [replace(one, name=f"{one.name} + dual inference", base=one) for one in chosen]


@dataclass(frozen=True)
class Weights:
    """What the flags say of each direction; one that they leave out has the checkpoint's weights, or the defaults."""

    reverse: Dict[str, float]
    lm: Dict[str, float]

    @classmethod
    def parse(cls, args) -> "Weights":
        """Reads ``--reverse-weight`` and ``--lm-weight``; raises `BadInput`."""
        from fairseq_dsl.errors import BadInput
        from fairseq_dsl.named_values import named_values
        from fairseq_dsl.ranges import SHARE, WEIGHT

        directions = directions_of(args)
        found = []
        for flag, text, within in (
            ("--reverse-weight", args.reverse_weight, SHARE),
            ("--lm-weight", args.lm_weight, WEIGHT),
        ):
            if text is not None and not args.dual_inference:
                raise BadInput(f"{flag} {text}: has no effect without --dual-inference")
            weights = {}
            for direction, value in named_values(flag, text, directions).items():
                try:
                    weights[direction] = float(value)
                except ValueError:
                    raise BadInput(f"{flag} {text}: expected {within.text}, found {value!r}") from None
                within.check(flag, weights[direction])
            found.append(weights)
        return cls(*found)

    def flags(self, direction, trained) -> List[str]:
        """The flags of fairseq-generate for a pair, of which `trained` tells whether it has weights of its own."""
        words = []
        if direction in self.reverse or direction not in trained.tuned:
            words += ["--reverse-weight", f"{self.reverse.get(direction, REVERSE_WEIGHT):g}"]
        if direction in self.lm:
            words += ["--lm-weight", f"{self.lm[direction]:g}"]
        return words

    def text(self, direction, trained, has_lm) -> str:
        """A and B of a direction, as fairseq-generate has them by these flags, the checkpoint and the defaults."""
        from fairseq_dsl import inference

        asked = inference.Weights(self.reverse.get(direction), self.lm.get(direction))
        found = asked.or_else(trained.tuned.get(direction, inference.Weights(REVERSE_WEIGHT)))
        lm = found.or_else(inference.Weights(lm=inference.DEFAULT_LM_WEIGHT)).lm if has_lm else 0
        return f"{direction} A = {found.reverse or 0:g}, B = {lm:g}"


def beam(args) -> int:
    return max(BEAM, args.beam)


def notes(args, systems, pairs) -> List[str]:
    """What is to be said under the scores: by what each system with dual inference chooses.

    Args:
        systems: of `systems_of`.
        pairs: the path of each base's pair, and what it was trained with, by its name.
    """
    if not systems:
        return []
    found = [f"Dual inference chooses from a beam of {beam(args)}, the others from one of {args.beam}."]
    for system in systems:
        _, trained = pairs[system.base.name]
        models = [args.source_lm, args.target_lm] if args.source_lm else list(trained.language_models.values())
        weights = ", ".join(args.weights.text(direction, trained, bool(models)) for direction in directions_of(args))
        by = f"by the language models {' and '.join(models)}" if models else "without language models"
        found.append(f"{system.name}: {weights}; {by}.")
    return found


def directions_of(args) -> List[str]:
    return [f"{args.source_lang}-{args.target_lang}", f"{args.target_lang}-{args.source_lang}"]


def join(parser, args, system) -> str:
    """Writes the two plain checkpoints of a system as one pair into the output folder; returns its path.

    Raises `BadInput` for models that make no pair.
    """
    from fairseq_dsl.checkpoints import save_pair
    from fairseq_dsl.directions import Direction
    from fairseq_dsl.vocabulary import dictionaries_of

    from .. import joining

    path = os.path.join(args.output, f"{system.name}.joined.pt")
    arguments.refuse_overwriting(parser, path, system.paths)
    models = joining.models_of(list(system.paths), Direction(args.source_lang, args.target_lang))
    save_pair(models, dictionaries_of(models, args.data_bin), path)
    return path

"""What the models in checkpoints are, as far as it decides which of them belong together."""

import os
from argparse import Namespace
from dataclasses import dataclass, field
from typing import Mapping, Optional, Sequence

import torch
from fairseq.data import data_utils

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import Weights
from fairseq_dsl.marginals import NeuralMarginal, marginals_of
from fairseq_dsl.vocabulary import load_dictionary

from .inputs import files_of


@dataclass(frozen=True)
class Trained:
    """What a pair was trained with, or is.

    Attributes:
        source: the source language of its primal direction.
        language_models: the files that are still there, by flag.
        tuned: the weights of dual inference that its checkpoint has, by direction.
        marginal_files: of the language models, and of scores that stand in files.
    """

    source: str
    language_models: Mapping[str, str] = field(default_factory=dict)
    tuned: Mapping[str, Weights] = field(default_factory=dict)
    marginal_files: Sequence[str] = ()


def check_translates(path, flag, directions, pair):
    """Refuses a checkpoint that is not what a system of an evaluation is said to be.

    Args:
        directions: such as ``de-en``, that it must translate; of a pair, both.
        pair: whether a pair is expected, rather than a plain translation model.

    Returns what a pair was `Trained` with.
    """
    checkpoint = Checkpoint(path, flag)
    found = found_directions(checkpoint)
    translates = set(directions) <= set(found) if found else not is_language_model(checkpoint)
    if bool(checkpoint.pair) != pair or not translates:
        expected = f"a pair for {' and '.join(directions)}" if pair else f"a translation model for {directions[0]}"
        raise BadInput(f"{checkpoint.name}: expected {expected}, found {description(checkpoint)}")
    if not pair:
        return None
    language_models = {f"--{side}-lm": checkpoint.task.get(f"{side}_lm") or "" for side in ("source", "target")}
    return Trained(
        checkpoint.directions[0].source,
        {flag: path for flag, path in language_models.items() if os.path.isfile(path)},
        tuned_weights(checkpoint),
        [str(path) for path in files_of(language_models.values())],
    )


def tuned_weights(checkpoint):
    """The weights of dual inference that a pair has, by direction; raises `BadInput` for weights that are none."""
    cfg = Namespace(**checkpoint.model_cfg)
    try:
        weights = {str(direction): Weights.stored(cfg, direction) for direction in checkpoint.directions}
    except BadInput as error:
        raise BadInput(f"{checkpoint.name}: {error}") from error
    return {direction: found for direction, found in weights.items() if found != Weights()}


def check_language_models(given, languages, folder):
    """Refuses what are not two language models, of whatever kind; returns them as `Marginal` by language.

    Args:
        given: the values of the flags that name them.
        folder: of the data, with the dictionaries.
    """
    dictionaries = {lang: load_dictionary(os.path.join(folder, f"dict.{lang}.txt")) for lang in languages}
    marginals = marginals_of(given, languages, dictionaries, torch.device("cpu"))
    for marginal in marginals.values():
        if isinstance(marginal, NeuralMarginal):
            checkpoint = Checkpoint(marginal.path, marginal.flag)
            if not is_language_model(checkpoint):
                raise BadInput(f"{checkpoint.name}: expected a language model, found {description(checkpoint)}")
    return marginals


def number_of_sentences(folder, subset, source, target):
    """How many sentence pairs a data folder has in a subset, of either order of the languages; None if it has none."""
    for pair in (f"{source}-{target}", f"{target}-{source}"):
        dataset = data_utils.load_indexed_dataset(os.path.join(folder, f"{subset}.{pair}.{source}"), None)
        if dataset is not None:
            return len(dataset)
    return None


def is_language_model(checkpoint):
    return checkpoint.task_name == "language_modeling"


def found_directions(checkpoint):
    """The directions that a checkpoint translates; none of a language model, or where it does not say."""
    if checkpoint.pair:
        return list(checkpoint.pair)
    languages = [checkpoint.task.get(f"{side}_lang") for side in ("source", "target")]
    return ["-".join(languages)] if all(languages) else []


def description(checkpoint):
    """What a checkpoint holds, for a message."""
    directions = " and ".join(found_directions(checkpoint))
    if checkpoint.pair:
        return f"a pair for {directions}"
    if is_language_model(checkpoint):
        return f"a language model of {checkpoint.task.get('data')}"
    return f"a translation model for {directions}" if directions else f"a model of the task {checkpoint.task_name}"


@dataclass(frozen=True)
class Kind:
    """What two checkpoints have in common where the mean of their parameters makes sense."""

    description: str
    directions: frozenset
    architectures: tuple
    data: Optional[str]  # of a language model, of which nothing else tells the language

    @classmethod
    def of(cls, checkpoint):
        parts = checkpoint.pair or {"": checkpoint.model_cfg}
        architectures = tuple(str(cfg.get("_name") or cfg.get("arch")) for _, cfg in sorted(parts.items()))
        data = checkpoint.task.get("data") if is_language_model(checkpoint) else None
        return cls(description(checkpoint), frozenset(found_directions(checkpoint)), architectures, data)

    def difference(self, other):
        """What tells two kinds apart, in words; None if nothing does."""
        if self.directions != other.directions or not is_same_data(self.data, other.data):
            return f"{self.description} and {other.description}"
        if self.architectures != other.architectures:
            return f"{' and '.join(self.architectures)} and {' and '.join(other.architectures)}"
        return None


def is_same_data(one, other):
    """Whether two data folders, as written in checkpoints, are the same: one may have been moved, or be gone."""
    if None in (one, other):
        return one is other
    folders = [os.path.abspath(path.split(os.pathsep)[0]) for path in (one, other)]
    if all(map(os.path.isdir, folders)):
        return os.path.samefile(*folders)
    return os.path.basename(folders[0]) == os.path.basename(folders[1])

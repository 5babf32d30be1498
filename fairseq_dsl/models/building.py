"""Building a pair of models: from flags and warm starts, from a pair's own configuration, or frozen."""

import logging
import os
from typing import Any, Dict, Mapping, Optional, Tuple

from fairseq.data import Dictionary
from fairseq.tasks.translation import TranslationTask
from torch import nn

from ..checkpoints import Checkpoint, build_config, plain, without_files
from ..directions import Direction, Directions
from ..errors import BadInput
from ..swaps import TranslationModels
from .architecture import Architecture, architectures
from .trial import failures_of, require_translation_model

logger = logging.getLogger(__name__)

Models = Dict[Direction, nn.Module]


class PairBuilder:
    """Builds the models of both directions by fairseq's translation task of each.

    Args:
        tasks: by direction.
        dictionaries: by language.
    """

    def __init__(self, tasks: Mapping[Direction, TranslationTask], dictionaries: Mapping[str, Dictionary]):
        self.tasks = tasks
        self.dictionaries = dictionaries

    def restore(self, pair: Mapping[str, Dict[str, Any]]) -> Models:
        """The models of a pair's checkpoint, from their configurations by direction; nothing else is read."""
        directions = [Direction.parse(name, pair) for name in pair]
        return {d: self.tasks[d].build_model(build_config(pair[str(d)]), from_checkpoint=True) for d in directions}

    def build(self, cfg, directions: Directions) -> Tuple[Models, Dict[str, Dict[str, Any]], TranslationModels]:
        """The models that the flags ask for.

        Returns:
            the models; their configurations by direction, as plain values; and what they were started from.
        """
        found = architectures(cfg, {direction: self.tasks[direction].cfg for direction in directions})
        starts = self._starts({direction: architecture.warm_start for direction, architecture in found.items()})
        models = {direction: self._build(direction, architecture) for direction, architecture in found.items()}
        return models, {str(direction): architecture.cfg for direction, architecture in found.items()}, starts

    def frozen(self, path: str, directions: Directions) -> Tuple[Models, TranslationModels]:
        """A pair that samples are drawn from.

        Args:
            path: a pair's checkpoint, or two plain ones, PRIMAL:DUAL.
        """
        flag, paths = "--proposal-checkpoint", path.split(os.pathsep)
        if len(paths) > 2:
            raise BadInput(f"{flag} {path}: expected one checkpoint of a pair, or two plain ones, PRIMAL:DUAL")
        models: Models = {}
        starts: Dict[Direction, Optional[Checkpoint]] = {}
        for direction, file in zip(directions, (paths[0], paths[-1])):
            if models and len(paths) == 1 and not Checkpoint(path, flag).pair:
                raise BadInput(
                    f"{flag} {path}: translates {direction.reversed}; give it with one that translates {direction}, "
                    "PRIMAL:DUAL, or a pair's checkpoint"
                )
            architecture = Architecture.from_checkpoint(file, "proposal", direction)
            starts[direction] = architecture.warm_start
            models[direction] = self._build(direction, architecture).eval().requires_grad_(False)
        return models, self._starts(starts)

    def _starts(self, starts: Dict[Direction, Optional[Checkpoint]]) -> TranslationModels:
        return TranslationModels(starts, self.dictionaries)

    def _build(self, direction: Direction, architecture: Architecture) -> nn.Module:
        task, start = self.tasks[direction], architecture.warm_start
        if start is not None:
            for rows, language in (("encoder", direction.source), ("decoder", direction.target)):
                dictionary = self.dictionaries[language]
                start.check_vocabulary(dictionary, f"{rows}.embed_tokens.weight", language, f"dict.{language}.txt")
        config = build_config(architecture.cfg)
        with failures_of(architecture.name):
            model = task.build_model(config, from_checkpoint=start is not None)
        require_translation_model(model, task.source_dictionary, task.target_dictionary, architecture.name)
        # Stored with what the model's own `build_model` wrote there, as fairseq does: its release 0.12.2 looks for
        # a transformer's max_source_positions in an exported checkpoint.
        architecture.cfg = without_files(plain(config))
        if start is not None:
            start.load_into(model)
            logger.info(f"{direction}: started from {start.path}")
        return model

"""fairseq's checkpoints as plain data: reading them with checks, and writing ordinary ones."""

import argparse
import logging
import os
from enum import Enum
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Union

import torch
from fairseq import checkpoint_utils
from fairseq.data import Dictionary
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch import nn

from .directions import Direction
from .errors import BadInput
from .files import written_atomically
from .vocabulary import NAME as DICTIONARIES
from .vocabulary import carried_by, encode, load_dictionary, vocabulary_difference

logger = logging.getLogger(__name__)


def plain(value: Any) -> Any:
    """A configuration as values that any unpickler accepts: dictionaries, lists, strings, numbers, None."""
    if isinstance(value, (DictConfig, ListConfig)):
        value = OmegaConf.to_container(value, resolve=True, enum_to_str=True)
    if isinstance(value, argparse.Namespace):
        value = vars(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items() if is_plain(item)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value if is_plain(item)]
    if isinstance(value, Enum):
        return value.name  # as `enum_to_str` does
    for kind in SIMPLE:  # turns a subclass, such as numpy's float64, into its base
        if isinstance(value, kind):
            return kind(value)
    return value


SIMPLE = (bool, int, float, str)


def is_plain(value: Any) -> bool:
    containers = (dict, list, tuple, argparse.Namespace, DictConfig, ListConfig)
    return value is None or isinstance(value, SIMPLE + containers + (Enum,))


def without_files(model_cfg: Dict[str, Any]) -> Dict[str, Any]:
    """A model's configuration for restoring it: embeddings come from its parameters and not from the files it names."""
    return {key: None if key.endswith("_embed_path") else value for key, value in model_cfg.items()}


class Checkpoint:
    """A checkpoint named by a flag: its task, its model's configuration, its parameters.

    Attributes:
        name: the flag and the path, for messages.
        task, model_cfg: configurations, as plain values.
        parameters: tensors by name.
        num_updates: how many updates the model was trained for.
        dictionaries: those stored in it, by language; empty for an ordinary fairseq checkpoint.

    Raises `BadInput`, naming the flag and the file, if the file cannot be read.
    """

    def __init__(self, path: str, flag: str):
        self.path = path
        self.name = f"{flag} {path}"
        if not os.path.isfile(path):
            raise BadInput(f"{self.name}: no such file; expected a fairseq checkpoint")
        try:
            state = checkpoint_utils.load_checkpoint_to_cpu(path)
        except BadInput as error:
            raise BadInput(f"{flag} {error}") from error
        cfg = state.get("cfg") or {}
        if state.get("args") is not None:  # checkpoints of fairseq before 0.10 contain a flat namespace
            from fairseq.dataclass.utils import convert_namespace_to_omegaconf

            cfg = convert_namespace_to_omegaconf(state["args"])
        # not get(): omegaconf 2.0 fails on missing keys
        task, model = (plain(cfg[part]) if part in cfg else None for part in ("task", "model"))
        self.task: Dict[str, Any] = task or {}
        self.model_cfg: Dict[str, Any] = without_files(model or {})
        self.parameters: Dict[str, torch.Tensor] = dict(state.get("model") or {})
        self.num_updates = (state.get("optimizer_history") or [{}])[-1].get("num_updates", 0)
        self.full_cfg = cfg
        try:
            self.dictionaries: Dict[str, Dictionary] = carried_by(state)
        except BadInput as error:
            raise BadInput(f"{self.name}: {error}") from error
        if not self.model_cfg or not self.parameters:
            raise BadInput(f"{self.name}: contains no fairseq model; expected a fairseq checkpoint")

    @property
    def task_name(self) -> Optional[str]:
        return self.task.get("_name") or self.task.get("task")

    @property
    def pair(self) -> Dict[str, Dict[str, Any]]:
        """The sub-models' configurations by direction, primal first; empty for a checkpoint of one model."""
        return self.model_cfg.get("pair") or {}

    @property
    def directions(self) -> List[Direction]:
        """The directions of a pair, primal first; none for a checkpoint of one model."""
        return [Direction.parse(name, self.pair) for name in self.pair]

    def direction(self, name: Union[str, Direction]) -> "Checkpoint":
        """One direction's model of a pair checkpoint, as if it had a checkpoint of its own."""
        if str(name) not in self.pair:
            raise BadInput(
                f"{self.name}: expected a checkpoint of {name}, found {' and '.join(self.pair) or 'one model'}"
            )
        direction = Direction.parse(str(name), self.pair)
        part = object.__new__(Checkpoint)
        part.__dict__.update(self.__dict__)
        part.model_cfg = self.pair[str(direction)]
        prefix = f"models.{direction}."
        part.parameters = {
            key[len(prefix) :]: value for key, value in self.parameters.items() if key.startswith(prefix)
        }
        languages = direction.source, direction.target
        part.task = dict(self.task, _name="translation", source_lang=direction.source, target_lang=direction.target)
        part.dictionaries = {key: self.dictionaries[key] for key in languages if key in self.dictionaries}
        return part

    def check_vocabulary(self, dictionary: Dictionary, rows: str, language: str, file_name: str):
        """Refuse a model that was trained with another vocabulary.

        Args:
            dictionary: the dictionary of the data folder.
            rows: the name of the embedding matrix with a row for each symbol; ignored if the model has none.
            language: the dictionary's language, for the message.
            file_name: the dictionary's file name in the model's own data folder, read if it still exists.
        """
        matrix = self.parameters.get(rows)
        if matrix is not None and matrix.size(0) != len(dictionary):
            raise BadInput(
                f"{self.name}: expected the vocabulary of the data folder's {language} dictionary, {len(dictionary)} "
                f"symbols, found a model with {matrix.size(0)}; binarize with the same dictionary (--srcdict)"
            )
        own = self.dictionaries.get(language) or self.own_dictionary(file_name)
        if own is None:
            logger.warning(
                f"{self.name}: cannot tell whether it was trained with the {language} dictionary of the data folder: "
                f"it contains no dictionary, and its own data folder ({self.task.get('data')}) was not found"
            )
            return
        difference = vocabulary_difference(own, dictionary)
        if difference:
            raise BadInput(
                f"{self.name}: was trained with another vocabulary: {difference} in the {language} dictionary of the "
                "data folder; binarize with the same dictionary (--srcdict)"
            )

    def load_into(self, model: nn.Module, whose: str = "its"):
        """Give a model the parameters; raises `BadInput` if they do not fit its architecture.

        Args:
            whose: parameters they are, for the message.
        """
        try:
            model.load_state_dict(self.parameters, strict=True)
        except RuntimeError as error:
            raise BadInput(f"{self.name}: {whose} parameters do not fit its architecture: {error}") from error

    def own_dictionary(self, file_name: str) -> Optional[Dictionary]:
        """The dictionary that `own_file` finds; None if it finds none."""
        path = self.own_file(file_name)
        return load_dictionary(str(path)) if path else None

    def own_file(self, file_name: str) -> Optional[Path]:
        """A file beside the checkpoint or in the data folder that the model was trained on; None if not found.

        A relative data folder is looked for in the working directory, in the checkpoint's folder and in its parents.
        """
        folder = (self.task.get("data") or "").split(os.pathsep)[0]
        here = Path(self.path).absolute().parent
        candidates = [here, *(start / folder for start in (Path.cwd(), here, *here.parents) if folder)]
        return next((place / file_name for place in candidates if (place / file_name).is_file()), None)


def build_config(model_cfg: Dict[str, Any]):
    """A plain model configuration in the form that fairseq's ``build_model`` requires.

    That is a flat namespace for architectures without a dataclass, and a `DictConfig` for those with one.
    """
    from fairseq.models import ARCH_MODEL_REGISTRY

    model_cfg = dict(model_cfg)
    arch = model_cfg.get("_name") or model_cfg.get("arch")
    model_class = ARCH_MODEL_REGISTRY.get(arch)
    if getattr(model_class, "__dataclass", None) is None:
        return argparse.Namespace(**{**model_cfg, "arch": arch})
    return OmegaConf.create(model_cfg)


def save_plain(checkpoint: Checkpoint, path: str):
    """Write one model as an ordinary ``translation`` checkpoint that fairseq reads without this plugin.

    It contains tensors and plain values only, so that ``torch.load(weights_only=True)`` accepts it as it is.
    """
    state = _without_optimizer(
        checkpoint,
        model=named(checkpoint.model_cfg),
        task="translation",
        criterion={"_name": "cross_entropy", "sentence_avg": False},
        criterion_name="CrossEntropyCriterion",
    )
    state["model"] = checkpoint.parameters
    state[DICTIONARIES] = {language: list(d.symbols) for language, d in checkpoint.dictionaries.items()}
    write_checkpoint(state, path)


def save_pair(models: Mapping[Direction, Checkpoint], dictionaries: Mapping[str, Dictionary], path: str):
    """Write two translation models as the checkpoint of a pair, in the form that training writes, of plain values.

    Its criterion is the control's, so that ``fairseq-validate`` requires no language model.

    Args:
        models: of each direction, primal first, whose checkpoint gives all settings that belong to no model.
        dictionaries: by language.
    """
    (direction, primal), (_, dual) = models.items()
    state = _without_optimizer(
        primal,
        model={"_name": "dual_translation", "pair": {str(d): named(one.model_cfg) for d, one in models.items()}},
        task="dual_translation",
        criterion={"_name": "dsl_cross_entropy", "dsl_lambda": 0.0, "sentence_avg": False},
        criterion_name="DSLCrossEntropyCriterion",
    )
    state["cfg"]["task"].update(source_lang=direction.source, target_lang=direction.target)
    state["optimizer_history"][-1]["num_updates"] = max(primal.num_updates, dual.num_updates)
    languages = (direction.source, direction.target)
    state["model"] = {f"{DICTIONARIES}.{language}": encode(dictionaries[language]) for language in languages}
    for d, one in models.items():
        state["model"].update({f"models.{d}.{name}": value for name, value in one.parameters.items()})
    write_checkpoint(state, path)


def named(model_cfg: Dict[str, Any]) -> Dict[str, Any]:
    """A model's configuration with its architecture where fairseq looks for it: old ones have it as ``arch`` alone."""
    return {**model_cfg, "_name": model_cfg.get("_name") or model_cfg.get("arch")}


def _without_optimizer(
    checkpoint: Checkpoint, model: Dict[str, Any], task: str, criterion: Dict[str, Any], criterion_name: str
) -> Dict[str, Any]:
    """The state of a checkpoint that no training resumes from, with the settings of another; its model is missing."""
    keep = {"data", "source_lang", "target_lang", "left_pad_source", "left_pad_target"}
    keep |= {"max_source_positions", "max_target_positions"}
    kept = {key: value for key, value in checkpoint.task.items() if key in keep}
    # by key: omegaconf 2.0's items() fails on the model's namespace
    full_cfg = checkpoint.full_cfg
    cfg = {key: plain(full_cfg[key]) for key in full_cfg if key not in ("model", "task", "criterion")}
    cfg.update(model=model, task={"_name": task, **kept}, criterion=criterion)
    cfg["common"] = dict(cfg.get("common") or {}, user_dir=None)
    return {
        "args": None,
        "cfg": cfg,
        "criterion": None,
        "optimizer_history": [
            {
                "criterion_name": criterion_name,
                "optimizer_name": "FairseqAdam",
                "lr_scheduler_state": {"best": None},
                "num_updates": checkpoint.num_updates,
            }
        ],
        "task_state": {},
        # read by --finetune-from-model and --restore-file
        "extra_state": {
            "train_iterator": {"version": 2, "epoch": 1, "iterations_in_epoch": 0, "shuffle": True},
            "val_loss": None,
        },
    }


def write_checkpoint(state: Dict[str, Any], path: str):
    """``torch.save``, atomically; creates the folder if it does not exist."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with written_atomically(path) as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):  # such as a full disk, which torch's writer does not mention
                raise error.__context__ from None
            raise

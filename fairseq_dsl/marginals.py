"""The marginals log P(x) and log P(y): frozen language models, and their scores of a split, stored once and for all.

They are constants of the data: each sentence is scored before training, and no language model is in memory after.
"""

import argparse
import contextlib
import filecmp
import glob
import hashlib
import logging
import math
import os
import re
import time
import zipfile
from dataclasses import dataclass
from typing import Callable, Dict, List, Optional, Set, Tuple

import numpy as np
import torch
from fairseq import utils
from fairseq.data import Dictionary, data_utils
from fairseq.distributed import utils as distributed_utils
from fairseq.tasks.language_modeling import LanguageModelingTask

from .checkpoints import Checkpoint, build_config
from .errors import BadInput
from .files import remove_unfinished, written_atomically
from .swaps import CHECKED_SENTENCES, Likelihood, refuse_other_dictionary, refuse_same_parameters, refuse_swapped

logger = logging.getLogger(__name__)

KIND = "language model"
MAX_TOKENS = 8192  # per batch of scoring: (tokens x vocabulary) floats are in memory at a time
MAX_FILES, MAX_BYTES = 256, 1 << 30  # of scores of other data in the cache
MAX_HEADER = 1024  # bytes, of an array in a file
ENTRY = re.compile(r"[0-9a-f]{32}\.npz")
CACHE_VERSION = 2  # 1: not refused where the language model was of another dictionary


@dataclass
class Side:
    """The sentences of one language of a split."""

    language: str
    sentences: torch.utils.data.Dataset
    """LongTensors that end in the end-of-sentence symbol."""
    sizes: np.ndarray
    files: List[str]
    """What the sentences were read from: the content that the cache is keyed by."""
    wanted: np.ndarray
    """The indices that training or validation will use: not empty, and not too long for the translation models."""


class LanguageModel:
    """A frozen language model of whole sentences: a checkpoint of fairseq's ``language_modeling`` task.

    Raises `BadInput` where the checkpoint does not model P(sentence) over the given vocabulary.
    """

    def __init__(self, path: str, flag: str, language: str, dictionary: Dictionary, device: torch.device):
        checkpoint = Checkpoint(path, flag)
        self.name = checkpoint.name
        self.dictionary = dictionary
        self._check(checkpoint, language)
        task = LanguageModelingTask(argparse.Namespace(**checkpoint.task), dictionary)
        try:
            self.model = task.build_model(build_config(checkpoint.model_cfg), from_checkpoint=True)
            self.model.load_state_dict(checkpoint.parameters, strict=True)
        except (RuntimeError, KeyError, AttributeError) as error:
            raise BadInput(f"{self.name}: its parameters do not fit its architecture ({error})") from error
        self.model.to(device).eval().requires_grad_(False)
        self.device = device
        limit = self.model.max_positions()
        self.max_positions = min(limit) if isinstance(limit, tuple) else limit

    def _check(self, checkpoint: Checkpoint, language: str):
        task = checkpoint.task
        if checkpoint.task_name != "language_modeling":
            raise BadInput(
                f"{self.name}: is a model of the task {checkpoint.task_name}; "
                "a language model is wanted (fairseq-train --task language_modeling)"
            )
        if task.get("sample_break_mode") != "eos":
            raise BadInput(
                f"{self.name}: was trained with --sample-break-mode {task.get('sample_break_mode')}, so it sees other "
                "sentences before this one; train it with --sample-break-mode eos"
            )
        if task.get("add_bos_token"):
            raise BadInput(
                f"{self.name}: was trained with --add-bos-token, which changes what it scores; train it without"
            )
        for target in ("self_target", "past_target"):
            if task.get(target):
                flag = "--" + target.replace("_", "-")
                raise BadInput(f"{self.name}: was trained with {flag}; a model of the future alone is wanted")
        if (task.get("output_dictionary_size") or -1) >= 0:
            raise BadInput(
                f"{self.name}: was trained with --output-dictionary-size {task['output_dictionary_size']}; "
                "a model of the whole vocabulary is wanted"
            )
        checkpoint.check_vocabulary(self.dictionary, "decoder.embed_tokens.weight", language, "dict.txt")

    def score(self, sentences: List[torch.Tensor]) -> np.ndarray:
        """log P of each sentence, in nats, float64; the sentences end in the end-of-sentence symbol."""
        lprobs, target, _ = self._log_probs(sentences)
        gold = lprobs.gather(-1, target.unsqueeze(-1)).squeeze(-1)
        scores = gold.masked_fill(target.eq(self.dictionary.pad()), 0).double().sum(-1).cpu().numpy()
        if not np.isfinite(scores).all():
            raise BadInput(f"{self.name}: gives a sentence log P = {scores[~np.isfinite(scores)][0]}; train it again")
        return scores

    def likelihood(self, sentences: List[torch.Tensor]) -> Likelihood:
        return Likelihood.of(*self._log_probs(sentences, told=False), self.dictionary)

    @torch.no_grad()
    def _log_probs(self, sentences: List[torch.Tensor], told: bool = True) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Log-probabilities ``(sentences, length, vocabulary)``; and ``(sentences, length)`` of targets and of input.

        Told the targets, an adaptive softmax is right about these alone.
        """
        pad, eos = self.dictionary.pad(), self.dictionary.eos()
        target = data_utils.collate_tokens(sentences, pad)
        # As in training with --sample-break-mode eos: the symbol before the first word is the end of a sentence.
        previous = data_utils.collate_tokens(sentences, pad, eos, move_eos_to_beginning=True)
        sample = {"net_input": {"src_tokens": previous}, "target": target}
        if self.device.type == "cuda":
            sample = utils.move_to_cuda(sample, self.device)
        output = self.model(**sample["net_input"])
        lprobs = self.model.get_normalized_probs(output, log_probs=True, sample=sample if told else None)
        return lprobs, sample["target"], sample["net_input"]["src_tokens"]


class ScoreCache:
    """Scores in a folder, one file for each (language model, dictionary, split), named and checked by their content.

    A file that is missing, cut, or of other content is as none. The folder may be read-only: then nothing is stored.
    Of the scores of other data, those used last are kept, up to `MAX_FILES` and `MAX_BYTES`.
    """

    def __init__(self, folder: str):
        self.folder = folder
        self._in_use: Set[str] = set()

    def key(self, side: Side, model_path: str, dictionary: Dictionary) -> str:
        digest = hashlib.sha256(f"{CACHE_VERSION} {len(side.sentences)} {dictionary.pad()} {dictionary.eos()}".encode())
        digest.update("\n".join(dictionary.symbols).encode())
        for path in [model_path] + side.files:
            digest.update(_content_digest(path))
        return digest.hexdigest()

    def _path(self, key: str) -> str:
        return os.path.join(self.folder, f"{key[:32]}.npz")

    def read(self, key: str, size: int) -> Optional[np.ndarray]:
        path = self._path(key)
        if not os.path.exists(path):
            return None
        self._in_use.add(path)
        try:
            scores = _read_scores(path, key, size)
            if scores is not None:
                with contextlib.suppress(OSError):  # read-only
                    os.utime(path, ns=(time.time_ns(), os.stat(path).st_mtime_ns))
                return scores
            problem = "is of other content"
        except Exception as error:  # numpy and zipfile raise many kinds for damaged files
            problem = f"cannot be read ({type(error).__name__}: {error})"
        logger.warning(f"marginal cache: {path} {problem}; its sentences are scored again")
        return None

    def write(self, key: str, scores: np.ndarray):
        try:
            os.makedirs(self.folder, exist_ok=True)
            with written_atomically(self._path(key)) as file:
                np.savez(file, key=np.array(key), scores=scores)
        except OSError as error:
            logger.warning(f"--marginal-cache {self.folder}: cannot be written ({error}); the scores are not stored")
            return
        self._in_use.add(self._path(key))
        with contextlib.suppress(OSError):  # another run removes the same
            self._tidy()

    def _tidy(self):
        """Remove what killed runs left, and the scores that were not used for longest, but none of this run."""
        remove_unfinished(os.path.join(glob.escape(self.folder), "*.npz.*"))
        entries = [entry for entry in os.scandir(self.folder) if ENTRY.fullmatch(entry.name)]
        entries.sort(key=lambda entry: (entry.path in self._in_use, entry.stat().st_atime), reverse=True)
        total = 0
        for count, entry in enumerate(entries, 1):
            total += entry.stat().st_size
            if entry.path not in self._in_use and (count > MAX_FILES or total > MAX_BYTES):
                with contextlib.suppress(OSError):  # of another user, or a folder
                    os.remove(entry.path)


def _read_scores(path: str, key: str, size: int) -> Optional[np.ndarray]:
    """The scores in a file if it is of this key; headers come first, as a small file may declare to be a huge one."""
    key_type = np.array(key).dtype
    with zipfile.ZipFile(path) as archive:
        for name, shape, dtype in (("key", (), key_type), ("scores", (size,), np.dtype(np.float64))):
            member = archive.getinfo(f"{name}.npy")
            if member.file_size > MAX_HEADER + math.prod(shape) * dtype.itemsize:
                return None
            with archive.open(member) as file:
                if np.lib.format.read_magic(file) != (1, 0):
                    return None
                if np.lib.format.read_array_header_1_0(file) != (shape, False, dtype):
                    return None
    with np.load(path, allow_pickle=False) as file:  # a zip file: it checks its members' checksums
        return file["scores"] if str(file["key"]) == key else None


def data_parallel_workers() -> Tuple[int, int]:
    """How many workers train together, and which of them this is."""
    if not torch.distributed.is_initialized():
        return 1, 0
    return distributed_utils.get_data_parallel_world_size(), distributed_utils.get_data_parallel_rank()


def _content_digest(path: str) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for block in iter(lambda: file.read(1 << 22), b""):
            digest.update(block)
    return digest.digest()


class Marginals:
    """log P(sentence) of both sides of a split, each by the language model of its language.

    Args:
        paths: the language models' checkpoints by language.
        flags: the flags that named them, by language.
        dictionaries: the translation dictionaries by language.
        cache: where scores are kept.
        device: where the language models run.
        progress: wraps an iterable of batches in a progress bar, given a label.
    """

    def __init__(
        self,
        paths: Dict[str, str],
        flags: Dict[str, str],
        dictionaries: Dict[str, Dictionary],
        cache: ScoreCache,
        device: torch.device,
        progress: Callable,
    ):
        self.paths = paths
        self.flags = flags
        self.dictionaries = dictionaries
        self.cache = cache
        self.device = device
        self.progress = progress
        self._models: Dict[str, LanguageModel] = {}
        for language, path in paths.items():
            if not os.path.isfile(path):
                raise BadInput(f"{flags[language]} {path}: no such file; a language model's checkpoint is wanted")
        if filecmp.cmp(*paths.values(), shallow=False):
            first, second = (f"{flags[language]} {path}" for language, path in paths.items())
            raise BadInput(
                f"{first} and {second}: are the same file, or its copy; expected the language model of "
                f"{' and that of '.join(paths)}"
            )

    def release(self):
        """Let the language models go: what they said is kept."""
        self._models.clear()

    def scores(self, source: Side, target: Side) -> Dict[str, np.ndarray]:
        """The scores of a split as ``{"source": ..., "target": ...}``, each ``(sentences,)``, in nats, float64.

        NaN stands for a sentence that its language model cannot take; `BadInput` is raised if a wanted one is so.
        """
        sides = {"source": source, "target": target}
        scores, keys = self._from_cache(sides)
        missing = [name for name in sides if scores[name] is None]
        if missing:
            models = {side.language: self.model(side.language) for side in sides.values()}
            self._refuse_wrong_models(models, [source, target])
            for name in missing:
                side = sides[name]
                scores[name] = self._compute(models[side.language], side)
                if data_parallel_workers()[1] == 0:
                    self.cache.write(keys[name], scores[name])
        for name, side in sides.items():
            self._require(scores[name], side)
        return scores

    def _from_cache(self, sides: Dict[str, Side]) -> Tuple[Dict[str, Optional[np.ndarray]], Dict[str, str]]:
        """The stored scores, as the first worker finds them: all workers then do the same."""
        found = None
        workers, rank = data_parallel_workers()
        if rank == 0:
            keys = {
                name: self.cache.key(side, self.paths[side.language], self.dictionaries[side.language])
                for name, side in sides.items()
            }
            stored = {name: self.cache.read(keys[name], len(side.sentences)) for name, side in sides.items()}
            found = ({k: None if v is None else torch.from_numpy(v) for k, v in stored.items()}, keys)
        if workers > 1:
            found = distributed_utils.broadcast_object(
                found, src_rank=0, group=distributed_utils.get_data_parallel_group()
            )
        scores, keys = found
        return {name: None if value is None else value.numpy() for name, value in scores.items()}, keys

    def model(self, language: str) -> LanguageModel:
        """The language model, loaded when it is first asked for."""
        if language not in self._models:
            self._models[language] = LanguageModel(
                self.paths[language], self.flags[language], language, self.dictionaries[language], self.device
            )
        return self._models[language]

    def _compute(self, model: LanguageModel, side: Side) -> np.ndarray:
        """Score what the model can take; each worker its share."""
        indices = np.flatnonzero(side.sizes <= model.max_positions)
        indices = indices[np.argsort(side.sizes[indices], kind="stable")]
        sizes = side.sizes[indices].astype(np.int64)
        max_tokens = max(MAX_TOKENS, sizes.max(initial=0))
        batches = data_utils.batch_by_size(indices, None, num_tokens_vec=sizes, max_tokens=max_tokens)
        workers, rank = data_parallel_workers()
        scores = torch.zeros(len(side.sentences), dtype=torch.float64)
        for batch in self.progress(batches[rank::workers], f"scoring {side.language} by {model.name}"):
            scores[torch.from_numpy(batch)] = torch.from_numpy(model.score([side.sentences[i] for i in batch]))
        if workers > 1:  # every sentence is scored by one worker, and 0 in the others
            scores = scores.to(self.device)
            distributed_utils.all_reduce(scores, group=distributed_utils.get_data_parallel_group())
        scores = scores.cpu().numpy()
        scores[side.sizes > model.max_positions] = np.nan
        return scores

    def _require(self, scores: np.ndarray, side: Side):
        lost = side.wanted[np.isnan(scores[side.wanted])]
        if len(lost):
            raise BadInput(
                f"{self.flags[side.language]} {self.paths[side.language]}: {len(lost)} {side.language} sentences are "
                f"longer than the language model takes, the longest of {side.sizes[lost].max()} tokens; "
                f"train it with --tokens-per-sample {side.sizes[lost].max()} or more, or filter the longer pairs out "
                "with --max-source-positions and --max-target-positions"
            )

    def _refuse_wrong_models(self, models: Dict[str, LanguageModel], sides: List[Side]):
        """Refuse one model twice, models of each other's language, and models of other dictionaries."""
        models = [models[side.language] for side in sides]
        names, languages = [model.name for model in models], [side.language for side in sides]
        refuse_same_parameters(names, KIND, languages, *(model.model.state_dict() for model in models))
        limit = min(model.max_positions for model in models)
        pairs = [i for i in sides[0].wanted if all(side.sizes[i] <= limit for side in sides)][:CHECKED_SENTENCES]
        batches = [pairs[k : k + 20] for k in range(0, len(pairs), 20)]

        def likelihood(model, side):
            return sum((model.likelihood([side.sentences[i] for i in batch]) for batch in batches), Likelihood())

        own = [likelihood(*pair) for pair in zip(models, sides)]
        if len({len(model.dictionary) for model in models}) == 1:  # else each takes one language alone
            other = [likelihood(*pair) for pair in zip(models, reversed(sides))]
            refuse_swapped(names, KIND, languages, [[own[0], other[0]], [other[1], own[1]]])
        for model, language, found in zip(models, languages, own):
            refuse_other_dictionary(model.name, language, found, model.dictionary)

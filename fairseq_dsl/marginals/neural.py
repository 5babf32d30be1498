"""fairseq's own language models as marginals."""

import argparse
from typing import Any, Dict, List, Optional

import numpy as np
import torch
from fairseq import utils
from fairseq.data import Dictionary, data_utils
from fairseq.models import FairseqLanguageModel
from fairseq.tasks.language_modeling import LanguageModelingTask
from torch import Tensor

from ..checkpoints import Checkpoint, build_config
from ..errors import BadInput
from ..files import content_digest
from ..likelihood import token_log_probs
from ..swaps import Likelihood, same_parameters
from .marginal import Marginal


class NeuralMarginal(Marginal):
    """A frozen language model of whole sentences: a checkpoint of fairseq's ``language_modeling`` task.

    Loaded when it is first asked for more than its name and content: a split whose scores are in the cache requires no
    model. Raises `BadInput` where the checkpoint does not model P(sentence) over the dictionary.
    """

    def __init__(self, path: str, flag: str, language: str, dictionary: Dictionary, device: torch.device):
        super().__init__(path, flag, language, dictionary, device)
        self._model: Optional[FairseqLanguageModel] = None
        self.require_file("a language model's checkpoint")

    @property
    def kind(self) -> str:
        return "" if type(self) is NeuralMarginal else super().kind  # as in the keys of version 0.3

    @classmethod
    def reads(cls, path: str) -> bool:
        return True  # whatever no other kind reads

    @property
    def model(self) -> FairseqLanguageModel:
        """fairseq's own model, which sentences can be sampled from."""
        if self._model is None:
            self._model = self._load()
        return self._model

    def release(self):
        self._model = None

    def _load(self) -> FairseqLanguageModel:
        checkpoint = Checkpoint(self.path, self.flag)
        self._check(checkpoint)
        task = LanguageModelingTask(argparse.Namespace(**checkpoint.task), self.dictionary)
        try:
            with torch.random.fork_rng(devices=[]):  # sampling that has begun goes on as if nothing had been loaded
                model = task.build_model(build_config(checkpoint.model_cfg), from_checkpoint=True)
            model.load_state_dict(checkpoint.parameters, strict=True)
        except (RuntimeError, KeyError, AttributeError) as error:
            raise BadInput(f"{self.name}: its parameters do not fit its architecture ({error})") from error
        return model.to(self.device).eval().requires_grad_(False)

    def _check(self, checkpoint: Checkpoint):
        task = checkpoint.task
        if checkpoint.task_name != "language_modeling":
            raise BadInput(
                f"{self.name}: expected a language model (fairseq-train --task language_modeling), found a model of "
                f"the task {checkpoint.task_name}"
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
                raise BadInput(f"{self.name}: was trained with {flag}; expected a model of the future alone")
        if (task.get("output_dictionary_size") or -1) >= 0:
            raise BadInput(
                f"{self.name}: was trained with --output-dictionary-size {task['output_dictionary_size']}; "
                "expected a model of the whole vocabulary"
            )
        checkpoint.check_vocabulary(self.dictionary, "decoder.embed_tokens.weight", self.language, "dict.txt")

    @property
    def max_length(self) -> int:
        limit = self.model.max_positions()
        return min(limit) if isinstance(limit, tuple) else limit

    def fingerprint(self) -> bytes:
        symbols = f"{self.dictionary.pad()} {self.dictionary.eos()}" + "\n".join(self.dictionary.symbols)
        return symbols.encode() + content_digest(self.path)

    @torch.no_grad()
    def _score(self, sentences: List[Tensor]) -> np.ndarray:
        found = token_log_probs(self.model, self._sample(sentences), self.dictionary.pad())
        return found.double().sum(-1).cpu().numpy()

    @torch.no_grad()
    def likelihood(self, sentences: List[Tensor]) -> Likelihood:
        sample = self._sample(sentences)
        lprobs = self.model.get_normalized_probs(self.model(**sample["net_input"]), log_probs=True)
        return Likelihood.of(lprobs, sample["target"], sample["net_input"]["src_tokens"], self.dictionary)

    def is_same_as(self, other: Marginal) -> bool:
        """Also where the same parameters stand in different files."""
        return isinstance(other, NeuralMarginal) and same_parameters(self.model.state_dict(), other.model.state_dict())

    def _sample(self, sentences: List[Tensor]) -> Dict[str, Any]:
        """A batch as fairseq's task makes it."""
        pad, eos = self.dictionary.pad(), self.dictionary.eos()
        target = data_utils.collate_tokens(sentences, pad)
        # As in training with --sample-break-mode eos: the symbol before the first word is the end of a sentence.
        previous = data_utils.collate_tokens(sentences, pad, eos, move_eos_to_beginning=True)
        sample = {"net_input": {"src_tokens": previous}, "target": target}
        return utils.move_to_cuda(sample, self.device) if self.device.type == "cuda" else sample

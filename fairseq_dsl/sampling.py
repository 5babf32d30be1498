"""Round trips: sample translations of sentences with one direction, to be scored by the other and by language models.

``z`` is a sentence, ``w_1 ... w_K`` are its sampled translations. Sampling is fairseq's own generator, with the model
in evaluation mode and without gradient.
"""

import contextlib
import math
from dataclasses import dataclass, field
from typing import List, NamedTuple, Optional

import torch
import torch.nn as nn
from fairseq import search, utils
from fairseq.data import Dictionary
from fairseq.data.language_pair_dataset import collate
from fairseq.dataclass import FairseqDataclass
from fairseq.models import FairseqEncoderDecoderModel
from fairseq.sequence_generator import SequenceGenerator
from torch import Tensor

from .directions import Direction
from .errors import BadInput
from .likelihood import token_log_probs
from .modes import in_evaluation_mode
from .ranges import Range, at_least, check_numbers, number

SAMPLES = at_least(1, 10**4, "{} or more")
TEMPERATURE = Range(1e-3, 1e3, "a number above 0 (from 0.001 to 1000)")


@dataclass
class SamplingConfig(FairseqDataclass):
    num_samples: int = number(2, SAMPLES, "sampled translations K of each sentence")
    sample_temperature: float = number(
        1.0, TEMPERATURE, "divides the logits before sampling; below 1 the samples are likelier ones"
    )
    sample_topk: int = number(
        0, at_least(0, 10**6, "1 or more, or 0 for all symbols"), "sample among this many likeliest symbols; 0: all"
    )
    sample_topp: float = number(
        0.0,
        Range(0, 1, "a number from 0 (all symbols) to 1"),
        "sample among the likeliest symbols that have this probability together; 0: all",
    )
    sample_beam: bool = field(default=False, metadata={"help": "the K best of a beam search in place of samples"})
    sample_max_len_a: float = number(
        1.5, at_least(0, 1000), "samples have at most ax + b words, where x is the longest source of the batch"
    )
    sample_max_len_b: int = number(10, at_least(1, 10**6), "the same limit's constant")
    save_samples: Optional[str] = field(
        default=None, metadata={"help": "folder to write all samples to, with their scores, as lines of JSON"}
    )


class Samples(NamedTuple):
    """K translations of each of n sentences, all translations of the first sentence first."""

    sentences: List[Tensor]
    """n·K sentences that end in the end-of-sentence symbol."""
    log_q: Tensor
    """``(n, K)``, nats, float64: log of the probability with which each was drawn; nan where that is not known: of beam
    search, and of truncated sampling."""
    cut: Tensor
    """``(n, K)``, bool: which were ended by the limit on lengths."""
    limit: int
    """That limit: the words that each may have, without its end-of-sentence symbol."""

    @property
    def by_sentence(self) -> List[List[Tensor]]:
        """The K translations of each sentence."""
        count = self.cut.size(1)
        return [self.sentences[first : first + count] for first in range(0, len(self.sentences), count)]


class Sampler:
    """Draws translations as a `SamplingConfig` says. Raises `BadInput` for one that cannot be."""

    def __init__(self, cfg: SamplingConfig):
        self.cfg = cfg
        check_numbers(cfg)
        ways = [flag for flag, on in self._truncation.items() if on]
        if len(ways) > 1:
            raise BadInput(f"{' and '.join(ways)}: expected one of them")

    @property
    def _truncation(self):
        cfg = self.cfg
        return {"--sample-beam": cfg.sample_beam, "--sample-topk": cfg.sample_topk, "--sample-topp": cfg.sample_topp}

    def require_ancestral(self, why: str):
        """Refuse all but plain sampling from the model's whole distribution, at any temperature."""
        for flag, on in self._truncation.items():
            if on:
                raise BadInput(f"{flag}: {why}; leave the flag out (--sample-temperature may stay)")

    def require_symbols(self, symbols: int):
        """Refuse a beam that fairseq would cap at the size of the vocabulary."""
        if self.cfg.sample_beam and self.cfg.num_samples >= symbols:
            raise BadInput(
                f"--num-samples {self.cfg.num_samples} --sample-beam: expected fewer than the {symbols} symbols of the "
                "vocabulary"
            )

    @torch.no_grad()
    def draw(self, model: nn.Module, dictionary: Dictionary, sources: dict, max_len: int) -> Samples:
        """Translate a batch.

        Args:
            model: an encoder-decoder of one direction; or a language model, which draws sentences of its own.
            dictionary: of the samples' language.
            sources: a batch of n sentences; its rows give the order of the result.
            max_len: the longest sentence, with its end-of-sentence symbol, that all who read the samples can take.
        """
        cfg, count = self.cfg, self.cfg.num_samples
        beam = count
        tokens, lengths = sources["net_input"]["src_tokens"], sources["net_input"]["src_lengths"]
        self.require_symbols(len(dictionary))
        if count >= len(dictionary):  # samples are drawn one by one, then: they need no beam
            beam = 1
            tokens, lengths = (value.repeat_interleave(count, 0) for value in (tokens, lengths))
        limit = min(int(cfg.sample_max_len_a * tokens.size(1) + cfg.sample_max_len_b), max_len - 1)
        if limit < 1:
            raise BadInput(f"the models and language models allow sentences of {max_len} tokens: too short for samples")
        if cfg.sample_beam:
            strategy = search.BeamSearch(dictionary)
        else:
            topk = min(cfg.sample_topk, len(dictionary) - 2) or -1
            strategy = Sampling(dictionary, topk, cfg.sample_topp or -1.0)
        with in_evaluation_mode(model):  # also what makes the generator: it puts the model into that mode for good
            generator = SequenceGenerator(
                [model],
                dictionary,
                beam_size=beam,
                max_len_a=0,
                max_len_b=limit,
                max_len=limit + 1,
                normalize_scores=cfg.sample_beam,  # as translation does; else a score is the log of a probability
                temperature=cfg.sample_temperature,
                search_strategy=strategy,
            )
            found = generator.generate([model], {"net_input": {"src_tokens": tokens, "src_lengths": lengths}})
        if any(len(hypotheses) < beam for hypotheses in found):
            raise BadInput(
                f"--num-samples {count} --sample-beam: there are not so many sentences of up to {limit} words"
            )
        found = [hypothesis for hypotheses in found for hypothesis in hypotheses]
        sizes = [len(hypothesis["tokens"]) for hypothesis in found]
        together = torch.nn.utils.rnn.pad_sequence(
            [hypothesis["tokens"] for hypothesis in found], batch_first=True
        ).cpu()
        log_q = torch.stack([hypothesis["score"] for hypothesis in found]).double().view(-1, count)
        if any(self._truncation.values()):
            log_q = torch.full_like(log_q, math.nan)
        return Samples(
            [row[:size] for row, size in zip(together, sizes)],
            log_q,
            torch.tensor(sizes, device=log_q.device).view(-1, count) == limit + 1,
            limit,
        )


class Sampling(search.Sampling):
    """fairseq's sampling, whose scores are made those of the distribution that it draws from, but for truncation.

    fairseq masks symbols (padding; the end before the first word; all but the end at the limit on lengths) and draws
    from what is left, but reports the probabilities before masking; and fails where they are all 0 in float32.
    """

    def step(self, step, lprobs, scores, prev_output_tokens=None, original_batch_idxs=None):
        return super().step(step, lprobs.log_softmax(-1), scores, prev_output_tokens, original_batch_idxs)


@contextlib.contextmanager
def random_numbers_of_worker(rank: int, device: torch.device):
    """Random numbers of this worker's own: fairseq seeds all workers alike. Those of dropout are left as they were."""
    common = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
    seed = int(torch.randint(2**31, (rank + 1,), generator=common)[rank])
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


class RoundTrip(NamedTuple):
    """Sentences of one language, and K samples of each in the other."""

    there: Direction
    """The direction of the samples."""
    numbers: List[int]
    """The numbers of the sentences in their data."""
    sentences: List[Tensor]
    """The n sentences z, on the CPU."""
    samples: Samples

    @property
    def back(self) -> Direction:
        return self.there.reversed

    @property
    def repeated(self) -> List[Tensor]:
        """Each sentence K times, as its samples stand."""
        return [sentence for sentence in self.sentences for _ in range(self.samples.log_q.size(1))]

    @property
    def device(self) -> torch.device:
        return self.samples.log_q.device

    def by_sample(self, values: Tensor) -> Tensor:
        """Values of all samples as ``(n, K)``."""
        return values.view(self.samples.log_q.shape)


def unpadded(tokens: Tensor, pad: int) -> List[Tensor]:
    """The sentences of a batch, on the CPU."""
    return [utils.strip_pad(row, pad) for row in tokens.cpu()]


def pair_up(sources: List[Tensor], targets: List[Tensor], cfg, dictionary: Dictionary, device: torch.device) -> dict:
    """A translation batch of sentences; ``id`` says where each row stood.

    Args:
        cfg: the translation task's, which says where padding stands.
        dictionary: that has the padding and end-of-sentence symbols, the same in both languages.
    """
    items = [{"id": i, "source": source, "target": target} for i, (source, target) in enumerate(zip(sources, targets))]
    batch = collate(items, dictionary.pad(), dictionary.eos(), cfg.left_pad_source, cfg.left_pad_target)
    return utils.move_to_cuda(batch, device) if device.type == "cuda" else batch


def in_order(values: Tensor, batch: dict) -> Tensor:
    """Values of a batch's rows, in the order of its sentences' numbers; so those of both directions stand together."""
    return values[batch["id"].argsort()]


@torch.no_grad()
def log_prob(model: FairseqEncoderDecoderModel, batch: dict, pad: int) -> Tensor:
    """log P(target | source) in evaluation mode, in the order of the sentences; nats, float64."""
    with in_evaluation_mode(model):
        return in_order(token_log_probs(model, batch, pad).sum(-1).double(), batch)

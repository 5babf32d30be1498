"""What the terms share that learn from samples: of the parallel data's translations, or of round trips."""

from dataclasses import dataclass
from typing import Any, Dict, List, Union

from torch import Tensor, nn

from ..directions import Direction
from ..sample_log import SampleLog, symbols
from ..sampling import Sampler, Samples, SamplingConfig, random_numbers_of_worker
from ..workers import data_parallel_workers
from .duality_gap import MethodConfig
from .resources import Resources
from .term import Term


@dataclass
class SampledConfig(SamplingConfig, MethodConfig):
    """The flags of a method that learns from samples."""


class SampledTerm(Term):
    """Draws translations, counts them, and writes them down."""

    averages = {"samples_cut": "samples", "length_ratio": "source_length"}

    def __init__(self, cfg: SampledConfig, given: Resources):
        super().__init__(cfg, given)
        self.sampler = Sampler(cfg)
        self.sampler.require_symbols(min(map(len, given.dictionaries.values())))
        self._sample_log = SampleLog(cfg.save_samples, *data_parallel_workers()) if cfg.save_samples else None

    def begin_update(self):
        if self._sample_log is not None:
            self._sample_log.begin_update()

    def begin_batch(self, update: int, dummy: bool):
        if self._sample_log is not None:
            self._sample_log.begin_batch(update, dummy)

    @property
    def memory_advice(self) -> str:
        return f"lower --num-samples (it is {self.cfg.num_samples}), --max-tokens or --batch-size"

    def draw(self, model: nn.Module, direction: Direction, sources: dict, max_len: int) -> Samples:
        """Sample translations of a batch of sources, with random numbers of this worker's own."""
        dictionary = self.given.dictionaries[direction.target]
        with random_numbers_of_worker(data_parallel_workers()[1], sources["net_input"]["src_tokens"].device):
            return self.sampler.draw(model, dictionary, sources, max_len)

    def sample_sums(self, direction: Direction, sentences: List[Tensor], samples: Samples) -> Dict[str, Any]:
        """What every method logs of its samples, summed; lengths in words, without the end-of-sentence symbols."""
        count = samples.cut.size(1)
        return {
            f"samples_{direction}": samples.cut.numel(),
            f"samples_cut_{direction}": samples.cut.sum(),
            f"length_ratio_{direction}": sum(len(sample) - 1 for sample in samples.sentences),
            f"source_length_{direction}": count * sum(len(sentence) - 1 for sentence in sentences),
        }

    def save(
        self,
        direction: Direction,
        numbers: List[int],
        sentences: List[Tensor],
        samples: List[List[Tensor]],
        **columns: Union[Tensor, List[str]],
    ):
        """Write down sentences, samples and what is known of each, for ``--save-samples``.

        Args:
            numbers: of the sentences in their data.
            columns: a value for each sentence, or a row of a value for each of its samples (what is beyond is padding).
        """
        if self._sample_log is None:
            return
        source, target = self.given.dictionaries[direction.source], self.given.dictionaries[direction.target]
        values = {name: column.tolist() if isinstance(column, Tensor) else column for name, column in columns.items()}
        lines = []
        for row, (index, sentence, drawn) in enumerate(zip(numbers, sentences, samples)):
            line: Dict[str, Any] = {"direction": str(direction), "id": index, "sentence": symbols(sentence, source)}
            line["samples"] = [symbols(sample, target) for sample in drawn]
            for name, column in values.items():
                line[name] = column[row][: len(drawn)] if isinstance(column[row], list) else column[row]
            lines.append(line)
        self._sample_log.write(lines)

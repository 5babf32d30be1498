"""The adversarial cycle: what comes back from a round trip, and how real it looks underway, is the reward."""

from dataclasses import dataclass
from functools import partial
from typing import Any, Dict, List

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from ..adversarial import bigrams, critic_loss, log_odds_reward
from ..errors import BadInput
from ..models.critic import Critic
from ..modes import in_evaluation_mode
from ..ranges import BELOW_1, POSITIVE, SHARE, UPDATES, WEIGHT, at_least, number
from ..sampling import RoundTrip, unpadded
from ..workers import data_parallel_workers
from .critic_watch import CriticWatch
from .policy import PolicyConfig, PolicyTerm, Reward
from .resources import Resources
from .term import Outputs, Part, Step


@dataclass
class CycleAdversarialConfig(PolicyConfig):
    reward_alpha: float = number(
        0.5, SHARE, "share α of the critic in the reward; the rest is that of the reconstruction"
    )
    lm_alpha: float = number(0.0, SHARE, "share of the language model in the reward, beside that of the critic")
    critic_weight: float = number(1.0, WEIGHT, "weight of the critics' own loss; 0 gives them no gradient")
    critic_every: int = number(1, at_least(1, 10**6), "train the critics only every N updates")
    critic_start_update: int = number(
        0, UPDATES, "the critics learn from the first update on, and reward from this one"
    )
    critic_clip: float = number(5.0, POSITIVE, "a critic's reward is within this many nats, either way")
    critic_dim: int = number(64, at_least(1, 10**4), "width of the critics")
    critic_dropout: float = number(0.1, BELOW_1, "dropout of the critics")


class CycleAdversarial(PolicyTerm):
    """-E[α·clip(log D(y) - log(1 - D(y)), ±c) + (1 - α)·log P(x|y; θ')/|x|] over y ~ P(·|x; θ); and its mirror.

    x is monolingual. D is the critic of y's language: it learns, in the same update, to tell real sentences from the
    samples, which are constant to it as its rewards are to the models: no gradient passes between them, and one summed
    loss trains both. The counterpart of CycleGAN (Zhu et al. 2017, https://arxiv.org/abs/1703.10593) for text, with the
    rewards of adversarial NMT (Wu et al. 2017, https://arxiv.org/abs/1704.06933).
    """

    averages = {
        **PolicyTerm.averages,
        "reward_critic": "round_trips",
        "reward_lm": "round_trips",
        "critic_loss": "round_trips",
        "critic_accuracy_real": "real_sentences",
        "critic_accuracy_sampled": "samples",
        "distinct_bigrams": "bigrams",
    }
    per_token = True
    reads_both_languages = True  # a critic learns from real sentences, and from samples for the other language's

    def __init__(self, cfg: CycleAdversarialConfig, given: Resources):
        super().__init__(cfg, given)
        if cfg.reward_alpha + cfg.lm_alpha > 1:
            raise BadInput(
                f"--reward-alpha {cfg.reward_alpha} --lm-alpha {cfg.lm_alpha}: expected shares of at most 1 together"
            )
        if cfg.lm_alpha > 0:
            self.require_marginals(f"the reward of --lm-alpha {cfg.lm_alpha}")
        self._watch = CriticWatch()
        self._dummy = False

    def build_critics(self) -> Dict[str, nn.Module]:
        return {
            language: Critic(len(dictionary), self.given.pad, self.cfg.critic_dim, self.cfg.critic_dropout)
            for language, dictionary in sorted(self.given.dictionaries.items())  # also where -s and -t are exchanged
        }

    def begin_batch(self, update: int, dummy: bool):
        super().begin_batch(update, dummy)
        self._dummy = dummy

    def parts(self, step: Step) -> List[Part]:
        found = super().parts(step)
        # Data-parallel training wants each critic to have a gradient in each update, be it 0.
        idle = set(step.pair.critics) - {language for part in found for language in part.texts}
        device = next(iter(step.parallel.values()))["target"].device
        end = torch.full((1, 1), self.given.eos, device=device)
        return [*found, *(Part({}, partial(_nothing, language), {language: end}) for language in sorted(idle))]

    def part(self, step: Step, trip: RoundTrip) -> Part:
        language = trip.there.target
        real = self._real(step, trip)
        text = pad_sequence([*real, *trip.samples.sentences], True, self.given.pad).to(trip.device)
        critic = step.pair.critics[language]
        with torch.no_grad(), in_evaluation_mode(critic):
            log_odds = critic(text).double()
        sums = self._critic_sums(trip, log_odds[: len(real)], log_odds[len(real) :])
        share = self.cfg.reward_alpha if step.update >= self.cfg.critic_start_update else 0.0
        value = trip.by_sample(log_odds_reward(log_odds[len(real) :], self.cfg.critic_clip))
        rewards = {"critic": Reward(share, value), "lm": self.language_model_reward(trip, self.cfg.lm_alpha)}
        part = self.rewarded(step, trip, rewards)
        learns = self.cfg.critic_weight > 0 and step.update % self.cfg.critic_every == 0
        return part._replace(
            loss=partial(self._with_critic, part, trip, len(real) if learns else None, sums),
            texts={language: text} if learns else {},
        )

    def _real(self, step: Step, trip: RoundTrip) -> List[Tensor]:
        """Real sentences of the samples' language, cut where samples are cut: else their length would tell them."""
        batch = step.monolingual.get(trip.there.target)
        if batch is None:
            return []
        limit, end = trip.samples.limit, torch.tensor([self.given.eos])
        sentences = unpadded(batch["net_input"]["src_tokens"], self.given.pad)
        return [torch.cat([words[:limit], end]) if len(words) > limit + 1 else words for words in sentences]

    def _critic_sums(self, trip: RoundTrip, real: Tensor, sampled: Tensor) -> Dict[str, Any]:
        """What the critic says without dropout, before it learns from these sentences."""
        distinct, count = bigrams(trip.samples.sentences)
        accuracies = {"real": (real > 0).double(), "sampled": (sampled < 0).double()}
        if self.cfg.critic_weight > 0 and len(real) and not self._dummy and data_parallel_workers()[1] == 0:
            self._watch.see(trip.there.target, sum(correct.mean().item() for correct in accuracies.values()) / 2)
        sums = {
            "critic_loss": critic_loss(real, trip.by_sample(sampled)),
            "real_sentences": len(real),
            "distinct_bigrams": distinct,
            "bigrams": count,
            **{f"critic_accuracy_{name}": correct.sum() for name, correct in accuracies.items()},
        }
        return {f"{key}_{trip.there}": value for key, value in sums.items()}

    def _with_critic(self, part: Part, trip: RoundTrip, real, critic_sums: Dict[str, Any], outputs: Outputs):
        """The loss of the models and, where it learns, that of the critic; `real` is the number of real sentences."""
        loss, sums = part.loss(outputs)
        if real is not None:
            log_odds = outputs.log_odds(trip.there.target)
            loss = loss + self.cfg.critic_weight * critic_loss(log_odds[:real], trip.by_sample(log_odds[real:]))
        return loss, {**sums, **critic_sums}


def _nothing(language: str, outputs: Outputs):
    return 0.0 * outputs.log_odds(language).sum(), {}

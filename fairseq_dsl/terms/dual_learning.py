"""Dual learning: what comes back from a round trip, and how likely it is underway, is the reward."""

from dataclasses import dataclass, field

from ..ranges import SHARE, number
from ..sampling import RoundTrip
from .policy import PolicyConfig, PolicyTerm
from .resources import Resources
from .term import Part, Step


@dataclass
class DualLearningConfig(PolicyConfig):
    reward_alpha: float = number(
        0.01, SHARE, "share α of the language model in the reward; the rest is that of the reconstruction"
    )
    reward_per_token: bool = field(
        default=False, metadata={"help": "divide both rewards by the lengths of the sentences that they are of"}
    )


class DualLearning(PolicyTerm):
    """-E[α·log P̂(y) + (1 - α)·log P(x|y; θ')] over y ~ P(·|x; θ), x monolingual; and its mirror.

    He et al. 2016, "Dual Learning for Machine Translation" (https://arxiv.org/abs/1611.00179).
    """

    averages = {**PolicyTerm.averages, "reward_lm": "round_trips"}

    def __init__(self, cfg: DualLearningConfig, given: Resources):
        super().__init__(cfg, given)
        self.per_token = cfg.reward_per_token
        if cfg.reward_alpha > 0:
            self.require_marginals(f"the reward of --reward-alpha {cfg.reward_alpha}")

    def part(self, step: Step, trip: RoundTrip) -> Part:
        return self.rewarded(step, trip, {"lm": self.language_model_reward(trip, self.cfg.reward_alpha)})

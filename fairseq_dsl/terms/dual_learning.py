"""Dual learning: what comes back from a round trip, and how likely it is underway, is the reward."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Dict, List

import torch
from fairseq.dataclass import ChoiceEnum
from torch import Tensor

from ..errors import BadInput
from ..likelihood import TokenLikelihood
from ..objectives import baseline, never_drawn, of_what_was_drawn, policy_loss, sampled_log_prob
from ..output_layer import Projected
from ..ranges import SHARE, number
from ..sampling import RoundTrip, in_order, log_prob
from .resources import Resources
from .round_trip import RoundTripConfig, RoundTripTerm
from .term import Outputs, Part, Step


@dataclass
class DualLearningConfig(RoundTripConfig):
    reward_alpha: float = number(
        0.01, SHARE, "share α of the language model in the reward; the rest is that of the reconstruction"
    )
    reward_per_token: bool = field(
        default=False, metadata={"help": "divide both rewards by the lengths of the sentences that they are of"}
    )
    reward_baseline: ChoiceEnum(["none", "mean", "leave-one-out"]) = field(  # type: ignore[valid-type]
        default="leave-one-out",
        metadata={
            "help": "what is subtracted from a sample's reward: the mean over its sentence's samples, or the others"
        },
    )


class DualLearning(RoundTripTerm):
    """-E[α·log P̂(y) + (1 - α)·log P(x|y; θ')] over y ~ P(·|x; θ), x monolingual; and its mirror.

    The gradient in θ is the policy gradient, that in θ' a weighted likelihood: He et al. 2016, "Dual Learning for
    Machine Translation" (https://arxiv.org/abs/1611.00179). With K samples y_k, r_k their rewards and b a baseline,
    the loss is the mean over k of -(r_k - b)·log P(y_k|x; θ) - (1 - α)·log P(x|y_k; θ').
    """

    averages = {
        **RoundTripTerm.averages,
        "reward": "round_trips",
        "reward_lm": "round_trips",
        "reward_reconstruction": "round_trips",
    }

    def __init__(self, cfg: DualLearningConfig, given: Resources):
        super().__init__(cfg, given)
        if cfg.reward_alpha > 0:
            self.require_marginals(f"the reward of --reward-alpha {cfg.reward_alpha}")
        if str(cfg.reward_baseline) != "none" and cfg.num_samples < 2:
            raise BadInput(
                f"--num-samples {cfg.num_samples}: --reward-baseline {cfg.reward_baseline} requires 2 or more; "
                "or give --reward-baseline none"
            )

    def part(self, step: Step, trip: RoundTrip) -> Part:
        alpha = self.cfg.reward_alpha
        batches = {trip.there: self.batch_there(trip), trip.back: self.batch_back(trip)}
        reconstruction = trip.by_sample(log_prob(step.model(trip.back), batches[trip.back], self.given.pad))
        lm_reward = torch.zeros_like(reconstruction)
        if alpha:
            lm_reward = trip.by_sample(self.log_marginal(trip.samples.sentences, trip.there.target, trip.device))
        lengths = torch.ones_like(reconstruction)
        if self.cfg.reward_per_token:
            lengths = trip.by_sample(_lengths(trip.repeated, trip.device))
            lm_reward = lm_reward / trip.by_sample(_lengths(trip.samples.sentences, trip.device))
        reward = alpha * lm_reward + (1 - alpha) * reconstruction / lengths
        sums = {
            "reward": reward.mean(-1).sum(),
            "reward_lm": lm_reward.mean(-1).sum(),
            "reward_reconstruction": (reconstruction / lengths).mean(-1).sum(),
        }
        self.save_trip(trip, log_p_back=reconstruction, reward_lm=lm_reward, reward=reward)
        sums = {f"{key}_{trip.there}": value for key, value in sums.items()}
        return Part(batches, partial(self._loss, step, trip, batches, reward, lengths, sums))

    def _loss(self, step: Step, trip: RoundTrip, batches, reward, lengths, sums: Dict[str, Any], outputs: Outputs):
        log_prob_there = self._log_prob_there(step, trip, outputs, batches[trip.there])
        log_prob_back = self.log_prob_back(trip, outputs, batches[trip.back])
        advantage = reward - baseline(reward, str(self.cfg.reward_baseline))
        loss = policy_loss(log_prob_there, advantage) - (1 - self.cfg.reward_alpha) * (log_prob_back / lengths).mean(-1)
        return loss.sum(), sums

    def _log_prob_there(self, step: Step, trip: RoundTrip, outputs: Outputs, batch: dict) -> Tensor:
        """log of the probability with which each sample was drawn, differentiable; ``(n, K)``.

        The paper's beam search draws nothing: then, and where sampling is truncated, log P(w_k|z) stands for it.
        """
        if trip.samples.log_q.isnan().any():
            values = outputs.score(trip.there, batch).log_prob
        else:
            values = self._drawn(step, trip, outputs.of(batch), batch)
        return trip.by_sample(in_order(values.double(), batch))

    def _drawn(self, step: Step, trip: RoundTrip, output: Any, batch: dict) -> Tensor:
        target, temperature = batch["target"], self.cfg.sample_temperature
        rules = target, self.given.pad, self.given.eos
        cut = trip.samples.cut.view(-1)[batch["id"]]
        if isinstance(output[0], Projected):
            tempered = output[0].tempered(temperature)
            gold = TokenLikelihood(tempered, target, self.given.pad, never_drawn(*rules)).log_prob
            return of_what_was_drawn(gold, *rules, cut).sum(-1)
        # As fairseq's generator does it; an adaptive softmax is given features, and no logits, to divide.
        lprobs = step.model(trip.there).get_normalized_probs((output[0] / temperature, *output[1:]), log_probs=True)
        return sampled_log_prob(lprobs, *rules, cut)


def _lengths(sentences: List[Tensor], device: torch.device) -> Tensor:
    return torch.tensor([len(sentence) for sentence in sentences], dtype=torch.float64, device=device)

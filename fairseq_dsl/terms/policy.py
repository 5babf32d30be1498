"""What methods share that have samples rewarded: the policy gradient of one direction, the likelihood of the other."""

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Dict, List, NamedTuple

import torch
from fairseq.dataclass import ChoiceEnum
from torch import Tensor

from ..errors import BadInput
from ..likelihood import TokenLikelihood
from ..objectives import baseline, excluded_symbols, mask_certain, policy_loss, sampled_log_prob
from ..output_layer import Projected
from ..sampling import RoundTrip, in_order, log_prob
from .resources import Resources
from .round_trip import RoundTripConfig, RoundTripTerm
from .term import Outputs, Part, Step


@dataclass
class PolicyConfig(RoundTripConfig):
    reward_baseline: ChoiceEnum(["none", "mean", "leave-one-out"]) = field(  # type: ignore[valid-type]
        default="leave-one-out",
        metadata={
            "help": "what is subtracted from a sample's reward: the mean over its sentence's samples, or the others"
        },
    )


class Reward(NamedTuple):
    """What samples are rewarded for, beside the reconstruction of their sentences.

    Attributes:
        share: of it in the whole reward; the shares of all, and of the reconstruction, are 1 together.
        value: ``(n, K)``, of each sample, in nats, float64, constant.
    """

    share: float
    value: Tensor


class PolicyTerm(RoundTripTerm):
    """-E[Σ_i α_i·r_i(w) + (1 - Σ_i α_i)·log P(z|w; θ')] over w ~ P(·|z; θ), for any rewards r_i with shares α_i.

    The gradient in θ is the policy gradient, that in θ' a weighted likelihood: He et al. 2016, "Dual Learning for
    Machine Translation" (https://arxiv.org/abs/1611.00179). With K samples w_k, r(w_k) their whole rewards and b a
    baseline, the loss is the mean over k of -(r(w_k) - b)·log P(w_k|z; θ) - (1 - Σ_i α_i)·log P(z|w_k; θ').
    """

    averages = {**RoundTripTerm.averages, "reward": "round_trips", "reward_reconstruction": "round_trips"}
    per_token = False
    """Whether log-probabilities are divided by the lengths of the sentences that they are of."""

    def __init__(self, cfg: PolicyConfig, given: Resources):
        super().__init__(cfg, given)
        if str(cfg.reward_baseline) != "none" and cfg.num_samples < 2:
            raise BadInput(
                f"--num-samples {cfg.num_samples}: --reward-baseline {cfg.reward_baseline} requires 2 or more; "
                "or give --reward-baseline none"
            )

    def rewarded(self, step: Step, trip: RoundTrip, rewards: Dict[str, Reward]) -> Part:
        """The part of a trip whose samples have these rewards, by the names that they are logged by."""
        batches = {trip.there: self.batch_there(trip), trip.back: self.batch_back(trip)}
        log_prob_back = trip.by_sample(log_prob(step.model(trip.back), batches[trip.back], self.given.pad))
        lengths = self._lengths(trip, trip.repeated)
        share = 1 - sum(reward.share for reward in rewards.values())
        values = {"reward_reconstruction": log_prob_back / lengths}
        reward = share * values["reward_reconstruction"]
        for name, (its_share, value) in rewards.items():
            values[f"reward_{name}"] = value
            reward = reward + its_share * value
        values["reward"] = reward
        sums = {f"{key}_{trip.there}": value.mean(-1).sum() for key, value in values.items()}
        del values["reward_reconstruction"]  # to be computed of what is written down
        self.save_trip(trip, log_p_back=log_prob_back, **values)
        return Part(batches, partial(self._loss, step, trip, batches, reward, share / lengths, sums))

    def language_model_reward(self, trip: RoundTrip, share: float) -> Reward:
        """log P̂(w_k); 0 where it has no share, which asks for no language model."""
        if not share:
            return Reward(share, torch.zeros(trip.samples.log_q.shape, dtype=torch.float64, device=trip.device))
        sentences = trip.samples.sentences
        value = trip.by_sample(self.log_marginal(sentences, trip.there.target, trip.device))
        return Reward(share, value / self._lengths(trip, sentences))

    def _lengths(self, trip: RoundTrip, sentences: List[Tensor]) -> Tensor:
        """What log-probabilities of sentences are divided by, ``(n, K)``."""
        lengths = [len(sentence) if self.per_token else 1 for sentence in sentences]
        return trip.by_sample(torch.tensor(lengths, dtype=torch.float64, device=trip.device))

    def _loss(self, step: Step, trip: RoundTrip, batches, reward, weight, sums: Dict[str, Any], outputs: Outputs):
        log_prob_there = self._log_prob_there(step, trip, outputs, batches[trip.there])
        log_prob_back = self.log_prob_back(trip, outputs, batches[trip.back])
        advantage = reward - baseline(reward, str(self.cfg.reward_baseline))
        loss = policy_loss(log_prob_there, advantage) - (weight * log_prob_back).mean(-1)
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
            gold = TokenLikelihood(tempered, target, self.given.pad, excluded_symbols(*rules)).log_prob
            return mask_certain(gold, *rules, cut).sum(-1)
        # As fairseq's generator does it; an adaptive softmax is given features, and no logits, to divide.
        lprobs = step.model(trip.there).get_normalized_probs((output[0] / temperature, *output[1:]), log_probs=True)
        return sampled_log_prob(lprobs, *rules, cut)

"""Dual learning: what comes back from a round trip, and how natural it sounds underway, is the reward."""

from dataclasses import dataclass, field
from functools import partial

import torch
from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum

from ..errors import BadInput
from ..objectives import baseline, policy_loss, sampled_log_prob
from ..ranges import SHARE, number
from ..sampling import RoundTrip, in_order, log_prob
from .sampling_criterion import RoundTripCriterion, SamplingCriterionConfig, Term


@dataclass
class DualLearningCriterionConfig(SamplingCriterionConfig):
    reward_alpha: float = number(
        0.01, SHARE, "share α of the language model in the reward; the rest is that of the reconstruction"
    )
    reward_per_token: bool = field(
        default=False, metadata={"help": "divide both rewards by the lengths of the sentences that they are of"}
    )
    reward_baseline: ChoiceEnum(["none", "mean", "leave-one-out"]) = field(
        default="leave-one-out",
        metadata={"help": "what is subtracted from a sample's reward: the mean over its sentence's samples, or the others"},
    )


@register_criterion("dual_learning", dataclass=DualLearningCriterionConfig)
class DualLearningCriterion(RoundTripCriterion):
    """CE of the parallel data - E[α·log P̂(y) + (1 - α)·log P(x|y; θ')] over y ~ P(·|x; θ), x monolingual; and its mirror.

    The gradient in θ is the policy gradient, that in θ' a weighted likelihood: He et al. 2016, "Dual Learning for Machine
    Translation" (https://arxiv.org/abs/1611.00179). With K samples y_k, r_k their rewards and b a baseline, the loss is
    the mean over k of -(r_k - b)·log P(y_k|x; θ) - (1 - α)·log P(x|y_k; θ').
    """

    averages = {
        **RoundTripCriterion.averages,
        "reward": "round_trips",
        "reward_lm": "round_trips",
        "reward_reconstruction": "round_trips",
    }

    def __init__(self, cfg, task):
        super().__init__(cfg, task)
        if cfg.reward_alpha > 0:
            self._require_language_models(f"the reward of --reward-alpha {cfg.reward_alpha}")
        if str(cfg.reward_baseline) != "none" and cfg.num_samples < 2:
            raise BadInput(
                f"--num-samples {cfg.num_samples}: --reward-baseline {cfg.reward_baseline} takes 2 or more; "
                "or give --reward-baseline none"
            )

    def term(self, model, trip: RoundTrip) -> Term:
        alpha = self.cfg.reward_alpha
        batches = {trip.there: self._batch_there(trip), trip.back: self._batch_back(trip)}
        reconstruction = trip.by_sample(log_prob(self._model(model, trip.back), batches[trip.back], self.padding_idx))
        natural = torch.zeros_like(reconstruction)
        if alpha:
            natural = trip.by_sample(
                self._log_marginal(trip.samples.sentences, self.task.languages[trip.there][1], trip.device)
            )
        lengths = torch.ones_like(reconstruction)
        if self.cfg.reward_per_token:
            lengths = trip.by_sample(self._lengths(trip.repeated, trip.device))
            natural = natural / trip.by_sample(self._lengths(trip.samples.sentences, trip.device))
        reward = alpha * natural + (1 - alpha) * reconstruction / lengths
        sums = {
            "reward": reward.mean(-1).sum(),
            "reward_lm": natural.mean(-1).sum(),
            "reward_reconstruction": (reconstruction / lengths).mean(-1).sum(),
        }
        self._save_trip(trip, log_p_back=reconstruction, reward_lm=natural, reward=reward)
        sums = {f"{key}_{trip.there}": value for key, value in sums.items()}
        return Term(batches, partial(self._loss, model, trip, batches, reward, lengths, sums))

    def _loss(self, model, trip: RoundTrip, batches, reward, lengths, sums, outputs):
        log_prob_there = self._log_prob_there(model, trip, outputs[trip.there], batches[trip.there])
        log_prob_back = self._log_prob_back(model, trip, outputs[trip.back], batches[trip.back])
        advantage = reward - baseline(reward, str(self.cfg.reward_baseline))
        loss = policy_loss(log_prob_there, advantage) - (1 - self.cfg.reward_alpha) * (log_prob_back / lengths).mean(-1)
        return loss.sum(), sums

    def _log_prob_there(self, model, trip: RoundTrip, output, batch):
        """log of the probability with which each sample was drawn, differentiable; ``(n, K)``.

        The paper's beam search draws nothing: then, and where sampling is truncated, log P(w_k|z) stands for it.
        """
        model = self._model(model, trip.there)
        if trip.samples.log_q.isnan().any():
            values = self._score(model, output, batch, label_smoothing=0).log_prob
        else:
            # As fairseq's generator does it; an adaptive softmax is given features, and no logits, to divide.
            tempered = (output[0] / self.cfg.sample_temperature, *output[1:])
            lprobs = model.get_normalized_probs(tempered, log_probs=True)
            cut = trip.samples.cut.view(-1)[batch["id"]]
            values = sampled_log_prob(lprobs, batch["target"], self.padding_idx, self.task.target_dictionary.eos(), cut)
        return trip.by_sample(in_order(values.double(), batch))

    @staticmethod
    def _lengths(sentences, device):
        return torch.tensor([len(sentence) for sentence in sentences], dtype=torch.float64, device=device)

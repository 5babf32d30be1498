"""The marginal of the translation model, estimated by importance sampling, is drawn to that of the language model."""

from dataclasses import dataclass, field
from functools import partial

from fairseq.criterions import register_criterion
from fairseq.dataclass import ChoiceEnum

from ..errors import BadInput
from ..objectives import effective_sample_size, log_importance_weights, log_mean_exp
from ..ranges import WEIGHT, number
from ..sampling import RoundTrip
from .sampling_criterion import ProposalCriterionConfig, RoundTripCriterion, Term

COLLAPSED = 0.99
"""The share of the weight that one sample has where the samples count as collapsed to it."""


@dataclass
class MarginalRegularizedCrossEntropyCriterionConfig(ProposalCriterionConfig):
    marginal_lambda: float = number(
        0.01, WEIGHT, "weight λ of (log P̂(y) - the estimate of log P(y))², y monolingual"
    )
    proposal: ChoiceEnum(["model", "lm"]) = field(
        default="model",
        metadata={
            "help": "what samples are drawn from: the translation model of the other direction; or the language model, "
            "without regard to the sentence"
        },
    )


@register_criterion("marginal_regularized_cross_entropy", dataclass=MarginalRegularizedCrossEntropyCriterionConfig)
class MarginalRegularizedCrossEntropyCriterion(RoundTripCriterion):
    """CE of the parallel data + λ·[log P̂(y) - log (1/K) Σ_k P̂(x_k) P(y|x_k; θ) / q(x_k|y)]², y monolingual; and its mirror.

    The proposal q is the model of the other direction, constant: Wang et al. 2018, "Dual Transfer Learning for Neural
    Machine Translation with Marginal Distribution Regularization". With ``--proposal lm`` it is P̂(x), which gives
    (1/K) Σ_k P(y|x_k), of a variance that shows why the other is needed.
    """

    averages = {
        **RoundTripCriterion.averages,
        "log_marginal": "returns",
        "log_marginal_estimate": "returns",
        "marginal_loss": "returns",
        "effective_samples": "returns",
        "collapsed": "returns",
    }

    def __init__(self, cfg, task):
        super().__init__(cfg, task)
        self._require_language_models("the marginal P̂")
        self.sampler.require_ancestral("importance sampling takes samples of every sentence's true probability")
        if str(cfg.proposal) == "lm" and cfg.proposal_checkpoint:
            raise BadInput(f"--proposal-checkpoint {cfg.proposal_checkpoint}: has no meaning with --proposal lm")

    def _proposal(self, model, direction):
        if str(self.cfg.proposal) == "lm":
            return self.task.marginals.model(self.task.languages[direction][1]).model
        return super()._proposal(model, direction)

    def term(self, model, trip: RoundTrip) -> Term:
        batch = self._batch_back(trip)
        return Term({trip.back: batch}, partial(self._loss, model, trip, batch, *self._log_marginals(trip)))

    def _loss(self, model, trip: RoundTrip, batch: dict, log_p_sample, log_p_sentence, outputs):
        log_p_back = self._log_prob_back(model, trip, outputs[trip.back], batch)
        log_weights = log_importance_weights(log_p_back, log_p_sample, trip.samples.log_q)
        estimate = log_mean_exp(log_weights)
        penalty = (log_p_sentence.squeeze(-1) - estimate) ** 2
        weights = log_weights.detach().softmax(-1)
        sums = {
            "log_marginal": log_p_sentence.sum(),
            "log_marginal_estimate": estimate.detach().sum(),
            "marginal_loss": penalty.detach().sum(),
            "effective_samples": effective_sample_size(log_weights.detach()).sum(),
            "collapsed": (weights.max(-1).values > COLLAPSED).sum(),
            "returns": len(estimate),
        }
        self._save_trip(
            trip, log_p_back=log_p_back, log_p_sample=log_p_sample, log_p_sentence=log_p_sentence, estimate=estimate
        )
        return self.cfg.marginal_lambda * penalty.sum(), {f"{key}_{trip.back}": value for key, value in sums.items()}

"""The marginal of the translation model, estimated by importance sampling, is drawn to that of the language model."""

from dataclasses import dataclass, field
from functools import partial
from typing import Dict

from fairseq.dataclass import ChoiceEnum
from torch import nn

from ..directions import Direction
from ..errors import BadInput
from ..marginals import NeuralMarginal
from ..objectives import effective_sample_size, log_importance_weights, log_mean_exp
from ..ranges import WEIGHT, number
from ..sampling import RoundTrip
from .resources import Resources
from .round_trip import ProposalConfig, ProposalTerm
from .term import Outputs, Part, Step

COLLAPSED = 0.99
"""The share of the weight that one sample has where the samples count as collapsed to it."""


@dataclass
class MarginalRegularizationConfig(ProposalConfig):
    marginal_lambda: float = number(0.01, WEIGHT, "weight λ of (log P̂(y) - the estimate of log P(y))², y monolingual")
    proposal: ChoiceEnum(["model", "lm"]) = field(  # type: ignore[valid-type]
        default="model",
        metadata={
            "help": "what samples are drawn from: the translation model of the other direction; or the language model, "
            "without regard to the sentence"
        },
    )


class MarginalRegularization(ProposalTerm):
    """λ·[log P̂(y) - log (1/K) Σ_k P̂(x_k) P(y|x_k; θ) / q(x_k|y)]², y monolingual; and its mirror.

    The proposal q is the model of the other direction, constant: Wang et al. 2018, "Dual Transfer Learning for Neural
    Machine Translation with Marginal Distribution Regularization". With ``--proposal lm`` it is P̂(x), which gives
    (1/K) Σ_k P(y|x_k), of a variance that shows why the other is needed.
    """

    averages = {
        **ProposalTerm.averages,
        "log_marginal": "returns",
        "log_marginal_estimate": "returns",
        "marginal_loss": "returns",
        "effective_samples": "returns",
        "collapsed": "returns",
    }

    def __init__(self, cfg: MarginalRegularizationConfig, given: Resources):
        super().__init__(cfg, given)
        self.require_marginals("the marginal P̂")
        self.sampler.require_ancestral("importance sampling requires samples of every sentence's true probability")
        if str(cfg.proposal) == "lm" and cfg.proposal_checkpoint:
            raise BadInput(f"--proposal-checkpoint {cfg.proposal_checkpoint}: has no meaning with --proposal lm")
        self._language_models: Dict[str, NeuralMarginal] = {}
        for language, marginal in given.marginals.items() if str(cfg.proposal) == "lm" else ():
            if not isinstance(marginal, NeuralMarginal):
                raise BadInput(
                    f"{marginal.name}: cannot be sampled from; --proposal lm requires fairseq's language models"
                )
            self._language_models[language] = marginal

    def proposal(self, step: Step, direction: Direction) -> nn.Module:
        if str(self.cfg.proposal) == "lm":
            return self._language_models[direction.target].model
        return super().proposal(step, direction)

    def part(self, step: Step, trip: RoundTrip) -> Part:
        batch = self.batch_back(trip)
        return Part({trip.back: batch}, partial(self._loss, step, trip, batch, *self.log_marginals(trip)))

    def _loss(self, step: Step, trip: RoundTrip, batch: dict, log_p_sample, log_p_sentence, outputs: Outputs):
        log_p_back = self.log_prob_back(trip, outputs, batch)
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
        columns = {"log_p_sample": log_p_sample, "log_p_sentence": log_p_sentence, "estimate": estimate}
        self.save_trip(trip, log_p_back=log_p_back, **columns)
        return self.cfg.marginal_lambda * penalty.sum(), {f"{key}_{trip.back}": value for key, value in sums.items()}

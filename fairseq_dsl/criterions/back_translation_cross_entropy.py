"""Back-translation, on the fly, as a bound on log P(y)."""

from dataclasses import dataclass
from functools import partial

from fairseq.criterions import register_criterion

from ..objectives import log_importance_weights
from ..ranges import number
from ..sampling import SAMPLES, RoundTrip, in_order
from .sampling_criterion import ProposalCriterionConfig, RoundTripCriterion, Term


@dataclass
class BackTranslationCrossEntropyCriterionConfig(ProposalCriterionConfig):
    num_samples: int = number(1, SAMPLES, "sampled translations K of each sentence")


@register_criterion("back_translation_cross_entropy", dataclass=BackTranslationCrossEntropyCriterionConfig)
class BackTranslationCrossEntropyCriterion(RoundTripCriterion):
    """CE of the parallel data - (1/K) Σ_k log P(y|x_k; θ) of monolingual y, with x_k ~ P(·|y; θ') constant; and its mirror.

    Sennrich et al. 2016, "Improving Neural Machine Translation Models with Monolingual Data". With language models it
    logs what this is a part of (Jensen): log P(y) >= E_q[log P(y|x) + log P̂(x) - log q(x|y)], whose last two terms are
    -KL(q || P̂) and have no gradient in θ.
    """

    averages = {
        **RoundTripCriterion.averages,
        "round_trip_nll": "returns",
        "bound": "bounded",
        "bound_kl": "bounded",
        "bound_gap": "bounded",
    }

    def term(self, model, trip: RoundTrip) -> Term:
        batch = self._batch_back(trip)
        log_marginals = None if self.task.marginals is None else self._log_marginals(trip)
        return Term({trip.back: batch}, partial(self._loss, model, trip, batch, log_marginals))

    def _loss(self, model, trip: RoundTrip, batch: dict, log_marginals, outputs):
        score = self._score(self._model(model, trip.back), outputs[trip.back], batch)
        loss = trip.by_sample(in_order(score.loss, batch)).mean(-1).sum()
        log_p = trip.by_sample(in_order(score.log_prob.detach(), batch).double())
        sums = {f"round_trip_nll_{trip.back}": -log_p.mean(-1).sum(), f"returns_{trip.back}": len(log_p)}
        columns = {}
        if log_marginals is not None:
            log_p_sample, log_p_sentence = log_marginals
            columns = {"log_p_sample": log_p_sample, "log_p_sentence": log_p_sentence}
            bound = log_importance_weights(log_p, log_p_sample, trip.samples.log_q).mean(-1)
            known = bound.isfinite()  # nan for beam search and truncated sampling
            sums[f"bounded_{trip.back}"] = known.sum()
            sums[f"bound_{trip.back}"] = bound[known].sum()
            sums[f"bound_kl_{trip.back}"] = (trip.samples.log_q - log_p_sample).mean(-1)[known].sum()
            sums[f"bound_gap_{trip.back}"] = (log_p_sentence.squeeze(-1) - bound)[known].sum()
        self._save_trip(trip, log_p_back=log_p, **columns)
        return loss, sums

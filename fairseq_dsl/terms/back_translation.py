"""Back-translation, on the fly, as a bound on log P(y)."""

from dataclasses import dataclass
from functools import partial

from ..objectives import log_importance_weights
from ..ranges import number
from ..sampling import SAMPLES, RoundTrip, in_order
from .resources import Resources
from .round_trip import ProposalConfig, ProposalTerm
from .term import Outputs, Part, Step


@dataclass
class BackTranslationConfig(ProposalConfig):
    num_samples: int = number(1, SAMPLES, "sampled translations K of each sentence")


class BackTranslation(ProposalTerm):
    """-(1/K) Σ_k log P(y|x_k; θ) of monolingual y, with x_k ~ P(·|y; θ') constant; and its mirror.

    Sennrich et al. 2016, "Improving Neural Machine Translation Models with Monolingual Data". With language models it
    logs what this is a part of (Jensen): log P(y) >= E_q[log P(y|x) + log P̂(x) - log q(x|y)], whose last two terms are
    -KL(q || P̂) and have no gradient in θ.
    """

    averages = {
        **ProposalTerm.averages,
        "round_trip_nll": "returns",
        "bound": "bounded",
        "bound_kl": "bounded",
        "bound_gap": "bounded",
    }

    def __init__(self, cfg: BackTranslationConfig, given: Resources):
        super().__init__(cfg, given)
        if given.marginals:
            self.require_marginals("the bound")

    def part(self, step: Step, trip: RoundTrip) -> Part:
        batch = self.batch_back(trip)
        log_marginals = self.log_marginals(trip) if self.given.marginals else None
        return Part({trip.back: batch}, partial(self._loss, step, trip, batch, log_marginals))

    def _loss(self, step: Step, trip: RoundTrip, batch: dict, log_marginals, outputs: Outputs):
        score = outputs.score(trip.back, batch, self.cfg.label_smoothing)
        loss = trip.by_sample(in_order(score.loss, batch)).mean(-1).sum()
        log_p = trip.by_sample(in_order(score.log_prob.detach(), batch).double())
        sums = {"round_trip_nll": -log_p.mean(-1).sum(), "returns": len(log_p)}
        columns = {}
        if log_marginals is not None:
            log_p_sample, log_p_sentence = log_marginals
            columns = {"log_p_sample": log_p_sample, "log_p_sentence": log_p_sentence}
            bound = log_importance_weights(log_p, log_p_sample, trip.samples.log_q).mean(-1)
            known = bound.isfinite()  # nan for beam search and truncated sampling
            sums["bounded"] = known.sum()
            sums["bound"] = bound[known].sum()
            sums["bound_kl"] = (trip.samples.log_q - log_p_sample).mean(-1)[known].sum()
            sums["bound_gap"] = (log_p_sentence.squeeze(-1) - bound)[known].sum()
        self.save_trip(trip, log_p_back=log_p, **columns)
        return loss, {f"{key}_{trip.back}": value for key, value in sums.items()}

"""A test set's score at any weights of dual inference."""

import itertools

import numpy as np
import torch

from fairseq_dsl.objectives import dual_inference_score


class Reranking:
    """Orders lists of hypotheses as `DualGenerator` does, and scores the first ones.

    What each hypothesis adds to the score of a test set is computed once.

    Args:
        lists: `ScoreLists`.
        references: a line for each sentence.
        metric: a sacrebleu metric whose corpus score follows from sums over sentences: BLEU or chrF.
    """

    def __init__(self, lists, references, metric):
        self.lists = lists
        self.metric = metric
        self._start = np.cumsum([0, *map(len, lists.texts[:-1])])  # of each list, among all hypotheses
        repeated = [line for line, texts in zip(references, lists.texts) for _ in texts]
        self._statistics = np.array(metric._extract_corpus_statistics([*itertools.chain(*lists.texts)], [repeated]))

    def chosen(self, reverse_weight, lm_weight):
        """The place in its list of the hypothesis that comes first, ``(sentences,)``."""
        lists = self.lists
        forward_order = np.zeros(len(lists.texts), dtype=int)
        if not reverse_weight:
            return forward_order
        marginal = lists.lm if lm_weight else np.zeros_like(lists.lm)
        arrays = (lists.forward, lists.reverse, marginal, lists.lengths, lists.source_lengths)
        scores = dual_inference_score(*map(torch.from_numpy, arrays), reverse_weight, lm_weight).numpy()
        known = lists.listed & np.isfinite(scores)
        best = np.where(known, scores, -np.inf).argmax(axis=1)  # the first of equal ones
        return np.where(known[:, 0], best, forward_order)

    def score(self, reverse_weight, lm_weight):
        rows = self._start + self.chosen(reverse_weight, lm_weight)
        return self.metric._compute_score_from_stats(self._statistics[rows].sum(0)).score

    def translations(self, reverse_weight, lm_weight):
        return [texts[k] for texts, k in zip(self.lists.texts, self.chosen(reverse_weight, lm_weight))]

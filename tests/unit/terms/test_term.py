"""What terms are made of: outputs that they share, and sums that they log."""

import numpy as np
import pytest
from drawn import is_given
from fairseq.logging import metrics
from toys import EOS, SENTENCES, learns_by, log_p, log_p_lm, sample_of, weighted


def test_averages_are_by_sentence_or_sample(toy_pair):
    made = toy_pair()
    criterion = learns_by(made, "dual_learning", num_samples=2, reward_alpha=0.3)
    weighted(criterion, "0.25")
    is_given(criterion, [[(4, 5, EOS), (4, EOS)], [(6, EOS), (5, EOS)]])
    de = SENTENCES["de"][:2]
    first = criterion(made.model, sample_of(made, de=de))[2]
    is_given(criterion, [[(4, 5, EOS), (4, 6, EOS)]])
    second = criterion(made.model, sample_of(made, de=de[1:]))[2]
    with metrics.aggregate(new_root=True) as meters:
        type(criterion).reduce_metrics([first, second, criterion(made.model, sample_of(made))[2]])
    found = meters.get_smoothed_values()
    rewards, naturals, reconstructions = [], [], []
    for z, drawn in zip(
        (de[0], de[1], de[1]), ([(4, 5, EOS), (4, EOS)], [(6, EOS), (5, EOS)], [(4, 5, EOS), (4, 6, EOS)])
    ):
        for w in drawn:
            naturals.append(log_p_lm(made, "en", w))
            reconstructions.append(log_p(made, "en-de", w, z).item())
            rewards.append(0.3 * naturals[-1] + 0.7 * reconstructions[-1])
    wanted = {
        "samples_cut": 3 / 6, "length_ratio": 9 / (2 * (3 + 2 + 2)), "mono_weight": 0.25, "reward": np.mean(rewards),
        "reward_lm": np.mean(naturals), "reward_reconstruction": np.mean(reconstructions),
    }  # fmt: skip
    for key, value in wanted.items():
        assert found[f"{key}_de-en"] == pytest.approx(value, abs=6e-4), key
        assert f"{key}_en-de" not in found  # there was none: which is not 0

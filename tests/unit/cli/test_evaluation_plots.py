"""What the plots of an evaluation show."""

import pytest
from saved import EVALUATION

from fairseq_dsl_cli.reporting import evaluation_plots

WARM = {"score": 19.0, "mean": 19.0, "ci": 1.0, "p_value": 0.1}


def evaluated(**more):
    """The evaluation of a control, DSL and a warm start."""
    systems = {**EVALUATION["directions"]["de-en"]["BLEU"]["systems"], "warm start": WARM}
    return {**EVALUATION, "directions": {"de-en": {"BLEU": {"systems": systems}}}, **more}


def test_bars_of_bleu_start_at_0_and_show_their_interval(axes):
    evaluation_plots.plot_bleu(evaluated(), "warm start", "x.png")
    panel = axes()[0]
    assert [bar.get_height() for bar in panel.patches] == [20.0, 21.25]
    assert panel.get_ylim()[0] == 0 and panel.get_ylim()[1] > 22.45
    intervals = [segment[:, 1].tolist() for segment in panel.collections[0].get_segments()]
    assert intervals == [pytest.approx([18.6, 21.6]), pytest.approx([19.95, 22.45])]


def test_the_warm_start_is_a_line_if_there_is_one(axes):
    evaluation_plots.plot_bleu(evaluated(), "warm start", "x.png")
    dashed = [line for line in axes()[0].lines if line.get_linestyle() == "--"]
    assert [line.get_ydata()[0] for line in dashed] == [19.0]
    evaluation_plots.plot_bleu(EVALUATION, "warm start", "x.png")
    assert not [line for line in axes()[0].lines if line.get_linestyle() == "--"]


def test_a_warm_start_alone_has_a_bar(axes):
    evaluation_plots.plot_bleu(
        {**EVALUATION, "directions": {"de-en": {"BLEU": {"systems": {"w": WARM}}}}}, "w", "x.png"
    )
    assert [bar.get_height() for bar in axes()[0].patches] == [19.0]


def test_bleu_near_0_does_not_fill_the_page(axes):
    systems = {"control": {"score": 0.1, "mean": 0.1, "ci": 0.05}, "dsl": {"score": 0.5, "mean": 0.5, "ci": 0.1}}
    evaluation_plots.plot_bleu({**EVALUATION, "directions": {"de-en": {"BLEU": {"systems": systems}}}}, "", "x.png")
    assert axes()[0].get_ylim() == (0, 5)


def test_histograms_of_gaps_have_the_same_bins_and_hold_all_pairs(axes):
    gaps = {"control": [-1.0] * 99 + [500.0], "dsl": [0.5, -0.5], "warm start": [3.0, -4.0], "plain": []}
    evaluation_plots.plot_gaps(evaluated(gaps=gaps), "warm start", "x.png")
    panel = axes()[0]
    labels = [text.get_text() for text in panel.get_legend().get_texts()]
    assert labels == ["warm start: mean |gap| 3.5", "control: mean |gap| 6.0", "dsl: mean |gap| 0.5"]
    edges = {(patch.get_xy()[:, 0].min(), patch.get_xy()[:, 0].max()) for patch in panel.patches}
    assert len(edges) == 1
    assert max(patch.get_xy()[:, 1].max() for patch in panel.patches) == pytest.approx(99)  # percent


def test_draws_what_there_is(tmp_path):
    titles = [title for title, _ in evaluation_plots.draw_all(EVALUATION, "warm start", tmp_path)]
    assert titles == ["BLEU of the test set"]  # of version 0.3: no gap of each pair
    gaps = {"control": [1.0, 2.0], "warm start": [3.0]}
    pictures = evaluation_plots.draw_all(evaluated(gaps=gaps), "warm start", tmp_path)
    assert [title for title, _ in pictures][1:] == ["Duality gaps of the test pairs, before and after training"]
    for _, name in pictures:
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
    assert evaluation_plots.draw_all(evaluated(gaps=gaps), "other", tmp_path)[1][0].endswith("pairs, after training")

"""Fixtures of the tests of the commands."""

import pytest


@pytest.fixture
def axes(monkeypatch):
    """The axes of the figures that are saved, kept instead."""
    from fairseq_dsl_cli.reporting import comparison_plots, evaluation_plots, plots  # takes a second

    figures = []
    for module in (comparison_plots, evaluation_plots):
        monkeypatch.setattr(module, "save", lambda figure, path: figures.append(figure))
    yield lambda: figures[-1].axes
    for figure in figures:
        plots.plt.close(figure)

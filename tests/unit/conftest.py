"""Fixtures of the unit tests; `tiny` makes what they hold."""

import pytest
import tiny
import torch


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A data folder whose two sides differ in vocabulary, and whose sentences sort differently by length."""
    folder = tmp_path_factory.mktemp("data")
    tiny.write_data(folder, tiny.PAIRS)
    return str(folder)


@pytest.fixture(scope="session")
def joined(tmp_path_factory):
    """The same with one dictionary for both languages."""
    folder = tmp_path_factory.mktemp("joined")
    words = [word for pair in tiny.PAIRS for side in pair for word in side]
    tiny.write_data(folder, tiny.PAIRS, {"de": tiny.dictionary(words), "en": tiny.dictionary(words)})
    return str(folder)

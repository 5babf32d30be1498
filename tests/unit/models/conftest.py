"""Checkpoints that a pair is started from."""

import pytest
import tiny


@pytest.fixture(scope="session")
def starts(data, tmp_path_factory):
    """A checkpoint and its model by direction, of two architectures."""
    folder = tmp_path_factory.mktemp("starts")
    directions = (("de", "en", "transformer"), ("en", "de", "lstm"))
    return {
        f"{source}-{target}": tiny.translation_model(data, folder / f"{source}-{target}.pt", arch, source, target)
        for source, target, arch in directions
    }

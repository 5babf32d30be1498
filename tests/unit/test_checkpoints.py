"""Writing checkpoints."""

import os

import pytest
import torch

from fairseq_dsl.checkpoints import write_checkpoint


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = str(tmp_path / "out.pt")
    write_checkpoint({"a": 1}, path)
    with pytest.raises(Exception):  # noqa: B017  (of torch or pickle, by version)
        write_checkpoint({"a": 2, "b": lambda: None}, path)
    assert torch.load(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["out.pt"]

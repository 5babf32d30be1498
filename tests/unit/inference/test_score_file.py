"""The lines of ``--dump-scores``."""

import json
import math

import pytest
import tiny
import torch

from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import Hypotheses, ScoreFile


def scored(number, source_marginal=math.nan):
    tokens = [torch.tensor([5, 6, 2]), torch.tensor([7, 2])]
    found = [{"tokens": one, "positional_scores": torch.full((len(one),), -1.0)} for one in tokens]
    one = Hypotheses.of(number, torch.tensor([4, 4, 4, 2]), found)
    one.reverse[:] = torch.tensor([-7.0, -8.0])
    one.marginal[0] = -9.0
    one.source_marginal = source_marginal
    return one


def test_a_line_has_what_is_known_of_a_sentence(tmp_path):
    path = tmp_path / "scores.jsonl"
    file = ScoreFile(str(path), tiny.DE_EN, lambda tokens: "-".join(map(str, tokens.tolist())))
    file.write([scored(3)])
    file.write([scored(0, source_marginal=-20.0)])
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {
        "direction": "de-en",
        "target_lang": "en",
        "id": 3,
        "source_length": 4,
        "hypotheses": [
            {"text": "5-6-2", "length": 3, "forward": -3.0, "reverse": -7.0, "lm": -9.0},
            {"text": "7-2", "length": 2, "forward": -2.0, "reverse": -8.0, "lm": None},
        ],
    }
    # log P(x) + log P(y|x) - log P(y) - log P(x|y)
    assert [h["gap"] for h in second["hypotheses"]] == [-20 - 3 + 9 + 7, None]


def test_sentences_without_numbers_are_refused(tmp_path):
    file = ScoreFile(str(tmp_path / "scores.jsonl"), tiny.DE_EN, str)
    with pytest.raises(BadInput, match="--dump-scores .*: expected fairseq-generate"):
        file.write([scored(None)])


def test_a_folder_that_cannot_be_written_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="--dump-scores .*cannot be written"):
        ScoreFile(str(tmp_path / "file" / "scores.jsonl"), tiny.DE_EN, str)

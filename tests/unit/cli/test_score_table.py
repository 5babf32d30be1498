"""The file of scores: written in parts, and read again."""

import errno
import io
import json
import math

import pytest

from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import PairScore
from fairseq_dsl_cli.scoring import score_table
from fairseq_dsl_cli.scoring.score_table import ScoreTable

INPUTS = {"source": "a", "target": "b", "path": "c"}


def pair(number, reason=""):
    scores = [math.nan] * 7 if reason else [-1.5 * number, -2.0, -3.0, -4.0, 0.5, 1.25, 1 / 3]
    return PairScore(number, 2, *scores, unknown=0, reason=reason)


PAIRS = [pair(1), pair(2, "empty source"), pair(3), pair(4), pair(5)]


@pytest.fixture(params=["scores.tsv", "scores.jsonl"])
def table(request, tmp_path):
    return ScoreTable(str(tmp_path / "new" / request.param))


def write(table, pairs, inputs=INPUTS):
    with table.appending(inputs) as (append, done):
        append(pairs[done:])
    return done


def test_what_is_written_is_read_again(table):
    assert write(table, PAIRS) == 0
    values = list(table.values())
    assert [line["source_length"] for line in values] == [1, 2, 3, 4, 5]
    assert [line["forward"] for line in values if line["forward"] == line["forward"]] == [-1.5, -4.5, -6.0, -7.5]
    assert values[0]["score"] == pytest.approx(1 / 3, abs=1e-8) and math.isnan(values[1]["score"])


def test_every_line_of_json_is_valid_json(tmp_path):
    table = ScoreTable(str(tmp_path / "scores.jsonl"))
    write(table, PAIRS)
    lines = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert lines[1]["score"] is None and lines[1]["reason"] == "empty source" and lines[0]["gap"] == 0.5


def test_a_file_that_was_cut_anywhere_goes_on_to_the_same(table):
    write(table, PAIRS)
    with open(table.path, "rb") as file:
        whole = file.read()
    for size in range(len(whole) + 1):
        with open(table.path, "wb") as file:
            file.write(whole[:size])
        done = write(table, PAIRS)
        header = 1 if table.format.header else 0
        assert done == max(0, whole[:size].count(b"\n") - header)
        with open(table.path, "rb") as file:
            assert file.read() == whole


def test_scores_of_other_inputs_are_not_gone_on_with(table):
    write(table, PAIRS[:2])
    with pytest.raises(BadInput, match="--output .*the scores of another run, with another target and path; expected"):
        write(table, PAIRS, {**INPUTS, "target": "z", "path": "y"})
    with pytest.raises(BadInput, match="with another source_lm;"):
        write(table, PAIRS, {**INPUTS, "source_lm": "z"})
    assert write(table, PAIRS) == 2


def test_a_file_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "scores.tsv").write_text("precious\n")
    with pytest.raises(BadInput, match="is no file of fairseq-dsl score"):
        write(ScoreTable(str(tmp_path / "scores.tsv")), PAIRS)
    assert (tmp_path / "scores.tsv").read_text() == "precious\n"


def test_a_second_process_is_refused_and_changes_nothing(table):
    with table.appending(INPUTS) as (append, _):
        with pytest.raises(BadInput, match="another process writes it"):
            write(table, PAIRS, {**INPUTS, "source": "z"})
        append(PAIRS[:2])
    assert write(table, PAIRS) == 2  # of the first one's inputs
    with pytest.raises(BadInput, match="with another source;"):
        write(table, PAIRS, {**INPUTS, "source": "z"})


def test_scores_of_other_columns_or_another_version_are_not_gone_on_with(tmp_path, monkeypatch):
    table = ScoreTable(str(tmp_path / "scores.tsv"))
    write(table, PAIRS[:2])
    whole = (tmp_path / "scores.tsv").read_text()
    (tmp_path / "scores.tsv").write_text(whole.replace("forward\treverse", "reverse\tforward", 1))
    with pytest.raises(BadInput, match="--output .*: has other columns"):
        write(table, PAIRS)
    (tmp_path / "scores.tsv").write_text(whole)
    monkeypatch.setattr(score_table, "VERSION", 2)
    with pytest.raises(BadInput, match="with another version;"):
        write(table, PAIRS)


class Full(io.BytesIO):
    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    (tmp_path / "scores.jsonl").touch()
    table = ScoreTable(str(tmp_path / "scores.jsonl"))
    monkeypatch.setattr(score_table, "open", lambda *_: Full(), raising=False)
    monkeypatch.setattr(score_table.fcntl, "flock", lambda *_: None)
    with pytest.raises(OSError, match="scores.jsonl"):
        write(table, PAIRS)


@pytest.mark.parametrize("change", [("source_length", 0), ("forward", "-inf"), ("unknown", -1), ("gap", "x")])
def test_a_number_that_cannot_be_is_named(change, tmp_path):
    table = ScoreTable(str(tmp_path / "scores.tsv"))
    write(table, PAIRS)
    header, first, *rest = (tmp_path / "scores.tsv").read_text().splitlines()
    values = {**dict(zip(header.split("\t"), first.split("\t"))), change[0]: str(change[1])}
    (tmp_path / "scores.tsv").write_text("\n".join([header, "\t".join(values.values()), *rest, ""]))
    with pytest.raises(BadInput, match="scores.tsv:2: expected a line of fairseq-dsl score"):
        list(table.values())


def test_a_damaged_line_is_named(table):
    write(table, PAIRS)
    with open(table.path, "a") as file:
        file.write("1\t2")
    number = 7 if table.format.header else 6
    with pytest.raises(BadInput, match=f":{number}: expected a line of fairseq-dsl score .a line that was cut"):
        list(table.values())
    with open(table.path, "a") as file:
        file.write("\n")
    with pytest.raises(BadInput, match=f":{number}: expected a line of fairseq-dsl score"):
        list(table.values())

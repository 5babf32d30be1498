"""fairseq-dsl filter: which lines it keeps, and what it refuses."""

import math

import pytest

from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import PairScore
from fairseq_dsl_cli.main import run
from fairseq_dsl_cli.scoring import corpus
from fairseq_dsl_cli.scoring.score_table import ScoreTable

# By line: forward, gap and score. The second is empty.
LINES = [(-2.0, 9.0, 0.5), None, (-8.0, -1.0, 0.9), (-2.0, -5.0, 0.2), (-4.0, 2.0, 0.5)]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A corpus whose third line ends in a carriage return and whose last has no end, and its scores."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").write_bytes("eins\n\ndrei\r\nvier\nfünf".encode())
    (tmp_path / "y").write_bytes(b"one\ntwo\nthree\r\nfour\nfive\n")
    pairs = []
    for line in LINES:
        forward, gap, score = line or [math.nan] * 3
        scores = forward, -1.0, math.nan, math.nan, gap, -math.log(score), score
        pairs.append(PairScore(2, 2, *scores, unknown=0, reason="" if line else "empty source"))
    source, target = corpus.parallel("x", "y")
    with ScoreTable("scores.tsv").appending({"source": source.digest, "target": target.digest}) as (write, _):
        write(pairs)
    return tmp_path


def words(*more, scores="scores.tsv", source="x", target="y"):
    return ["filter", scores, "--source", source, "--target", target, "--output", "out/x", "out/y", *more]


@pytest.mark.parametrize(
    ("flags", "kept"),
    [
        (["--keep", "0.4"], [0, 2]),  # of equal scores, the first
        (["--keep", "0.6"], [0, 2, 4]),
        (["--keep", "1"], [0, 2, 3, 4]),
        (["--threshold", "0.5"], [0, 2, 4]),
        (["--threshold", "0.7", "--by", "cross_entropy"], [0, 2, 4]),
        (["--threshold", "5", "--by", "gap"], [2, 3, 4]),
        (["--threshold", "-1", "--by", "forward"], [0, 3]),  # per token
    ],
)
def test_keeps_the_best_lines_as_they_are(flags, kept, files, capsys):
    assert not run(words(*flags))
    for name in ("x", "y"):
        lines = (files / name).read_bytes().split(b"\n")
        assert (files / "out" / name).read_bytes() == b"".join(lines[row] + b"\n" for row in kept)
    assert f"{len(kept)} of 5 pairs" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--threshold", "0.95"], "--threshold 0.95: keeps nothing: expected score of at least that, found 0.2 to 0.9"),
        (["--threshold", "0.5", "--by", "gap"], "expected gap of at most that, found 1 to 9"),
        (["--keep", "0.01"], "--keep: keeps none of 5 lines; expected a larger share"),
        (["--keep", "0.5", "--by", "source_lm"], "--by source_lm: none of the 5 lines has this score"),
    ],
)
def test_a_choice_that_keeps_nothing_is_refused(flags, message, files):
    with pytest.raises(BadInput, match=message):
        run(words(*flags))
    assert not (files / "out").exists()


def test_scores_of_other_texts_are_refused(files):
    (files / "z").write_text("one\ntwo\nthree\nfour\nsix\n")
    with pytest.raises(BadInput, match="--target z: expected the target that scores.tsv was made from"):
        run(words("--keep", "0.5", target="z"))


def test_scores_of_a_run_that_was_interrupted_are_refused(files):
    lines = (files / "scores.tsv").read_text().splitlines(keepends=True)
    (files / "scores.tsv").write_text("".join(lines[:3]))
    with pytest.raises(BadInput, match="expected a line for each of 5 pairs, found 2; start fairseq-dsl score again"):
        run(words("--keep", "0.5"))
    (files / "scores.tsv").write_text("".join(lines + lines[-1:]))
    with pytest.raises(BadInput, match="expected a line for each of 5 pairs, found 6$"):
        run(words("--keep", "0.5"))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--keep", "0"], "expected a number above 0, up to 1"),
        (["--keep", "nan"], "expected a number, found 'nan'"),
        (["--threshold", "x"], "expected a number, found 'x'"),
        (["--keep", "0.5", "--threshold", "1"], "not allowed with"),
        ([], "one of the arguments --keep --threshold is required"),
        (["--keep", "0.5", "--output", "x", "c"], "expected another file to write than the input"),
        (["--keep", "0.5", "--output", "scores.tsv.inputs.json", "c"], "expected another file to write than the input"),
        (["--keep", "0.5", "--output", "c", "c"], "found the same twice"),
    ],
)
def test_words_that_make_no_sense_are_refused(flags, message, files, capsys):
    with pytest.raises(SystemExit):
        run(words(*flags))
    assert message in capsys.readouterr().err

"""What dual inference is worth at several weights, in a table."""

import subprocess
import sys
from pathlib import Path

import pytest
import score_lines
from sacrebleu.metrics import BLEU

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "experiments" / "weights.py"


def run(*words):
    return subprocess.run([sys.executable, SCRIPT, *map(str, words)], capture_output=True, text=True)


@pytest.fixture
def reference(tmp_path):
    (tmp_path / "text").write_text("".join(f"{line}\n" for line in score_lines.REFERENCES))
    return tmp_path / "text"


def test_gains_are_those_of_the_hypotheses_that_come_first(tmp_path, reference):
    lines = score_lines.drawn()
    scores = score_lines.save(tmp_path / "scores.jsonl", lines)
    done = run(f"{scores}={reference}")
    assert done.returncode == 0, done.stderr
    header, _, cells = ([cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines())
    found = dict(zip(header, cells))

    def bleu(a, b):
        first = []
        for line in lines:
            hypotheses = line["hypotheses"]
            if hypotheses[0]["reverse"] is not None:
                order = [
                    (1 - a) * one["forward"] / one["length"]
                    + a * (one["reverse"] / line["source_length"] + b * one["lm"] / one["length"])
                    for one in hypotheses
                ]
                hypotheses = [hypotheses[order.index(max(order))]]
            first.append(hypotheses[0]["text"])
        return BLEU().corpus_score(first, [score_lines.REFERENCES]).score

    assert (found[""], found["direction"], found["sentences"]) == (scores, "de-en", "40")
    assert float(found["A = 0"]) == pytest.approx(bleu(0, 0), abs=0.006)
    shown = [name for name in header if name.startswith("A = 0.5")]
    assert "A = 0.5, B = 0.5" in shown and len(shown) == 5
    for name in shown:
        assert float(found[name]) == pytest.approx(bleu(0.5, float(name.rpartition("= ")[2])) - bleu(0, 0), abs=0.011)
    a, b = map(float, found["its A, B"].split(", "))
    assert float(found["best"]) == pytest.approx(bleu(a, b) - bleu(0, 0), abs=0.011)


@pytest.mark.parametrize("lm, words, message", [
    (False, "{0}={1}", "scores.jsonl: no scores of a language model"),
    (True, "{0}", "expected a file, found ''"),
    (True, "{0}={1}x", "textx', which does not exist"),
])  # fmt: skip
def test_bad_input_is_one_line(lm, words, message, tmp_path, reference):
    scores = score_lines.save(tmp_path / "scores.jsonl", score_lines.drawn(lm))
    done = run(words.format(scores, reference))
    assert done.returncode != 0 and message in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr

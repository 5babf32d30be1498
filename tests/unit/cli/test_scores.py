"""The numbers of an evaluation, computed and shown."""

import json

import pytest
from saved import EVALUATION

from fairseq_dsl_cli.evaluation import scores


class TestCompare:
    REFERENCES = [f"the {word} of number {n} is here today" for n in range(40) for word in ("cat", "dog", "bird")]

    def test_finds_the_better_system(self):
        worse = [line.replace("today", "now") if n % 2 else line for n, line in enumerate(self.REFERENCES)]
        result = scores.compare([("control", worse), ("dsl", self.REFERENCES)], self.REFERENCES, "13a", 200)
        bleu = result["BLEU"]["systems"]
        assert bleu["dsl"]["score"] == pytest.approx(100)
        assert bleu["control"]["score"] < 95
        assert bleu["dsl"]["p_value"] < 0.05
        assert bleu["control"]["p_value"] is None
        assert json.loads(json.dumps(result)) == result
        assert "tok:13a" in result["BLEU"]["signature"]
        assert "bs:200" in result["BLEU"]["signature"]
        assert result["chrF2"]["systems"]["dsl"]["score"] == pytest.approx(100)

    def test_holds_each_of_several_systems_against_the_control(self):
        control = [line.replace("today", "now") if n % 2 else line for n, line in enumerate(self.REFERENCES)]
        worse = [line.replace("is", "was") for line in control]
        systems = [("control", control), ("dsl", self.REFERENCES), ("same", list(control)), ("worse", worse)]
        bleu = scores.compare(systems, self.REFERENCES, "13a", 200)["BLEU"]["systems"]
        assert list(bleu) == ["control", "dsl", "same", "worse"]
        assert bleu["dsl"]["p_value"] < 0.05 and bleu["worse"]["p_value"] < 0.05
        assert bleu["same"]["p_value"] == 1
        assert bleu["worse"]["score"] < bleu["control"]["score"] == bleu["same"]["score"] < bleu["dsl"]["score"]

    def test_says_that_equal_systems_do_not_differ(self):
        noisy = [line.replace("is", "was") if n % 3 else line for n, line in enumerate(self.REFERENCES)]
        result = scores.compare([("control", noisy), ("same", list(noisy))], self.REFERENCES, "13a", 200)
        assert result["BLEU"]["systems"]["same"]["p_value"] == 1
        assert result["chrF2"]["systems"]["same"]["p_value"] == 1


class TestTokenizers:
    def test_follow_the_language_unless_chosen(self):
        languages = ("de", "zh_Hans")
        assert scores.tokenizers("--tokenize", None, languages) == ({"de": "13a", "zh_Hans": "zh"}, [])
        assert scores.tokenizers("--tokenize", "zh_Hans=intl", languages) == ({"de": "13a", "zh_Hans": "intl"}, [])

    def test_that_nobody_chose_come_with_their_alternative(self):
        found, notes = scores.tokenizers("--tokenize", "en=intl", ("ko", "en"))
        assert found == {"ko": "13a", "en": "intl"}
        assert len(notes) == 1 and notes[0].startswith("BLEU of ko by the tokenizer 13a: --tokenize ko=ko-mecab ")


def test_an_evaluation_as_text():
    lines = scores.table(EVALUATION).split("\n")
    assert lines[0] == "de-en, 3 sentences of test"
    assert lines[3].split() == ["dsl", "21.25", "21.20", "±", "1.25", "+1.25", "(p", "=", "0.013)"]
    assert lines[2].split() == ["control", "20.00", "20.10", "±", "1.50"]
    assert "  BLEU: nrefs:1|tok:13a" in lines
    assert lines[-1].split() == ["control", "5.00", "-1.00", "46.00"]


def test_notes_stand_under_the_scores():
    assert "a note\n" in scores.table({**EVALUATION, "notes": ["a note"]})

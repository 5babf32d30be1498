"""Reading what fairseq-generate --dump-scores wrote, and refusing what it did not write."""

import json

import numpy as np
import pytest
from score_lines import drawn, hypothesis, line, save

from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli.tuning import score_lists


@pytest.fixture
def read(tmp_path):
    def read(*files, count=None):
        paths = [save(tmp_path / f"{n}.jsonl", lines) for n, lines in enumerate(files)]
        return score_lists.read(paths, "ref.en", sum(map(len, files)) if count is None else count)

    return read


GOOD = [line(n, [hypothesis("a b", -1.0, -2.0, -3.0), hypothesis("a", -4.0, -5.0, -6.0)]) for n in range(3)]


def test_sentences_stand_in_order_whatever_shard_they_are_in(read):
    first, second, third = (line(n, [hypothesis(f"t{n}", -n)]) for n in range(3))
    lists = read([third, first], [second])
    assert lists.direction == "de-en"
    assert lists.texts == [["t0"], ["t1"], ["t2"]]
    assert lists.forward.tolist() == [[0], [-1], [-2]]


def test_what_is_not_known_and_beyond_a_lists_end_is_nan(read):
    one, two = [hypothesis("a b", -1, -2)], [hypothesis("a", -3), hypothesis("", -4)]
    lists = read([line(0, one, source_length=9), line(1, two)])
    nan = np.nan
    np.testing.assert_equal(lists.forward, [[-1, nan], [-3, -4]])
    np.testing.assert_equal(lists.reverse, [[-2, nan], [nan, nan]])
    np.testing.assert_equal(lists.lengths, [[3, 1], [2, 1]])
    assert lists.source_lengths.tolist() == [[9], [4]]
    assert lists.listed.tolist() == [[True, False], [True, True]]
    assert not lists.has_lm
    assert lists.unscored == 1


def test_a_language_model_is_known_by_its_scores(read):
    assert read(drawn(lm=True)).has_lm and not read(drawn(lm=False)).has_lm


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": None}, "no direction"),
        ({"target_lang": 5}, "no target_lang"),
        ({"id": "3"}, "no id"),
        ({"id": -1}, "no id"),
        ({"source_length": 0}, "no source_length"),
        ({"hypotheses": []}, "no hypotheses"),
        ({"hypotheses": [{"length": 1}]}, "a hypothesis without text"),
        ({"hypotheses": [{"text": "a", "length": 2.5}]}, "a hypothesis without length"),
        ({"hypotheses": [hypothesis("a", None)]}, "whose forward score is None"),
        ({"hypotheses": [hypothesis("a", -1, float("nan"))]}, "whose reverse score is nan"),
        ({"hypotheses": [{"text": "a", "length": 2, "forward": -1, "reverse": -1}]}, "whose lm score is missing"),
        ({"hypotheses": [hypothesis("a", -(10**400))]}, "whose forward score is -1000"),
        ({"source_length": 10**400}, "no source_length"),
    ],
)
def test_a_line_of_another_content_is_named(read, changes, message):
    with pytest.raises(BadInput, match=f"0.jsonl:2: expected a line of .* --dump-scores, found .*{message}"):
        read([GOOD[0], {**GOOD[1], **changes}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps(GOOD[0]) + "\n" + json.dumps(GOOD[1])[:50], ":2: .* a line that was cut in the middle"),
        ("H-0\t-0.5\tv1 v2\n", ":1: .* found no JSON"),
        ("[]\n", ":1: .* found no direction"),
        ("[" * 100_000, ":1: .* found no JSON"),
        ("", ": empty; expected a file of fairseq-generate --dump-scores"),
    ],
)
def test_a_file_that_was_cut_or_is_another_is_named(tmp_path, content, message):
    (tmp_path / "scores").write_text(content)
    with pytest.raises(BadInput, match="scores" + message):
        score_lists.read([str(tmp_path / "scores")], "ref.en", 2)


def test_a_file_of_bytes_is_named(tmp_path):
    (tmp_path / "dual.pt").write_bytes(b"PK\x03\x04\xff\xfe\n\x80\n")
    with pytest.raises(BadInput, match="dual.pt:1: .* found no JSON"):
        score_lists.read([str(tmp_path / "dual.pt")], "ref.en", 2)


def test_refuses_a_sentence_that_comes_twice(read):
    with pytest.raises(BadInput, match="1.jsonl:2: sentence 0 again, after .*0.jsonl:1"):
        read(GOOD[:2], [GOOD[2], GOOD[0]])


def test_refuses_two_directions(read):
    with pytest.raises(BadInput, match="1.jsonl:1: en-de, but .*0.jsonl:1 is de-en; expected files of one test set"):
        read(GOOD[:2], [{**GOOD[2], "direction": "en-de"}])


def test_refuses_files_with_a_language_model_and_without(read):
    with pytest.raises(BadInput, match="1.jsonl:1: without a language model, but .*0.jsonl:1 is with a language model"):
        read(GOOD[:2], [line(2, [hypothesis("a", -1, -2)])])


def test_refuses_a_reference_with_fewer_lines(read):
    with pytest.raises(BadInput, match="--reference ref.en: expected a line for each sentence, at least 3, found 2"):
        read(GOOD, count=2)


def test_names_the_sentences_that_are_missing(read):
    with pytest.raises(BadInput, match=r"7 of its 9 lines have no hypotheses: 1, 3, 4, \.\.\. .*--skip-invalid-size"):
        read([GOOD[0], GOOD[2]], count=9)

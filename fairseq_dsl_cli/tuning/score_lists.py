"""The lists of hypotheses that ``fairseq-generate --dump-scores`` wrote, with their scores."""

import json
from dataclasses import dataclass

import numpy as np

from fairseq_dsl.errors import BadInput

SCORES = ("forward", "reverse", "lm")
MOST_NAMED = 3  # sentences, in a message
MOST = 10**9  # of any number in a line: JSON's may be beyond floats


@dataclass(frozen=True)
class ScoreLists:
    """The hypotheses of a test set, each list in the forward model's order; arrays are ``(sentences, longest list)``.

    Attributes:
        direction: such as ``de-en``.
        target_lang: the language that was generated.
        texts: of each sentence's hypotheses.
        forward, reverse, lm: log-probabilities in nats; nan where one is not known, and beyond a list's end.
        lengths: of the hypotheses in tokens; 1 beyond a list's end.
        source_lengths: ``(sentences, 1)``.
    """

    direction: str
    target_lang: str
    texts: list
    forward: np.ndarray
    reverse: np.ndarray
    lm: np.ndarray
    lengths: np.ndarray
    source_lengths: np.ndarray

    @property
    def has_lm(self):
        return not np.isnan(self.lm).all()

    @property
    def listed(self):
        """Where there is a hypothesis."""
        return ~np.isnan(self.forward)

    @property
    def unscored(self):
        """How many sentences the reverse model has not scored."""
        return int((np.isnan(self.reverse) & self.listed).any(axis=1).sum())


def read(paths, reference, count):
    """Reads the files of one test set, which may be its shards.

    Args:
        reference: the file of references, for messages.
        count: how many lines it has.
    """
    found = {}  # by sentence: its place, for messages, and its list
    for path in paths:
        for place, text in _lines(path):
            one = _parse(text, place)
            if one["id"] in found:
                raise BadInput(f"{place}: sentence {one['id']} again, after {found[one['id']][0]}; expected each once")
            found[one["id"]] = place, one
    _check_of_one_run(list(found.values()))
    _check_complete(found, reference, count)
    return _arrays([found[number][1] for number in range(count)])


def _lines(path):
    place = None
    with open(path, "rb") as file:
        for number, text in enumerate(file, 1):
            place = f"{path}:{number}"
            yield place, text
    if place is None:
        raise BadInput(f"{path}: empty; expected a file of fairseq-generate --dump-scores")


def _parse(text, place):
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or not UTF-8
        found = "no JSON" if text.endswith(b"\n") else "no JSON, or a line that was cut in the middle"
    else:
        found = _fault(line)
    if found:
        raise BadInput(f"{place}: expected a line of fairseq-generate --dump-scores, found {found}")
    return line


def _fault(line):
    """What is wrong with a line's content; None if nothing is."""
    for key in ("direction", "target_lang"):
        if not isinstance(line, dict) or not isinstance(line.get(key), str):
            return f"no {key}"
    for key, least in (("id", 0), ("source_length", 1)):
        if not _is_whole(line.get(key), least):
            return f"no {key}"
    hypotheses = line.get("hypotheses")
    if not isinstance(hypotheses, list) or not hypotheses:
        return "no hypotheses"
    for hypothesis in hypotheses:
        if not isinstance(hypothesis, dict) or not isinstance(hypothesis.get("text"), str):
            return "a hypothesis without text"
        if not _is_whole(hypothesis.get("length"), 1):
            return "a hypothesis without length"
        for name in SCORES:
            value = hypothesis.get(name, "missing")
            unknown = value is None and name != "forward"
            if not unknown and not (type(value) in (int, float) and abs(value) <= MOST):  # of nan it is not
                return f"a hypothesis whose {name} score is {value}"
    return None


def _is_whole(value, least):
    return type(value) is int and least <= value <= MOST


def _check_of_one_run(lists):
    """All of one direction, and, if scored by the reverse model, all with a language model or all without."""
    scored = [(place, one) for place, one in lists if one["hypotheses"][0]["reverse"] is not None]
    for part, what in (
        (lists, lambda one: one["direction"]),
        (scored, lambda one: f"{'without' if one['hypotheses'][0]['lm'] is None else 'with'} a language model"),
    ):
        for place, one in part:
            first_place, first = part[0]
            if what(one) != what(first):
                raise BadInput(
                    f"{place}: {what(one)}, but {first_place} is {what(first)}; expected files of one test set, "
                    "generated with the same flags"
                )


def _check_complete(found, reference, count):
    beyond = [number for number in found if number >= count]
    if beyond:
        raise BadInput(
            f"--reference {reference}: expected a line for each sentence, at least {max(beyond) + 1}, found {count}"
        )
    missing = [number for number in range(count) if number not in found]
    if missing:
        named = ", ".join(map(str, missing[:MOST_NAMED])) + (", ..." if len(missing) > MOST_NAMED else "")
        raise BadInput(
            f"--reference {reference}: {len(missing)} of its {count} lines have no hypotheses: {named} (from 0 on); "
            "expected all shards, generated without --skip-invalid-size-inputs-valid-test, which leaves sentences out"
        )


def _arrays(lists):
    shape = len(lists), max(len(one["hypotheses"]) for one in lists)
    scores = {name: np.full(shape, np.nan) for name in SCORES}
    lengths = np.ones(shape)
    for row, one in enumerate(lists):
        for column, hypothesis in enumerate(one["hypotheses"]):
            lengths[row, column] = hypothesis["length"]
            for name in SCORES:
                if hypothesis[name] is not None:
                    scores[name][row, column] = hypothesis[name]
    return ScoreLists(
        direction=lists[0]["direction"],
        target_lang=lists[0]["target_lang"],
        texts=[[hypothesis["text"] for hypothesis in one["hypotheses"]] for one in lists],
        lengths=lengths,
        source_lengths=np.array([[float(one["source_length"])] for one in lists]),
        **scores,
    )

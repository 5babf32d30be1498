"""fairseq-dsl help: every flag of the plugin, as fairseq-train reads it."""

import re
from dataclasses import fields

import pytest

from fairseq_dsl.criterions import METHODS
from fairseq_dsl.models.dual_translation import DualTranslationModelConfig
from fairseq_dsl.tasks.config import REFUSED_FLAGS, DualTranslationTaskConfig
from fairseq_dsl_cli.main import run

CONFIGS = {
    ("task",): DualTranslationTaskConfig,
    ("model",): DualTranslationModelConfig,
    **{("criterion", name): method.flags for name, method in METHODS.items()},
}


def printed(capsys, *words):
    assert not run(["help", *words])
    return capsys.readouterr().out


def entries(text):
    """What is said of each flag, by its name, in one line."""
    found = re.split(r"^  (?=\S)", text, flags=re.MULTILINE)[1:]
    return {entry.split()[0].rstrip(","): " ".join(entry.split()) for entry in found}


@pytest.mark.parametrize("words", CONFIGS, ids=" ".join)
def test_every_flag_has_its_help_and_default(words, capsys):
    found = entries(printed(capsys, *words))
    flags = [flag for flag in fields(CONFIGS[words]) if flag.name not in ("_name", "data") and "help" in flag.metadata]
    assert flags
    for flag in flags:
        entry = found.pop("--" + flag.name.replace("_", "-"))
        told, default = "".join(REFUSED_FLAGS.get(flag.name, flag.metadata["help"]).split()), flag.default
        assert told in "".join(entry.split())  # argparse breaks lines at hyphens, too
        if "default: " not in flag.metadata["help"] and default is not None and default is not False:
            assert f"(default: {getattr(default, 'value', default)})" in entry, entry
    assert found.keys() <= {"data"}


def test_what_a_criterion_shares_with_the_others_comes_last(capsys):
    text = printed(capsys, "criterion", "minimum_risk")
    own, shared = text.split("\nof all methods:\n")
    assert "--sharpness" in own and "--dsl-lambda" not in own
    assert "--dsl-lambda" in shared and "0 is none (default: 0.0)" in " ".join(shared.split())


def test_without_a_topic_all_topics_are_listed(capsys):
    listed = re.findall(r"^fairseq-dsl help (.*?)  ", printed(capsys), re.MULTILINE)
    assert [topic.strip() for topic in listed] == ["task", "model", "criterion", "criterion NAME"]


def test_criterions_are_listed_with_what_they_are(capsys):
    lines = printed(capsys, "criterion").splitlines()
    assert [line.split()[3] for line in lines] == list(METHODS)
    assert re.search(r"minimum_risk +Minimum risk training: ", lines[1])


@pytest.mark.parametrize("words, message", [
    (["frob"], "'frob' is not a topic; expected one of task, model, criterion"),
    (["task", "x"], "expected no name after task"),
    (["criterion", "frob"], "criterion 'frob': expected one of dsl_cross_entropy, minimum_risk, "),
])  # fmt: skip
def test_other_topics_are_refused_in_one_line(words, message, capsys):
    with pytest.raises(SystemExit) as ended:
        run(["help", *words])
    said = capsys.readouterr().err
    assert (ended.value.code, said.count("\n")) == (2, 1)
    assert said.startswith("fairseq-dsl help: error: ") and message in said

"""fairseq-dsl evaluate as a user calls it: two plain checkpoints, and the same with dual inference."""

import json
import re

import pytest
import torch
from commands import PLUGIN, generate, lm_flags, plugin_command

from fairseq_dsl_cli.reporting.markdown import parse_evaluation


@pytest.fixture(scope="module")
def evaluated(chain, tmp_path_factory):
    """The content of evaluation.json, and the folder that it is in."""
    output = tmp_path_factory.mktemp("evaluation")
    control = ",".join(str(chain.warm[direction]) for direction in ("de-en", "en-de"))
    plugin_command(
        "evaluate", "--data-bin", chain.data, "-s", "de", "-t", "en", "--text", chain.text / "test", "--cpu",
        "--user-dir", PLUGIN, "--output", output, "--generate-args", "", "--resamples", 20, "--jobs", 2,
        "--baseline", f"control={control}", *lm_flags(chain),
        "--dual-inference", "--reverse-weight", "de-en=0.4", "--tokenize", "de=char",
    )  # fmt: skip
    return json.loads((output / "evaluation.json").read_text()), output


def test_dual_inference_is_compared_with_the_control_without(evaluated):
    for metrics in evaluated[0]["directions"].values():
        for metric in metrics.values():
            control, other = (metric["systems"][name] for name in ("control", "control + dual inference"))
            assert control["p_value"] is None and other["p_value"] is not None
            assert other["difference"] == pytest.approx(other["score"] - control["score"])


def test_dual_inference_is_that_of_fairseq_generate(chain, evaluated):
    _, output = evaluated
    for direction, weight in (("de-en", 0.4), ("en-de", 0.5)):
        flags = ["--beam", 10, "--reverse-weight", weight, *lm_flags(chain), "--required-batch-size-multiple", 1]
        found = generate(chain.data, direction, output / "control.joined.pt", *flags, "--batch-size", 8)
        lines = (output / f"control + dual inference.{direction}.txt").read_text().split("\n")[:-1]
        assert lines == [found.hypotheses()[number] for number in range(len(chain.pairs["test"]))]


def test_a_plain_control_is_joined_for_its_gaps(evaluated):
    result, output = evaluated
    assert "control.joined.pt" in " ".join(result["commands"])
    assert set(torch.load(output / "control.joined.pt", weights_only=True)["cfg"]["model"]["pair"]) == {
        "de-en",
        "en-de",
    }
    gaps, logged = result["gaps"]["control"], result["duality_gap"]["control"]
    assert gaps == sorted(gaps) and len(gaps) == 35  # of 37 pairs two have an empty side
    assert sum(map(abs, gaps)) / len(gaps) == pytest.approx(logged["duality_gap"], abs=0.01)
    assert sum(gaps) / len(gaps) == pytest.approx(logged["duality_gap_signed"], abs=0.01)


def test_each_language_has_its_tokenizer(evaluated):
    signatures = {d: m["BLEU"]["signature"] for d, m in evaluated[0]["directions"].items()}
    assert {d: re.search(r"tok:(\w+)", text)[1] for d, text in signatures.items()} == {"de-en": "13a", "en-de": "char"}


def test_the_report_takes_it(evaluated):
    result, output = evaluated
    assert parse_evaluation(str(output / "evaluation.json")) == result

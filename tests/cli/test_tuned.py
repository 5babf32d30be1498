"""fairseq-dsl tune on what fairseq-generate wrote: its score is that of fairseq-generate with its flags."""

import re

import pytest
from commands import generate, load, plugin_command

SET = ("--gen-subset", "test", "--scoring", "sacrebleu", "--beam", 5, "--nbest", 1)


@pytest.fixture(scope="module")
def joined(chain, tmp_path_factory):
    path = tmp_path_factory.mktemp("joined") / "dual.pt"
    plugin_command("join", *chain.warm.values(), path)
    return path


def tune(capsys, chain, direction, *words):
    plugin_command("tune", *words, "--reference", chain.text / f"test.{direction[3:]}", "--resamples", 20)
    text = capsys.readouterr().out
    flags, score, forward = re.search(r"^best: (.*)\n  BLEU ([\d.]+), ([\d.]+) in", text, re.M).groups()
    return flags.split(), float(score), float(forward)


def bleu(run):
    return float(re.search(r"BLEU\S*(?: score)? = ([\d.]+)", run.stdout).group(1))


@pytest.mark.parametrize("direction", ["de-en", "en-de"])
@pytest.mark.parametrize("lm", [True, False], ids=["with a language model", "without"])
def test_the_score_is_that_of_generation_with_the_flags(chain, joined, tmp_path, capsys, direction, lm):
    language_model = ["--target-lm", chain.lm[direction[3:]]] if lm else []
    dump = tmp_path / "scores.jsonl"
    stock = generate(chain.data, direction, joined, *SET, *language_model, "--dump-scores", dump)
    flags, score, forward = tune(capsys, chain, direction, dump)
    assert (flags[2::2] == ["--lm-weight"]) == lm
    assert forward == bleu(stock)
    assert score == bleu(generate(chain.data, direction, joined, *SET, *language_model, *flags))
    assert score > forward

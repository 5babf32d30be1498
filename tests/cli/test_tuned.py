"""fairseq-dsl tune on what fairseq-generate wrote: its score is that of fairseq-generate with its flags."""

import re
import shutil

import pytest
import torch
from commands import differences, edited, generate, plugin_command

from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import DualTranslationModel

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


def test_stored_weights_are_those_of_generation_without_flags(chain, dual, tmp_path, capsys):
    path, dump = tmp_path / "dual.pt", tmp_path / "scores.jsonl"
    shutil.copy(dual, path)
    language_model = ["--target-lm", chain.lm["en"]]
    stock = generate(chain.data, "de-en", path, *SET, *language_model, "--dump-scores", dump)
    flags, score, forward = tune(capsys, chain, "de-en", dump, "--store", path)
    flagged = generate(chain.data, "de-en", dual, *SET, *language_model, *flags)
    stored = generate(chain.data, "de-en", path, *SET, *language_model)
    assert stored.stdout == flagged.stdout != stock.stdout
    assert bleu(stored) == score > bleu(stock) == forward
    hub = DualTranslationModel.from_pretrained(str(tmp_path), path.name, str(chain.data), target_lm=str(chain.lm["en"]))
    sources = [source for source, _ in chain.pairs["test"]]
    assert dict(enumerate(hub.translate(sources))) == stored.hypotheses()
    assert generate(chain.data, "en-de", path, *SET).stdout == generate(chain.data, "en-de", dual, *SET).stdout


def test_dual_inference_of_validation_is_not_that_of_translation(chain, dual, tmp_path):
    """The flags of training are in its checkpoints."""
    lms = {"task__source_lm": str(chain.lm["de"]), "task__target_lm": str(chain.lm["en"])}
    path = edited(dual, tmp_path / "dual.pt", task__reverse_weight=0.9, task__lm_weight=2.0, **lms)
    hub = DualTranslationModel.from_pretrained(str(tmp_path), path.name, str(chain.data))
    sources = [source for source, _ in chain.pairs["test"]]
    stock = generate(chain.data, "de-en", dual, *SET)
    assert generate(chain.data, "de-en", path, *SET).stdout == stock.stdout
    assert dict(enumerate(hub.translate(sources))) == stock.hypotheses()


def test_storing_leaves_all_else_in_a_checkpoint_of_training(chain, dual, tmp_path, capsys):
    path, dump = tmp_path / "dual.pt", tmp_path / "scores.jsonl"
    shutil.copy(dual, path)
    generate(chain.data, "de-en", path, *SET, "--dump-scores", dump)
    flags, _, _ = tune(capsys, chain, "de-en", dump, "--store", path)
    before, after = torch.load(dual), torch.load(path)
    assert after["cfg"]["model"].pop("dual_inference") == {"de-en": {"reverse": float(flags[1])}}
    assert "last_optimizer_state" in after
    assert set(differences(before, after)) <= {"/cfg/task/lm_weight", "/cfg/generation/lm_weight"}  # nan is not nan


def test_shards_are_one_test_set(chain, joined, tmp_path, capsys):
    whole, *parts = (tmp_path / name for name in ("whole", "first", "second"))
    generate(chain.data, "de-en", joined, *SET, "--dump-scores", whole)
    lines = whole.read_text().splitlines(keepends=True)
    for part, shard in zip(parts, (lines[1::2], lines[::2])):
        part.write_text("".join(shard))
    assert tune(capsys, chain, "de-en", *parts) == tune(capsys, chain, "de-en", whole)
    with pytest.raises(BadInput, match="19 of its 37 lines have no hypotheses: .* expected all shards"):
        tune(capsys, chain, "de-en", parts[0])


def test_sentences_that_generation_left_out_are_named(chain, joined, tmp_path, capsys):
    dump = tmp_path / "scores.jsonl"
    short = ("--skip-invalid-size-inputs-valid-test", "--max-source-positions", 4)
    generate(chain.data, "de-en", joined, *SET, *short, "--dump-scores", dump)
    with pytest.raises(BadInput, match="--reference .*: .* without --skip-invalid-size-inputs-valid-test"):
        tune(capsys, chain, "de-en", dump)

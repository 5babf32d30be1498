"""Dual inference by fairseq's commands: its order, its scores, and what is as without it."""

import json
import math
import shutil

import pytest
import torch
from commands import GENERATION, binarize, command, generate, languages, load, write_pairs
from omegaconf import OmegaConf

from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import DualTranslationModel

A, B = 0.5, 0.4
BEAM = ["--beam", 4]


def flags(chain, direction="de-en", a=A, b=B):
    side = "--target-lm" if direction == "de-en" else "--source-lm"  # of the languages of training
    language = direction.rpartition("-")[2]
    return [*BEAM, "--reverse-weight", a, "--lm-weight", b, side, chain.lm[language]]


def translations(run):
    """The H, D and P lines."""
    return [line for line in run.stdout.splitlines() if line[:2] in ("H-", "D-", "P-")]


def scored(run):
    """The (score, text) of the first hypothesis of each sentence."""
    found = (line.split("\t") for line in reversed(run.stdout.splitlines()) if line.startswith("H-"))
    return {int(number[2:]): (float(score), text) for number, score, text in found}


@pytest.fixture(scope="module")
def dumped(chain, dual, tmp_path_factory):
    """Both directions' scores of all hypotheses, and what was translated by them."""
    folder, found = tmp_path_factory.mktemp("dumped"), {}
    for direction in ("de-en", "en-de"):
        file = folder / f"{direction}.jsonl"
        more = ["--source-lm", chain.lm["de"], "--target-lm", chain.lm["en"], "--dump-scores", file]
        run = generate(chain.data, direction, dual, *flags(chain, direction), *more)
        found[direction] = run, [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return found


def combined(line, hypothesis, a=A, b=B):
    reverse = hypothesis["reverse"] / line["source_length"] + b * hypothesis["lm"] / hypothesis["length"]
    return (1 - a) * hypothesis["forward"] / hypothesis["length"] + a * reverse


def test_off_it_is_stock_generation_line_by_line(chain, dual, dumped):
    stock = translations(generate(chain.data, "de-en", dual, *BEAM))
    assert translations(generate(chain.data, "de-en", dual, *BEAM, "--reverse-weight", 0)) == stock
    assert translations(dumped["de-en"][0]) != stock


@pytest.mark.parametrize("direction", ["de-en", "en-de"])
def test_the_order_is_that_of_the_dumped_scores(chain, dual, dumped, direction):
    run, lines = dumped[direction]
    assert sorted(line["id"] for line in lines) == list(range(len(chain.pairs["test"])))
    found = scored(run)
    for line in lines:
        assert line["direction"] == direction and len(line["hypotheses"]) == 4
        best = max(line["hypotheses"], key=lambda hypothesis: combined(line, hypothesis))
        score, text = found[line["id"]]
        assert text == best["text"]
        assert score == pytest.approx(combined(line, best) / math.log(2), abs=1e-4)


def test_nbest_gives_the_first_of_the_beam_in_order(chain, dual, dumped):
    run = generate(chain.data, "de-en", dual, *flags(chain), "--nbest", 3)
    for line in dumped["de-en"][1]:
        wanted = sorted(line["hypotheses"], key=lambda hypothesis: -combined(line, hypothesis))[:3]
        found = [out.split("\t")[2] for out in run.stdout.splitlines() if out.startswith(f"H-{line['id']}\t")]
        assert found == [hypothesis["text"] for hypothesis in wanted]


def test_the_gap_of_each_hypothesis_is_dumped_with_both_language_models(dumped):
    """log P(x) is what is left of it, and is the same for all hypotheses of a sentence."""
    for line in dumped["de-en"][1]:
        log_p_x = [h["gap"] - h["forward"] + h["lm"] + h["reverse"] for h in line["hypotheses"]]
        assert log_p_x == pytest.approx([log_p_x[0]] * 4, abs=1e-6) and log_p_x[0] < 0


def test_reverse_scores_are_those_of_score_reference(chain, dual, dumped, tmp_path):
    """Of the chosen translations, translated back by force."""
    run, lines = dumped["de-en"]
    by_id = {line["id"]: line for line in lines}
    chosen = {number: text for number, (_, text) in scored(run).items()}
    pairs = [(chain.pairs["test"][number][0], chosen[number]) for number in range(len(chosen))]
    for split in ("train", "valid", "test"):
        write_pairs(tmp_path / split, pairs)
    dictionary = ["--srcdict", chain.data / "dict.de.txt"]
    binarize(tmp_path, tmp_path / "bin", *dictionary)
    forced = scored(generate(tmp_path / "bin", "en-de", dual, "--score-reference"))
    for number, text in chosen.items():
        line = by_id[number]
        reverse = next(h["reverse"] for h in line["hypotheses"] if h["text"] == text)
        assert reverse / line["source_length"] / math.log(2) == pytest.approx(forced[number][0], abs=1e-4)


def test_interactive_and_the_hub_translate_alike(chain, dual, dumped, tmp_path):
    lines = [source for source, _ in chain.pairs["test"]]
    wanted = {number: text for number, (_, text) in scored(dumped["de-en"][0]).items()}
    file = tmp_path / "input"
    file.write_text("".join(line + "\n" for line in lines))
    run = command(
        "interactive", chain.data, "--task", "dual_translation", *languages("de-en"), "--path", dual, *GENERATION,
        *flags(chain), "--input", file, "--buffer-size", 5, "--batch-size", 3,
    )  # fmt: skip
    assert run.hypotheses() == wanted
    hub = DualTranslationModel.from_pretrained(
        str(dual.parent), dual.name, str(chain.data), source_lang="de", target_lang="en", reverse_weight=A, lm_weight=B,
        target_lm=str(chain.lm["en"]),
    )  # fmt: skip
    assert dict(enumerate(hub.translate(lines, beam=4))) == wanted
    plain = DualTranslationModel.from_pretrained(str(dual.parent), dual.name, str(chain.data))
    stock = generate(chain.data, "de-en", dual, *BEAM).hypotheses()
    assert dict(enumerate(plain.translate(lines, beam=4))) == stock


def test_the_hub_takes_flags_that_the_checkpoint_does_not_have(chain, dual, tmp_path):
    """As those of earlier versions, of which fairseq would say nothing."""
    state = load(dual)
    state["cfg"] = OmegaConf.to_container(state["cfg"])
    for name in ("reverse_weight", "lm_weight", "dump_scores"):
        del state["cfg"]["task"][name]
    torch.save(state, tmp_path / "old.pt")
    for a in (0.0, 0.5):
        hub = DualTranslationModel.from_pretrained(str(tmp_path), "old.pt", str(chain.data), reverse_weight=a)
        assert hub.models[0].keeps_reverse == bool(a)


@pytest.mark.parametrize(
    "more",
    [
        ["--sampling", "--nbest", 4, "--seed", 3],
        ["--lenpen", 0.6, "--unkpen", 1],
        ["--unnormalized"],
        ["--max-tokens", 30],
    ],
    ids=lambda more: more[0],
)
def test_with_other_flags_of_generation_the_same_hypotheses_are_ordered(chain, dual, more):
    stock = generate(chain.data, "de-en", dual, *BEAM, "--nbest", 4, *more)
    found = generate(chain.data, "de-en", dual, *flags(chain), "--nbest", 4, *more)
    assert sorted(line.split("\t")[2] for line in translations(stock) if line[0] == "H") == sorted(
        line.split("\t")[2] for line in translations(found) if line[0] == "H"
    )


def test_ensembles_are_scored_by_all_pairs(chain, dual):
    once = scored(generate(chain.data, "de-en", dual, *flags(chain)))
    twice = scored(generate(chain.data, "de-en", f"{dual}:{dual}", *flags(chain)))
    assert {number: text for number, (_, text) in once.items()} == {number: text for number, (_, text) in twice.items()}
    assert [score for score, _ in twice.values()] == pytest.approx([score for score, _ in once.values()], abs=1e-4)


def test_a_language_model_of_the_other_language_is_refused(chain, dual):
    with pytest.raises(BadInput, match="--target-lm .*expected a language model of en, found one that looks like de"):
        generate(chain.data, "de-en", dual, *BEAM, "--reverse-weight", A, "--target-lm", chain.lm["de"])


@pytest.mark.parametrize("weight", [-0.1, 1.01, "nan"])
def test_a_weight_out_of_range_is_refused(chain, dual, weight):
    with pytest.raises(BadInput, match=f"--reverse-weight {weight}: expected a number from 0 to 1"):
        generate(chain.data, "de-en", dual, "--reverse-weight", weight)


def test_a_model_of_one_direction_is_sent_to_join(chain, tmp_path):
    with pytest.raises(BadInput, match="is of a single model.*fairseq-dsl join"):
        generate(chain.data, "de-en", chain.warm["de-en"], "--reverse-weight", A)


def test_fairseqs_own_fusion_keeps_its_flag(chain, dual, tmp_path):
    """``--lm-weight`` is also that of ``--lm-path``, and 0 where it is not given."""
    data = shutil.copytree(chain.data, tmp_path / "bin")
    shutil.copy(data / "dict.en.txt", data / "dict.txt")  # where fairseq looks for a language model's
    stock = translations(generate(data, "de-en", dual, *BEAM))
    assert translations(generate(data, "de-en", dual, *BEAM, "--lm-path", chain.lm["en"])) == stock
    assert translations(generate(data, "de-en", dual, *BEAM, "--lm-path", chain.lm["en"], "--lm-weight", 0.9)) != stock

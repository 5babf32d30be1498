"""Which translations dual inference chooses, against a calculation sentence by sentence; and when it does not."""

import logging
from types import SimpleNamespace

import pytest
import tiny
import torch
from fairseq import tasks
from fairseq.sequence_generator import SequenceGenerator
from fairseq.token_generation_constraints import pack_constraints
from omegaconf import open_dict
from translating import log_p_by_symbol, translate, translating

from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import DualGenerator, Hypotheses, dual_inference


def score_by_hand(made, source, tokens, a, b=0.0, lm=None):
    """(1-A) log P(y|x)/|y| + A (log P(x|y)/|x| + B log P(y)/|y|), each from a forward of its own."""
    active = made.model.active
    reverse = "-".join(reversed(active.split("-")))
    forward = log_p_by_symbol(made.model.models[active], source, tokens).mean().item()
    back = log_p_by_symbol(made.model.models[reverse], tokens, source).mean().item()
    natural = float(lm.score([torch.as_tensor(tokens)])[0]) / len(tokens) if lm else 0.0
    return (1 - a) * forward + a * (back + b * natural)


@pytest.mark.parametrize("source, target", [("de", "en"), ("en", "de")])
@pytest.mark.parametrize("architectures", [("transformer", None), ("lstm", "transformer")])
@pytest.mark.parametrize("a, b", [(0.5, None), (0.3, 0.0), (1.0, 2.0)])
def test_order_and_scores_equal_a_calculation_by_sentence(data, lms, source, target, architectures, a, b):
    flags = {} if b is None else {"lm_weight": b, "source_lm": lms["de"], "target_lm": lms["en"]}
    made = translating(data, source, target, *architectures, reverse_weight=a, **flags)
    stock, _ = translate(translating(data, source, target, *architectures))
    found, generator = translate(made)
    lm = made.task.inference.marginals.get(target)
    assert isinstance(generator, DualGenerator) and (lm is None) == (b is None)
    reordered = 0
    for number, hypotheses in found.items():
        sentence = made.data[number]["source"]
        wanted = {}
        for hypothesis in stock[number]:
            tokens = tuple(hypothesis["tokens"].tolist())
            wanted[tokens] = score_by_hand(made, sentence, tokens, a, b or 0.0, lm)
        got = {tuple(hypothesis["tokens"].tolist()): hypothesis["score"].item() for hypothesis in hypotheses}
        assert got == pytest.approx(wanted, abs=1e-4)
        assert list(got.values()) == sorted(got.values(), reverse=True)
        reordered += list(got) != list(wanted)
    assert reordered  # the case has something to show


def test_scores_of_the_data_alone_are_refused_unless_they_have_no_weight(data, tmp_path):
    scores = f"scores:{tmp_path}"
    for flags in ({"reverse_weight": 0.5}, {"reverse_weight": 0.5, "lm_weight": 0.2}):
        with pytest.raises(
            BadInput, match=f"--target-lm {scores}: has scores of .*; dual inference by --lm-weight 0.[25]"
        ):
            translate(translating(data, target_lm=scores, **flags))
    _, generator = translate(translating(data, target_lm=scores, reverse_weight=0.5, lm_weight=0.0))
    assert isinstance(generator, DualGenerator)


def test_without_a_weight_the_generator_is_fairseqs_own(data):
    for flags in ({}, {"reverse_weight": 0.0}):
        made = translating(data, **flags)
        found, generator = translate(made)
        assert type(generator) is SequenceGenerator
        assert list(made.model.models) == ["de-en"]  # the other one is let go


def test_both_directions_stay_where_they_are_asked_for(data):
    made = translating(data, reverse_weight=0.5)
    assert set(made.model.models) == {"de-en", "en-de"}
    assert made.model.max_positions() == made.model.models["de-en"].max_positions()


def test_the_reverse_of_an_ensemble_averages_its_probabilities(data):
    made, other = (translating(data, reverse_weight=1.0) for _ in range(2))
    with torch.no_grad():
        for p in other.model.parameters():
            p.mul_(1.3)
    for number, hypotheses in translate(made, [3, 5], [other.model])[0].items():
        source = made.data[number]["source"]
        for hypothesis in hypotheses:
            parts = [
                log_p_by_symbol(m.models["en-de"], hypothesis["tokens"], source) for m in (made.model, other.model)
            ]
            wanted = torch.stack(parts).exp().mean(0).log().mean().item()
            assert hypothesis["score"].item() == pytest.approx(wanted, abs=1e-4)


def test_an_ensemble_of_pairs_that_keep_one_direction_or_both_is_refused(data):
    both, one = translating(data, reverse_weight=0.5), translating(data)
    with pytest.raises(BadInput, match="--path: some of the ensemble's checkpoints .*; give --reverse-weight"):
        translate(both, [3], [one.model])


def test_a_sentence_that_is_too_long_keeps_its_forward_order(data, caplog):
    stock, _ = translate(translating(data))
    made = translating(data, reverse_weight=0.5)
    made.model.models["en-de"].max_positions = lambda: (64, 6)
    with caplog.at_level(logging.WARNING):
        found, generator = translate(made)
    lengths = {number: len(made.data[number]["source"]) for number in found}
    left = [number for number, length in lengths.items() if length > 6]
    assert 0 < len(left) < len(found)
    for number in left:
        assert [h["tokens"].tolist() for h in found[number]] == [h["tokens"].tolist() for h in stock[number]]
        assert [h["score"].item() for h in found[number]] == [h["score"].item() for h in stock[number]]
    assert f"but of {len(left)} sentences" in caplog.text and f"({len(left)} so far)" in caplog.text
    assert generator.left_as_found == len(left)


@pytest.mark.parametrize("kind", ["a prefix", "constraints"])
def test_with_constraints_the_same_hypotheses_are_ordered(data, kind):
    def step(batch):
        if kind == "a prefix":
            return {"prefix_tokens": batch["target"][:, :1]}
        return {"constraints": pack_constraints([[row[:1]] for row in batch["target"]])}

    settings = {} if kind == "a prefix" else {"constraints": "ordered"}
    rows = [number for number, (_, target) in enumerate(tiny.PAIRS) if len(target) > 2]
    stock, _ = translate(translating(data), rows, step=step, **settings)
    found, _ = translate(translating(data, reverse_weight=0.5), rows, step=step, **settings)
    orders = [[[h["tokens"].tolist() for h in all_of[number]] for number in rows] for all_of in (stock, found)]
    assert [sorted(order) for order in orders[0]] == [sorted(order) for order in orders[1]]
    assert orders[0] != orders[1]


class TestWeights:
    @pytest.mark.parametrize(
        "flags, wanted",
        [
            ({}, (0, 0)),
            ({"reverse_weight": 0.4}, (0.4, 0)),
            ({"reverse_weight": 0.4, "lm": True}, (0.4, 0.5)),
            ({"reverse_weight": 0.4, "lm": True, "lm_weight": 0.0}, (0.4, 0)),
            ({"reverse_weight": 0.4, "lm": True, "lm_weight": 1.5}, (0.4, 1.5)),
        ],
    )
    def test_of_the_flags(self, data, lms, flags, wanted):
        flags = dict(flags)
        if flags.pop("lm", False):
            flags["target_lm"] = lms["en"]
        weights = translating(data, **flags).task.inference.weights(tiny.DE_EN)
        assert (weights.reverse, weights.lm) == wanted

    def test_of_the_checkpoint_are_the_default(self, data, lms, monkeypatch):
        config = tiny.pair_config

        def pair_config(*args):
            cfg = config(*args)
            with open_dict(cfg.model):
                cfg.model.dual_inference = {"de-en": {"reverse": 0.3, "lm": 0.7}}
            return cfg

        monkeypatch.setattr(tiny, "pair_config", pair_config)
        for flags, wanted in (
            ({"target_lm": lms["en"]}, (0.3, 0.7)),
            ({}, (0.3, 0.0)),  # no language model: said, and left out
            ({"reverse_weight": 0.0}, (0.0, 0.0)),
            ({"lm_weight": 0.2, "target_lm": lms["en"]}, (0.3, 0.2)),
        ):
            made = translating(data, **flags)
            weights = made.task.inference.weights(tiny.DE_EN)
            assert (weights.reverse, weights.lm) == wanted
            assert made.model.keeps_reverse == bool(wanted[0])

    def test_a_weight_of_a_language_model_that_is_missing_is_refused(self, data):
        with pytest.raises(BadInput, match="--lm-weight 0.5: requires a language model of en.*give --target-lm"):
            translate(translating(data, reverse_weight=0.5, lm_weight=0.5))
        with pytest.raises(BadInput, match="--lm-weight 0.5: requires a language model of de.*give --source-lm"):
            translate(translating(data, "en", "de", reverse_weight=0.5, lm_weight=0.5))

    def test_one_language_model_alone_is_of_what_is_generated(self, data, lms):
        for flag in ("source_lm", "target_lm"):
            made = translating(data, "en", "de", reverse_weight=0.5, **{flag: lms["de"]})
            assert made.task.inference.marginals["de"].path == lms["de"]

    @pytest.mark.parametrize("flag, value", [("reverse_weight", 1.1), ("reverse_weight", -0.1), ("lm_weight", -1.0)])
    def test_out_of_range_are_refused_by_name(self, data, flag, value):
        with pytest.raises(BadInput, match=f"--{flag.replace('_', '-')} {value}: expected"):
            translating(data, **{flag: value})


def test_a_language_model_of_another_vocabulary_is_refused(data, lms):
    with pytest.raises(BadInput, match="--target-lm .*: expected a model trained with|found a model with"):
        translate(translating(data, reverse_weight=0.5, target_lm=lms["de"]))


def test_scores_beside_a_reference_are_fairseqs(data):
    made = translating(data, reverse_weight=0.5)
    with pytest.raises(BadInput, match="--reverse-weight 0.5: has no effect with --score-reference"):
        translate(made, score_reference=True)


def test_no_scores_are_dumped_beside_a_reference(data, tmp_path):
    made = translating(data, dump_scores=str(tmp_path / "scores.jsonl"))
    with pytest.raises(BadInput, match="--dump-scores .*scores.jsonl: has no effect with --score-reference"):
        translate(made, score_reference=True)


def test_an_empty_name_of_a_file_of_scores_is_none(data):
    assert translate(translating(data, reverse_weight=0.5, dump_scores=""))[0]


@pytest.mark.parametrize("flag, value", [("reverse_weight", 2.0), ("lm_weight", -1.0)])
def test_weights_given_to_from_pretrained_are_checked(data, flag, value):
    cfg = tiny.pair_config(data)
    cfg.task[flag] = value
    task = tasks.setup_task(cfg.task, from_checkpoint=True)  # as `from_pretrained` does
    with pytest.raises(BadInput, match=f"--{flag.replace('_', '-')} {value}: expected a number"):
        task.build_model(cfg.model, from_checkpoint=True)


class TestLanguageOfTheLanguageModel:
    """With one dictionary for both languages it is told by what the language model says of the translations."""

    @pytest.fixture
    def checks(self, joined, monkeypatch):
        """Calls a generator's hook with sentences, by their lengths; and the pairs that were checked."""
        checked = []
        monkeypatch.setattr(
            dual_inference, "refuse_other_language_model", lambda marginal, direction, *sides: checked.append(sides)
        )
        made = translating(joined, reverse_weight=0.5)
        marginal = SimpleNamespace(dictionary=made.task.target_dictionary, name="--target-lm", to=lambda device: None)
        marginal.require_samples = lambda who: None
        made.task.inference.marginals = {"en": marginal}

        no_file = SimpleNamespace(write=lambda scored: None)  # but all scores are asked for

        def check(*lengths):
            found = [{"tokens": torch.tensor([5, 2]), "positional_scores": torch.zeros(2)}]
            reverse = [made.model.models["en-de"]]
            generator = made.task.inference.generator(None, tiny.DE_EN, reverse, None, no_file)
            generator.on_scores([Hypotheses.of(0, torch.tensor([4] * n + [2]), found) for n in lengths])
            return checked

        return check

    def test_empty_lines_tell_nothing_of_a_language(self, checks):
        assert not checks(0, 0, 0, 0)
        sources, _ = checks(0, 1, 2, 3)[0]
        assert [len(source) for source in sources] == [2, 3, 4]

    def test_a_single_line_is_not_enough(self, checks):
        assert not checks(3)
        assert not checks(2)
        assert len(checks(1)) == 1

    def test_is_checked_once_for_all_generators(self, checks):
        assert len(checks(1, 2, 3)) == len(checks(1, 2, 3)) == 1


def test_what_validation_lacks_is_said_before_the_first_update(data):
    with pytest.raises(BadInput, match="--lm-weight 0.5: requires a language model of en.*give --target-lm"):
        tiny.pair(data, eval_bleu=True, reverse_weight=0.5, lm_weight=0.5)

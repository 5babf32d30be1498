"""The scores of given pairs: against one sentence at a time, in order, and those that have none."""

import io
import math

import pytest
import sentencepiece
import tiny
import torch
from fairseq import tasks
from translating import log_p_by_symbol

from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import PairScorer
from fairseq_dsl.inference.segmentation import encoders_of

PAIRS = [(" ".join(x), " ".join(y)) for x, y in tiny.PAIRS]


def sentencepieces(path, words, kind="word"):
    """A model whose pieces are words, or another kind of sentencepiece's."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(words * 3), model_writer=written, model_type=kind, vocab_size=len(words) + 3,
        minloglevel=2,
    )  # fmt: skip
    path.write_bytes(written.getvalue())
    return str(path)


@pytest.fixture(scope="module")
def saved(data, tmp_path_factory):
    """A transformer and an LSTM as a pair, and its checkpoint."""
    cfg = tiny.pair_config(data, "transformer", "lstm")
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    tiny.spread(model)
    return model.eval(), tiny.save_checkpoint(tmp_path_factory.mktemp("scored") / "dual.pt", cfg, model)


@pytest.fixture(scope="module")
def scorer(saved, lms):
    return PairScorer.load(saved[1], source_lm=lms["de"], target_lm=lms["en"], max_tokens=20)


def test_scores_equal_a_calculation_by_sentence(saved, scorer):
    model, _ = saved
    symbols = {language: tiny.dictionary(words) for language, words in tiny.WORDS.items()}
    for (x, y), found in zip(tiny.PAIRS, scorer.score(PAIRS)):
        x, y = tiny.encode(x, symbols["de"]), tiny.encode(y, symbols["en"])
        forward = log_p_by_symbol(model.models["de-en"], x, y).sum().item()
        reverse = log_p_by_symbol(model.models["en-de"], y, x).sum().item()
        log_p_x, log_p_y = (scorer.marginals[lang].score([side])[0] for lang, side in (("de", x), ("en", y)))
        assert (found.source_length, found.target_length, found.unknown, found.reason) == (len(x), len(y), 0, "")
        assert (found.forward, found.reverse) == pytest.approx((forward, reverse), abs=1e-4)
        assert (found.source_lm, found.target_lm) == pytest.approx((log_p_x, log_p_y), abs=1e-4)
        assert found.gap == pytest.approx(log_p_x + forward - log_p_y - reverse, abs=2e-4)
        h, g = -forward / len(y), -reverse / len(x)
        assert found.score == pytest.approx(math.exp(-abs(h - g) - (h + g) / 2), abs=1e-4)


def test_symbols_are_scored_as_their_text(scorer):
    tensors = [(scorer.symbols(x, "de"), scorer.symbols(y, "en")) for x, y in PAIRS]
    assert scorer.score(tensors) == scorer.score(PAIRS)


def test_what_cannot_be_scored_says_why_and_disturbs_no_other(scorer):
    (x, y), *_ = PAIRS
    pairs = [(x, y), (" \t", y), (x, ""), (x, y + " v0" * 1030), (x + " w0" * 80, y), (x, "never-seen"), (x, y)]
    first, no_source, no_target, long, long_for_lm, unseen, last = scorer.score(pairs)
    assert first == last and not first.reason
    assert (no_source.reason, no_target.reason) == ("empty source", "empty target")
    assert long.reason == f"target too long: {len(y.split()) + 1031} tokens, expected at most 1024"
    assert all(map(math.isnan, (long.forward, long.reverse, long.source_lm, long.target_lm, long.gap, long.score)))
    assert long_for_lm.reason.startswith("source too long for --source-lm: ")
    assert math.isnan(long_for_lm.source_lm) and math.isnan(long_for_lm.gap) and long_for_lm.score > 0
    assert unseen.unknown == 1 and unseen.score > 0


def test_text_is_segmented_by_a_model_of_both_languages_or_one_of_each(saved, tmp_path):
    de, en, both = (sentencepieces(tmp_path / name, words) for name, words in (
        ("de", tiny.WORDS["de"]), ("en", tiny.WORDS["en"]), ("both", [*tiny.WORDS["de"], *tiny.WORDS["en"]]),
    ))  # fmt: skip
    (x, y), *_ = PAIRS
    for given in (both, [both], [de, en]):
        scorer = PairScorer.load(saved[1], bpe="sentencepiece", sentencepiece_model=given)
        for language, text in (("de", x), ("en", y)):
            assert scorer.encoders[language](text).split() == [f"\u2581{word}" for word in text.split()], given
    with pytest.raises(BadInput, match="--bpe None --sentencepiece-model .*both: expected --bpe sentencepiece with"):
        PairScorer.load(saved[1], sentencepiece_model=both)


@pytest.mark.parametrize("symbol", ["<pad>", "<s>", "</s>", "<unk>"])
def test_what_reads_like_a_symbol_of_fairseq_is_an_unknown_word(symbol, scorer):
    (x, y), *_ = PAIRS
    found, unseen = scorer.score([(f"{x} {symbol}", f"{symbol} {y}"), (f"{x} never-seen", f"never-seen {y}")])
    assert found == unseen and found.unknown == 2


def test_a_piece_that_reads_like_a_symbol_of_fairseq_is_divided(tmp_path):
    first, second = encoders_of("sentencepiece", sentencepieces(tmp_path / "spm", ["a", "b", "ab"], "char"))
    assert first("a <s> b") == "\u2581 a \u2581 < s > \u2581 b"
    assert first is second


def test_many_unknown_words_are_told(scorer):
    assert scorer.check(PAIRS) == []
    (found,) = scorer.check([("x y", "z")])
    assert found.startswith("100% of the tokens of 1 pairs are in no dictionary of the models")


def test_one_language_model_or_none_leaves_the_gap_unknown(saved, lms):
    for flags in ({}, {"target_lm": lms["en"]}):
        (found,) = PairScorer.load(saved[1], **flags).score(PAIRS[:1])
        assert math.isnan(found.source_lm) and math.isnan(found.gap) and found.score > 0 and not found.reason
        assert math.isnan(found.target_lm) == (not flags)
    assert PairScorer.load(saved[1]).score([]) == []


def test_files_that_do_not_fit_are_refused(saved, data, joined, lms):
    PairScorer.load(saved[1], data=data)
    with pytest.raises(BadInput, match="expected the de dictionary of --path .*, found another"):
        PairScorer.load(saved[1], data=joined)
    with pytest.raises(BadInput, match="--path .*expected a pair, found one model"):
        PairScorer.load(lms["de"])
    with pytest.raises(BadInput, match="--source-lm .*the de dictionary|--source-lm .*vocabulary"):
        PairScorer.load(saved[1], source_lm=lms["en"]).score(PAIRS)
    with pytest.raises(BadInput, match="--sentencepiece-model .*cannot be read"):
        PairScorer.load(saved[1], bpe="sentencepiece", sentencepiece_model=lms["de"])


def test_a_model_with_parameters_of_another_shape_is_refused(saved, tmp_path):
    state = torch.load(saved[1])
    name = next(name for name in state["model"] if name.endswith("fc1.weight"))
    state["model"][name] = state["model"][name][:1]
    torch.save(state, tmp_path / "bad.pt")
    with pytest.raises(BadInput, match="--path .*its de-en parameters do not fit its architecture"):
        PairScorer.load(str(tmp_path / "bad.pt"))

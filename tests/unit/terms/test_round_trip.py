"""What the methods share that learn from monolingual text: its weight, frozen proposals, and what they require."""

import pytest
import tiny
import torch
from drawn import SETTINGS, is_given_fixed_samples
from toys import (
    DIRECTIONS,
    ROUND_TRIPS,
    SENTENCES,
    SYMBOLS,
    WITH_PROPOSALS,
    learns_by,
    proposal,
    sample_of,
    saved,
    weighted,
)

from fairseq_dsl.errors import BadInput
from fairseq_dsl.terms.round_trip import weight_schedule


@pytest.mark.parametrize("method", WITH_PROPOSALS)
def test_a_frozen_proposal_draws_what_the_checkpoint_s_models_would(toy_pair, method, tmp_path):
    """And not what the pair does that has since been trained."""
    made = toy_pair()
    made.model.float()
    path = tiny.save_checkpoint(tmp_path / "pair.pt", made.cfg, made.model)
    made.model.double()
    with torch.no_grad():
        before = {there: proposal(made, there, SENTENCES[lang][0]) for there, (lang, _) in DIRECTIONS.items()}
        kept = {name: value.clone() for name, value in made.model.state_dict().items()}
        tiny.spread(made.model)
        after = {there: proposal(made, there, SENTENCES[lang][0]) for there, (lang, _) in DIRECTIONS.items()}
    found = {}
    try:
        for checkpoint in (path, f"{path}:{path}", None):
            folder = tmp_path / str(len(found))
            criterion = learns_by(made, method, num_samples=5, proposal_checkpoint=checkpoint, save_samples=str(folder))
            sample = sample_of(made, **{lang: SENTENCES[lang][:1] for lang in ("de", "en")})
            torch.manual_seed(3)
            criterion(made.model, sample)
            found[checkpoint] = saved(folder)
    finally:
        made.model.load_state_dict(kept)
    for checkpoint, lines in found.items():
        for line in lines:
            table = (after if checkpoint is None else before)[line["direction"]]
            symbols = SYMBOLS[DIRECTIONS[line["direction"]][1]]
            by_text = {" ".join(symbols[i] for i in w[:-1]): log_q.item() for w, log_q in table.items()}
            assert line["log_q"] == pytest.approx([by_text[text] for text in line["samples"]], abs=1e-6)


class TestWhatAMethodNeeds:
    @pytest.fixture
    def bare(self, data):
        return tiny.pair(data, "transformer")

    @pytest.mark.parametrize("method", ROUND_TRIPS)
    def test_monolingual_data(self, bare, method):
        with pytest.raises(BadInput, match=f"--criterion {method}: learns from monolingual text.*; give --source-mono"):
            tiny.learns_by(bare, method)

    @pytest.mark.parametrize("method", ["dual_learning", "marginal_regularized_cross_entropy"])
    def test_language_models(self, bare, method):
        bare.task.cfg.source_mono = "somewhere"
        with pytest.raises(
            BadInput, match=f"--criterion {method}: .* requires language models; give --source-lm and --target-lm"
        ):
            tiny.learns_by(bare, method)

    @pytest.mark.parametrize("method", ["dual_learning", *WITH_PROPOSALS])
    def test_language_models_that_score_samples(self, data, tmp_path, method):
        for language, score in (("de", "-1"), ("en", "-2")):
            (tmp_path / f"train.{language}").write_text(f"{score}\n" * len(tiny.PAIRS))
        mono = tiny.write_monolingual(tmp_path / "mono", [["w1"]], tiny.dictionary(tiny.WORDS["de"]))
        scores = f"scores:{tmp_path}"
        made = tiny.pair(data, "transformer", source_lm=scores, target_lm=scores, source_mono=mono)
        message = f"--source-lm {scores}: has scores of .*; --criterion {method} requires a language model that scores"
        with pytest.raises(BadInput, match=message):
            tiny.learns_by(made, method)
        if method == "dual_learning":
            tiny.learns_by(made, method, reward_alpha=0.0)  # which asks for none

    @pytest.mark.parametrize("method, settings", [
        ("dual_learning", dict(reward_alpha=0.0)), ("back_translation_cross_entropy", {}), ("minimum_risk", {}),
    ])  # fmt: skip
    def test_no_language_models_where_none_is_asked(self, data, tmp_path, method, settings):
        symbols = tiny.dictionary(tiny.WORDS["de"])
        mono = tiny.write_monolingual(tmp_path / "mono", [["w1", "w2"], ["w3"]], symbols)
        made = tiny.pair(data, "transformer", source_mono=mono)
        criterion = tiny.learns_by(made, method, **settings)
        made.data.monolingual = {}
        sentences = [tiny.encode(words, symbols) for words in (["w1", "w2"], ["w3"])]
        sample = {**tiny.batch(made.data), "monolingual": {"de": tiny.sources(sentences, symbols)}}
        loss, _, logged = criterion(made.model, sample)
        assert loss.isfinite() and logged["samples_de-en"] > 0
        assert tiny.gradients(made.model, loss)


class TestWeightOfTheMonolingualPart:
    @pytest.mark.parametrize("text, weights", [
        ("1", {0: 1, 5: 1, 10**6: 1}),
        ("0", {0: 0, 5: 0}),
        ("0.25", {0: 0.25, 1000: 0.25}),
        ("0:0,1000:0.5,5000:1", {0: 0, 500: 0.25, 1000: 0.5, 3000: 0.75, 5000: 1, 9999: 1}),
        ("0:1,100:1,200:0", {0: 1, 100: 1, 150: 0.5, 200: 0, 201: 0}),
    ])  # fmt: skip
    def test_is_piecewise_linear_in_the_updates(self, text, weights):
        schedule = weight_schedule(text)
        assert {update: schedule(update) for update in weights} == pytest.approx(weights)

    @pytest.mark.parametrize("text", [
        "", "much", "-1", "nan", "inf", "0:0,100", "0:0,100:-1", "0:0,100:nan", "100:0,200:1", "0:0,200:1,100:2",
        "0:1:2,3:4", "0.5:1,3:1", "0:0,0:1",
    ])  # fmt: skip
    def test_bad_ones_are_refused(self, text):
        with pytest.raises(
            BadInput, match="--mono-weight .*expected a number of 0 or more, or one for each of some updates"
        ):
            schedule = weight_schedule(text)
            schedule(0)  # here at the latest, and not with another exception

    @pytest.mark.parametrize("method", ROUND_TRIPS)
    def test_is_taken_at_the_update_and_logged(self, toy_pair, method):
        made = toy_pair()
        criterion = learns_by(made, method, **SETTINGS[method])
        weighted(criterion, "0:0,10:1")
        sample = sample_of(made, de=SENTENCES["de"][:2], en=SENTENCES["en"][:2])
        is_given_fixed_samples(criterion)
        losses = {}
        for update in (0, 4, 10, 15):
            criterion.update = update
            loss, _, logged = criterion(made.model, sample)
            losses[update] = loss.item()
            if update:
                assert logged["mono_weight_de-en"] / logged["round_trips_de-en"] == pytest.approx(min(update / 10, 1))
        assert losses[0] == 0 and losses[10] == losses[15] != 0
        assert losses[4] == pytest.approx(0.4 * losses[10], rel=1e-9)

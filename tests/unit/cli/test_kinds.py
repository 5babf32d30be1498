"""What the models in checkpoints are, by what the checkpoints say of themselves."""

import pytest
from saved import save_model, save_pair, save_translation

from fairseq_dsl.errors import BadInput
from fairseq_dsl.inference import Weights
from fairseq_dsl_cli import kinds


class TestModels:
    """What is refused by what the checkpoints say of themselves."""

    @pytest.fixture(scope="class")
    def folder(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("models")
        save_translation(folder / "de-en.pt", "de", "en")
        save_translation(folder / "en-de.pt", "en", "de")
        save_pair(folder / "pair.pt", "de", "en")
        save_pair(folder / "turned.pt", "en", "de")
        save_pair(folder / "fr.pt", "de", "fr")
        save_model(folder / "lm.de.pt", "language_modeling", data="data/lm.de")
        save_model(folder / "lm.en.pt", "language_modeling", data="data/lm.en")
        return folder

    @pytest.mark.parametrize(
        ("name", "expected", "found"),
        [
            ("en-de", ["de-en"], "a translation model for en-de"),
            ("pair", ["de-en"], "a pair for de-en and en-de"),
            ("lm.de", ["de-en"], "a language model of data/lm.de"),
            ("de-en", ["de-en", "en-de"], "a translation model for de-en"),
            ("fr", ["de-en", "en-de"], "a pair for de-fr and fr-de"),
        ],
    )
    def test_of_evaluation_are_what_their_place_says(self, folder, name, expected, found):
        path = str(folder / f"{name}.pt")
        with pytest.raises(BadInput, match=f"--system x: {path}: expected .*{expected[0]}.*, found {found}"):
            kinds.check_translates(path, "--system x:", expected, pair=len(expected) == 2)

    def test_of_evaluation_pass_where_they_fit(self, folder):
        assert kinds.check_translates(str(folder / "en-de.pt"), "--system", ["en-de"], pair=False) is None
        for name, source in (("pair", "de"), ("turned", "en")):
            trained = kinds.check_translates(str(folder / f"{name}.pt"), "--system", ["de-en", "en-de"], pair=True)
            assert trained.source == source

    def test_of_a_pair_name_its_language_models_that_are_there(self, folder, tmp_path):
        lm = str(folder / "lm.de.pt")
        path = save_pair(tmp_path / "pair.pt", "de", "en", source_lm=lm, target_lm="gone.pt")
        trained = kinds.check_translates(path, "--system", ["de-en"], pair=True)
        assert trained.language_models == {"--source-lm": lm} and trained.marginal_files == [lm]

    def test_of_a_pair_name_the_files_of_the_scores_that_it_was_given(self, tmp_path):
        scores = tmp_path / "scores"
        scores.mkdir()
        (scores / "test.de").write_text("-1\n")
        given = f"scores:{scores}"
        path = save_pair(tmp_path / "pair.pt", "de", "en", source_lm=given, target_lm=given)
        trained = kinds.check_translates(path, "--system", ["de-en"], pair=True)
        assert trained.language_models == {} and trained.marginal_files == [str(scores / "test.de")]

    def test_of_a_pair_say_how_it_was_tuned(self, tmp_path):
        model = {"_name": "dual_translation", "pair": {"de-en": {}, "en-de": {}}}
        model["dual_inference"] = {"en-de": {"reverse": 0.4}}
        path = save_model(tmp_path / "pair.pt", "dual_translation", model, source_lang="de", target_lang="en")
        assert kinds.check_translates(path, "--system", ["de-en"], pair=True).tuned == {"en-de": Weights(0.4)}

    def test_of_the_gap_are_two_language_models(self, folder, data, tmp_path):
        lm, copy = folder / "lm.de.pt", tmp_path / "copy.pt"
        copy.write_bytes(lm.read_bytes())

        def check(second):
            given = {"--source-lm": str(lm), "--target-lm": str(second)}
            return kinds.check_language_models(given, ("de", "en"), data)

        assert [*check(folder / "lm.en.pt")] == ["de", "en"]
        with pytest.raises(BadInput, match="are the same file, or its copy"):
            check(copy)
        with pytest.raises(BadInput, match="--target-lm .*gone.pt: no such file"):
            check("gone.pt")
        with pytest.raises(BadInput, match="--target-lm .*expected a language model, found a translation model"):
            check(folder / "de-en.pt")
        with pytest.raises(BadInput, match="--target-lm scores:gone: no such folder"):
            check("scores:gone")
        assert check(f"scores:{tmp_path}")["en"].refuses_samples

"""Two translation checkpoints that make a pair: which ones do, and with which dictionaries."""

import pytest
import tiny
import torch
from saved import save_model, save_pair, save_translation

from fairseq_dsl.checkpoints import Checkpoint
from fairseq_dsl.directions import Direction
from fairseq_dsl.errors import BadInput
from fairseq_dsl.vocabulary import NAME as DICTIONARIES
from fairseq_dsl.vocabulary import dictionaries_of
from fairseq_dsl_cli import joining
from fairseq_dsl_cli.main import run

WORDS = {"de": ["w1", "w2", "w3"], "en": ["v1", "v2"]}


def symbols(language, words=()):
    return tiny.dictionary(words or WORDS[language])


def save_dictionaries(folder, **others):
    folder.mkdir(exist_ok=True)
    for language in WORDS:
        symbols(language, others.get(language)).save(str(folder / f"dict.{language}.txt"))
    return str(folder)


def save_side(path, source, target, carried=None, **settings):
    """A translation checkpoint with embeddings of the right sizes, and with the dictionaries that it is to contain."""
    rows = {"encoder": len(symbols(source)), "decoder": len(symbols(target))}
    parameters = {f"{side}.embed_tokens.weight": torch.zeros(count, 2) for side, count in rows.items()}
    save_model(path, "translation", None, parameters, source_lang=source, target_lang=target, **settings)
    if carried:
        state = torch.load(path)
        state[DICTIONARIES] = {language: list(symbols(language, words).symbols) for language, words in carried.items()}
        torch.save(state, path)
    return str(path)


@pytest.fixture
def pair(tmp_path):
    """The paths of two checkpoints whose data folder is gone."""
    return [save_side(tmp_path / f"{s}-{t}.pt", s, t, data="gone") for s, t in (("de", "en"), ("en", "de"))]


def found(paths, data=None):
    return dictionaries_of(joining.models_of(paths), data)


class TestModels:
    def test_the_first_checkpoint_is_the_primal_direction(self, pair):
        assert list(map(str, joining.models_of(pair))) == ["de-en", "en-de"]
        assert list(map(str, joining.models_of(pair[::-1]))) == ["en-de", "de-en"]

    @pytest.mark.parametrize(
        ("source", "target", "message"),
        [
            ("de", "en", "both translate de-en"),
            ("fr", "de", "translate de-en and fr-de"),
            ("de", "fr", "translate de-en and de-fr"),
        ],
    )
    def test_the_second_one_must_be_its_reverse(self, pair, tmp_path, source, target, message):
        other = save_translation(tmp_path / "other.pt", source, target)
        with pytest.raises(BadInput, match=message):
            joining.models_of([pair[0], other])

    def test_languages_are_those_of_the_flags_where_checkpoints_say_none(self, tmp_path):
        paths = [save_translation(tmp_path / name, None, None) for name in ("a.pt", "b.pt")]
        assert list(map(str, joining.models_of(paths, Direction("de", "en")))) == ["de-en", "en-de"]
        with pytest.raises(BadInput, match="a.pt: does not say which languages .* --source-lang and --target-lang"):
            joining.models_of(paths)

    def test_languages_of_the_flags_must_be_those_of_the_checkpoints(self, pair):
        with pytest.raises(BadInput, match="de-en.pt: translates de-en, but by --source-lang .* en-de"):
            joining.models_of(pair, Direction("en", "de"))

    def test_refuses_pairs_language_models_and_others(self, pair, tmp_path):
        others = {
            "a pair for de-en and en-de; fairseq-dsl export": save_pair(tmp_path / "dual.pt", "de", "en"),
            "a language model of data": save_model(tmp_path / "lm.pt", "language_modeling", data="data"),
            "an architecture of fairseq": save_model(tmp_path / "odd.pt", "translation", {"_name": "odd"}),
        }
        for message, path in others.items():
            for paths in ([path, pair[1]], [pair[0], path]):
                with pytest.raises(BadInput, match=message):
                    joining.models_of(paths)


class TestDictionaries:
    def test_those_that_a_checkpoint_contains(self, pair, tmp_path):
        save_side(pair[1], "en", "de", carried={"en": WORDS["en"], "de": WORDS["de"]}, data="gone")
        assert {language: d.symbols for language, d in found(pair).items()} == {
            language: symbols(language).symbols for language in WORDS
        }

    def test_those_of_the_folder_that_is_given(self, pair, tmp_path):
        assert found(pair, save_dictionaries(tmp_path / "bin"))["de"].symbols == symbols("de").symbols

    def test_those_beside_a_checkpoint_or_of_its_training(self, pair, tmp_path):
        save_side(pair[0], "de", "en", data=save_dictionaries(tmp_path / "bin"))
        assert found(pair)["en"].symbols == symbols("en").symbols
        save_dictionaries(tmp_path)  # beside both
        save_side(pair[0], "de", "en", data="gone")
        assert found(pair)["en"].symbols == symbols("en").symbols

    def test_asks_for_a_folder_where_none_is_known(self, pair):
        with pytest.raises(BadInput, match="contain no de dictionary, .* expected --data DATA_BIN"):
            found(pair)

    def test_refuses_a_folder_without_them(self, pair, tmp_path):
        (tmp_path / "empty").mkdir()
        with pytest.raises(BadInput, match="--data .*empty: contains no dict.de.txt"):
            found(pair, str(tmp_path / "empty"))

    def test_refuses_checkpoints_with_two(self, pair):
        for path, source, words in ((pair[0], "de", ["w1", "w2", "w3"]), (pair[1], "en", ["w1", "w2", "x"])):
            target = "en" if source == "de" else "de"
            save_side(path, source, target, carried={source: None, target: None, "de": words}, data="gone")
        with pytest.raises(BadInput, match="en-de.pt: expected the de dictionary .* found another: symbol 6 is 'w3'"):
            found(pair)

    def test_refuses_another_than_that_of_the_training(self, pair, tmp_path):
        save_side(pair[1], "en", "de", data=save_dictionaries(tmp_path / "bin", en=["v1", "y"]))
        with pytest.raises(BadInput, match="dict.en.txt of checkpoint .*en-de.pt: expected the en .* of --data"):
            found(pair, save_dictionaries(tmp_path / "other"))

    def test_refuses_another_than_a_checkpoint_contains(self, pair, tmp_path):
        save_side(pair[0], "de", "en", carried=WORDS, data="gone")
        with pytest.raises(BadInput, match="--data .*dict.de.txt: expected the de dictionary of checkpoint .*de-en.pt"):
            found(pair, save_dictionaries(tmp_path / "other", de=["w1", "w2", "z"]))

    def test_refuses_one_of_another_size_than_the_models(self, pair, tmp_path):
        data = save_dictionaries(tmp_path / "bin", de=["w1", "w2", "w3", "w4"])
        with pytest.raises(BadInput, match="de-en.pt: expected .* the 8 symbols of the de .* found one with 7"):
            found(pair, data)

    def test_says_so_where_a_checkpoint_cannot_be_held_against_them(self, pair, tmp_path, caplog):
        found(pair, save_dictionaries(tmp_path / "bin"))
        assert "en-de.pt: cannot tell whether it was trained with the de dictionary of --data" in caplog.text


def test_the_pair_says_what_it_was_made_of(pair, tmp_path, capsys):
    data = save_dictionaries(tmp_path / "bin")
    assert not run(["join", *pair, str(tmp_path / "new" / "dual.pt"), "--data", data])
    assert "dual.pt: de-en and en-de" in capsys.readouterr().out
    made = Checkpoint(str(tmp_path / "new" / "dual.pt"), "--path")
    assert list(made.pair) == ["de-en", "en-de"]
    assert made.dictionaries["en"].symbols == symbols("en").symbols

"""Home Assistant's text: which wheel, which pairs, and which of them are held out."""

import json
import zipfile

import pytest
from recipes import homeassistant, run_recipe

from fairseq_dsl_cli.preparing import text
from fairseq_dsl_cli.preparing.options import RecipeError


def test_another_wheel_is_refused(tmp_path):
    (tmp_path / homeassistant.WHEEL).write_bytes(b"something else")
    done = run_recipe("homeassistant", "--raw", ".", cwd=tmp_path)
    assert done.returncode == 1 and f"expected sha256 {homeassistant.SHA256}" in done.stderr


def wheel_of(path, texts):
    """A wheel with one component for each (German, English) pair of `texts`."""
    with zipfile.ZipFile(path, "w") as wheel:
        for number, pair in enumerate(texts):
            for lang, text in zip(("de", "en"), pair):
                name = f"homeassistant/components/c{number:04}/translations/{lang}.json"
                wheel.writestr(name, json.dumps({"config": {"step": {"title": text}}}))
        wheel.writestr("homeassistant/components/c0000/translations/fr.json", json.dumps({"other": "Autre"}))
        # The same path of keys in two components is not the same text.
        wheel.writestr(
            "homeassistant/components/only/translations/en.json", json.dumps({"config": {"step": {"title": "x"}}})
        )
    return path


def test_homeassistant_drops_what_teaches_nothing(capsys):
    pairs = [
        ("Batterie {n} leer", "Battery {n} low"),
        ("Gerät **hier** suchen", "Find the device **here**"),
        ("Siehe [hier](x)", "See [here](x)"),
        ("Phase L1", "phase L 1"),
        ("Zeile\nzwei", "line\ntwo"),
        ("12 %", "12%"),
        ("lang " * 61, "long"),
        ("Alarm 1 scharf", "Alarm 1 armed"),
        ("Alarm 2 scharf.", "Alarm 2 armed."),
        ("Alarm 1 scharf", "Alarm 1 on"),
        (" Tür  offen\n", "Door open"),
    ]
    assert homeassistant.select_pairs(pairs) == [
        ("Alarm 1 scharf", "Alarm 1 armed"),
        ("Alarm 1 scharf", "Alarm 1 on"),
        ("Tür offen", "Door open"),
    ]
    assert (
        "kept 3 of 11 distinct pairs; dropped: placeholder 1, markup or address 2, not translated 1, several lines 1, "
        "empty or no letters 1, over 60 words 1, near-duplicate 1"
    ) in capsys.readouterr().out


def test_homeassistant_holds_out_sentences_that_training_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(homeassistant, "MIN_PAIRS", 100)
    words = [
        (a + b, c + d) for a, c in zip("KLMN", "klmn") for b, d in zip(["und", "ant", "eber"], ["ot", "ap", "ist"])
    ]
    texts = [
        (f"{x[0]} ist {n} mal {y[0]}", f"{x[1]} is {n} times {y[1]}") for x in words for y in words for n in (1, 2)
    ]
    texts += [
        (f"{x[0]} Mal, {y[0]} 7 ist", f"{x[1]} is times: {y[1]} 3") for x in words for y in words
    ]  # same English letters
    texts += [("Kurz " + x[0], "Short " + x[1]) for x in words]
    splits = homeassistant.make_splits(wheel_of(tmp_path / "w.zip", texts), "de")
    assert len(splits["valid"]) == len(splits["test"]) == (2 * 144 + 12) // 20
    assert all(len(english.split()) >= 4 for split in ("valid", "test") for _, english in splits[split])
    assert {"short kot"} < {homeassistant.letters(english) for _, english in splits["train"]}
    for side in (0, 1):
        train, valid, test = ({homeassistant.letters(p[side]) for p in splits[s]} for s in text.SPLITS)
        assert not test & (train | valid) and not valid & train


@pytest.mark.parametrize(
    "lang, message", [("xx", "Home Assistant has de, fr"), ("fr", "expected at least 1,000 sentence pairs, found 0")]
)
def test_homeassistant_says_which_languages_there_are(tmp_path, lang, message):
    with pytest.raises(RecipeError, match=message):
        homeassistant.make_splits(wheel_of(tmp_path / "w.zip", [("Tür", "Door")]), lang)

"""CTranslate2 translates with an exported direction as fairseq does with the pair."""

import ctranslate2
import pytest
from commands import generate, plugin_command


@pytest.mark.parametrize("direction", ["de-en", "en-de"])
def test_finds_the_hypotheses_of_fairseq(chain, dual, tmp_path, direction):
    plugin_command("export", dual, "--direction", direction, "--format", "ctranslate2", tmp_path / "out")
    expected = generate(chain.data, direction, dual).hypotheses()
    sources = [pair[direction == "en-de"].split() for pair in chain.pairs["test"]]
    translator = ctranslate2.Translator(str(tmp_path / "out"))
    found = translator.translate_batch(sources, beam_size=3, max_decoding_length=200)
    for n, (source, each) in enumerate(zip(sources, found)):  # what is empty stays empty there
        assert " ".join(each.hypotheses[0]) == (expected[n] if source else "")

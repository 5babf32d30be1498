import pytest
import tiny


@pytest.fixture(scope="session")
def lms(tmp_path_factory):
    """Checkpoints of language models by language."""
    folder = tmp_path_factory.mktemp("lms")
    flags = ["--tokens-per-sample", "64"]
    return {
        language: tiny.language_model(folder / language, tiny.dictionary(words), "lstm_lm", flags, seed=3)[0]
        for language, words in tiny.WORDS.items()
    }

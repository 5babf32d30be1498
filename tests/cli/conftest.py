"""A small chain, trained once: data, language models, warm starts, and the pair that DSL makes of them."""

import pytest
from bad import make_bad
from commands import binarize_for_lm, dsl_flags, make_chain, sentence_pairs, train, write_pairs

TEST_PAIRS = 37  # no multiple of 8, which fairseq's main branch would cut the last batch at


@pytest.fixture(scope="session")
def pairs():
    """Sentence pairs by split; in the test set one side or the other is empty in two lines."""
    test = list(sentence_pairs(TEST_PAIRS - 2, seed=3))
    test[20:20] = [("", "v0x"), ("w0", "")]
    return {"train": list(sentence_pairs(96, seed=1)), "valid": list(sentence_pairs(13, seed=2)), "test": test}


@pytest.fixture(scope="session")
def chain(tmp_path_factory, pairs):
    """With a joined dictionary."""
    return make_chain(tmp_path_factory.mktemp("joined"), pairs, updates=60)


@pytest.fixture(scope="session")
def separate(tmp_path_factory, pairs):
    """With a dictionary for each language."""
    return make_chain(tmp_path_factory.mktemp("separate"), pairs, joined=False)


@pytest.fixture(scope="session")
def dual(chain, tmp_path_factory):
    """A checkpoint that DSL made; not to be changed."""
    folder = tmp_path_factory.mktemp("dual")
    train(chain.data, *dsl_flags(chain), "--max-epoch", 2, "--save-dir", folder)
    return folder / "checkpoint_last.pt"


@pytest.fixture(scope="session")
def bad(chain, separate, tmp_path_factory):
    """Files and folders that are wrong in one way each, by name; not to be changed."""
    return make_bad(tmp_path_factory.mktemp("bad"), chain, separate)


@pytest.fixture(scope="session")
def mono_text():
    """Monolingual sentences, no two the same: fewer de than there are pairs in an epoch, more en."""
    sides = list(zip(*sentence_pairs(700, seed=4)))
    distinct = [list(dict.fromkeys(side)) for side in sides]
    return {"de": distinct[0][:40], "en": distinct[1][:400]}


@pytest.fixture(scope="session")
def mono(chain, mono_text, tmp_path_factory):
    """The folder of each language's monolingual sentences, among them an empty and a long one."""
    folder, found = tmp_path_factory.mktemp("mono"), {}
    for language, sentences in mono_text.items():
        long = " ".join([sentences[0].split()[0]] * 70)
        lines = [*sentences[:7], "", *sentences[7:], long]
        write_pairs(folder / language / "train", [(line, line) for line in lines])
        write_pairs(folder / language / "valid", chain.pairs["valid"])
        dictionary = chain.data / f"dict.{language}.txt"
        found[language] = binarize_for_lm(folder / language, language, dictionary, folder / f"bin.{language}")
    return found

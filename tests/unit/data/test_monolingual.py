"""Monolingual data: dealt out to the batches of the pairs, every sentence in its turn."""

import os
from collections import Counter

import numpy as np
import pytest
import tiny

from fairseq_dsl.data import MonolingualData
from fairseq_dsl.errors import BadInput

SYMBOLS = tiny.dictionary(tiny.WORDS["de"])
SENTENCES = [side for side, _ in tiny.random_pairs(23, seed=8)]
PAIRS = np.array([3, 0, 11, 7, 20, 5, 6, 14, 9, 2])  # those that are trained on, of a larger data set
SIZES = np.array([4, 9, 2, 2, 7, 5, 3, 12, 4, 8])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny.write_monolingual(tmp_path_factory.mktemp("mono"), SENTENCES, SYMBOLS)


def load(folder, ratio=1.0, limit=100, seed=1, symbols=SYMBOLS):
    return MonolingualData(str(folder), "--source-mono", "de", symbols, limit, ratio, seed)


def dealt(data, epoch, batches=None):
    """The numbers of the sentences that the epoch deals to each pair."""
    data.deal(epoch, PAIRS, SIZES)
    found = {}
    for pair in PAIRS:
        batch = data.batch(np.array([pair]), left_pad=True)
        found[pair] = [] if batch is None else sorted(batch["id"].tolist())
    return found


def numbers(by_pair):
    return [number for numbers in by_pair.values() for number in numbers]


RATIOS = (0.3, 1.0, 2.5)


class TestDealing:
    @pytest.mark.parametrize("ratio", [*RATIOS, 0.05, 7.0])
    def test_every_sentence_has_its_turn_before_any_has_its_next(self, folder, ratio):
        """After any epoch all have been dealt equally often, but for the pass that has been begun."""
        data, found = load(folder, ratio), Counter(dict.fromkeys(range(len(SENTENCES)), 0))
        for epoch in range(1, 40):
            found.update(numbers(dealt(data, epoch)))
            assert sum(found.values()) == int(len(PAIRS) * ratio * epoch)
            assert max(found.values()) - min(found.values()) <= 1
            assert len(found) == len(SENTENCES)

    @pytest.mark.parametrize("ratio", RATIOS)
    def test_each_pair_has_its_share(self, folder, ratio):
        data = load(folder, ratio)
        for epoch in (1, 2, 5):
            counts = [len(found) for found in dealt(data, epoch).values()]
            assert max(counts) - min(counts) <= 1

    def test_each_pass_has_an_order_of_its_own(self, folder):
        """The ten sentences that come first in a pass differ from pass to pass, and from seed to seed."""
        first = [tuple(load(folder)._stream(23 * number, 23 * number + 10)) for number in range(5)]
        assert len(set(first)) == 5
        assert tuple(load(folder, seed=2)._stream(0, 10)) != first[0]
        for number in range(5):
            assert sorted(load(folder)._stream(23 * number, 23 * (number + 1))) == list(range(23))

    def test_short_sentences_go_to_short_pairs(self, folder):
        data = load(folder, ratio=2.0)
        found = dealt(data, 3)
        lengths = [sorted(len(SENTENCES[n]) for n in found[pair]) for pair in PAIRS[np.argsort(SIZES, kind="stable")]]
        in_order = [length for group in lengths for length in group]
        assert in_order == sorted(in_order) and in_order[0] < in_order[-1]

    @pytest.mark.parametrize("ratio", RATIOS)
    def test_does_not_depend_on_batches_or_their_order(self, folder, ratio):
        data = load(folder, ratio)
        wanted = dealt(data, 2)
        for seed, size in ((0, 1), (1, 3), (2, 4), (3, 10)):
            rows = np.random.RandomState(seed).permutation(PAIRS)
            for batch_rows in np.split(rows, range(size, len(rows), size)):
                batch = data.batch(batch_rows, left_pad=True)
                found = [] if batch is None else batch["id"].tolist()
                assert sorted(found) == sorted(number for pair in batch_rows for number in wanted[pair])

    @pytest.mark.parametrize("ratio", RATIOS)
    def test_a_resumed_run_is_dealt_what_the_uninterrupted_one_is(self, folder, ratio):
        data = load(folder, ratio)
        for epoch in range(1, 8):
            assert dealt(load(folder, ratio), epoch) == dealt(data, epoch)
        assert dealt(data, 2) == dealt(load(folder, ratio), 2)  # also backwards

    def test_leaves_the_global_generator_alone(self, folder):
        np.random.seed(9)
        wanted = np.random.rand()
        np.random.seed(9)
        dealt(load(folder), 3)
        assert np.random.rand() == wanted

    def test_pairs_that_are_not_trained_on_get_none(self, folder):
        data = load(folder, ratio=3.0)
        data.deal(1, PAIRS, SIZES)
        others = np.setdiff1d(np.arange(PAIRS.max()), PAIRS)
        assert data.batch(others, left_pad=True) is None

    @pytest.mark.parametrize("left_pad", [True, False])
    def test_a_batch_is_one_of_sources(self, folder, left_pad):
        data = load(folder, ratio=2.0)
        data.deal(1, PAIRS, SIZES)
        batch = data.batch(PAIRS, left_pad)
        tokens, lengths = batch["net_input"]["src_tokens"], batch["net_input"]["src_lengths"]
        assert len(batch["id"]) == len(set(batch["id"].tolist())) == 20
        assert lengths.tolist() == sorted(lengths.tolist(), reverse=True)
        for number, row, length in zip(batch["id"].tolist(), tokens, lengths.tolist()):
            wanted = tiny.encode(SENTENCES[number], SYMBOLS).tolist()
            assert row[-length:].tolist() == wanted if left_pad else row[:length].tolist() == wanted
            assert (row != SYMBOLS.pad()).sum() == len(wanted) == length


class TestWhatIsKept:
    MIXED = [["w1"], [], ["w1", "w2", "w3"], ["w4"] * 9, [], ["w5"] * 3, ["w6"] * 4]

    def test_neither_empty_nor_too_long_sentences(self, tmp_path):
        data = load(tiny.write_monolingual(tmp_path, self.MIXED, SYMBOLS), limit=4)
        assert data.left_out == {"empty": 2, "longer than 4 tokens": 2}
        assert data.kept.tolist() == [0, 2, 5]
        assert Counter(numbers(dealt(data, 1))).keys() == {0, 2, 5}

    def test_all_where_none_is_empty_or_too_long(self, folder):
        data = load(folder, limit=10)
        assert data.left_out == {"empty": 0, "longer than 10 tokens": 0}
        assert data.kept.tolist() == list(range(len(SENTENCES)))

    def test_nothing_is_refused(self, tmp_path):
        path = tiny.write_monolingual(tmp_path, self.MIXED, SYMBOLS)
        with pytest.raises(BadInput) as error:
            load(path, limit=1)
        assert str(error.value).startswith(f"--source-mono {path}: expected sentences of at most 1 tokens, found ")
        assert str(error.value).endswith("found 2 empty, 5 longer than 1 tokens")


class TestRefused:
    """By a message that names the flag and the folder, what was found and what was expected."""

    def message(self, path, symbols=SYMBOLS):
        with pytest.raises(BadInput) as error:
            load(path, symbols=symbols)
        assert str(error.value).startswith(f"--source-mono {path}: ")
        return str(error.value)

    def test_no_folder(self, tmp_path):
        message = self.message(tmp_path / "none")
        assert "no such folder; expected the output of fairseq-preprocess --only-source" in message

    @pytest.mark.parametrize("missing", ["dict.txt", "train.idx"])
    def test_a_missing_file(self, tmp_path, missing):
        path = tiny.write_monolingual(tmp_path, SENTENCES, SYMBOLS)
        os.remove(tmp_path / missing)
        message = self.message(path)
        assert f"contains no {missing}" in message and "fairseq-preprocess --only-source --srcdict" in message

    @pytest.mark.parametrize("words", [tiny.WORDS["de"][:-1], [*tiny.WORDS["de"], "w99"], tiny.WORDS["en"][:11]])
    def test_another_vocabulary(self, tmp_path, words):
        path = tiny.write_monolingual(tmp_path, [words[:3]], tiny.dictionary(words))
        message = self.message(path)
        assert "another vocabulary" in message and "the de dictionary" in message and "--srcdict" in message

    def test_the_same_words_in_another_order(self, tmp_path):
        symbols = tiny.Dictionary()
        for word in reversed(sorted(tiny.WORDS["de"])):
            symbols.add_symbol(word)
        assert "another vocabulary" in self.message(tiny.write_monolingual(tmp_path, SENTENCES, symbols))

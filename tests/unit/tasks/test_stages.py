"""Data that a pair learns from, through the task, as fairseq's commands read them."""

import os
from collections import Counter

import pytest
import tiny

from fairseq_dsl.errors import BadInput

SYMBOLS = tiny.dictionary(tiny.WORDS["de"])
SENTENCES = [side for side, _ in tiny.random_pairs(23, seed=8)]


class TestMonolingualText:
    """Beside the pairs, as ``fairseq-train`` reads both."""

    TEXT = {"de": SENTENCES, "en": [side for _, side in tiny.random_pairs(31, seed=9)]}

    @pytest.fixture(scope="class")
    def folders(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("mono")
        return {
            language: tiny.write_monolingual(folder / language, sentences, tiny.dictionary(tiny.WORDS[language]))
            for language, sentences in self.TEXT.items()
        }

    def training(self, data, **settings):
        made = tiny.pair(data, **settings)
        tiny.learns_by(made, "back_translation_cross_entropy")
        return made

    def iterator(self, made, split="train", epoch=1, **settings):
        made.task.load_dataset(split, epoch=epoch)
        limits = made.task.stage.limits
        settings = dict(max_tokens=40, max_positions=limits, seed=1, epoch=epoch, **settings)
        return made.task.get_batch_iterator(made.task.dataset(split), **settings)

    def found(self, batches):
        return {
            language: {
                tuple(sorted(batch["id"].tolist())): []
                if batch["monolingual"][language] is None
                else sorted(batch["monolingual"][language]["id"].tolist())
                for batch in batches
            }
            for language in batches[0]["monolingual"]
        }

    def test_batches_carry_both_languages_at_the_ratio(self, data, folders):
        made = self.training(data, source_mono=folders["de"], target_mono=folders["en"], mono_ratio=2.0)
        iterator = self.iterator(made)
        for _ in range(3):
            batches = list(iterator.next_epoch_itr())
            assert sum(len(batch["id"]) for batch in batches) == len(tiny.PAIRS)
            for by_batch in self.found(batches).values():
                dealt = Counter(number for numbers in by_batch.values() for number in numbers)
                assert sum(dealt.values()) == 2 * len(tiny.PAIRS)
                assert all(len(numbers) == 2 * len(pairs) for pairs, numbers in by_batch.items())

    def test_epochs_differ_and_are_the_same_in_a_resumed_run(self, data, folders):
        made = self.training(data, source_mono=folders["de"])
        iterator = self.iterator(made)
        found = [self.found(list(iterator.next_epoch_itr())) for _ in range(4)]
        assert found[0] != found[1] != found[2]
        assert all(set(epoch) == {"de"} for epoch in found)
        for epoch in (2, 4):
            resumed = self.training(data, source_mono=folders["de"])
            assert self.found(list(self.iterator(resumed, epoch=epoch).next_epoch_itr())) == found[epoch - 1]

    def test_loading_processes_see_a_new_epoch(self, data, folders):
        made = self.training(data, source_mono=folders["de"])
        iterators = [self.iterator(made, num_workers=count) for count in (0, 1)]
        wanted, found = ([self.found(list(iterator.next_epoch_itr())) for _ in range(3)] for iterator in iterators)
        assert found == wanted

    def test_validation_has_none(self, data, folders):
        made = self.training(data, source_mono=folders["de"], target_mono=folders["en"])
        batches = list(self.iterator(made, "valid").next_epoch_itr())
        assert batches and not any("monolingual" in batch for batch in batches)

    def test_a_method_that_learns_from_pairs_alone_has_none_and_says_so(self, data, folders, caplog):
        made = tiny.pair(data, source_mono=folders["de"])
        with caplog.at_level("WARNING"):
            tiny.learns_by(made, "minimum_risk")
        assert any(
            "--source-mono: not used, --criterion minimum_risk" in record.getMessage() for record in caplog.records
        )
        assert not any("monolingual" in batch for batch in list(self.iterator(made).next_epoch_itr()))

    def test_what_is_left_out_is_said(self, data, tmp_path, caplog):
        mono = tiny.write_monolingual(tmp_path, [["w1"], [], ["w2"] * 50], SYMBOLS)
        with caplog.at_level("WARNING"):
            made = self.training(data, source_mono=mono, max_source_positions=20)
        lines = [record.getMessage() for record in caplog.records if "are skipped" in record.getMessage()]
        assert lines == [
            f"--source-mono {mono}: 1 empty sentences of 3 are skipped",
            f"--source-mono {mono}: 1 longer than 20 tokens sentences of 3 are skipped",
        ]
        assert len(made.data.monolingual["de"].kept) == 1

    def test_shards_of_different_sizes_share_one_stream(self, tmp_path, folders):
        """No sentence has its next turn before all have had theirs, whichever shard an epoch reads."""
        for shard, size in (("a", 5), ("b", 13)):
            tiny.write_data(tmp_path / shard, tiny.PAIRS[:size])
        made = self.training(f"{tmp_path / 'a'}:{tmp_path / 'b'}", source_mono=folders["de"])
        found = Counter(dict.fromkeys(range(len(SENTENCES)), 0))
        for epoch in range(1, 7):
            batches = list(self.iterator(made, epoch=epoch).next_epoch_itr())
            found.update(number for numbers in self.found(batches)["de"].values() for number in numbers)
            assert max(found.values()) - min(found.values()) <= 1, epoch


class TestTextOfTheWrongLanguage:
    """With a joined dictionary, the words alone say which language it is."""

    def training(self, data, joined_words, text, flag):
        symbols = tiny.dictionary(joined_words)
        made = tiny.pair(
            data, **{flag: tiny.write_monolingual(os.path.join(data, f"mono-{flag}-{len(text)}"), text, symbols)}
        )
        return tiny.learns_by(made, "back_translation_cross_entropy")

    @pytest.mark.parametrize("flag, column", [("source_mono", 0), ("target_mono", 1)])
    def test_is_refused(self, joined, flag, column):
        words = [word for pair in tiny.PAIRS for side in pair for word in side]
        sides = list(zip(*tiny.PAIRS))
        self.training(joined, words, sides[column], flag)
        flag_name = "--" + flag.replace("_", "-")
        with pytest.raises(BadInput, match=f"^{flag_name} .*looks like {('en', 'de')[column]}"):
            self.training(joined, words, sides[1 - column][:-1], flag)

    def test_is_impossible_with_two_dictionaries(self, tmp_path):
        """Whose numbers mean nothing to each other: one's rare words have those of the other's frequent ones."""
        pairs = [(["w0"] * 5, ["v3"] * 5), (["w0", "w3"], ["v3", "v0"])] * 5
        dictionaries = {language: tiny.dictionary(tiny.WORDS[language]) for language in ("de", "en")}
        tiny.write_data(tmp_path / "data", pairs, dictionaries)
        number = dictionaries["en"].index("v3")
        rare = dictionaries["de"][number]
        mono = tiny.write_monolingual(tmp_path / "mono", [[rare] * 4], dictionaries["de"])
        made = tiny.pair(str(tmp_path / "data"), source_mono=mono)
        tiny.learns_by(made, "back_translation_cross_entropy")
        assert len(made.data.monolingual["de"].kept) == 1

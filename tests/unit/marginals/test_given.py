"""Scores that stand in files: a line for each sentence, for the sentences of the data and no others."""

import numpy as np
import pytest
import tiny
import torch

from fairseq_dsl.errors import BadInput
from fairseq_dsl.marginals.given import GivenScores

CPU = torch.device("cpu")
COUNT = len(tiny.PAIRS)


def values(seed):
    return -50 * np.random.RandomState(seed).rand(COUNT)


def write(folder, name, scores):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text("".join(f"{score!r}\n" for score in np.asarray(scores).tolist()))


@pytest.fixture
def given(corpus):
    """A folder with scores of both languages of the corpus, as a flag names it."""
    for seed, language in enumerate(("de", "en")):
        write(corpus.folder / "scores", f"train.{language}", values(seed))
    return f"scores:{corpus.folder / 'scores'}"


def load(value, language="de"):
    return GivenScores(value, "--source-lm", language, tiny.dictionary(tiny.WORDS["de"]), CPU)


class TestOfASplit:
    def test_are_the_lines_of_each_language_and_not_cached(self, corpus, given):
        found = corpus.scores(paths={"de": given, "en": given})
        for seed, language in enumerate(("de", "en")):
            np.testing.assert_array_equal(found[language], values(seed))
        assert not (corpus.folder / "cache").exists()

    def test_are_read_again_when_they_change(self, corpus, given):
        corpus.scores(paths={"de": given, "en": given})
        write(corpus.folder / "scores", "train.de", values(7))
        np.testing.assert_array_equal(corpus.scores(paths={"de": given, "en": given})["de"], values(7))

    def test_stand_beside_a_model_of_the_other_language(self, corpus, given):
        found = corpus.scores(paths={"de": given, "en": corpus.paths["en"]})
        np.testing.assert_array_equal(found["de"], values(0))
        np.testing.assert_array_equal(found["en"], corpus.scores()["en"])

    def test_leave_the_model_beside_them_checked(self, corpus, given):
        """As far as it can be: a model of another dictionary finds the words unlikely."""
        other = tiny.dictionary([])
        for word in [*tiny.WORDS["de"], *tiny.WORDS["en"]]:
            other.add_symbol(word)
        (corpus.folder / "en" / "dict.txt").unlink()
        corpus.symbols = other
        with pytest.raises(BadInput, match="--target-lm .*en/lm.pt: looks like a model of another dictionary"):
            corpus.scores(paths={"de": given, "en": corpus.paths["en"]})

    def test_of_both_languages_are_not_the_same(self, corpus, given):
        write(corpus.folder / "scores", "train.en", values(0))
        with pytest.raises(BadInput, match="--source-lm scores:.* and --target-lm scores:.*: are the same"):
            corpus.scores(paths={"de": given, "en": given})

    @pytest.mark.parametrize("count", [0, COUNT - 1, COUNT + 1])
    def test_are_as_many_as_its_sentences(self, corpus, given, count):
        write(corpus.folder / "scores", "train.en", np.full(count, -1.0))
        message = f"--target-lm .*train.en: expected {COUNT} lines, as train has en sentences, found {count}"
        with pytest.raises(BadInput, match=message):
            corpus.scores(paths={"de": given, "en": given})

    @pytest.mark.parametrize("line", ["", "nan", "-inf", "inf", "0.5", "-1 -2", "minus one", "-1\t", "\xff"])
    def test_are_logarithms_of_probabilities(self, corpus, given, line):
        path = corpus.folder / "scores" / "train.de"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], line, *lines[2:]]), encoding="latin-1")
        if line == "-1\t":  # white space around a number, and no line break at the end, are no matter
            assert corpus.scores(paths={"de": given, "en": given})["de"][1] == -1
            return
        with pytest.raises(
            BadInput, match="--source-lm .*train.de, line 2: expected the natural logarithm .*, found '"
        ):
            corpus.scores(paths={"de": given, "en": given})

    def test_two_on_a_line_do_not_make_up_for_an_empty_one(self, corpus, given):
        path = corpus.folder / "scores" / "train.de"
        for lines in ("-1 -2\n\n" + "-1\n" * (COUNT - 2), "-1\n\n" + "-1\n" * (COUNT - 1)):
            path.write_text(lines)
            with pytest.raises(BadInput, match="train.de, line [12]: expected the natural logarithm"):
                corpus.scores(paths={"de": given, "en": given})

    def test_are_read_without_a_loop_over_them(self, tmp_path, monkeypatch):
        write(tmp_path / "0", "train.de", values(0))
        monkeypatch.setattr(GivenScores, "_log_prob", None)
        np.testing.assert_array_equal(load(f"scores:{tmp_path / '0'}").of_split("train", 0, COUNT), values(0))

    def test_are_named_where_they_are_missing(self, corpus, given):
        (corpus.folder / "scores" / "train.en").unlink()
        message = (
            f"--target-lm scores:.*: no file .*train.en; expected log P of each of the {COUNT} en sentences of train"
        )
        with pytest.raises(BadInput, match=message):
            corpus.scores(paths={"de": given, "en": given})
        with pytest.raises(BadInput, match="--source-lm scores:gone: no such folder 'gone'; expected .* train.de"):
            load("scores:gone")
        with pytest.raises(BadInput, match="--source-lm scores:: no such folder ''"):
            load("scores:")


class TestOfSeveralFolders:
    def test_are_those_of_the_shard(self, tmp_path):
        for shard in range(2):
            write(tmp_path / str(shard), "train.de", values(shard))
        write(tmp_path / "0", "valid.de", [-1.0])
        marginal = load(f"scores:{tmp_path / '0'}:{tmp_path / '1'}")
        for shard in range(2):
            np.testing.assert_array_equal(marginal.of_split("train", shard, COUNT), values(shard))
        assert marginal.of_split("valid", 0, 1).tolist() == [-1.0]

    def test_are_refused_where_a_folder_has_none(self, tmp_path):
        write(tmp_path / "0", "train.de", values(0))
        with pytest.raises(BadInput, match="expected a folder of scores for each data folder .*, found 1"):
            load(f"scores:{tmp_path / '0'}").of_split("train", 1, COUNT)


def test_no_other_sentence_has_a_score(corpus, given):
    marginal = load(given)
    assert marginal.likelihood([torch.tensor([4, 2])]) is None
    for ask in (lambda: marginal.score([torch.tensor([4, 2])]), lambda: marginal.require_samples("x")):
        with pytest.raises(BadInput, match="--source-lm scores:.*: has scores of the sentences of the data alone"):
            ask()


class TestOfAPairThatTrains:
    @pytest.fixture
    def lms(self, given):
        return {"source_lm": given, "target_lm": given}

    def batches(self, made):
        return [part for part in (tiny.batch(made.task.dataset("train")),) for part in (part, part["reverse"])]

    def test_each_batch_has_the_scores_of_its_sentences(self, joined, lms):
        made = tiny.pair(joined, **lms)
        made.task.load_dataset("train")
        for seed, part in zip((1, 0), self.batches(made)):
            assert part["log_marginal"].tolist() == values(seed)[part["id"].numpy()].tolist()

    def test_filtering_keeps_each_sentence_its_own(self, joined, lms):
        made = tiny.pair(joined, **lms)
        made.task.load_dataset("train")
        data = made.task.dataset("train")
        kept = data.filter_indices_by_size(data.ordered_indices(), (5, 5))[0]
        assert 0 < len(kept) < COUNT
        batch = data.collater([data[i] for i in kept])
        for seed, part in zip((1, 0), (batch, batch["reverse"])):
            assert sorted(part["id"].tolist()) == sorted(kept.tolist())
            assert part["log_marginal"].tolist() == values(seed)[part["id"].numpy()].tolist()

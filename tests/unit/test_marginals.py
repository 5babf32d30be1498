"""Language models as marginals: their scores, what they refuse, and the cache that keeps the scores."""

import io
import math
import multiprocessing
import os
import shutil
import zipfile

import numpy as np
import pytest
import tiny
import torch
from fairseq.tasks.language_modeling import LanguageModelingTask
from fairseq_cli.eval_lm import eval_lm

from fairseq_dsl.errors import BadInput
from fairseq_dsl.files import written_atomically
from fairseq_dsl.marginals import NeuralMarginal, ScoreCache, Side, SplitScorer, marginals_of, neural, split
from fairseq_dsl.marginals import cache as cache_module

CPU = torch.device("cpu")
GERMAN, ENGLISH = (tiny.dictionary(tiny.WORDS[language]) for language in ("de", "en"))
SENTENCES = [source for source, _ in tiny.PAIRS]


def load(path, symbols=GERMAN):
    marginal = NeuralMarginal(path, "--source-lm", "de", symbols, CPU)
    marginal.model  # refused here, if at all
    return marginal


class TestScores:
    @pytest.fixture(
        scope="class",
        params=[
            ("transformer_lm", ()),
            ("lstm_lm", ()),
            ("transformer_lm", ("--criterion", "adaptive_loss", "--adaptive-softmax-cutoff", "5,9")),
            ("lstm_lm", ("--criterion", "adaptive_loss", "--adaptive-softmax-cutoff", "5,9")),
            ("transformer_lm", ("--share-decoder-input-output-embed", "--decoder-learned-pos")),
        ],
        ids=lambda param: "-".join((param[0], *param[1][-2:])),
    )
    def scored(self, request, tmp_path_factory):
        """An architecture's checkpoint, and the same model in fairseq's own task."""
        arch, flags = request.param
        folder = str(tmp_path_factory.mktemp("lm"))
        path, model = tiny.language_model(folder, GERMAN, arch, flags, SENTENCES)
        cfg = tiny.configure(folder, "--task", "language_modeling", "--arch", "transformer_lm", "--sample-break-mode", "eos")
        task = LanguageModelingTask.setup_task(cfg.task)
        task.load_dataset("train")
        return load(path), model.eval(), task

    def test_equal_fairseq_eval_lm_for_each_sentence(self, scored):
        model, stock, task = scored
        data = task.dataset("train")
        assert len(data) == len(SENTENCES)
        scores = model.score([tiny.encode(sentence, GERMAN) for sentence in SENTENCES])
        assert scores.dtype == np.float64
        for i, sentence in enumerate(SENTENCES):
            bits = eval_lm([stock], GERMAN, [data.collater([data[i]])], target_dictionary=GERMAN)["loss"]
            assert -scores[i] / (len(sentence) + 1) == pytest.approx(float(bits) * math.log(2), abs=1e-4)

    def test_do_not_depend_on_batch_mates(self, scored):
        model = scored[0]
        encoded = [tiny.encode(sentence, GERMAN) for sentence in SENTENCES]
        tokens = np.array([len(sentence) for sentence in encoded])
        alone = np.concatenate([model.score([sentence]) for sentence in encoded]) / tokens
        np.testing.assert_allclose(model.score(encoded) / tokens, alone, atol=1e-4)
        np.testing.assert_allclose(model.score(encoded[::-1])[::-1] / tokens, alone, atol=1e-4)

    def test_are_of_a_distribution(self, scored):
        """All sentences of no or one word, and what goes on: their probabilities add up to at most 1."""
        model = scored[0]
        short = [torch.tensor([2])] + [torch.tensor([word, 2]) for word in range(len(GERMAN)) if word not in (GERMAN.pad(), 2)]
        total = np.exp(model.score(short)).sum()
        assert 0 < total < 1


def test_a_model_of_not_a_number_is_refused_as_such(tmp_path):
    path, _ = tiny.language_model(tmp_path, GERMAN)
    model = load(path)
    model.model.decoder.embed_tokens.weight.fill_(math.nan)
    with pytest.raises(BadInput, match="--source-lm .*lm.pt: gives a sentence log P = nan"):
        model.score([tiny.encode(SENTENCES[0], GERMAN)])


def test_the_model_is_frozen(tmp_path):
    path, _ = tiny.language_model(tmp_path, GERMAN, flags=["--dropout", "0.5"])
    model = load(path)
    assert not model.model.training and not any(p.requires_grad for p in model.model.parameters())
    sentences = [tiny.encode(SENTENCES[0], GERMAN)]
    assert model.score(sentences) == model.score(sentences)
    assert model.max_length == 16


class TestRefusals:
    @pytest.mark.parametrize(
        "changed, message",
        [
            ({"sample_break_mode": "none"}, "--sample-break-mode none.*--sample-break-mode eos"),
            ({"sample_break_mode": "complete"}, "--sample-break-mode complete"),
            ({"add_bos_token": True}, "--add-bos-token"),
            ({"self_target": True}, "--self-target"),
            ({"past_target": True}, "--past-target"),
            ({"output_dictionary_size": 12}, "--output-dictionary-size 12"),
        ],
    )
    def test_a_model_of_something_else_is_refused_by_its_flag(self, tmp_path, changed, message):
        path, _ = tiny.language_model(tmp_path, GERMAN, changed=changed)
        with pytest.raises(BadInput, match=f"^--source-lm {path}: .*{message}"):
            load(path)

    def test_a_translation_model_is_refused(self, data, tmp_path):
        path, _ = tiny.translation_model(data, tmp_path / "model.pt")
        with pytest.raises(BadInput, match=f"--source-lm {path}: expected a language model .*, found a model of the task translation"):
            load(path)

    def test_a_missing_file_is_refused(self, tmp_path):
        with pytest.raises(BadInput, match="--source-lm .*nowhere.pt: no such file"):
            load(str(tmp_path / "nowhere.pt"))

    @pytest.mark.parametrize("forget_dictionary", [False, True])
    def test_a_vocabulary_of_another_size_is_refused(self, tmp_path, forget_dictionary):
        path, _ = tiny.language_model(tmp_path, ENGLISH, sentences=[["v0"]])
        if forget_dictionary:
            os.remove(tmp_path / "dict.txt")
        with pytest.raises(BadInput, match=f"de dictionary, {len(GERMAN)} symbols, found a model with {len(ENGLISH)};"):
            load(path)

    def test_a_vocabulary_in_another_order_is_refused_by_its_first_differing_symbol(self, tmp_path):
        other = tiny.dictionary([])
        for word in GERMAN.symbols[4:7] + GERMAN.symbols[4:][:2:-1]:
            other.add_symbol(word)
        assert sorted(other.symbols) == sorted(GERMAN.symbols)
        path, _ = tiny.language_model(tmp_path, other)
        with pytest.raises(BadInput, match=f"symbol 7 is {other[7]!r} there and {GERMAN[7]!r} in the de dictionary"):
            load(path)

    def test_a_longer_vocabulary_of_an_adaptive_model_is_refused(self, tmp_path):
        """Its embeddings may not tell their number of rows."""
        longer = tiny.dictionary(tiny.WORDS["de"])
        longer.add_symbol("more")
        path, _ = tiny.language_model(tmp_path, longer)
        state = torch.load(path)
        state["model"]["decoder.embedding.weight"] = state["model"].pop("decoder.embed_tokens.weight")
        torch.save(state, path)
        with pytest.raises(BadInput, match=f"symbol {len(GERMAN)} is 'more' there and None"):
            load(path)

    def test_parameters_of_another_architecture_are_refused(self, tmp_path):
        path, _ = tiny.language_model(tmp_path, GERMAN)
        state = torch.load(path)
        del state["model"]["decoder.layers.0.fc1.weight"]
        torch.save(state, path)
        with pytest.raises(BadInput, match=f"--source-lm {path}: its parameters do not fit its architecture"):
            load(path)


class TestCache:
    KEY, SCORES = "a" * 64, np.array([-1.5, -np.pi, np.nan])

    @pytest.fixture
    def cache(self, tmp_path):
        return ScoreCache(str(tmp_path / "cache"))

    def file(self, cache):
        (name,) = os.listdir(cache.folder)
        return os.path.join(cache.folder, name)

    def test_gives_back_what_was_stored(self, cache):
        assert cache.read(self.KEY, 3) is None
        cache.write(self.KEY, self.SCORES)
        np.testing.assert_array_equal(cache.read(self.KEY, 3), self.SCORES)
        assert cache.read(self.KEY, 3).dtype == np.float64

    def test_can_be_read_by_whoever_may_read_the_folder(self, cache):
        before = os.umask(0o022)
        try:
            cache.write(self.KEY, self.SCORES)
        finally:
            os.umask(before)
        assert os.stat(self.file(cache)).st_mode & 0o777 == 0o644

    def test_a_file_cut_anywhere_is_as_none(self, cache, caplog):
        cache.write(self.KEY, self.SCORES)
        path = self.file(cache)
        with open(path, "rb") as file:
            whole = file.read()
        for length in range(0, len(whole), 9):
            with open(path, "wb") as file:
                file.write(whole[:length])
            caplog.clear()
            assert cache.read(self.KEY, 3) is None, length
            assert f"marginal cache: {path}" in caplog.text

    def test_a_file_with_a_changed_byte_never_gives_other_scores(self, cache):
        cache.write(self.KEY, self.SCORES)
        path = self.file(cache)
        with open(path, "rb") as file:
            whole = file.read()
        refused = 0
        for i in range(0, len(whole), 3):
            with open(path, "wb") as file:
                file.write(whole[:i] + bytes([whole[i] ^ 0x41]) + whole[i + 1 :])
            found = cache.read(self.KEY, 3)
            refused += found is None
            assert found is None or np.array_equal(found, self.SCORES, equal_nan=True), i
        assert refused > len(whole) / 6

    @pytest.mark.parametrize(
        "content",
        [
            dict(key=np.array("a" * 32 + "b" * 32), scores=SCORES),  # the same file name, of other content
            dict(key=np.array(KEY), scores=SCORES[:2]),
            dict(key=np.array(KEY), scores=SCORES[:, None]),
            dict(key=np.array(KEY), scores=SCORES.astype(np.float32)),
            dict(scores=SCORES),
            dict(key=np.array(KEY)),
            dict(key=np.array(KEY), scores=np.array([None, 1, "x"], dtype=object)),  # a pickle
            b"",
            b"key scores\n",
            "folder",
        ],
        ids=str,
    )
    def test_a_foreign_file_is_as_none(self, cache, content):
        path = cache._path(self.KEY)
        os.makedirs(cache.folder)
        if content == "folder":
            os.makedirs(path)
        elif isinstance(content, bytes):
            with open(path, "wb") as file:
                file.write(content)
        else:
            np.savez(path, **content)
        assert cache.read(self.KEY, 3) is None
        cache.write(self.KEY, self.SCORES)
        if content != "folder":
            np.testing.assert_array_equal(cache.read(self.KEY, 3), self.SCORES)
        assert len(os.listdir(cache.folder)) == 1

    @pytest.mark.parametrize("declares", ["the header", "the member"])
    def test_a_small_file_of_a_huge_array_is_not_read(self, cache, caplog, monkeypatch, declares):
        """A gigabyte would be made room for, or unpacked, before its shape is looked at."""
        cache.write(self.KEY, self.SCORES)
        huge = io.BytesIO()
        shape = (1 << 27,) if declares == "the header" else (3,)
        np.lib.format.write_array_header_1_0(huge, {"shape": shape, "fortran_order": False, "descr": "<f8"})
        content = huge.getvalue() + self.SCORES.tobytes() + bytes(1 << 24 if declares == "the member" else 0)
        with zipfile.ZipFile(self.file(cache), "w", zipfile.ZIP_DEFLATED) as archive:
            for name, part in (("key.npy", npy(np.array(self.KEY))), ("scores.npy", content)):
                archive.writestr(name, part)
        monkeypatch.setattr(np, "load", None)
        assert cache.read(self.KEY, 3) is None
        assert "is of other content" in caplog.text

    def keys(self, count):
        return [f"{i:064x}"[::-1] for i in range(1, count + 1)]

    def stored(self, cache):
        return {name[:2] for name in os.listdir(cache.folder)}

    @pytest.mark.parametrize("limit", [{"MAX_FILES": 3}, {"MAX_BYTES": 2500}])
    def test_scores_that_were_not_used_for_longest_are_removed(self, cache, monkeypatch, limit):
        for i, key in enumerate(self.keys(6)):
            cache.write(key, self.SCORES)
            os.utime(cache._path(key), (1000 + i, 1000 + i))
        size = os.path.getsize(cache._path(key))
        assert 2500 / 4 < size < 2500 / 3
        for name, value in limit.items():
            monkeypatch.setattr(cache_module, name, value)
        monkeypatch.setattr(cache_module.time, "time_ns", lambda: 2000 * 10**9)
        assert ScoreCache(cache.folder).read(self.keys(2)[1], 3) is not None  # the second oldest is used again
        times = os.stat(cache._path(self.keys(2)[1]))
        assert (times.st_atime, times.st_mtime) == (2000, 1001)
        ScoreCache(cache.folder).write("f" * 64, self.SCORES)
        assert self.stored(cache) == {"ff", "20", "60"}

    def test_nothing_that_this_run_uses_is_removed(self, cache, monkeypatch):
        monkeypatch.setattr(cache_module, "MAX_FILES", 2)
        for key in self.keys(5):
            cache.write(key, self.SCORES)
        assert len(self.stored(cache)) == 5
        later = ScoreCache(cache.folder)
        for key in self.keys(3):
            assert later.read(key, 3) is not None
        later.write("f" * 64, self.SCORES)
        assert self.stored(cache) == {"10", "20", "30", "ff"}

    def test_what_killed_runs_left_is_removed_and_nothing_else(self, cache, monkeypatch):
        cache.write(self.KEY, self.SCORES)
        left = f"{'c' * 32}.npz.{'0' * 32}.tmp"
        others = ["notes.txt", "mine.npz", f"{'d' * 32}.npz.bak", f"model.pt.{'0' * 32}.tmp"]
        for name in (left, *others):
            with open(os.path.join(cache.folder, name), "w"):
                pass
        monkeypatch.setattr(cache_module, "MAX_FILES", 0)
        with written_atomically(cache._path("e" * 64)):  # by another run, just now
            ScoreCache(cache.folder).write("f" * 64, self.SCORES)
            found = set(os.listdir(cache.folder))
        assert left not in found and {f"{'f' * 32}.npz", *others} < found
        assert any(name.startswith("e" * 32) for name in found)

    def test_a_folder_that_cannot_be_made_stores_nothing(self, tmp_path, caplog):
        (tmp_path / "file").write_text("")
        cache = ScoreCache(str(tmp_path / "file" / "cache"))  # where nobody can write, not even root
        cache.write(self.KEY, self.SCORES)
        assert f"--marginal-cache {cache.folder}: cannot be written" in caplog.text
        assert cache.read(self.KEY, 3) is None

    @pytest.mark.parametrize("function", ["os.replace", "numpy.savez"])
    def test_a_failed_write_leaves_nothing_behind(self, cache, caplog, monkeypatch, function):
        def fail(*args, **kwargs):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(function, fail)
        cache.write(self.KEY, self.SCORES)
        assert "No space left on device" in caplog.text
        assert os.listdir(cache.folder) == []

    def test_two_processes_at_once_do_not_disturb_each_other(self, cache):
        context = multiprocessing.get_context("fork")
        scores = np.random.RandomState(0).rand(20000)

        def work(wrong):
            for _ in range(40):
                cache.write(self.KEY, scores)
                found = cache.read(self.KEY, len(scores))
                if found is None or not np.array_equal(found, scores):
                    wrong.value += 1

        wrong = context.Value("i", 0)
        processes = [context.Process(target=work, args=(wrong,)) for _ in range(2)]
        for process in processes:
            process.start()
        for process in processes:
            process.join()
            assert process.exitcode == 0
        assert wrong.value == 0
        assert len(os.listdir(cache.folder)) == 1


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


class TestCacheKey:
    """Content counts, names and dates do not."""

    @pytest.fixture
    def files(self, tmp_path):
        names = ("lm.pt", "train.bin", "train.idx")
        for name in names:
            (tmp_path / name).write_text(f"content of {name}")
        return [str(tmp_path / name) for name in names]

    def key(self, files, symbols=GERMAN, size=3):
        return ScoreCache("").key(NeuralMarginal(files[0], "--source-lm", "de", symbols, CPU), size, files[1:])

    @pytest.mark.parametrize("changed", range(3))
    def test_changes_with_each_file(self, files, changed):
        before = self.key(files)
        with open(files[changed], "a") as file:
            file.write(".")
        assert self.key(files) != before

    def test_changes_with_dictionary_and_size(self, files):
        keys = {self.key(files), self.key(files, ENGLISH), self.key(files, size=4), self.key([files[0], files[2], files[1]])}
        assert len(keys) == 4

    def test_does_not_change_with_folder_name_or_date(self, files, tmp_path):
        moved = [shutil.copy(path, tmp_path / f"moved-{i}") for i, path in enumerate(files)]
        os.utime(moved[0], (0, 0))
        assert self.key(moved) == self.key(files)


class TestMarginals:
    @pytest.fixture
    def corpus(self, tmp_path):
        """Language models of both languages, over one dictionary, each of which finds its own words likely."""
        words = tiny.WORDS["de"] + tiny.WORDS["en"]
        symbols = tiny.dictionary(words)
        self.symbols = symbols
        self.folder = tmp_path
        self.paths = {
            language: tiny.language_model(
                tmp_path / language, symbols, "lstm_lm", seed=i, expects=tiny.WORDS[language], flags=["--dropout", "0"]
            )[0]
            for i, language in enumerate(("de", "en"))
        }
        for language, sentences in zip(("de", "en"), zip(*tiny.PAIRS)):
            tiny.write_sentences(tmp_path / f"train.{language}", sentences, symbols)
        return self

    def side(self, language, wanted=None, pairs=tiny.PAIRS):
        sentences = [tiny.encode(pair[language == "en"], self.symbols) for pair in pairs]
        sizes = np.array([len(sentence) for sentence in sentences])
        files = [str(self.folder / f"train.{language}.{ending}") for ending in ("bin", "idx")]
        wanted = np.arange(len(pairs)) if wanted is None else np.array(wanted)
        return Side(sentences, sizes, files, wanted)

    def marginals(self, paths=None, dictionaries=None):
        paths, dictionaries = paths or self.paths, dictionaries or {"de": self.symbols, "en": self.symbols}
        given = {"--source-lm": paths["de"], "--target-lm": paths["en"]}
        return marginals_of(given, ("de", "en"), dictionaries, CPU)

    def scores(self, sides=None, **changes):
        sides = sides or {"de": self.side("de"), "en": self.side("en")}
        cache = ScoreCache(str(self.folder / "cache"))
        return SplitScorer(self.marginals(**changes), cache, CPU, lambda batches, label: batches).scores(sides)

    def test_each_side_is_scored_by_the_model_of_its_language(self, corpus):
        found = corpus.scores()
        for language in ("de", "en"):
            model = NeuralMarginal(corpus.paths[language], "--lm", language, corpus.symbols, CPU)
            np.testing.assert_allclose(found[language], model.score(corpus.side(language).sentences), atol=1e-4)
        reverse = corpus.scores({"en": corpus.side("en"), "de": corpus.side("de")})  # -s en -t de
        for language in ("de", "en"):
            np.testing.assert_array_equal(reverse[language], found[language])

    def test_small_batches_give_the_same_scores_in_the_same_order(self, corpus, monkeypatch):
        whole = corpus.scores()
        shutil.rmtree(corpus.folder / "cache")
        monkeypatch.setattr(split, "MAX_TOKENS", 11)
        parts = corpus.scores()
        for name in whole:
            np.testing.assert_allclose(parts[name], whole[name], atol=1e-4)

    def test_a_second_start_loads_no_language_model(self, corpus, monkeypatch):
        first = corpus.scores()
        monkeypatch.setattr(neural.NeuralMarginal, "_load", None)
        second = corpus.scores()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])

    def test_a_changed_language_model_scores_again(self, corpus):
        first = corpus.scores()
        expects = tiny.WORDS["de"][:9]
        tiny.language_model(corpus.folder / "de", corpus.symbols, "lstm_lm", seed=7, expects=expects, flags=["--dropout", "0"])
        second = corpus.scores()
        assert np.abs(first["de"] - second["de"]).min() > 1e-3
        np.testing.assert_array_equal(first["en"], second["en"])

    def test_changed_data_are_scored_again(self, corpus):
        corpus.scores()
        pairs = tiny.random_pairs(len(tiny.PAIRS), seed=8)
        for language, sentences in zip(("de", "en"), zip(*pairs)):
            tiny.write_sentences(corpus.folder / f"train.{language}", sentences, corpus.symbols)
        sides = {language: corpus.side(language, pairs=pairs) for language in ("de", "en")}
        found = corpus.scores(sides)
        shutil.rmtree(corpus.folder / "cache")
        np.testing.assert_array_equal(found["de"], corpus.scores(sides)["de"])

    def test_a_damaged_cache_is_made_anew(self, corpus):
        first = corpus.scores()
        for name in os.listdir(corpus.folder / "cache"):
            with open(corpus.folder / "cache" / name, "r+b") as file:
                file.truncate(200)
        second = corpus.scores()
        for name in first:
            np.testing.assert_array_equal(first[name], second[name])

    LONG = tiny.PAIRS[:4] + [(["w1"] * 20, ["v1"]), (["w2"], ["v2"] * 3)]

    def test_a_sentence_that_is_too_long_for_its_model_has_no_score(self, corpus):
        for _ in range(2):  # fresh, then from the cache
            found = corpus.scores({lang: corpus.side(lang, [0, 1, 2, 3, 5], self.LONG) for lang in ("de", "en")})
            assert np.isnan(found["de"]).tolist() == [False] * 4 + [True, False]
            assert not np.isnan(found["en"]).any()

    def test_it_is_refused_where_it_is_wanted(self, corpus):
        for _ in range(2):
            with pytest.raises(BadInput, match="--source-lm .*lm.pt: 1 de sentences .* of 21 tokens; .*--tokens-per-sample 21"):
                corpus.scores({language: corpus.side(language, pairs=self.LONG) for language in ("de", "en")})

    @pytest.mark.parametrize("forget_dictionaries", [False, True])
    def test_swapped_models_are_refused(self, corpus, forget_dictionaries):
        if forget_dictionaries:
            for language in ("de", "en"):
                os.remove(corpus.folder / language / "dict.txt")
        swapped = {"de": corpus.paths["en"], "en": corpus.paths["de"]}
        with pytest.raises(BadInput, match="--source-lm .*en/lm.pt and --target-lm .*de/lm.pt look swapped"):
            corpus.scores(paths=swapped)
        assert not os.path.exists(corpus.folder / "cache")
        corpus.scores()

    def test_swapped_models_of_two_dictionaries_of_one_size_are_refused_by_likelihood(self, corpus):
        """Where their own dictionaries are gone, nothing else shows it."""
        other = tiny.dictionary([])
        for word in corpus.symbols.symbols[:3:-1]:
            other.add_symbol(word)
        for language in ("de", "en"):
            os.remove(corpus.folder / language / "dict.txt")
        dictionaries = {"de": corpus.symbols, "en": other}
        assert len(other) == len(corpus.symbols) and other.symbols != corpus.symbols.symbols
        swapped = {"de": corpus.paths["en"], "en": corpus.paths["de"]}
        with pytest.raises(BadInput, match="look swapped"):
            corpus.scores(paths=swapped, dictionaries=dictionaries)

    def test_one_model_for_both_languages_is_refused(self, corpus):
        own = corpus.folder / "de" / "lm.pt"
        copy = shutil.copy(own, corpus.folder / "copy.pt")
        state = torch.load(copy)
        torch.save({**state, "extra_state": {"later": True}}, corpus.folder / "later.pt")  # as checkpoint_last.pt
        for path in (own, copy, corpus.folder / "later.pt"):
            message = f"--source-lm .*de/lm.pt and --target-lm {path}: are the same"
            with pytest.raises(BadInput, match=message):
                corpus.marginals(paths={"de": corpus.paths["de"], "en": str(path)})
                assert path.name == "later.pt"  # the others are told before anything is loaded
                corpus.scores(paths={"de": corpus.paths["de"], "en": str(path)})

    def test_two_models_of_one_language_are_refused(self, corpus):
        flags = ["--dropout", "0"]
        tiny.language_model(corpus.folder / "en", corpus.symbols, "lstm_lm", seed=5, expects=tiny.WORDS["de"], flags=flags)
        with pytest.raises(BadInput, match="--target-lm .*en/lm.pt: looks like a language model of de"):
            corpus.scores()

    @pytest.mark.parametrize("own", ["gone", "made anew in place"])
    def test_a_model_of_another_dictionary_is_refused_by_likelihood(self, corpus, own):
        """Of which no file tells: its own data folder is gone, or the dictionary there is made anew too."""
        other = tiny.dictionary([])
        for word in [*tiny.WORDS["de"], *tiny.WORDS["en"]]:  # which of the words are German is another matter now
            other.add_symbol(word)
        for language in ("de", "en"):
            path = corpus.folder / language / "dict.txt"
            path.unlink() if own == "gone" else other.save(str(path))
        self.symbols = other
        with pytest.raises(BadInput, match="--source-lm .*de/lm.pt.*(another dictionary|swapped|a model of)"):
            corpus.scores(dictionaries={"de": other, "en": other})
        assert not os.path.exists(corpus.folder / "cache")

    @pytest.mark.parametrize("language, flag", [("de", "--source-lm"), ("en", "--target-lm")])
    def test_a_missing_file_is_refused_at_once_by_its_flag(self, corpus, language, flag):
        with pytest.raises(BadInput, match=f"{flag} .*nowhere.pt: no such file"):
            corpus.marginals(paths={**corpus.paths, language: "nowhere.pt"})

"""The scores of marginals in a folder: what is stored comes back, and nothing else ever does."""

import io
import multiprocessing
import os
import shutil
import zipfile

import numpy as np
import pytest
import tiny
import torch

from fairseq_dsl.files import written_atomically
from fairseq_dsl.marginals import NeuralMarginal, ScoreCache
from fairseq_dsl.marginals import cache as cache_of

CPU = torch.device("cpu")
GERMAN, ENGLISH = (tiny.dictionary(tiny.WORDS[language]) for language in ("de", "en"))


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
            dict(key=np.array(KEY), scores=np.array([None, 1, "x"], dtype=object)),
            b"",
            b"key scores\n",
            "folder",
        ],
        ids=[
            "of another key",
            "of fewer sentences",
            "of another shape",
            "of another precision",
            "without a key",
            "without scores",
            "a pickle",
            "empty",
            "text",
            "a folder",
        ],
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
            monkeypatch.setattr(cache_of, name, value)
        monkeypatch.setattr(cache_of.time, "time_ns", lambda: 2000 * 10**9)
        assert ScoreCache(cache.folder).read(self.keys(2)[1], 3) is not None  # the second oldest is used again
        times = os.stat(cache._path(self.keys(2)[1]))
        assert (times.st_atime, times.st_mtime) == (2000, 1001)
        ScoreCache(cache.folder).write("f" * 64, self.SCORES)
        assert self.stored(cache) == {"ff", "20", "60"}

    def test_nothing_that_this_run_uses_is_removed(self, cache, monkeypatch):
        monkeypatch.setattr(cache_of, "MAX_FILES", 2)
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
        monkeypatch.setattr(cache_of, "MAX_FILES", 0)
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
        keys = {
            self.key(files),
            self.key(files, ENGLISH),
            self.key(files, size=4),
            self.key([files[0], files[2], files[1]]),
        }
        assert len(keys) == 4

    def test_does_not_change_with_folder_name_or_date(self, files, tmp_path):
        moved = [shutil.copy(path, tmp_path / f"moved-{i}") for i, path in enumerate(files)]
        os.utime(moved[0], (0, 0))
        assert self.key(moved) == self.key(files)

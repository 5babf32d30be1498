"""The file of samples: each line once, whatever interrupts the run, and nothing that others prepared is written to."""

import json
import os

import pytest
import tiny
import torch

from fairseq_dsl.errors import BadInput
from fairseq_dsl.sample_log import SampleLog, as_json, symbols


def lines(folder, worker=0):
    found = [json.loads(line) for line in (folder / f"samples.{worker}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(line["update"], line["batch"], line["text"]) for line in found]


def make_update(log, update, *batches):
    """As fairseq's trainer does; a batch of None is a dummy."""
    log.begin_update()
    for text in batches:
        log.begin_batch(update, text is None)
        log.write([{"text": text or "dummy"}])


def test_lines_have_the_numbers_of_update_and_batch(tmp_path):
    log = SampleLog(str(tmp_path / "new" / "folder"))
    make_update(log, 0, "a", "b")
    make_update(log, 1, "ä\u2028")
    text = (tmp_path / "new" / "folder" / "samples.0.jsonl").read_bytes()
    assert text.count(b"\n") == 3 and text.endswith(b"\n")
    assert [json.loads(line) for line in text.split(b"\n")[:2]] == [
        {"update": 0, "batch": 0, "text": "a"},
        {"update": 0, "batch": 1, "text": "b"},
    ]
    assert json.loads(text.split(b"\n")[2]) == {"update": 1, "batch": 0, "text": "ä\u2028"}


def test_dummy_batches_are_not_written(tmp_path):
    log = SampleLog(str(tmp_path))
    make_update(log, 0, "a", None)
    make_update(log, 1, None)
    make_update(log, 2, "c")
    assert lines(tmp_path) == [(0, 0, "a"), (2, 0, "c")]


def test_an_update_that_is_tried_again_is_there_once(tmp_path):
    """Half precision skips an update whose gradients overflow; the next batches are then of the same update."""
    log = SampleLog(str(tmp_path))
    make_update(log, 0, "overflow", "overflow")
    make_update(log, 0, "overflow again")
    make_update(log, 0, "a", "b")
    make_update(log, 1, "c")
    make_update(log, 1, "d")
    assert lines(tmp_path) == [(0, 0, "a"), (0, 1, "b"), (1, 0, "d")]


@pytest.mark.parametrize(
    "rest", [b"", b'{"update": 2, "batch": 0, "te', b'{"update": 0}{"update": 1}\n', b"\xff\xfe\n", b"3\n"]
)
def test_a_resumed_run_goes_on_where_its_checkpoint_was_made(tmp_path, rest):
    first = SampleLog(str(tmp_path))
    for update in range(4):
        make_update(first, update, f"first {update}")
    with open(tmp_path / "samples.0.jsonl", "ab") as file:
        file.write(rest)
    resumed = SampleLog(str(tmp_path))
    make_update(resumed, 2, "resumed 2")
    make_update(resumed, 3, "resumed 3")
    assert lines(tmp_path) == [(0, 0, "first 0"), (1, 0, "first 1"), (2, 0, "resumed 2"), (3, 0, "resumed 3")]
    assert os.listdir(tmp_path) == ["samples.0.jsonl"]


def test_a_run_that_samples_later_drops_what_was_there(tmp_path):
    """As with --mono-weight 0:0,..., which samples nothing at first."""
    make_update(SampleLog(str(tmp_path)), 1, "of another run")
    log = SampleLog(str(tmp_path))
    log.begin_batch(0, False)
    make_update(log, 2, "b")
    assert lines(tmp_path) == [(2, 0, "b")]


def test_a_new_run_keeps_the_samples_of_another_beside(tmp_path, caplog):
    for name in ("first", "second", "third"):
        make_update(SampleLog(str(tmp_path)), 0, name)
    path = tmp_path / "samples.0.jsonl"
    assert lines(tmp_path) == [(0, 0, "third")]
    assert [json.loads((tmp_path / f"{path.name}.{n}").read_text())["text"] for n in (1, 2)] == ["first", "second"]
    assert f"{path}: contained samples of an earlier run; they are kept as {path}.2" in caplog.text


def test_workers_have_files_of_their_own_also_when_fewer_resume(tmp_path):
    for worker in range(3):
        log = SampleLog(str(tmp_path), 3, worker)
        for update in range(3):
            make_update(log, update, f"worker {worker}")
    make_update(SampleLog(str(tmp_path), 1, 0), 1, "alone")
    assert lines(tmp_path) == [(0, 0, "worker 0"), (1, 0, "alone")]
    assert [lines(tmp_path, worker) for worker in (1, 2)] == [[(0, 0, f"worker {worker}")] for worker in (1, 2)]


@pytest.mark.parametrize("update", [0, 2])
@pytest.mark.parametrize("target", ["a file", "nothing"])
def test_a_symbolic_link_is_not_followed(tmp_path, update, target):
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "samples"
    if target == "a file":
        elsewhere.write_text("precious\n")
    folder.mkdir()
    (folder / "samples.0.jsonl").symlink_to(elsewhere)
    with pytest.raises(BadInput, match="^--save-samples .*: cannot be written .*samples.0.jsonl"):
        make_update(SampleLog(str(folder)), update, "a")
    assert elsewhere.read_text() == "precious\n" if target == "a file" else not elsewhere.exists()


def test_a_link_that_is_made_later_is_not_followed(tmp_path):
    log = SampleLog(str(tmp_path / "samples"))
    make_update(log, 0, "a")
    (tmp_path / "samples" / "samples.0.jsonl").unlink()
    (tmp_path / "samples" / "samples.0.jsonl").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="cannot be written"):
        log.write([{"text": "b"}])
    assert not (tmp_path / "elsewhere").exists()


def test_what_is_no_ordinary_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "samples.0.jsonl")  # opening it would wait for a reader
    with pytest.raises(BadInput, match="samples.0.jsonl is not a plain file"):
        make_update(SampleLog(str(tmp_path)), 0, "a")


def test_sentences_are_written_symbol_by_symbol():
    dictionary = tiny.dictionary(["a", "b"])
    for words in ([0], [3, 0, 4], [5, 0, 0, 3, 4]):  # <s> is 0, <unk> 3
        sentence = torch.tensor([*words, dictionary.eos()])
        text = symbols(sentence, dictionary)
        assert len(text.split(" ")) == len(words)
        assert dictionary.encode_line(text, add_if_not_exist=False).tolist() == sentence.tolist()


def test_numbers_that_are_not_finite_are_null():
    assert as_json({"a": [float("nan"), 1.5, [float("-inf")]], "b": True}) == '{"a": [null, 1.5, [null]], "b": true}'

"""Parallel text files: what is refused before any scoring, and how their lines are read."""

import pytest

from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli.scoring import corpus


def write(folder, source, target):
    for name, text in (("x", source), ("y", target)):
        (folder / name).write_bytes(text)
    return str(folder / "x"), str(folder / "y")


def test_lines_end_in_line_feeds_alone_and_the_last_needs_none(tmp_path):
    paths = write(tmp_path, "a\u2028b\r\n\nc".encode(), b"1\n2\n3\n")
    assert [side.lines for side in corpus.parallel(*paths)] == [3, 3]
    assert list(corpus.chunks(*paths, start=0, size=2)) == [[("a\u2028b\r", "1"), ("", "2")], [("c", "3")]]
    assert list(corpus.chunks(*paths, start=2, size=2)) == [[("c", "3")]]
    assert list(corpus.chunks(*paths, start=3, size=2)) == []


def test_a_byte_order_mark_is_no_text(tmp_path):
    paths = write(tmp_path, b"\xef\xbb\xbfa\n", b"1\n")
    assert list(corpus.chunks(*paths, start=0, size=1)) == [[("a", "1")]] == [corpus.sample(*paths, lines=1)]


@pytest.mark.parametrize(("lines", "rows"), [(3, [0, 1, 2]), (4, [0, 2]), (9, [0, 3, 6]), (10, [0, 4, 8])])
def test_a_sample_is_of_the_whole_corpus(lines, rows, tmp_path):
    text = b"".join(b"%d\n" % row for row in range(lines))
    paths = write(tmp_path, text, text)
    assert corpus.sample(*paths, lines, size=3) == [(str(row), str(row)) for row in rows]


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        (b"a\nb\n", b"1\n", r"--source .*x and --target .*y: expected as many lines in both, found 2 and 1"),
        (b"", b"", "--source .*x: empty"),
        (b"a\nb\n", b"1\n2\xff\n", "--target .*y:2: expected UTF-8, found .* at byte 2"),
    ],
)
def test_text_that_is_not_parallel_is_refused(source, target, message, tmp_path):
    with pytest.raises(BadInput, match=message):
        corpus.parallel(*write(tmp_path, source, target))


def test_the_digest_is_that_of_the_content(tmp_path):
    x, y = write(tmp_path, b"a\n", b"a\n")
    source, target = corpus.parallel(x, y)
    assert source.digest == target.digest != corpus.Text.inspect("--source", write(tmp_path, b"a", b"a")[0]).digest

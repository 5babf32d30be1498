"""Text files that other systems wrote."""

import pytest

from fairseq_dsl_cli.texts import read_lines


@pytest.mark.parametrize(
    "content",
    [b"Stra\xc3\x9fe\nzwei\n", b"\xef\xbb\xbfStra\xc3\x9fe\r\nzwei\r\n", b"Stra\xc3\x9fe\nzwei"],
    ids=["unix", "windows", "no end"],
)
def test_lines_are_the_same_however_a_system_marks_them(tmp_path, content):
    (tmp_path / "text").write_bytes(content)
    assert read_lines(str(tmp_path / "text")) == ["Straße", "zwei"]


def test_bytes_that_are_no_text_end_the_command(tmp_path):
    (tmp_path / "text").write_bytes(b"eins\n\xff")
    with pytest.raises(SystemExit, match="text: not UTF-8"):
        read_lines(str(tmp_path / "text"))

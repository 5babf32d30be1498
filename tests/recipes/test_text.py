"""Reading text: what a line is, what is cleaned, and which pairs are kept."""

from recipes import write

from fairseq_dsl_cli.preparing import text


def test_only_a_newline_ends_a_line(tmp_path):
    path = tmp_path / "text"
    path.write_bytes("\ufeffone\u2028still one\r\ntwo\x0bstill\rtwo\n\nlast".encode())
    assert list(text.read_lines(path)) == ["one still one", "two still two", "", "last"]


def test_changed_characters_are_counted_and_said(tmp_path, capsys):
    write(tmp_path / "text", ["a \u2581 b\u2581c", "e\u0301  f ", "  plain\ttext", "zero\u200bwidth"])
    assert list(text.read_lines(tmp_path / "text")) == ["a _ b_c", "\u00e9 f", "plain text", "zero width"]
    output = capsys.readouterr().out
    assert f"{tmp_path}/text: changed characters in 3 of 4 lines" in output
    assert f"note: {tmp_path}/text contained U+2581 2 times" in output
    write(tmp_path / "plain", ["a _ b"] * 3)
    list(text.read_lines(tmp_path / "plain"))
    assert not capsys.readouterr().out


def test_pairs_with_an_empty_side_are_dropped_and_counted(tmp_path, capsys):
    write(tmp_path / "a.de", ["eins", "", "drei", "\u200b ", "fünf"])
    write(tmp_path / "a.en", ["one", "two", "three", "four", ""])
    assert list(text.read_parallel(tmp_path / "a.de", tmp_path / "a.en")) == [("eins", "one"), ("drei", "three")]
    assert "dropped 3 of 5 pairs" in capsys.readouterr().out

"""Multi30k: published file names, and downloads that appear complete or not at all."""

import gzip
import http.server
import io
import threading

import pytest
from recipes import DE, EN, multi30k, run_recipe

from fairseq_dsl_cli.preparing.options import RecipeError


def test_failed_download_names_the_way_round_it(tmp_path):
    done = run_recipe("multi30k", cwd=tmp_path, https_proxy="http://127.0.0.1:9", HTTPS_PROXY="http://127.0.0.1:9")
    assert done.returncode == 1 and "--raw DIR" in done.stderr and "train.de.gz" in done.stderr
    assert not list(tmp_path.glob("data-bin/download/multi30k/*"))


@pytest.mark.parametrize("announced, whole", [(4, True), (5, False)])
def test_a_download_is_complete_or_not_there(tmp_path, monkeypatch, announced, whole):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            self.wfile.write(b"text")

        def log_message(self, *arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(multi30k, "URL", f"http://127.0.0.1:{server.server_port}/")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        if whole:
            multi30k.download("train.de.gz", tmp_path)
            assert (tmp_path / "train.de.gz").read_bytes() == b"text"
        else:
            with pytest.raises(RecipeError, match="--raw DIR"):
                multi30k.download("train.de.gz", tmp_path)
            assert not (tmp_path / "train.de.gz").exists()
        server.shutdown()
    if whole:
        multi30k.download("train.de.gz", tmp_path)  # what is there is not fetched again: the server is gone


def test_a_download_writes_nowhere_that_could_be_prepared(tmp_path, monkeypatch):
    (tmp_path / "train.de.gz").symlink_to(tmp_path / "precious")
    (tmp_path / "train.de.gz.partial").symlink_to(tmp_path / "precious")
    monkeypatch.setattr(multi30k.urllib.request, "urlopen", lambda url, timeout: io.BytesIO(b"text"))
    multi30k.download("train.de.gz", tmp_path)
    assert (tmp_path / "train.de.gz").read_bytes() == b"text" and not (tmp_path / "train.de.gz").is_symlink()
    assert not (tmp_path / "precious").exists()


@pytest.mark.parametrize("lang", ["fr", "cs"])
def test_multi30k_takes_the_published_names(tmp_path, lang):
    for split in ("train", "val", "test_2016_flickr"):
        for language, lines in ((lang, DE), ("en", EN[:-1] if split == "val" else EN)):
            file = tmp_path / "raw" / f"{split}.{language}.gz"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(gzip.compress("\n".join(lines).encode()))
    # The shorter val.en is found out after the names are: no need to wait for fairseq.
    done = run_recipe("multi30k", "--lang", lang, "--raw", "raw", cwd=tmp_path)
    assert done.returncode == 1 and f"raw/val.{lang}.gz has 5 lines and raw/val.en.gz has 4" in done.stderr


def test_multi30k_takes_monolingual_text_too(tmp_path):
    (tmp_path / "raw").mkdir()
    done = run_recipe("multi30k", "--raw", "raw", "--mono", "raw", cwd=tmp_path)
    assert done.returncode == 1 and "--mono raw: expected one of mono.de, mono.de.gz, mono.en" in done.stderr

"""The command that measures what training a pair costs."""

import pytest

from fairseq_dsl_cli import benchmark
from fairseq_dsl_cli.main import run

FILES = ["--primal-checkpoint", "a", "--dual-checkpoint", "b", "--source-lm", "c", "--target-lm", "d"]


@pytest.mark.parametrize("part", benchmark.MONOLINGUAL_PARTS)
def test_some_parts_want_monolingual_text(part, capsys):
    words = ["--data-bin", "x", "--lm-data-bin", "y", "-s", "de", "-t", "en", *FILES, "--parts", part]
    with pytest.raises(SystemExit):
        run(["benchmark", *words, "--source-mono", "mono.de"])
    assert f"--parts {part}: give --source-mono and --target-mono" in capsys.readouterr().err


def test_table():
    seconds = {"cpu_seconds": [3, 2], "ratio": 1.5}
    sampling = {**seconds, "num_samples": 5, "samples": 1200, "same_samples": 0.996}
    lines = benchmark.table({"clock": "cpu", "sampling": sampling, "back-translation": seconds}).split("\n")
    assert lines[2].split() == ["back-translation", "1.500", "3.00", "s", "2.00", "s"]
    assert lines[3] == "sampling: 99.6% of 1,200 samples are the same, 5 of each sentence"

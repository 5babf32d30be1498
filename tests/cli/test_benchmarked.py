"""fairseq-dsl benchmark as a user calls it: its parts run, and what they measured is printed and stored."""

import json
import subprocess
import sys

from commands import REPOSITORY, lm_flags

MEASURED = ("start", "training", "generation")  # of each kind one: processes, updates, fairseq's commands


def test_the_parts_are_measured(chain, tmp_path):
    output = tmp_path / "benchmark.json"
    command = [
        "benchmark", "--data-bin", chain.data, "-s", "de", "-t", "en", "--lm-data-bin", chain.folder / "bin-lm",
        "--primal-checkpoint", chain.warm["de-en"], "--dual-checkpoint", chain.warm["en-de"], *lm_flags(chain),
        "--turns", 1, "--updates", 2, "--max-tokens", 200, "--cpu", "--output", output,
        "--parts", *MEASURED,
    ]  # fmt: skip
    process = subprocess.run(
        [sys.executable, "-m", "fairseq_dsl", *map(str, command)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    results = json.loads(output.read_text())
    assert all(results[part]["ratio"] > 0 for part in MEASURED)
    rows = {line.split()[0] for line in process.stdout.splitlines()}
    assert set(MEASURED) <= rows
    assert results["generation"]["same_hypotheses"]

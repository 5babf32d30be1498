"""fairseq-dsl benchmark as a user calls it: its parts run, and what they measured is printed and stored."""

import json
import subprocess
import sys

from commands import REPOSITORY, lm_flags

from fairseq_dsl_cli.benchmark import ONLY_NAMED, PARTS

SLOW = ("memory", *ONLY_NAMED)  # several processes, each of which imports fairseq
MEASURED = [part for part in PARTS if part not in SLOW]


def test_the_parts_are_measured(chain, mono, tmp_path):
    output = tmp_path / "benchmark.json"
    command = [
        "benchmark", "--data-bin", chain.data, "-s", "de", "-t", "en", "--lm-data-bin", chain.folder / "bin-lm",
        "--primal-checkpoint", chain.warm["de-en"], "--dual-checkpoint", chain.warm["en-de"], *lm_flags(chain),
        "--source-mono", mono["de"], "--target-mono", mono["en"],
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

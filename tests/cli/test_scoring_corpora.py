"""fairseq-dsl score: its numbers are those of fairseq's commands, and a killed run goes on."""

import math
import re
import signal
import statistics
import subprocess
import sys
import time

import pytest
from commands import command, dsl_flags, generate, lm_flags, plugin_command, sentence_pairs, train, write_pairs

from fairseq_dsl.errors import BadInput
from fairseq_dsl_cli.scoring.score_table import ScoreTable


def words_of(dual, source, target, output, *more):
    return ["score", "--path", dual, "--source", source, "--target", target, "--output", output, "--cpu", *more]


def words(chain, dual, stem, output, *more):
    return words_of(dual, f"{stem}.de", f"{stem}.en", output, *lm_flags(chain), *more)


def scored(chain, dual, stem, output, *more):
    plugin_command(*words(chain, dual, stem, output, *more))
    return list(ScoreTable(str(output)).values())


def forced(chain, dual, direction):
    """log P of each sentence by fairseq-generate --score-reference, in nats, by its number."""
    run = generate(chain.data, direction, dual, "--score-reference", "--gen-subset", "valid")
    lines = re.findall(r"^H-(\d+)\t(\S+)\t(.*)$", run.stdout, re.MULTILINE)
    return {int(number): float(mean) * math.log(2) * (len(text.split()) + 1) for number, mean, text in lines}


def language_model_scores(chain, language):
    """The same by fairseq-eval-lm."""
    flags = ["--gen-subset", "valid", "--sample-break-mode", "eos", "--tokens-per-sample", 64, "--output-word-probs"]
    run = command("eval-lm", chain.lm_data[language], "--path", chain.lm[language], *flags, "--cpu", "--batch-size", 4)
    found = {}
    for line in run.log:
        if re.match(r"\d+ \S+ \[", line):
            values = re.findall(r"\[\s*(-?[\d.]+)\]", line)
            found[int(line.split()[0])] = sum(map(float, values))
    return found


def test_the_scores_are_those_of_fairseqs_commands(chain, dual, tmp_path):
    lines = scored(chain, dual, chain.text / "valid", tmp_path / "scores.tsv", "--buffer-size", 5)
    assert scored(chain, dual, chain.text / "valid", tmp_path / "scores.jsonl", "--buffer-size", 5) == lines
    columns = {"forward": forced(chain, dual, "de-en"), "reverse": forced(chain, dual, "en-de")}
    columns.update(
        {f"{side}_lm": language_model_scores(chain, lang) for side, lang in (("source", "de"), ("target", "en"))}
    )
    for column, wanted in columns.items():
        assert {number: line[column] for number, line in enumerate(lines)} == pytest.approx(wanted, abs=1e-4), column
    gaps = [line["gap"] for line in lines]
    validated = command(
        "validate", chain.data, "--task", "dual_translation", "--path", dual, "--valid-subset", "valid", "--cpu",
        "--batch-size", 8, "--log-format", "json", *lm_flags(chain),
    )  # fmt: skip
    assert float(re.search(r'"valid_duality_gap_signed": "([-\d.]+)"', "\n".join(validated.log)).group(1)) == (
        pytest.approx(sum(gaps) / len(gaps), abs=6e-4)  # as printed
    )


def test_the_gaps_are_those_of_the_training_log(chain, dual, tmp_path):
    started = ["--primal-checkpoint", dual, "--dual-checkpoint", dual, "--lr", 0]
    run = train(chain.data, *dsl_flags(chain), *started, "--max-epoch", 1, "--save-dir", tmp_path)
    gaps = {
        split: [line["gap"] for line in scored(chain, dual, chain.text / split, tmp_path / f"{split}.tsv")]
        for split in ("train", "valid")
    }
    (before,) = (line for line in run.log if line.startswith("duality gap before the first update"))
    logged = [float(re.search(rf"{which} (-?[\d.]+)", before).group(1)) for which in ("min", "median", "max")]
    wanted = [min(gaps["train"]), statistics.median(gaps["train"]), max(gaps["train"])]
    assert logged == pytest.approx(wanted, abs=0.0501)  # as printed
    mean = sum(gaps["valid"]) / len(gaps["valid"])
    assert run.last("valid", "valid_duality_gap_signed") == pytest.approx(mean, abs=6e-4)


def test_a_killed_run_goes_on_without_a_line_twice(chain, dual, tmp_path):
    pairs = list(sentence_pairs(900, seed=9, longest=30))
    pairs[7:9] = [("", "v0x"), ("w0 " * 2000, "v0x")]
    write_pairs(tmp_path / "text", pairs)
    wanted = scored(chain, dual, tmp_path / "text", tmp_path / "wanted.tsv")
    output = tmp_path / "scores.tsv"
    arguments = [str(word) for word in words(chain, dual, tmp_path / "text", output, "--buffer-size", 1)]
    process = subprocess.Popen([sys.executable, "-m", "fairseq_dsl", *arguments], stderr=subprocess.DEVNULL)
    end = time.time() + 60
    while (
        process.poll() is None and time.time() < end and (not output.exists() or output.read_bytes().count(b"\n") < 20)
    ):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = output.read_bytes()
    assert 20 <= before.count(b"\n") < 600
    with open(output, "ab") as file:
        file.write(b"12\t1")  # a line that was cut
    found = scored(chain, dual, tmp_path / "text", output)
    assert output.read_bytes().startswith(before)
    assert [line["reason"] for line in reasons(output)] == [line["reason"] for line in reasons(tmp_path / "wanted.tsv")]
    for one, other in zip(found, wanted):
        assert one == pytest.approx(other, abs=1e-4, nan_ok=True)
    with pytest.raises(BadInput, match="--output .*the scores of another run, with another source"):
        write_pairs(tmp_path / "text", [("w1", "v1x"), *pairs[1:]])
        scored(chain, dual, tmp_path / "text", output)
    assert len(output.read_bytes().splitlines()) == 901


def reasons(path):
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    names = header.split("\t")
    return [dict(zip(names, line.split("\t"))) for line in lines]


@pytest.mark.parametrize("flags", ["", "with language models"])
def test_texts_in_the_wrong_order_are_refused(flags, chain, dual, tmp_path):
    files = [chain.text / "test.en", chain.text / "test.de", tmp_path / "scores.tsv"]
    with pytest.raises(BadInput, match="look swapped: .* expected --source of de, --target of en"):
        plugin_command(*words_of(dual, *files, *(lm_flags(chain) if flags else [])))


def test_language_models_in_the_wrong_order_are_refused(chain, dual, tmp_path):
    swapped = ["--source-lm", chain.lm["en"], "--target-lm", chain.lm["de"]]
    with pytest.raises(BadInput, match="each finds the other side of the text likelier than its own; expected"):
        scored(chain, dual, chain.text / "test", tmp_path / "scores.tsv", *swapped)


def test_noise_on_one_side_is_scored(chain, dual, tmp_path):
    """Copies, and a target of the source's language."""
    write_pairs(tmp_path / "text", [("w1 w2", "w1 w2"), ("w3", "w1 w4 w5"), ("w3 w1", "w1 w1")])
    assert len(scored(chain, dual, tmp_path / "text", tmp_path / "scores.tsv")) == 3


def test_text_that_is_not_segmented_is_warned_of(chain, dual, tmp_path, capsys):
    write_pairs(tmp_path / "text", [("never seen", "v0x")])
    scored(chain, dual, tmp_path / "text", tmp_path / "scores.tsv")
    assert "warning: 67% of the tokens of 1 pairs are in no dictionary of the models" in capsys.readouterr().err


def test_one_language_model_of_the_other_side_is_warned_of(chain, dual, tmp_path, capsys):
    files = [chain.text / "test.de", chain.text / "test.en", tmp_path / "scores.tsv"]
    plugin_command(*words_of(dual, *files, "--source-lm", chain.lm["en"]))
    assert re.search(r"warning: --source-lm .*: looks like en: log P of a word is", capsys.readouterr().err)

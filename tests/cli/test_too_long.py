"""Sentences that are too long to translate are named by their line and refused, or with a flag skipped."""

import pytest
from commands import GENERATION, command, generate, languages

import fairseq_dsl
from fairseq_dsl.errors import BadInput

SKIP = "--skip-invalid-size-inputs-valid-test"
LONG = "w0 w1 w2 w3 w4"
LINES = ["w1 w2", LONG, "w3", "w4 w5", "w1 w1", LONG, "w2"]
LIMIT = ["--max-source-positions", 5]  # four words


def interactive(chain, dual, path, lines, *arguments):
    path.write_text("".join(line + "\n" for line in lines))
    flags = [*GENERATION, *LIMIT, "--batch-size", 1, "--input", path, *arguments]
    return command("interactive", chain.data, "--task", "dual_translation", *languages("de-en"), "--path", dual, *flags)


def left_out(run):
    return [message for message in run.log if "left out" in message]


@pytest.mark.parametrize("buffer", [1, 2, 3, 7, 100])
def test_interactive_leaves_long_lines_out_and_keeps_the_ids(chain, dual, tmp_path, buffer):
    run = interactive(chain, dual, tmp_path / "input", LINES, SKIP, "--buffer-size", buffer)
    short = [number for number, line in enumerate(LINES) if line != LONG]
    alone = interactive(chain, dual, tmp_path / "short", [LINES[number] for number in short])
    assert run.hypotheses() == dict(zip(short, alone.hypotheses().values()))
    assert left_out(run) == [
        "line 2 of the input (sentence 1) has 6 source tokens (limit 5): left out",
        "line 6 of the input (sentence 5) has 6 source tokens (limit 5): left out",
    ]


def test_interactive_ends_well_where_every_line_is_too_long(chain, dual, tmp_path):
    run = interactive(chain, dual, tmp_path / "input", [LONG, LONG], SKIP)
    assert run.hypotheses() == {} and len(left_out(run)) == 2


def test_interactive_names_the_line_and_the_flag(chain, dual, tmp_path):
    lines = ["w1"] * 4 + [LONG, "w1", LONG]
    with pytest.raises(
        BadInput, match=r"line 5 of the input \(sentence 4\) has 6 source tokens \(limit 5\); .*" + SKIP
    ):
        interactive(chain, dual, tmp_path / "input", lines, "--buffer-size", 2)


def test_interactive_names_max_tokens_if_a_line_fits_no_batch(chain, dual, tmp_path):
    refused = r"--max-tokens 4: .* 6 tokens in line 3 of the input \(sentence 2\)"
    for buffer in (1, 2, 9):
        with pytest.raises(BadInput, match=refused):
            flags = ["--max-tokens", 4, "--max-source-positions", 9, "--buffer-size", buffer]
            interactive(chain, dual, tmp_path / "input", ["w1", "w2", LONG], *flags)
    assert interactive(chain, dual, tmp_path / "input", ["w1", LONG], "--max-tokens", 5, SKIP).hypotheses().keys() == {
        0
    }


@pytest.mark.parametrize("direction", ["de-en", "en-de"])
def test_generate_leaves_out_what_is_long_on_either_side(chain, dual, direction):
    everything = generate(chain.data, direction, dual).hypotheses()
    limits = {"source": 5, "target": 7}
    flags = ["--max-source-positions", limits["source"], "--max-target-positions", limits["target"], "--batch-size", 1]
    run = generate(chain.data, direction, dual, *flags, SKIP)
    pairs = [pair if direction == "de-en" else pair[::-1] for pair in chain.pairs["test"]]
    lengths = [[len(side.split()) + 1 for side in pair] for pair in pairs]
    short = [
        n for n, (source, target) in enumerate(lengths) if source <= limits["source"] and target <= limits["target"]
    ]
    assert sorted(run.hypotheses()) == short
    assert len(left_out(run)) == len(pairs) - len(short) > 0
    assert 0 < len(short) and set(run.hypotheses()) < set(everything)


def test_generate_names_the_first_line_and_the_flag(chain, dual):
    number = next(n for n, pair in enumerate(chain.pairs["test"]) if len(pair[0].split()) > 4)
    with pytest.raises(BadInput, match=rf"line {number + 1} of the input \(sentence {number}\) has .*more.*" + SKIP):
        generate(chain.data, "de-en", dual, *LIMIT)


@pytest.mark.parametrize("flags", [[], [SKIP]])
def test_generate_names_the_line_that_does_not_fit_into_max_tokens(chain, dual, flags):
    longest = [max(len(side.split()) + 1 for side in pair) for pair in chain.pairs["test"]]
    number = next(n for n, length in enumerate(longest) if length > 4)
    refused = rf"--max-tokens 4: .* line {number + 1} \(sentence {number}\) with {longest[number]}, "
    with pytest.raises(BadInput, match=refused):
        generate(chain.data, "de-en", dual, "--max-tokens", 4, *flags)


def test_generate_refuses_where_nothing_is_left(chain, dual):
    with pytest.raises(BadInput, match="none of the 37 sentences is short enough"):
        generate(chain.data, "de-en", dual, "--max-source-positions", 1, "--max-target-positions", 1, SKIP)


def test_python_leaves_long_sentences_out_where_asked_to(chain, dual):
    hub = fairseq_dsl.models.DualTranslationModel.from_pretrained(
        str(dual.parent), dual.name, str(chain.data), max_source_positions=5
    )
    translations = hub.translate(LINES, skip_invalid_size_inputs=True)
    assert translations == hub.translate([line for line in LINES if line != LONG])
    with pytest.raises(BadInput, match=r"line 2 of the input .* skip_invalid_size_inputs=True"):
        hub.translate(LINES)

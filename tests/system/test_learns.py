"""DSL learns to translate in both directions, and closes the duality gap that training without it leaves."""

import random

import pytest
import sacrebleu
from commands import REPOSITORY, dsl_flags, generate, make_chain, train

DIRECTIONS = ("de-en", "en-de")
WIDE = "--{0}-embed-dim 64 --{0}-ffn-embed-dim 128 --{0}-layers 1 --{0}-attention-heads 2"
TRANSFORMER = (
    "--arch transformer_iwslt_de_en --share-all-embeddings --dropout 0.1 "
    + WIDE.format("encoder")
    + " "
    + WIDE.format("decoder")
).split()
DIGITS = "zero one two three four five six seven eight nine".split()
EUTRANS = REPOSITORY.parent / "shared" / "data" / "eutrans"


def digit_pairs(count, draw):
    """Numbers and their digits spelled out from the last to the first, with a word after each odd one that says so.

    That word makes the sides differ in length. Each spelled digit is in small letters, in capitals or in both, by
    chance: as in a real language, a sentence has several translations, and how likely they are is to be learned.
    """
    numbers = set()
    while len(numbers) < count:
        numbers.add("".join(draw.choice("0123456789") for _ in range(draw.randint(2, 4))))
    for number in sorted(numbers, key=lambda _: draw.random()):
        words = []
        for digit in map(int, reversed(number)):
            words += [draw.choice([str.lower, str.upper, str.title])(DIGITS[digit])] + ["odd"] * (digit % 2)
        yield " ".join(number), " ".join(words)


def bleu(run, pairs, direction):
    """sacrebleu of the translations of the test pairs, in small letters."""
    found = run.hypotheses()
    assert sorted(found) == list(range(len(pairs)))
    reference = [pair[1] if direction == "de-en" else pair[0] for pair in pairs]
    ordered = [found[i] for i in range(len(pairs))]
    return sacrebleu.corpus_bleu(ordered, [reference], tokenize="none", lowercase=True, force=True).score


def dsl_and_control(chain, folder, weight, arguments):
    """The last statistics of validation of DSL and of the control, from the same warm starts."""
    runs = {}
    for name, value in (("control", 0), ("dsl", weight)):
        flags = [*dsl_flags(chain), "--dsl-lambda", value, "--save-dir", folder / name]
        runs[name] = train(chain.data, *flags, *arguments)
        stats = {
            key: runs[name].last("valid", f"valid_{key}")
            for key in ("nll_loss", "duality_gap", "duality_loss", "unlearnt")
        }
        print(name, stats)
        assert stats["unlearnt"] < 0.2
    return runs


def test_digits(tmp_path):
    """A task of its own in every run; the seed is printed."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    pairs = list(digit_pairs(2600, random.Random(seed)))
    parts = {"train": pairs[:2000], "valid": pairs[2000:2400], "test": pairs[2400:]}
    shared = ["--batch-size", 1000, "--max-tokens", 1500, "--lr", 3e-3, "--seed", seed % 1000, "--log-interval", 50]
    shared += ["--lr-scheduler", "inverse_sqrt", "--warmup-updates", 100]
    chain = make_chain(
        tmp_path, parts, arch=TRANSFORMER, lm_updates=150, updates=170, arguments=[*shared, "--disable-validation"]
    )
    # A low learning rate: both runs see the same batches and dropout, and differ by the regularizer, not by chance.
    more = [*shared, "--lr", 5e-4, "--max-update", 80, "--label-smoothing", 0.1]
    runs = dsl_and_control(chain, tmp_path, 0.1, more)
    for direction in DIRECTIONS:
        translated = generate(chain.data, direction, tmp_path / "dsl" / "checkpoint_last.pt", "--batch-size", 200)
        score = bleu(translated, parts["test"], direction)
        print(direction, score)
        assert score > 40
    # The mean of |gap|: a few pairs make most of the mean of gap², and of its noise.
    gaps = {name: run.last("valid", "valid_duality_gap") for name, run in runs.items()}
    assert gaps["dsl"] < gaps["control"]


@pytest.mark.skipif(
    not EUTRANS.is_dir(), reason=f"no {EUTRANS}: real text for the tests, which is no part of the repository"
)
def test_eutrans(tmp_path):
    """Spanish and English sentences from a hotel's desk; Spanish stands in for ``de``."""

    def read(name):
        sides = [(EUTRANS / f"{name}.{language}").read_text(encoding="utf-8").splitlines() for language in ("es", "en")]
        return list(zip(*sides))

    parts = {"train": read("training"), "valid": read("dev"), "test": read("test")[::20]}
    shared = ["--batch-size", 1000, "--max-tokens", 1500, "--lr", 3e-3, "--log-interval", 50]
    shared += ["--lr-scheduler", "inverse_sqrt", "--warmup-updates", 100]
    chain = make_chain(
        tmp_path, parts, arch=TRANSFORMER, lm_updates=120, updates=350, arguments=[*shared, "--disable-validation"]
    )
    runs = dsl_and_control(chain, tmp_path, 0.05, [*shared, "--max-update", 120, "--label-smoothing", 0.1])
    for direction in DIRECTIONS:
        translated = generate(chain.data, direction, tmp_path / "dsl" / "checkpoint_last.pt", "--batch-size", 100)
        score = bleu(translated, parts["test"], direction)
        print(direction, score)
        assert score > 20
    gaps = {name: run.last("valid", "valid_duality_loss") for name, run in runs.items()}
    assert gaps["dsl"] < 0.85 * gaps["control"]

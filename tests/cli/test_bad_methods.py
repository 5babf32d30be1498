"""Bad input of the other methods gets one message that names the flag or file, what was expected and what was found."""

from functools import partial

import pytest
from bad import check, check_training_is_refused, refusal, replaced
from commands import TASK, TRANSFORMER, lm_flags, mono_flags, train, warm_flags

MONO, LMS = ("--source-mono", "--target-mono"), ("--source-lm", "--target-lm")


def method(name, *flags, without=()):
    """A command of a method that samples, but for some flags."""

    def make(chain, bad):
        given = [*TASK, *warm_flags(chain), *lm_flags(chain), *mono_flags(chain.lm_data), "--criterion", name]
        none = {flag[2:].replace("-", "_"): None for flag in (*without, *[f for f in flags if f in MONO])}
        return [*replaced(given, **none), *(bad.get(flag, flag) for flag in flags)]

    return make


ROUND_TRIPS = ("dual_learning", "marginal_regularized_cross_entropy", "back_translation_cross_entropy")
dual_learning, marginal, back_translation = (partial(method, name) for name in ROUND_TRIPS)
minimum_risk = partial(method, "minimum_risk", without=MONO)

cycle = partial(method, "cycle_adversarial")

# name: (the flags of the command, what its message must match, each as a regular expression)
CASES = {
    **{
        f"{name} without monolingual text": (
            make(without=MONO), [f"--criterion {name}", "monolingual text", "--source-mono, --target-mono, or both"],
        )
        for name, make in zip(ROUND_TRIPS, (dual_learning, marginal, back_translation))
    },
    **{
        f"the cycle with {found}": (
            cycle(without=without),
            [f"--criterion cycle_adversarial: .*both languages, found {found}; give --source-mono and --target-mono"],
        )
        for found, without in (("none", MONO), ("de", MONO[1:]), ("en", MONO[:1]))
    },
    "the cycle with shares above 1": (
        cycle("--reward-alpha", 0.8, "--lm-alpha", 0.3), ["--reward-alpha 0.8 --lm-alpha 0.3", "at most 1 together"],
    ),
    "marginal regularization without language models": (
        marginal(without=LMS),
        ["--criterion marginal_regularized_cross_entropy", "language model", "--source-lm and --target-lm"],
    ),
    "dual learning without language models": (
        dual_learning(without=LMS), ["--criterion dual_learning", "--reward-alpha 0.01", "--source-lm and --target-lm"],
    ),
    "dual learning without one language model": (
        dual_learning(without=LMS[:1]), ["--source-lm is missing", "--target-lm alone"],
    ),
    "a gap without language models": (
        minimum_risk("--dsl-lambda", 0.1, without=(*MONO, *LMS)), ["--dsl-lambda 0.1", "--source-lm and --target-lm"],
    ),
    **{
        f"importance sampling with {flag}": (
            marginal(flag, *value), [flag, "true probability", "leave the flag out", "--sample-temperature may stay"],
        )
        for flag, *value in (("--sample-topk", 5), ("--sample-topp", 0.9), ("--sample-beam",))
    },
    **{
        f"{flag} {name}": (back_translation(flag, f"mono {name}"), [rf"{flag} /\S+", *words])
        for flag, name, *words in (
            ("--source-mono", "order", r"another vocabulary: symbol 4 is '\w+' there and '\w+'", "--srcdict"),
            ("--target-mono", "fewer", "another vocabulary", "--srcdict"),
            ("--source-mono", "file", "no such folder", "fairseq-preprocess --only-source"),
            ("--target-mono", "nowhere", "no such folder", "fairseq-preprocess --only-source"),
            ("--source-mono", "translation", r"contains no train\.idx", "--only-source --srcdict"),
            ("--target-mono", "bare", r"contains no dict\.txt", "--only-source --srcdict"),
            ("--source-mono", "cut", r"train\.bin", "--only-source --srcdict"),
            ("--target-mono", "empty", "contains no sentences"),
            ("--source-mono", "blank", "at most 64 tokens, found 3 empty"),
            ("--target-mono", "long", "at most 64 tokens", "2 longer than 64 tokens"),
        )
    },
    **{
        f"{flag} {value}": (make(flag, value), [f"{flag} {value}", words])
        for make, flag, value, words in (
            (back_translation, "--num-samples", 0, "1 or more"),
            (dual_learning, "--num-samples", 1, "leave-one-out requires 2 or more.*--reward-baseline none"),
            (dual_learning, "--reward-alpha", 1.5, "from 0 to 1"),
            (minimum_risk, "--sharpness", 0, "above 0"),
            (marginal, "--marginal-lambda", -1, "0 or more"),
            (back_translation, "--mono-ratio", 0, "above 0"),
            (back_translation, "--mono-weight", "much", "0:0,1000:0.5,5000:1"),
            (back_translation, "--mono-weight", "5:1,2:2", "0:0,1000:0.5,5000:1"),
            (back_translation, "--mono-weight", "0:0,9:1,5:2", "0:0,1000:0.5,5000:1"),
            (back_translation, "--mono-weight", "0:0,5", "0:0,1000:0.5,5000:1"),
            (back_translation, "--mono-weight", -1, "0 or more"),
            (back_translation, "--mono-weight", "0:1,5:-1", "0 or more"),
            (back_translation, "--mono-weight", "nan", "0 or more"),
            (back_translation, "--sample-temperature", 0, "above 0"),
            (back_translation, "--sample-topp", 2, "from 0 .* to 1"),
        )
    },
    "two ways of sampling": (
        dual_learning("--sample-topk", 3, "--sample-beam"), ["--sample-beam and --sample-topk", "one of them"],
    ),
    **{
        f"text of the other language as {flag}": (
            back_translation(flag, f"mono {own}"),
            [f"{flag} /", f"looks like {own}", f"as {other} and", "target language"],
        )
        for flag, own, other in (("--source-mono", "en", "de"), ("--target-mono", "de", "en"))
    },
    "a beam of more than there are symbols": (
        minimum_risk("--num-samples", 30, "--sample-beam"), ["--num-samples 30 --sample-beam", "24 symbols"],
    ),
    **{
        f"--proposal-checkpoint {name}": (make("--proposal-checkpoint", name), ["--proposal-checkpoint /", *words])
        for make, name, words in (
            (back_translation, "missing", ["no such file"]),
            (marginal, "corrupt", ["corrupt|not a checkpoint"]),
            (back_translation, "a lm", ["language model", "translation model"]),
            (back_translation, "warm fr", ["translates de-fr", "translates de-en"]),
            (back_translation, "warm de-en", ["translates de-en", "translates en-de"]),
            (marginal, "swapped", ["translates en-de", "translates de-en", "swapped"]),
            (marginal, "swapped untold", ["look swapped", "translation model of de-en, then that of en-de"]),
            (marginal, "same untold", ["the same", "translation model of de-en and that of en-de"]),
            (back_translation, "three", ["PRIMAL:DUAL"]),
            (marginal, "warm order", [r"symbol 4 is '\w+' there and '\w+'", "--srcdict"]),
            (back_translation, "warm fewer", ["dictionary, 24 symbols, found a model with 23", "--srcdict"]),
        )
    },
    "two proposals": (
        marginal("--proposal", "lm", "--proposal-checkpoint", "warm de-en"), ["--proposal-checkpoint", "--proposal lm"],
    ),
    **{
        f"no place for the samples of {name}": (
            make("--save-samples", "below a file"), [r"--save-samples /\S+corrupt.pt/samples", "cannot be written"],
        )
        for name, make in (("minimum risk", minimum_risk), ("back-translation", back_translation))
    },
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_training_is_refused(chain, bad, tmp_path, case):
    make, patterns = CASES[case]
    check_training_is_refused(tmp_path, chain.data, make(chain, bad), patterns)


@pytest.mark.parametrize(
    "flags, patterns",
    [
        *(
            (["--criterion", name], [f"--criterion {name}", "both directions", "--task dual_translation"])
            for name in ("dsl_cross_entropy", *ROUND_TRIPS)
        ),
        (["--criterion", "minimum_risk", "--dsl-lambda", 0.1], ["--dsl-lambda 0.1", "gap", "--task dual_translation"]),
        (["--criterion", "minimum_risk", "--dsl-lambda-dual", 2], ["--dsl-lambda-dual 2", "--task dual_translation"]),
    ],
)
def test_methods_with_the_task_of_one_direction(chain, tmp_path, flags, patterns):
    task = ["--task", "translation", "-s", "de", "-t", "en", *TRANSFORMER]
    check(refusal(tmp_path, train, chain.data, *task, *flags, "--max-update", 1, "--save-dir", tmp_path), patterns)

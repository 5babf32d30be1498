"""What can be known before the first update is reported before it, with the flag's name, and nothing is written."""

import re

import pytest
from commands import TASK, TRANSFORMER, command, edited, lm_flags, train

from fairseq_dsl.errors import BadInput

PAIR = [*TASK, *TRANSFORMER, "--dsl-lambda", 0, "--max-epoch", 1]
BLEU = "--eval-bleu"
METRIC, LOGS = "--best-checkpoint-metric", ": validation does not log it; expected one of "
ARGS, DETOK = "--eval-bleu-args", "--eval-bleu-detok"
# name: (flags, what the message says, as a regular expression)
CASES = {
    # metrics
    "a metric that nobody logs": ([METRIC, "bleau"], f"{METRIC} bleau{LOGS}bsz, .*, nll_loss_de-en, "),
    "BLEU that is not computed": ([METRIC, "bleu"], f"{METRIC} bleu{LOGS}"),
    "BLEU of another direction": (
        [BLEU, METRIC, "bleu_de-fr"],
        f"{METRIC} bleu_de-fr{LOGS}bleu, bleu_de-en, bleu_en-de",
    ),
    "a gap without language models": ([METRIC, "duality_gap"], f"{METRIC} duality_gap{LOGS}"),
    # validation's BLEU
    "arguments that are no JSON": ([BLEU, ARGS, "{beam: 4}"], f"{ARGS} {{beam: 4}}: expected a JSON object"),
    "arguments that are no object": ([BLEU, ARGS, "[4]"], f"{ARGS} .4.: expected a JSON object.*found list"),
    "a beam of words": ([BLEU, ARGS, '{"beam": "four"}'], f"{ARGS}: expected a whole number for beam, found 'four'"),
    "a beam of 0": ([BLEU, ARGS, '{"beam": 0}'], f"{ARGS}: beam 0: expected a number of 1 or more"),
    "a temperature of 0": ([BLEU, ARGS, '{"temperature": 0}'], f"{ARGS}: temperature 0: expected a number above 0"),
    "a detokenizer that fairseq lacks": (
        [BLEU, DETOK, "mooses"],
        f"{DETOK} mooses: expected one of fairseq's tokenizers: moses, nltk, space",
    ),
    "a detokenizer's arguments": ([BLEU, f"{DETOK}-args", "{"], f"{DETOK}-args {{: expected a JSON object"),
    "a detokenizer of the risk": (
        ["--criterion", "minimum_risk", DETOK, "mooses"],
        f"{DETOK} mooses: .*expected one of",
    ),
    "a post-processor that fairseq lacks": (
        [BLEU, "--eval-bleu-remove-bpe", "spm"],
        "--eval-bleu-remove-bpe spm: expected one of .*subword_nmt",
    ),
    # folders
    "a save folder below a file": (["--save-dir", __file__ + "/x"], "--save-dir .*cannot be written .*is not a folder"),
    "a save folder that cannot be made": (["--save-dir", "/proc/x"], "--save-dir /proc/x: cannot be written .*/proc"),
    "a log in a folder that cannot be made": (
        ["--log-file", "/proc/x/x.log"],
        "--log-file /proc/x/x.log: cannot be written .*/proc",
    ),
    "graphs below a file": (["--tensorboard-logdir", __file__ + "/x"], "--tensorboard-logdir .*cannot be written"),
    # sizes
    "pairs of more than --max-tokens": (
        ["--max-tokens", 5],
        r"--max-tokens 5: \d+ of 13 pairs .* the longest has \d+;",
    ),
    "pairs of more than --max-tokens-valid": (
        ["--max-tokens", 50, "--max-tokens-valid", 5],
        r" 5: \d+ of 13 pairs .*--max-tokens-valid",
    ),
    # numbers
    **{
        f"{flag} {value}": ([flag, value], f"{flag} .*: .*{words}")
        for flag, value, words in (
            ("--seed", -1, "from 0 to 4294967295"),
            ("--seed", 2**32, "from 0 to 4294967295"),
            ("--log-interval", 0, "any number but 0"),
            ("--num-workers", -1, "0 or more"),
            ("--num-workers", 10**6, "at most 1024"),
            ("--max-tokens", 0, "1 or more"),
            ("--required-batch-size-multiple", 0, "any number but 0"),
            ("--required-seq-len-multiple", 0, "any number but 0"),
            ("--validate-interval", 0, "any number but 0"),
            ("--save-interval", 0, "any number but 0"),
            ("--max-valid-steps", -1, "0 or more"),
            ("--update-freq", 0, "1 or more"),
            ("--update-freq", "2,-1", "1 or more"),
            ("--lr", 1e200, "a number from -1e30 to 1e30"),
            ("--max-source-positions", 0, "1 or more"),
            ("--max-target-positions", -1, "1 or more"),
        )
    },
    "--dropout inf": (
        ["--dropout", "inf", "--arch", "transformer"],
        "--arch transformer: expected a dropout from 0 to 1, found inf",
    ),
    "--attention-dropout -1": (
        ["--attention-dropout", "-1"],
        "--arch transformer_iwslt_de_en: expected a dropout .* found -1.0",
    ),
    "a warm-up of 0 updates": (
        "--lr-scheduler inverse_sqrt --warmup-updates 0".split(),
        "--lr-scheduler inverse_sqrt: cannot be used.*ZeroDivision",
    ),
    "a period of 0 updates": (
        "--lr-scheduler cosine --warmup-updates 9 --max-update 9".split(),
        "--lr-scheduler cosine: cannot be used .*Zero",
    ),
    "betas above 1": (["--adam-betas", "(2, 3)"], "--optimizer adam .*: cannot be used .*domain"),
}


@pytest.mark.parametrize("case", CASES)
def test_is_refused_before_the_first_update(chain, tmp_path, capsys, case):
    flags, words = CASES[case]
    with pytest.raises((BadInput, SystemExit)) as caught:
        train(chain.data, *PAIR, "--save-dir", tmp_path, *flags)
    message = str(caught.value) if caught.type is BadInput else capsys.readouterr().err.splitlines()[-1]
    assert re.search(words, message) and "\n" not in message, message
    assert not list(tmp_path.rglob("*.pt"))


@pytest.mark.parametrize("lms", [False, True])
def test_every_metric_that_is_offered_is_logged(chain, tmp_path, lms):
    """And what is logged is offered: the names are taken from what validation makes of a batch."""
    flags = [
        *PAIR,
        *(lm_flags(chain) if lms else ()),
        BLEU,
        "--save-dir",
        tmp_path,
        "--marginal-cache",
        tmp_path / "cache",
    ]
    with pytest.raises(BadInput) as caught:
        train(chain.data, *flags, "--best-checkpoint-metric", "none of them")
    offered = re.search("expected one of (.*)$", str(caught.value))[1].split(", ")
    stats = train(chain.data, *flags, "--best-checkpoint-metric", "bleu_en-de").stats["valid"][-1]
    logged = {key[len("valid_") :] for key, value in stats.items() if key.startswith("valid_") and value != "nan"}
    assert set(offered) == {key for key in logged if not key.startswith("best_")}


def test_what_fairseq_takes_is_left_to_it(chain, tmp_path):
    odd = (
        "--log-interval -1 --batch-size -1 --required-batch-size-multiple -1 --clip-norm nan --patience 0 --lr 0 "
        "--save-interval -1 --validate-interval -1 --max-valid-steps 0 --keep-last-epochs -1 --max-tokens 1000"
    ).split()
    train(chain.data, *PAIR, *odd, "--save-dir", tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "checkpoint_last.pt").exists()


def test_a_checkpoint_is_not_held_to_the_flags_of_its_training(chain, dual, tmp_path):
    """They were checked when it was trained, and what is missing now may not matter."""
    copy = edited(dual, tmp_path / "copy.pt", checkpoint__best_checkpoint_metric="gone", task__mono_ratio=5000.0)
    command("validate", chain.data, "--task", "dual_translation", "--path", copy, "--batch-size", 8, "--cpu")

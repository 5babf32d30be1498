"""The methods that sample, on real text: few translated sentences, many monolingual ones, two workers, resumed."""

import json
import math
from types import SimpleNamespace

import pytest
from commands import (
    TASK,
    binarize,
    binarize_for_lm,
    generate,
    lm_flags,
    mono_flags,
    train_by_two_workers,
    train_lm,
    train_translation,
    warm_flags,
    write_pairs,
)
from test_learns import DIRECTIONS, EUTRANS, TRANSFORMER, bleu

PARALLEL = 1500
SHARED = "--batch-size 1000 --max-tokens 750 --log-interval 50 --lr-scheduler inverse_sqrt --warmup-updates 100".split()
METHODS = {
    "dual_learning": ["--reward-per-token"],
    "marginal_regularized_cross_entropy": ["--num-samples", 3],
    "minimum_risk": ["--num-samples", 5, "--risk-weight", 200],
}

pytestmark = pytest.mark.skipif(
    not EUTRANS.is_dir(), reason=f"no {EUTRANS}: real text for the tests, which is no part of the repository"
)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Spanish and English sentences from a hotel's desk, 1,500 of them translated; Spanish stands in for ``de``.

    The dictionary has the words of all of them. Without dropout the warm starts soon know the pairs by heart, and
    more of the same teaches them little.
    """

    def read(name):
        sides = [(EUTRANS / f"{name}.{language}").read_text(encoding="utf-8").splitlines() for language in ("es", "en")]
        return list(zip(*sides))

    folder, training, valid = tmp_path_factory.mktemp("eutrans"), read("training"), read("dev")
    made = SimpleNamespace(text=folder / "text", test=read("test")[::10])
    for name, part in {"train": training[:PARALLEL], "valid": valid, "test": made.test}.items():
        write_pairs(made.text / name, part)
    for name, part in {"all": training, "mono": training[PARALLEL:]}.items():
        write_pairs(folder / name / "train", part)
        write_pairs(folder / name / "valid", valid)
    words = binarize(folder / "all", folder / "bin-all", test=False) / "dict.de.txt"
    made.data = binarize(made.text, folder / "bin", "--srcdict", words)
    made.mono = {lang: binarize_for_lm(folder / "mono", lang, words, folder / f"mono.{lang}") for lang in ("de", "en")}
    more = [*SHARED, "--max-tokens", 1500, "--lr", 3e-3, "--disable-validation"]
    made.lm = {lang: train_lm(data, folder / f"lm.{lang}", *more, updates=120) for lang, data in made.mono.items()}
    made.warm = {
        d: train_translation(made.data, d, folder / d, *more, arch=[*TRANSFORMER, "--dropout", 0], updates=350)
        for d in DIRECTIONS
    }
    return made


def command(chain, criterion, updates, *arguments):
    flags = [*TASK, *warm_flags(chain), *SHARED, "--criterion", criterion, "--label-smoothing", 0.1]
    return [chain.data, *flags, "--dsl-lambda", 0, "--max-update", updates, *arguments]


def test_back_translation_beats_the_supervised_control(chain, tmp_path):
    arguments = ["--lr", 1e-3, "--disable-validation"]
    method = ["back_translation_cross_entropy", 200, *arguments, *mono_flags(chain.mono), "--sample-beam"]
    runs = {
        "control": command(chain, "dsl_cross_entropy", 200, *arguments),
        "back-translation": command(chain, *method),
    }
    train_by_two_workers(tmp_path, runs, limit=500)
    found = {name: [] for name in runs}
    for name in runs:
        for direction in DIRECTIONS:
            path = tmp_path / name / "checkpoint_last.pt"
            translated = generate(chain.data, direction, path, "--batch-size", 100)
            found[name].append(bleu(translated, chain.test, direction))
    print(found)
    assert max(ours - control for ours, control in zip(found["back-translation"], found["control"])) >= 3


def test_other_methods_run_resumed_by_two_workers(chain, tmp_path):
    runs = {}
    for method, arguments in METHODS.items():
        arguments = [*arguments, *lm_flags(chain), "--lr", 2e-4, "--max-tokens", 200]
        arguments += [] if method == "minimum_risk" else mono_flags(chain.mono)
        last = tmp_path / method / "checkpoint_last.pt"
        runs[method] = command(chain, method, 100, *arguments)
        runs[f"{method}-resumed"] = command(chain, method, 200, *arguments, "--restore-file", last)
    runs = {
        "start": command(chain, "dsl_cross_entropy", 1, *lm_flags(chain), "--lr", 1e-9, "--max-tokens", 300),
        **runs,
    }
    train_by_two_workers(tmp_path, runs, limit=580)
    stats = {name: json.loads((tmp_path / name / "stats.0.json").read_text()) for name in runs}
    start = float(stats["start"]["valid"][-1]["valid_nll_loss"])
    for method in METHODS:
        end = stats[f"{method}-resumed"]["valid"][-1]
        print(method, start, end["valid_nll_loss"])
        assert int(end["valid_num_updates"]) == 200
        assert float(end["valid_nll_loss"]) < start + 0.5
        for line in stats[method]["train_inner"] + stats[f"{method}-resumed"]["train_inner"]:
            assert math.isfinite(float(line["loss"])) and math.isfinite(float(line["gnorm"]))

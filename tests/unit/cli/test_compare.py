"""Systems over several runs: the mean of the runs' scores, and what it gains."""

import json
import random
import re

import pytest
import sacrebleu

from fairseq_dsl_cli.evaluation import scores
from fairseq_dsl_cli.main import run

DRAW = random.Random(7)
TEXT = {lang: [" ".join(DRAW.choices("abcdefgh", k=DRAW.randint(4, 9))) for _ in range(40)] for lang in ("de", "en")}
SHARES = {"new": 0.15, "control": 0.35, "alike": 0.35}  # the control need not come first


def noisy(language, seed, share):
    draw = random.Random(seed)
    return [
        " ".join(draw.choice("xyz") if draw.random() < share else w for w in line.split()) for line in TEXT[language]
    ]


def translations(seed):
    """Of one run: the lines by system and direction."""
    number = iter(range(100 * seed, 100 * seed + 100))
    return {
        name: {f"{other}-{lang}": noisy(lang, next(number), share) for other, lang in (("de", "en"), ("en", "de"))}
        for name, share in SHARES.items()
    }


def gap(value):
    return {"duality_gap": value, "duality_gap_signed": 0.0, "duality_loss": value**2}


def write(folder, seed, text=TEXT, **changes):
    """An evaluation.json, as `fairseq-dsl evaluate` writes it, with its texts."""
    folder.mkdir()
    for language, lines in text.items():
        (folder / f"test.{language}").write_text("".join(f"{line}\n" for line in lines))
    found, paths = translations(seed), {}
    for name, by_direction in found.items():
        for direction, lines in by_direction.items():
            path = folder / f"{name}.{direction}.txt"
            path.write_text("".join(f"{line}\n" for line in lines))
            paths.setdefault(name, {})[direction] = str(path)
    ordered = sorted(SHARES, key=lambda name: name != "control")
    evaluation = {
        "subset": "test", "sentences": 40, "languages": ["de", "en"], "baseline": "control", "gaps": {},
        "text": str(folder / "test"),
        "systems": {name: f"{name}.pt" for name in SHARES}, "hypotheses": paths, "commands": [],
        "duality_gap": {"new": gap(seed), "control": gap(2), "alike": None},
        "directions": {
            direction: scores.compare(
                [(name, found[name][direction]) for name in ordered], TEXT[direction[-2:]], "none", 10
            )
            for direction in ("de-en", "en-de")
        },
    }  # fmt: skip
    (folder / "evaluation.json").write_text(json.dumps({**evaluation, **changes}))
    return str(folder / "evaluation.json")


@pytest.fixture
def three(tmp_path):
    return [write(tmp_path / str(seed), seed) for seed in (1, 2, 3)]


def test_scores_are_means_of_the_runs_(three, tmp_path, capsys):
    run(["compare", *three, "--output", str(tmp_path / "comparison.json"), "--resamples", "200"])
    result = json.loads((tmp_path / "comparison.json").read_text())
    for direction, metrics in result["directions"].items():
        references = TEXT[direction[-2:]]
        bleu = {
            name: [
                sacrebleu.corpus_bleu(translations(seed)[name][direction], [references], tokenize="none").score
                for seed in (1, 2, 3)
            ]
            for name in SHARES
        }
        for name, numbers in metrics["BLEU"]["systems"].items():
            assert numbers["scores"] == pytest.approx(bleu[name])
            assert numbers["score"] == pytest.approx(sum(bleu[name]) / 3)
            if name != "control":
                expected = [score - control for score, control in zip(bleu[name], bleu["control"])]
                assert numbers["differences"] == pytest.approx(expected)
                assert numbers["difference"] == pytest.approx(sum(expected) / 3)
                low, high = numbers["interval"]
                assert low < numbers["difference"] < high
        systems = metrics["BLEU"]["systems"]
        assert systems["new"]["p_value"] < 0.02 < systems["alike"]["p_value"]
        assert "tok:none" in metrics["BLEU"]["signature"]
    assert result["duality_gap"] == {"new": [gap(1), gap(2), gap(3)], "control": [gap(2)] * 3}
    out = capsys.readouterr().out
    assert [line.split(" ")[1] for line in out.splitlines() if line.startswith("| ")][:4] == ["de-en", *SHARES]


def test_a_run_thrice_is_the_run(tmp_path, capsys):
    """The same sentences are drawn for all runs: three that are alike have the interval and the p-value of one."""
    path = write(tmp_path / "1", 1)
    run(["compare", path, path, path, "--output", str(tmp_path / "comparison.json"), "--resamples", "10"])
    result, alone = (json.loads(open(file).read()) for file in (tmp_path / "comparison.json", path))
    for direction in ("de-en", "en-de"):
        for metric in ("BLEU", "chrF2"):
            for name, numbers in alone["directions"][direction][metric]["systems"].items():
                found = result["directions"][direction][metric]["systems"][name]
                for key, value in numbers.items():
                    assert found[key] == pytest.approx(value)


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(baseline="new"), "baseline: expected those of the first evaluation, 'control', found 'new'"),
        (dict(systems={"control": "a", "new": "b"}), "systems: expected .* new, control, alike, found control, new"),
        (dict(text={**TEXT, "en": TEXT["de"]}), "text: expected that of the first evaluation, .* found another"),
    ],
)
def test_runs_of_another_kind_are_refused(tmp_path, capsys, changes, message):
    paths = [write(tmp_path / "1", 1), write(tmp_path / "2", 2, **changes)]
    with pytest.raises(SystemExit) as ended:
        run(["compare", *paths])
    assert ended.value.code == 2
    assert re.search(message, capsys.readouterr().err)


def test_one_run_is_refused(three, capsys):
    with pytest.raises(SystemExit):
        run(["compare", three[0]])
    assert "expected two or more evaluations, found one" in capsys.readouterr().err


def test_another_system_may_be_the_baseline(three, tmp_path, capsys):
    results = {}
    for name in ("control", "new"):
        run(
            ["compare", *three, "--baseline", name, "--output", str(tmp_path / "comparison.json"), "--resamples", "100"]
        )
        results[name] = json.loads((tmp_path / "comparison.json").read_text())
        assert results[name]["baseline"] == name
    for direction in ("de-en", "en-de"):
        new, control = (
            results[baseline]["directions"][direction]["BLEU"]["systems"][system]
            for baseline, system in (("control", "new"), ("new", "control"))
        )
        assert new["difference"] == pytest.approx(-control["difference"])
        assert new["p_value"] == control["p_value"]
    assert "against new" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        run(["compare", *three, "--baseline", "old"])
    assert "--baseline: expected one of new, control, alike, found 'old'" in capsys.readouterr().err

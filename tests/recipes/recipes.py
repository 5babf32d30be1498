"""What the tests of the data recipes share: the recipes, a small corpus, and ways to run them.

`run_recipe`, `run_prepare` and `run_local` run a recipe as a command, in a process of its own. `prepare` runs the part
that all recipes share in this process; with the fixture `preprocess_calls` it does so without the slow
fairseq-preprocess.
"""

import argparse
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from fairseq_dsl_cli.preparing import recipe, text

ROOT = Path(__file__).resolve().parents[2]
RECIPES = ROOT / "data-bin-recipes"
PROGRAM = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from fairseq_dsl_cli.main import main; main()"
PREPARE = [sys.executable, "-c", PROGRAM, "prepare"]
"""``fairseq-dsl prepare``, of this repository."""
DE = ["Das ist ein Haus.", "Der Hund bellt laut.", "Wir gehen nach Hause.", "Ein Vogel singt.", "Die Katze schläft."]
EN = ["This is a house.", "The dog barks loudly.", "We go home.", "A bird sings.", "The cat sleeps."]


def _load(name):
    spec = importlib.util.spec_from_file_location(f"recipe_{name}", RECIPES / name / "prepare.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


homeassistant, local, multi30k, toy = (_load(name) for name in ("homeassistant", "local", "multi30k", "toy"))


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


def file_contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run_recipe(name, *arguments, cwd, **environment):
    """``NAME/prepare.sh`` in a folder, with this Python."""
    command = [str(RECIPES / name / "prepare.sh"), *map(str, arguments)]
    environment = {**os.environ, "PYTHON": sys.executable, **environment}
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment)


def run_prepare(*arguments, cwd):
    """``fairseq-dsl prepare`` in a folder."""
    return subprocess.run([*PREPARE, *map(str, arguments)], cwd=cwd, capture_output=True, text=True)


def run_local(cwd, *arguments):
    """The same of German and English."""
    return run_prepare("-s", "de", "-t", "en", *arguments, cwd=cwd)


def options(out, **changes):
    """The parsed options of a recipe."""
    args = dict(out=out, vocab_size=100, character_coverage=1.0, separate=False, workers=1)
    return argparse.Namespace(**{**args, **changes})


def prepare(raw, args, mono=None):
    """What ``fairseq-dsl prepare --raw RAW --mono MONO`` does."""
    files = {split: [raw / f"{split}.de", raw / f"{split}.en"] for split in text.SPLITS}
    recipe.prepare(
        args,
        ("de", "en"),
        sum(files.values(), []),
        lambda: {split: text.read_parallel(*pair) for split, pair in files.items()},
        text.find_mono(mono, ("de", "en")),
    )

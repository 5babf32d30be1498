#!/usr/bin/env python3
"""Runs an experiment: pairs of several methods and seeds, all of a seed from the same warm starts, and compares them.

    scripts/experiments/run.py eutrans-300 --corpus DIR --out runs/eutrans-300 control dsl-0.01 back-translation

A setting (settings/NAME.yaml) says which part of a corpus is used, how large the models are and how long they are
trained; a method (methods.yaml) is a script of scripts/methods/ with flags. The first method is the control. Each pair
translates the test set by a beam of 5, and with dual inference. OUT/results.json has the scores of all seeds together,
as of `fairseq-dsl compare`, and what the runs logged. Run again, with more methods or seeds too, it goes on where it
was.
"""

import itertools
import json
import os
import shlex
import sys
from pathlib import Path

import yaml
from curves import curves

from fairseq_dsl_cli import arguments, children, main, texts

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parent
sys.path.insert(0, str(SCRIPTS))

from parallel import run_all  # noqa: E402

METHODS = yaml.safe_load((HERE / "methods.yaml").read_text(encoding="utf-8"))
SETTINGS = sorted(path.stem for path in (HERE / "settings").glob("*.yaml"))


def setting_of(name):
    """A setting by its name; one that is `like: OTHER` has what OTHER has, but for its own keys and those of `text`."""
    setting = yaml.safe_load((HERE / f"settings/{name}.yaml").read_text(encoding="utf-8"))
    if "like" not in setting:
        return setting
    other = setting_of(setting.pop("like"))
    return {**other, **setting, "text": {**other["text"], **setting["text"]}}


class Experiment:
    """The folders and commands of an experiment; each command does nothing where it is done already."""

    def __init__(self, setting, out, flags):
        self.setting, self.out, self.flags = setting, out, flags
        self.languages = setting["languages"]
        self.directions = (self.languages, self.languages[::-1])
        self.data = out / "bin"

    def texts(self, corpus):
        """The commands that make the data."""
        languages = ["-s", self.languages[0], "-t", self.languages[1]]
        given = {f"--{name}": value for name, value in self.setting["text"].items()}
        files = {flag: corpus / given[flag] for flag in ("--train", "--valid", "--test", "--mono") if flag in given}
        text = self.out / "text"
        yield [sys.executable, HERE / "text.py", *languages, *flat({**given, **files}), text]
        options = {"--raw": text / "raw", "--mono": text / "mono", "--vocab-size": self.setting["vocabulary"]}
        yield ["fairseq-dsl", "prepare", *languages, *flat(options), "--out", self.data]

    def language_model(self, language):
        return self.out / f"lm.{language}"

    def warm_start(self, seed, pair):
        return self.out / f"seed{seed}" / "-".join(pair)

    def pair(self, seed, method):
        return self.out / f"seed{seed}" / method

    def language_models(self):
        flags = zip(("--source-lm", "--target-lm"), self.languages)
        return flat({flag: best(self.language_model(language)) for flag, language in flags})

    def warm_starts(self, seeds):
        """The commands that train the language models, and the models of both directions."""
        for language in self.languages:
            all_text = self.out / f"bin-mono.{language}"  # of the pairs too
            yield [SCRIPTS / "train_lm.sh", all_text, self.language_model(language), *self.options("language_model")]
        for seed, pair in itertools.product(seeds, self.directions):
            script = [SCRIPTS / "train_translation.sh", self.data, *pair, self.warm_start(seed, pair)]
            yield [*script, *self.options("warm_start"), "--seed", seed]

    def pairs(self, seeds, methods):
        """The commands that train the pairs."""
        for seed, method in itertools.product(seeds, methods):
            script, *own = shlex.split(METHODS[method])
            models = zip(("--primal-checkpoint", "--dual-checkpoint"), self.directions)
            starts = flat({flag: best(self.warm_start(seed, pair)) for flag, pair in models})
            file = SCRIPTS / f"methods/{script}.sh"
            text = zip(("--source-mono", "--target-mono"), self.languages)
            mono = flat({flag: self.out / f"bin-mono.{language}" for flag, language in text})
            if "--source-mono" not in file.read_text(encoding="utf-8"):  # nor in the usage that it prints
                mono = []
            command = [file, self.data, *self.languages, self.pair(seed, method)]
            yield [*command, *starts, *self.language_models(), *mono, *self.options("pair"), "--seed", seed, *own]

    def options(self, kind):
        return [*shlex.split(self.setting[kind]), *self.flags]

    def evaluation(self, seed, methods, jobs):
        control, *others = [f"{method}={best(self.pair(seed, method))}" for method in methods]
        starts = ",".join(str(best(self.warm_start(seed, pair))) for pair in self.directions)
        systems = [f"warm start={starts}", *others]
        command = ["fairseq-dsl", "evaluate", "--data-bin", self.data, "-s", self.languages[0], "-t", self.languages[1]]
        command += ["--baseline", control, *itertools.chain(*(["--system", system] for system in systems))]
        command += ["--dual-inference", *self.language_models(), "--jobs", jobs, *self.flags]
        return [*command, "--output", self.out / f"seed{seed}" / "evaluation"]

    def evaluated(self, seed):
        return self.out / f"seed{seed}" / "evaluation" / "evaluation.json"

    def comparisons(self, seeds, methods):
        """The commands that hold all systems against the control, and against the setting's other baselines."""
        evaluations = [self.evaluated(seed) for seed in seeds]
        for baseline in self.baselines(methods):
            options = ["--baseline", baseline, "--output", self.comparison(baseline)]
            yield ["fairseq-dsl", "compare", *evaluations, *options]

    def baselines(self, methods):
        """The control, and those of the setting that are there."""
        systems = {system for method in methods for system in (method, f"{method} + dual inference")}
        return [methods[0], *(name for name in self.setting["baselines"] if name in systems and name != methods[0])]

    def comparison(self, baseline):
        return self.out / f"against {baseline}.json"

    def results(self, seeds, methods):
        """What is kept of an experiment: the comparison with the control, others, and what was run and logged."""
        starts = {"-".join(pair): [self.warm_start(seed, pair) for seed in seeds] for pair in self.directions}
        pairs = {method: [self.pair(seed, method) for seed in seeds] for method in methods}
        models = {f"LM {language}": [self.language_model(language)] for language in self.languages}
        runs = {**pairs, **starts, **models}
        files = [self.comparison(baseline) for baseline in self.baselines(methods)]
        evaluation, control, *others = [
            json.loads(file.read_text(encoding="utf-8")) for file in (self.evaluated(seeds[0]), *files)
        ]
        return {
            **control,
            "notes": [note.replace(f"{self.out}/", "") for note in evaluation["notes"]],  # such as A and B
            "setting": self.setting,
            "seeds": seeds,
            "methods": {method: METHODS[method] for method in methods},
            "against others": others,
            "logs": {name: [curves(folder) for folder in folders] for name, folders in runs.items()},
        }


def numbers(text):
    """The type of an option that lists numbers above 0.

    >>> numbers("4,5")
    [4, 5]
    """
    return [arguments.positive(part) for part in text.split(",")]


def best(folder):
    return folder / "checkpoint_best.pt"


def flat(options):
    return list(itertools.chain(*options.items()))


def call(command):
    """Run a command and print what it does; its exit code is 0, or this one ends."""
    words = [str(word) for word in command]
    print(f"$ {shlex.join(words)}", flush=True)
    process = children.start(words, stdout=None, stderr=None)
    if code := process.wait():
        sys.exit(f"run.py: exit code {code} of: {shlex.join(words)}")


def at_once(commands, jobs):
    """Run commands, so many at the same time."""
    if code := run_all([list(map(str, command)) for command in commands], jobs):
        sys.exit(f"run.py: exit code {code} of a command above")


def run():
    parser = arguments.Parser(__doc__)
    add = parser.add_argument
    add("setting", metavar="SETTING", choices=SETTINGS, help=f"one of {', '.join(SETTINGS)}")
    add("methods", metavar="METHOD", nargs="+", choices=METHODS, help=f"the control, and others: {', '.join(METHODS)}")
    add("--corpus", type=arguments.input_folder, required=True, metavar="DIR", help="folder of the corpora")
    add("--out", type=arguments.output_folder, required=True, metavar="DIR", help="folder for all that is made")
    add("--seeds", type=numbers, default=[1, 2, 3], metavar="N,N,...", help="default: 1,2,3")
    add("--jobs", type=arguments.positive, default=2, help="trainings at the same time (default: %(default)s)")
    add("--cpu", action="store_true", help="use no GPU (default: a GPU where there is one)")
    args = parser.parse_args()
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    experiment = Experiment(setting_of(args.setting), Path(args.out), ["--cpu"] if args.cpu else [])

    for command in experiment.texts(Path(args.corpus)):
        call(command)
    at_once(experiment.warm_starts(args.seeds), args.jobs)
    at_once(experiment.pairs(args.seeds, args.methods), args.jobs)
    for seed in args.seeds:
        call(experiment.evaluation(seed, args.methods, args.jobs))
    at_once(experiment.comparisons(args.seeds, args.methods), args.jobs)
    results = experiment.results(args.seeds, args.methods)
    texts.write(Path(args.out) / "results.json", json.dumps(results) + "\n")


if __name__ == "__main__":
    main.end("run.py", run)

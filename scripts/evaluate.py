#!/usr/bin/env python3
"""Translates a test set in both directions with several systems and compares them with a control.

    scripts/evaluate.py --data-bin data-bin/m30k -s de -t en --text data-bin/m30k-text/test \\
        --baseline control=control.pt --system dsl=dual.pt --system warm=de-en.pt,en-de.pt

Prints, for each direction, sacrebleu's BLEU and chrF with their signatures and 95% confidence intervals, the difference
from the control with its 95% interval and the p-value of a two-sided paired bootstrap test, and each pair's duality gap
on the test set, by the language models that it was trained with or those given here. The translations, the logs and the
numbers (evaluation.json) are kept in the output folder; a translation that is there already, of the same command on
files of the same content, is taken again.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import sys
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sacrebleu.metrics import BLEU, CHRF

import children
import commandline
import significance
import trainlog
from files import written_atomically
from inputs import checksum, files_of
from progress import StatusLine, bar

_LINES_OF_A_FAILURE = 20
_NAME = re.compile(r"(?!\.)[^/\x00-\x1f\x7f]{1,100}")  # of a system: it begins the names of its files
# fairseq's name of a duality statistic -> its name here.
GAP_STATISTICS = {"duality_gap": "mean |gap|", "duality_gap_signed": "mean gap", "duality_loss": "mean gap²"}


@dataclass(frozen=True)
class System:
    """A dual checkpoint, or two plain ones: the path (for fairseq: `a.pt:b.pt` is an ensemble) for each direction."""

    name: str
    paths: tuple  # one path for both directions, or one for each

    @classmethod
    def parse(cls, text):
        name, equals, paths = text.partition("=")
        paths = tuple(paths.split(","))
        if not (name and equals and all(paths) and len(paths) <= 2):
            raise argparse.ArgumentTypeError(
                f"{text!r} is neither NAME=DUAL.pt nor NAME=PRIMAL.pt,DUAL.pt (two plain checkpoints)"
            )
        if not _NAME.fullmatch(name):
            raise argparse.ArgumentTypeError(f"{name!r}: expected a name for files, without / or a leading dot")
        for file in (file for path in paths for file in path.split(os.pathsep)):
            if not os.path.isfile(file):
                raise argparse.ArgumentTypeError(f"{file} of {text!r} is no file")
        return cls(name, paths)

    @property
    def is_pair(self):
        return len(self.paths) == 1

    def path(self, is_primal):
        return self.paths[0] if self.is_pair or is_primal else self.paths[1]


@dataclass
class Job:
    """One command of fairseq whose output is wanted, and where it is kept."""

    name: str
    command: list
    log: Path
    inputs: list  # files without whose content the log is stale
    total: int = 0  # lines of hypotheses to come, for the line of progress

    def kept(self):
        """Returns the output of an earlier run of the same command on files of the same content, or None."""
        if not self.log.is_file():
            return None
        lines = self.log.read_text(encoding="utf-8", errors="replace").split("\n")
        return lines[2:] if lines[:2] == self._headlines() else None

    def run(self, show, started):
        """Runs the command, calls `show` with its progress, and returns its lines."""
        process = children.start(self.command)
        started.append(process)
        lines, done = [], 0
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("D-"):
                done += 1
                show(f"{self.name} {bar(done, self.total)}")
        if process.wait():
            tail = "\n".join(deque(lines, maxlen=_LINES_OF_A_FAILURE))
            raise RuntimeError(f"{tail}\n{self.name}: exit code {process.returncode} of: {shlex.join(self.command)}")
        write(self.log, "\n".join([*self._headlines(), *lines]))
        return lines

    def _headlines(self):
        contents = "".join(f"{file} {checksum(file)}\n" for file in self.inputs)
        command = shlex.join(self.command).replace("\n", " ")
        return [f"$ {command}", f"# inputs {hashlib.sha256(contents.encode(errors='surrogateescape')).hexdigest()}"]


def run_all(jobs, workers, status):
    """Runs `jobs`, so many at a time, and returns their lines in the same order."""
    guard, states, started = threading.Lock(), {}, []

    def show(job, text):
        with guard:
            states[job.name] = text
            status.update(*filter(None, states.values()))

    def run(job):
        lines = job.kept()
        with guard:
            taken = "" if lines is None else f"\n{job.name}: taken from {job.log}"
            status.message(f"$ {shlex.join(job.command)}{taken}")
        if lines is None:
            show(job, f"{job.name}: starting")
            lines = job.run(lambda text: show(job, text), started)
            show(job, "")
        return lines

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(run, job) for job in jobs]
        try:
            return [future.result() for future in futures]
        except BaseException:  # a failure or Ctrl-C: nothing that was started stays, nothing else starts
            pool.shutdown(wait=False, cancel_futures=True)
            children.stop(started)
            raise
        finally:
            status.close()


def hypotheses(lines, count):
    """Returns the `count` detokenized hypotheses of fairseq-generate's output, in the order of the test set.

    fairseq prints them in the order of its batches, as `D-NUMBER<tab>SCORE<tab>TEXT`.

    >>> hypotheses(["D-1\\t-0.5\\tzwei", "H-0\\t-0.1\\te ins", "D-0\\t-0.1\\teins"], 2)
    ['eins', 'zwei']
    """
    found = {}
    for line in lines:
        if line.startswith("D-"):
            number, _, text = line[2:].split("\t", 2)
            found[int(number)] = text
    if sorted(found) != list(range(count)):
        missing = sorted(set(range(count)) - set(found))
        extra = sorted(set(found) - set(range(count)))
        raise ValueError(
            f"{len(found)} hypotheses for {count} references (missing numbers: {missing[:5]}, too many: {extra[:5]}): "
            "--text and --subset must name the same sentences"
        )
    return [found[number] for number in range(count)]


def tokenizer(lang, chosen):
    """sacrebleu's BLEU tokenizer for a language: that of training's validation, by the plugin's rule, unless chosen."""
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    from fairseq_dsl.bleu import tokenizer_for  # here, as it takes seconds

    return tokenizer_for(lang, chosen)


def compare(systems, references, tokenize, resamples):
    """Scores `systems` [(name, hypotheses)], of which the first is the control.

    Returns {metric: {"signature": ..., "systems": {name: numbers}}}, the numbers of `significance.compare`.
    """
    result = {}
    for metric in (BLEU(tokenize=tokenize), CHRF()):
        name, signature, numbers = significance.compare(systems, references, metric, resamples)
        result[name] = {"signature": signature, "systems": numbers}
    return result


def duality_gap(lines, subset):
    """Returns the duality statistics that fairseq-validate logged; {} of a pair without language models."""
    logged = [parsed[1] for line in lines if (parsed := trainlog.parse_line(line)) and parsed[0] == subset]
    if not logged:
        raise ValueError(f"fairseq-validate logged no statistics of {subset!r}")
    return {key: logged[-1][key] for key in GAP_STATISTICS if key in logged[-1]}


def table(result):
    """Lays out the numbers of an evaluation as text."""
    lines = []
    baseline = result["baseline"]
    width = max(len(name) for name in result["systems"])
    for direction, metrics in result["directions"].items():
        lines.append(f"{direction}, {result['sentences']} sentences of {result['subset']}")
        header = "".join(f"  {metric:>6}  {'95% interval':>14}  {'against ' + baseline:>33}" for metric in metrics)
        lines.append(f"  {'':{width}}{header}")
        for name in result["systems"]:
            row = f"  {name:{width}}"
            for metric in metrics.values():
                score = metric["systems"][name]
                interval = f"{score['mean']:.2f} ± {score['ci']:.2f}"
                row += f"  {score['score']:6.2f}  {interval:>14}  {against(score, metric['systems'][baseline]):>33}"
            lines.append(row.rstrip())
        lines += [f"  {name}: {metric['signature']}" for name, metric in metrics.items()]
        lines.append("")
    if any(result["duality_gap"].values()):
        lines.append(f"duality gap on {result['subset']} (nats per sentence pair)")
        lines.append(f"  {'':{width}}" + "".join(f"  {label:>10}" for label in GAP_STATISTICS.values()))
        for name, gap in result["duality_gap"].items():
            if gap:
                lines.append(f"  {name:{width}}" + "".join(f"  {gap[key]:10.2f}" for key in GAP_STATISTICS))
    return "\n".join(lines)


def against(score, control):
    """The difference to the control: '+0.42 [+0.10, +0.75] (p = 0.013)'; empty for the control itself.

    What version 0.2 wrote has no interval, and sacrebleu's p-value, which is too small for systems that are nearly as
    good.
    """
    if score["p_value"] is None:
        return ""
    bounds = score.get("interval")
    interval = f" [{bounds[0]:+.2f}, {bounds[1]:+.2f}]" if bounds else ""
    return f"{score['score'] - control['score']:+.2f}{interval} (p = {score['p_value']:.3f})"


def read_lines(path):
    with open(path, encoding="utf-8") as file:
        try:
            return file.read().removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            sys.exit(f"{path}: not UTF-8 ({error.reason} at byte {error.start + 1})")


def write(path, text):
    with written_atomically(str(path), "w", encoding="utf-8") as file:
        file.write(text)


def check(args, systems, parser):
    """Refuses what can be known to fail before anything is translated.

    Returns the test set's sentences by language, and what each system that is a pair was trained with.
    """
    primal = (args.source_lang, args.target_lang)
    names = [system.name for system in systems]
    if len(set(names)) < len(names):
        parser.error(f"--system: each name once, found {', '.join(names)}")
    if primal[0] == primal[1]:
        parser.error(f"-s {primal[0]} -t {primal[1]}: expected two languages")
    if (args.source_lm is None) != (args.target_lm is None):
        parser.error("--source-lm and --target-lm: the duality gap takes both")
    for flag, path in (("--source-lm", args.source_lm), ("--target-lm", args.target_lm)):
        if path is not None:
            parser.check(flag, commandline.input_file, path)
    parser.check("--data-bin", commandline.input_folder, args.data_bin)
    parser.check("--user-dir", commandline.input_folder, args.user_dir)
    parser.check("--output", commandline.output_folder, args.output)
    try:
        shlex.split(args.generate_args)
    except ValueError as error:
        parser.error(f"--generate-args {args.generate_args!r}: {error}")
    for lang in primal:
        if not os.path.isfile(os.path.join(args.data_bin, f"dict.{lang}.txt")):
            parser.error(f"--data-bin {args.data_bin}: no dict.{lang}.txt there; expected data of {'-'.join(primal)}")
        if not os.path.isfile(f"{args.text}.{lang}"):
            parser.error(f"--text {args.text}: no file {args.text}.{lang}; expected the detokenized {args.subset}")
    texts = {lang: read_lines(f"{args.text}.{lang}") for lang in primal}

    import models  # torch and fairseq: not before all that is quick

    count = models.number_of_sentences(args.data_bin, args.subset, *primal)
    if count is None:
        parser.error(f"--data-bin {args.data_bin}: no {args.subset} of {'-'.join(primal)} there")
    for lang, lines in texts.items():
        try:
            BLEU(tokenize=tokenizer(lang, args.tokenize))
        except (RuntimeError, ImportError) as error:  # a tokenizer that takes another package
            parser.error(f"--tokenize {tokenizer(lang, args.tokenize)}: {error}")
        if len(lines) != count:
            parser.error(f"--text {args.text}.{lang}: expected {count} lines, as {args.subset} has, found {len(lines)}")
    directions = ["-".join(primal), "-".join(reversed(primal))]
    pairs = {}
    for system in systems:
        flag = f"--{'baseline' if system is args.baseline else 'system'} {system.name}:"
        for number, path in enumerate(system.paths):
            expected = directions if system.is_pair else [directions[number]]
            found = [models.check_translates(file, flag, expected, system.is_pair) for file in path.split(os.pathsep)]
        if system.is_pair and len(found) == 1:  # fairseq-validate takes no ensemble
            pairs[system.name] = found[0]
    if args.source_lm:
        models.check_language_models({"--source-lm": args.source_lm, "--target-lm": args.target_lm})
    return texts, pairs


def make_jobs(args, systems, pairs, count):
    """Returns {(system, direction): generate job}, and {system: validate job} for those with a duality gap."""
    primal, dual = (args.source_lang, args.target_lang), (args.target_lang, args.source_lang)
    generations, validations = {}, {}
    for system in systems:
        for languages in (primal, dual):
            direction, path = "-".join(languages), system.path(languages == primal)
            command = generate_command(args, system, path, *languages)
            generations[system.name, direction] = Job(
                name=f"{system.name} {direction}",
                command=command,
                log=Path(args.output) / f"{system.name}.{direction}.log",
                inputs=inputs(args, command),
                total=count,
            )
        if system.name in pairs:
            command = validate_command(args, system.path(True), pairs[system.name].source)
            validations[system.name] = Job(
                name=f"{system.name} duality gap",
                command=command,
                log=Path(args.output) / f"{system.name}.gap.log",
                inputs=[*inputs(args, command), *pairs[system.name].language_models],
            )
    return generations, validations


def inputs(args, command):
    """The files that a command reads; of the data folder those of the subset, so that others may come beside it."""
    data = Path(args.data_bin)
    mine = ("dict.", f"{args.subset}.")
    return [str(file) for file in files_of(command) if file.parent != data or file.name.startswith(mine)]


def generate_command(args, system, path, source, target):
    task = "dual_translation" if system.is_pair else "translation"
    words = ["fairseq-generate", args.data_bin, "--user-dir", args.user_dir, "--task", task, "-s", source, "-t", target]
    words += ["--path", path, "--gen-subset", args.subset, "--beam", str(args.beam)]
    return words + shlex.split(args.generate_args) + batching(args)


def validate_command(args, path, source=None):
    """The command that logs a pair's duality gap.

    `source` is the source language that the pair was trained with, whose language model is its `--source-lm`; by
    default that of the evaluation.
    """
    words = ["fairseq-validate", args.data_bin, "--user-dir", args.user_dir, "--task", "dual_translation"]
    words += ["--path", path, "--valid-subset", args.subset, "--log-format", "json"]
    if args.source_lm:
        language_models = [args.source_lm, args.target_lm]
        if source not in (None, args.source_lang):
            language_models.reverse()
        words += ["--source-lm", language_models[0], "--target-lm", language_models[1]]
    # BLEU of the training's validation is not wanted again: every hypothesis is scored here.
    return words + ["--model-overrides", "{'eval_bleu': False}"] + batching(args)


def batching(args):
    # A multiple of 1, lest some versions of fairseq drop the last sentences.
    words = ["--max-tokens", str(args.max_tokens), "--required-batch-size-multiple", "1", "--num-workers", "0"]
    return words + (["--cpu"] if args.cpu else [])


def make_parser():
    parser = commandline.Parser(__doc__)
    add = parser.add_argument
    add("--data-bin", required=True, metavar="DIR", help="translation data of fairseq-preprocess")
    add("-s", "--source-lang", required=True, metavar="LANG", help="source language of the primal direction")
    add("-t", "--target-lang", required=True, metavar="LANG", help="target language of the primal direction")
    add("--text", metavar="PREFIX",
        help="detokenized references PREFIX.LANG, one sentence a line (default: DATA_BIN-text/SUBSET)")
    add("--subset", default="test", help="subset of the data to translate (default: %(default)s)")
    add("--baseline", required=True, type=System.parse, metavar="NAME=PATH",
        help="the control: NAME=DUAL.pt, or NAME=PRIMAL.pt,DUAL.pt for two plain checkpoints; a:b is an ensemble")
    add("--system", action="append", default=[], type=System.parse, metavar="NAME=PATH",
        help="a system to compare with the control; may be repeated")
    add("--source-lm", metavar="FILE",
        help="language model of the source language, for the duality gap (default: that of each pair's training)")
    add("--target-lm", metavar="FILE", help="language model of the target language")
    add("--output", default="evaluation", metavar="DIR",
        help="folder for translations, logs and evaluation.json (default: %(default)s)")
    add("--json", action="store_true", help="print evaluation.json instead of the table (default: the table)")
    add("--beam", type=commandline.positive, default=5, help="beam size (default: %(default)s)")
    add("--max-tokens", type=commandline.positive, default=4096, help="tokens of a batch (default: %(default)s)")
    add("--generate-args", default="--remove-bpe sentencepiece", metavar="FLAGS",
        help="further flags of fairseq-generate that undo the encoding of the text (default: %(default)r)")
    add("--tokenize", choices=sorted(BLEU.TOKENIZERS),
        help="BLEU's tokenizer for both directions (default: that of each target language, by the rule of validation, in "
             "fairseq_dsl/bleu.py: zh for Chinese, char for others without spaces between words, such as Japanese, Thai, "
             "Lao, Khmer, Burmese and Tibetan, else 13a)")
    add("--resamples", type=commandline.positive, default=1000,
        help="resamples of the bootstrap (default: %(default)s)")
    add("--jobs", type=commandline.positive, default=1,
        help="commands of fairseq that run at the same time (default: %(default)s)")
    add("--cpu", action="store_true", help="use no GPU (default: a GPU where there is one)")
    add("--user-dir", default="fairseq_dsl", metavar="DIR", help="the plugin, as for fairseq (default: %(default)s)")
    return parser


def main():
    parser = make_parser()
    args = parser.parse_args()
    systems = [args.baseline, *args.system]
    args.text = args.text or f"{args.data_bin.rstrip('/')}-text/{args.subset}"
    texts, pairs = check(args, systems, parser)
    count = len(texts[args.source_lang])
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    # Several threads for each of several jobs on few cores would slow all of them down.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # The fairseq commands beside this interpreter: it is the one that has the plugin.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

    generations, validations = make_jobs(args, systems, pairs, count)
    jobs = [*validations.values(), *generations.values()]  # what is quick, and may fail, first
    # With --json, only that goes to the standard output.
    status = StatusLine(sys.stderr if args.json else sys.stdout)
    try:
        outputs = dict(zip((job.name for job in jobs), run_all(jobs, args.jobs, status)))
    except RuntimeError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        return 130

    result = {
        "data_bin": args.data_bin,
        "subset": args.subset,
        "sentences": count,
        "languages": [args.source_lang, args.target_lang],
        "baseline": args.baseline.name,
        "systems": {system.name: ",".join(system.paths) for system in systems},
        "text": args.text,
        "directions": {},
        "hypotheses": {},
        "duality_gap": {},
        "commands": [shlex.join(job.command) for job in jobs],
    }
    for source, target in ((args.source_lang, args.target_lang), (args.target_lang, args.source_lang)):
        direction = f"{source}-{target}"
        named = []
        for name in result["systems"]:
            job = generations[name, direction]
            try:
                named.append((name, hypotheses(outputs[job.name], count)))
            except ValueError as error:
                sys.exit(f"{job.log}: {error}")
            path = job.log.with_suffix(".txt")
            write(path, "".join(f"{line}\n" for line in named[-1][1]))
            result["hypotheses"].setdefault(name, {})[direction] = str(path)
        tokenize = tokenizer(target, args.tokenize)
        result["directions"][direction] = compare(named, texts[target], tokenize, args.resamples)
    for name, job in validations.items():
        result["duality_gap"][name] = duality_gap(outputs[job.name], args.subset)

    as_json = json.dumps(result, indent=2, ensure_ascii=False)
    write(output / "evaluation.json", f"{as_json}\n")
    print(as_json if args.json else f"\n{table(result)}")
    return 0


if __name__ == "__main__":
    commandline.run(main)

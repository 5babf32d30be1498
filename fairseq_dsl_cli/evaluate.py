"""Translates a test set in both directions with several systems and compares them with a control.

    fairseq-dsl evaluate --data-bin data-bin/m30k -s de -t en --text data-bin/m30k-text/test \\
        --baseline control=control.pt --system dsl=dual.pt --system warm=de-en.pt,en-de.pt

Prints, for each direction, sacrebleu's BLEU and chrF with their signatures and 95% confidence intervals, the difference
from the control with its 95% interval and the p-value of a two-sided paired bootstrap test, and each pair's duality gap
on the test set, by the language models that it was trained with or those given here. With --dual-inference the control
and each pair are also translated by both directions and the language models, and compared with the control without.
The translations, the logs and the numbers (evaluation.json) are kept in the output folder; a translation that is there
already, of the same command on files of the same content, is taken again.
"""

import json
import os
import shlex
import sys
from argparse import Namespace
from pathlib import Path
from typing import Optional

from . import arguments, texts
from .arguments import Parser
from .evaluation import checks, commands, dual_inference, gaps, jobs, scores
from .evaluation.systems import System
from .progress import StatusLine
from .user_dir import folder_of_plugin


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("--data-bin", required=True, metavar="DIR", help="translation data of fairseq-preprocess")
    add("-s", "--source-lang", required=True, metavar="LANG", help="source language of the primal direction")
    add("-t", "--target-lang", required=True, metavar="LANG", help="target language of the primal direction")
    add(
        "--text",
        metavar="PREFIX",
        help="detokenized references PREFIX.LANG, one sentence a line (default: DATA_BIN-text/SUBSET)",
    )
    add("--subset", default="test", help="subset of the data to translate (default: %(default)s)")
    add(
        "--baseline",
        required=True,
        type=System.parse,
        metavar="NAME=PATH",
        help="the control: NAME=DUAL.pt, or NAME=PRIMAL.pt,DUAL.pt for two plain checkpoints; a:b is an ensemble",
    )
    add(
        "--system",
        action="append",
        default=[],
        type=System.parse,
        metavar="NAME=PATH",
        help="a system to compare with the control; may be repeated",
    )
    add(
        "--dual-inference",
        action="store_true",
        help="also translate with dual inference: the control and each pair once more, by both directions and the "
        f"language models; chosen from a beam of at least {dual_inference.BEAM} (default: not)",
    )
    add(
        "--reverse-weight",
        metavar="A",
        help="weight of the reverse direction in dual inference: one for both directions, or one for each, as in "
        f"de-en=0.4,en-de=0.6 (default: the checkpoint's, or {dual_inference.REVERSE_WEIGHT})",
    )
    add(
        "--lm-weight",
        metavar="B",
        help="weight of the language model in dual inference, in the same forms (default: the checkpoint's, or the "
        "plugin's: see --lm-weight of fairseq-generate)",
    )
    add(
        "--source-lm",
        metavar="FILE",
        help="language model of the source language, for the duality gap and dual inference: of any kind that "
        "fairseq-train has; scores:DIR is for the gap alone (default: that of each pair's training)",
    )
    add("--target-lm", metavar="FILE", help="language model of the target language")
    add(
        "--output",
        default="evaluation",
        metavar="DIR",
        help="folder for translations, logs and evaluation.json (default: %(default)s)",
    )
    add("--json", action="store_true", help="print evaluation.json instead of the table (default: the table)")
    add("--beam", type=arguments.positive, default=5, help="beam size (default: %(default)s)")
    add("--max-tokens", type=arguments.positive, default=4096, help="tokens of a batch (default: %(default)s)")
    add(
        "--generate-args",
        default="--remove-bpe sentencepiece",
        metavar="FLAGS",
        help="further flags of fairseq-generate that undo the encoding of the text (default: %(default)r)",
    )
    add(
        "--tokenize",
        metavar="TOKENIZER",
        help="sacrebleu's tokenizer for BLEU: one for both languages, or LANG=TOKENIZER,LANG=TOKENIZER, such as "
        "ko=ko-mecab,en=13a (default: by the target language as in validation: zh for Chinese, char for others without "
        "spaces between words, such as Japanese, Thai, Lao, Khmer, Burmese and Tibetan, else 13a)",
    )
    add("--resamples", type=arguments.positive, default=1000, help="resamples of the bootstrap (default: %(default)s)")
    add(
        "--jobs",
        type=arguments.positive,
        default=1,
        help="commands of fairseq that run at the same time (default: %(default)s)",
    )
    add("--cpu", action="store_true", help="use no GPU (default: a GPU where there is one)")
    add(
        "--user-dir",
        metavar="DIR",
        help="the plugin, as for fairseq (default: fairseq_dsl in the working directory, else where it is installed)",
    )


def run(parser: Parser, args: Namespace) -> Optional[int]:
    systems = [args.baseline, *args.system]
    args.text = args.text or f"{args.data_bin.rstrip('/')}-text/{args.subset}"
    if args.user_dir is None:
        args.user_dir = "fairseq_dsl" if os.path.isdir("fairseq_dsl") else folder_of_plugin()
    sentences, trained = checks.check(parser, args, systems)
    count = len(sentences[args.source_lang])
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    # Several threads for each of several jobs on few cores would slow all of them down.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    # The fairseq commands beside this interpreter: it is the one that has the plugin.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

    pairs = pairs_of(parser, args, systems, trained)
    with_dual_inference = dual_inference.systems_of(args, systems)
    args.notes += dual_inference.notes(args, with_dual_inference, pairs)
    args.notes += gaps.notes(args, systems, pairs)
    systems += with_dual_inference
    generations, validations = commands.make_jobs(args, systems, pairs, count)
    to_run = [*validations.values(), *generations.values()]  # what is quick, and may fail, first
    status = StatusLine(sys.stderr)  # the standard output is the result's
    try:
        outputs = dict(zip((job.name for job in to_run), jobs.run_all(to_run, args.jobs, status)))
    except RuntimeError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        return 130

    result = score(args, systems, sentences, outputs, generations, validations)
    as_json = json.dumps(result, indent=2, ensure_ascii=False)
    texts.write(output / "evaluation.json", f"{as_json}\n")
    print(as_json if args.json else scores.table(result))
    return 0


def pairs_of(parser, args, systems, trained):
    """The path of each system's pair, and what it was trained with, by the system's name.

    Two plain checkpoints are joined where that serves: the control for dual inference, each where there are language
    models for its duality gap.

    Args:
        trained: what each system that is a pair was trained with, by its name.
    """
    from fairseq_dsl.errors import BadInput

    from .kinds import Trained

    pairs = {}
    for system in systems:
        if system.is_pair:
            pairs[system.name] = (system.paths[0], trained[system.name])
            continue
        is_required = args.dual_inference and system is args.baseline
        if is_required or args.source_lm and not system.is_ensemble:
            try:
                pairs[system.name] = (dual_inference.join(parser, args, system), Trained(args.source_lang))
            except BadInput as error:
                if is_required:
                    raise
                args.notes.append(f"No duality gap of {system.name}: {error}")
    return pairs


def score(args, systems, sentences, outputs, generations, validations):
    """Writes the translations and returns the content of evaluation.json.

    Args:
        sentences: the references by language.
        outputs: the lines that each job printed, by its name.
        generations, validations: the jobs, as of `commands.make_jobs`.
    """
    count = len(sentences[args.source_lang])
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
        "gaps": {},
        "notes": args.notes,
        "commands": [shlex.join(job.command) for job in (*validations.values(), *generations.values())],
    }
    for source, target in ((args.source_lang, args.target_lang), (args.target_lang, args.source_lang)):
        direction = f"{source}-{target}"
        named = []
        for name in result["systems"]:
            job = generations[name, direction]
            try:
                named.append((name, commands.hypotheses(outputs[job.name], count)))
            except ValueError as error:
                sys.exit(f"{job.log}: {error}")
            path = job.log.with_suffix(".txt")
            texts.write(path, "".join(f"{line}\n" for line in named[-1][1]))
            result["hypotheses"].setdefault(name, {})[direction] = str(path)
        compared = scores.compare(named, sentences[target], args.tokenizers[target], args.resamples)
        result["directions"][direction] = compared
    for name, job in validations.items():
        result["duality_gap"][name] = commands.duality_gap(outputs[job.name], args.subset)
        result["gaps"][name] = gaps.read(outputs[job.name])
    return result

"""Measures what training a pair costs, as ratios to stock fairseq on the same sentences and models.

    fairseq-dsl benchmark --data-bin data-bin/m30k -s de -t en --lm-data-bin data-bin/m30k-lm \\
        --primal-checkpoint de-en.pt --dual-checkpoint en-de.pt --source-lm lm.de.pt --target-lm lm.en.pt \\
        --source-mono data-bin/m30k-mono.de --target-mono data-bin/m30k-mono.en

start             a process that imports fairseq and builds the pair, up to its data / one that builds one of its models
training          an update of both models with dsl_cross_entropy / one of each with label_smoothed_cross_entropy
marginals         scoring both sides of the training set before the first update / fairseq-eval-lm on the same sentences
generation        fairseq-generate from a pair checkpoint / from the same model exported as a plain one
dual-inference    scoring a beam's 10 hypotheses by the reverse model / finding them; and by a language model
memory            peak memory of training the pair / of training one model
sampling          drawing K translations of monolingual sentences with the plugin's Sampler / with the generator that
                  `fairseq-generate --sampling --beam K` builds, and no other part of that command, on the same batches
back-translation  an update of both models with back_translation_cross_entropy, K = 1 / the same generator's sampling of
                  its monolingual sentences, and then one update of each model with label_smoothed_cross_entropy on two
                  batches, the same parallel and the same synthetic pairs; only our side also reads monolingual text
scale             time and memory of a start, up to the first update, as the data grow: --scale-pairs pairs of the data,
                  again and again; with stored scores / one stock run, and scoring them; only where --parts names it

The two sides of a ratio take turns in one process. Each ratio is the median over the turns; on the CPU it is of CPU
time, which other processes disturb least, on a GPU of wall-clock time. Start-up (imports, building the models) counts
in start alone. Where sentences are sampled, both sides draw with the same random numbers from the same models (in
back-translation the learning rate is next to none), and so the same samples.
"""

import contextlib
import json
import shlex
import sys
import tempfile
from argparse import Namespace

from tabulate import tabulate

from . import arguments
from .arguments import Parser

MONOLINGUAL_PARTS = ("sampling", "back-translation")
ONLY_NAMED = ("scale",)  # takes long
PARTS = ("start", "training", "marginals", "generation", "dual-inference", "memory", *MONOLINGUAL_PARTS, *ONLY_NAMED)


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("--data-bin", required=True, metavar="DIR", help="translation data of fairseq-preprocess")
    add("--lm-data-bin", required=True, metavar="DIR", help="the language models' data: DIR.SOURCE and DIR.TARGET")
    add("-s", "--source-lang", required=True, metavar="LANG", help="source language of the primal direction")
    add("-t", "--target-lang", required=True, metavar="LANG", help="target language of the primal direction")
    add("--primal-checkpoint", required=True, metavar="FILE", help="plain checkpoint, source to target")
    add("--dual-checkpoint", required=True, metavar="FILE", help="plain checkpoint, target to source")
    add("--source-lm", required=True, metavar="FILE", help="language model of the source language")
    add("--target-lm", required=True, metavar="FILE", help="language model of the target language")
    mono = "monolingual text, a folder of fairseq-preprocess --only-source, for sampling and back-translation"
    add("--source-mono", metavar="DIR", help=f"source language's {mono}")
    add("--target-mono", metavar="DIR", help=f"target language's {mono}")
    add("--parts", nargs="+", choices=PARTS, metavar="PART", help="what to measure (default: all that has its data)")
    add("--turns", type=arguments.positive, default=5, help="turns that each side takes (default: %(default)s)")
    add(
        "--updates",
        type=arguments.positive,
        default=20,
        help="updates or batches in a turn of a part (default: %(default)s)",
    )
    add("--num-samples", type=arguments.positive, default=5, help="K of sampling (default: %(default)s)")
    add(
        "--scale-pairs",
        type=arguments.positive,
        nargs="+",
        default=[10_000, 100_000, 1_000_000],
        metavar="N",
        help="pairs of scale (default: %(default)s)",
    )
    add(
        "--scale-cold",
        type=arguments.positive,
        default=100_000,
        metavar="N",
        help="up to so many pairs, scale also scores them (default: %(default)s)",
    )
    add("--max-tokens", type=arguments.positive, default=4096, help="tokens of a batch (default: %(default)s)")
    add("--subset", default="test", help="subset to translate (default: %(default)s)")
    add("--fp16", action="store_true", help="train, score and translate in half precision (default: single)")
    add("--cpu", action="store_true", help="use no GPU (default: a GPU where there is one)")
    add(
        "--output",
        type=arguments.output_file,
        metavar="FILE",
        help="write all that was measured there, as JSON (default: nowhere)",
    )


def run(parser: Parser, args: Namespace) -> None:
    has_text = args.source_mono and args.target_mono
    args.parts = args.parts or [
        part for part in PARTS if part not in ONLY_NAMED and (has_text or part not in MONOLINGUAL_PARTS)
    ]
    for part in MONOLINGUAL_PARTS:
        if part in args.parts and not has_text:
            parser.error(f"--parts {part}: give --source-mono and --target-mono")
    parser.check("--data-bin", arguments.input_folder, args.data_bin)
    for flag in ("--primal-checkpoint", "--dual-checkpoint", "--source-lm", "--target-lm"):
        parser.check(flag, arguments.input_file, getattr(args, flag[2:].replace("-", "_")))
    for lang in (args.source_lang, args.target_lang) if "marginals" in args.parts else ():
        parser.check("--lm-data-bin", arguments.input_folder, f"{args.lm_data_bin}.{lang}")
    for flag, folder in (("--source-mono", args.source_mono), ("--target-mono", args.target_mono)):
        if folder is not None:
            parser.check(flag, arguments.input_folder, folder)
    measure(args)


def measure(args):
    """Measures the parts that are asked for, one after the other, and prints the ratios."""
    import torch

    from fairseq_dsl.files import written_atomically

    from .benchmarks import parts
    from .benchmarks.bench import Bench, quiet

    quiet()
    cuda = torch.cuda.is_available() and not args.cpu
    results = {
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
        "torch": torch.__version__,
        "command": shlex.join(["fairseq-dsl", *sys.argv[1:]]),
        "clock": "wall" if cuda else "cpu",
    }
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args, folder)
        for part in PARTS:
            if part in args.parts:
                print(f"measuring {part}", file=sys.stderr)
                with contextlib.redirect_stdout(sys.stderr):  # what fairseq prints is no result
                    results[part] = getattr(parts, part.replace("-", "_"))(bench)
                if args.output:
                    with written_atomically(args.output, "w") as file:
                        file.write(json.dumps(results, indent=2) + "\n")
    print(f"{results['device']}, torch {results['torch']}, medians of {args.turns} turns")
    print(table(results))


def table(results):
    """Lays out the ratios as text."""
    rows = []
    for name in PARTS:
        if name not in results or name in ONLY_NAMED:
            continue
        result = results[name]
        if name == "memory":
            size = result["bytes"]
            ours, stock = (f"{number / 2**20:.0f} MiB" for number in (size["dual"], size["dual"] / result["ratio"]))
        else:
            ours, stock = (f"{seconds:.2f} s" for seconds in result[f"{results['clock']}_seconds"])
        rows.append([name, f"{result['ratio']:.3f}", ours, stock])
    align = ["left", "right", "right", "right"]
    header = ["", "ratio", "ours", "stock"]
    lines = [tabulate(rows, header, tablefmt="plain", colalign=align, disable_numparse=True)] if rows else []
    if "marginals" in results:
        marginals = results["marginals"]
        seconds, pairs = marginals["warm_start_seconds"], marginals["pairs"]
        lines.append(f"a start with a warm cache takes {seconds:.2f} s more for the marginals of {pairs:,} pairs")
    if "generation" in results:
        same = "the same" if results["generation"]["same_hypotheses"] else "NOT the same"
        lines.append(f"generation: {same} hypotheses of {results['generation']['sentences']} sentences")
    if "dual-inference" in results:
        part = results["dual-inference"]
        scored = f"{part['hypotheses']:,} hypotheses by a language model / finding them"
        lines.append(f"dual inference: scoring {scored}: {part['language_model_ratio']:.3f}")
    if "sampling" in results:
        sampling = results["sampling"]
        same, samples = f"{sampling['same_samples']:.1%}", f"{sampling['samples']:,}"
        lines.append(f"sampling: {same} of {samples} samples are the same, {sampling['num_samples']} of each sentence")
    if "memory" in results:
        above = results["memory"]["ratio_above_idle"]
        lines.append(f"memory above that of a process that has only imported fairseq: {above:.3f}")
        lines.append(f"language models in memory while training: {results['memory']['language_models_while_training']}")
    if "scale" in results:
        lines.append("scale: one start each, CPU time and peak memory from after the imports to the first update")
        lines.append(scale_table(results["scale"]["rows"]))
    return "\n".join(lines)


def scale_table(rows):
    """Lays out what `scale` found."""
    lines = []
    for row in rows:
        warm, stock, cold = (row.get(name) for name in ("warm", "stock", "cold"))
        line = [f"{row['pairs']:,}"]
        for found in (warm, stock):
            line += [f"{found['seconds']:.2f} s", f"{found['bytes'] / 2**20:.0f} MiB"]
        if cold:
            scoring = (cold["seconds"] - warm["seconds"]) / row["pairs"]
            line += [f"{scoring * 1e3:.2f} ms", f"{cold['bytes'] / 2**20:.0f} MiB"]
        lines.append(line)
    header = ["pairs", "warm start", "memory", "stock start", "memory", "scoring a pair", "memory"]
    return tabulate(lines, header, tablefmt="plain", stralign="right", disable_numparse=True)

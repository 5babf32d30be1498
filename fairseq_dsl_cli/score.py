"""Scores the pairs of a parallel corpus by both directions of a pair and by language models, a line for each line.

    fairseq-dsl score --path dual.pt --source-lm lm.de.pt --target-lm lm.en.pt --source train.de --target train.en \\
        --bpe sentencepiece --sentencepiece-model spm.model --output scores.tsv

Columns: forward log P(y|x), reverse log P(x|y), source_lm log P(x), target_lm log P(y), the duality gap, in nats;
lengths in tokens with the end of sentence; cross_entropy, |H(y|x) - H(x|y)| + (H(y|x) + H(x|y))/2 in nats per token
(Junczys-Dowmunt 2018), and score, exp of minus it; unknown, how many tokens are in no dictionary; the reason why an
empty or too long line has no scores. Text for --bpe is cleaned as by fairseq-dsl prepare: composed Unicode, no
invisible characters. A run that was interrupted goes on where it was when it is started again. fairseq-dsl filter
cleans the corpus by the scores.
"""

import sys
import time
from argparse import Namespace

from . import arguments
from .arguments import Parser
from .inputs import checksum
from .progress import StatusLine, meter


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add("--path", required=True, type=arguments.input_file, metavar="DUAL.pt", help="the pair checkpoint")
    add("--source", required=True, type=arguments.input_file, metavar="FILE", help="sentences of the source language")
    add("--target", required=True, type=arguments.input_file, metavar="FILE", help="their translations, line by line")
    add(
        "--output",
        required=True,
        type=arguments.output_file,
        metavar="FILE",
        help="the scores: JSON Lines where the name ends in .jsonl, else TSV",
    )
    for side, log_prob in (("source", "log P(x)"), ("target", "log P(y)")):
        add(
            f"--{side}-lm",
            type=arguments.language_model,
            metavar="FILE",
            help=f"language model of the {side} language (default: no {log_prob}, and no gap)",
        )
    add("--data", type=arguments.input_folder, metavar="DIR", help="folder with the dictionaries (default: the pair's)")
    add("--bpe", choices=["sentencepiece"], help="segments the text (default: it is segmented already)")
    arguments.add_sentencepiece_models(add, "the model of --bpe sentencepiece")
    add("--max-tokens", type=arguments.positive, default=4096, help="tokens of a batch (default: %(default)s)")
    add(
        "--buffer-size",
        type=arguments.positive,
        default=2048,
        metavar="N",
        help="lines that are read, scored and written at a time (default: %(default)s)",
    )
    add("--cpu", action="store_true", help="use no GPU (default: a GPU where there is one)")


def run(parser: Parser, args: Namespace) -> None:
    pieces = arguments.sentencepiece_models(parser, args)
    if bool(args.bpe) != bool(pieces):
        parser.error("--bpe and --sentencepiece-model: expected both or neither")
    files = {name: getattr(args, name) for name in ("path", "source_lm", "target_lm")}
    files.update(zip(("sentencepiece_model", "target_sentencepiece_model"), pieces))
    arguments.refuse_overwriting(parser, args.output, [args.source, args.target, *filter(None, files.values())])

    from .scoring import corpus

    source, target = corpus.parallel(args.source, args.target)

    import torch

    from fairseq_dsl.inference import PairScorer

    from .preparing import text
    from .scoring.score_table import ScoreTable

    scorer = PairScorer.load(
        args.path,
        data=args.data,
        source_lm=args.source_lm,
        target_lm=args.target_lm,
        bpe=args.bpe,
        sentencepiece_model=pieces,
        device="cuda" if torch.cuda.is_available() and not args.cpu else "cpu",
        max_tokens=args.max_tokens,
    )
    clean = text.clean if args.bpe else str
    for warning in scorer.check(
        [(clean(x), clean(y)) for x, y in corpus.sample(args.source, args.target, source.lines)]
    ):
        print(f"warning: {warning}", file=sys.stderr)
    if args.data:
        files.update({name: f"{args.data}/dict.{name}.txt" for name in scorer.directions.languages})
    inputs = {"source": source.digest, "target": target.digest}
    inputs.update({name: checksum(path) for name, path in files.items() if path})
    with ScoreTable(args.output).appending(inputs) as (write, done):
        _score(args, scorer, clean, write, done, source.lines)
    print(f"wrote {args.output}: {source.lines:,} pairs, of {scorer.directions.primal}")


def _score(args, scorer, clean, write, done, total):
    """Scores what is not yet scored, and writes it, chunk by chunk."""
    from .scoring import corpus

    status = StatusLine(sys.stderr)
    began, since = time.monotonic(), done
    if done:
        status.message(f"{args.output}: goes on after {done:,} of {total:,} lines")
    for chunk in corpus.chunks(args.source, args.target, done, args.buffer_size):
        write(scorer.score([(clean(x), clean(y)) for x, y in chunk]))
        done += len(chunk)
        status.update(meter("scoring", done, total, time.monotonic() - began, since))
    status.close()

"""Chooses the weights A and B of dual inference, without a model, by the scores that fairseq-generate stored.

    fairseq-generate data-bin/m30k --user-dir fairseq_dsl --task dual_translation -s de -t en --path dual.pt \\
        --gen-subset valid --beam 10 --remove-bpe sentencepiece --target-lm lm.en.pt --dump-scores valid.jsonl
    fairseq-dsl tune valid.jsonl --reference valid.en --store dual.pt

Each sentence's hypotheses are ordered by (1-A) log P(y|x)/|y| + A (log P(x|y)/|x| + B log P(y)/|y|), as dual inference
does, and the first ones are scored. B is tuned only where the file has scores of a language model.
"""

from argparse import ArgumentTypeError, Namespace
from importlib.util import find_spec
from pathlib import Path
from typing import List

from sacrebleu.metrics import BLEU

from . import arguments, texts
from .arguments import Parser

REVERSE_WEIGHTS = [step / 10 for step in range(11)]
LM_WEIGHTS = [0.0, 0.05, 0.1, 0.2, 0.5, 1.0, 1.5, 2.0, 3.0]


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "files",
        nargs="+",
        type=arguments.input_file,
        metavar="FILE",
        help="a file of fairseq-generate --dump-scores, or the shards of one test set",
    )
    add(
        "--reference",
        required=True,
        type=arguments.input_file,
        metavar="FILE",
        help="the target side of the test set, detokenized, one sentence a line",
    )
    add(
        "--store",
        type=arguments.input_file,
        metavar="DUAL.pt",
        help="write the weights into this pair checkpoint, as this direction's defaults",
    )
    add("--plot", type=arguments.output_file, metavar="FILE.png", help="draw the surface (requires matplotlib)")
    add("--reverse-weights", type=weights(1), metavar="A,A,...", help="values of A (default: 0 to 1, and finer ones)")
    add("--lm-weights", type=weights(1000), metavar="B,B,...", help="values of B (default: 0 to 3, and finer ones)")
    measured = parser.add_mutually_exclusive_group()
    measured.add_argument(
        "--tokenize", choices=sorted(BLEU.TOKENIZERS), help="BLEU's tokenizer (default: by the target language)"
    )
    measured.add_argument("--chrf", action="store_true", help="tune by chrF (default: by BLEU)")
    add("--resamples", type=arguments.positive, default=1000, help="resamples of the bootstrap (default: %(default)s)")


def weights(highest: int):
    """The type of an option that lists numbers from 0 to `highest`.

    >>> weights(1)("0.5,0")
    [0.0, 0.5]
    """

    def parse(text: str) -> List[float]:
        try:
            values = sorted({float(part) for part in text.split(",")})
        except ValueError:
            values = []
        if not values or not all(0 <= value <= highest for value in values):
            raise ArgumentTypeError(f"expected numbers from 0 to {highest} with commas between them, found {text!r}")
        return values

    return parse


def run(parser: Parser, args: Namespace) -> None:
    if args.plot and find_spec("matplotlib") is None:
        parser.error("--plot: requires matplotlib: pip install matplotlib")
    inputs = [*args.files, args.reference]
    for output in filter(None, (args.plot, args.store)):
        arguments.refuse_overwriting(parser, output, inputs)
        inputs.append(output)
    references = texts.read_lines(args.reference)
    if references == [""]:
        parser.error(f"--reference {args.reference}: empty; expected one sentence a line")

    from .evaluation import significance
    from .tuning import measure, presentation, score_lists, stored
    from .tuning.reranking import Reranking
    from .tuning.surface import search

    lists = score_lists.read(args.files, args.reference, len(references))
    if args.lm_weights and max(args.lm_weights) > 0 and not lists.has_lm:
        parser.error(
            f"--lm-weights: {' '.join(args.files)}: no scores of a language model; generate with the --source-lm or "
            "--target-lm of the language that is generated"
        )
    if args.store:
        stored.check_stores(args.store, lists.direction)
    metric = measure.metric_of(lists.target_lang, args.tokenize, args.chrf)
    reranking = Reranking(lists, references, metric)
    tuned = search(
        reranking.score,
        args.reverse_weights or REVERSE_WEIGHTS,
        args.lm_weights or (LM_WEIGHTS if lists.has_lm else [0.0]),
        refine=(args.reverse_weights is None, args.lm_weights is None),
    )
    systems = [
        (name, reranking.translations(point.reverse_weight, point.lm_weight))
        for name, point in (("forward", tuned.forward), ("best", tuned.best))
    ]
    name, signature, numbers = significance.compare(systems, references, metric, args.resamples)

    print(f"{name} of {lists.direction}, {len(references)} sentences, by A (rows) and B (columns)")
    print(presentation.table(tuned.surface))
    print(presentation.summary(tuned, name, numbers, lists))
    print(f"  {signature}")
    if args.plot:
        from .tuning import plot  # takes a second

        Path(args.plot).parent.mkdir(parents=True, exist_ok=True)
        plot.draw(tuned, name, f"{lists.direction}, {len(references)} sentences", args.plot)
        print(f"wrote {args.plot}")
    if args.store:
        stored.store(args.store, lists.direction, tuned.best, lists.has_lm)
        print(f"wrote {args.store}: the weights are the defaults of {lists.direction}")

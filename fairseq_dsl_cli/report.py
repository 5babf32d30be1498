"""Writes a report of an experiment: Markdown with plots, from the training logs and the evaluation.

    fairseq-dsl report --output report.md --evaluation evaluation/evaluation.json \\
        --run control=runs/control --run dsl=runs/dsl --run "LM de=runs/lm.de" --run "de-en=runs/de-en"

A run is a folder with a train.log (fairseq's `--log-format json --log-file`). Runs of a pair of models are drawn by
direction, with their duality gap, their BLEU and what their method logs of its samples; all others (language models,
warm starts) by their perplexity. Of the evaluation come the test set's BLEU, with confidence intervals, and the duality
gaps before and after training, if it has them. Of comparisons over several seeds (`fairseq-dsl compare --output`) come
the tables and a plot of what each system gained:

    fairseq-dsl report --output results.md --comparison "3,000 pairs=3k.json" --comparison "6,000 pairs=6k.json"

Requires matplotlib.
"""

from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

from . import arguments, texts
from .arguments import Parser
from .reporting import comparisons, markdown
from .reporting.runs import best, parse_run


def add_arguments(parser: Parser) -> None:
    add = parser.add_argument
    add(
        "--run",
        action="append",
        default=[],
        type=parse_run,
        metavar="NAME=DIR",
        help="a training run; may be repeated",
    )
    add(
        "--evaluation",
        type=markdown.parse_evaluation,
        metavar="FILE",
        help="evaluation.json of fairseq-dsl evaluate (default: no table and no translations)",
    )
    add(
        "--comparison",
        action="append",
        default=[],
        type=comparisons.parse_comparison,
        metavar="NAME=FILE",
        help="what fairseq-dsl compare wrote of several runs; may be repeated",
    )
    add(
        "--output",
        type=arguments.output_file,
        default="report.md",
        metavar="FILE",
        help="the report; its plots are written beside it (default: %(default)s)",
    )
    add(
        "--warm-start",
        default="warm start",
        metavar="NAME",
        help="the system of the evaluation that training started from: the line that BLEU is held against, "
        "and the gaps before training (default: %(default)r)",
    )
    add("--title", default="Dual supervised learning", help="heading of the report (default: %(default)s)")
    add("--note", help="a paragraph under the table (default: none)")
    add(
        "--samples",
        type=arguments.positive,
        default=8,
        help="translations to show of each direction (default: %(default)s)",
    )


def run(parser: Parser, args: Namespace) -> None:
    if find_spec("matplotlib") is None:
        parser.exit(1, f"{parser.prog}: error: requires matplotlib: pip install matplotlib\n")
    if not (args.run or args.comparison):
        parser.error("expected --run NAME=DIR or --comparison NAME=FILE")
    write(args, args.run, args.evaluation, args.comparison)
    print(f"wrote {args.output}")


def write(args, runs, evaluation, compared=()):
    """Writes the plots, and then the report that shows them."""
    from .reporting import comparison_plots, evaluation_plots, plots  # takes a second

    output = Path(args.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"# {args.title}", ""]
    if evaluation:
        lines += [
            f"Test set: {evaluation['sentences']} sentences of `{evaluation['text']}`, beam search. In brackets stands "
            "the 95% interval of the difference; p is that of a two-sided paired bootstrap test. Intervals of single "
            "scores may overlap where two systems differ: they have the same sentences, easy and hard ones.",
            "",
            markdown.scores(evaluation),
            "",
        ]
    if args.note:
        lines += [args.note, ""]
    for name, comparison in compared:
        lines += [f"## {name}", "", comparisons.section(comparison), ""]
    pictures = comparison_plots.draw_all(compared, output.parent)
    pictures += evaluation_plots.draw_all(evaluation, args.warm_start, output.parent) if evaluation else []
    pictures += plots.draw_all(runs, output.parent)
    for title, picture in pictures:
        lines += [f"## {title}", "", f"![{title}]({picture})", ""]
    if runs:
        lines += [markdown.markdown_table(best(runs)), ""]
    if evaluation:
        lines += ["## Translations", "", markdown.samples(evaluation, args.samples), ""]
    commands = [run.command for run in runs if run.command] + (evaluation["commands"] if evaluation else [])
    if commands:
        lines += ["## Commands", "", "```", *commands, "```", ""]
    texts.write(output, "\n".join(lines))

#!/usr/bin/env python3
"""What the duality gap of a corpus is made of: which part is the language models', which the translation models'.

    fairseq-dsl score --path dual.pt --source train.es --target train.en ... --output train.tsv
    scripts/experiments/gap.py train.tsv test.tsv

gap = (log P(x) - log P(y)) + (log P(y|x) - log P(x|y)), nats per sentence. For each file: mean, standard deviation and
quantiles of the gap, the standard deviation of either part and its correlation with the gap, and the mean |gap| of four
parts of the pairs, from the short ones to the long.
"""

import csv
from statistics import correlation, fmean, pstdev, quantiles

from fairseq_dsl_cli import arguments, main

COLUMNS = ("pairs", "mean", "sd", "5%", "95%", "sd of LMs", "r", "sd of translations", "r", "mean abs. gap by length")


def row(lines):
    """The figures of a corpus; a line has what `fairseq-dsl score` says of a pair."""
    lines = sorted(lines, key=length)
    gaps = [float(line["gap"]) for line in lines]
    models = [float(line["source_lm"]) - float(line["target_lm"]) for line in lines]
    translations = [float(line["forward"]) - float(line["reverse"]) for line in lines]
    twentieths = quantiles(gaps, n=20)
    figures = [len(gaps), fmean(gaps), pstdev(gaps), twentieths[0], twentieths[-1]]
    for part in (models, translations):
        figures += [pstdev(part), correlation(part, gaps)]
    ends = [len(gaps) * quarter // 4 for quarter in range(5)]
    by_length = (fmean(map(abs, gaps[start:end])) for start, end in zip(ends, ends[1:]))
    cells = [figure if isinstance(figure, int) else f"{figure:.2f}" for figure in figures]
    return [*map(str, cells), ", ".join(f"{mean:.1f}" for mean in by_length)]


def length(line):
    return int(line["source_length"]) + int(line["target_length"])


def run():
    parser = arguments.Parser(__doc__)
    help = "scores of `fairseq-dsl score` with both language models, as TSV"
    parser.add_argument("files", metavar="FILE.tsv", nargs="+", type=arguments.input_file, help=help)
    rows = []
    for path in parser.parse_args().files:
        with open(path, encoding="utf-8", newline="") as file:
            lines = [line for line in csv.DictReader(file, delimiter="\t") if line.get("gap")]  # others are too long
        if len(lines) < 20:
            parser.error(f"{path}: expected the duality gaps of 20 pairs or more, found {len(lines)}; give {help}")
        rows.append([path, *row(lines)])
    print(f"| | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    for cells in rows:
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main.end("gap.py", run)

"""The numbers of an evaluation: how they are computed, and how they are shown."""

from tabulate import tabulate

from ..metrics import BLEU, CHRF
from . import significance

# fairseq's name of a duality statistic -> its name here.
GAP_STATISTICS = {"duality_gap": "mean |gap|", "duality_gap_signed": "mean gap", "duality_loss": "mean gap²"}


def tokenizers(flag, chosen, languages):
    """sacrebleu's BLEU tokenizer by language: that of training's validation, by the plugin's rule, unless chosen.

    Returns them, and what is to be said of those that nobody chose. Raises `BadInput` for those that cannot be used.
    """
    from fairseq_dsl.tokenizers import alternative, chosen_tokenizers, tokenizer_for  # here, as it takes seconds

    by_flag = chosen_tokenizers(flag, chosen, languages)
    found = {language: tokenizer_for(language, by_flag.get(language)) for language in languages}
    others = {language: alternative(flag, language) for language in languages if language not in by_flag}
    return found, [
        f"BLEU of {language} by the tokenizer {found[language]}: {other}" for language, other in others.items() if other
    ]


def compare(systems, references, tokenize, resamples):
    """Scores `systems` [(name, hypotheses)], of which the first is the control.

    Returns {metric: {"signature": ..., "systems": {name: numbers}}}, the numbers of `significance.compare`.
    """
    return compare_runs([(name, [lines]) for name, lines in systems], references, tokenize, resamples)


def compare_runs(systems, references, tokenize, resamples):
    """The same of several runs of each system, [(name, [hypotheses of a run])]: see `significance.compare_runs`."""
    result = {}
    for metric in (BLEU(tokenize=tokenize), CHRF()):
        name, signature, numbers = significance.compare_runs(systems, references, metric, resamples)
        result[name] = {"signature": signature, "systems": numbers}
    return result


def table(result):
    """Lays out the numbers of an evaluation as text."""
    parts = []
    baseline = result["baseline"]
    for direction, metrics in result["directions"].items():
        parts.append(f"{direction}, {result['sentences']} sentences of {result['subset']}")
        header = [""]
        for metric in metrics:
            header += [metric, "95% interval", f"against {baseline}"]
        rows = [[name, *numbers(metrics, name, baseline)] for name in result["systems"]]
        parts.append(_aligned(header, rows))
        parts += [f"  {name}: {metric['signature']}" for name, metric in metrics.items()]
        parts.append("")
    parts += [f"{note}\n" for note in result.get("notes", [])]
    gaps = gap_rows(result)
    if gaps:
        parts.append(f"duality gap on {result['subset']} (nats per sentence pair)")
        parts.append(_aligned(["", *GAP_STATISTICS.values()], gaps))
    return "\n".join(parts)


def numbers(metrics, system, baseline):
    """The cells of a system in a table: its score, the interval, and the difference from the control, by metric."""
    cells = []
    for metric in metrics.values():
        score = metric["systems"][system]
        cells += [f"{score['score']:.2f}", f"{score['mean']:.2f} ± {score['ci']:.2f}"]
        cells.append(against(score, metric["systems"][baseline]))
    return cells


def gap_rows(result):
    """The name of each system with a duality gap, and its statistics."""
    gaps = result["duality_gap"].items()
    return [[name, *(f"{gap[key]:.2f}" for key in GAP_STATISTICS)] for name, gap in gaps if gap]


def _aligned(header, rows):
    align = ["left", *["right"] * (len(header) - 1)]
    text = tabulate([header, *rows], tablefmt="plain", colalign=align, disable_numparse=True)
    return "\n".join(f"  {line}".rstrip() for line in text.split("\n"))


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

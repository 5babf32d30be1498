"""What is refused before anything is translated."""

import os
import shlex

from .. import arguments, texts
from . import dual_inference, scores


def check(parser, args, systems):
    """Refuses what can be known to fail before anything is translated.

    Returns the test set's sentences by language, and what each system that is a pair was trained with; adds what it
    reads of the flags to `args`: ``tokenizers``, ``notes``, ``weights``.
    """
    primal = (args.source_lang, args.target_lang)
    names = [system.name for system in [*systems, *dual_inference.systems_of(args, systems)]]
    if len(set(names)) < len(names):
        parser.error(f"--system: each name once, found {', '.join(names)}")
    if primal[0] == primal[1]:
        parser.error(f"-s {primal[0]} -t {primal[1]}: expected two languages")
    if (args.source_lm is None) != (args.target_lm is None):
        parser.error("--source-lm and --target-lm: the duality gap requires both")
    for flag, path in (("--source-lm", args.source_lm), ("--target-lm", args.target_lm)):
        if path is not None:
            parser.check(flag, arguments.language_model, path)
    parser.check("--data-bin", arguments.input_folder, args.data_bin)
    parser.check("--user-dir", arguments.input_folder, args.user_dir)
    parser.check("--output", arguments.output_folder, args.output)
    try:
        shlex.split(args.generate_args)
    except ValueError as error:
        parser.error(f"--generate-args {args.generate_args!r}: {error}")
    for lang in primal:
        if not os.path.isfile(os.path.join(args.data_bin, f"dict.{lang}.txt")):
            parser.error(f"--data-bin {args.data_bin}: no dict.{lang}.txt there; expected data of {'-'.join(primal)}")
        if not os.path.isfile(f"{args.text}.{lang}"):
            parser.error(f"--text {args.text}: no file {args.text}.{lang}; expected the detokenized {args.subset}")
    sentences = {lang: texts.read_lines(f"{args.text}.{lang}") for lang in primal}

    from fairseq_dsl.errors import BadInput  # torch and fairseq: not before all that is quick

    from .. import kinds

    try:
        args.tokenizers, args.notes = scores.tokenizers("--tokenize", args.tokenize, primal)
        args.weights = dual_inference.Weights.parse(args)
    except BadInput as error:
        parser.error(str(error))
    count = kinds.number_of_sentences(args.data_bin, args.subset, *primal)
    if count is None:
        parser.error(f"--data-bin {args.data_bin}: no {args.subset} of {'-'.join(primal)} there")
    for lang, lines in sentences.items():
        if len(lines) != count:
            parser.error(f"--text {args.text}.{lang}: expected {count} lines, as {args.subset} has, found {len(lines)}")
    directions = dual_inference.directions_of(args)
    pairs = {}
    for system in systems:
        flag = f"--{'baseline' if system is args.baseline else 'system'} {system.name}:"
        for number, path in enumerate(system.paths):
            expected = directions if system.is_pair else [directions[number]]
            found = [kinds.check_translates(file, flag, expected, system.is_pair) for file in path.split(os.pathsep)]
        if system.is_pair:
            pairs[system.name] = found[0]
    if args.source_lm:
        given = {"--source-lm": args.source_lm, "--target-lm": args.target_lm}
        marginals = kinds.check_language_models(given, primal, args.data_bin)
        if args.dual_inference and any(args.weights.lm.get(direction) != 0 for direction in directions):
            for marginal in marginals.values():
                marginal.require_samples("--dual-inference, unless with --lm-weight 0,")
    check_dual_inference(parser, args, pairs)
    return sentences, pairs


def check_dual_inference(parser, args, pairs):
    """Refuses dual inference of an ensemble of plain models, and weights of language models that are not there."""
    if args.dual_inference and args.baseline.is_ensemble and not args.baseline.is_pair:
        parser.error(
            f"--dual-inference: requires pairs, found --baseline {args.baseline.name} of ensembles of plain models"
        )
    for name in [args.baseline.name, *pairs] if args.weights.lm and not args.source_lm else []:
        if name not in pairs or not pairs[name].language_models:
            parser.error(
                f"--lm-weight {args.lm_weight}: requires language models, and {name} has none of its training; give "
                "--source-lm and --target-lm"
            )

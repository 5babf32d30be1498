"""Tiny corpora, models and language models, made as fairseq's commands make them."""

import copy
import dataclasses
import functools
import os
import random
from types import SimpleNamespace

import numpy as np
import torch
from fairseq import options, tasks
from fairseq.data import Dictionary, indexed_dataset
from fairseq.data.language_pair_dataset import collate
from fairseq.dataclass.utils import convert_namespace_to_omegaconf
from omegaconf import OmegaConf, open_dict

from fairseq_dsl.checkpoints import plain
from fairseq_dsl.criterions.registry import DSLCrossEntropyCriterion
from fairseq_dsl.directions import Direction
from fairseq_dsl.terms import DSLConfig

DE_EN, EN_DE = Direction("de", "en"), Direction("en", "de")
WORDS = {"de": [f"w{i}" for i in range(11)], "en": [f"v{i}" for i in range(17)]}


def random_pairs(count, seed=3):
    """Pairs of sentences of 1 to 9 words, whose lengths on both sides have nothing to do with each other."""
    rng = random.Random(seed)
    return [
        tuple([rng.choice(WORDS[lang]) for _ in range(rng.randint(1, 9))] for lang in ("de", "en"))
        for _ in range(count)
    ]


PAIRS = random_pairs(13)
LOG_MARGINALS = {  # made up: the gap has either sign, and is beyond a clip of 10 for some pairs
    language: np.random.RandomState(seed).uniform(-60, -2, len(PAIRS)) for seed, language in ((1, "de"), (2, "en"))
}

ENCODER_DECODER = (
    "--encoder-embed-dim 8 --encoder-ffn-embed-dim 12 --encoder-layers 1 --encoder-attention-heads 2 "
    "--decoder-embed-dim 8 --decoder-ffn-embed-dim 12 --decoder-layers 1 --decoder-attention-heads 2"
)
FLAGS = {
    "transformer": ENCODER_DECODER + " --dropout 0",
    "lstm": "--encoder-embed-dim 8 --encoder-hidden-size 8 --encoder-bidirectional --decoder-embed-dim 8 "
    "--decoder-hidden-size 8 --decoder-out-embed-dim 8 --dropout 0",
    "fconv": "--encoder-embed-dim 8 --encoder-layers [(8,3)]*2 --decoder-embed-dim 8 --decoder-layers [(8,3)]*2 "
    "--decoder-out-embed-dim 8 --dropout 0",
    "transformer_lm": "--decoder-embed-dim 8 --decoder-ffn-embed-dim 12 --decoder-layers 1 --decoder-attention-heads 2",
    "lstm_lm": "--decoder-embed-dim 8 --decoder-hidden-size 8 --decoder-out-embed-dim 8",
}
"""Flags of each architecture that make it small, and its training deterministic."""


def dictionary(words):
    symbols = Dictionary()
    for word in sorted(set(words)):
        symbols.add_symbol(word)
    return symbols


def encode(sentence, symbols):
    return torch.LongTensor([symbols.index(word) for word in sentence] + [symbols.eos()])


def write_sentences(prefix, sentences, symbols):
    builder = indexed_dataset.make_builder(f"{prefix}.bin", impl="mmap", vocab_size=len(symbols))
    for sentence in sentences:
        builder.add_item(encode(sentence, symbols).int())
    builder.finalize(f"{prefix}.idx")


def write_data(folder, pairs, dictionaries=None, splits=("train", "valid"), languages=("de", "en")):
    """As ``fairseq-preprocess`` does; `pairs` are of (first language, second language)."""
    dictionaries = dictionaries or {language: dictionary(WORDS[language]) for language in languages}
    os.makedirs(folder, exist_ok=True)
    for language, symbols in dictionaries.items():
        symbols.save(os.path.join(folder, f"dict.{language}.txt"))
    for split in splits:
        for language, sentences in zip(languages, zip(*pairs)):
            prefix = os.path.join(folder, f"{split}.{'-'.join(languages)}.{language}")
            write_sentences(prefix, sentences, dictionaries[language])


def configure(folder, *flags):
    """The configuration that ``fairseq-train`` makes of these flags."""
    cfg = copy.deepcopy(_configure(tuple(str(flag) for flag in flags)))
    cfg.task.data = str(folder)
    return cfg


@functools.lru_cache(maxsize=None)  # reading flags takes two seconds with fairseq 0.12.2
def _configure(flags):
    return convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), ["-", *flags]))


def translation_config(folder, arch="transformer", source="de", target="en"):
    """The configuration of an ordinary translation model."""
    command = ["--task", "translation", "--arch", arch, "--criterion", "cross_entropy", *FLAGS[arch].split()]
    cfg = configure(folder, *command)
    cfg.task.source_lang, cfg.task.target_lang = source, target
    return cfg


def pair_config(folder, primal="transformer", dual=None, source="de", target="en"):
    """The configuration of a pair of two architectures, as a checkpoint of it stores it."""
    cfg = configure(
        folder, "--task", "dual_translation", "--cpu", "--no-progress-bar", "--arch", "dual_translation",
        "--criterion", "dsl_cross_entropy", "--dsl-lambda", "0",
    )  # fmt: skip
    cfg.task.source_lang, cfg.task.target_lang = source, target
    with open_dict(cfg.model):
        cfg.model.pair = {
            f"{source}-{target}": plain(translation_config(folder, primal).model),
            f"{target}-{source}": plain(translation_config(folder, dual or primal).model),
        }
    return cfg


def pair(folder, primal="transformer", dual=None, marginals=None, **task_settings):
    """A pair in training: its configuration, task, model, criterion, and the loaded training data.

    Args:
        marginals: made-up scores of the sentences, for tests that need no language model.
    """
    cfg = pair_config(folder, primal, dual)
    for name, value in task_settings.items():
        cfg.task[name] = value
    task = tasks.setup_task(cfg.task)
    made = SimpleNamespace(cfg=cfg, task=task, model=task.build_model(cfg.model))
    spread(made.model)
    made.criterion = task.build_criterion(cfg.criterion)
    task.load_dataset("train")
    made.data = task.dataset("train")
    made.data.log_marginals = marginals
    return made


def spread(model):
    """Larger random parameters: fresh models' predictions are nearly uniform, and hide mistakes."""
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn(p.shape, generator=generator))


def criterion(made, marginals=True, **settings):
    """The criterion with these settings in place of the defaults."""
    given = dataclasses.replace(made.task.resources, marginals={"de": None, "en": None} if marginals else {})
    return DSLCrossEntropyCriterion(DSLConfig(**{"dsl_lambda": 0.0, "sentence_avg": False, **settings}), given)


def learns_by(made, name, **settings):
    """Have a pair learn by this criterion, with these settings in place of the defaults, as ``fairseq-train`` does."""
    made.criterion = made.task.build_criterion(OmegaConf.create({"_name": name, "sentence_avg": False, **settings}))
    made.task.load_dataset("train")
    made.data = made.task.dataset("train")
    return made.criterion


def batch(dataset, rows=None):
    return dataset.collater([dataset[i] for i in (range(len(dataset)) if rows is None else rows)])


def sources(sentences, symbols, left_pad=True):
    """A batch of sources in this order, which is from long to short, as fairseq sorts them."""
    items = [{"id": i, "source": sentence} for i, sentence in enumerate(sentences)]
    made = collate(items, symbols.pad(), symbols.eos(), left_pad_source=left_pad)
    rows = made["id"].argsort()  # of the same length they may stand in any order
    net_input = {name: made["net_input"][name][rows] for name in ("src_tokens", "src_lengths")}
    assert net_input["src_lengths"].tolist() == made["net_input"]["src_lengths"].tolist()
    return {"id": made["id"][rows], "net_input": net_input}


def gradients(model, loss):
    """The gradient of each parameter that is trained, by name; the model's own are left empty."""
    model.zero_grad(set_to_none=True)
    loss.backward()
    found = {name: p.grad.clone() for name, p in model.named_parameters() if p.requires_grad and p.grad is not None}
    model.zero_grad(set_to_none=True)
    return found


def numbers(logged):
    """What a criterion logged, as numbers."""
    return {key: float(value) for key, value in logged.items()}


def assert_same_parameters(model, wanted):
    found, wanted = ({name: p for name, p in m.named_parameters() if p.requires_grad} for m in (model, wanted))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


def drop_out(model, probability):
    """Set the probability of dropout everywhere."""
    for module in model.modules():
        if hasattr(module, "apply_during_inference"):  # FairseqDropout
            module.p = probability


def save_checkpoint(path, cfg, model, **changes):
    """As fairseq's trainer does: the configuration as a container, which for older architectures holds a Namespace."""
    state = {
        "args": None,
        "cfg": OmegaConf.to_container(cfg, resolve=True, enum_to_str=True),
        "model": model.state_dict(),
        "criterion": None,
        "optimizer_history": [
            {"criterion_name": "C", "optimizer_name": "O", "lr_scheduler_state": {}, "num_updates": 7}
        ],
        "task_state": {},
        "extra_state": {"train_iterator": {"epoch": 1}, "val_loss": None},
        **changes,
    }
    torch.save(state, path)
    return str(path)


def translation_model(folder, path, arch="transformer", source="de", target="en"):
    """An ordinary translation model's checkpoint, and the model."""
    cfg = translation_config(folder, arch, source, target)
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    spread(model)
    return save_checkpoint(path, cfg, model), model


def language_model(folder, symbols, arch="transformer_lm", flags=(), sentences=(), seed=0, changed=None, expects=None):
    """An untrained language model's checkpoint in a data folder of its own, and the model.

    Args:
        changed: values of the task's configuration that the checkpoint stores in place of the true ones.
        expects: the words that the model finds likely, for architectures whose last layer has a bias.
    """
    os.makedirs(folder, exist_ok=True)
    symbols.save(os.path.join(folder, "dict.txt"))
    for split in ("train", "valid"):
        write_sentences(os.path.join(folder, split), sentences or [["w0"]], symbols)
    torch.manual_seed(seed)
    cfg = configure(
        folder, "--task", "language_modeling", "--arch", arch, "--criterion", "cross_entropy",
        "--sample-break-mode", "eos", "--tokens-per-sample", 16, *FLAGS[arch].split(), *flags,
    )  # fmt: skip
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    spread(model)
    if expects is not None:
        with torch.no_grad():
            model.decoder.fc_out.bias[[symbols.index(word) for word in expects]] += 5
    for name, value in (changed or {}).items():
        cfg.task[name] = value
    return save_checkpoint(os.path.join(folder, "lm.pt"), cfg, model), model


def write_monolingual(folder, sentences, symbols):
    """As ``fairseq-preprocess --only-source`` does."""
    os.makedirs(folder, exist_ok=True)
    symbols.save(os.path.join(folder, "dict.txt"))
    write_sentences(os.path.join(folder, "train"), sentences, symbols)
    return str(folder)

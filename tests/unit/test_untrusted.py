"""Nothing that a checkpoint says is run, nothing outside it is read, and its parameters are numbers."""

import ast
import contextlib
import copy
import re
import sys
from pathlib import Path

import fairseq
import pytest
import tiny
import torch
from fairseq import checkpoint_utils
from fairseq.models import ARCH_MODEL_REGISTRY, FairseqLanguageModel
from fairseq.tasks import setup_task
from omegaconf import DictConfig, OmegaConf

from fairseq_dsl import untrusted
from fairseq_dsl.errors import BadInput

SOURCES = Path(fairseq.__file__).parent


# ---- literals


@pytest.mark.parametrize(
    "text",
    [
        "[(512, 3)] * 2", "2 * [1]", "[1] + [2] * 3", "(0.9, 0.98)", "8,12", " [8]", "None", "-1e-3", "{'name': 'a'}",
        "2 * 3 + 1",
    ],
)  # fmt: skip
def test_a_literal_has_the_value_that_python_gives_it(text):
    assert untrusted.literal(text) == eval(text)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "open('x', 'w')", "[1 for x in [0]]", "lambda: 0", "f'{1}'", "name", "a.b",
        "(x := 1)", "[1] * 99999", "99999 * [1]", "'a' * 9", "[1] + (2,)", "1 +", "", "\0", "(" * 999, "'a' 'b' % 1",
    ],
)  # fmt: skip
def test_what_is_no_literal_is_refused_in_one_line(text):
    with pytest.raises(BadInput, match="expected a literal") as caught:
        untrusted.literal(text)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 200


@pytest.mark.parametrize("value", [None, 3, compile("1", "", "eval"), b"1"])
def test_what_is_no_text_is_a_type_error_as_of_eval(value):
    with pytest.raises(TypeError):
        untrusted.literal(value)


# ---- fairseq's source


def evaluations(path):
    """Each call of fairseq's functions that evaluate text: the name of the function, and the argument."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and node.args:
            function = getattr(node.func, "id", None) or getattr(node.func, "attr", "")
            if function.startswith("eval_") or (function == "eval" and isinstance(node.func, ast.Name)):
                yield function, node.args[0]


def test_every_module_of_fairseq_that_calls_eval_takes_literals():
    found = set()
    for path in SOURCES.rglob("*.py"):
        if "examples" not in path.parts and any(function == "eval" for function, _ in evaluations(path)):
            found.add("fairseq." + ".".join(path.relative_to(SOURCES).with_suffix("").parts))
    assert len(found) > 10
    assert [name for name in sorted(found) if sys.modules[name].eval is not untrusted.literal] == []


def test_every_field_that_fairseq_evaluates_is_known():
    found = set()
    for path in SOURCES.rglob("*.py"):
        for _, argument in evaluations(path):
            if isinstance(argument, ast.Attribute):
                found.add(argument.attr)
            elif isinstance(argument, ast.Call) and getattr(argument.func, "id", "") == "getattr":
                found.add(argument.args[1].value)
    assert len(found) > 30
    assert found - untrusted.EVALUATED == set()


# ---- the configurations of fairseq's architectures


CHARACTERS = " --character-embeddings --character-filters [(1,4)] --character-embedding-dim 4"
SMALL = {
    "transformer": tiny.ENCODER_DECODER,
    "transformer_align": tiny.ENCODER_DECODER,
    "nonautoregressive_transformer": tiny.ENCODER_DECODER,
    "levenshtein_transformer": tiny.ENCODER_DECODER,
    "lightconv": tiny.ENCODER_DECODER + " --encoder-kernel-size-list [3] --decoder-kernel-size-list [3]",
    "lstm": tiny.FLAGS["lstm"],
    "fconv": tiny.FLAGS["fconv"],
    "fconv_self_att": tiny.FLAGS["fconv"]
    + " --encoder-attention False --decoder-attention False --self-attention False",
    "transformer_lm": tiny.FLAGS["transformer_lm"] + CHARACTERS,
    "lightconv_lm": tiny.FLAGS["transformer_lm"] + " --decoder-kernel-size-list [3]" + CHARACTERS,
    "lstm_lm": tiny.FLAGS["lstm_lm"] + " --criterion adaptive_loss --adaptive-softmax-cutoff 8,12",
    "fconv_lm": "--decoder-embed-dim 8 --decoder-layers [(8,3)]*2",
}
"""Architectures of each kind, and flags that make them small."""


def configuration(folder, arch):
    model, flags = ARCH_MODEL_REGISTRY[arch], ["--arch", arch, "--criterion", "cross_entropy", *SMALL[arch].split()]
    if issubclass(model, FairseqLanguageModel):
        return tiny.configure(folder, "--task", "language_modeling", "--tokens-per-sample", 16, *flags)
    return tiny.configure(folder, "--task", "translation", "-s", "de", "-t", "en", *flags)


def fields_of_text(cfg):
    """The fields of a model's configuration that are text, or may be: their type is not known where they are None."""
    names = list(cfg) if isinstance(cfg, DictConfig) else list(vars(cfg))
    values = {name: getattr(cfg, name) for name in names if name not in ("_name", "arch", "task")}
    return {
        name for name, value in values.items() if value is None or isinstance(value, str) or name in untrusted.EVALUATED
    }


def with_value(cfg, field, value):
    """A copy of a configuration."""
    changed = copy.deepcopy(cfg)
    if isinstance(changed, DictConfig):
        changed = OmegaConf.create({**OmegaConf.to_container(changed), field: value})
    else:
        setattr(changed, field, value)
    return changed


@pytest.fixture
def folder(tmp_path):
    """A data folder for translation and for language models."""
    tiny.write_data(tmp_path / "data", tiny.PAIRS)
    tiny.dictionary(tiny.WORDS["de"]).save(str(tmp_path / "data" / "dict.txt"))
    return str(tmp_path / "data")


@pytest.mark.parametrize("arch", SMALL)
def test_no_field_of_an_architecture_is_run_as_code(arch, folder, tmp_path, monkeypatch):
    cfg = configuration(folder, arch)
    task = setup_task(cfg.task)
    assert sum(p.numel() for p in task.build_model(cfg.model).parameters()) < 20000
    marker, evaluated = tmp_path / "marker", set()
    payload = f"__import__('pathlib').Path({str(marker)!r}).touch() or [8]"

    def literal(text):
        evaluated.add(text == payload)
        return untrusted.literal(text)

    for name, module in list(sys.modules.items()):
        if name.startswith("fairseq.") and "eval" in vars(module):
            monkeypatch.setattr(module, "eval", literal)
    reached = set()
    for field in fields_of_text(cfg.model):
        evaluated.clear()
        changed = with_value(cfg.model, field, payload)
        with contextlib.suppress(Exception):
            task.build_model(changed)
        assert not marker.exists(), field
        if True in evaluated:
            reached.add(field)
            with pytest.raises(BadInput, match=f"cfg.model.{field}: expected a literal"):
                untrusted.check_state({"cfg": {"model": changed}})
    assert reached and reached <= untrusted.EVALUATED


# ---- what a checkpoint holds


CODE = "__import__('os').system('true') or [8]"
TEXTS = {
    "a field that fairseq evaluates": ("adaptive_softmax_cutoff", CODE, "expected a literal"),
    "bytes, which eval takes too": ("adaptive_softmax_cutoff", CODE.encode(), "expected a literal"),
    "an evaluated field that refers to another": ("adaptive_softmax_cutoff", "${model.activation_fn}", "outside"),
    "a resolver": ("activation_fn", "${oc.env:SECRET}", "outside"),
    "a resolver of omegaconf 2.0": ("activation_fn", "${env:SECRET}", "outside"),
    "a resolver within text": ("activation_fn", "a ${oc.env:SECRET} b", "outside"),
    "a resolver that hydra puts together": ("activation_fn", r"$\{oc.env\:SECRET}", "outside"),
    "two references that make a resolver": ("activation_fn", "${model.arch}{oc.env:SECRET}", "outside"),
    "a reference in a reference": ("activation_fn", "${${model.arch}:SECRET}", "outside"),
}


@pytest.mark.parametrize("where", ["cfg", "args", "pair", "w2v_args"])
@pytest.mark.parametrize("what", TEXTS)
def test_text_that_is_no_data_is_refused_with_its_field(what, where, data, tmp_path):
    field, value, words = TEXTS[what]
    cfg = tiny.translation_config(data)
    path = tiny.save_checkpoint(tmp_path / "a.pt", cfg, setup_task(cfg.task).build_model(cfg.model))
    state = torch.load(path)
    names = {"cfg": "cfg.model", "args": "args", "pair": "cfg.model.pair.de-en", "w2v_args": "cfg.model.w2v_args.model"}
    if where == "cfg":
        setattr(state["cfg"]["model"], field, value)
    elif where == "args":
        state["args"], state["cfg"] = state["cfg"]["model"], None
        setattr(state["args"], field, value)
    elif where == "pair":
        state["cfg"]["model"] = {"_name": "dual_translation", "pair": {"de-en": {field: [value]}}}
    else:
        state["cfg"]["model"].w2v_args = {"model": {field: value}}
    torch.save(state, path)
    with pytest.raises(BadInput) as caught:
        checkpoint_utils.load_checkpoint_to_cpu(path)
    assert str(caught.value).startswith(f"{path}: {names[where]}.{field}") and words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_references_within_the_configuration_stay(data, tmp_path):
    cfg = tiny.translation_config(data)
    path = tiny.save_checkpoint(tmp_path / "a.pt", cfg, setup_task(cfg.task).build_model(cfg.model))
    state = torch.load(path)
    state["cfg"]["task"]["source_lang"] = "${common.user_dir}"
    state["cfg"]["common"]["user_dir"] = "of"
    torch.save(state, path)
    assert checkpoint_utils.load_checkpoint_to_cpu(path)["cfg"].task.source_lang == "of"


NUMBERS = {
    "nan": (torch.float32, float("nan")),
    "inf": (torch.float16, -float("inf")),
    "1e+30": (torch.float32, 1e30),
    "-1e+200": (torch.float64, -1e200),
    "70144": (torch.bfloat16, 7e4),
}


@pytest.mark.parametrize("shown", NUMBERS)
def test_a_parameter_that_is_no_number_of_a_model_is_named(shown):
    kind, value = NUMBERS[shown]
    parameters = {"sound": torch.ones(3, dtype=kind), "broken": torch.tensor([[0.5, value], [1, 2]], dtype=kind)}
    with pytest.raises(BadInput, match=f"parameter broken: .*found {re.escape(shown.lstrip('-'))}$"):
        untrusted.check_parameters(parameters)


@pytest.mark.parametrize("name", ["ema", "ema_fp32_params"])
def test_the_moving_average_of_a_model_is_checked_too(name):
    state = {"model": {"w": torch.ones(2)}, "extra_state": {name: {"w": torch.tensor([1.0, float("nan")])}}}
    with pytest.raises(BadInput, match="parameter w: .*found nan"):
        untrusted.check_state(state)


def test_what_no_model_uses_may_be_of_any_value():
    nan = torch.tensor([float("nan")])
    counts = torch.tensor([10**9])
    untrusted.check_parameters(
        {"a._float_tensor": nan, "layers.0.conv.conv_bias": nan, "counts": counts, "none": torch.zeros(0), "no": None}
    )


@pytest.mark.timeout(20)
def test_a_parameter_of_huge_declared_size_is_checked_at_once():
    small = torch.tensor([1.0, float("nan")])
    for huge in (small.expand(10**12, 2), small.as_strided((2, 10**12), (1, 0))):
        with pytest.raises(BadInput, match="found nan"):
            untrusted.check_parameters({"huge": huge})

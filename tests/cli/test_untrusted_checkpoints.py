"""A checkpoint that carries code or no numbers is harmless, and refused by its name, by every way that reads one."""

import contextlib
import os

import pytest
import torch
from commands import (
    LM_TASK,
    PLUGIN,
    TRANSFORMER,
    command,
    dsl_flags,
    languages,
    mono_flags,
    plugin_command,
    train,
)
from fairseq.models.transformer import TransformerModel

from fairseq_dsl import untrusted
from fairseq_dsl.errors import BadInput

TRANSLATION = ["--task", "translation", *languages("de-en")]
PAIR = ["--task", "dual_translation", *languages("de-en")]


def training(kind, flag):
    """Training that reads the checkpoint by this flag, in place of a sound one."""
    return lambda chain, bad, folder: train(
        chain.data, *dsl_flags(chain), flag, bad[kind], "--max-update", 1, "--save-dir", folder
    )


def reading(name, kind, *flags):
    """A command that reads the checkpoint and trains nothing."""
    data = {"lm": lambda chain: chain.lm_data["de"]}.get(kind, lambda chain: chain.data)
    flags += ("--cpu", "--batch-size", 1, "--path")
    return lambda chain, bad, folder: command(name, data(chain), *flags, bad[kind])


def finetuning(chain, bad, folder):
    flags = [*TRANSLATION, *TRANSFORMER, "--max-update", 1, "--save-dir", folder]
    train(chain.data, *flags, "--finetune-from-model", bad["warm"])


def proposals(chain, bad, folder):
    flags = [*mono_flags(chain.lm_data), "--criterion", "marginal_regularized_cross_entropy"]
    flags += ["--proposal-checkpoint", bad["pair"], "--max-update", 1, "--save-dir", folder]
    train(chain.data, *dsl_flags(chain), *flags)


def from_pretrained(chain, bad, folder):
    folder, file = os.path.split(bad["warm"])
    TransformerModel.from_pretrained(folder, file, str(chain.data), user_dir=PLUGIN)


def export(chain, bad, folder):
    plugin_command("export", bad["pair"], "--direction", "de-en", folder / "out.pt")


def average(chain, bad, folder):
    plugin_command("average", "--inputs", bad["pair"], bad["pair"], "--output", folder / "out.pt")


WAYS = {
    "--primal-checkpoint": training("warm", "--primal-checkpoint"),
    "--dual-checkpoint": training("reverse", "--dual-checkpoint"),
    "--source-lm": training("lm", "--source-lm"),
    "--target-lm": training("lm", "--target-lm"),
    "--proposal-checkpoint": proposals,
    "--restore-file": training("pair", "--restore-file"),
    "--finetune-from-model": finetuning,
    "--finetune-from-model of a pair": training("pair", "--finetune-from-model"),
    "generate": reading("generate", "warm", *TRANSLATION),
    "generate with a pair": reading("generate", "pair", *PAIR),
    "interactive": reading("interactive", "warm", *TRANSLATION),
    "interactive with a pair": reading("interactive", "pair", *PAIR),
    "validate": reading("validate", "warm", *TRANSLATION),
    "validate with a pair": reading("validate", "pair", *PAIR),
    "eval-lm": reading("eval-lm", "lm", *LM_TASK, "--gen-subset", "valid"),
    "from_pretrained": from_pretrained,
    "export": export,
    "average": average,
}


def broken(chain, dual, folder, damage):
    """A copy of each kind of checkpoint after some damage, by kind.

    Args:
        damage: changes the configurations of a checkpoint's models, a list, and its parameters.
    """
    made = {}
    paths = {"warm": chain.warm["de-en"], "reverse": chain.warm["en-de"], "lm": chain.lm["de"], "pair": dual}
    for kind, path in paths.items():
        state = torch.load(path, map_location="cpu")
        cfg = state["cfg"]["model"]
        cfg = cfg if isinstance(cfg, dict) else vars(cfg)
        damage(list(cfg["pair"].values()) if kind == "pair" else [cfg], state["model"])
        made[kind] = str(folder / f"{kind}.pt")
        torch.save(state, made[kind])
    return made


@pytest.fixture(scope="module")
def code(chain, dual, tmp_path_factory):
    folder = tmp_path_factory.mktemp("code")
    text = f"__import__('pathlib').Path({str(folder / 'marker')!r}).touch() or [8]"

    def damage(configurations, parameters):
        for cfg in configurations:
            cfg["adaptive_softmax_cutoff"] = text

    return broken(chain, dual, folder, damage)


@pytest.fixture(scope="module")
def nan(chain, dual, tmp_path_factory):
    def damage(configurations, parameters):
        name = next(name for name in parameters if name.endswith("fc1.weight"))
        parameters[name][0, 0] = float("nan")

    return broken(chain, dual, tmp_path_factory.mktemp("nan"), damage)


@pytest.mark.parametrize("way", WAYS)
def test_code_in_a_configuration_is_never_run(way, chain, code, tmp_path, monkeypatch):
    with pytest.raises(Exception, match="expected a literal") as caught:
        WAYS[way](chain, code, tmp_path)
    assert any(path in str(caught.value) for path in code.values())
    monkeypatch.setattr(untrusted, "check_state", lambda state: None)  # nor where the field would not be known
    with contextlib.suppress(Exception):
        WAYS[way](chain, code, tmp_path)
    assert not os.path.exists(os.path.join(os.path.dirname(code["warm"]), "marker"))


@pytest.mark.parametrize("way", ["--dual-checkpoint", "--target-lm", "--restore-file", "generate", "export"])
def test_parameters_that_are_no_numbers_are_named(way, chain, nan, tmp_path):
    with pytest.raises(BadInput, match=r"\.pt: parameter \S+fc1.weight: .*found nan") as caught:
        WAYS[way](chain, nan, tmp_path)
    assert any(path in str(caught.value) for path in nan.values())

"""What a pair that was trained with critics is for afterwards: its checkpoint has them, and nothing made of it does."""

import re

import pytest
import torch
from commands import (
    command,
    dsl_flags,
    generate,
    languages,
    lm_flags,
    load,
    mono_flags,
    plugin_command,
    train,
)

from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import DualTranslationModel

SHORT = ["--sample-max-len-a", 0, "--sample-max-len-b", 8, "--disable-validation", "--max-update"]


def critics(state):
    return [name for name in state["model"] if name.startswith("critics.")]


@pytest.fixture(scope="module")
def cycle(chain, mono):
    """The flags of the cycle, but for its length and ``--save-dir``."""
    return [chain.data, *dsl_flags(chain), "--criterion", "cycle_adversarial", *mono_flags(mono)]


@pytest.fixture(scope="module")
def trained(cycle, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cycle")
    train(*cycle, *SHORT, 2, "--save-dir", folder)
    path = folder / "checkpoint_last.pt"
    assert {name.split(".")[1] for name in critics(load(path))} == {"de", "en"}
    return path


def test_translates_validates_and_evaluates_as_a_pair_without(trained, chain, tmp_path):
    """With and without dual inference."""
    averaged = tmp_path / "averaged.pt"
    plugin_command("average", "--inputs", trained, "--output", averaged)
    assert critics(load(averaged)) == []
    for more in ([], ["--reverse-weight", 0.5, *lm_flags(chain)]):
        found, wanted = (generate(chain.data, "en-de", path, *more).scored_hypotheses() for path in (trained, averaged))
        assert found == wanted and len(found) == len(chain.pairs["test"])
    validation = [chain.data, "--task", "dual_translation", *languages("de-en"), "--cpu", "--batch-size", 16]
    logs = [command("validate", *validation, "--path", path).log for path in (trained, averaged)]
    losses = [re.findall(r"valid .*\| loss ([0-9.]+) ", "\n".join(log)) for log in logs]
    assert losses[0] == losses[1] and len(losses[0]) == 1
    loaded = DualTranslationModel.from_pretrained(str(trained.parent), trained.name, str(chain.data))
    assert not [name for name, _ in loaded.named_parameters() if "critics" in name]


@pytest.mark.parametrize("direction", ["de-en", "en-de"])
def test_exports_translate_alike(trained, chain, tmp_path, direction):
    plugin_command("export", trained, "--direction", direction, tmp_path / "one.pt")
    state = load(tmp_path / "one.pt")
    assert not [name for name in state["model"] if "critic" in name]
    found = generate(
        chain.data, direction, tmp_path / "one.pt", "--required-batch-size-multiple", 1, task="translation"
    )
    assert found.hypotheses() == generate(chain.data, direction, trained).hypotheses()


def test_starts_another_method_which_drops_the_critics(trained, chain, tmp_path):
    found = [chain.data, *dsl_flags(chain), "--disable-validation", "--max-update", 3, "--save-dir", tmp_path]
    result = train(*found, "--restore-file", trained, "--reset-optimizer")
    assert result.says("^the checkpoint's critics are left out")
    assert critics(load(tmp_path / "checkpoint_last.pt")) == []


def test_goes_on_from_another_method_with_new_critics(trained, dual, cycle, tmp_path):
    found = [*cycle, *SHORT, 1, "--save-dir", tmp_path, "--restore-file", dual]
    result = train(*found, "--reset-optimizer", "--reset-meters", "--reset-dataloader")
    assert result.says("^the checkpoint has no critics: they begin untrained")
    assert critics(load(tmp_path / "checkpoint_last.pt")) == critics(load(trained))


def test_a_warm_start_takes_the_models_alone(trained, cycle, tmp_path):
    """Their parameters stay, as nothing is learnt; the critics are those that a seed makes, not the checkpoint's."""
    found = [*cycle, *SHORT, 1, "--save-dir", tmp_path, "--lr", 1e-12]
    for flag in ("--primal-checkpoint", "--dual-checkpoint"):
        found[found.index(flag) + 1] = trained
    train(*found)
    started, stored = (load(path)["model"] for path in (tmp_path / "checkpoint_last.pt", trained))
    same = {name for name in stored if torch.allclose(started[name], stored[name], atol=1e-6)}
    assert same >= {name for name in stored if name.startswith("models.")}
    assert not {name for name in same if name.startswith("critics.") and name.endswith("weight")}


def test_critics_of_another_size_are_refused_on_resuming(trained, cycle, tmp_path):
    found = [*cycle, *SHORT, 3, "--restore-file", trained, "--save-dir", tmp_path, "--critic-dim", 8]
    with pytest.raises(Exception) as caught:
        train(*found)
    assert isinstance(caught.value.__context__, BadInput) and "--critic-dim" in str(caught.value.__context__)

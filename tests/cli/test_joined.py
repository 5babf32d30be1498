"""A pair that fairseq-dsl join made of two plain checkpoints is one like any other."""

import pytest
import torch
from commands import (
    LSTM,
    TASK,
    command,
    direction_of,
    generate,
    languages,
    largest_difference,
    lm_flags,
    load,
    plugin_command,
    train,
    train_translation,
)

from fairseq_dsl.models import DualTranslationModel

DIRECTIONS = ("de-en", "en-de")


@pytest.fixture(scope="module")
def plain(chain, tmp_path_factory):
    """The plain checkpoint of each direction, a Transformer and an LSTM."""
    folder = tmp_path_factory.mktemp("lstm")
    return {**chain.warm, "en-de": train_translation(chain.data, "en-de", folder, arch=LSTM, updates=10)}


@pytest.fixture(scope="module")
def joined(plain, tmp_path_factory):
    path = tmp_path_factory.mktemp("joined") / "dual.pt"
    plugin_command("join", *plain.values(), path)
    return path


def translations(chain, direction, path, **task):
    return generate(chain.data, direction, path, "--required-batch-size-multiple", 1, **task).stdout


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_translates_as_the_plain_checkpoints_to_the_byte(chain, plain, joined, direction):
    found = translations(chain, direction, joined)
    assert found == translations(chain, direction, plain[direction], task="translation")
    assert found.count("\nH-") >= len(chain.pairs["test"]) - 1


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_interactive_and_from_pretrained_translate_alike(chain, plain, joined, direction):
    def interactive(path, task):
        lines = ["--input", chain.text / f"test.{direction[:2]}", "--buffer-size", 16, "--beam", 3, "--cpu"]
        return command("interactive", chain.data, "--task", task, *languages(direction), "--path", path, *lines)

    found = interactive(joined, "dual_translation")
    assert found.scored_hypotheses() == interactive(plain[direction], "translation").scored_hypotheses()
    source, target = direction.split("-")
    hub = DualTranslationModel.from_pretrained(
        str(joined.parent), joined.name, str(chain.data), source_lang=source, target_lang=target
    )
    sentences = [pair[DIRECTIONS.index(direction)] for pair in chain.pairs["test"][:5]]
    assert hub.translate(sentences, beam=3) == [found.hypotheses()[n] for n in range(5)]


def test_has_the_form_of_a_checkpoint_that_training_wrote(dual, joined):
    found, trained = load(joined), load(dual)
    assert [name for name in found["model"] if name.startswith("dictionaries.")] == [
        name for name in trained["model"] if name.startswith("dictionaries.")
    ]
    for name in ("dictionaries.de", "dictionaries.en"):
        assert torch.equal(found["model"][name], trained["model"][name])
        assert found["model"][name].dtype == torch.int32
    assert found.keys() | {"last_optimizer_state"} == trained.keys()
    assert found["cfg"].model._name == trained["cfg"].model._name == "dual_translation"
    assert list(found["cfg"].model.pair) == list(DIRECTIONS)
    assert (found["cfg"].task._name, found["cfg"].criterion._name) == ("dual_translation", "dsl_cross_entropy")
    history = found["optimizer_history"][-1]
    assert history.keys() == trained["optimizer_history"][-1].keys() and history["num_updates"] == 60


def test_validates_with_language_models_and_without(chain, joined):
    flags = ["--task", "dual_translation", "--path", joined, "--valid-subset", "valid", "--batch-size", 8, "--cpu"]
    alone, scored = command("validate", chain.data, *flags), command("validate", chain.data, *flags, *lm_flags(chain))
    assert alone.says(r"nll_loss_de-en [\d.]+") and not alone.says(r"duality_gap [\d.]+")
    assert scored.says(r"duality_gap [\d.]+")


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_exports_the_parameters_that_it_was_made_of(plain, joined, tmp_path, direction):
    plugin_command("export", joined, "--direction", direction, tmp_path / "out.pt")
    assert largest_difference(load(tmp_path / "out.pt")["model"], load(plain[direction])["model"]) == 0


def test_joins_exported_checkpoints_whose_data_folder_is_gone(joined, tmp_path):
    """They contain their dictionaries."""
    paths = [tmp_path / f"{direction}.pt" for direction in DIRECTIONS]
    for direction, path in zip(DIRECTIONS, paths):
        plugin_command("export", joined, "--direction", direction, path)
        state = torch.load(path)
        state["cfg"]["task"]["data"] = "gone"
        torch.save(state, path)
    plugin_command("join", *paths, tmp_path / "again.pt")
    assert largest_difference(load(tmp_path / "again.pt")["model"], load(joined)["model"]) == 0


def test_averages(chain, joined, tmp_path):
    plugin_command("average", "--inputs", joined, joined, "--output", tmp_path / "average.pt")
    assert translations(chain, "en-de", tmp_path / "average.pt") == translations(chain, "en-de", joined)


def test_starts_a_training(chain, plain, joined, tmp_path):
    starts = ["--arch", "dual_translation", "--primal-checkpoint", joined, "--dual-checkpoint", joined]
    train(chain.data, *TASK, *starts, *lm_flags(chain), "--max-update", 1, "--lr", 0, "--save-dir", tmp_path)
    state = load(tmp_path / "checkpoint_last.pt")
    for direction in DIRECTIONS:
        assert largest_difference(direction_of(state, direction), load(plain[direction])["model"]) == 0


def test_the_first_checkpoint_is_primal(chain, plain, joined, tmp_path):
    plugin_command("join", plain["en-de"], plain["de-en"], tmp_path / "turned.pt")
    assert list(load(tmp_path / "turned.pt")["cfg"].model.pair) == ["en-de", "de-en"]
    for direction in DIRECTIONS:
        assert translations(chain, direction, tmp_path / "turned.pt") == translations(chain, direction, joined)

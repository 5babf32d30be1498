"""Checkpoints that cannot be used are refused by every command, and neither run nor overwritten."""

import shutil

import pytest
from bad import CHECKPOINT_FLAGS, check, refusal, replaced
from commands import TASK, TRANSFORMER, command, dsl_flags, generate, plugin_command, train

from fairseq_dsl.compat import SAFE_LOADING
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import DualTranslationModel


@pytest.mark.skipif(not SAFE_LOADING, reason="torch < 2.6 cannot load fairseq's checkpoints safely")
@pytest.mark.parametrize("flag", CHECKPOINT_FLAGS)
def test_a_checkpoint_that_carries_code_is_not_run(chain, bad, tmp_path, flag):
    flags = replaced(dsl_flags(chain), **{flag[2:].replace("-", "_"): bad["code"]})
    message = refusal(tmp_path, train, chain.data, *flags, "--max-update", 1, "--save-dir", tmp_path)
    check(message, [flag, "code.pt", "run code"])
    assert not bad["marker"].exists()


@pytest.mark.parametrize("kind", ["cut", "corrupt", "empty"])
def test_resuming_from_a_damaged_checkpoint(chain, bad, tmp_path, kind):
    last = tmp_path / "checkpoint_last.pt"
    shutil.copy(bad[kind], last)
    before = last.read_bytes()
    with pytest.raises(BadInput, match="checkpoint_last.pt"):
        train(chain.data, *dsl_flags(chain), "--max-update", 1, "--save-dir", tmp_path)
    assert [path.name for path in tmp_path.glob("*.pt*")] == ["checkpoint_last.pt"]
    assert last.read_bytes() == before


def test_resuming_from_a_checkpoint_of_one_model(chain, tmp_path):
    """The warm start's own folder given as --save-dir: it is not overwritten."""
    last = tmp_path / "checkpoint_last.pt"
    shutil.copy(chain.warm["de-en"], last)
    before = last.read_bytes()
    with pytest.raises(Exception, match="checkpoint_last.pt") as caught:  # fairseq's own exception names the file
        train(chain.data, *dsl_flags(chain), "--max-update", 100, "--save-dir", tmp_path)
    assert isinstance(caught.value.__context__, BadInput)
    check(str(caught.value.__context__), ["single model", "--primal-checkpoint", "--save-dir"])
    assert last.read_bytes() == before


GENERATION_CASES = {
    "a plain checkpoint": ("warm", "de-en", [], ["single model", "--task translation", "--primal-checkpoint"]),
    "a language model": ("lm", "de-en", [], ["--task"]),
    "a missing checkpoint": ("missing", "de-en", [], [r"missing\.pt"]),
    "a truncated checkpoint": ("cut", "de-en", [], [r"cut\.pt", "truncated|corrupt"]),
    "a corrupt checkpoint": ("corrupt", "de-en", [], [r"corrupt\.pt", "not a checkpoint|corrupt"]),
    "a direction that the checkpoint lacks": ("dual", "de-fr", [], ["de.*fr", "de-en and en-de"]),
    "a sentence that is too long": (
        "dual", "de-en", ["--max-source-positions", 3], ["sentence", "limit", "--max-source-positions"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GENERATION_CASES)
def test_generation_is_refused_before_it_writes(chain, bad, dual, capsys, case):
    path, direction, flags, patterns = GENERATION_CASES[case]
    path = {"warm": chain.warm["de-en"], "lm": chain.lm["de"], "dual": dual}.get(path) or bad[path]
    data = bad["data fr"] if "fr" in direction else chain.data
    with pytest.raises((BadInput, OSError)) as caught:  # of a missing file, fairseq's own
        generate(data, direction, path, *flags)
    check(str(caught.value), patterns)
    assert "H-" not in capsys.readouterr().out


OTHER_DICTIONARY = [
    r"bin\.order/dict\.(de|en)\.txt",
    "another (de|en) dictionary",
    r"symbol 4 is '\w+' there and '\w+' here",
]


@pytest.mark.parametrize("command_name", ["generate", "validate", "interactive", "from_pretrained"])
def test_another_dictionary_is_refused(bad, dual, command_name):
    """Of the same size, as in a folder that was made again: otherwise garbage without an error."""
    data, flags = bad["data order"], ["--task", "dual_translation", "--path", dual, "--cpu"]
    with pytest.raises(BadInput) as caught:
        if command_name == "from_pretrained":
            DualTranslationModel.from_pretrained(str(dual.parent), dual.name, str(data))
        elif command_name == "validate":
            command(command_name, data, *flags, "--batch-size", 8)
        else:
            command(command_name, data, *flags, "-s", "en", "-t", "de")
    check(str(caught.value), OTHER_DICTIONARY)


@pytest.mark.parametrize("flag", ["--finetune-from-model", "--restore-file"])
def test_training_goes_on_with_the_same_dictionary_alone(chain, bad, dual, tmp_path, flag):
    given = [*TASK, *TRANSFORMER, "--dsl-lambda", 0, flag, dual, "--max-update", 7, "--save-dir", tmp_path]
    with pytest.raises(Exception, match="checkpoint_last.pt") as caught:  # fairseq's own exception names the file
        train(bad["data order"], *given)
    check(str(caught.value.__context__), OTHER_DICTIONARY)
    train(chain.data, *given)


@pytest.mark.parametrize(
    "direction, words", [("de-fr", ["de-fr", "de-en and en-de"]), ("de-en", ["expected a pair checkpoint"])]
)
def test_export_is_refused(chain, dual, tmp_path, direction, words):
    source = dual if direction == "de-fr" else chain.warm["de-en"]
    with pytest.raises(BadInput) as caught:
        plugin_command("export", source, "--direction", direction, tmp_path / "out.pt")
    check(str(caught.value), words)
    assert not list(tmp_path.iterdir())

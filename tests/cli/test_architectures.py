"""Every architecture that fairseq registers: it trains a pair and translates, or is refused by name, in one line."""

import inspect
import re

import pytest
from architectures import small
from commands import TASK, generate, train
from fairseq.models import ARCH_MODEL_REGISTRY

from fairseq_dsl.errors import BadInput
from fairseq_dsl.models import check_architecture

CLASSES = {model: arch for arch, model in reversed(ARCH_MODEL_REGISTRY.items())}
"""Of each class of models, the first architecture: the others have other sizes."""
TRAINED = {
    "BARTModel", "FConvModel", "FConvModelSelfAtt", "LSTMModel", "LightConvModel", "TransformerAlignModel",
    "TransformerModel",
}  # fmt: skip


@pytest.mark.parametrize("model", CLASSES, ids=lambda model: model.__name__)
def test_trains_and_translates_or_is_refused_by_name(chain, tmp_path, capsys, model):
    arch = CLASSES[model]
    flags = [*TASK, "--dsl-lambda", 0, "--arch", arch, *small(arch), "--max-update", 1, "--save-dir", tmp_path]
    if model.__name__ in TRAINED:
        train(chain.data, *flags, "--disable-validation")
        found = generate(chain.data, "en-de", tmp_path / "checkpoint_last.pt", "--max-len-b", 3)
        assert len(found.hypotheses()) == len(chain.pairs["test"])
        return
    with pytest.raises((BadInput, SystemExit)) as caught:
        train(chain.data, *flags)
    refused = caught.value if caught.type is BadInput else capsys.readouterr().err.splitlines()[-1]
    assert re.search(rf"--arch {arch}: .*(translat|--primal-checkpoint)", str(refused))
    assert not list(tmp_path.glob("*.pt"))


@pytest.mark.parametrize("arch", ["cmlm_transformer", "s2t_transformer_s", "wav2vec_seq2seq"])
def test_is_refused_as_the_model_of_one_direction(chain, tmp_path, arch):
    flags = ["--arch", "dual_translation", "--primal-arch", "lstm", "--dual-arch", arch, "--dsl-lambda", 0]
    with pytest.raises(BadInput, match=f"--dual-arch {arch}: .*translat"):
        train(chain.data, *TASK, *flags, "--save-dir", tmp_path)


def test_architectures_of_a_class_are_judged_alike():
    judged = {}
    for arch, model in ARCH_MODEL_REGISTRY.items():
        try:
            check_architecture(arch, "--arch")
            message = ""
        except BadInput as error:
            message = str(error).replace(arch, "ARCH")
        judged.setdefault(model, set()).add(message)
    assert all(len(messages) == 1 for messages in judged.values())
    accepted = {model for model, messages in judged.items() if messages == {""}}
    assert {model.__name__ for model in accepted} >= TRAINED
    assert all("prev_output_tokens" in inspect.signature(model.forward).parameters for model in accepted)

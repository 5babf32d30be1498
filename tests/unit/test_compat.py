"""Each fix for a version: what fails without it and works with it."""

import argparse
import importlib
import pickle
import warnings

import numpy as np
import pytest
import tiny
import torch
from fairseq import checkpoint_utils
from fairseq.data import TokenBlockDataset
from fairseq.modules.transformer_layer import TransformerEncoderLayerBase
from fairseq.tasks import setup_task

from fairseq_dsl import compat

TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])


def test_fairseq_asks_for_no_further_package():
    assert importlib.import_module("fairseq.tasks.text_to_speech").SummaryWriter is not None


@pytest.mark.skipif(TORCH < (2, 6), reason="torch < 2.6 loads everything, code too")
class TestSafeLoading:
    """``torch.load`` accepts the plain types that fairseq's checkpoints contain, and nothing else."""

    VALUES = {
        "namespace": argparse.Namespace(arch="transformer"),
        "scalar": np.float64(1.5),
        **{kind: np.array([1, 0], dtype=kind) for kind in ("float64", "float32", "int64", "int32", "bool")},
    }

    @pytest.fixture
    def allowed(self):
        """What is allowed, for a test that changes it."""
        allowed = torch.serialization.get_safe_globals()
        yield allowed
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(allowed)

    def save(self, value, path, names=None):
        """Saved in torch's older format, where the module of numpy that wrote it can be replaced."""
        torch.save({"value": value}, path, _use_new_zipfile_serialization=False)
        if names is not None:
            content = path.read_bytes()
            path.write_bytes(content.replace(*(f"cnumpy.{name}.".encode() for name in names)))
        return path

    @pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
    @pytest.mark.parametrize("names", [("_core", "core"), ("core", "_core"), None], ids=str)
    def test_loads_what_any_numpy_wrote(self, tmp_path, allowed, value, names):
        path = self.save(value, tmp_path / "state.pt", names)
        found = torch.load(path)["value"]
        assert type(found) is type(value) and np.all(found == value)
        torch.serialization.clear_safe_globals()
        with pytest.raises(pickle.UnpicklingError):
            torch.load(path)

    def test_allows_nothing_that_is_not_needed(self, tmp_path, allowed):
        """Without any one of the types, some checkpoint is refused."""
        paths = [
            self.save(value, tmp_path / f"{key}-{names}.pt", names)
            for key, value in self.VALUES.items()
            for names in (("_core", "core"), ("core", "_core"))
        ]

        def refused(paths):
            found = 0
            for path in paths:
                try:
                    torch.load(path)
                except pickle.UnpicklingError:
                    found += 1
            return found

        assert not refused(paths)
        ours = [entry for entry in allowed if getattr(entry, "__module__", "").startswith("torch") is False]
        assert len(ours) >= 12
        for entry in ours:
            torch.serialization.clear_safe_globals()
            torch.serialization.add_safe_globals([other for other in allowed if other is not entry])
            assert refused(paths), entry


@pytest.mark.skipif(np.__version__ < "2", reason="numpy 1 has np.compat")
def test_fairseq_reads_sentences_one_by_one_with_numpy_2(monkeypatch):
    def blocks():
        return TokenBlockDataset(
            [torch.tensor([5, 2]), torch.tensor([6, 7, 2])], [2, 3], block_size=None, pad=1, eos=2, break_mode="eos"
        )

    assert [len(block) for block in blocks()] == [2, 3]
    monkeypatch.delattr(np, "compat")
    with pytest.raises(AttributeError, match="compat"):
        blocks()
    compat.restore_np_compat()
    assert len(blocks()) == 2


def test_numpy_1_keeps_its_own_np_compat(monkeypatch):
    own = object()
    monkeypatch.setattr(np, "compat", own, raising=False)
    compat.restore_np_compat()
    assert np.compat is own


@pytest.mark.skipif(TORCH < (2, 4), reason="torch < 2.4 does not warn")
@pytest.mark.parametrize("message", ["torch.cuda.amp", "mismatched key_padding_mask"])
def test_deprecations_of_what_fairseq_uses_are_silent(message):
    attention = torch.nn.MultiheadAttention(4, 2)
    x, padding, future = torch.zeros(2, 1, 4), torch.zeros(1, 2, dtype=torch.bool), torch.zeros(2, 2)
    for fix, count in ((lambda: None, 1), (compat.silence_deprecations, 0)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fix()
            torch.cuda.amp.autocast(enabled=False)
            attention(x, x, x, key_padding_mask=padding, attn_mask=future)
        assert len([w for w in caught if message in str(w.message)]) == count


class TestEncoderLayers:
    """fairseq 0.12.2's encoder layers; elsewhere the same properties hold without a fix."""

    def trained_without_gradient(self, data):
        cfg = tiny.translation_config(data)
        task = setup_task(cfg.task)
        model = task.build_model(cfg.model)
        task.load_dataset("train")
        model(**tiny.batch(task.dataset("train"))["net_input"])[0].sum().backward()
        return [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None], model

    def test_have_no_trained_parameter_without_gradient(self, data):
        assert self.trained_without_gradient(data)[0] == []

    def test_translate_in_evaluation_mode_as_in_training_mode(self, data):
        cfg = tiny.translation_config(data)
        task = setup_task(cfg.task)
        model = task.build_model(cfg.model)
        task.load_dataset("train")
        net_input = tiny.batch(task.dataset("train"))["net_input"]
        with torch.no_grad():
            trained = model.train()(**net_input)[0]
            torch.testing.assert_close(model.eval()(**net_input)[0], trained)

    def test_fail_without_the_fix_on_0_12_2(self, data, monkeypatch):
        fixed = TransformerEncoderLayerBase.__init__
        monkeypatch.setattr(TransformerEncoderLayerBase, "__init__", fixed.__wrapped__)
        unused, model = self.trained_without_gradient(data)
        if not hasattr(model.encoder.layers[0], "can_use_fastpath"):
            pytest.skip("fairseq's main branch has no such parameters")
        assert sorted(name.rsplit(".", 1)[1] for name in unused) == sorted(compat.FAST_PATH_PARAMETERS)

    def test_parameters_of_0_12_2_alone_are_ignored_elsewhere(self, data, tmp_path, caplog):
        caplog.set_level("INFO")
        cfg = tiny.translation_config(data)
        model = setup_task(cfg.task).build_model(cfg.model)
        own = set(model.state_dict())
        extra = {f"encoder.layers.0.{name}": torch.zeros(2) for name in compat.FAST_PATH_PARAMETERS}
        names = ("encoder.layers.0.self_attn.in_proj_weight", "layers.0.in_proj_weight")
        others = {name: torch.zeros(2) for name in names}
        for name, more, left in (("old", extra, own), ("other", others, own | set(others))):
            path = tiny.save_checkpoint(tmp_path / f"{name}.pt", cfg, model)
            state = torch.load(path)
            state["model"].update(more)
            torch.save(state, path)
            found = checkpoint_utils.load_checkpoint_to_cpu(path)["model"]
            assert set(found) == (left | set(more) if compat.HAS_FAST_PATH else left)
        model.load_state_dict(checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "old.pt"))["model"], strict=True)
        if not compat.HAS_FAST_PATH:
            assert "old.pt: ignoring 8 parameters that fairseq 0.12.2 stored" in caplog.text

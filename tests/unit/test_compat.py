"""Each fix for a version: what fails without it, and works with it."""

import argparse
import contextlib
import importlib
import os
import pickle
import shutil
import warnings

import numpy as np
import pytest
import tiny
import torch
from fairseq import checkpoint_utils
from fairseq.data import TokenBlockDataset
from fairseq.file_io import PathManager
from fairseq.modules.transformer_layer import TransformerEncoderLayerBase
from fairseq.tasks import setup_task

from fairseq_dsl import compat
from fairseq_dsl.checkpoints import write_checkpoint
from fairseq_dsl.errors import BadInput

TORCH = tuple(int(part) for part in torch.__version__.split(".")[:2])


def without_fix(function):
    """What a function of ours stands in for: it keeps the original in its closure."""
    (original,) = [cell.cell_contents for cell in function.__closure__ if callable(cell.cell_contents)]
    return original


def test_fairseq_asks_for_no_further_package():
    assert importlib.import_module("fairseq.tasks.text_to_speech").SummaryWriter is not None


@pytest.mark.skipif(TORCH < (2, 6), reason="torch < 2.6 loads everything, code too")
class TestSafeLoading:
    """``torch.load`` takes the plain types that fairseq's checkpoints hold, and nothing else."""

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

    def test_a_checkpoint_that_carries_code_is_refused_and_not_run(self, tmp_path):
        path = str(tmp_path / "state.pt")
        torch.save({"cfg": Code(str(tmp_path / "ran"))}, path)
        with pytest.raises(BadInput, match=f"{path}: carries more than tensors and plain values .*mkdir"):
            checkpoint_utils.load_checkpoint_to_cpu(path)
        assert not (tmp_path / "ran").exists()
        torch.load(path, weights_only=False)
        assert (tmp_path / "ran").exists()  # it would have


class Code:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


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
def test_warnings_of_torch_cuda_amp_are_silent():
    for fix, count in ((lambda: None, 1), (compat.silence_amp_warnings, 0)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            fix()
            torch.cuda.amp.autocast(enabled=False)
        assert len([w for w in caught if "torch.cuda.amp" in str(w.message)]) == count


class TestCopy:
    """How ``checkpoint_last.pt`` is made."""

    @pytest.fixture
    def files(self, tmp_path):
        (tmp_path / "new").write_bytes(b"new" * 1000)
        (tmp_path / "last").write_bytes(b"old" * 1000)
        return str(tmp_path / "new"), str(tmp_path / "last")

    def killed_in_the_middle(self, copy, files, monkeypatch):
        def write_half(source, target, *_, **__):
            with open(target, "wb") if isinstance(target, str) else contextlib.nullcontext(target) as file:
                file.write(b"new" * 500)
            raise KeyboardInterrupt

        for name in ("copyfile", "copyfileobj"):
            monkeypatch.setattr(shutil, name, write_half)
        with pytest.raises(KeyboardInterrupt):
            copy(*files, overwrite=True)
        with open(files[1], "rb") as file:
            return file.read()

    def test_a_kill_in_the_middle_leaves_the_old_file(self, files, monkeypatch):
        assert self.killed_in_the_middle(PathManager.copy, files, monkeypatch) == b"old" * 1000

    def test_fairseq_alone_leaves_half_a_file(self, files, monkeypatch):
        assert self.killed_in_the_middle(without_fix(PathManager.copy), files, monkeypatch) == b"new" * 500

    def test_copies_over_the_old_file_without_following_links(self, files, tmp_path):
        (tmp_path / "victim").write_bytes(b"victim")
        os.remove(files[1])
        for name in ("last", "last.tmp"):
            (tmp_path / name).symlink_to("victim")
        assert PathManager.copy(*files, overwrite=True)
        assert (tmp_path / "last").read_bytes() == b"new" * 1000
        assert (tmp_path / "victim").read_bytes() == b"victim"
        assert sorted(os.listdir(tmp_path)) == ["last", "last.tmp", "new", "victim"]


class TestUnreadableCheckpoints:
    @pytest.fixture(scope="class")
    def content(self, data, tmp_path_factory):
        path, _ = tiny.translation_model(data, tmp_path_factory.mktemp("whole") / "model.pt")
        with open(path, "rb") as file:
            return file.read()

    def damaged(self, content, damage, path):
        if damage == "older format, cut":
            torch.save(torch.arange(1000), path, _use_new_zipfile_serialization=False)
            content = path.read_bytes()
        made = {
            "empty": b"",
            "one byte": content[:1],
            "cut early": content[:100],
            "cut in the middle": content[: len(content) // 2],
            "cut at the end": content[:-1],
            "older format, cut": content[: len(content) // 2],
            "text": b"w0 w1\nw2\n" * 100,
            "binary": bytes(range(256)) * 40,
            "UTF-8": "Übersetzung 번역\n".encode() * 50,
            "zip": b"PK\x05\x06" + b"\0" * 18,
            "pickled list": pickle.dumps([1, 2], protocol=2),
            "pickle of no text": b"\x80\x02X\x02\x00\x00\x00\xe5\xe5.",
            "pickle of no number": b"\x80\x02I1x\n.",
            "pickle that pops too often": b"0.",
        }
        path.write_bytes(made[damage])

    DAMAGES = [
        "empty", "one byte", "cut early", "cut in the middle", "cut at the end", "older format, cut", "text", "binary",
        "UTF-8", "zip", "pickled list", "pickle of no text", "pickle of no number", "pickle that pops too often",
    ]  # fmt: skip

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_are_named_in_one_message(self, content, tmp_path, damage):
        path = tmp_path / "broken.pt"
        self.damaged(content, damage, path)
        with pytest.raises(BadInput) as caught:
            checkpoint_utils.load_checkpoint_to_cpu(str(path))
        assert str(caught.value).startswith(f"{path}: ")
        assert "\n" not in str(caught.value)
        with pytest.raises(Exception) as caught:
            without_fix(checkpoint_utils.load_checkpoint_to_cpu)(str(path))
        assert not isinstance(caught.value, BadInput)

    @pytest.mark.parametrize("state", [torch.zeros(3), [1], {}, {"weight": torch.zeros(2)}, "text"], ids=str)
    def test_a_file_of_something_else_is_refused(self, tmp_path, state):
        path = str(tmp_path / "other.pt")
        torch.save(state, path)
        with pytest.raises(BadInput, match=f"{path}: .*not a fairseq checkpoint"):
            checkpoint_utils.load_checkpoint_to_cpu(path)

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(BadInput, match="nowhere.pt: no such file"):
            checkpoint_utils.load_checkpoint_to_cpu(str(tmp_path / "nowhere.pt"))

    def test_a_sound_checkpoint_is_read_as_by_fairseq(self, content, tmp_path):
        path = tmp_path / "model.pt"
        path.write_bytes(content)
        found = checkpoint_utils.load_checkpoint_to_cpu(str(path), {"data": "elsewhere"})
        wanted = without_fix(checkpoint_utils.load_checkpoint_to_cpu)(str(path), {"data": "elsewhere"})
        assert found.keys() == wanted.keys()
        assert found["cfg"].task.data == wanted["cfg"].task.data == "elsewhere"


class TestWriteAtomically:
    def test_a_failed_write_leaves_the_old_file_and_nothing_else(self, tmp_path):
        path = str(tmp_path / "out.pt")
        write_checkpoint({"a": 1}, path)
        with pytest.raises(Exception):  # noqa: B017  (of torch or pickle, by version)
            write_checkpoint({"a": 2, "b": lambda: None}, path)
        assert torch.load(path) == {"a": 1}
        assert os.listdir(tmp_path) == ["out.pt"]


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
        monkeypatch.setattr(TransformerEncoderLayerBase, "__init__", without_fix(fixed))
        unused, model = self.trained_without_gradient(data)
        if not hasattr(model.encoder.layers[0], "can_use_fastpath"):
            pytest.skip("fairseq's main branch has no such parameters")
        assert sorted(name.rsplit(".", 1)[1] for name in unused) == sorted(compat.FAST_PATH_PARAMETERS)

    def test_parameters_that_0_12_2_alone_has_are_left_out_elsewhere(self, data, tmp_path, caplog):
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
            assert "old.pt: 8 parameters that fairseq 0.12.2 stored" in caplog.text

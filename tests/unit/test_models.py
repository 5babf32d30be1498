"""The pair of models, what each is built from, and what is stored of them."""

import argparse
import os
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from fairseq import checkpoint_utils, tasks
from fairseq.dataclass import ChoiceEnum
from omegaconf import OmegaConf, open_dict

from fairseq_dsl.checkpoints import Checkpoint, build_config, plain, save_plain
from fairseq_dsl.errors import BadInput
from fairseq_dsl.models.architecture import Architecture, architectures


class TestPair:
    def test_of_two_architectures_answers_as_each_model_does(self, data):
        made = tiny.pair(data, "transformer", "lstm")
        assert [type(model).__name__ for model in made.model.models.values()] == ["TransformerModel", "LSTMModel"]
        made.model.eval()
        batch = tiny.batch(made.data)
        inputs = {"de-en": batch["net_input"], "en-de": batch["reverse"]["net_input"]}
        outputs = made.model({key: [net_input, net_input] for key, net_input in inputs.items()})
        for key, net_input in inputs.items():
            alone = made.model.models[key](**net_input)[0]
            assert len(outputs[key]) == 2
            assert all(torch.equal(output[0], alone) for output in outputs[key])
        wanted = made.model.models["de-en"].get_normalized_probs(outputs["de-en"][0], True)
        assert torch.equal(made.model.get_normalized_probs(outputs["de-en"][0], True), wanted)

    @pytest.mark.parametrize("direction", ["de-en", "en-de"])
    def test_takes_what_both_directions_take(self, data, direction):
        made = tiny.pair(data)
        made.model.models["de-en"].max_positions = lambda: (10, 70)
        made.model.models["en-de"].max_positions = lambda: (50, 30)
        made.model.active = direction
        assert made.model.max_positions() == ((10, 50) if direction == "de-en" else (50, 10))

    def test_keeps_the_translated_direction_alone_at_inference(self, data):
        made = tiny.pair(data, "transformer", "lstm")
        made.model.models["de-en"].max_positions = lambda: (10, 70)
        made.model.prepare_for_inference_(made.cfg)
        assert list(made.model.models) == ["de-en"]
        assert made.model.max_positions() == (10, 70)

    def test_tells_both_models_the_number_of_updates(self, data):
        made = tiny.pair(data)
        seen = []
        for key, model in made.model.models.items():
            model.set_num_updates = lambda updates, key=key: seen.append((key, updates))
        made.model.set_num_updates(12)
        assert seen == [("de-en", 12), ("en-de", 12)] and made.model.num_updates == 12

    def test_takes_the_order_of_a_checkpoint_which_its_optimizer_state_has(self, data):
        """Where ``-s`` and ``-t`` are exchanged on resuming."""
        saved = tasks.setup_task(tiny.pair_config(data).task).build_model(tiny.pair_config(data).model)
        cfg = tiny.pair_config(data, source="en", target="de")
        model = tasks.setup_task(cfg.task).build_model(cfg.model)
        assert list(model.models) == ["en-de", "de-en"]
        model.load_state_dict(saved.state_dict())
        assert [name for name, _ in model.named_parameters()] == [name for name, _ in saved.named_parameters()]
        assert_same_parameters(model, saved)
        assert model.active == "en-de"

    def test_has_no_parameter_in_common(self, data):
        model = tiny.pair(data).model
        first, second = ({id(p) for p in part.parameters()} for part in model.models.values())
        assert first and second and not first & second

    def test_every_trained_parameter_gets_a_gradient(self, data):
        """Else data-parallel training stops: "Expected to have finished reduction in the prior iteration"."""
        for architecture in ("transformer", "lstm"):
            made = tiny.pair(data, architecture)
            loss = tiny.criterion(made)(made.model, tiny.batch(made.data))[0]
            trained = {name for name, p in made.model.named_parameters() if p.requires_grad}
            assert set(tiny.gradients(made.model, loss)) == trained


class TestArchitectureFromFlags:
    def build(self, data, arch, text, role="primal"):
        task_cfg = tiny.pair_config(data).task
        return Architecture.from_flags(arch, text, role, task_cfg).cfg

    def test_takes_the_values_of_the_flags_and_else_of_the_architecture(self, data):
        cfg = self.build(data, "transformer_iwslt_de_en", "--encoder-layers 2 --dropout 0.35 --share-all-embeddings")
        assert (cfg["encoder_layers"], cfg["dropout"], cfg["share_all_embeddings"]) == (2, 0.35, True)
        assert (cfg["decoder_layers"], cfg["encoder_ffn_embed_dim"]) == (6, 1024)  # those of transformer_iwslt_de_en

    @pytest.mark.parametrize("arch", ["transformer", "lstm"])
    def test_takes_the_limits_of_the_task(self, data, arch):
        cfg = tiny.pair_config(data).task
        cfg.max_source_positions, cfg.max_target_positions = 3000, 60
        task = tasks.setup_task(cfg)
        for direction, wanted in ((tiny.DE_EN, (3000, 60)), (tiny.EN_DE, (60, 3000))):
            part = task.tasks[direction]
            found = Architecture.from_flags(arch, tiny.FLAGS[arch], "primal", part.cfg)
            assert part.build_model(build_config(found.cfg)).max_positions() == wanted

    def test_takes_quoted_values(self, data):
        cfg = self.build(data, "fconv", '--encoder-layers "[(8, 3)] * 2" --dropout 0.2')
        assert cfg["encoder_layers"] == "[(8, 3)] * 2"

    @pytest.mark.parametrize(
        "arch, text, message",
        [
            ("transformer", "--no-such-flag 3", "--dual-args: --no-such-flag is not a flag of the architecture transformer"),
            ("lstm", "--encoder-attention-heads 2", "--encoder-attention-heads is not a flag of the architecture lstm"),
            ("transformer", "--lr 0.1", "--lr is not a flag of the architecture transformer"),
            ("transformer", "--dropout 0.1 --max-tokens 10", "--max-tokens is not a flag of"),
            ("transformer", "--encoder-layer 2", "--encoder-layer is not a flag of"),  # no abbreviations
            ("transformer", "surplus", "surplus is not a flag of"),
            ("transformer", "--encoder-layers two", "--dual-args, for --dual-arch transformer: .*--encoder-layers"),
            ("transformer", "--dropout '0.1", "--dual-args .*quotation"),
            ("no_such_arch", "", "--dual-arch no_such_arch: not the name of an architecture"),
            ("dual_translation", "", "--dual-arch dual_translation: "),
            ("transformer_lm", "", "--dual-arch transformer_lm: .* no encoder-decoder"),
        ],
    )
    def test_refuses_by_name(self, data, arch, text, message):
        with pytest.raises(BadInput, match=message):
            self.build(data, arch, text, role="dual")


class TestArchitectures:
    def ask(self, data, **settings):
        cfg = tiny.pair_config(data)
        task = tasks.setup_task(cfg.task)
        for name, value in settings.items():
            cfg.model[name] = value
        return architectures(cfg.model, {direction: task.tasks[direction].cfg for direction in task.directions})

    @pytest.fixture(scope="class")
    def starts(self, data, tmp_path_factory):
        folder = tmp_path_factory.mktemp("starts")
        directions = (("de", "en", "transformer"), ("en", "de", "lstm"))
        return {
            f"{source}-{target}": tiny.translation_model(data, folder / f"{source}-{target}.pt", arch, source, target)
            for source, target, arch in directions
        }

    @pytest.mark.parametrize("limits", [(None, None), (50, 60)])
    def test_of_an_ordinary_command_are_the_same_for_each_direction(self, data, limits):
        given = ["--max-source-positions", limits[0], "--max-target-positions", limits[1]] if limits[0] else []
        command = ["--task", "dual_translation", "--arch", "transformer", "--criterion", "dsl_cross_entropy"]
        cfg = tiny.configure(data, *command, *tiny.FLAGS["transformer"].split(), *given)
        model = tasks.setup_task(cfg.task).build_model(cfg.model)
        assert [list(cfg.model.pair), list(model.models)] == [["de-en", "en-de"]] * 2
        assert [part.encoder.embed_tokens.embedding_dim for part in model.models.values()] == [8, 8]
        wanted = limits if limits[0] else (1024, 1024)
        assert [part.max_positions() for part in model.models.values()] == [wanted, wanted[::-1]]

    def test_of_checkpoints_are_theirs(self, data, starts):
        found = self.ask(data, primal_checkpoint=starts["de-en"][0], dual_checkpoint=starts["en-de"][0])
        assert [a.cfg.get("_name") or a.cfg["arch"] for a in found.values()] == ["transformer", "lstm"]

    def test_a_pair_starts_with_the_parameters_of_its_checkpoints(self, data, starts):
        cfg = tiny.pair_config(data)
        with open_dict(cfg.model):
            del cfg.model["pair"]
        cfg.model.primal_checkpoint, cfg.model.dual_checkpoint = starts["de-en"][0], starts["en-de"][0]
        model = tasks.setup_task(cfg.task).build_model(cfg.model)
        for key, (_, wanted) in starts.items():
            assert_same_parameters(model.models[key], wanted)
        assert list(cfg.model.pair) == ["de-en", "en-de"]  # what a checkpoint stores

    @pytest.mark.parametrize(
        "settings, message",
        [
            ({"primal_checkpoint": "en-de", "dual_checkpoint": "de-en"}, "translates en-de; .*de-en .*swapped"),
            ({"primal_checkpoint": "de-en"}, "the dual model .en-de. is missing"),
            ({"primal_checkpoint": "de-en", "primal_arch": "lstm"}, "without --primal-arch and --primal-args"),
            ({}, "the primal model .de-en. is missing"),
        ],
    )
    def test_wrong_combinations_are_refused(self, data, starts, settings, message):
        given = {name: starts[value][0] if "checkpoint" in name else value for name, value in settings.items()}
        with pytest.raises(BadInput, match=message):
            self.ask(data, **given)

    def test_a_language_model_is_no_warm_start(self, data, tmp_path):
        path, _ = tiny.language_model(tmp_path, tiny.dictionary(tiny.WORDS["de"]))
        with pytest.raises(BadInput, match=f"--primal-checkpoint {path}: .*expected a translation model"):
            self.ask(data, primal_checkpoint=path)


class TestDualCheckpoint:
    @pytest.fixture(scope="class", params=["two architectures", "one ordinary architecture"])
    def saved(self, request, data, tmp_path_factory):
        command = ["--task", "dual_translation", "--criterion", "dsl_cross_entropy", "--dsl-lambda", 0]
        if request.param == "two architectures":
            command += ["--arch", "dual_translation"]
            for role, arch in (("primal", "transformer"), ("dual", "lstm")):
                command += [f"--{role}-arch", arch, f"--{role}-args={tiny.FLAGS[arch]}"]
        else:
            command += ["--arch", "transformer", *tiny.FLAGS["transformer"].split()]
        cfg = tiny.configure(data, *command)
        task = tasks.setup_task(cfg.task)
        model = task.build_model(cfg.model)
        tiny.spread(model)
        task.build_criterion(cfg.criterion)
        task.load_dataset("train")
        path = tiny.save_checkpoint(tmp_path_factory.mktemp("dual") / "dual.pt", cfg, model)
        return SimpleNamespace(model=model, data=task.dataset("train")), path

    @pytest.mark.parametrize("source, target", [("de", "en"), ("en", "de")])
    def test_is_restored_from_itself_alone_in_either_direction(self, data, saved, source, target):
        made, path = saved
        overrides = {"data": data, "source_lang": source, "target_lang": target}
        (model,), _, task = checkpoint_utils.load_model_ensemble_and_task([path], arg_overrides=overrides)
        assert str(task.directions.active) == model.active == f"{source}-{target}"
        assert list(task.directions) == [tiny.DE_EN, tiny.EN_DE]
        assert_same_parameters(model, made.model)

    @pytest.mark.parametrize("direction", ["de-en", "en-de"])
    def test_exports_a_checkpoint_of_plain_values_that_stock_fairseq_reads(self, data, saved, tmp_path, direction):
        made, path = saved
        out = str(tmp_path / "new" / "out.pt")
        save_plain(Checkpoint(path, "--path").direction(direction), out)
        assert os.listdir(tmp_path / "new") == ["out.pt"]
        assert_plain(torch.load(out))
        if hasattr(torch.serialization, "get_safe_globals"):
            allowed = torch.serialization.get_safe_globals()
            try:
                torch.serialization.clear_safe_globals()
                torch.load(out, weights_only=True)
            finally:
                torch.serialization.add_safe_globals(allowed)
        (model,), cfg, task = checkpoint_utils.load_model_ensemble_and_task([out], arg_overrides={"data": data})
        assert type(task) is tasks.TASK_REGISTRY["translation"]
        assert f"{task.cfg.source_lang}-{task.cfg.target_lang}" == direction
        assert type(model) is type(made.model.models[direction])
        batch = tiny.batch(made.data)
        net_input = (batch if direction == "de-en" else batch["reverse"])["net_input"]
        made.model.eval(), model.eval()
        assert torch.equal(model(**net_input)[0], made.model.models[direction](**net_input)[0])

    def test_an_absent_direction_is_refused(self, saved):
        with pytest.raises(BadInput, match="--path .*dual.pt: expected a checkpoint of de-fr, found de-en and en-de"):
            Checkpoint(saved[1], "--path").direction("de-fr")


def test_a_dual_checkpoint_is_restored_without_the_files_of_its_embeddings(data, tmp_path):
    embeddings = tmp_path / "embeddings.txt"
    embeddings.write_text("1 8\nw0 1 2 3 4 5 6 7 8\n")
    command = ["--task", "dual_translation", "--criterion", "dsl_cross_entropy", "--arch", "lstm"]
    cfg = tiny.configure(data, *command, *tiny.FLAGS["lstm"].split(), "--encoder-embed-path", embeddings)
    made = tasks.setup_task(cfg.task).build_model(cfg.model)
    path = tiny.save_checkpoint(tmp_path / "dual.pt", cfg, made)
    embeddings.unlink()
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([path], arg_overrides={"data": data})
    assert_same_parameters(model, made)


def assert_same_parameters(model, wanted):
    found, wanted = ({name: p for name, p in m.named_parameters() if p.requires_grad} for m in (model, wanted))
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


PLAIN = (bool, int, float, str, type(None))


def assert_plain(value, place="state"):
    """Of exactly the types that any unpickler takes: a subclass of float may be numpy's."""
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) in PLAIN
            assert_plain(item, f"{place}.{key}")
    elif isinstance(value, (list, tuple)):
        for item in value:
            assert_plain(item, f"{place}[]")
    else:
        assert type(value) in PLAIN + (torch.Tensor,), f"{place}: {type(value)}"


class TestPlain:
    Choice = ChoiceEnum(["one", "two"])

    @pytest.mark.parametrize(
        "value, wanted",
        [
            ({"a": [1, (2.5, None)], "b": {"c": "x"}}, {"a": [1, [2.5, None]], "b": {"c": "x"}}),
            (argparse.Namespace(a=1, b=argparse.Namespace(c=True)), {"a": 1, "b": {"c": True}}),
            (OmegaConf.create({"a": 3, "b": "${a}", "c": [1]}), {"a": 3, "b": 3, "c": [1]}),
            ({"kept": 1, "function": print, "tensor": torch.zeros(1), "array": np.zeros(2)}, {"kept": 1}),
            ([1, print, {"a": print}], [1, {}]),
            ({"a": np.float64(0.5), 3: 4}, {"a": 0.5, "3": 4}),
            ({"choice": Choice("two")}, {"choice": "two"}),
            (None, None),
        ],
        ids=str,
    )
    def test_leaves_values_that_any_unpickler_takes(self, value, wanted):
        found = plain(value)
        assert found == wanted
        assert_plain(found)

    @pytest.mark.parametrize("arch, kind", [("transformer", "Namespace"), ("lstm", "Namespace"), ("transformer_lm", "DictConfig")])
    def test_a_plain_configuration_becomes_what_the_architecture_wants(self, arch, kind):
        config = build_config({"_name": arch, "dropout": 0.25})
        assert type(config).__name__ == kind
        assert config.dropout == 0.25
        assert kind != "Namespace" or config.arch == arch

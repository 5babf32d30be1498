"""Building a pair: by flags, from checkpoints, and from a pair's own."""

import pytest
import tiny
from fairseq import checkpoint_utils, tasks
from omegaconf import open_dict


@pytest.mark.parametrize("limits", [(None, None), (50, 60)])
def test_an_ordinary_command_builds_the_same_for_each_direction(data, limits):
    given = ["--max-source-positions", limits[0], "--max-target-positions", limits[1]] if limits[0] else []
    command = ["--task", "dual_translation", "--arch", "transformer", "--criterion", "dsl_cross_entropy"]
    cfg = tiny.configure(data, *command, *tiny.FLAGS["transformer"].split(), *given)
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    assert [list(cfg.model.pair), list(model.models)] == [["de-en", "en-de"]] * 2
    assert [part.encoder.embed_tokens.embedding_dim for part in model.models.values()] == [8, 8]
    wanted = limits if limits[0] else (1024, 1024)
    assert [part.max_positions() for part in model.models.values()] == [wanted, wanted[::-1]]


def test_a_pair_starts_with_the_parameters_of_its_checkpoints(data, starts):
    cfg = tiny.pair_config(data)
    with open_dict(cfg.model):
        del cfg.model["pair"]
    cfg.model.primal_checkpoint, cfg.model.dual_checkpoint = starts["de-en"][0], starts["en-de"][0]
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    for key, (_, wanted) in starts.items():
        tiny.assert_same_parameters(model.models[key], wanted)
    assert list(cfg.model.pair) == ["de-en", "en-de"]  # what a checkpoint stores


@pytest.mark.parametrize("source, target", [("de", "en"), ("en", "de")])
def test_a_pair_is_restored_from_itself_alone_in_either_direction(data, pair_checkpoint, source, target):
    made, path = pair_checkpoint
    overrides = {"data": data, "source_lang": source, "target_lang": target}
    (model,), _, task = checkpoint_utils.load_model_ensemble_and_task([path], arg_overrides=overrides)
    assert str(task.directions.active) == model.active == f"{source}-{target}"
    assert list(task.directions) == [tiny.DE_EN, tiny.EN_DE]
    tiny.assert_same_parameters(model, made.model)


def test_a_pair_is_restored_without_the_files_of_its_embeddings(data, tmp_path):
    embeddings = tmp_path / "embeddings.txt"
    embeddings.write_text("1 8\nw0 1 2 3 4 5 6 7 8\n")
    command = ["--task", "dual_translation", "--criterion", "dsl_cross_entropy", "--arch", "lstm"]
    cfg = tiny.configure(data, *command, *tiny.FLAGS["lstm"].split(), "--encoder-embed-path", embeddings)
    made = tasks.setup_task(cfg.task).build_model(cfg.model)
    path = tiny.save_checkpoint(tmp_path / "dual.pt", cfg, made)
    embeddings.unlink()
    (model,), _, _ = checkpoint_utils.load_model_ensemble_and_task([path], arg_overrides={"data": data})
    tiny.assert_same_parameters(model, made)

"""A run that was interrupted ends as the uninterrupted one, bit for bit."""

import importlib
import os
import random
import shutil
import signal
import time

import pytest
import torch
from commands import differences, dsl_flags, load, processes, train, train_in_process

# The batches are small, so that an epoch has 6 updates of 2 batches.
SCHEDULE = (
    "--max-epoch 3 --batch-size 8 --update-freq 2 --dsl-lambda 0.003 --dsl-start-update 3 --dsl-ramp-updates 10 "
    "--lr-scheduler inverse_sqrt --warmup-updates 4 --label-smoothing 0.1 --per-model-clip-norm 1 --clip-norm 3"
).split()
UPDATES = 18


def end_of(folder):
    """What must be the same: parameters, the optimizer's state, the schedule."""
    state = load(folder / "checkpoint_last.pt")
    schedule = state["optimizer_history"][-1]  # a resumed run adds another to the list
    assert schedule["num_updates"] == UPDATES
    schedule["lr_scheduler_state"].pop("best")  # the loss of the last validation, which one of the tests does without
    kept = {key: state[key] for key in ("model", "last_optimizer_state")}
    return {**kept, "schedule": schedule, "iterator": state["extra_state"]["train_iterator"]}


@pytest.fixture(scope="module")
def uninterrupted(chain, tmp_path_factory):
    """The folder of a run that saved a checkpoint after every fourth update, and its statistics."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    run = train(chain.data, *dsl_flags(chain), *SCHEDULE, "--save-interval-updates", 4, "--save-dir", folder)
    return folder, run


def test_the_schedule_is_on_its_way_when_it_is_interrupted(uninterrupted):
    weights = [float(stats["lambda_de-en"]) for stats in uninterrupted[1].stats["train_inner"]]
    ramp = [min(max((update - 3 + 1) / 10, 0), 1) * 0.003 for update in range(UPDATES)]
    assert weights == pytest.approx(ramp, abs=1e-6)
    assert float(uninterrupted[1].stats["valid"][0]["valid_lambda_de-en"]) == 0.003  # validation has the final one


@pytest.mark.parametrize(
    "stop",
    [("--max-update", 2), ("--max-epoch", 1), ("--max-update", 8), ("--max-epoch", 2), ("--max-update", 17)],
    ids=["in epoch 1", "end of epoch 1", "in epoch 2", "end of epoch 2", "in epoch 3"],
)
def test_stopped_and_resumed(chain, uninterrupted, tmp_path, stop):
    arguments = [chain.data, *dsl_flags(chain), *SCHEDULE, "--save-dir", tmp_path]
    train(*arguments, *stop)
    assert load(tmp_path / "checkpoint_last.pt")["optimizer_history"][-1]["num_updates"] < UPDATES
    train(*arguments)
    assert differences(end_of(tmp_path), end_of(uninterrupted[0])) == []


@pytest.mark.parametrize("checkpoint", ["checkpoint_1_4.pt", "checkpoint_2_8.pt", "checkpoint_3_16.pt"])
def test_resumed_from_a_checkpoint_within_an_epoch(chain, uninterrupted, tmp_path, checkpoint):
    """As after a kill some updates later."""
    shutil.copy(uninterrupted[0] / checkpoint, tmp_path / "checkpoint_last.pt")
    train(chain.data, *dsl_flags(chain), *SCHEDULE, "--save-dir", tmp_path)
    assert differences(end_of(tmp_path), end_of(uninterrupted[0])) == []


def test_resumes_without_its_warm_starts(chain, uninterrupted, tmp_path):
    """A dual checkpoint is all that there is of the models: others in the warm starts' places change nothing."""
    shutil.copy(uninterrupted[0] / "checkpoint_1_4.pt", tmp_path / "checkpoint_last.pt")
    flags = dsl_flags(chain)
    for name in ("--primal-checkpoint", "--dual-checkpoint"):
        flags[flags.index(name) + 1] = uninterrupted[0] / "checkpoint_3_16.pt"
    train(chain.data, *flags, *SCHEDULE, "--save-dir", tmp_path)
    assert differences(end_of(tmp_path), end_of(uninterrupted[0])) == []


def test_each_model_resumes_its_own_state_where_languages_are_exchanged(chain, uninterrupted, tmp_path, monkeypatch):
    """``-s en -t de`` resumes a de-en pair: the optimizer's state is in the checkpoint's order."""
    trainers, module = [], importlib.import_module("fairseq_cli.train")
    build = module.Trainer
    monkeypatch.setattr(
        module, "Trainer", lambda *args, **keywords: trainers.append(build(*args, **keywords)) or trainers[-1]
    )
    shutil.copy(uninterrupted[0] / "checkpoint_1_4.pt", tmp_path / "checkpoint_last.pt")
    flags = dsl_flags(chain)
    for one, other in (("-s", "-t"), ("--primal-checkpoint", "--dual-checkpoint"), ("--source-lm", "--target-lm")):
        i, j = flags.index(one) + 1, flags.index(other) + 1
        flags[i], flags[j] = flags[j], flags[i]
    stop_at_once = ("--stop-min-lr", 1)
    train(chain.data, *flags, *SCHEDULE, *stop_at_once, "--save-dir", tmp_path)
    (trainer,) = trainers
    saved = load(uninterrupted[0] / "checkpoint_1_4.pt")
    parameters = dict(trainer.get_model().named_parameters())
    names = [name for name in saved["model"] if name in parameters]
    stored = {name: saved["last_optimizer_state"]["state"][i]["exp_avg"] for i, name in enumerate(names)}
    state = trainer.optimizer.optimizer.state
    resumed = {name: state[p]["exp_avg"] for name, p in parameters.items()}
    assert resumed.keys() == stored.keys()
    assert not [name for name in resumed if not torch.equal(resumed[name], stored[name])]
    assert trainer.get_model().active == "en-de"
    train(chain.data, *flags, *SCHEDULE, "--max-epoch", 2, "--save-dir", tmp_path)
    assert [name for name in load(tmp_path / "checkpoint_last.pt")["model"] if name in parameters] == names


def test_killed_at_random_moments(chain, uninterrupted, tmp_path):
    """With checkpoints after every update, most kills hit while one is written; what is read next is whole."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    draw = random.Random(seed)
    last = tmp_path / "run" / "checkpoint_last.pt"
    arguments = [chain.data, *dsl_flags(chain), *SCHEDULE, "--save-interval-updates", 1, "--keep-interval-updates", 1]
    arguments += ["--disable-validation", "--save-dir", last.parent]
    updates = 0
    for kill in range(4):
        before = last.stat().st_mtime_ns if last.exists() else None
        process = processes().Process(target=train_in_process, args=(tmp_path / "log", arguments))
        process.start()
        deadline = time.time() + 120
        while process.is_alive() and time.time() < deadline:
            if last.exists() and last.stat().st_mtime_ns != before:
                time.sleep(draw.uniform(0, 0.3))
                break
            time.sleep(0.002)
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        after = load(last)["optimizer_history"][-1]["num_updates"]
        print(f"killed after update {after}")
        assert after > updates, (tmp_path / "log").read_text()
        assert kill > 0 or after < UPDATES, "the first run was not interrupted"
        updates = after
        if updates == UPDATES:
            break  # a quick machine: nothing is left to be killed
    train(*arguments)
    assert differences(end_of(last.parent), end_of(uninterrupted[0])) == []

"""What the methods share that learn from samples: what is constant, and random numbers."""

import json

import pytest
import tiny
import torch
from drawn import SETTINGS
from toys import METHODS, SENTENCES, WITH_PROPOSALS, learns_by, sample_of

from fairseq_dsl.terms import sampled


@pytest.mark.parametrize("method", METHODS)
def test_what_is_constant_gets_no_gradient_and_is_saved_nowhere(toy_pair, method, tmp_path):
    """The language models, and the frozen pair that samples are drawn from."""
    made = toy_pair()
    settings = dict(SETTINGS[method])
    path = tiny.save_checkpoint(tmp_path / "pair.pt", made.cfg, made.model)
    if method in WITH_PROPOSALS:
        settings["proposal_checkpoint"] = path
    names = [name for name in made.model.state_dict() if not name.startswith("critics.")]
    criterion = learns_by(made, method, **settings)
    loss = criterion(made.model, sample_of(made, de=SENTENCES["de"], en=SENTENCES["en"]))[0]
    assert tiny.gradients(made.model, loss)
    constants = [made.task.stage.marginals[language].model for language in ("de", "en")]
    constants += getattr(criterion.terms[-1], "_frozen", {}).values()
    assert len(constants) == (4 if "proposal_checkpoint" in settings else 2)
    for model in constants:
        assert not model.training
        assert all(p.grad is None and not p.requires_grad for p in model.parameters())
    assert list(criterion.parameters()) == list(criterion.buffers()) == list(criterion.children()) == []
    assert criterion.state_dict() == {}
    assert [name for name in made.model.state_dict() if not name.startswith("critics.")] == names
    trained = {id(p) for p in made.model.parameters()}
    assert not any(id(p) in trained for model in constants for p in model.parameters())


@pytest.mark.parametrize("method", METHODS)
def test_workers_draw_their_own_samples_and_drop_out_alike(toy_pair, method, monkeypatch, tmp_path):
    made = toy_pair()
    drawn, after = {}, {}
    for rank in range(4):
        monkeypatch.setattr(sampled, "data_parallel_workers", lambda rank=rank: (4, rank))
        criterion = learns_by(
            made, method, **{**SETTINGS[method], "num_samples": 8}, save_samples=str(tmp_path / method)
        )
        sample = sample_of(made, de=SENTENCES["de"], en=SENTENCES["en"])
        torch.manual_seed(3)
        criterion(made.model, sample)
        after[rank] = torch.rand(3).tolist()
        lines = (tmp_path / method / f"samples.{rank}.jsonl").read_text().splitlines()
        drawn[rank] = str([json.loads(line)["samples"] for line in lines])
    assert len(set(drawn.values())) == 4
    assert after[0] == after[1] == after[2] == after[3]


@pytest.mark.parametrize("method", METHODS)
def test_dropout_goes_on_alike_however_much_is_sampled(toy_pair, method):
    made, found = toy_pair(), []
    for count in (2, 9):
        criterion = learns_by(made, method, **{**SETTINGS[method], "num_samples": count})
        torch.manual_seed(3)
        criterion(made.model, sample_of(made, de=SENTENCES["de"], en=SENTENCES["en"]))
        found.append(torch.rand(3).tolist())
    assert found[0] == found[1]

"""The pair of models: each answers as it would alone."""

import pytest
import tiny
import torch
from fairseq import tasks

from fairseq_dsl.errors import BadInput
from fairseq_dsl.models.critic import Critic


def test_a_pair_of_two_architectures_answers_as_each_model_does(data):
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
def test_a_pair_takes_what_both_directions_take(data, direction):
    made = tiny.pair(data)
    made.model.models["de-en"].max_positions = lambda: (10, 70)
    made.model.models["en-de"].max_positions = lambda: (50, 30)
    made.model.active = direction
    assert made.model.max_positions() == ((10, 50) if direction == "de-en" else (50, 10))


def test_a_pair_keeps_the_translated_direction_alone_at_inference(data):
    made = tiny.pair(data, "transformer", "lstm")
    made.model.models["de-en"].max_positions = lambda: (10, 70)
    made.model.prepare_for_inference_(made.cfg)
    assert list(made.model.models) == ["de-en"]
    assert made.model.max_positions() == (10, 70)


def test_a_pair_tells_both_models_the_number_of_updates(data):
    made = tiny.pair(data)
    seen = []
    for key, model in made.model.models.items():
        model.set_num_updates = lambda updates, key=key: seen.append((key, updates))
    made.model.set_num_updates(12)
    assert seen == [("de-en", 12), ("en-de", 12)] and made.model.num_updates == 12


def test_a_pair_takes_the_order_of_a_checkpoint(data):
    """Which its optimizer state has, where ``-s`` and ``-t`` are exchanged on resuming."""
    saved = tasks.setup_task(tiny.pair_config(data).task).build_model(tiny.pair_config(data).model)
    cfg = tiny.pair_config(data, source="en", target="de")
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    assert list(model.models) == ["en-de", "de-en"]
    model.load_state_dict(saved.state_dict())
    assert [name for name, _ in model.named_parameters()] == [name for name, _ in saved.named_parameters()]
    tiny.assert_same_parameters(model, saved)
    assert model.active == "en-de"


def test_a_pair_has_no_parameter_in_common(data):
    model = tiny.pair(data).model
    first, second = ({id(p) for p in part.parameters()} for part in model.models.values())
    assert first and second and not first & second


def test_every_trained_parameter_gets_a_gradient(data):
    """Else data-parallel training stops: "Expected to have finished reduction in the prior iteration"."""
    for architecture in ("transformer", "lstm"):
        made = tiny.pair(data, architecture)
        loss = tiny.criterion(made)(made.model, tiny.batch(made.data))[0]
        trained = {name for name, p in made.model.named_parameters() if p.requires_grad}
        assert set(tiny.gradients(made.model, loss)) == trained


class TestCritics:
    """Parts of a pair while it is trained, and of its state."""

    @staticmethod
    def pair(data, *languages, dim=4):
        made = tiny.pair(data).model
        for seed, language in enumerate(languages):
            torch.manual_seed(seed)
            made.critics[language] = Critic(9, 1, dim, 0.0)
        return made

    def test_answer_beside_the_models(self, data):
        pair = self.pair(data, "de", "en")
        batch, texts = tiny.batch(tiny.pair(data).data), {"en": torch.tensor([[4, 5, 2], [6, 2, 1]])}
        inputs = {"de-en": [batch["net_input"]]}
        pair.eval()
        found = pair(inputs, texts)
        assert torch.equal(found["de-en"][0][0], pair(inputs)["de-en"][0][0])
        assert found["critics"].keys() == {"en"}
        assert torch.equal(found["critics"]["en"], pair.critics["en"](texts["en"]))

    def test_come_after_the_models_in_the_optimizer_s_order_also_where_models_are_exchanged(self, data):
        saved = self.pair(data, "de", "en")
        cfg = tiny.pair_config(data, source="en", target="de")
        model = tasks.setup_task(cfg.task).build_model(cfg.model)
        model.critics.update(self.pair(data, "de", "en").critics)
        model.load_state_dict(saved.state_dict())
        names = [name for name, _ in saved.named_parameters()]
        assert names == [name for name, _ in model.named_parameters()]
        assert [name.split(".")[0] for name in names] == sorted((n.split(".")[0] for n in names), reverse=True)
        assert list(saved.parts) == ["de-en", "en-de", "critic_de", "critic_en"]
        tiny.assert_same_parameters(model, saved)

    def test_are_left_out_where_nothing_asks_for_them(self, data, caplog):
        caplog.set_level("INFO")
        with_critics, without = self.pair(data, "de", "en"), self.pair(data)
        without.load_state_dict(with_critics.state_dict())
        assert "the checkpoint's critics are left out" in caplog.text
        tiny.assert_same_parameters(without.models, with_critics.models)

    def test_begin_untrained_where_the_checkpoint_has_none(self, data, caplog):
        caplog.set_level("INFO")
        with_critics, without = self.pair(data, "de", "en"), self.pair(data)
        tiny.spread(without)
        critics = {name: p.clone() for name, p in with_critics.critics.named_parameters()}
        with_critics.load_state_dict(without.state_dict())
        assert "the checkpoint has no critics: they begin untrained" in caplog.text
        assert all(torch.equal(p, critics[name]) for name, p in with_critics.critics.named_parameters())
        tiny.assert_same_parameters(with_critics.models, without.models)

    def test_of_another_size_are_refused(self, data):
        with pytest.raises(BadInput, match="critics are of another size; give the --critic-dim"):
            self.pair(data, "de", dim=5).load_state_dict(self.pair(data, "de").state_dict())

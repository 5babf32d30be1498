"""fairseq's language models as marginals: their scores, against fairseq-eval-lm, and what they refuse."""

import math
import os

import numpy as np
import pytest
import tiny
import torch
from fairseq.tasks.language_modeling import LanguageModelingTask
from fairseq_cli.eval_lm import eval_lm

from fairseq_dsl.errors import BadInput
from fairseq_dsl.marginals import NeuralMarginal

CPU = torch.device("cpu")
GERMAN, ENGLISH = (tiny.dictionary(tiny.WORDS[language]) for language in ("de", "en"))
SENTENCES = [source for source, _ in tiny.PAIRS]


def load(path, symbols=GERMAN):
    marginal = NeuralMarginal(path, "--source-lm", "de", symbols, CPU)
    assert marginal.model  # refused here, if at all
    return marginal


class TestScores:
    @pytest.fixture(
        scope="class",
        params=[
            ("transformer_lm", ()),
            ("lstm_lm", ()),
            ("transformer_lm", ("--criterion", "adaptive_loss", "--adaptive-softmax-cutoff", "5,9")),
            ("lstm_lm", ("--criterion", "adaptive_loss", "--adaptive-softmax-cutoff", "5,9")),
            ("transformer_lm", ("--share-decoder-input-output-embed", "--decoder-learned-pos")),
        ],
        ids=["transformer", "lstm", "adaptive transformer", "adaptive lstm", "shared embeddings, learned positions"],
    )
    def scored(self, request, tmp_path_factory):
        """An architecture's checkpoint, and the same model in fairseq's own task."""
        arch, flags = request.param
        folder = str(tmp_path_factory.mktemp("lm"))
        path, model = tiny.language_model(folder, GERMAN, arch, flags, SENTENCES)
        cfg = tiny.configure(
            folder, "--task", "language_modeling", "--arch", "transformer_lm", "--sample-break-mode", "eos"
        )
        task = LanguageModelingTask.setup_task(cfg.task)
        task.load_dataset("train")
        return load(path), model.eval(), task

    def test_equal_fairseq_eval_lm_for_each_sentence(self, scored):
        model, stock, task = scored
        data = task.dataset("train")
        assert len(data) == len(SENTENCES)
        scores = model.score([tiny.encode(sentence, GERMAN) for sentence in SENTENCES])
        assert scores.dtype == np.float64
        for i, sentence in enumerate(SENTENCES):
            bits = eval_lm([stock], GERMAN, [data.collater([data[i]])], target_dictionary=GERMAN)["loss"]
            assert -scores[i] / (len(sentence) + 1) == pytest.approx(float(bits) * math.log(2), abs=1e-4)

    def test_do_not_depend_on_batch_mates(self, scored):
        model = scored[0]
        encoded = [tiny.encode(sentence, GERMAN) for sentence in SENTENCES]
        tokens = np.array([len(sentence) for sentence in encoded])
        alone = np.concatenate([model.score([sentence]) for sentence in encoded]) / tokens
        np.testing.assert_allclose(model.score(encoded) / tokens, alone, atol=1e-4)
        np.testing.assert_allclose(model.score(encoded[::-1])[::-1] / tokens, alone, atol=1e-4)

    def test_are_of_a_distribution(self, scored):
        """All sentences of no or one word, and what goes on: their probabilities add up to at most 1."""
        model = scored[0]
        short = [torch.tensor([2])] + [
            torch.tensor([word, 2]) for word in range(len(GERMAN)) if word not in (GERMAN.pad(), 2)
        ]
        total = np.exp(model.score(short)).sum()
        assert 0 < total < 1


def test_a_model_of_not_a_number_is_refused_as_such(tmp_path):
    path, _ = tiny.language_model(tmp_path, GERMAN)
    model = load(path)
    model.model.decoder.embed_tokens.weight.fill_(math.nan)
    with pytest.raises(BadInput, match="--source-lm .*lm.pt: gives a sentence log P = nan"):
        model.score([tiny.encode(SENTENCES[0], GERMAN)])


def test_the_model_is_frozen(tmp_path):
    path, _ = tiny.language_model(tmp_path, GERMAN, flags=["--dropout", "0.5"])
    model = load(path)
    assert not model.model.training and not any(p.requires_grad for p in model.model.parameters())
    sentences = [tiny.encode(SENTENCES[0], GERMAN)]
    assert model.score(sentences) == model.score(sentences)
    assert model.max_length == 16


class TestRefusals:
    @pytest.mark.parametrize(
        "changed, message",
        [
            ({"sample_break_mode": "none"}, "--sample-break-mode none.*--sample-break-mode eos"),
            ({"sample_break_mode": "complete"}, "--sample-break-mode complete"),
            ({"add_bos_token": True}, "--add-bos-token"),
            ({"self_target": True}, "--self-target"),
            ({"past_target": True}, "--past-target"),
            ({"output_dictionary_size": 12}, "--output-dictionary-size 12"),
        ],
    )
    def test_a_model_of_something_else_is_refused_by_its_flag(self, tmp_path, changed, message):
        path, _ = tiny.language_model(tmp_path, GERMAN, changed=changed)
        with pytest.raises(BadInput, match=f"^--source-lm {path}: .*{message}"):
            load(path)

    def test_a_translation_model_is_refused(self, data, tmp_path):
        path, _ = tiny.translation_model(data, tmp_path / "model.pt")
        with pytest.raises(
            BadInput, match=f"--source-lm {path}: expected a language model .*, found a model of the task translation"
        ):
            load(path)

    def test_a_missing_file_is_refused(self, tmp_path):
        with pytest.raises(BadInput, match="--source-lm .*nowhere.pt: no such file"):
            load(str(tmp_path / "nowhere.pt"))

    @pytest.mark.parametrize("forget_dictionary", [False, True])
    def test_a_vocabulary_of_another_size_is_refused(self, tmp_path, forget_dictionary):
        path, _ = tiny.language_model(tmp_path, ENGLISH, sentences=[["v0"]])
        if forget_dictionary:
            os.remove(tmp_path / "dict.txt")
        with pytest.raises(BadInput, match=f"de dictionary, {len(GERMAN)} symbols, found a model with {len(ENGLISH)};"):
            load(path)

    def test_a_vocabulary_in_another_order_is_refused_by_a_symbol(self, tmp_path):
        other = tiny.dictionary([])
        for word in GERMAN.symbols[4:7] + GERMAN.symbols[4:][:2:-1]:
            other.add_symbol(word)
        assert sorted(other.symbols) == sorted(GERMAN.symbols)
        path, _ = tiny.language_model(tmp_path, other)
        with pytest.raises(BadInput, match=f"symbol 7 is {other[7]!r} there and {GERMAN[7]!r} in the de dictionary"):
            load(path)

    def test_a_longer_vocabulary_of_an_adaptive_model_is_refused(self, tmp_path):
        """Its embeddings may not tell their number of rows."""
        longer = tiny.dictionary(tiny.WORDS["de"])
        longer.add_symbol("more")
        path, _ = tiny.language_model(tmp_path, longer)
        state = torch.load(path)
        state["model"]["decoder.embedding.weight"] = state["model"].pop("decoder.embed_tokens.weight")
        torch.save(state, path)
        with pytest.raises(BadInput, match=f"symbol {len(GERMAN)} is 'more' there and None"):
            load(path)

    def test_parameters_of_another_architecture_are_refused(self, tmp_path):
        path, _ = tiny.language_model(tmp_path, GERMAN)
        state = torch.load(path)
        del state["model"]["decoder.layers.0.fc1.weight"]
        torch.save(state, path)
        with pytest.raises(BadInput, match=f"--source-lm {path}: its parameters do not fit its architecture"):
            load(path)

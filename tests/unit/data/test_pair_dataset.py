"""Batches of pairs: each direction's is an ordinary translation batch, and the rows belong together."""

import numpy as np
import pytest
import tiny
import torch
from fairseq.data import LanguagePairDataset

from fairseq_dsl.data import PairDataset

DICTIONARIES = [tiny.dictionary(tiny.WORDS[language]) for language in ("de", "en")]
PAD = DICTIONARIES[0].pad()


def language_pairs(pairs=tiny.PAIRS, mirrored=False, **settings):
    sides = [[tiny.encode(sentence, symbols) for sentence in side] for side, symbols in zip(zip(*pairs), DICTIONARIES)]
    (src, src_dict), (tgt, tgt_dict) = list(zip(sides, DICTIONARIES))[:: -1 if mirrored else 1]
    sizes = [np.array([len(sentence) for sentence in side]) for side in (src, tgt)]
    return LanguagePairDataset(src, sizes[0], src_dict, tgt, sizes[1], tgt_dict, **settings)


def pair_data(pairs=tiny.PAIRS, **settings):
    return PairDataset(language_pairs(pairs, **settings), tiny.DE_EN)


def flat(batch):
    return {
        **{k: v for k, v in batch.items() if k not in ("net_input", "reverse", "log_marginal")},
        **batch["net_input"],
    }


def assert_same(batch, wanted):
    batch, wanted = flat(batch), flat(wanted)
    assert batch.keys() == wanted.keys()
    for key, value in wanted.items():
        assert torch.equal(batch[key], value) if torch.is_tensor(value) else batch[key] == value, key


@pytest.mark.parametrize("settings", [{}, {"pad_to_multiple": 4}, {"left_pad_source": False, "left_pad_target": True}])
@pytest.mark.parametrize("rows", [[0], [3, 1], list(range(len(tiny.PAIRS)))])
def test_both_batches_equal_those_of_ordinary_datasets(rows, settings):
    batch = tiny.batch(pair_data(**settings), rows)
    assert_same(batch, tiny.batch(language_pairs(**settings), rows))
    assert_same(batch["reverse"], tiny.batch(language_pairs(mirrored=True, **settings), rows))


def test_a_common_length_is_that_of_each_side():
    batch = pair_data().collater([pair_data()[0], pair_data()[1]], pad_to_length={"source": 20, "target": 30})
    assert [batch["net_input"]["src_tokens"].size(1), batch["target"].size(1)] == [20, 30]
    assert [batch["reverse"]["net_input"]["src_tokens"].size(1), batch["reverse"]["target"].size(1)] == [30, 20]


def test_rows_belong_together_by_id_where_the_sides_sort_differently():
    made = tiny.batch(pair_data())
    assert not torch.equal(made["id"], made["reverse"]["id"])
    for batch, own, other in ((made, 0, 1), (made["reverse"], 1, 0)):
        for row, number in enumerate(batch["id"].tolist()):
            source, target = batch["net_input"]["src_tokens"][row], batch["target"][row]
            assert torch.equal(source[source != PAD], tiny.encode(tiny.PAIRS[number][own], DICTIONARIES[own]))
            assert torch.equal(target[target != PAD], tiny.encode(tiny.PAIRS[number][other], DICTIONARIES[other]))
        lengths = batch["net_input"]["src_lengths"]
        assert torch.equal(lengths, lengths.sort(descending=True)[0])  # what fairseq's LSTM needs


def test_padding_is_left_of_sources_and_right_of_targets():
    made = tiny.batch(pair_data())
    for batch in (made, made["reverse"]):
        source, target = batch["net_input"]["src_tokens"], batch["target"]
        assert (source == PAD).any() and (target == PAD).any()
        assert (source[:, -1] != PAD).all()
        assert (target[:, 0] != PAD).all()


def test_log_marginal_goes_with_its_sentence_and_keeps_its_precision():
    data = pair_data()
    size = len(data)
    data.log_marginals = {"de": -100 - np.arange(size) / 3, "en": -200 - np.arange(size) / 3}
    made = tiny.batch(data, [7, 2, 11, 5, 0])
    assert not torch.equal(made["id"], made["reverse"]["id"])
    for batch, first in ((made, -200), (made["reverse"], -100)):  # each of its target language
        assert batch["log_marginal"].dtype == torch.float64
        assert batch["log_marginal"].tolist() == [first - number / 3 for number in batch["id"].tolist()]


def test_there_is_no_log_marginal_without_language_models():
    batch = tiny.batch(pair_data())
    assert "log_marginal" not in batch and "log_marginal" not in batch["reverse"]


def test_a_batch_without_targets_has_no_mirror():
    sources = LanguagePairDataset([torch.tensor([5, 2])], np.array([2]), DICTIONARIES[0], None, None, DICTIONARIES[1])
    assert "reverse" not in tiny.batch(PairDataset(sources, tiny.DE_EN))
    assert pair_data().collater([]) == {}


@pytest.mark.parametrize(
    "max_tokens, max_sentences, multiple", [(20, None, 8), (None, 4, 8), (30, 3, 2), (25, None, 1), (None, 8, 8)]
)
def test_every_pair_is_in_one_batch(max_tokens, max_sentences, multiple):
    for size in range(1, 14):
        data = pair_data(tiny.PAIRS[:size])
        indices = data.ordered_indices()
        batches = data.batch_by_size(
            indices, max_tokens=max_tokens, max_sentences=max_sentences, required_batch_size_multiple=multiple
        )
        assert np.concatenate(batches).tolist() == indices.tolist()
        for rows in batches:
            assert max_sentences is None or len(rows) <= max_sentences
            assert max_tokens is None or len(rows) * data.num_tokens_vec(rows).max() <= max_tokens


def test_empty_pairs_have_an_empty_side():
    data = pair_data([([], []), (["w1"], []), ([], ["v1"]), (["w1"], ["v1"]), (["w1", "w2"], ["v1"])])
    assert data.empty_pairs(np.arange(5)).tolist() == [True, True, True, False, False]
    assert data.empty_pairs(np.array([4, 0])).tolist() == [False, True]


def test_usable_pairs_are_neither_empty_nor_too_long():
    data = pair_data([([], ["v1"]), (["w1"], ["v1"]), (["w1"] * 3, ["v1"]), (["w1"], ["v1"] * 4), (["w1"], [])])
    assert data.usable((3, 4)).tolist() == [1]
    assert data.usable((4, 5)).tolist() == [1, 2, 3]
    assert data.usable((4, 4), np.array([4, 2, 3, 1])).tolist() == [2, 1]


@pytest.mark.parametrize("usable", [40, 3])
def test_random_batches_are_of_the_first_usable_pairs_of_a_random_order(usable):
    """Be there many, or so few that all are looked at."""
    data = pair_data([(["w1"] * (1 + (i >= usable)), ["v1"]) for i in range(300)])
    order = np.random.RandomState(0).permutation(300)
    wanted = order[order < usable][:2].tolist()
    assert sorted(wanted) == sorted(row for batch in data.random_batches(2, (2, 2)) for row in batch["id"].tolist())


class TestOrder:
    def orders(self, *settings):
        """The order under (state of the global generator, seed of the data set)."""
        found = []
        for state, order_seed in settings:
            data = pair_data(tiny.random_pairs(60))
            data.order_seed = order_seed
            np.random.seed(state)
            found.append(data.ordered_indices().tolist())
        return found

    def test_depends_on_its_own_seed_alone(self):
        first, other_state, other_seed = self.orders((1, 4), (2, 4), (1, 5))
        assert first == other_state
        assert first != other_seed

    def test_leaves_the_global_generator_alone(self):
        np.random.seed(9)
        wanted = np.random.rand()
        np.random.seed(9)
        pair_data().ordered_indices()
        assert np.random.rand() == wanted

    def test_is_that_of_an_ordinary_dataset_under_the_same_seed(self):
        np.random.seed(4)
        wanted = language_pairs(tiny.random_pairs(60)).ordered_indices().tolist()
        assert self.orders((0, 4)) == [wanted]

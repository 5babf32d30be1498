"""The sides of a benchmark's ratios."""

from types import SimpleNamespace

import torch

from fairseq_dsl_cli.benchmarks.bench import Bench, train


def test_synthetic_pairs_train_the_direction_that_did_not_sample_them():
    def batch(*rows):
        return {"net_input": {"src_tokens": torch.tensor(rows)}}

    def sampling(first):
        return lambda batch: [[{"tokens": torch.tensor([first, 2])}] for _ in batch["net_input"]["src_tokens"]]

    args = SimpleNamespace(cpu=True, fp16=False, source_lang="de", target_lang="en", max_tokens=9)
    task = SimpleNamespace(target_dictionary=SimpleNamespace(pad=lambda: 1))
    common = SimpleNamespace(seed=1)
    trainer = SimpleNamespace(cfg=SimpleNamespace(common=common), get_num_updates=lambda: 0, task=task)
    sentences = {"primal": batch([1, 10, 2], [11, 12, 2]), "reverse": batch([20, 21, 2])}
    found = Bench(args, "").synthetic_pairs({"primal": sampling(30), "reverse": sampling(40)}, sentences, trainer)
    pairs = {name: [(pair["source"].tolist(), pair["target"].tolist()) for pair in found[name]] for name in found}
    assert pairs == {"reverse": [([30, 2], [10, 2]), ([30, 2], [11, 12, 2])], "primal": [([40, 2], [20, 21, 2])]}


def test_an_update_takes_the_synthetic_pairs_as_a_second_batch():
    updates = []

    class Dataset(list):
        collater = staticmethod(list)

    task = SimpleNamespace(dataset=lambda name: Dataset("abcd"))
    trainer = SimpleNamespace(task=task, train_step=updates.append)
    train(trainer, [[0, 2], [3]], ["x"])
    train(trainer, [[1]])
    assert updates == [[["a", "c"], ["x"]], [["d"], ["x"]], [["b"]]]

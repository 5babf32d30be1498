"""The data of which `fairseq-dsl benchmark --parts scale` measures starts."""

import numpy as np
import tiny
from fairseq import tasks

from fairseq_dsl_cli.benchmark import scale_table
from fairseq_dsl_cli.benchmarks.scale import grow


def splits(folder):
    return tasks.setup_task(tiny.pair_config(folder).task).splits


def test_a_folder_grows_by_the_chosen_pairs(data, tmp_path):
    chosen = np.array([3, 0, 3, 12])
    tokens = grow(splits(data), tmp_path / "grown", chosen)
    pairs, grown = (splits(folder).read_pairs("train", 0, True) for folder in (data, tmp_path / "grown"))
    assert len(grown) == 4 and tokens == grown.src_sizes.sum() + grown.tgt_sizes.sum()
    for number, pair in zip(chosen, (grown[i] for i in range(4))):
        for side in ("source", "target"):
            assert pair[side].tolist() == pairs[number][side].tolist()


def test_the_time_of_scoring_is_what_a_cold_start_takes_longer():
    warm, stock, cold = ({"seconds": seconds, "bytes": size << 20} for seconds, size in ((2, 500), (1, 400), (5, 550)))
    rows = [{"pairs": 1500, "warm": warm, "stock": stock, "cold": cold}, {"pairs": 3000, "warm": warm, "stock": stock}]
    lines = scale_table(rows).splitlines()[1:]
    assert [line.split() for line in lines] == [
        "1,500 2.00 s 500 MiB 1.00 s 400 MiB 2.00 ms 550 MiB".split(),
        "3,000 2.00 s 500 MiB 1.00 s 400 MiB".split(),
    ]

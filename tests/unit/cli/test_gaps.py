"""The duality gaps of sentence pairs, as a run prints them."""

from fairseq_dsl_cli.evaluation import gaps


def test_of_an_evaluation_ascend():
    assert gaps.read(["G-1\t2.0000", "H-1\t0\tG", "G-0\t-3.1415"]) == [-3.14, 2.0]
    assert gaps.read(["2024 | INFO | test | {}", "G-0\tnan", "G-1\t-inf"]) == []  # of no language models, or diverged


def test_of_a_large_test_set_are_quantiles():
    found = gaps.read([f"G-{number}\t{number}" for number in range(4991)])
    assert found == [float(10 * number) for number in range(gaps.MOST)]

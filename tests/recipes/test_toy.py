"""The generated corpus: numbers, seeds, and sentences that occur once."""

import pytest
from recipes import toy

from fairseq_dsl_cli.preparing import text


@pytest.mark.parametrize("number, german, english", [
    (2, "zwei", "two"),
    (16, "sechzehn", "sixteen"),
    (20, "zwanzig", "twenty"),
    (31, "einunddreißig", "thirty-one"),
    (101, "einhunderteins", "one hundred and one"),
    (342, "dreihundertzweiundvierzig", "three hundred and forty-two"),
    (900, "neunhundert", "nine hundred"),
])  # fmt: skip
def test_numbers_are_spelled(number, german, english):
    assert (toy.german_number(number), toy.english_number(number)) == (german, english)


def test_toy_corpus_depends_on_its_seed_and_repeats_no_sentence():
    splits = toy.generate(seed=3)
    assert splits == toy.generate(seed=3) != toy.generate(seed=4)
    assert {split: len(pairs) for split, pairs in splits.items()} == {"train": 4000, "valid": 200, "test": 200}
    for side in (0, 1):
        sentences = [pair[side] for pairs in splits.values() for pair in pairs]
        assert len(set(sentences)) == len(sentences)
        assert all(text.clean(sentence) == sentence for sentence in sentences)

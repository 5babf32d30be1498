"""Held-out text has no sentence in common with training text."""

from fairseq_dsl_cli.preparing.splits import hold_out


def test_hold_out_keeps_sentences_apart():
    # Sentences are used again in other pairs and in another case, as in real text.
    pairs = [(f"Quelle {n % 70}", f"{'target' if n % 2 else 'TARGET'} {n % 90}") for n in range(600)]
    splits = hold_out(pairs, 10, key=str.casefold)
    assert [len(splits[split]) for split in ("valid", "test")] == [10, 10] and splits["train"]
    for one, other in (("train", "valid"), ("train", "test"), ("valid", "test")):
        for side in (0, 1):
            assert not {pair[side].casefold() for pair in splits[one]} & {
                pair[side].casefold() for pair in splits[other]
            }
    # Every pair a new object, in another order: only its text may matter.
    again = hold_out([tuple("\t".join(pair).split("\t")) for pair in reversed(pairs)], 10, key=str.casefold)
    assert again["test"] == splits["test"] and again["valid"] == splits["valid"]

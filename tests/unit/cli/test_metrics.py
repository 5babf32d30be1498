"""What sacrebleu says of a text."""

import logging

from fairseq_dsl_cli.metrics import BLEU


def test_a_warning_is_said_once(caplog):
    tokenized = ["a b c d ."] * 100
    for _ in range(3):
        BLEU().corpus_score(tokenized, [tokenized])
    said = [record.getMessage() for record in caplog.records if record.name == "sacrebleu"]
    assert len(said) == len(set(said)) and any("tokenized period" in line for line in said)
    logging.getLogger("sacrebleu").warning("another")
    assert caplog.records[-1].getMessage() == "another"

"""Warnings of critics from which nothing is learned."""

import re

import pytest

from fairseq_dsl.terms.critic_watch import BATCHES, CriticWatch


def warnings(caplog, *accuracies):
    """What is said while a critic has each accuracy for as many batches as are judged together."""
    watch = CriticWatch()
    caplog.clear()
    for accuracy in accuracies:
        for batch in range(BATCHES):
            watch.see("de", accuracy + (-0.02, 0.02)[batch % 2])
            watch.see("en", 0.8)
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("accuracy, message", [
    (0.97, "the critic of de tells 97% of real and sampled sentences apart: .*--critic-every"),
    (0.53, "the critic of de tells 53% of real and sampled sentences apart: .*--critic-dim"),
])  # fmt: skip
def test_beyond_a_bound_there_is_one_until_it_changes(caplog, accuracy, message):
    found = warnings(caplog, accuracy, accuracy, 0.8, accuracy)
    assert len(found) == 2 and found[0] == found[1]
    assert re.fullmatch(message + ".*", found[0])


def test_between_the_bounds_there_is_none(caplog):
    assert warnings(caplog, 0.56, 0.75, 0.94) == []

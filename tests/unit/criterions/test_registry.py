"""The methods by their names."""

from toys import METHODS, ROUND_TRIPS

from fairseq_dsl.criterions import registry


def test_round_trips_read_monolingual_text_and_others_do_not():
    assert set(METHODS) < set(registry.METHODS)
    for method in METHODS:
        assert registry.METHODS[method].reads_monolingual == (method in ROUND_TRIPS)

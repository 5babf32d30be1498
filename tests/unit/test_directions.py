"""The two directions of a pair."""

import pytest
import tiny

from fairseq_dsl.directions import Direction, Directions, OnlyDirection


@pytest.mark.parametrize(
    "direction, reverse, wanted",
    [
        ("de-en", "en-de", ("de", "en")),
        ("zh-cn-en", "en-zh-cn", ("zh-cn", "en")),
        ("en-zh-cn", "zh-cn-en", ("en", "zh-cn")),
        ("zh-cn-zh-tw", "zh-tw-zh-cn", ("zh-cn", "zh-tw")),
        ("a-b-a", "a-a-b", ("a-b", "a")),
    ],
)
def test_the_reverse_tells_where_a_direction_divides(direction, reverse, wanted):
    assert Direction.parse(direction, [direction, reverse]) == Direction(*wanted)


def test_a_direction_without_its_reverse_is_an_error():
    with pytest.raises(ValueError, match="de-en has no reverse"):
        Direction.parse("de-en", ["de-en", "en-fr"])


def test_a_direction_is_named_as_in_checkpoints_and_logs():
    assert str(tiny.DE_EN) == "de-en" and tiny.DE_EN.reversed == tiny.EN_DE
    assert {tiny.DE_EN: 1}[Direction("de", "en")] == 1


@pytest.mark.parametrize("active", [tiny.DE_EN, tiny.EN_DE])
def test_batches_are_given_to_their_directions_primal_first(active):
    """The top level of a batch is the active direction's, which need not be the primal one."""
    directions = Directions(primal=tiny.DE_EN, active=active)
    batch = {"reverse": {"of": active.reversed}, "of": active}
    assert list(directions) == list(directions.of(batch)) == [tiny.DE_EN, tiny.EN_DE]
    assert all(part["of"] == direction for direction, part in directions.of(batch).items())
    assert directions.languages == ("de", "en")


def test_a_single_direction_has_its_batch_alone():
    assert OnlyDirection(tiny.EN_DE).of({"id": 3}) == {tiny.EN_DE: {"id": 3}}
    assert list(OnlyDirection(tiny.EN_DE)) == [tiny.EN_DE]

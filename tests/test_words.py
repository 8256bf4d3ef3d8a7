"""Numbers as people read them."""

import math

import pytest

from reslift.words import counted, signed


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123, "+0.12"),
        (-0.004, "0.00"),
        (0.004, "0.00"),
        (-0.006, "-0.01"),
        (math.inf, "+∞"),
        (-math.inf, "-∞"),
        (math.nan, "–"),
    ],
)
def test_a_gain_of_nothing_has_no_sign(value, shown):
    assert signed(value) == shown


def test_one_of_a_kind_is_no_plural():
    assert counted(1, "thread") == "1 thread"
    assert [counted(n, "picture") for n in (0, 2, 1200)] == [
        "0 pictures",
        "2 pictures",
        "1,200 pictures",
    ]

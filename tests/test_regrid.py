"""Two grids over one area: the nearest pixel at any ratio, in any part."""

import numpy as np
import pytest

from reslift.pixels.regrid import Regrid
from reslift.pixels.tiles import Box


@pytest.mark.parametrize("scale", [1, 2, 3, 7])
def test_a_whole_scale_gives_squares(scale):
    samples = np.arange(5 * 6 * 2).reshape(5, 6, 2)
    grid = Regrid(6, 5, 6 * scale, 5 * scale)
    assert (grid.whole, grid.label, grid.ratio) == (scale, f"{scale}x", scale)
    assert np.array_equal(grid.nearest(samples), samples.repeat(scale, 0).repeat(scale, 1))


@pytest.mark.parametrize("sides", [(10, 9), (7, 5), (6, 5), (3, 2), (1, 1), (600, 1)])
def test_each_pixel_is_the_one_that_its_centre_lies_in(sides):
    grid = Regrid(6, 5, *sides)
    samples = np.arange(30).reshape(5, 6)
    rows = np.floor((np.arange(grid.high) + 0.5) * 5 / grid.high).astype(int)
    columns = np.floor((np.arange(grid.wide) + 0.5) * 6 / grid.wide).astype(int)
    assert np.array_equal(grid.nearest(samples), samples[np.ix_(rows, columns)])
    assert grid.whole == (1 if sides == (6, 5) else None)
    assert (grid.across, grid.down) == (sides[0] / 6, sides[1] / 5)


def test_parts_are_those_of_the_whole():
    grid = Regrid(31, 17, 52, 41)
    samples = np.random.default_rng(0).integers(0, 99, (17, 31))
    whole = grid.nearest(samples)
    for box in (Box(0, 41, 0, 52), Box(3, 4, 50, 52), Box(10, 33, 7, 8), Box(40, 41, 0, 1)):
        under = grid.under(box)
        assert np.array_equal(
            grid.nearest(samples[under.slices()], box, under), whole[box.slices()]
        )


def test_one_ratio_for_both_sides_or_the_sides_are_said():
    assert Regrid(6, 5, 12, 15).whole is None
    assert Regrid(6, 5, 12, 15).label == "12x15"
    assert Regrid(6, 5, 12, 15).ratio == 3

"""Planes compared piece by piece give what one look at the whole gives."""

import numpy as np
import pytest

from reslift.pixels import agreement
from reslift.pixels.agreement import compare, level_of, of_pictures, of_values
from reslift.pixels.shrink import shrink


def pair(rng, height=70, width=53, dtype=np.uint8):
    top = np.iinfo(dtype).max
    small = rng.integers(0, top, (height, width, 3), dtype=dtype, endpoint=True)
    large = rng.integers(0, top, (2 * height, 2 * width, 3), dtype=dtype, endpoint=True)
    return small, large


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("kernel", ["bicubic", "box"])
def test_pieces_are_the_whole(kernel, dtype, monkeypatch):
    monkeypatch.setattr(agreement, "SIDE", 16)
    small, large = pair(np.random.default_rng(0), dtype=dtype)
    top = np.iinfo(dtype).max
    channels, count = compare(of_pictures(small, large, "rgb", False), kernel, 1.0)
    assert count == small.size
    for number, channel in enumerate(channels):
        for rounded, told in ((True, channel.largest), (False, channel.unrounded)):
            whole = shrink(large, 70, 53, kernel, top, rounded=rounded)
            assert told == pytest.approx(np.abs(whole - small)[..., number].max(), abs=1e-6)


def test_what_is_missing_does_not_count_nor_what_is_near(monkeypatch):
    monkeypatch.setattr(agreement, "SIDE", 8)
    small = np.tile(np.arange(30.0, dtype=np.float32), (20, 1))
    small[:, :10] = np.nan
    large = small.repeat(2, 0).repeat(2, 1)
    (channel,), count = compare([of_values("values", small, large, (10.0, 29.0))], "bicubic", 1.0)
    assert count == 20 * 18
    large[0, 24:] = 29
    assert (
        compare([of_values("values", small, large, (10.0, 29.0))], "bicubic", 1.0)[0][0].largest
        > 100
    )
    assert channel.level == pytest.approx(19 / 65535)


def test_hidden_colours_do_not_count():
    small = np.full((12, 12, 4), 90, np.uint8)
    small[:, :6, 3] = 0
    large = small.repeat(2, 0).repeat(2, 1)
    large[:, :12, :3] = 7
    channels, _ = compare(of_pictures(small, large, "rgb", True), "box", 0.0)
    assert [(one.name, one.largest) for one in channels] == [
        *((name, 0.0) for name in ("red", "green", "blue", "alpha"))
    ]


def test_frames_of_one_name_are_one_channel():
    small = np.zeros((4, 4), np.int16)
    worse = np.full((8, 8), 5, np.int16)
    small[0, 0] = 5
    layers = [
        of_values("values", small, other, (0.0, 5.0))
        for other in (small.repeat(2, 0).repeat(2, 1), worse)
    ]
    (channel,), count = compare(layers, "box", 0.0)
    assert (channel.largest, count) == (5, 32)
    assert channel.mean == pytest.approx(15 * 5 / 32)
    assert channel.beyond == pytest.approx(15 / 32)


@pytest.mark.parametrize(
    ("dtype", "low", "high", "step"),
    [("f2", 0, 200, 0.125), ("f4", 4.6e6, 4.6e6 + 200, 0.5), ("f4", -4.6e6, 0, 4.6e6 / 65535)],
)
def test_a_level_is_no_finer_than_the_steps_of_floats(dtype, low, high, step):
    assert level_of(np.dtype(dtype), low, high) == pytest.approx(step)


@pytest.mark.parametrize(
    ("dtype", "most", "level"), [("i2", 900, 1), ("u4", 131_070, 2), ("f4", 65535 / 4, 0.25)]
)
def test_levels(dtype, most, level):
    assert level_of(np.dtype(dtype), 0, most) == level

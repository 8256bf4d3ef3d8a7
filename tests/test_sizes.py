"""How large results are, how they are called, and which scales lead there."""

import math

import numpy as np
import pytest

from reslift.errors import InputError, UsageError
from reslift.pixels.tiles import Box
from reslift.sizes import Size, first_scale, parse_crop, parse_sides, steps, wanted_size

FAMILY = (2, 3, 4)


@pytest.mark.parametrize(
    ("size", "wanted", "label"),
    [
        (Size(scale=4), (400, 204), "-x4"),
        (Size(scale=1.7), (170, 87), "-x1.7"),
        (Size(sides=(300, 90)), (300, 90), "-300x90"),
        (Size(sides=(300, None)), (300, 153), "-300x"),
        (Size(sides=(None, 102)), (200, 102), "-x102"),
        (Size(long_side=777), (777, 396), "-777px"),
        (Size(megapixels=0.5), (990, 505), "-0.5mp"),
        (Size(scale=2, crop=(10, 5, 30, 20)), (60, 40), "-x2-crop"),
        (Size(long_side=400, crop=(90, 40, 99, 99)), (40, 44), "-400px-crop"),
    ],
)
def test_sizes_and_names(size, wanted, label):
    assert size.of(100, 51) == wanted and size.label == label


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": "2"},
        {"scale": True},
        {"megapixels": "24"},
        {"long_side": 1.5},
        {"sides": (3,)},
        {"sides": "300x90"},
        {"sides": (300.0, 90)},
        {"crop": (0, 0, 1)},
        {"crop": "0,0,4,4"},
        {"crop": 4},
    ],
)
def test_values_of_other_types_are_one_line(wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))} .*: give "):
        Size(**wrong)


def test_numbers_of_numpy_are_numbers():
    size = Size(scale=np.float32(2), crop=tuple(np.arange(4) + 1))
    assert size.of(100, 51) == (6, 8)
    assert Size(sides=(np.int64(30), None)).of(10, 10) == (30, 30)


def test_no_side_is_ever_0():
    assert Size(scale=0.01).of(3, 1) == (1, 1)
    assert Size(long_side=1).of(3000, 1) == (1, 1)


def test_the_crop_is_cut_to_the_picture():
    size = Size(scale=2, crop=(90, 40, 99, 99))
    assert size.box(100, 51) == Box(40, 51, 90, 100)
    with pytest.raises(InputError, match="outside its 90x51"):
        size.of(90, 51)


@pytest.mark.parametrize(
    ("ratio", "chain"),
    list(
        {
            0.5: (),
            1: (),
            1.01: (2,),
            2: (2,),
            2.5: (3,),
            4: (4,),
            5: (3, 2),
            6: (3, 2),
            7: (4, 2),
            8: (4, 2),
            9: (3, 3),
            16: (4, 4),
            60: (4, 4, 4),
        }.items()
    ),
)
def test_the_chain_is_the_shortest_to_the_next_scale(ratio, chain):
    assert steps(ratio, FAMILY) == chain


@pytest.mark.parametrize("only", [2, 3, 4])
def test_a_single_model_is_used_as_often_as_needed(only):
    for ratio in (1.5, 4, 7.3, 64):
        chain = steps(ratio, [only])
        assert set(chain) == {only} and math.prod(chain) >= ratio > math.prod(chain[1:])


def test_a_model_of_scale_1_enlarges_nothing():
    assert steps(1, [1]) == steps(0.5, [1]) == (1,)
    with pytest.raises(InputError, match="same grid"):
        steps(2, [1])
    with pytest.raises(UsageError, match="same grid"):
        first_scale([1], Size(scale=2))


def test_without_a_wish_the_model_decides():
    assert wanted_size([2]).scale == 2 and wanted_size(FAMILY).scale == 4
    assert wanted_size(FAMILY, 1.7).scale == 1.7
    assert wanted_size([2], None, Size(crop=(0, 0, 1, 1))) == Size(scale=2, crop=(0, 0, 1, 1))
    assert first_scale(FAMILY, Size(scale=1.7)) == 2
    assert first_scale(FAMILY, Size(scale=8)) == first_scale(FAMILY, Size(long_side=9)) == 4
    with pytest.raises(UsageError, match="not both"):
        wanted_size(FAMILY, 2, Size(scale=2))


def test_whole_scales_and_stretching():
    assert Size(scale=4.0).whole == 4
    assert Size(scale=1.7).whole is Size(long_side=9).whole is None
    assert Size(scale=4, crop=(0, 0, 1, 1)).whole is None
    assert Size(sides=(300, 300)).stretches(100, 50)
    assert not Size(sides=(300, 151)).stretches(100, 50)


def test_texts():
    assert parse_sides("3840x2160") == (3840, 2160) and parse_sides(" 5X ") == (5, None)
    assert parse_sides("x7") == (None, 7) and parse_crop("1, 2,3,4") == (1, 2, 3, 4)
    for text in ("", "x", "5", "-1x3", "3x4x5", "3.5x4"):
        with pytest.raises(UsageError, match="--size"):
            parse_sides(text)
    for text in ("", "1,2,3", "1,2,3,4,5", "1,2,3,-4", "a,b,c,d"):
        with pytest.raises(UsageError, match="--crop"):
            parse_crop(text)

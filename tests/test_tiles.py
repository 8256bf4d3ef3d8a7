"""Tiling changes nothing: the plan, and tiled = whole for every model."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from reslift.backends.torch import TorchBackend
from reslift.errors import InputError, UsageError
from reslift.models import Lift
from reslift.pixels import planes, tiles
from reslift.pixels.planes import Planes
from reslift.stitch import Stitcher
from small_models import SMALL, VARIANTS, lively, small

LOCAL = [variant for variant in VARIANTS if not small(*variant).is_global]


@pytest.fixture(scope="module", params=LOCAL, ids=" ".join)
def model(request):
    return lively(small(*request.param), even=True)


@settings(deadline=None)
@given(
    height=st.integers(1, 3000),
    width=st.integers(1, 3000),
    multiple=st.sampled_from([1, 2, 3, 8]),
    cell=st.integers(1, 600),
)
@example(height=1, width=1, multiple=8, cell=1)
def test_the_grid_is_a_partition_on_the_models_grid(height, width, multiple, cell):
    cell = max(cell, -(-max(height, width) // 40))
    cells = tiles.grid(height, width, multiple, cell)
    assert sum(box.pixels for box in cells) == height * width
    rows = sorted({(box.top, box.bottom) for box in cells})
    columns = sorted({(box.left, box.right) for box in cells})
    for edges, length in ((rows, height), (columns, width)):
        assert edges[0][0] == 0 and edges[-1][1] == length
        assert all(a[1] == b[0] for a, b in itertools.pairwise(edges))
        assert all(start % multiple == 0 and end > start for start, end in edges)
        sides = [end - start for start, end in edges]
        assert max(sides) <= max(cell, multiple)
        assert max(sides[:-1], default=0) - min(sides[:-1], default=0) <= multiple
    assert len(cells) == len(rows) * len(columns)


def test_a_photograph_of_ordinary_size_is_one_cell():
    assert tiles.grid(270, 480) == [tiles.Box(0, 270, 0, 480)]
    assert len(tiles.grid(4000, 6000, 2)) == 8 * 12


def test_boxes_grow_only_into_the_image():
    assert tiles.Box(0, 8, 8, 16).grown(5, 20, 18) == tiles.Box(0, 13, 3, 18)
    rows, columns = tiles.Box(4, 8, 6, 7).slices(tiles.Box(2, 9, 1, 9), 3)
    assert (rows, columns) == (slice(6, 18), slice(15, 18))
    assert tiles.round_up(5, 4) == 8 and tiles.round_up(8, 4) == 8


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    height=st.integers(1, 60),
    width=st.integers(1, 60),
    cell=st.integers(3, 40),
    tile=st.one_of(st.none(), st.integers(1, 200)),
    bands=st.sampled_from([1, 2, 3, 4, 5]),
)
def test_tiled_equals_whole(model, height, width, cell, tile, bands):
    """To rounding in fp32, for every model, any size, any tile and any kind of image.

    1e-6 on most processors; where convolutions order their sums by shape 1.02e-6 was seen, and
    dividing by the opacity multiplies it.
    """
    cell = max(cell, max(height, width) // 6)
    rng = np.random.default_rng(height * 100 + width)
    pixels = rng.random((height, width, bands), dtype=np.float32)
    if bands in (2, 4):
        pixels[..., -1] *= rng.random((height, width)) < 0.3
    image = Planes(pixels, "rgb" if bands in (3, 4) else "gray", bands in (2, 4))
    shape = (height * model.scale, width * model.scale, bands)
    whole, tiled = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    backend = TorchBackend(model, "cpu", "fp32")
    Stitcher(backend, cell=10**6).run(image, whole)
    Stitcher(backend, tile=tile, cell=cell).run(image, tiled)
    atol = 5e-6 if image.alpha else 2e-6
    np.testing.assert_allclose(tiled, whole, rtol=0, atol=atol)


def test_whole_is_what_the_model_says(model):
    pixels = np.random.default_rng(1).random((23, 31, 3), dtype=np.float32)
    out = np.zeros((23 * model.scale, 31 * model.scale, 3), np.float32)
    Stitcher(TorchBackend(model, "cpu", "fp32"), cell=8).run(Planes(pixels, "rgb", False), out)
    whole = model(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(out, whole.clamp(0, 1).numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("tile", [None, 16, 64, 999])
def test_tile_changes_no_byte(model, tile):
    pixels = np.random.default_rng(2).integers(0, 65536, (61, 47, 4), np.uint16)
    image, shape = Planes(pixels, "rgb", True), (61 * model.scale, 47 * model.scale, 4)
    backend = TorchBackend(model, "cpu", "fp32")
    reference, out = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    Stitcher(backend, cell=16).run(image, reference)
    Stitcher(backend, cell=16, tile=tile).run(image, out)
    assert out.tobytes() == reference.tobytes()


@pytest.mark.parametrize(("name", "form"), [v for v in VARIANTS if small(*v).size])
def test_a_model_of_one_size_takes_it_and_no_other(name, form):
    model = lively(small(name, form), even=True)
    side, backend = model.size, TorchBackend(model, "cpu", "fp32")
    pixels = np.random.default_rng(3).random((side, side, 3), dtype=np.float32)
    out = np.zeros((side, side, 3), np.float32)
    Stitcher(backend, cell=4).run(Planes(pixels, "rgb", False), out)
    whole = model(torch.from_numpy(pixels).permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    np.testing.assert_allclose(out, whole.clamp(0, 1).numpy(), rtol=0, atol=1e-6)
    with pytest.raises(InputError, match=f"takes {side}x{side} pixels only, not 9x8"):
        Stitcher(backend).run(Planes(np.zeros((8, 9, 3), np.uint8), "rgb", False), out)
    with pytest.raises(UsageError, match=r"fully connected layers.*cannot be tiled"):
        Stitcher(backend, tile=side - 1)
    Stitcher(backend, tile=side).run(Planes(pixels, "rgb", False), out)


def test_a_global_model_refuses_several_cells():
    class Global(Lift):
        is_global = True

    looks_at_all = lively(Global(scale=2, **SMALL))
    stitcher = Stitcher(TorchBackend(looks_at_all, "cpu", "fp32"), cell=16)
    small, out = np.zeros((16, 16, 3), np.uint8), np.zeros((34, 32, 3), np.uint8)
    stitcher.run(Planes(small, "rgb", False), out[:32])
    with pytest.raises(InputError, match="whole image and cannot be tiled: 16x17"):
        stitcher.run(Planes(np.zeros((17, 16, 3), np.uint8), "rgb", False), out)


def test_a_tile_has_at_least_one_pixel(model):
    with pytest.raises(UsageError, match="tile 0"):
        Stitcher(TorchBackend(model, "cpu", "fp32"), tile=0)


def test_the_rule_for_planes():
    assert planes.groups(3, "rgb", False, 3) == [(0, 1, 2)]
    assert planes.groups(4, "rgb", True, 3) == [(0, 1, 2), (3,)]
    assert planes.groups(1, "gray", False, 3) == [(0,)]
    assert planes.groups(2, "gray", True, 3) == [(0,), (1,)]
    assert planes.groups(4, "cmyk", False, 3) == [(0,), (1,), (2,), (3,)]
    assert planes.groups(3, "rgb", False, 1) == [(0,), (1,), (2,)]
    assert planes.groups(6, "gray", False, 3) == [(i,) for i in range(6)]


def test_a_lone_plane_is_the_mean_of_three_answers():
    gray = np.random.default_rng(0).random((1, 1, 4, 5), np.float32)
    weight = np.float32([1, 2, 6]).reshape(1, 3, 1, 1)
    answer = planes.through(lambda rgb: rgb * weight, gray, 3)
    np.testing.assert_allclose(answer, gray * 3, atol=1e-6)
    np.testing.assert_array_equal(planes.through(lambda x: x * 2, gray, 1), gray * 2)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_every_level_survives_to_float_and_back(dtype):
    top = np.iinfo(dtype).max
    levels = np.arange(top + 1, dtype=dtype).reshape(1, -1, 1)
    np.testing.assert_array_equal(planes.from_float(planes.to_float(levels), levels.dtype), levels)


def test_rounding_is_half_to_even_of_the_clipped_value():
    values = np.float32([-1, 0.5 / 255, 1.5 / 255, 2]).reshape(1, 1, 1, 4)
    assert planes.from_float(values, np.dtype("uint8")).ravel().tolist() == [0, 0, 2, 255]

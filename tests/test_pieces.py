"""Windows on files at any size: as if the whole were held, from windows that never are."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from reslift import pieces, stages
from reslift.errors import UsageError
from reslift.pixels.planes import Planes
from small_models import made, small_lift


class Windows:
    """An array that is read by two slices only, and tells how large the largest window was."""

    def __init__(self, pixels):
        self._pixels, self.largest = pixels, 0
        self.shape, self.dtype = pixels.shape, pixels.dtype

    def __getitem__(self, area):
        rows, columns = area
        assert isinstance(rows, slice) and isinstance(columns, slice)
        found = self._pixels[rows, columns]
        self.largest = max(self.largest, found.shape[0] * found.shape[1])
        return found


class Sheet:
    """What can only be set, each pixel once."""

    def __init__(self, shape, dtype):
        self.made = np.zeros(shape, dtype)
        self.times = np.zeros(shape[:2], int)
        self.shape, self.dtype, self.nbytes = shape, np.dtype(dtype), 0

    def __setitem__(self, area, piece):
        self.made[area], self.times[area] = piece, self.times[area] + 1


def image(height=150, width=131, bands=3, dtype="float32", seed=0):
    rng = np.random.default_rng(seed)
    values = rng.random((height, width, bands), dtype=np.float32)
    return values if dtype == "float32" else (values * np.iinfo(dtype).max).astype(dtype)


def both(upscaler, planes, shape):
    """From an array into an array, and from windows into what can only be set."""
    whole = np.zeros(shape, planes.pixels.dtype)
    upscaler.run(planes, whole)
    windows, sheet = Windows(planes.pixels), Sheet(shape, planes.pixels.dtype)
    told = []
    upscaler.run(Planes(windows, planes.space, planes.alpha), sheet, told.append)
    assert (sheet.times == 1).all()
    assert sum(told) == shape[0] * shape[1]
    return whole, sheet.made, windows


@pytest.fixture(autouse=True)
def fp32(monkeypatch):
    """In bf16 a processor with AMX has other last bits where a cell has another shape."""
    monkeypatch.setattr("reslift.backends.torch.has_bf16", lambda: False)


@pytest.fixture
def few(monkeypatch):
    """Pieces far smaller than the image."""
    monkeypatch.setattr(pieces, "CELL", 64)
    monkeypatch.setattr(pieces, "LEAST", 16)


@pytest.mark.parametrize(
    "shape", [(255, 223), (200, 400), (75, 66), (150, 131), (40, 500), (750, 655), (7, 3)]
)
def test_the_values_are_those_of_the_whole(few, shape):
    planes = Planes(image(), "rgb", False)
    whole, made_of_pieces, windows = both(made(small_lift(2)), planes, (*shape, 3))
    # The answers reach 18 before they are clipped: fp32 is exact to 2e-6 of that.
    np.testing.assert_allclose(made_of_pieces, whole, atol=5e-5)
    assert windows.largest < planes.pixels[..., 0].size or min(shape) < 50


def test_no_canvas_is_ever_made(few, monkeypatch):
    def canvas(shape, *rest, **more):
        raise AssertionError(f"a canvas of {shape}")

    monkeypatch.setattr(stages, "canvas", canvas)
    sheet = Sheet((255, 223, 3), "float32")
    made(small_lift(2)).run(Planes(Windows(image()), "rgb", False), sheet)
    assert sheet.made.any()


@pytest.mark.parametrize("height", [907, 930, 1300])
@pytest.mark.parametrize("ratio", [0.6, 1.3, 1.7, 3.2])
def test_a_window_is_one_cell_of_the_models(monkeypatch, height, ratio):
    monkeypatch.setattr(pieces, "fill", partial(_without_models, pieces.fill))
    windows = Windows(image(height, 40, 1))
    sheet = Sheet((round(height * ratio), round(40 * ratio), 1), "float32")
    made(small_lift(2)).run(Planes(windows, "gray", False), sheet)
    assert windows.largest <= 512 * 40


def _without_models(fill, image, out, models, progress):
    fill(image, out, replace(models, run=lambda window, between: between.fill(0.5)), progress)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("bands", [2, 4])
def test_transparent_pictures(few, dtype, bands):
    pixels = image(bands=bands, dtype=dtype)
    pixels[40:90, 20:100, -1] = 0
    pixels[100:, :, -1] = np.iinfo(dtype).max
    planes = Planes(pixels, "rgb" if bands == 4 else "gray", True)
    whole, made_of_pieces, _ = both(made(small_lift(2)), planes, (255, 223, bands))
    step = 1 if dtype == "uint8" else 8
    assert np.abs(whole.astype(int) - made_of_pieces)[whole[..., -1] > 0].max() <= step
    assert (made_of_pieces[185:, :, -1] == np.iinfo(dtype).max).all()


@pytest.mark.parametrize("strength", [0.0, 0.4])
@pytest.mark.parametrize("shape", [(255, 223), (750, 655)])
def test_strength(few, strength, shape):
    planes = Planes(image(), "rgb", False)
    upscaler = made(small_lift(2), strength=strength)
    whole, made_of_pieces, _ = both(upscaler, planes, (*shape, 3))
    np.testing.assert_allclose(made_of_pieces, whole, atol=1e-5)


def test_one_model_straight_to_the_size_goes_its_own_way(few, monkeypatch):
    monkeypatch.setattr(pieces, "fill", None)
    planes = Planes(Windows(image()), "rgb", False)
    made(small_lift(2)).run(planes, Sheet((300, 262, 3), "float32"))


def test_wrap_is_refused():
    planes = Planes(Windows(image()), "rgb", False)
    with pytest.raises(UsageError, match="--wrap"):
        made(small_lift(2), wrap=True).run(planes, Sheet((255, 223, 3), "float32"))


def test_tiles_and_memory_change_no_byte(few):
    planes, answers = Planes(Windows(image()), "rgb", False), []
    for tile in (None, 16, 4096):
        sheet = Sheet((255, 223, 3), "float32")
        made(small_lift(2), tile=tile).run(planes, sheet)
        answers.append(sheet.made)
    assert all(np.array_equal(answers[0], other) for other in answers[1:])

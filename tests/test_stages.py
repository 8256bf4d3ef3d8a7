"""Any size, parts, seamless tiles and the self-ensemble: through one model or several."""

import numpy as np
import pytest
import torch

import reslift
from reslift import formats, stitch
from reslift.backends.ensemble import Ensemble
from reslift.backends.torch import TorchBackend
from reslift.errors import InputError, UsageError
from reslift.finish import Finish, Tally
from reslift.pixels.planes import Planes
from reslift.pixels.shift import measure_shift
from reslift.sizes import Size
from reslift.stitch import Stitcher
from small_models import bicubic_lift, lively, made, saved, small, small_lift


def rng(seed=0):
    return np.random.default_rng(seed)


def image(height=23, width=19, bands=3, dtype="float32"):
    values = rng().random((height, width, bands), dtype=np.float32)
    return values if dtype == "float32" else (values * np.iinfo(dtype).max).astype(dtype)


@pytest.fixture
def cells(monkeypatch):
    monkeypatch.setattr(Stitcher.__init__, "__defaults__", (None, None, 16))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(
    ("size", "shape"),
    [
        (Size(scale=1.7), (39, 32)),
        (Size(sides=(50, 31)), (31, 50)),
        (Size(long_side=90), (90, 74)),
        (Size(megapixels=0.002), (49, 41)),
        (Size(scale=0.5), (12, 10)),
        (Size(scale=1), (23, 19)),
        (Size(scale=5), (115, 95)),
    ],
)
def test_sizes_are_exact(size, shape, dtype):
    sr = made(small_lift(2), size=size)(image(dtype=dtype))
    assert sr.shape == (*shape, 3) and sr.dtype == dtype


def test_twice_is_the_model_after_itself():
    model = made(small_lift(2))
    twice = made(small_lift(2), size=Size(scale=4))
    np.testing.assert_array_equal(twice(image()), model(model(image())))
    assert twice.scale == 4


def test_a_scale_between_is_the_next_one_shrunk():
    x = image()
    wanted = made(small_lift(2), size=Size(sides=(33, 40)))(x)
    between = made(small_lift(2))(x)
    shrunk = made(small_lift(2), size=Size(sides=(33, 40)))
    shrunk._stages.scales = ()  # nothing enlarges: only the resize is left
    with pytest.raises(InputError):
        shrunk(x)
    from reslift.pixels.exact import resize_into

    out = np.empty((40, 33, 3), np.float32)
    resize_into(between, out)
    np.testing.assert_array_equal(wanted, out)


@pytest.mark.parametrize("scale", [1.3, 1.7, 2.5, 3.7])
def test_no_half_pixel_shift(scale):
    """A bicubic model: against the resize of the same picture by a much finer route."""
    from skimage import data

    lr = data.camera()[100:228, 150:278, None].astype(np.float32) / 255
    high = made(bicubic_lift(4))
    direct = high(lr)
    sr = made(bicubic_lift(4), size=Size(scale=scale))(lr)
    back = np.empty_like(direct)
    from reslift.pixels.exact import resize_into

    resize_into(sr, back)
    shift = measure_shift(torch.from_numpy(back[..., 0]), torch.from_numpy(direct[..., 0]))
    assert shift is not None and max(map(abs, shift)) / 4 * scale < 0.02


@pytest.mark.parametrize("bands", [3, 4])
def test_tiles_and_canvases_change_no_byte(cells, tmp_path, monkeypatch, bands):
    from PIL import Image

    from reslift.media import Wishes

    pixels = image(53, 38, bands, "uint8")
    Image.fromarray(pixels).save(tmp_path / "a.png")
    size = Size(scale=3.3)
    saved_bytes = set()
    for tile, limit in ((None, 2**28), (16, 2**28), (99, 2**28), (None, 0)):
        monkeypatch.setattr("reslift.work.IN_MEMORY", limit)
        upscaler = made(small_lift(2), size=size, tile=tile)
        upscaler.upscale_file(tmp_path / "a.png", tmp_path / "b.png", Wishes(overwrite=True))
        saved_bytes.add((tmp_path / "b.png").read_bytes())
    assert len(saved_bytes) == 1
    assert formats.peek(tmp_path / "b.png").width == 125
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png"]


@pytest.mark.parametrize("name", ["lift", "hourglass"])
@pytest.mark.parametrize("scale", [2, 4, 1.5])
def test_a_crop_looks_as_in_the_whole(name, scale):
    model = lively(small(name, scale=2), even=True)
    x = image(60, 52)
    whole = made(model, size=Size(scale=scale))
    part = made(model, size=Size(scale=scale, crop=(14, 22, 20, 16)))
    out = np.empty(part.shape(x, "x"), np.float32)
    part.fill(Planes(x, "rgb", False), out)
    rows, columns = slice(round(22 * scale), None), slice(round(14 * scale), None)
    wanted = whole(x)[rows, columns][: round(16 * scale), : round(20 * scale)]
    # Between two scales the kernel of the last resize ends at the crop.
    inside = slice(3, -3) if scale == 1.5 else slice(None)
    np.testing.assert_allclose(out[inside, inside], wanted[inside, inside], atol=1e-5)


def test_a_crop_of_whole_numbers_is_rounded_once_and_told_of_in_its_own_levels():
    model = lively(small("lift", scale=2), even=True)
    x = image(60, 52, dtype="uint8")
    whole = made(model, size=Size(scale=2), consistent=False)
    part = made(model, size=Size(scale=2, crop=(14, 22, 20, 16)), consistent=False)
    out = np.empty(part.shape(x, "x"), np.uint8)
    part.fill(Planes(x, "rgb", False), out)
    np.testing.assert_array_equal(out, whole(x)[44:76, 28:68])
    finish = Finish(kernel="bicubic", tally=Tally())
    part.fill(Planes(x, "rgb", False), out, finish=finish)
    assert 0 < finish.tally.largest < 256, "levels of 8 bits, not of 16"


def test_a_seamless_texture_stays_seamless(cells):
    x = image(30, 26)
    upscaler = made(small_lift(2), wrap=True)
    plain = upscaler(x)
    for roll in ((2, 0), (0, 2), (12, 18), (28, 4)):
        rolled = upscaler(np.roll(x, roll, (0, 1)))
        wanted = np.roll(plain, (2 * roll[0], 2 * roll[1]), (0, 1))
        np.testing.assert_allclose(rolled, wanted, atol=1e-5)
    assert np.abs(plain - made(small_lift(2))(x)).max() > 1e-3


def test_wrap_goes_through_chains_and_the_resize():
    x = image(30, 24)
    upscaler = made(small_lift(2), wrap=True, size=Size(scale=2.5))
    rolled = upscaler(np.roll(x, (4, 10), (0, 1)))
    np.testing.assert_allclose(rolled, np.roll(upscaler(x), (10, 25), (0, 1)), atol=1e-5)


def test_wrap_is_refused_by_a_model_of_one_size():
    model = lively(small("bottleneck"))
    side = model.size or 16
    with pytest.raises(UsageError, match="seamless"):
        made(model, wrap=True)(image(side, side))


def test_the_ensemble_is_the_mean_of_eight(cells):
    model = small_lift(2)
    x = image(40, 34)
    plain, answers = made(model), []
    for turned in (x, x.swapaxes(0, 1)):
        for down in (1, -1):
            for across in (1, -1):
                sr = stitch_whole(plain, np.ascontiguousarray(turned[::down, ::across]))
                sr = sr[::down, ::across]
                answers.append(sr if turned is x else sr.swapaxes(0, 1))
    mean = np.mean(answers, 0).clip(0, 1)
    np.testing.assert_allclose(made(model, ensemble=True)(x), mean, atol=1e-5)


def stitch_whole(upscaler, x):
    backend = upscaler._stitcher.backend
    return backend.run(x.transpose(2, 0, 1)[None].copy())[0].transpose(1, 2, 0)


@pytest.mark.parametrize("name", ["lift", "hourglass", "unet"])
@pytest.mark.parametrize(("height", "width"), [(40, 33), (37, 50)])
def test_tiled_ensemble_is_the_whole_one(name, height, width):
    model = lively(small(name, scale=2), even=True)
    if model.is_global or model.size:
        pytest.skip("it cannot be tiled")
    backend, x = Ensemble(TorchBackend(model, "cpu", "fp32")), image(height, width)
    outs = []
    for cell in (16, stitch.tiles.CELL):
        out = np.empty((height * model.scale, width * model.scale, 3), np.float32)
        Stitcher(backend, cell=cell).run(Planes(x, "rgb", False), out)
        outs.append(out)
    np.testing.assert_allclose(*outs, atol=1e-5)


def test_load_goes_through_a_family(tmp_path, monkeypatch):
    for scale in (2, 3):
        saved(tmp_path / f"tiny-x{scale}.safetensors", small_lift(scale))
    monkeypatch.setattr("reslift.checkpoint.ZOO", tmp_path)
    options = {"device": "cpu", "backend": "torch"}
    x = image(9, 8)
    six = reslift.load("tiny", 6, **options)
    np.testing.assert_array_equal(six(x), made(small_lift(2))(made(small_lift(3))(x)))
    assert reslift.load("tiny", 1.7, **options).card.scale == 2
    assert reslift.load("tiny", **options).card.scale == 3
    assert reslift.load("tiny", size=Size(long_side=30), **options)(x).shape == (30, 27, 3)
    with pytest.raises(UsageError, match="not both"):
        reslift.load("tiny", 2, size=Size(scale=3))


def test_progress_adds_up_over_stages(tmp_path):
    upscaler, told = made(small_lift(2), size=Size(scale=3.3)), []
    out = np.empty((76, 63, 3), np.float32)
    upscaler.run(Planes(image(), "rgb", False), out, told.append)
    assert sum(told) == 76 * 63 and min(told) > 0


def test_seamless_is_refused_for_pixels_that_are_read_in_windows():
    class Windows:
        def __init__(self, pixels):
            self.pixels, self.shape, self.dtype = pixels, pixels.shape, pixels.dtype

        def __getitem__(self, area):
            return self.pixels[area]

    lr = image(8, 8)
    out = np.empty((16, 16, 3), np.float32)
    with pytest.raises(UsageError, match="--wrap"):
        made(small_lift(2), wrap=True).run(Planes(Windows(lr), "rgb", False), out)

"""TIFFs of several pages and of measured values, reopened by tifffile."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

import formats_samples as make
import fuzz
from recording import Recording
from reslift import formats, media
from reslift.errors import InputError, LimitError, UsageError
from reslift.limits import Limits
from reslift.media.base import Wishes
from reslift.media.tiff_pages import TiffPages
from reslift.sizes import Size
from reslift.uncertainty import Calibration, Judge
from reslift.verify import verify
from small_models import bicubic_lift, made

PAGES = [
    (make.noise(7, 13, 3), "rgb", None, 300),
    (make.noise(20, 9, 1)[..., 0], "minisblack", None, 72),
    (make.noise(5, 6, 4, bits=16), "rgb", ["unassalpha"], 150),
    (np.linspace(-4, 9, 8 * 11).reshape(8, 11).astype(np.float32), "minisblack", None, 100),
]


class Doubled(Recording):
    size, identity = Size(scale=2), "doubled"

    def __init__(self, limits=None):
        self.limits = limits or Limits()

    def run(self, planes, out, progress=None, *, exact=False):
        out[...] = planes.pixels.repeat(2, 0).repeat(2, 1)


def write(path, **more):
    with tifffile.TiffWriter(path, **more) as writer:
        for number, (pixels, photometric, extra, dots) in enumerate(PAGES):
            writer.write(
                pixels,
                photometric=photometric,
                extrasamples=extra,
                resolution=(dots, 2 * dots),
                resolutionunit="inch",
                iccprofile=make.SRGB if number == 0 else None,
                description=f"page {number}",
                metadata=None,
                contiguous=False,
            )
    return path


def run(source, target, enlarger=None, **wishes):
    return TiffPages().upscale(enlarger or Doubled(), source, target, Wishes(**wishes))


@pytest.mark.parametrize("options", [{}, {"bigtiff": True}, {"byteorder": ">"}])
def test_every_page_with_all_that_belongs_to_it(tmp_path, options):
    path = write(tmp_path / "a.tif", **options)
    assert media.of(path).name == "tiff-pages"
    extent = TiffPages().peek(path, Limits())
    assert (extent.width, extent.height, extent.frames) == (9, 20, 4)
    assert run(path, tmp_path / "b.tif") == ()
    assert TiffPages().verify(path, tmp_path / "b.tif") == ()
    assert TiffPages().verify(tmp_path / "b.tif", path)
    with tifffile.TiffFile(tmp_path / "b.tif") as opened:
        assert len(opened.pages) == len(PAGES)
        for number, (page, (pixels, _, _, dots)) in enumerate(
            zip(opened.pages, PAGES, strict=True)
        ):
            found, expected = page.asarray(), pixels.repeat(2, 0).repeat(2, 1)
            assert found.dtype == expected.dtype
            np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)
            assert page.tags[282].value == (dots, 1) and page.tags[283].value == (2 * dots, 1)
            assert page.tags[270].value == f"page {number}"
            assert (34675 in page.tags) == (number == 0)
    with Image.open(tmp_path / "b.tif") as image:
        assert image.n_frames == 4 and image.info["icc_profile"] == make.SRGB


@pytest.mark.parametrize("layout", [{}, {"tile": (16, 16)}, {"bigtiff": True}])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i2", "i4", "u4"])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_values_stay_values(tmp_path, bands, dtype, layout):
    low = 0 if dtype[0] == "u" else -300
    values = np.random.default_rng(0).uniform(
        low, 70000 if dtype != "i2" else 3000, (20, 24, bands)
    )
    values = values.astype(dtype)
    stored = values if bands > 1 else values[..., 0]
    options = {"photometric": "rgb" if bands > 1 else "minisblack", "metadata": None, **layout}
    if bands == 4:
        options["extrasamples"] = ["unassalpha"]
    big = options.pop("bigtiff", False)
    tifffile.imwrite(tmp_path / "a.tif", stored, bigtiff=big, **options)
    run(tmp_path / "a.tif", tmp_path / "b.tif")
    found = tifffile.imread(tmp_path / "b.tif")
    assert found.dtype == stored.dtype
    expected = stored.repeat(2, 0).repeat(2, 1).astype(float)
    assert np.abs(found - expected).max() <= (1 if dtype[0] in "iu" else 0.01)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_the_largest_float_is_no_value(tmp_path, dtype):
    """A usual fill, which left one value for all that was measured."""
    fill = float(np.finfo("f4").min)
    values = np.random.default_rng(0).uniform(-5, 5, (20, 24)).astype(dtype)
    values[:6] = fill
    tifffile.imwrite(tmp_path / "a.tif", values)
    made(bicubic_lift(2)).upscale_file(tmp_path / "a.tif", tmp_path / "b.tif")
    found = tifffile.imread(tmp_path / "b.tif")
    assert (found[:12] == fill).all()
    assert values[6:].min() <= found[12:].min() < -3 < 3 < found[12:].max() <= values[6:].max()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("dtype", "most"), [("f4", 3.3e38), ("f8", 1e200), ("f8", 1.7e308)])
def test_values_near_the_largest_that_there_are(tmp_path, dtype, most):
    """Found by damaging files: sums around what is no number went beyond 32-bit floats."""
    values = (np.random.default_rng(0).uniform(-1, 1, (20, 24)) * most).astype(dtype)
    values[4:8, 4:9] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", values)
    upscaler = made(bicubic_lift(2))
    if most > 1e308:
        with pytest.raises(InputError, match="further apart than 64-bit floats can count"):
            upscaler.upscale_file(tmp_path / "a.tif", tmp_path / "b.tif")
        assert not (tmp_path / "b.tif").exists()
        return
    upscaler.upscale_file(tmp_path / "a.tif", tmp_path / "b.tif")
    found = tifffile.imread(tmp_path / "b.tif")
    assert np.isnan(found).sum() == 80 and not np.isinf(found).any()
    assert np.nanmax(found) <= np.nanmax(values) and np.nanmin(found) >= np.nanmin(values)


def test_values_are_not_clipped_and_what_is_no_number_stays(tmp_path):
    y, x = np.mgrid[0:24, 0:30]
    values = (1000 + 40 * np.sin(x / 4) + 3 * y).astype(np.float32)
    values[5, 7] = np.nan
    values[20, 3] = 90000.0
    tifffile.imwrite(tmp_path / "a.tif", values)
    made(bicubic_lift(2)).upscale_file(tmp_path / "a.tif", tmp_path / "b.tif")
    found = tifffile.imread(tmp_path / "b.tif")
    assert found.dtype == np.float32 and found.shape == (48, 60)
    assert np.isnan(found[10:12, 14:16]).all() and np.isnan(found).sum() == 4
    assert found[40:42, 6:8].max() > 50000
    smooth = np.s_[2:30, 30:58]
    assert np.abs(found[smooth] - values.repeat(2, 0).repeat(2, 1)[smooth]).max() < 12


@pytest.mark.parametrize(
    "layout", [{}, {"tile": (16, 16)}, {"tile": (16, 16), "planarconfig": "separate"}]
)
def test_16_bit_floats_become_32_bit_ones(tmp_path, layout):
    values = np.random.default_rng(0).uniform(-9, 70, (3, 20, 24)).astype(np.float16)
    shown = np.moveaxis(values, 0, -1)
    stored = values if "planarconfig" in layout else shown
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    tifffile.imwrite(path, stored, photometric="rgb", metadata=None, **layout)
    assert run(path, target) == ("16-bit floats become 32-bit floats",)
    found = tifffile.imread(target)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, shown.repeat(2, 0).repeat(2, 1), rtol=0, atol=2e-5)
    answer = verify(path, target, kernel="box")
    assert answer.holds and len(answer.channels) == 3
    tifffile.imwrite(tmp_path / "c.tif", found.astype(np.float64), photometric="rgb")
    assert TiffPages().verify(path, tmp_path / "c.tif") == ("page 1 has samples of another kind",)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "u8", "f2", "f4", "f8"])
def test_white_stays_zero_where_values_stay(tmp_path, dtype):
    path, target = tmp_path / "a.tif", tmp_path / "b.tif"
    values = np.linspace(0 if dtype == "u8" else -4, 90, 8 * 11).reshape(8, 11).astype(dtype)
    tifffile.imwrite(path, values, photometric="miniswhite", metadata=None)
    seen = []

    class Seeing(Doubled):
        def run(self, planes, out, progress=None, *, exact=False):
            seen.append(planes.pixels)
            super().run(planes, out, progress, exact=exact)

    run(path, target, Seeing())
    assert seen[0][0, 0] == 1 and seen[0][-1, -1] == 0
    with tifffile.TiffFile(target) as opened:
        (page,) = opened.pages
        assert page.photometric.name == "MINISWHITE"
        found = page.asarray()
    assert np.abs(found - values.repeat(2, 0).repeat(2, 1).astype(float)).max() <= 1e-4
    assert verify(path, target, kernel="box").holds
    tifffile.imwrite(tmp_path / "c.tif", found, photometric="minisblack", metadata=None)
    assert TiffPages().verify(path, tmp_path / "c.tif") == ("page 1 has samples of another kind",)


def test_values_whose_white_is_zero_as_another_format(tmp_path):
    values = np.linspace(0, 1, 99, dtype="f4").reshape(9, 11)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="miniswhite")
    notes = run(tmp_path / "a.tif", tmp_path / "b.png")
    assert "as white is zero" in notes[0]
    shown = np.asarray(Image.open(tmp_path / "b.png"))
    assert shown[0, 0] == 65535 and shown[-1, -1] == 0


def test_a_page_of_values_as_another_format(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.linspace(0, 1, 99, dtype="f4").reshape(9, 11))
    notes = run(tmp_path / "a.tif", tmp_path / "b.png")
    assert "float32 samples become 16 bits" in notes[0]
    assert np.asarray(Image.open(tmp_path / "b.png")).shape == (18, 22)


def test_pages_are_turned_upright(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for orientation in (6, 1):
            tag = (274, 3, 1, orientation, True)
            writer.write(make.noise(7, 13), extratags=[tag], metadata=None, contiguous=False)
    run(tmp_path / "a.tif", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as opened:
        assert [page.shape for page in opened.pages] == [(26, 14), (14, 26)]
        assert all(274 not in p.tags or p.tags[274].value == 1 for p in opened.pages)


def test_limits_targets_and_damage(tmp_path):
    path = write(tmp_path / "a.tif")
    for limit, match in ((Limits(frames=3), "frames"), (Limits(input_pixels=99), "input_pixels")):
        with pytest.raises(LimitError, match=match):
            TiffPages().peek(path, limit)
    with pytest.raises(LimitError, match="output_pixels"):
        run(path, tmp_path / "b.tif", Doubled(Limits(output_pixels=500)))
    with pytest.raises(UsageError, match="written as one of"):
        run(path, tmp_path / "b.png")
    data = path.read_bytes()
    for part in range(1, 12):
        (tmp_path / "bad.tif").write_bytes(data[: len(data) * part // 12])
        if media.of(tmp_path / "bad.tif") is not None:
            with pytest.raises(InputError, match=r"bad\.tif"):
                run(tmp_path / "bad.tif", tmp_path / "b.tif")
    assert not (tmp_path / "b.tif").exists()
    with tifffile.TiffFile(path) as opened:
        second = opened.pages[1].offset
    (tmp_path / "bad.tif").write_bytes(data.replace(second.to_bytes(4, "little"), b"\xff" * 4))
    assert media.of(tmp_path / "bad.tif") is None
    with pytest.raises(InputError, match="damaged"):
        formats.read(tmp_path / "bad.tif")


def test_a_text_with_a_zero_in_it_leaves_a_readable_result(tmp_path):
    (data,) = (d for _, d in fuzz.mutants(1, first=65))
    (tmp_path / "a.tif").write_bytes(data)
    formats.write(tmp_path / "b.tif", formats.read(tmp_path / "a.tif"))
    assert formats.read(tmp_path / "b.tif").pixels.shape == (24, 32, 3)


@pytest.mark.parametrize("size", [Size(scale=1.7), Size(sides=(30, None)), Size(scale=0.5)])
def test_pages_and_values_at_any_size(tmp_path, size):
    values = np.linspace(-3, 40, 12 * 10, dtype=np.float32).reshape(12, 10)
    values[2:5, 3:7] = np.nan
    path, out = tmp_path / "a.tif", tmp_path / "b.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(values, photometric="minisblack")
        writer.write(np.full((7, 9, 3), (20, 200, 90), np.uint8), photometric="rgb")
    made(bicubic_lift(2), size=size).upscale_file(path, out)
    with tifffile.TiffFile(out) as opened:
        first, second = (page.asarray() for page in opened.pages)
    assert first.shape[::-1] == size.of(10, 12) and second.shape[1::-1] == size.of(9, 7)
    rows, columns = ((np.arange(n) + 0.5) / n for n in first.shape)
    gone = np.isnan(values)[np.ix_((rows * 12).astype(int), (columns * 10).astype(int))]
    assert np.array_equal(np.isnan(first), gone)
    assert np.nanmin(first) >= -3 and np.nanmax(first) <= 40
    assert (second == (20, 200, 90)).all()
    assert TiffPages().verify(path, out) == ()


def flat_head(lr, sr):
    return torch.zeros(lr.shape[0], 1, *sr.shape[2:])


flat_head.halo, flat_head.scale = 2, 2


class Unsure(Doubled):
    """Trusts every pixel to 0.1 of what the network was shown."""

    judge = Judge(
        flat_head,
        Calibration(
            levels=(0.9,), centres=(0.0,), factors=((0.1,),), data="planted", pictures=1, samples=1
        ),
    )


def test_half_widths_of_each_page_are_a_page_beside_it(tmp_path):
    path = tmp_path / "a.tif"
    values = np.linspace(-4, 9, 8 * 12).reshape(8, 12).astype(np.float32)
    values[3, 4] = np.nan
    with tifffile.TiffWriter(path) as writer:
        for pixels in (np.full((6, 10, 3), 80, np.uint8), values):
            kind = "rgb" if pixels.ndim > 2 else "minisblack"
            writer.write(pixels, photometric=kind, metadata=None, contiguous=False)
    target = tmp_path / "b.tif"
    (beside,) = TiffPages().maps(target)
    assert TiffPages().maps(tmp_path / "b.png") == ()
    notes = run(path, target, Unsure(), uncertainty=True)
    assert beside.name in notes[-1]
    with tifffile.TiffFile(beside) as opened:
        picture, numbers = (page.asarray() for page in opened.pages)
    assert picture.dtype == np.uint16 and picture.shape == (12, 20)
    assert (picture == round(0.1 * 65535)).all()
    assert numbers.dtype == np.float32 and numbers.shape == (16, 24)
    hidden = np.isnan(values).repeat(2, 0).repeat(2, 1)
    assert (numbers[hidden] == 0).all()
    assert numbers[~hidden] == pytest.approx(0.1 * 13, rel=1e-5)
    assert TiffPages().verify(path, target) == ()


def test_half_widths_of_inks_are_refused_and_nothing_is_left(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(2):
            writer.write(np.zeros((5, 5, 4), np.uint8), photometric="separated", contiguous=False)
    with pytest.raises(UsageError, match="not CMYK"):
        run(path, tmp_path / "b.tif", Unsure(), uncertainty=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.tif"]


def test_samples_of_every_page_are_compared(tmp_path):
    path = write(tmp_path / "a.tif")
    run(path, tmp_path / "b.tif")
    answer = verify(path, tmp_path / "b.tif", kernel="box")
    assert answer.holds
    assert {"page 1 red", "page 4 values"} <= {one.name for one in answer.channels}
    with tifffile.TiffFile(path) as opened, tifffile.TiffWriter(tmp_path / "c.tif") as writer:
        for number, page in enumerate(opened.pages):
            large = page.asarray().repeat(2, 0).repeat(2, 1)
            if number == 0:
                large[4:6, 4:6, 1] ^= 64
            extra = None if large.ndim < 3 or large.shape[2] == 3 else ["unassalpha"]
            extra = extra if page.photometric.name != "SEPARATED" else None
            kind = page.photometric.name.lower()
            writer.write(
                large, photometric=kind, extrasamples=extra, metadata=None, contiguous=False
            )
    worse = verify(path, tmp_path / "c.tif", kernel="box")
    assert [one.name for one in worse.channels if one.largest] == ["page 1 green"]
    assert worse.largest == 64

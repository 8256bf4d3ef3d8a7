"""Plain TIFFs that are too large to be held: windows in, tiles out, the pixels of the small way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tifffile

from reslift import formats, media, pieces
from reslift.errors import InputError, LimitError, UsageError
from reslift.limits import DEFAULT
from reslift.media import Wishes, large_tiff
from reslift.media.mosaic import Mosaic
from reslift.pixels import tiles
from reslift.sizes import Size
from small_models import made, small_lift

LARGE = media.MEDIA["large-tiff"]
KINDS = [(1, "uint8"), (2, "uint16"), (3, "uint8"), (3, "uint16"), (4, "uint8")]


@pytest.fixture(autouse=True)
def large_is_small(monkeypatch):
    monkeypatch.setattr(large_tiff, "LARGE", 10_000)


def picture(bands=3, dtype="uint8", height=150, width=170, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    hills = (np.sin(x / 9)[..., None] * np.cos(y / 7)[..., None] + 1 + np.arange(bands)) % 2 / 2
    values = np.clip(hills + rng.random((height, width, bands)) * 0.1, 0, 1)
    return (values * np.iinfo(dtype).max).astype(dtype)


def saved(path, pixels, **options):
    kind = "minisblack" if pixels.shape[2] < 3 else "rgb"
    extra = ["unassalpha"] if pixels.shape[2] in (2, 4) else None
    pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    tifffile.imwrite(path, pixels, photometric=kind, extrasamples=extra, **options)
    return path


def enlarge(path, **wishes):
    target = path.with_name("large.tif")
    notes = made(small_lift()).upscale_file(path, target, Wishes(overwrite=True, **wishes))
    return target, notes


@pytest.mark.parametrize(("bands", "dtype"), KINDS)
@pytest.mark.parametrize("options", [{"rowsperstrip": 7}, {"tile": (32, 48)}])
def test_the_pixels_are_those_of_the_small_way(tmp_path, monkeypatch, bands, dtype, options):
    path = saved(tmp_path / "a.tif", picture(bands, dtype), compression="zlib", **options)
    assert media.of(path) is LARGE
    target, _ = enlarge(path)
    large = formats.read(target)
    monkeypatch.setattr(large_tiff, "LARGE", 2**26)
    assert media.of(path) is None
    small, _ = enlarge(path)
    small = formats.read(small)
    assert np.array_equal(large.pixels, small.pixels)
    assert (large.space, large.alpha, large.bits) == (small.space, small.alpha, small.bits)


def test_other_readers_agree(tmp_path):
    """tifffile undoes deflate and differences by its own code."""
    for bands, dtype in KINDS:
        target, _ = enlarge(saved(tmp_path / "a.tif", picture(bands, dtype, 700, 600)))
        with tifffile.TiffFile(target) as opened:
            assert opened.is_bigtiff
            assert opened.pages[0].is_tiled
            pixels = opened.asarray().reshape(1400, 1200, bands)
        assert np.array_equal(pixels, formats.read(target).pixels)


@pytest.mark.parametrize("orientation", [1, 6, 8])
def test_metadata_is_kept(tmp_path, orientation):
    path = tmp_path / "a.tif"
    extras = [(274, 3, 1, orientation, True), (315, 2, 0, "A. Painter", True)]
    extras += [(34675, 7, 8, b"profile!", True), (700, 1, 6, b"<xmp/>", True)]
    size = {"resolution": (300, 300), "resolutionunit": 2}
    saved(path, picture(), rowsperstrip=5, extratags=extras, metadata=None, **size)
    target, _ = enlarge(path)
    with tifffile.TiffFile(target) as opened:
        tags = opened.pages[0].tags
        assert tags[274].value == orientation
        assert tags[315].value == "A. Painter"
        assert tags[34675].value == b"profile!"
        assert bytes(tags[700].value) == b"<xmp/>"
        assert tags[282].value == (300, 1)
    assert formats.peek(target).width == (340 if orientation == 1 else 300)
    bare, _ = enlarge(path, strip_metadata=True)
    with tifffile.TiffFile(bare) as opened:
        assert 315 not in opened.pages[0].tags
        assert opened.pages[0].tags[274].value == orientation


def test_strips_are_decoded_once_a_row_of_cells_and_again_where_it_goes_back(tmp_path):
    pixels = picture(3, "uint8", 400, 90)
    path = saved(tmp_path / "a.tif", pixels, rowsperstrip=3, compression="zlib")
    with large_tiff._opened(path) as (file, facts):
        window = large_tiff.Window(path, file, facts)
        for rows in (slice(0, 60), slice(20, 120), slice(10, 30), slice(300, 400), slice(0, 5)):
            for columns in (slice(0, 50), slice(40, 90)):
                assert np.array_equal(window[rows, columns], pixels[rows, columns])


def test_what_is_not_taken(tmp_path, monkeypatch):
    floats = tmp_path / "f.tif"
    tifffile.imwrite(floats, np.random.default_rng(0).random((150, 170), np.float32))
    assert media.of(floats) is media.MEDIA["tiff-pages"]
    path = saved(tmp_path / "a.tif", picture())
    with pytest.raises(LimitError, match=r"a\.tif.*--max-input-pixels"):
        LARGE.peek(path, DEFAULT.changed(input_pixels=20_000))
    with pytest.raises(LimitError, match="--max-file-bytes"):
        LARGE.peek(path, DEFAULT.changed(file_bytes=1000))
    with pytest.raises(UsageError, match=r"\.tif"):
        made(small_lift()).upscale_file(path, tmp_path / "a.png")
    monkeypatch.setattr(large_tiff, "LARGE", 10**9)
    assert media.of(path) is None


@pytest.mark.parametrize("options", [{"rowsperstrip": 7}, {"tile": (32, 48)}])
def test_damaged_pixels_leave_nothing_behind(tmp_path, options):
    path = saved(tmp_path / "a.tif", picture(), compression="zlib", **options)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as opened:
        start = opened.pages[0].dataoffsets[-2]
    data[start : start + 40] = b"\xff" * 40
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tif"):
        enlarge(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("tile", [(16, 16), (50, 30), (7, 1000)])
def test_a_mosaic_hands_on_every_tile_once(tile):
    pixels = np.arange(2 * 100 * 90).reshape(2, 100, 90)
    made_of, seen, most = np.zeros_like(pixels), [], 0
    mosaic = Mosaic(pixels.shape, pixels.dtype, tile, lambda box, part: put(box, part))

    def put(box, part):
        made_of[(slice(None), *box.slices())] = part
        seen.append(replace(box))

    for cell in tiles.grid(100, 90, 1, 20):
        mosaic.put(cell.top, cell.left, pixels[(slice(None), *cell.slices())])
        most = max(most, sum(samples.nbytes for samples, _ in mosaic._open.values()))
    assert np.array_equal(made_of, pixels)
    assert len(set(seen)) == len(seen) == -(-100 // tile[0]) * -(-90 // tile[1])
    assert not mosaic._open
    assert most <= mosaic.held(20)


@pytest.mark.parametrize(("bands", "dtype"), KINDS)
@pytest.mark.parametrize("options", [{"rowsperstrip": 7}, {"tile": (32, 48)}])
def test_any_size_is_that_of_the_small_way(tmp_path, monkeypatch, bands, dtype, options):
    monkeypatch.setattr(pieces, "CELL", 96)
    monkeypatch.setattr(pieces, "LEAST", 16)
    path = saved(tmp_path / "a.tif", picture(bands, dtype), compression="zlib", **options)
    upscaler, target = made(small_lift(), size=Size(scale=1.7)), tmp_path / "large.tif"
    upscaler.upscale_file(path, target)
    large = formats.read(target)
    assert (large.width, large.height) == (289, 255)
    monkeypatch.setattr(large_tiff, "LARGE", 2**26)
    small = upscaler(path_pixels(path))
    seen = small[..., -1] > 0 if large.alpha else slice(None)
    step = 1 if dtype == "uint8" else 8
    assert np.abs(large.pixels.astype(int) - small)[seen].max() <= step


def path_pixels(path):
    return formats.read(path).pixels


def test_a_turned_one_is_sized_as_it_is_seen(tmp_path):
    path = saved(tmp_path / "a.tif", picture(), extratags=[(274, 3, 1, 6, True)], metadata=None)
    extent = LARGE.peek(path, DEFAULT)
    assert (extent.width, extent.height) == (150, 170)
    target = tmp_path / "large.tif"
    made(small_lift(), size=Size(sides=(200, 220))).upscale_file(path, target)
    header = formats.peek(target)
    assert (header.width, header.height) == (200, 220)
    with tifffile.TiffFile(target) as opened:
        assert opened.pages[0].shape[:2] == (200, 220)

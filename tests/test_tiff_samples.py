"""TIFFs whose tags are odd and whose pixels are whole, compressions of others, what is left out."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from formats_samples import noise
from reslift import formats, media
from reslift.errors import InputError
from reslift.media import Wishes, large_tiff
from reslift.media.tiff_pages import TiffPages
from small_models import bicubic_lift, made

PIXELS = noise(33, 41, 3)
ODD = {
    "a description beside tifffile's own": {"description": "a cell"},
    "a text of bytes": {"extratags": [(305, "B", 3, b"abc")], "metadata": None, "software": False},
    "big-endian": {"description": "a cell", "byteorder": ">"},
    "BigTIFF": {"description": "a cell", "bigtiff": True},
    "BigTIFF, big-endian": {"description": "a cell", "bigtiff": True, "byteorder": ">"},
    "tiles": {"description": "a cell", "tile": (16, 16)},
    "deflate": {"description": "a cell", "compression": "deflate", "predictor": True},
    "planes": {"description": "a cell", "planarconfig": "separate"},
}


def write(path, pixels=PIXELS, **options):
    if options.get("planarconfig") == "separate":
        pixels = np.moveaxis(pixels, -1, 0)
    tifffile.imwrite(path, pixels, photometric="rgb", **options)
    return path


@pytest.mark.parametrize("options", ODD.values(), ids=ODD)
def test_odd_tags_do_not_make_pixels_unreadable(options, tmp_path):
    picture = formats.read(write(tmp_path / "a.tif", **options))
    assert np.array_equal(picture.pixels, PIXELS)
    assert picture.notes == ()


def test_each_page_with_odd_tags(tmp_path):
    pages = [PIXELS, noise(9, 20, 3), noise(7, 5, 3, bits=16)]
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for number, page in enumerate(pages):
            writer.write(page, photometric="rgb", description=f"page {number}")
    TiffPages().upscale(made(bicubic_lift(2)), tmp_path / "a.tif", tmp_path / "b.tif", Wishes())
    with tifffile.TiffFile(tmp_path / "b.tif") as result:
        assert [page.description for page in result.pages] == ["page 0", "page 1", "page 2"]
        for large, small in zip(result.pages, pages, strict=True):
            assert large.shape == (2 * small.shape[0], 2 * small.shape[1], 3)
            assert abs(large.asarray().mean() / small.mean() - 1) < 0.05


@pytest.mark.parametrize("options", [{}, {"tile": (32, 32)}])
def test_a_large_one_with_odd_tags(options, tmp_path, monkeypatch):
    monkeypatch.setattr(large_tiff, "LARGE", 10_000)
    pixels = noise(150, 170, 3)
    source = write(tmp_path / "a.tif", pixels, description="a cell", **options)
    assert media.of(source) is media.MEDIA["large-tiff"]
    target = tmp_path / "b.tif"
    media.of(source).upscale(made(bicubic_lift(2)), source, target, Wishes())
    assert tifffile.imread(target).shape == (300, 340, 3)
    assert media.of(source).verify(source, target) == ()
    assert [layer.name for layer in media.of(source).layers(source, target)] == [
        "red",
        "green",
        "blue",
    ]


def test_damage_is_seen_through_odd_tags(tmp_path):
    path = write(tmp_path / "a.tif", description="a cell", compression="deflate", rowsperstrip=8)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as opened:
        start = opened.pages[0].dataoffsets[1]
    data[start + 40 : start + 60] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tif"):
        formats.read(path)


@pytest.mark.parametrize("compression", ["zstd", "lzma"])
def test_compressions_that_libvips_lacks(compression, tmp_path):
    path = write(tmp_path / "a.tif", compression=compression)
    assert np.array_equal(formats.read(path).pixels, PIXELS)


def test_a_compression_that_needs_more_says_what(tmp_path, monkeypatch):
    def asarray(self):
        raise ValueError("<COMPRESSION.ZSTD: 50000> requires the 'imagecodecs' package")

    path = write(tmp_path / "a.tif", compression="zstd")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", asarray)
    with pytest.raises(InputError, match=r"ZSTD needs imagecodecs: python -m pip"):
        formats.read(path)


def test_complex_numbers_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((9, 9), np.complex64))
    with pytest.raises(InputError, match="complex numbers"):
        formats.read(tmp_path / "a.tif")


def test_what_is_no_page_is_told(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(PIXELS, photometric="rgb", subifds=1, metadata=None)
        writer.write(PIXELS[::2, ::2], photometric="rgb", subfiletype=1, metadata=None)
        writer.write(PIXELS[::4, ::4], photometric="rgb", subfiletype=1, metadata=None)
        writer.write(PIXELS[..., 0] > 99, photometric=4, subfiletype=4, metadata=None)
    notes = formats.read(tmp_path / "a.tif").notes
    assert len(notes) == 3
    for note, words in zip(
        notes, ("SubIFDs", "masks (1)", "copies of the picture (1)"), strict=True
    ):
        assert words in note

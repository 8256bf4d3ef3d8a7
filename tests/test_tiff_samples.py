"""TIFFs whose tags are odd and whose pixels are whole, compressions of others, what is left out."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

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


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("samples", [3, 4, 5])
def test_16_bit_floats_in_separate_planes(samples, compression, order, tmp_path):
    values = np.random.default_rng(0).uniform(0, 1, (samples, 29, 37)).astype(np.float16)
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        photometric="rgb" if samples < 5 else "separated",
        planarconfig="separate",
        extrasamples=["unassalpha"] if samples > 3 else None,
        compression=compression,
        byteorder=order,
    )
    expected = np.rint(np.moveaxis(values, 0, -1).astype(np.float64) * 65535)
    assert np.array_equal(formats.read(tmp_path / "a.tif").pixels, expected)


def test_16_bit_floats_that_need_more_say_what(tmp_path, monkeypatch):
    def asarray(self):
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    path = write(tmp_path / "a.tif", (PIXELS / 255).astype(np.float16), planarconfig="separate")
    monkeypatch.setattr(tifffile.TiffPage, "asarray", asarray)
    with pytest.raises(InputError, match=r"like this needs imagecodecs: python -m pip"):
        formats.read(path)


@pytest.mark.parametrize("dtype", ["i2", "i4", "f2", "f4", "f8"])
def test_values_whose_white_is_zero_are_inverted_as_a_picture(dtype, tmp_path):
    values = np.linspace(-3, 60, 9 * 11).reshape(9, 11).astype(dtype)
    for kind in ("minisblack", "miniswhite"):
        tifffile.imwrite(tmp_path / f"{kind}.tif", values, photometric=kind)
    black = formats.read(tmp_path / "minisblack.tif")
    white = formats.read(tmp_path / "miniswhite.tif")
    assert np.abs(white.pixels - (65535.0 - black.pixels)).max() <= 1
    assert "-3…60" in black.notes[0]
    assert "60…-3 is mapped to 0…65535, as white is zero" in white.notes[0]


def test_white_that_is_zero_with_alpha_and_what_is_no_number(tmp_path):
    values = np.linspace(0, 1, 9 * 11 * 2, dtype=np.float32).reshape(9, 11, 2)
    values[2, 3, 0] = np.nan
    options = {"photometric": "miniswhite", "planarconfig": "contig"}
    tifffile.imwrite(tmp_path / "a.tif", values, extrasamples=["unassalpha"], **options)
    pixels = formats.read(tmp_path / "a.tif").pixels
    expected = np.rint([65535, 0] + values.astype(np.float64) * [-65535, 65535])
    expected[2, 3, 0] = 0
    assert np.abs(pixels - expected).max() <= 1


def test_white_that_is_zero_in_a_compression_that_libvips_lacks(tmp_path):
    options = {"photometric": "miniswhite", "compression": "lzma"}
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[..., 0], **options)
    assert np.array_equal(formats.read(tmp_path / "a.tif").pixels[..., 0], 255 - PIXELS[..., 0])


@pytest.mark.parametrize("bits", [8, 16])
def test_the_depth_of_a_palette_image_is_told(bits, tmp_path):
    table = np.random.default_rng(0).integers(0, 2**16, (3, 2**bits), dtype=np.uint16)
    pixels = noise(9, 11, bits=bits)
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="palette", colormap=table)
    picture = formats.read(tmp_path / "a.tif")
    assert picture.bits == bits
    assert picture.notes == (f"palette image becomes {bits}-bit RGB",)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_palette_of_grays_is_read(bits, tmp_path):
    """libvips hands out one band of it, and it was refused as another content than announced."""
    shades = np.linspace(255, 0, 2**bits).astype(np.uint8)
    pixels = noise(9, 11) >> (8 - bits)
    image = Image.fromarray(pixels).convert("P")
    image.putpalette([*shades.repeat(3)])
    image.save(tmp_path / "a.tif", bits=bits)
    picture = formats.read(tmp_path / "a.tif")
    assert picture.space == "rgb"
    assert np.array_equal(picture.pixels, shades[pixels].reshape(9, 11, 1).repeat(3, 2))


def unnamed(path, pixels, photometric):
    """A TIFF that does not say what its further samples are, as old programs write it."""
    tifffile.imwrite(path, pixels, photometric=photometric, planarconfig="contig", metadata=None)
    data = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as opened:
        tag = opened.pages[0].tags["ExtraSamples"]
    data[tag.offset : tag.offset + 2] = (65000).to_bytes(2, "little")
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("samples", "photometric"), [(2, "minisblack"), (4, "rgb"), (5, "separated")]
)
def test_a_further_channel_that_no_tag_names_is_alpha(samples, photometric, tmp_path):
    pixels = noise(9, 11, samples)
    picture = formats.read(unnamed(tmp_path / "a.tif", pixels, photometric))
    assert picture.alpha
    assert np.array_equal(picture.pixels, pixels)
    assert picture.notes == ("the unnamed extra channel is taken for alpha",)


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize(("samples", "photometric"), [(5, "rgb"), (3, "minisblack")])
def test_further_channels_are_carried_over(samples, photometric, named, tmp_path):
    path, pixels = tmp_path / "a.tif", np.sort(noise(12, 14, samples), axis=0)
    if named:
        tifffile.imwrite(path, pixels, photometric=photometric, planarconfig="contig")
    else:
        unnamed(path, pixels, photometric)
    made(bicubic_lift()).upscale_file(path, tmp_path / "b.tif")
    large = tifffile.imread(tmp_path / "b.tif")
    assert large.shape == (24, 28, samples)
    small = large.reshape(12, 2, 14, 2, samples).mean((1, 3))
    assert np.abs(small - pixels).mean() < 8


@pytest.mark.parametrize(("bits", "samples"), [(4, 3), (2, 4), (1, 2)])
def test_several_samples_in_a_byte_are_refused_by_the_header(bits, samples, tmp_path):
    pixels = noise(8, 8, samples)
    kind = "rgb" if samples > 2 else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric=kind, planarconfig="contig")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as opened:
        at = opened.pages[0].tags["BitsPerSample"].valueoffset
    data[at : at + 2 * samples] = bits.to_bytes(2, "little") * samples
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(InputError, match=f"{samples} samples of {bits} bits a sample"):
        formats.peek(tmp_path / "a.tif")


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

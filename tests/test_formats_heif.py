"""AVIF, HEIC, JPEG XL: files by Pillow, pillow-heif and imagecodecs; ours reopened by Pillow."""

from __future__ import annotations

import sys
from io import BytesIO

import imagecodecs
import numpy as np
import pillow_heif
import pillow_jxl  # noqa: F401  (Pillow writes JPEG XL with it)
import pytest
from PIL import Image

import formats_samples as make
from reslift import formats
from reslift.errors import InputError, OutputError, UsageError
from reslift.formats import Picture, boxes
from reslift.formats.exif import orientation


def heic(pixels, **more):
    """Nearly lossless, with everything beside the pixels."""
    bands, bits = pixels.shape[2], 8 * pixels.itemsize
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[bands] + (";16" if bits == 16 else "")
    image = pillow_heif.from_bytes(mode, pixels.shape[1::-1], pixels.tobytes())
    buffer = BytesIO()
    image.save(buffer, quality=-1, chroma=444, **more)
    return buffer.getvalue()


def read(tmp_path, data):
    path = tmp_path / "a"
    path.write_bytes(data)
    header, picture = formats.peek(path), formats.read(path)
    found = (header.height, header.width, header.bands)
    assert picture.pixels.shape == found and header.bits == picture.bits
    assert (header.space, header.alpha) == (picture.space, picture.alpha)
    return picture


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("bands", [1, 3, 4])
def test_heic(tmp_path, bands, bits):
    pixels = make.smooth(bands, bits=bits)
    icc = make.GRAY if bands == 1 else make.SRGB
    more = {"exif": make.exif_block(6), "icc_profile": icc, "xmp": make.XMP}
    picture = read(tmp_path, heic(pixels, **more))
    assert (picture.format, picture.alpha, picture.icc) == ("heic", bands == 4, icc)
    error = np.abs(picture.pixels.astype(int) - np.rot90(pixels, -1))
    assert error.max() <= (2 if bits == 8 else 130), "10 bits of 16 are kept, turned upright"
    assert orientation(picture.exif) == 1 and b'Orientation="1"' in picture.xmp
    assert picture.notes == (("10 bits a sample become 16",) if bits == 16 else ())


@pytest.mark.parametrize("bits", [8, 12, 16])
@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_jpeg_xl(tmp_path, bands, bits):
    pixels = make.smooth(bands, bits=8 if bits == 8 else 16) >> (4 if bits == 12 else 0)
    stored = pixels if bands > 1 else pixels[..., 0]
    options = {"bitspersample": 12} if bits == 12 else {}
    picture = read(tmp_path, imagecodecs.jpegxl_encode(stored, lossless=True, **options))
    expected = np.rint(pixels * (65535 / 4095)) if bits == 12 else pixels
    np.testing.assert_array_equal(picture.pixels, expected)
    assert picture.format == "jxl" and picture.icc[36:40] == b"acsp"


@pytest.mark.parametrize("shape", [(1, 1), (40, 56), (56, 40), (600, 33), (9000, 3), (27, 48)])
def test_jpeg_xl_sizes_and_metadata(tmp_path, shape):
    pixels = make.smooth(3, *shape)
    options = {"lossless": True, "exif": make.exif_block(1), "xmp": make.XMP}
    data = make.saved(Image.fromarray(pixels), "JXL", use_container=True, **options)
    picture = read(tmp_path, data)
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.exif == make.exif_block(1) and b'Orientation="1"' in picture.xmp


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("alpha", [False, True])
def test_avif_written(tmp_path, alpha, bits):
    pixels = make.smooth(3 + alpha, bits=bits)
    icc, exif, xmp = make.SRGB, make.exif_block(1), make.XMP
    picture = Picture(pixels, "rgb", alpha, icc, exif, xmp)
    notes = formats.write(tmp_path / "a.avif", picture)
    assert notes == (("AVIF holds 12 bits a sample: 16 bits are rounded to 12",) * (bits == 16))
    with Image.open(tmp_path / "a.avif") as image:
        error = np.abs(np.asarray(image).astype(int) - (pixels >> (bits - 8)))
        assert error.max() <= 4 and image.info["icc_profile"] == icc
        assert image.info["xmp"] == xmp
        assert image.getexif()[271] == "Maker" and image.getexif().get_ifd(34853)[1] == "N"
    back = read(tmp_path, (tmp_path / "a.avif").read_bytes())
    assert np.abs(back.pixels.astype(int) - pixels).max() <= (4 if bits == 8 else 400)
    assert back.icc == icc and len(back.exif) == len(exif)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_avif_by_pillow(tmp_path, mode, orientation):
    from reslift.formats.turn import upright

    pixels = make.smooth(len(mode))
    exif = b"Exif\0\0" + make.exif_block(orientation)
    options = {"quality": 100, "subsampling": "4:4:4", "exif": exif, "icc_profile": make.SRGB}
    picture = read(tmp_path, make.saved(Image.fromarray(pixels), "AVIF", **options))
    error = picture.pixels.astype(int) - upright(pixels, orientation)
    assert np.abs(error).max() <= 3 and picture.icc == make.SRGB


def test_a_moving_avif_says_that_it_gives_its_first_picture(tmp_path):
    frames = [Image.fromarray(make.smooth(3)), Image.fromarray(make.smooth(3)[::-1].copy())]
    data = make.saved(frames[0], "AVIF", save_all=True, append_images=frames[1:], duration=100)
    assert "animation: only the first picture is used" in read(tmp_path, data).notes


@pytest.mark.parametrize("kind", ["avif", "heic", "jxl"])
def test_cut_off(tmp_path, kind):
    pixels = make.noise(40, 60, 3)
    data = {
        "avif": lambda: make.saved(Image.fromarray(pixels), "AVIF", exif=make.exif_block(1)),
        "heic": lambda: heic(pixels, exif=make.exif_block(1)),
        "jxl": lambda: imagecodecs.jpegxl_encode(pixels, lossless=True),
    }[kind]()
    for part in range(1, 16):
        (tmp_path / "cut").write_bytes(data[: len(data) * part // 16])
        with pytest.raises(InputError, match="cut"):
            formats.read(tmp_path / "cut")


@pytest.mark.parametrize(("kind", "module"), [("heif", "pillow_heif"), ("jxl", "imagecodecs")])
def test_without_the_extra(tmp_path, monkeypatch, kind, module):
    pixels = make.smooth(3)
    data = heic(pixels) if kind == "heif" else imagecodecs.jpegxl_encode(pixels)
    (tmp_path / "a").write_bytes(data)
    monkeypatch.setitem(sys.modules, module, None)
    assert formats.peek(tmp_path / "a").width == 64
    with pytest.raises(InputError, match=rf"needs: pip install 'reslift\[{kind}\]'"):
        formats.read(tmp_path / "a")


def test_what_is_only_read_becomes_png():
    for name, format in formats.READ_ONLY.items():
        assert formats.result_of(name).name == "png"
        assert set(format.suffixes) <= formats.readable_suffixes()
        with pytest.raises(UsageError, match="is read, not written"):
            formats.format_of(f"a{format.suffixes[0]}")
        with pytest.raises(OutputError, match="is read, not written"):
            format.encode("a", None, None, 95)


PQ = {"color_primaries": 9, "transfer_characteristics": 16, "matrix_coefficients": 9}


def test_colours_named_by_numbers_are_kept(tmp_path):
    """BT.2020 with PQ from HEIC, without a profile: without its numbers it would be shown pale."""
    data = BytesIO()
    pillow_heif.encode("RGB", (64, 48), make.smooth(3).tobytes(), data, full_range_flag=1, **PQ)
    picture = read(tmp_path, data.getvalue())
    formats.write(tmp_path / "b.png", picture)
    named = make.chunk(b"cICP", bytes((9, 16, 0, 1)))
    assert named in (tmp_path / "b.png").read_bytes()
    assert formats.write(tmp_path / "c.avif", formats.read(tmp_path / "b.png")) == ()
    assert b"colrnclx\0\x09\0\x10\0\x06\x80" in (tmp_path / "c.avif").read_bytes()
    with Image.open(tmp_path / "c.avif") as image:
        error = np.abs(np.asarray(image).astype(int) - picture.pixels)
    assert error.mean() < 1, "the matrix that is named is the one that was used"
    formats.write(tmp_path / "d.png", formats.read(tmp_path / "c.avif"))
    assert named in (tmp_path / "d.png").read_bytes()
    assert formats.write(tmp_path / "e.jpg", picture) == ("not kept in JPEG: cICP",)


def test_a_profile_goes_before_numbers_and_srgb_needs_none(tmp_path):
    data = heic(make.smooth(3), icc_profile=make.SRGB)
    assert read(tmp_path, data).extra == ()
    plain = BytesIO()
    pillow_heif.encode("RGB", (64, 48), make.smooth(3).tobytes(), plain)
    assert read(tmp_path, plain.getvalue()).extra == ()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        (b"urn:com:apple:photo:2020:aux:hdrgainmap", "its HDR gain map is left out"),
        (b"urn:com:apple:photo:2018:aux:portraiteffectsmatte", "depth, mattes"),
    ],
)
def test_pictures_that_belong_to_it_are_told(tmp_path, kind, told):
    image = pillow_heif.from_pillow(Image.fromarray(make.smooth(3)))
    image.add_from_pillow(Image.fromarray(make.smooth(1)[..., 0]))
    buffer = BytesIO()
    image.save(buffer)
    assert read(tmp_path, buffer.getvalue()).notes == ("2 pictures: only the first is used",)

    tops = dict(boxes._boxes(buffer.getvalue()))
    meta = boxes._meta(tops[b"meta"])
    meta.primary, meta.references = 2, [(b"auxl", 2, [1])]
    property_ = b"\0\0\0\0" + kind + b"\0"
    body = boxes._built(tops[b"meta"], meta, {}, property_, 0, 0)
    body = boxes._built(tops[b"meta"], meta, {}, property_, len(body) - len(tops[b"meta"]), 0)
    tops[b"meta"] = body.replace(b"colr" + property_, b"auxC" + property_)
    film = boxes._box(b"mpvd", b"a film")
    data = b"".join(boxes._box(name, content) for name, content in tops.items()) + film
    notes = read(tmp_path, data).notes
    assert told in notes[0] and notes[1:] == ("the film of a motion photo is left out",)

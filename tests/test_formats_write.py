"""Writing: what we write, reopened by independent readers."""

from __future__ import annotations

import dataclasses
from io import BytesIO

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import formats_samples as make
from formats_samples import HEIGHT, SRGB, WIDTH, XMP, noise, picture_of, smooth
from reslift import formats
from reslift.errors import OutputError, OutputExists, UnknownName, UsageError
from reslift.formats import Picture
from reslift.formats.base import COLOURS

KINDS = [(space, alpha, bits) for space in COLOURS for alpha in (False, True) for bits in (8, 16)]
EXACT = ("png", "tiff", "bmp")


def reopened(path, format):
    """Samples (height, width, bands) by a reader that is not libvips."""
    if format == "tiff":
        samples = tifffile.imread(path)
    elif format == "png":
        samples = png_samples(path.read_bytes())
    else:
        with Image.open(path) as image:
            samples = np.asarray(image)
    return samples.reshape(*samples.shape[:2], -1)


def png_samples(data):
    """A PNG reader of few lines, because Pillow makes 16-bit colours 8-bit."""
    import zlib

    at, body, head = 8, b"", b""
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        name, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        head = content if name == b"IHDR" else head
        body += content if name == b"IDAT" else b""
        at += 12 + length
    width, height = (int.from_bytes(head[i : i + 4], "big") for i in (0, 4))
    bits, bands = head[8], {0: 1, 2: 3, 4: 2, 6: 4}[head[9]]
    step = bands * bits // 8
    raw = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, -1)
    rows, above = [], [0] * (raw.shape[1] - 1)
    for kind, *line in raw.tolist():
        for i, value in enumerate(line):
            a, b, c = (
                line[i - step] if i >= step else 0,
                above[i],
                above[i - step] if i >= step else 0,
            )
            paeth = min((a, b, c), key=lambda v, p=a + b - c: abs(p - v))
            line[i] = (value + (0, a, b, (a + b) // 2, paeth)[kind]) & 255
        rows.append(line)
        above = line
    samples = np.array(rows, np.uint8)
    return samples.view(">u2" if bits == 16 else "u1").reshape(height, width, bands)


@pytest.mark.parametrize(("space", "alpha", "bits"), KINDS)
@pytest.mark.parametrize("format", EXACT)
def test_what_a_format_holds_comes_back_exactly(tmp_path, format, space, alpha, bits):
    picture = picture_of(space, alpha, bits)
    path = tmp_path / f"a.{format}"
    notes = formats.write(path, picture)
    assert notes == formats.check_fits(format, WIDTH, HEIGHT, picture)
    back = formats.read(path)
    samples = reopened(path, format)
    if format == "tiff":
        samples = samples[:HEIGHT]
    np.testing.assert_array_equal(samples, back.pixels)
    if not notes:
        np.testing.assert_array_equal(back.pixels, picture.pixels)
        assert (back.space, back.alpha, back.bits) == (space, alpha, bits)


@pytest.mark.parametrize(("space", "alpha", "bits"), KINDS)
@pytest.mark.parametrize("format", formats.FORMATS)
def test_every_kind_into_every_format(tmp_path, format, space, alpha, bits):
    pixels = smooth(COLOURS[space] + alpha, bits=bits)
    if alpha:
        pixels[..., -1] = 2**bits - 1
    picture = picture_of(space, alpha, bits, pixels=pixels)
    path = tmp_path / f"a.{format}"
    notes = formats.write(path, picture)
    header, back = formats.peek(path), formats.read(path)
    told = formats.FORMATS[format].holds
    assert header.bits in told.bits and header.space in told.spaces
    assert not header.alpha or header.space in told.alpha
    expected = pixels.astype(float) / (257 if bits == 16 else 1)
    found = back.pixels.astype(float) / (257 if back.bits == 16 else 1)
    if space == "cmyk" and header.space == "rgb":
        assert notes[0] == f"{formats.FORMATS[format].label} has no CMYK: converted to sRGB"
        return
    bands = COLOURS[space]
    shown = found[..., :1] if space == "gray" else found[..., :bands]
    assert np.abs(shown - expected[..., :bands]).max() <= (0.51 if format in EXACT else 9)
    lost = [note for note in notes if "alpha" in note and "composited" in note]
    hides_nothing = format == "gif"  # it has transparency, and here there is nothing to hide
    assert bool(lost) == (alpha and not header.alpha and not hides_nothing)


def test_alpha_is_composited_on_white(tmp_path):
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[8:, :, :3] = 100
    pixels[8:, :, 3] = 128
    notes = formats.write(tmp_path / "a.jpg", picture_of(alpha=True, pixels=pixels))
    assert notes == ("JPEG has no alpha: composited on white",)
    back = np.asarray(Image.open(tmp_path / "a.jpg"))
    assert (back[:7] >= 254).all()
    assert np.abs(back[9:].astype(int) - 177).max() <= 2


@pytest.mark.parametrize("bits", [8, 16])
def test_cmyk_keeps_its_colours(tmp_path, bits):
    pixels = smooth(4, bits=bits)
    eight = (pixels / 257).round().astype(np.uint8) if bits == 16 else pixels
    for name in ("a.jpg", "a.tif"):
        formats.write(tmp_path / name, picture_of("cmyk", bits=bits, pixels=pixels))
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.mode == "CMYK"
        assert np.abs(np.asarray(image).astype(int) - eight).max() <= 8
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), pixels)


def test_cmyk_to_rgb_makes_white_paper_white(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[2:, :, 0] = 255
    formats.write(tmp_path / "a.png", picture_of("cmyk", pixels=pixels))
    back = formats.read(tmp_path / "a.png").pixels.astype(int)
    assert (back[:2] >= 253).all()
    red, green, blue = back[3, 3]
    assert red < 60 < green < blue, "cyan ink looks cyan"


@pytest.mark.parametrize("format", formats.FORMATS)
def test_the_same_picture_gives_the_same_bytes(tmp_path, format):
    block = make.exif_block()
    picture = picture_of(
        pixels=noise(150, 200, 3), icc=SRGB, exif=block, xmp=XMP, resolution=(300.0, 150.0, "inch")
    )
    found = set()
    for name in ("a", "b", "c"):
        formats.write(tmp_path / name, picture, format=format)
        found.add((tmp_path / name).read_bytes())
    assert len(found) == 1


def test_jpeg_is_written_with_full_chroma_at_the_quality_asked(tmp_path):
    picture = picture_of(pixels=smooth(3))
    sizes = []
    for quality in (50, 95):
        formats.write(tmp_path / "a.jpg", picture, quality=quality, overwrite=True)
        with Image.open(tmp_path / "a.jpg") as image:
            assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3
            reference = BytesIO()
            Image.fromarray(picture.pixels).save(reference, "JPEG", quality=quality)
            assert image.quantization == Image.open(reference).quantization
        sizes.append((tmp_path / "a.jpg").stat().st_size)
    assert sizes[0] < sizes[1]
    for quality in (0, 101):
        with pytest.raises(UsageError, match=f"quality {quality}"):
            formats.write(tmp_path / "b.jpg", picture, quality=quality)


def test_lossless_webp_stays_lossless(tmp_path):
    pixels = noise(HEIGHT, WIDTH, 4)
    lossless = picture_of(alpha=True, pixels=pixels, format="webp", lossless=True)
    formats.write(tmp_path / "a.webp", lossless)
    back = formats.read(tmp_path / "a.webp")
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.lossless
    formats.write(tmp_path / "b.webp", dataclasses.replace(lossless, lossless=False))
    assert not formats.read(tmp_path / "b.webp").lossless


def test_tiff_beyond_four_gigabytes_would_be_big(tmp_path, monkeypatch):
    monkeypatch.setattr("reslift.formats.tiff.CLASSIC_BYTES", 10)
    picture = picture_of(bits=16, icc=SRGB, exif=make.exif_block(), resolution=(72.0, 72.0, "inch"))
    formats.write(tmp_path / "a.tif", picture)
    with tifffile.TiffFile(tmp_path / "a.tif") as opened:
        assert opened.is_bigtiff
        np.testing.assert_array_equal(opened.asarray(), picture.pixels)
        assert opened.pages[0].tags[34675].value == SRGB
    back = formats.read(tmp_path / "a.tif")
    assert back.resolution == picture.resolution
    assert back.exif is not None


@pytest.mark.parametrize("format", formats.FORMATS)
def test_a_memory_map_is_written(tmp_path, format):
    pixels = np.memmap(tmp_path / "map", np.uint8, "w+", shape=(600, 500, 3))
    pixels[:] = noise(600, 500, 3)
    formats.write(tmp_path / "a", picture_of(pixels=pixels), format=format)
    back = formats.read(tmp_path / "a")
    if format in EXACT:
        np.testing.assert_array_equal(back.pixels, pixels)


@pytest.mark.parametrize(
    ("format", "width", "height"),
    [("jpeg", 65_501, 10), ("webp", 10, 16_384), ("bmp", 40_000, 40_000), ("png", 100_000_001, 1)],
)
def test_too_large_is_said_before_any_work(format, width, height):
    with pytest.raises(OutputError, match=rf"{width}×{height} pixels are too large for"):
        formats.check_fits(format, width, height, picture_of())


def test_told_in_advance():
    assert formats.check_fits("png", 9, 9, picture_of("rgb", True, 16)) == ()
    assert formats.check_fits("jpeg", 9, 9, picture_of("gray", True, 16)) == (
        "JPEG has no alpha: composited on white",
        "JPEG holds 8 bits a sample: 16 bits are rounded to 8",
    )
    assert formats.check_fits("webp", 9, 9, picture_of("cmyk")) == (
        "WebP has no CMYK: converted to sRGB",
    )
    with pytest.raises(UnknownName, match="did you mean"):
        formats.check_fits("jpg", 9, 9, picture_of())


def test_names_and_formats(tmp_path):
    assert formats.format_of("a/b.JPG") == "jpeg"
    assert {
        ".png",
        ".jpg",
        ".jpeg",
        ".webp",
        ".tif",
        ".tiff",
        ".bmp",
    } <= formats.readable_suffixes()
    for name in ("a", "a.psd", "a.svg"):
        with pytest.raises(UsageError, match="names no format"):
            formats.write(tmp_path / name, picture_of())
    for name in ("line\nbreak.png", "żółć 図.tif", "[x].webp", "%d.jpg"):
        formats.write(tmp_path / name, picture_of())
        assert (tmp_path / name).is_file()


def test_an_existing_output_is_kept(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"mine")
    with pytest.raises(OutputExists):
        formats.write(path, picture_of())
    assert path.read_bytes() == b"mine"
    formats.write(path, picture_of(), overwrite=True)
    assert formats.peek(path).width == WIDTH
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("format", formats.FORMATS)
def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path, format):
    resource = pytest.importorskip("resource")
    import signal

    pixels = noise(300, 300, 3)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
        with pytest.raises(OutputError, match="cannot write"):
            formats.write(tmp_path / "a", picture_of(pixels=pixels), format=format)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "pixels", [noise(4, 4), noise(4, 4, 4), noise(4, 4, 3).astype(float), noise(4, 8, 3)[:, ::2]]
)
def test_pixels_that_are_no_picture(pixels):
    with pytest.raises(UsageError):
        Picture(pixels, "rgb", False)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    format=st.sampled_from(EXACT),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    seed=st.integers(0, 99),
)
def test_any_picture_of_any_size_comes_back(tmp_path_factory, kind, format, size, seed):
    space, alpha, bits = kind
    pixels = noise(*size, COLOURS[space] + alpha, bits=bits, seed=seed)
    picture = picture_of(space, alpha, bits, pixels=pixels)
    path = tmp_path_factory.getbasetemp() / "any"
    notes = formats.write(path, picture, format=format, overwrite=True)
    back = formats.read(path)
    assert back.pixels.shape[:2] == size
    if not notes:
        np.testing.assert_array_equal(back.pixels, pixels)
        assert (back.space, back.alpha, back.bits) == kind

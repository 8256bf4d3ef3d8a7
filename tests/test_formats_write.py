"""Writing: what we write, reopened by independent readers; metadata through every format."""

from __future__ import annotations

import dataclasses
from io import BytesIO

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

import formats_samples as make
from formats_samples import GRAY, HEIGHT, SRGB, WIDTH, XMP, noise, smooth
from reslift import formats
from reslift.errors import OutputError, OutputExists, UnknownName, UsageError
from reslift.formats import Picture
from reslift.formats.base import COLOURS

KINDS = [(space, alpha, bits) for space in COLOURS for alpha in (False, True) for bits in (8, 16)]
EXACT = ("png", "tiff", "bmp")


def picture_of(space="rgb", alpha=False, bits=8, pixels=None, **more):
    if pixels is None:
        pixels = noise(HEIGHT, WIDTH, COLOURS[space] + alpha, bits=bits)
    return Picture(pixels, space, alpha, **more)


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
    assert bool(lost) == (alpha and not header.alpha)


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


def test_a_cmyk_profile_is_kept_and_used(tmp_path):
    import pyvips

    profile = bytes(pyvips.Image.profile_load("cmyk"))
    picture = picture_of("cmyk", pixels=smooth(4), icc=profile)
    formats.write(tmp_path / "a.jpg", picture)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["icc_profile"] == profile
    formats.write(tmp_path / "a.png", picture)
    ours = formats.read(tmp_path / "a.png")
    assert ours.icc is None
    source = Image.fromarray(picture.pixels, "CMYK")
    theirs = ImageCms.profileToProfile(
        source,
        ImageCms.ImageCmsProfile(BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        outputMode="RGB",
    )
    assert np.abs(ours.pixels.astype(int) - np.asarray(theirs)).max() <= 3

    broken = profile[:132] + bytes(len(profile) - 132)
    formats.write(tmp_path / "b.png", dataclasses.replace(picture, icc=broken))


def test_cmyk_to_rgb_makes_white_paper_white(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[2:, :, 0] = 255
    formats.write(tmp_path / "a.png", picture_of("cmyk", pixels=pixels))
    back = formats.read(tmp_path / "a.png").pixels.astype(int)
    assert (back[:2] >= 253).all()
    red, green, blue = back[3, 3]
    assert red < 60 < green < blue, "cyan ink looks cyan"


def test_gray_profile_is_applied_where_there_is_no_gray(tmp_path):
    linear = bytearray(GRAY)
    at = linear.index(b"curv") + 12
    linear[at : at + 2] = (1 << 8).to_bytes(2, "big")
    pixels = np.full((8, 8, 1), 55, np.uint8)
    formats.write(tmp_path / "a.webp", picture_of("gray", pixels=pixels, icc=bytes(linear)))
    back = formats.read(tmp_path / "a.webp")
    assert back.icc is None
    assert np.abs(back.pixels.astype(int) - 128).max() <= 3, "55 of linear light is about 128"


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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
def test_metadata_and_orientation_survive(tmp_path, format, bands, orientation):
    if format == "webp" and bands == 1:
        pytest.skip("WebP has no gray")
    stored = smooth(bands) if format == "jpeg" else noise(HEIGHT, WIDTH, bands)
    path, icc = tmp_path / "in", GRAY if bands == 1 else SRGB
    path.write_bytes(make.with_metadata(format, stored, orientation))
    header, picture = formats.peek(path), formats.read(path)
    if format != "tiff":
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image)).reshape(picture.pixels.shape)
        np.testing.assert_array_equal(picture.pixels, expected)
    assert (header.width, header.height) == (picture.width, picture.height)
    if format != "jpeg":
        np.testing.assert_array_equal(picture.pixels, make_upright(stored, orientation))

    sideways = orientation >= 5
    assert picture.icc == icc
    assert picture.xmp == (XMP if orientation == 1 else XMP.replace(b'"6"', b'"1"'))
    if format != "webp":
        across, down = (150, 300) if sideways else (300, 150)
        found = [
            v * {"inch": 1, "m": 0.0254, "cm": 2.54}[picture.resolution[2]]
            for v in picture.resolution[:2]
        ]
        assert found == pytest.approx([across, down], abs=0.02)
    for target in ("png", "jpeg", "webp", "tiff"):
        if target == "webp" and bands == 1:
            continue
        check_metadata(tmp_path, picture, target, icc)


def make_upright(pixels, orientation):
    image = Image.fromarray(pixels.squeeze())
    image.getexif()[274] = orientation
    return np.asarray(ImageOps.exif_transpose(image)).reshape(
        *(pixels.shape[1::-1] if orientation >= 5 else pixels.shape[:2]), -1
    )


def check_metadata(tmp_path, picture, target, icc):
    path = tmp_path / f"out.{target}"
    formats.write(path, picture, overwrite=True)
    with Image.open(path) as image:
        assert image.size == (picture.width, picture.height)
        assert image.info.get("icc_profile") == icc
        exif = image.getexif()
        assert exif.get(274, 1) == 1
        assert exif[271].rstrip("\0") == "Maker"
        below, place = exif.get_ifd(34665), exif.get_ifd(34853)
        assert float(below[33434]) == pytest.approx(0.01)
        assert below[37500] == b"maker note \0\1\2"
        assert {
            k: v if isinstance(v, str) else tuple(map(float, v)) for k, v in place.items()
        } == make.GPS
        if 40962 in below:
            assert (below[40962], below[40963]) == (picture.width, picture.height)
        if picture.resolution and target != "webp":
            scale = {"inch": 1, "m": 0.0254, "cm": 2.54}[picture.resolution[2]]
            found = [float(v) for v in image.info["dpi"]]
            assert found == pytest.approx([v * scale for v in picture.resolution[:2]], abs=0.51)
    again = formats.read(path)
    assert (again.icc, again.xmp) == (icc, picture.xmp)
    assert again.pixels.shape == picture.pixels.shape


@pytest.mark.parametrize("unit", ["inch", "cm", "m", "none"])
@pytest.mark.parametrize("format", formats.FORMATS)
def test_resolution_keeps_its_unit(tmp_path, format, unit):
    given = (300.0, 150.0, unit) if unit != "m" else (11811.0, 5906.0, "m")
    formats.write(tmp_path / "a", picture_of(resolution=given), format=format)
    found = formats.read(tmp_path / "a").resolution
    if unit == "none":
        assert found is None or found == given
        return
    metres = {"inch": 0.0254, "cm": 0.01, "m": 1.0}
    same = [v / metres[found[2]] for v in found[:2]]
    assert same == pytest.approx([v / metres[unit] for v in given[:2]], rel=0.002)
    again = tmp_path / "b"
    formats.write(again, picture_of(resolution=found), format=format)
    assert formats.read(again).resolution == found


def test_bmp_holds_a_profile_and_says_what_it_cannot(tmp_path):
    picture = picture_of(icc=SRGB, exif=make.exif_block(), xmp=XMP)
    notes = formats.write(tmp_path / "a.bmp", picture)
    assert notes == ("BMP has no EXIF: it is dropped", "BMP has no XMP: it is dropped")
    assert formats.read(tmp_path / "a.bmp").icc == SRGB


def test_png_text_and_jpeg_comment_survive_in_their_own_format(tmp_path):
    path = tmp_path / "in"
    path.write_bytes(make.with_metadata("png", noise(HEIGHT, WIDTH, 3), 1))
    picture = formats.read(path)
    formats.write(tmp_path / "a.png", picture)
    with Image.open(tmp_path / "a.png") as image:
        assert image.text["Title"] == "a title"
    assert formats.write(tmp_path / "a.jpg", picture) == ("not kept in JPEG: tEXt",)
    path.write_bytes(make.with_metadata("jpeg", smooth(3), 1))
    formats.write(tmp_path / "b.jpg", formats.read(path))
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["comment"] == b"a comment"


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff", "bmp"])
def test_a_broken_profile_is_kept_and_noted(tmp_path, format):
    formats.write(tmp_path / "a", picture_of(icc=b"broken profile"), format=format)
    back = formats.read(tmp_path / "a")
    assert back.icc == b"broken profile"
    assert back.notes == ("the ICC profile is damaged; it is kept as it is",)
    formats.write(tmp_path / "b", picture_of("cmyk", icc=b"broken profile"), format=format)


def test_a_profile_for_other_colours_is_kept_and_noted(tmp_path):
    formats.write(tmp_path / "a.png", picture_of("gray", icc=SRGB))
    back = formats.read(tmp_path / "a.png")
    assert back.icc == SRGB
    assert back.notes == ("the ICC profile is for rgb, the picture is gray; it is kept as it is",)


def test_long_metadata(tmp_path):
    icc = SRGB + bytes(200_000)
    formats.write(tmp_path / "a.jpg", picture_of(icc=icc))
    assert formats.read(tmp_path / "a.jpg").icc == icc
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["icc_profile"] == icc
    notes = formats.write(tmp_path / "b.jpg", picture_of(xmp=bytes(70_000)))
    assert notes == ("XMP of 70,029 bytes is too long for JPEG and is dropped",)


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
    for name in ("a", "a.gif", "a.svg"):
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


def test_profiles_of_the_tests_are_profiles():
    for data in (GRAY, SRGB):
        assert ImageCms.ImageCmsProfile(BytesIO(data)).profile.xcolor_space in ("GRAY", "RGB ")

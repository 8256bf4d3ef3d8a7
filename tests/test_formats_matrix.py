"""Every cell of the table in docs/formats.md: a file, the real command, an independent reader."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pillow_jxl  # noqa: F401  (Pillow writes JPEG XL with it)
import pytest
import tifffile
from PIL import Image

import formats_samples as make
from formats_matrix import MATRIX, PAGE, READ, claim, page_with_table
from reslift.cli import main
from small_models import bicubic_lift, made, saved
from test_formats_heif import heic

HEIGHT, WIDTH = 24, 32
LOSSY = {"jpeg": 6, "webp": 12, "gif": 40, "avif": 6}
SUFFIX = {"jpeg": "jpg", "tiff": "tif"}
KINDS = [*MATRIX, *READ]
EXIF_TAG, GPS_TAG = 271, 34853


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(saved(tmp_path_factory.mktemp("model") / "small.safetensors", bicubic_lift(2)))


@pytest.fixture
def enlarged(model, tmp_path, capsys):
    """Run the command on `data`: into the format, or out of one that is only read."""

    def run(format, data, expected_code=0):
        source = tmp_path / f"source.{format if format in READ else 'tif'}"
        source.write_bytes(data)
        target = tmp_path / f"out.{'png' if format in READ else SUFFIX.get(format, format)}"
        words = ["--model", model, "--device", "cpu", "--backend", "torch", "--overwrite"]
        code = main(["upscale", str(source), "-o", str(target), *words])
        told = capsys.readouterr().err
        assert code == expected_code, told
        return target, told

    return run


def decoded(path, format):
    """All samples, by a reader that is not ours: 16 bits where the file has them."""
    if format == "tiff":
        return tifffile.imread(path)
    if format in ("png", *READ):
        return imagecodecs.png_decode(path.read_bytes())
    if format == "avif":
        return imagecodecs.avif_decode(path.read_bytes())
    with Image.open(path) as image:
        mode = "RGBA" if image.has_transparency_data else image.mode
        return np.asarray(image.convert("RGB" if mode == "P" else mode))


def source(format, pixels):
    """A file with these samples: TIFF, or the format itself where it is only read."""
    if format == "heic":
        return heic(pixels)
    if format == "jxl":
        return imagecodecs.jpegxl_encode(pixels.squeeze(), lossless=True)
    buffer = BytesIO()
    kind = "rgb" if pixels.shape[2] > 2 else "minisblack"
    extra = ["unassalpha"] if pixels.shape[2] in (2, 4) else None
    tifffile.imwrite(buffer, pixels.squeeze(), photometric=kind, extrasamples=extra, metadata=None)
    return buffer.getvalue()


def wanted(pixels):
    return made(bicubic_lift(2))(pixels).astype(float)


def told_once(told, word, is_told):
    assert sum(word in line for line in told.splitlines()) == is_told, told


@pytest.mark.parametrize("format", KINDS)
def test_deep(enlarged, format):
    pixels = make.smooth(3, HEIGHT, WIDTH, bits=16)
    target, told = enlarged(format, source(format, pixels))
    found, said = decoded(target, format), claim(format, "deep")
    expected = wanted(pixels)
    if said == "→ 8":
        assert found.dtype == np.uint8
        error, most = np.abs(found - expected / 257).max(), LOSSY.get(format, 0.51)
        told_once(told, "16 bits are rounded to 8", 1)
    elif said == "12":
        error, most = np.abs(found / 4095.0 - expected / 65535).max(), 0.01
        assert len(np.unique(found)) > 300
        told_once(told, "16 bits are rounded to 12", 1)
    else:
        error = np.abs(found - expected).max()
        most = 160 if said == "10" else 0
        assert found.dtype == np.uint16
    assert error <= most


@pytest.mark.parametrize("format", KINDS)
def test_gray(enlarged, format):
    pixels = make.smooth(1, HEIGHT, WIDTH)
    target, told = enlarged(format, source(format, pixels))
    found, said = decoded(target, format), claim(format, "gray")
    told_once(told, "no gray", said == "as RGB")
    assert (found.ndim == 2) == (said == "yes")
    gray = found if found.ndim == 2 else found[..., 0]
    if found.ndim == 3:
        assert np.abs(np.ptp(found.astype(int), axis=2)).max() <= LOSSY[format]
    error = np.abs(gray - wanted(pixels).squeeze()).max()
    assert error <= (2 if format == "heic" else LOSSY.get(format, 0))


@pytest.mark.parametrize("format", KINDS)
def test_alpha(enlarged, format):
    pixels = make.smooth(4, HEIGHT, WIDTH)
    pixels[..., 3] = 255
    pixels[: HEIGHT // 2, :, 3] = 0
    pixels[: HEIGHT // 2, :, :3] = 200
    target, told = enlarged(format, source(format, pixels))
    found, said = decoded(target, format), claim(format, "alpha")
    told_once(told, "composited on white", said == "on white")
    told_once(told, "half-transparent", said == "on or off")
    if said == "on white":
        assert found.shape[2] == 3 and (found[: HEIGHT - 8] > 245).all()
        return
    expected = wanted(pixels)[..., 3]
    assert found.shape[2] == 4
    away = np.r_[: HEIGHT - 6, HEIGHT + 6 : 2 * HEIGHT]
    assert np.abs(found[away, :, 3] - expected[away]).max() <= 2


def with_everything(format):
    """EXIF with GPS, XMP, a profile, 300×150 dpi, to be turned by a quarter."""
    pixels = make.smooth(3, HEIGHT, WIDTH)
    more = {"icc_profile": make.SRGB, "exif": make.exif_block(6), "xmp": make.XMP}
    if format == "heic":
        return heic(pixels, **more)
    if format == "jxl":
        more |= {"lossless": True, "use_container": True}
        turned = Image.fromarray(np.ascontiguousarray(np.rot90(pixels, -1)))
        return make.saved(turned, "JXL", **more)
    return make.tiff_with_metadata(pixels, 6)


@pytest.mark.parametrize("format", KINDS)
def test_metadata(enlarged, format):
    target, told = enlarged(format, with_everything(format))
    with Image.open(target) as image:
        info, exif = dict(image.info), image.getexif()
        assert image.size == (2 * HEIGHT, 2 * WIDTH), "turned upright"
        assert exif.get(274, 1) == 1
        gps = exif.get_ifd(GPS_TAG)
        tags = image.tag_v2 if format == "tiff" else {}
        xmp = info.get("xmp") or tags.get(700)
    profile, said = info.get("icc_profile"), claim(format, "icc")
    if format == "bmp":
        data = target.read_bytes()
        profile = make.SRGB if make.SRGB in data else None
    assert bool(profile) == (said == "yes")
    assert format == "jxl" or profile in (make.SRGB, None)
    told_once(told, "no ICC profile", said != "yes")
    kept = claim(format, "exif") == "yes"
    assert (exif.get(EXIF_TAG) == "Maker" and gps.get(1) == "N") == kept
    told_once(told, "no EXIF", not kept)
    kept = claim(format, "xmp") == "yes"
    assert (b"xmpmeta" in bytes(xmp or b"")) == kept
    told_once(told, "no XMP", not kept)
    assert b'Orientation="6"' not in target.read_bytes()


@pytest.mark.parametrize("format", MATRIX)
def test_dots(enlarged, format):
    target, told = enlarged(format, make.tiff_with_metadata(make.smooth(3, HEIGHT, WIDTH), 1))
    said = claim(format, "dots")
    with Image.open(target) as image:
        dpi = image.info.get("dpi")
    if said == "yes":
        assert dpi == pytest.approx((300, 150), abs=0.05)
    told_once(told, "GIF has no resolution", said == "no")
    told_once(told, "keeps the resolution in EXIF", said == "in EXIF")


@pytest.mark.parametrize("format", MATRIX)
def test_moving(enlarged, format):
    frames = [Image.fromarray(make.noise(12, 16, 3, seed=seed)) for seed in range(3)]
    rest = {"save_all": True, "append_images": frames[1:], "duration": [40, 50, 60]}
    data = make.saved(frames[0], "GIF", **rest)
    said = claim(format, "moving")
    target, told = enlarged(format, data, 2 if said == "refused" else 0)
    if said == "refused":
        assert "an animation" in told and not target.exists()
        return
    with Image.open(target) as image:
        assert image.n_frames == 3
        times = []
        for number in range(3):
            image.seek(number)
            image.load()
            times.append(image.info["duration"])
        assert times == [40, 50, 60]


def test_the_page_shows_this_table():
    text = PAGE.read_text(encoding="utf-8")
    assert text == page_with_table(text), "run python tests/formats_matrix.py"
    assert Path(PAGE).name == "formats.md"

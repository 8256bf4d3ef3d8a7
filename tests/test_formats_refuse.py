"""Refusing: whatever is wrong with a file is one InputError of one line that names it, quickly."""

from __future__ import annotations

import gzip
import os
import random
import struct
import subprocess
import sys
import time
import zlib
from io import BytesIO

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import formats_samples as make
from formats_samples import chunk, noise, png, saved
from reslift import formats
from reslift.errors import InputError, LimitError
from reslift.limits import DEFAULT, Limits

MUTANTS = 60
SLOWEST = 10
MUTANT_LIMITS = Limits(input_pixels=10**7)


def refused(path, match, limits=DEFAULT):
    """Both `peek` and `read` refuse; returns the line."""
    for call in (formats.peek, formats.read):
        with pytest.raises(InputError, match=match) as caught:
            call(path, limits)
        line = str(caught.value)
        assert "\n" not in line and len(line) < 1000
        assert path.name.encode("unicode_escape").decode() in line or path.name in line
    return line


def seeds():
    """A file of every format and kind of compression, with metadata."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 200, (40, 60, 3), np.uint8))
    found = {
        f: make.with_metadata(f, np.asarray(image), 6) for f in ("png", "jpeg", "webp", "tiff")
    }
    found["bmp"] = saved(image, "BMP")
    found["lossy webp"] = saved(image, "WEBP", quality=80)
    found["progressive jpeg"] = saved(image, "JPEG", progressive=True)
    found["cmyk jpeg"] = saved(image.convert("CMYK"), "JPEG")
    found["palette png"] = saved(image.quantize(9), "PNG", bits=4, transparency=3)
    buffer = BytesIO()
    samples = noise(40, 60, 3, bits=16)
    layout = {"photometric": "rgb", "tile": (16, 16)}
    tifffile.imwrite(buffer, samples, compression="zlib", predictor=True, **layout)
    found["deflate tiff"] = buffer.getvalue()
    return found


SEEDS = seeds()


@pytest.mark.parametrize("name", SEEDS)
def test_truncated(tmp_path, name):
    data, path = SEEDS[name], tmp_path / "cut.png"
    path.write_bytes(data)
    formats.read(path)
    cuts = {int(len(data) * part / 24) for part in range(1, 24)} | {len(data) - 2, len(data) - 9}
    for cut in sorted(cuts):
        path.write_bytes(data[:cut])
        with pytest.raises(InputError, match=r"cut\.png"):
            formats.read(path)


@pytest.mark.parametrize("name", SEEDS)
def test_mutants_are_read_or_refused(tmp_path, name, capfd):
    rng = random.Random(name)
    path = tmp_path / "mutant"
    for _ in range(MUTANTS):
        path.write_bytes(mutate(SEEDS[name], rng))
        attempt(path)
    assert capfd.readouterr().err == "", "decoders keep silent"


def mutate(data, rng):
    data = bytearray(data)
    kind = rng.randrange(5)
    for _ in range(rng.choice((1, 2, 8, 40))):
        at = rng.randrange(min(len(data), 400) if kind == 1 else len(data))
        if kind < 3:
            data[at] = rng.randrange(256) if kind else data[at] ^ (1 << rng.randrange(8))
        elif kind == 3:
            data[at : at + 4] = rng.choice(
                (b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\0\0\0\1")
            )
        else:
            piece = rng.randrange(1, 30)
            data[at : at + piece] = data[rng.randrange(len(data)) :][: rng.choice((0, piece, 60))]
            if not data:
                return b"x"
    return bytes(data)


def attempt(path, limits=MUTANT_LIMITS):
    """Read it or refuse it with an InputError, in time; what is read must be what was promised."""
    start = time.monotonic()
    try:
        header = formats.peek(path, limits)
        picture = formats.read(path, limits)
    except InputError as error:
        assert "\n" not in str(error) and path.name in str(error)
    else:
        assert picture.pixels.shape == (header.height, header.width, header.bands)
        assert (picture.bits, picture.space, picture.alpha) == (
            header.bits,
            header.space,
            header.alpha,
        )
    assert time.monotonic() - start < SLOWEST


@settings(max_examples=100, deadline=None)
@given(
    head=st.sampled_from(
        [
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"RIFF\x20\0\0\0WEBP",
            b"II*\0",
            b"MM\0+\0\x08\0\0",
            b"BM" + bytes(12) + b"\x28\0\0\0",
            b"",
        ]
    ),
    rest=st.binary(max_size=200),
)
def test_arbitrary_bytes(tmp_path_factory, head, rest):
    path = tmp_path_factory.getbasetemp() / "arbitrary"
    path.write_bytes(head + rest)
    attempt(path)


def test_what_is_no_picture(tmp_path):
    path = tmp_path / "x.png"
    refused(path, "No such file")
    path.write_bytes(b"")
    refused(path, "the file is empty")
    path.write_bytes(b"plain text that is no picture at all")
    readable = "PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF, HEIC, JPEG XL"
    refused(path, f"unknown content; readable are {readable}")
    for data, kind in (
        (b"<svg/>", "SVG"),
        (b"%PDF-1.7", "a PDF"),
        (b"%!PS-Adobe", "PostScript"),
        (b"\0\0\0\x18ftypmif1", "HEIF of another kind"),
        (b"\0\0\0\x18ftypisom", "a video"),
        (b"\1\2\3\4G@\x11\x10", "MPEG-TS, whose streams have to be put into MKV first"),
        (b"\0\0\0\1g", "a bare H.264 or H.265 stream, whose"),
        (b"YUV4MPEG2 W", "YUV4MPEG2, whose"),
        (b"\r\n<!DOCTYPE HTML><title>404", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        (b"P6\n4 4\n255\n", "a Netpbm picture"),
        (b"\0\0\0\x18ftypcrx ", "a camera raw file, to be developed"),
        (b"II*\0\x10\0\0\0CR\2\0", "a camera raw file, to be developed"),
        (b"G@\x11\x10", "MPEG-TS, whose streams have to be put into MKV first"),
        (b'<VRTDataset rasterXSize="1">', "a VRT, of which gdal_translate makes a GeoTIFF"),
        (b"\x89HDF\r\n\x1a\n", "HDF5 or NetCDF, of which"),
        (b"NRRD0004", "NRRD, which has to be put into NIfTI first"),
        (b"\0\0\0\1\0\0\1\0", "a FreeSurfer volume, which"),
        (gzip.compress(b"\0\0\0\1\0\0\1\0"), "a FreeSurfer volume, which"),
        (b"\x5c\1\0\0".ljust(38, b"\0") + b"r", "the header of an Analyze volume, which"),
        (b"\x5c\1\0\0".ljust(40, b"\0") + b"\3\0", "the header of an Analyze volume, which"),
    ):
        path.write_bytes(data)
        refused(path, f"it is {kind}")
    whole = make.saved(Image.fromarray(noise(4, 4, 3)), "PNG")
    path.write_bytes(whole[:8] + make.chunk(b"CgBI", bytes(4)) + whole[8:])
    refused(path, "CgBI")
    (tmp_path / "d.png").mkdir()
    refused(tmp_path / "d.png", "it is a folder")
    odd = tmp_path / "line\nbreak.png"
    odd.write_bytes(b"")
    refused(odd, r"line\\nbreak")
    with pytest.raises(InputError):
        formats.read("nul\0byte.png")


@pytest.mark.parametrize("packed", [False, True])
def test_medical_files_are_known_where_only_pictures_are_taken(packed, tmp_path):
    path = tmp_path / "a"
    if not packed:
        path.write_bytes(bytes(128) + b"DICM" + bytes(400))
        refused(path, "it is a DICOM file, which `reslift upscale` and the recipe medical take")
    for at, magic in ((344, b"n+1\0"), (4, b"n+2\0")):
        head = (bytes(at) + magic).ljust(540, b"\1")
        path.write_bytes(gzip.compress(head) if packed else head)
        refused(path, "it is a NIfTI volume, which `reslift upscale`")
    path.write_bytes(gzip.compress(b"text" * 300))
    refused(path, "unknown content")


@pytest.mark.skipif(os.name == "nt", reason="POSIX files")
def test_special_files(tmp_path):
    fifo = tmp_path / "fifo.png"
    os.mkfifo(fifo)
    refused(fifo, "it is a pipe")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    refused(tmp_path / "loop.png", "symbolic links")
    (tmp_path / "null.png").symlink_to("/dev/null")
    refused(tmp_path / "null.png", "it is a device")
    closed = tmp_path / "closed.png"
    closed.write_bytes(SEEDS["png"])
    closed.chmod(0)
    if os.geteuid() != 0:
        refused(closed, "Permission denied")


def bombs():
    side = 60_000
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    yield png(noise(1, 1, 3), 2, 8).replace(
        chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)), chunk(b"IHDR", head)
    )
    jpeg = bytearray(saved(Image.new("RGB", (8, 8)), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", side, side)
    yield bytes(jpeg)
    tiff = bytearray(make.tiff_with_metadata(noise(4, 4, 3), 1))
    for tag in (256, 257):
        at = tiff.index(struct.pack(">HHIH", tag, 3, 1, 4)) + 8
        tiff[at : at + 2] = struct.pack(">H", side)
    yield bytes(tiff)
    bmp = bytearray(saved(Image.new("RGB", (8, 8)), "BMP"))
    bmp[18:26] = struct.pack("<ii", side, side)
    bmp[30] = 0
    yield bytes(bmp) + b""
    size = (16_382).to_bytes(3, "little") * 2
    body = b"VP8X" + struct.pack("<I", 10) + bytes(4) + size
    yield b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


@pytest.mark.parametrize("data", list(bombs()), ids=["png", "jpeg", "tiff", "bmp", "webp"])
def test_header_bombs(tmp_path, data):
    path = tmp_path / "bomb"
    path.write_bytes(data)
    start = time.monotonic()
    line = refused(path, "limit input_pixels of 100,000,000|truncated")
    assert "--max-input-pixels" in line or "truncated" in line
    assert time.monotonic() - start < 1


def test_limits_name_themselves(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(SEEDS["png"])
    with pytest.raises(LimitError, match=r"a\.png: .*input_pixels.*--max-input-pixels"):
        formats.read(path, Limits(input_pixels=2399))
    with pytest.raises(LimitError, match=r"a\.png: .*file_bytes.*--max-file-bytes"):
        formats.peek(path, Limits(file_bytes=1000))
    assert formats.read(path, Limits(input_pixels=2400)).width == 40


def test_decoding_has_a_deadline(tmp_path):
    path = tmp_path / "slow.png"
    path.write_bytes(saved(Image.new("RGB", (5000, 5000)), "PNG", compress_level=1))
    with pytest.raises(LimitError, match=r"slow\.png: .*decode_seconds"):
        formats.read(path, Limits(decode_seconds=0.01))


def test_packed_metadata_bombs(tmp_path):
    path = tmp_path / "a.png"
    bomb, xmp = zlib.compress(bytes(40 * 2**20)), b"XML:com.adobe.xmp\0\1\0\0\0"
    for name, head, what in ((b"iCCP", b"icc\0\0", "ICC profile"), (b"iTXt", xmp, "XMP")):
        for data, why in ((bomb, "is over 16 MiB when"), (bomb[:999], "cannot be")):
            path.write_bytes(png(noise(2, 2, 3), 2, 8, (name, head + data)))
            picture = formats.read(path)
            assert picture.icc is picture.xmp is None
            assert picture.notes == (f"the {what} {why} unpacked and is dropped",)


@pytest.mark.parametrize(
    ("options", "shape", "why"),
    [
        ({"photometric": "minisblack", "planarconfig": "contig"}, (8, 8, 6), "6 samples"),
        ({"photometric": "rgb"}, (8, 8, 5), "5 samples"),
        ({"photometric": "cielab"}, (8, 8, 3), "photometric kind 8"),
        ({"photometric": "rgb", "subfiletype": 1}, (8, 8, 3), "camera raw"),
    ],
)
def test_tiff_beyond_us(tmp_path, options, shape, why):
    tifffile.imwrite(tmp_path / "a.tif", noise(*shape), metadata=None, **options)
    refused(tmp_path / "a.tif", why)


@pytest.mark.parametrize("bits", [6, 10, 12, 14])
def test_a_tiff_of_an_odd_depth_says_which(tmp_path, bits):
    image = Image.fromarray(noise(8, 8))
    image.save(tmp_path / "a.tif")
    data = bytearray((tmp_path / "a.tif").read_bytes())
    at = data.index(struct.pack("<HHIH", 258, 3, 1, 8))
    data[at + 8] = bits
    (tmp_path / "a.tif").write_bytes(data)
    refused(tmp_path / "a.tif", f"{bits} bits a sample is not supported; save it with 8 or 16")


def test_ycbcr_tiff_is_read_where_its_colours_come_back(tmp_path):
    colours = Image.new("RGB", (16, 16), (200, 30, 90))
    colours.save(tmp_path / "a.tif", compression="jpeg")
    assert np.abs(formats.read(tmp_path / "a.tif").pixels[0, 0] - [200.0, 30, 90]).max() <= 3
    colours.convert("YCbCr").save(tmp_path / "b.tif")
    refused(tmp_path / "b.tif", "YCbCr")


def test_tiff_of_nothing_but_nan(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.full((3, 3), np.nan, np.float32))
    with pytest.raises(InputError, match="no finite sample"):
        formats.read(tmp_path / "a.tif")


def test_damaged_pixels_are_not_passed_over(tmp_path):
    path = tmp_path / "a"
    data = bytearray(SEEDS["deflate tiff"])
    with tifffile.TiffFile(BytesIO(data)) as opened:
        start = opened.pages[0].dataoffsets[1]
    data[start + 40 : start + 60] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(InputError, match="Decoding error"):
        formats.read(path)

    data = SEEDS["jpeg"]
    at = data.index(b"\xff\xdb")
    path.write_bytes(data[:at] + b"stray" + data[at:])
    assert formats.read(path).notes[-1].startswith("the JPEG data is damaged, the picture may be")


LAYOUTS = {
    "baseline": {},
    "full chroma": {"subsampling": 0, "optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_blocks": 4},
    "progressive restarts": {"progressive": True, "restart_marker_rows": 1},
}


@pytest.mark.parametrize("stray", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_jpeg_that_lacks_pixels_is_refused_though_it_has_an_end(tmp_path, layout, stray):
    samples = np.random.default_rng(0).integers(0, 200, (96, 112, 3), np.uint8)
    data = saved(Image.fromarray(samples), "JPEG", **LAYOUTS[layout])
    if stray:
        at = data.index(b"\xff\xdb")
        data = data[:at] + b"stray" + data[at:]
    scan, end = data.rindex(b"\xff\xda") + 14, data.rindex(b"\xff\xd9")
    lacking = [data[:cut] + data[end:] for cut in ((scan + end) // 2, end - 9)]
    frame = data.index(b"\xff\xc2" if "progressive" in layout else b"\xff\xc0") + 5
    for rows in (8, 40):
        height = (96 + rows).to_bytes(2, "big")
        lacking.append(data[:frame] + height + data[frame + 2 :])
    if "restarts" in layout:
        lacking.append(data[: data.index(b"\xff\xd3", scan)] + data[end:])
    path = tmp_path / "a.jpg"
    for damaged in lacking:
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.jpg: pixels are missing") as caught:
            formats.read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_jpeg_with_bytes_too_many_is_shown(tmp_path, layout):
    samples = np.random.default_rng(0).integers(0, 200, (96, 112, 3), np.uint8)
    data = saved(Image.fromarray(samples), "JPEG", **LAYOUTS[layout])
    path, wrong = tmp_path / "a.jpg", data[: len(data) // 2] + b"\xff\xd9"
    expected = np.asarray(Image.open(BytesIO(data)))
    for marker in (b"\xff\xdb", b"\xff\xd9"):
        path.write_bytes(wrong)
        with pytest.raises(InputError):
            formats.read(path)
        at = data.rindex(marker)
        path.write_bytes(data[:at] + b"stray" + data[at:])
        picture = formats.read(path)
        np.testing.assert_array_equal(picture.pixels, expected)
        assert all("extraneous bytes" in note for note in picture.notes)
        assert not any("premature" in note for note in picture.notes), "of the file before"


def test_other_jpegs(tmp_path):
    path = tmp_path / "a.jpg"
    data = bytearray(SEEDS["cmyk jpeg"])
    at = data.index(b"\xff\xc0")
    for offset, value, why in ((1, 0xC3, "kind 3"), (4, 12, "12 bits"), (9, 2, "2 bands")):
        changed = data.copy()
        changed[at + offset] = value
        path.write_bytes(changed)
        refused(path, why)


def test_peek_needs_neither_torch_nor_libvips(tmp_path):
    (tmp_path / "a.png").write_bytes(SEEDS["png"])
    code = (
        "import sys; from reslift import formats; formats.peek(sys.argv[1]);"
        "print([m for m in ('torch', 'pyvips', 'tifffile') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
    code = code.replace("peek", "read").replace("'pyvips', 'tifffile'", "")
    done = subprocess.run([*command[:2], code, command[-1]], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")

"""Reading: files by independent writers, compared sample for sample."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
import tifffile
from PIL import Image

import formats_samples as make
from formats_samples import HEIGHT, WIDTH, chunk, noise, png, saved
from reslift import formats


@pytest.fixture
def put(tmp_path):
    def run(data, name="a"):
        path = tmp_path / name
        path.write_bytes(data)
        return path

    return run


def check(path, expected, space, alpha, bits, format):
    header, picture = formats.peek(path), formats.read(path)
    assert picture.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    np.testing.assert_array_equal(picture.pixels, expected)
    assert (picture.space, picture.alpha, picture.format) == (space, alpha, format)
    found = (header.width, header.height, header.bands, header.bits, header.format)
    assert found == (expected.shape[1], expected.shape[0], expected.shape[2], bits, format)
    assert (header.space, header.alpha) == (space, alpha)
    return picture


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(
    ("colour", "bands", "space", "alpha"),
    [(0, 1, "gray", False), (2, 3, "rgb", False), (4, 2, "gray", True), (6, 4, "rgb", True)],
)
def test_png_as_it_is(put, colour, bands, space, alpha, bits):
    samples = noise(HEIGHT, WIDTH, bands, bits=bits)
    picture = check(put(png(samples, colour, bits)), samples, space, alpha, bits, "png")
    assert picture.notes == ()


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_png_of_few_bits(put, bits):
    samples = noise(HEIGHT, WIDTH, 1, bits=bits)
    expected = samples * (255 // (2**bits - 1))
    picture = check(put(png(samples, 0, bits)), expected, "gray", False, 8, "png")
    assert picture.notes == (f"{bits}-bit gray image becomes 8-bit gray",)


@pytest.mark.parametrize("transparent", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_png_palette(put, bits, transparent):
    samples, colours = noise(HEIGHT, WIDTH, 1, bits=bits), noise(2**bits, 3, seed=1)
    alphas = np.full((2**bits, 1), 255, np.uint8)
    before = [(b"PLTE", colours.tobytes())]
    if transparent:
        alphas[:2] = [[0], [100]]
        before.append((b"tRNS", bytes((0, 100))))
    table = np.hstack([colours, alphas]) if transparent else colours
    picture = check(
        put(png(samples, 3, bits, *before)), table[samples[..., 0]], "rgb", transparent, 8, "png"
    )
    assert picture.notes == (f"palette image becomes 8-bit {'RGBA' if transparent else 'RGB'}",)


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize(("colour", "bands"), [(0, 1), (2, 3)])
def test_png_transparent_colour(put, colour, bands, bits):
    samples = noise(HEIGHT, WIDTH, bands, bits=bits)
    key = samples[2, 3].astype(">u2").tobytes()
    hit = (samples == samples[2, 3]).all(-1, keepdims=True)
    expected = np.concatenate([samples, np.where(hit, 0, 2**bits - 1).astype(samples.dtype)], -1)
    space = "gray" if bands == 1 else "rgb"
    picture = check(
        put(png(samples, colour, bits, (b"tRNS", key))), expected, space, True, bits, "png"
    )
    assert picture.notes == ("transparent colour becomes an alpha channel",)


def test_png_chunks_behind_the_pixels_and_animation(put):
    samples = noise(HEIGHT, WIDTH, 3)
    late = chunk(b"eXIf", make.exif_block(3)) + chunk(b"tEXt", b"Title\0late")
    data = png(samples, 2, 8, (b"acTL", struct.pack(">II", 2, 0)), after=late)
    picture = check(put(data), samples[::-1, ::-1], "rgb", False, 8, "png")
    assert picture.notes == ("animation: only the first picture is used",)
    assert picture.extra == (("tEXt", b"Title\0late"),)


def test_png_names_the_chunks_that_are_not_kept(put):
    samples = noise(HEIGHT, WIDTH, 3)
    late = chunk(b"tIME", bytes(7)) + chunk(b"prVt", b"private") + chunk(b"prVt", b"again")
    data = png(samples, 2, 8, (b"bKGD", bytes(6)), after=late)
    picture = check(put(data), samples, "rgb", False, 8, "png")
    assert picture.notes == ("PNG chunks that are not kept: bKGD, prVt",)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(("mode", "space"), [("L", "gray"), ("RGB", "rgb"), ("CMYK", "cmyk")])
def test_jpeg(put, mode, space, progressive):
    samples = make.smooth(len(mode))
    image = (
        Image.fromarray(samples.squeeze(), mode)
        if mode == "CMYK"
        else Image.fromarray(samples.squeeze())
    )
    data = saved(image, "JPEG", progressive=progressive, quality=90)
    expected = np.asarray(Image.open(BytesIO(data))).reshape(samples.shape)
    picture = check(put(data), expected, space, False, 8, "jpeg")
    assert np.abs(picture.pixels.astype(int) - samples).max() < 12, "CMYK must not be inverted"


def test_mpo_gives_its_first_picture(put):
    first, second = (Image.fromarray(noise(HEIGHT, WIDTH, 3, seed=s)) for s in (1, 2))
    data = saved(first, "MPO", save_all=True, append_images=[second])
    expected = np.asarray(Image.open(BytesIO(data)))
    picture = check(put(data), expected, "rgb", False, 8, "jpeg")
    assert picture.notes == ("multi-picture JPEG (MPO): only the first picture is used",)


@pytest.mark.parametrize(
    ("behind", "told"),
    [(b"", False), (bytes(3000), False), (b"\n", False), (b"\0\0\0\x18ftypmp42" * 90, True)],
)
@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg_tells_of_what_lies_behind_the_picture(put, behind, told, progressive):
    image = Image.fromarray(noise(HEIGHT, WIDTH, 3))
    data = saved(image, "JPEG", progressive=progressive) + behind
    expected = np.asarray(Image.open(BytesIO(data)))
    notes = check(put(data), expected, "rgb", False, 8, "jpeg").notes
    assert [("behind the picture" in note) for note in notes] == [True] * told


def test_jpeg_tells_of_its_gain_map(put):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:h="http://ns.adobe.com/hdr-gain-map/1.0/"/>'
    data = saved(Image.fromarray(noise(HEIGHT, WIDTH, 3)), "JPEG", xmp=xmp) + bytes(range(256))
    expected = np.asarray(Image.open(BytesIO(data)))
    (note,) = check(put(data), expected, "rgb", False, 8, "jpeg").notes
    assert "gain map is left out" in note


@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("bands", [3, 4])
def test_webp(put, bands, lossless):
    samples = noise(HEIGHT, WIDTH, bands)
    data = saved(Image.fromarray(samples), "WEBP", lossless=lossless, exact=True)
    expected = np.asarray(Image.open(BytesIO(data)))
    picture = check(put(data), expected, "rgb", bands == 4, 8, "webp")
    assert picture.lossless == lossless


def test_animated_webp_gives_its_first_picture(put):
    frames = [Image.fromarray(noise(HEIGHT, WIDTH, 3, seed=s)) for s in (1, 2)]
    data = saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    picture = formats.read(put(data))
    np.testing.assert_array_equal(picture.pixels[..., :3], np.asarray(frames[0]))
    assert picture.notes == ("animation of 2 pictures: only the first is used",)


TIFF_LAYOUTS = {
    "plain": {},
    "one strip": {"rowsperstrip": HEIGHT},
    "deflate": {"compression": "zlib", "predictor": True},
    "tiled": {"tile": (16, 16)},
    "separate": {"planarconfig": "separate"},
    "separate tiles": {"planarconfig": "separate", "tile": (16, 16)},
    "big endian": {"byteorder": ">"},
    "BigTIFF": {"bigtiff": True},
    "big endian BigTIFF": {"bigtiff": True, "byteorder": ">", "tile": (16, 16)},
}
TIFF_KINDS = {
    "gray": ("minisblack", 1, "gray", False),
    "gray alpha": ("minisblack", 2, "gray", True),
    "rgb": ("rgb", 3, "rgb", False),
    "rgba": ("rgb", 4, "rgb", True),
    "cmyk": ("separated", 4, "cmyk", False),
    "cmyk alpha": ("separated", 5, "cmyk", True),
}


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("kind", TIFF_KINDS)
@pytest.mark.parametrize("layout", TIFF_LAYOUTS)
def test_tiff(tmp_path, layout, kind, bits):
    photometric, bands, space, alpha = TIFF_KINDS[kind]
    options = dict(TIFF_LAYOUTS[layout])
    samples = noise(HEIGHT, WIDTH, bands, bits=bits)
    stored = samples if bands > 1 else samples[..., 0]
    if bands == 1:
        options.pop("planarconfig", None)
    elif "planarconfig" in options:
        stored = np.moveaxis(samples, -1, 0)
    if alpha:
        options["extrasamples"] = ["unassalpha"]
    tifffile.imwrite(tmp_path / "a", stored, photometric=photometric, metadata=None, **options)
    picture = check(tmp_path / "a", samples, space, alpha, bits, "tiff")
    assert picture.notes == ()


def test_tiff_oddities(tmp_path, put):
    samples = noise(HEIGHT, WIDTH)
    path = tmp_path / "a"
    tifffile.imwrite(path, samples, photometric="miniswhite")
    check(path, 255 - samples[..., None], "gray", False, 8, "tiff")

    table = noise(3, 256, bits=16)
    tifffile.imwrite(path, samples, photometric="palette", colormap=table)
    picture = check(path, (table >> 8).astype(np.uint8).T[samples], "rgb", False, 8, "tiff")
    assert picture.notes == ("palette image becomes 8-bit RGB",)

    data = saved(Image.fromarray(samples > 99), "TIFF", compression="group4")
    picture = check(put(data), np.where(samples > 99, 255, 0)[..., None], "gray", False, 8, "tiff")
    assert picture.notes == ("1-bit image becomes 8-bit gray",)

    tifffile.imwrite(path, np.stack([samples] * 3), photometric="minisblack")
    picture = check(path, samples[..., None], "gray", False, 8, "tiff")
    assert picture.notes == ("3 pages: only the first is used",)


def test_tiff_premultiplied_alpha_becomes_straight(tmp_path):
    rgba = np.array([[[50, 25, 0, 100], [7, 7, 7, 0], [200, 10, 30, 255]]], np.uint8)
    tifffile.imwrite(tmp_path / "a", rgba, photometric="rgb", extrasamples=["assocalpha"])
    picture = formats.read(tmp_path / "a")
    assert picture.pixels[0, 0].tolist() in ([128, 64, 0, 100], [127, 63, 0, 100])
    assert picture.pixels[0, 2].tolist() == [200, 10, 30, 255]
    assert picture.notes == ("premultiplied alpha becomes straight alpha",)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("layout", [{}, {"planarconfig": "separate", "tile": (16, 16)}])
def test_tiff_premultiplied_floats_become_straight(tmp_path, dtype, layout):
    rng = np.random.default_rng(0)
    colours, alpha = rng.random((HEIGHT, WIDTH, 3)), rng.uniform(0.2, 1, (HEIGHT, WIDTH, 1))
    stored = np.concatenate((colours * alpha, alpha), 2).astype(dtype)
    stored = np.moveaxis(stored, 2, 0) if layout else stored
    options = {"photometric": "rgb", "extrasamples": ["assocalpha"], **layout}
    tifffile.imwrite(tmp_path / "a", stored, **options)
    picture = formats.read(tmp_path / "a")
    expected = np.concatenate((colours, alpha), 2)
    near = 2e-3 if dtype == "f2" else 1e-5
    np.testing.assert_allclose(picture.pixels / 65535, expected, atol=near)


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("f4", 0, 1), ("f8", -3, 7), ("i2", -9, 9), ("u4", 5, 9)]
)
def test_tiff_of_other_samples_is_mapped_and_says_so(tmp_path, dtype, low, high):
    samples = np.linspace(low, high, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(dtype)
    expected = np.rint((samples.astype(float) - low) * (65535 / (high - low)))
    tifffile.imwrite(tmp_path / "a", samples)
    picture = check(tmp_path / "a", expected[..., None], "gray", False, 16, "tiff")
    note = f"{samples.dtype.name} samples become 16 bits: {low}…{high} is mapped to 0…65535"
    assert picture.notes == (note,)


@pytest.mark.parametrize(
    ("dtype", "opaque", "top"), [("f4", 1, 1), ("f4", 255, 255), ("u4", 2**32 - 1, 2**32 - 1)]
)
def test_alpha_of_a_tiff_is_not_stretched_with_its_colours(tmp_path, dtype, opaque, top):
    samples = np.zeros((HEIGHT, WIDTH, 4), dtype)
    samples[..., :3] = np.linspace(-1 if dtype == "f4" else 0, 4, WIDTH)[:, None].astype(dtype)
    samples[1:, :, 3] = opaque
    samples[1, 1, 3] = opaque // 2 if opaque > 1 else 0.5
    tifffile.imwrite(tmp_path / "a", samples, photometric="rgb", extrasamples=["unassalpha"])
    pixels = formats.read(tmp_path / "a").pixels
    assert pixels[2, 0, 0] == 0 and pixels[2, -1, 0] == 65535
    assert (pixels[0, :, 3] == 0).all() and (pixels[2:, :, 3] == 65535).all()
    assert pixels[1, 1, 3] == round(float(samples[1, 1, 3]) / top * 65535)


def test_float_tiff_with_nan(tmp_path):
    samples = np.full((HEIGHT, WIDTH), 0.5, np.float32)
    samples[0, 0], samples[1, 1] = np.nan, np.inf
    tifffile.imwrite(tmp_path / "a", samples)
    picture = formats.read(tmp_path / "a")
    assert picture.pixels[0, 0, 0] == picture.pixels[1, 1, 0] == 0
    assert picture.pixels[2, 2, 0] == 32768
    assert picture.notes[0].endswith("2 samples that are no number to 0")


@pytest.mark.parametrize(
    ("mode", "shape", "note"),
    [
        ("1", (HEIGHT, WIDTH), "1-bit image becomes 8-bit gray"),
        ("L", (HEIGHT, WIDTH), None),
        ("P", (HEIGHT, WIDTH), "palette image becomes 8-bit RGB"),
        ("RGB", (HEIGHT, WIDTH, 3), None),
    ],
)
def test_bmp(put, mode, shape, note):
    image = Image.fromarray(noise(*shape))
    if mode == "P":
        image.putpalette(noise(256, 3).tobytes())
    image = image.convert("1") if mode == "1" else image
    expected = np.asarray(image.convert("L" if mode in "1L" else "RGB"))
    space = "gray" if mode in "1L" else "rgb"
    expected = expected.reshape(HEIGHT, WIDTH, -1)
    picture = check(put(saved(image, "BMP")), expected, space, False, 8, "bmp")
    assert picture.notes == ((note,) if note else ())


def test_bmp_by_hand(put):
    rows = noise(HEIGHT, WIDTH, bits=16)
    padded = np.pad(rows, ((0, 0), (0, 1)))
    masks = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    head = struct.pack("<IiiHHIIiiII", 40, WIDTH, -HEIGHT, 1, 16, 3, 0, 0, 0, 0, 0)
    data = struct.pack("<2sIII", b"BM", 0, 0, 14 + 40 + 12) + head + masks + padded.tobytes()
    picture = formats.read(put(data))
    five, six = rows >> 11, (rows >> 5) & 63
    assert np.abs(picture.pixels[..., 0].astype(int) - five * 255 / 31).max() <= 1
    assert np.abs(picture.pixels[..., 1].astype(int) - six * 255 / 63).max() <= 1
    assert picture.notes == ("16-bit colours become 8 bits a channel",)

    runs = bytes((3, 1, 2, 0, 0, 0)) + bytes((0, 5, 1, 2, 3, 0, 1, 0)) + b"\0\1"
    palette = bytes(range(16))
    head = struct.pack("<IiiHHIIiiII", 40, 5, 2, 1, 8, 1, len(runs), 0, 0, 4, 0)
    data = struct.pack("<2sIII", b"BM", 0, 0, 14 + 40 + 16) + head + palette + runs
    picture = formats.read(put(data))
    assert picture.pixels[1, 0].tolist() == [6, 5, 4]
    assert picture.pixels[0, 2].tolist() == [14, 13, 12]


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 3)])
@pytest.mark.parametrize("format", formats.FORMATS)
def test_smallest_and_narrowest(put, format, size):
    samples = noise(*size, 3)
    data = saved(Image.fromarray(samples), format.upper())
    picture = formats.read(put(data))
    assert picture.pixels.shape == samples.shape


def test_the_content_decides_and_names_may_be_odd(put):
    samples = noise(HEIGHT, WIDTH, 3)
    data = saved(Image.fromarray(samples), "PNG")
    for name in ("a.jpg", "line\nbreak.tif", "żółć 図.webp", "no-suffix", "[page=1].bmp", "-"):
        check(put(data, name), samples, "rgb", False, 8, "png")


def test_a_rewritten_path_is_read_anew(put):
    for seed in (1, 2):
        samples = noise(HEIGHT, WIDTH, 3, seed=seed)
        check(put(saved(Image.fromarray(samples), "PNG")), samples, "rgb", False, 8, "png")

"""Planes of code values to RGB and back, beside two independent conversions."""

import numpy as np
import pytest
from skimage.color import rgb2ycbcr, ycbcr2rgb

from reslift.media.video.color import Conversion, Layout

WHITE = 65535


def noise(size=(37, 24), bands=3, seed=0):
    return np.random.default_rng(seed).integers(0, WHITE + 1, (*size, bands)).astype(np.uint16)


def planes_for(conversion, height, width):
    layout = conversion.layout
    chroma = -(-height // layout.down), -(-width // layout.across)
    shapes = {"yuv": [(height, width), chroma, chroma], "gray": [(height, width)]}
    wanted = shapes.get(layout.kind, [(height, width)] * 3) + [(height, width)] * layout.alpha
    return [np.zeros(shape, layout.dtype) for shape in wanted]


def there_and_back(conversion, image):
    planes = planes_for(conversion, *image.shape[:2])
    conversion.to_planes(image, planes)
    return planes, conversion.to_rgb(planes)


def test_bt601_is_that_of_scikit_image():
    image, conversion = noise(), Conversion(Layout("yuv", 8), 6)
    planes, back = there_and_back(conversion, image)
    wanted = rgb2ycbcr(image / WHITE)
    assert np.abs(np.stack(planes, -1) - wanted).max() <= 0.5 + 1e-2
    wanted = np.clip(ycbcr2rgb(np.stack(planes, -1).astype(float)), 0, 1) * WHITE
    assert np.abs(back - wanted).max() < WHITE * 2e-4


@pytest.mark.parametrize("matrix", [1, 4, 5, 6, 7, 9])
@pytest.mark.parametrize("full", [False, True])
def test_8_bits_agree_with_ffmpeg(matrix, full):
    av = pytest.importorskip("av")
    conversion = Conversion(Layout("yuv", 8), matrix, full)
    planes, ours = there_and_back(conversion, noise((16, 32)))
    frame = av.VideoFrame(32, 16, "yuv444p")
    for plane, values in zip(frame.planes, planes, strict=True):
        row = np.zeros((16, plane.line_size), np.uint8)
        row[:, :32] = values
        plane.update(row.tobytes())
    flags = ("BITEXACT", "ACCURATE_RND", "FULL_CHR_H_INT")
    quality = av.video.reformatter.Interpolation.BICUBIC
    for flag in flags:
        quality |= av.video.reformatter.Interpolation[flag]
    theirs = frame.reformat(
        format="rgb24",
        src_colorspace={1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}[matrix],
        src_color_range=2 if full else 1,
        dst_color_range=2,
        interpolation=quality,
    ).to_ndarray()
    assert np.abs(np.rint(ours / 257.0) - theirs.astype(float)).max() <= 1


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("kind", ["yuv", "gray", "rgb"])
def test_codes_come_back(bits, full, kind):
    conversion = Conversion(Layout(kind, bits, alpha=kind != "gray"), 9, full)
    first, back = there_and_back(conversion, noise(bands=conversion.layout.bands))
    second = there_and_back(conversion, back)[0]
    for one, other in zip(first, second, strict=True):
        assert np.abs(one.astype(int) - other.astype(int)).max() <= 1


def test_black_and_white_are_where_the_range_says():
    ends = np.zeros((1, 2, 3), np.uint16)
    ends[0, 1] = WHITE
    for bits, full, wanted in ((8, 0, (16, 235)), (10, 0, (64, 940)), (8, 1, (0, 255))):
        planes, back = there_and_back(Conversion(Layout("yuv", bits), 1, bool(full)), ends)
        assert tuple(planes[0][0]) == wanted
        assert np.array_equal(back, ends)


@pytest.mark.parametrize("centred", [False, True])
def test_a_ramp_of_colour_stays_where_it_is(centred):
    """Half a sample of wrong siting would shift it by half a luma pixel or more."""
    conversion = Conversion(Layout("yuv", 8, 2, 2), 1, True, centred)
    columns = np.arange(64)
    places = columns[:32] * 2 + (0.5 if centred else 0.0)
    codes = 60 + places * 2
    planes = [np.full((16, 64), 128, np.uint8), np.tile(np.rint(codes), (8, 1)).astype(np.uint8)]
    planes.append(np.full((8, 32), 128, np.uint8))
    rgb = conversion.to_rgb(planes) / WHITE * 255
    blue = (rgb[8, :, 2] - 128) / (2 - 2 * 0.0722)
    inside = slice(4, -4)
    assert np.abs(blue - (columns * 2 + 60 - 128))[inside].max() < 1.1
    again = planes_for(conversion, 16, 64)
    conversion.to_planes(conversion.to_rgb(planes), again)
    assert np.abs(again[1].astype(int) - planes[1])[:, 2:-2].max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (65, 97), (131, 5)])
@pytest.mark.parametrize("shape", [(2, 2), (2, 1), (1, 1), (1, 2)])
def test_odd_sizes_of_one_colour(size, shape):
    image = np.full((*size, 3), (9000, 40000, 21000), np.uint16)
    for centred in (False, True):
        back = there_and_back(Conversion(Layout("yuv", 10, *shape), 9, False, centred), image)[1]
        assert back.shape == image.shape
        assert np.abs(back.astype(int) - image).max() < WHITE / 512


def test_quarter_chroma_is_read():
    planes = [np.full((8, 16), 100, np.uint8), *(np.full((8, 4), 128, np.uint8) for _ in "uv")]
    image = Conversion(Layout("yuv", 8, 4, 1), 6).to_rgb(planes)
    assert image.shape == (8, 16, 3)
    assert np.ptp(image) == 0

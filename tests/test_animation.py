"""Animations: every frame, its time, how often it plays; read back by Pillow."""

from __future__ import annotations

import struct
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

import formats_samples as make
from recording import Recording
from reslift import media
from reslift.errors import InputError, LimitError, OutputError, UsageError
from reslift.formats import png
from reslift.limits import Limits
from reslift.media.animation import Animation, Results, apng, gif
from reslift.media.animation.clip import ticks
from reslift.media.base import Wishes
from reslift.sizes import Size
from small_models import bicubic_lift, made

WIDTH, HEIGHT = 16, 12
TIMES = (40, 120, 120, 1000)
SAVE = {"gif": "GIF", "png": "PNG", "webp": "WEBP"}
DISPOSALS = (0, 1, 2)


class Doubled(Recording):
    """An enlarger whose results are known: every pixel four times."""

    size, identity = Size(scale=2), "doubled"

    def __init__(self, limits=None):
        self.limits, self.calls = limits or Limits(), 0

    def run(self, planes, out, progress=None, *, exact=False):
        self.calls += 1
        out[...] = planes.pixels.repeat(2, 0).repeat(2, 1)
        if progress:
            progress(out.shape[0] * out.shape[1])


def squares(alpha=True, colours=6):
    """Four frames with a square that moves, the second twice."""
    frames = []
    for at in (0, 4, 4, 8):
        frame = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
        frame[..., :3] = (30, 60, 90)
        frame[..., 3] = 0 if alpha else 255
        frame[2:8, at : at + 4] = (200, 10 * at, 50, 255)
        frames.append(frame if alpha else frame[..., :3].copy())
    return frames


def clip(path, frames, times=TIMES, loop=0, **more):
    images = [Image.fromarray(frame) for frame in frames]
    kind = SAVE[path.suffix[1:]]
    if kind == "WEBP":
        more = {"lossless": True, "exact": True, **more}
    elif kind == "GIF":
        more = {"disposal": 2, **more}
    if loop is not None:
        more["loop"] = loop
    rest = {"save_all": True, "append_images": images[1:], "duration": list(times)}
    images[0].save(path, kind, **rest, **more)
    return path


def shown(path):
    """Frames as RGBA and their times in milliseconds, by Pillow."""
    with Image.open(path) as image:
        found = [
            (np.asarray(frame.convert("RGBA")), frame.info.get("duration"))
            for frame in ImageSequence.Iterator(image)
        ]
    return [frame for frame, _ in found], [time for _, time in found]


def run(source, target, enlarger=None, progress=None, **wishes):
    enlarger = enlarger or Doubled()
    return Animation().upscale(enlarger, source, target, Wishes(**wishes), progress)


def seen(frame):
    """RGBA with all that is invisible alike."""
    frame = frame if frame.shape[2] == 4 else np.dstack([frame, np.full(frame.shape[:2], 255)])
    return np.where(frame[..., 3:] > 0, frame, 0).astype(int)


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("target", SAVE)
@pytest.mark.parametrize("source", SAVE)
def test_every_frame_and_its_time(tmp_path, source, target, alpha):
    frames = squares(alpha)
    # Pillow joins equal frames, as few tools do: a single pixel keeps them apart here.
    frames[2][0, 0] = (31, 60, 90, 255)[: frames[2].shape[2]]
    path = clip(tmp_path / f"a.{source}", frames)
    assert media.of(path).name == "animation"
    extent = media.of(path).peek(path, Limits())
    assert (extent.width, extent.height, extent.frames) == (WIDTH, HEIGHT, 4)
    out = tmp_path / f"b.{target}"
    run(path, out)
    results, times = shown(out)
    assert times == list(TIMES)
    originals, _ = shown(path)
    assert len(results) == len(originals) == 4
    for result, original in zip(results, originals, strict=True):
        expected = seen(original).repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(seen(result), expected)
    assert Animation().verify(path, out) == ()


@pytest.mark.parametrize("loop", [None, 0, 1, 5])
@pytest.mark.parametrize("target", SAVE)
@pytest.mark.parametrize("source", SAVE)
def test_it_plays_as_often(tmp_path, source, target, loop):
    path = clip(tmp_path / f"a.{source}", squares(False)[1:], TIMES[1:], loop)
    plays = {None: 0 if source == "webp" else (1 if source == "gif" else 0)}.get(loop, loop)
    if source == "gif" and loop:
        plays = loop + 1
    run(path, tmp_path / f"b.{target}")
    with Image.open(tmp_path / f"b.{target}") as image:
        found = image.info.get("loop")
    if target == "gif":
        found = 1 if found is None else found and found + 1
    assert found == plays


def gif_by_hand(disposals, *, transparent=True):
    """Frames of 4 × 4 on a screen of 6 × 5, each with another colour, laid one pixel on."""
    table = bytes((0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255))
    data = b"GIF89a" + struct.pack("<HHBBB", 6, 5, 0x91, 2, 0) + table
    for number, disposal in enumerate(disposals):
        flags = disposal << 2 | transparent
        data += b"\x21\xf9\4" + struct.pack("<BHB", flags, 7 + number, 0) + b"\0"
        data += b"\x2c" + struct.pack("<HHHHB", number, 0, 4, 4, 0)
        alone = Image.fromarray(np.full((4, 4), number + 1, np.uint8))
        alone.putpalette(table)
        pixels = BytesIO()
        image = np.full((4, 4), number + 1, np.uint8)
        image[0, 0] = 0
        alone = Image.fromarray(image)
        alone.putpalette(table)
        alone.save(pixels, "GIF", optimize=False, interlace=False)
        raw = pixels.getvalue()
        start = raw.index(b"\x2c", 13 + 3 * 2 ** ((raw[10] & 7) + 1))
        skipped = 3 * 2 ** ((raw[start + 9] & 7) + 1) if raw[start + 9] & 0x80 else 0
        data += raw[start + 10 + skipped : -1]
    return data + b"\x3b"


@pytest.mark.parametrize("disposals", [(0, 0, 0), (1, 2, 0), (1, 3, 1), (2, 2, 2)])
def test_gif_frames_are_laid_over_each_other(tmp_path, disposals):
    path = tmp_path / "a.gif"
    path.write_bytes(gif_by_hand(disposals))
    colours = np.array([(0, 0, 0, 0), (255, 0, 0, 255), (0, 255, 0, 255), (0, 0, 255, 255)])
    canvas, expected = np.zeros((5, 6), int), []
    for number, disposal in enumerate(disposals):
        before = canvas.copy()
        mask = np.ones((4, 4), bool)
        mask[0, 0] = False
        canvas[:4, number : number + 4][mask] = number + 1
        expected.append(colours[canvas])
        if disposal == 2:
            canvas[:4, number : number + 4] = 0
        elif disposal == 3:
            canvas = before
    run(path, tmp_path / "b.png")
    results, times = shown(tmp_path / "b.png")
    assert times == [70, 80, 90]
    for result, frame in zip(results, expected, strict=True):
        np.testing.assert_array_equal(seen(result)[::2, ::2], frame)


def apng_by_hand(bits, frames, hidden=False):
    """frames: (pixels, left, top, disposal, blending); the first covers all."""
    height, width, bands = frames[0][0].shape
    colour = {1: 0, 2: 4, 3: 2, 4: 6}[bands]

    def packed(pixels):
        whole = make.png(pixels, colour, bits)
        at = whole.index(b"IDAT")
        return whole[at + 4 : at + 4 + int.from_bytes(whole[at - 4 : at], "big")]

    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    data = png.SIGNATURE + make.chunk(b"IHDR", head)
    data += make.chunk(b"acTL", struct.pack(">II", len(frames), 3))
    sequence = 0
    if hidden:
        data += make.chunk(b"IDAT", packed(frames[0][0]))
    for number, (pixels, left, top, disposal, blending) in enumerate(frames):
        size = (pixels.shape[1], pixels.shape[0], left, top)
        times = (number + 1, 24, disposal, blending)
        control = struct.pack(">IIIIIHHBB", sequence, *size, *times)
        data += make.chunk(b"fcTL", control)
        sequence += 1
        if number or hidden:
            data += make.chunk(b"fdAT", struct.pack(">I", sequence) + packed(pixels))
            sequence += 1
        else:
            data += make.chunk(b"IDAT", packed(pixels))
    return data + make.chunk(b"IEND", b"")


def test_apng_blends_and_disposes(tmp_path):
    """Frames laid over each other by Pillow's alpha_composite, which rounds to within 1."""
    rng = np.random.default_rng(3)
    frames = [
        (rng.integers(0, 256, shape, np.uint8), left, top, disposal, blending)
        for shape, left, top, disposal, blending in (
            ((9, 8, 4), 0, 0, 0, 0),
            ((4, 5, 4), 1, 2, 1, 1),
            ((5, 4, 4), 3, 3, 2, 0),
            ((6, 6, 4), 0, 1, 0, 1),
        )
    ]
    path = tmp_path / "a.png"
    path.write_bytes(apng_by_hand(8, frames))
    enlarger = Doubled()
    source, clip_ = _clip(path)
    with path.open("rb") as file:
        found = [frame.copy() for frame in source.frames(file, clip_, Limits())]
    canvas = Image.new("RGBA", (8, 9))
    for (pixels, left, top, disposal, blending), frame in zip(frames, found, strict=True):
        before, upper = canvas.copy(), Image.fromarray(pixels)
        if blending:
            canvas.alpha_composite(upper, (left, top))
        else:
            canvas.paste(upper, (left, top))
        error = np.abs(seen(frame) - seen(np.asarray(canvas)))
        assert (error <= 1 + 255 // np.maximum(frame[..., 3:], 1) * (error > 1)).all()
        assert np.abs(frame[..., 3].astype(int) - np.asarray(canvas)[..., 3]).max() <= 1
        if disposal == 1:
            canvas.paste((0, 0, 0, 0), (left, top, left + upper.width, top + upper.height))
        elif disposal == 2:
            canvas = before
    run(path, tmp_path / "b.png", enlarger)
    with Image.open(tmp_path / "b.png") as image:
        for number, frame in enumerate(found):
            image.seek(number)
            np.testing.assert_array_equal(np.asarray(image)[::2, ::2], frame)
    _, again = _clip(tmp_path / "b.png")
    assert again.durations == tuple(Fraction(n, 24) for n in (1, 2, 3, 4)) and again.plays == 3


def _clip(path):
    source = apng.ApngClip()
    with path.open("rb") as file:
        return source, source.inspect(file)


@pytest.mark.parametrize("bands", [1, 2, 3, 4])
def test_apng_of_16_bits_stays_that(tmp_path, bands):
    rng = np.random.default_rng(bands)
    frames = [
        (rng.integers(0, 65536, (9, 8, bands), np.uint16), 0, 0, 0, 0),
        (rng.integers(0, 65536, (4, 3, bands), np.uint16), 2, 1, 0, 0),
    ]
    path = tmp_path / "a.png"
    path.write_bytes(apng_by_hand(16, frames, hidden=bands == 3))
    notes = run(path, tmp_path / "b.png")
    assert bool(notes) == (bands == 3)
    source, found = _clip(tmp_path / "b.png")
    with (tmp_path / "b.png").open("rb") as file:
        back = [frame.copy() for frame in source.frames(file, found, Limits())]
    canvas = frames[0][0].copy()
    np.testing.assert_array_equal(back[0][::2, ::2], canvas)
    canvas[1:5, 2:5] = frames[1][0]
    np.testing.assert_array_equal(back[1][1::2, 1::2], canvas)


@pytest.mark.parametrize("target", SAVE)
def test_equal_frames_are_computed_once(tmp_path, target):
    frames = squares()
    picture = [(frame, 0, 0, 0, 0) for frame in (*frames, *frames[::-1])]
    path = tmp_path / "a.png"
    path.write_bytes(apng_by_hand(8, picture))
    enlarger, done = Doubled(), []
    run(path, tmp_path / f"b.{target}", enlarger, done.append)
    assert enlarger.calls == 3 and sum(done) == 8 * 4 * WIDTH * HEIGHT
    assert len(shown(tmp_path / f"b.{target}")[0]) == 8


def test_opaque_frames_cost_no_alpha_and_stay_opaque(tmp_path):
    frame = np.full((HEIGHT, WIDTH, 4), 255, np.uint8)
    frame[..., :3] = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3))
    seen_bands = []

    class Watching(Doubled):
        def run(self, planes, out, progress=None, *, exact=False):
            seen_bands.append(planes.pixels.shape[2])
            super().run(planes, out, progress)

    meta = make.picture_of(alpha=True, pixels=np.zeros((2 * HEIGHT, 2 * WIDTH, 4), np.uint8))
    result = Results(Watching(), meta, None).picture(frame)
    assert seen_bands == [3] and (result.pixels[..., 3] == 255).all()


def test_metadata_goes_along(tmp_path):
    frames = squares(False)
    exif = b"Exif\0\0" + make.exif_block(6)
    path = clip(tmp_path / "a.webp", frames, icc_profile=make.SRGB, exif=exif, xmp=make.XMP)
    for name in ("b.webp", "b.png"):
        run(path, tmp_path / name)
        with Image.open(tmp_path / name) as image:
            assert image.size == (2 * HEIGHT, 2 * WIDTH)
            assert image.info["icc_profile"] == make.SRGB
            assert image.getexif()[271] == "Maker" and image.getexif()[274] == 1
            assert image.getexif().get_ifd(34665)[40962] == 2 * HEIGHT
            assert b"xmpmeta" in image.info["xmp"]
    notes = run(path, tmp_path / "b.gif")
    for word in ("EXIF", "XMP", "ICC"):
        assert sum(word in note for note in notes) == 1
    run(path, tmp_path / "c.png", strip_metadata=True)
    with Image.open(tmp_path / "c.png") as image:
        assert 271 not in image.getexif() and "xmp" not in image.info
        assert image.info["icc_profile"] == make.SRGB


def test_times_that_a_gif_cannot_hold(tmp_path):
    path = clip(tmp_path / "a.webp", squares(False)[1:], (33, 33, 34))
    notes = run(path, tmp_path / "b.gif")
    assert any("hundredths of a second" in note for note in notes)
    assert sum(shown(tmp_path / "b.gif")[1]) == 100
    assert ticks((Fraction(1, 3),) * 9, Fraction(1, 100), 65535) == (
        [33, 34, 33, 33, 34, 33, 33, 34, 33],
        Fraction(1, 300),
    )


def test_results_by_a_model_equal_those_of_stills(tmp_path):
    frames = squares(False)
    path = clip(tmp_path / "a.webp", [frames[0], frames[1], frames[3]], TIMES[:3])
    upscaler = made(bicubic_lift(2))
    upscaler.upscale_file(path, tmp_path / "b.png")
    results, times = shown(tmp_path / "b.png")
    assert times == list(TIMES[:3])
    np.testing.assert_array_equal(results[1][..., :3], upscaler(frames[1]))


def test_limits_and_targets(tmp_path):
    path = clip(tmp_path / "a.gif", squares(False)[1:], TIMES[1:])
    with pytest.raises(LimitError, match="limit frames of 1 "):
        Animation().peek(path, Limits(frames=1))
    with pytest.raises(LimitError, match="input_pixels"):
        run(path, tmp_path / "b.png", Doubled(Limits(input_pixels=9)))
    with pytest.raises(LimitError, match="output_pixels"):
        run(path, tmp_path / "b.png", Doubled(Limits(output_pixels=WIDTH * HEIGHT)))
    with pytest.raises(UsageError, match=r"\.gif, \.png, \.apng, \.webp"):
        run(path, tmp_path / "b.jpg")
    with pytest.raises(OutputError, match="too large for WebP"):
        Animation().check_target(Path("a.webp"), media.Extent(9000, 5, 2), (18000, 10))
    with pytest.raises(OutputError, match="too many for a GIF"):
        Animation().check_target(Path("a.gif"), media.Extent(9, 9000, 2000), (18, 18000))
    with pytest.raises(UsageError, match="is an animation"):
        Animation().endings(path, "jpeg")
    assert Animation().endings(path, "png") == (".png", ".apng")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("source", SAVE)
def test_cut_off_and_damaged(tmp_path, source):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (40, 50, 3), np.uint8) for _ in range(3)]
    data = clip(tmp_path / f"a.{source}", frames, (50, 60, 70)).read_bytes()
    bad = tmp_path / f"bad.{source}"
    for part in range(1, 20):
        bad.write_bytes(data[: len(data) * part // 20])
        if media.of(bad) is None:
            continue
        with pytest.raises(InputError, match=rf"cannot use .*bad\.{source}"):
            run(bad, tmp_path / "b.png")
        assert not (tmp_path / "b.png").exists()


def test_a_still_is_no_animation(tmp_path):
    for name in SAVE:
        Image.fromarray(squares(False)[0]).save(tmp_path / f"a.{name}")
        assert media.of(tmp_path / f"a.{name}") is None
    with pytest.raises(UsageError, match="is no animation"):
        Animation().peek(tmp_path / "a.jpg", Limits()) if Path(tmp_path / "a.jpg").write_bytes(
            b"\xff\xd8\xff"
        ) else None


def test_gif_screen_smaller_than_its_frames(tmp_path):
    data = bytearray(gif_by_hand((1, 1, 1)))
    struct.pack_into("<HH", data, 6, 3, 3)
    (tmp_path / "a.gif").write_bytes(data)
    run(tmp_path / "a.gif", tmp_path / "b.png")
    assert [frame.shape for frame in shown(tmp_path / "b.png")[0]] == [(8, 8, 4)] * 3
    assert gif.GifClip().recognises(bytes(data[:64]))


@pytest.mark.parametrize("size", [Size(scale=1.7), Size(sides=(50, 20)), Size(scale=0.5)])
@pytest.mark.parametrize("target", SAVE)
def test_any_size(tmp_path, target, size):
    frames = squares(False)[1:]
    frames[1][0, 0] = (31, 60, 90)  # Pillow joins equal frames.
    path, out = clip(tmp_path / "a.png", frames, TIMES[1:]), tmp_path / f"b.{target}"
    upscaler = made(bicubic_lift(2), size=size)
    upscaler.upscale_file(path, out)
    results, times = shown(out)
    assert times == list(TIMES[1:])
    assert {frame.shape[1::-1] for frame in results} == {size.of(WIDTH, HEIGHT)}
    assert all((frame[..., 3] == 255).all() for frame in results)
    wanted = upscaler(frames[0])
    if target != "gif":
        assert np.abs(results[0][..., :3].astype(int) - wanted).max() <= 1
    assert Animation().verify(path, out) == ()
    other = made(bicubic_lift(2), size=Size(sides=(33, 33)))
    other.upscale_file(path, tmp_path / f"c.{target}", Wishes(provenance=False))
    assert "33×33" in Animation().verify(path, tmp_path / f"c.{target}")[0]

"""Videos at any size: even sides, the shape that players show, frames, sound and resume."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from reslift import media
from reslift.errors import ResliftError
from reslift.limits import DEFAULT
from reslift.media import Wishes
from reslift.media.video import parts
from reslift.media.video.probe import probe
from reslift.media.video.shape import aspect_of, sides_of
from reslift.media.video.verify import compare
from reslift.media.video.work import enlarge
from reslift.provenance import Record
from reslift.sizes import Size
from small_models import bicubic_lift, made, small_lift
from test_video_resume import Failing, folder_of
from video_samples import noisy_clip, packets, read, write

VFR = (0, 33, 70, 100, 180, 181)
TO_1_7 = Size(scale=1.7)


def shown(path):
    """Width ÷ height of the picture as players show it, before it is turned."""
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        return stream.width * (stream.sample_aspect_ratio or 1) / stream.height


def at(size, model=None):
    return made(model or bicubic_lift(2), size=size)


@pytest.mark.parametrize(
    ("size", "format", "wanted"),
    [
        (TO_1_7, "yuv420p", (82, 56)),
        (TO_1_7, "yuv422p", (82, 56)),
        (TO_1_7, "yuv444p", (82, 56)),
        (Size(scale=1.8), "yuv422p", (86, 59)),
        (Size(scale=1.8), "yuv444p", (86, 59)),
        (Size(scale=1.8), "yuv420p", (86, 60)),
        (Size(sides=(81, 55)), "yuv420p", (81, 55)),
        (Size(sides=(81, None)), "yuv420p", (81, 56)),
        (Size(long_side=75), "yuv420p", (75, 52)),
        (Size(megapixels=0.001), "yuv420p", (38, 26)),
        (Size(scale=0.1), "yuv420p", (4, 4)),
        (Size(scale=3), "yuv420p", (144, 99)),
    ],
)
def test_sides_that_nobody_named_are_even_where_colours_are_stored_for_pairs(
    size, format, wanted, tmp_path
):
    clip = probe(write(tmp_path / "a.mkv", size=(48, 33), format=format, codec="ffv1", options={}))
    assert sides_of(clip, size) == wanted


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("a.mp4", TO_1_7),
        ("a.mkv", Size(sides=(100, None))),
        ("a.mov", Size(long_side=77)),
        ("a.webm", Size(scale=0.6)),
        ("b.mp4", Size(scale=3.3)),
    ],
)
def test_nothing_but_the_size_changes(name, size, tmp_path):
    codec = {"codec": "libvpx-vp9", "options": {"crf": "20", "b": "0"}} if "webm" in name else {}
    sound = "libopus" if name[-3:] in ("mkv", "ebm") else "aac"
    source = write(tmp_path / name, times=VFR, sound=sound, **codec)
    target = tmp_path / f"large-{name}"
    notes = at(size).upscale_file(source, target)
    assert [note for note in notes if "4:4:4" not in note] == []
    assert media.of(source).verify(source, target) == ()
    (before, small), (after, large) = read(source), read(target)
    assert before == after
    assert packets(source, "audio")[0] == packets(target, "audio")[0]
    extent = media.of(source).peek(source, DEFAULT)
    assert large[0].shape[1::-1] == size.of(extent.width, extent.height, extent.step)
    assert np.allclose(small[0].mean((0, 1)), large[0].mean((0, 1)), atol=3)


def test_frames_are_those_of_a_still_picture(tmp_path):
    source = write(tmp_path / "a.mkv", codec="ffv1", format="bgr0", options={}, times=VFR[:2])
    upscaler = at(TO_1_7, small_lift(2))
    enlarge(upscaler, source, tmp_path / "b.mkv", Wishes(codec="ffv1"))
    for small, large in zip(read(source)[1], read(tmp_path / "b.mkv")[1], strict=True):
        assert np.abs(upscaler(small).astype(int) - large).max() <= 2


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("given", "aspect", "sides", "pixels"),
    [
        ((48, 36), None, (96, 54), Fraction(3, 4)),
        ((72, 58), Fraction(64, 45), (128, 72), Fraction(1)),
        ((48, 36), Fraction(4, 3), (96, 72), Fraction(4, 3)),
        ((96, 54), None, (128, 72), None),
    ],
)
def test_players_show_the_shape_that_they_showed(suffix, given, aspect, sides, pixels, tmp_path):
    source = write(tmp_path / f"a{suffix}", size=given, aspect=aspect, times=VFR[:2])
    target = tmp_path / f"b{suffix}"
    notes = enlarge(at(Size(sides=sides)), source, target, Wishes()).notes
    assert abs(shown(target) / shown(source) - 1) < 0.011
    with av.open(str(target)) as result:
        assert (result.streams.video[0].sample_aspect_ratio or 1) == (pixels or 1)
    assert compare(source, target) == ()
    assert len(notes) == (pixels == Fraction(3, 4))
    assert all("another shape" in note for note in notes)


def test_a_turned_video_is_sized_as_it_is_seen(tmp_path):
    source = write(tmp_path / "a.mp4", size=(48, 36), rotation=90, times=VFR[:2])
    extent = media.of(source).peek(source, DEFAULT)
    assert (extent.width, extent.height) == (36, 48)
    target = tmp_path / "b.mp4"
    assert enlarge(at(Size(sides=(72, 96))), source, target, Wishes()).notes == ()
    assert read(target)[1][0].shape == (72, 96, 3)
    assert compare(source, target) == ()


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_a_slanted_display_is_kept_or_told(suffix, tmp_path):
    upright = write(tmp_path / "a.mp4", size=(48, 36), rotation=90, times=VFR[:2])
    data = bytearray(upright.read_bytes())
    before = struct.pack(">9i", *probe(upright).matrix)
    assert data.count(before) == 1
    slanted = (1 << 16, 1 << 24, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    source = tmp_path / "b.mp4"
    source.write_bytes(data.replace(before, struct.pack(">9i", *slanted)))
    target = tmp_path / f"c{suffix}"
    notes = enlarge(at(Size(scale=2)), source, target, Wishes()).notes
    told = [note for note in notes if "slanted" in note]
    assert (probe(target).matrix, len(told)) == ((None, 1) if suffix == ".mkv" else (slanted, 0))


def test_a_named_odd_side_is_kept_and_what_that_costs_is_said(tmp_path):
    source = write(tmp_path / "a.mp4", times=VFR[:2])
    notes = enlarge(at(Size(sides=(81, 54))), source, tmp_path / "b.mp4", Wishes()).notes
    assert len(notes) == 1 and "81x54 is odd" in notes[0]
    assert enlarge(at(TO_1_7), source, tmp_path / "c.mp4", Wishes()).notes == ()


def test_another_shape_is_found(tmp_path):
    source = write(tmp_path / "a.mkv", size=(48, 32), times=VFR[:3])
    wrong = write(tmp_path / "b.mkv", size=(96, 80), times=VFR[:3])
    assert "players show in another shape" in compare(source, wrong)[0]
    enlarge(at(TO_1_7), source, tmp_path / "c.mkv", Wishes())
    assert compare(source, tmp_path / "c.mkv", 1.7) == ()
    assert "not a scale of 1.9" in compare(source, tmp_path / "c.mkv", 1.9)[0]
    assert aspect_of(probe(source), (82, 54)) is None


def test_the_record_says_the_size_and_the_models(tmp_path):
    source = write(tmp_path / "a.mkv", times=VFR[:2])
    for size, facts in ((TO_1_7, {"scale": 1.7}), (Size(sides=(96, 64)), {"sides": [96, 64]})):
        target = tmp_path / f"b{size.label}.mkv"
        enlarge(at(size), source, target, Wishes())
        with av.open(str(target)) as result:
            texts = [text for text in result.metadata.values() if "input_sha256" in text]
        record = Record.parse(texts[0])
        assert record.options["size"] == facts and record.size == size
        assert list(record.weights) == ["2"]


def test_a_run_that_failed_goes_on_and_gives_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "FEWEST", 8)
    monkeypatch.setattr(parts, "MOST", 8)
    source = write(tmp_path / "a.mp4", times=tuple(range(0, 800, 40)), sound="aac")
    whole, target = tmp_path / "whole.mkv", tmp_path / "b.mkv"
    model, wishes = bicubic_lift(2), Wishes(codec="ffv1")
    upscaler = at(TO_1_7, model)
    enlarge(upscaler, source, whole, wishes)
    with pytest.raises(ResliftError, match="NaN"):
        enlarge(Failing(upscaler, 17), source, target, wishes)
    counting = Failing(upscaler, -1)
    enlarge(counting, source, target, wishes)
    assert counting.calls < 20
    assert target.read_bytes() == whole.read_bytes()
    with pytest.raises(ResliftError, match="NaN"):
        enlarge(Failing(upscaler, 17), source, tmp_path / "c.mkv", wishes)
    other = Failing(at(Size(scale=1.6), model), -1)
    enlarge(other, source, tmp_path / "c.mkv", wishes)
    assert other.calls == 20
    assert not folder_of(target).exists()


def test_noise_is_averaged_at_any_size_too(tmp_path):
    source, spread = noisy_clip(tmp_path / "a.mkv", 10), {}
    for steady in (True, False):
        target = tmp_path / f"{steady}.mkv"
        wishes = Wishes(codec="ffv1", steady=steady)
        enlarge(at(TO_1_7), source, target, wishes)
        spread[steady] = np.stack(read(target)[1])[2:].astype(float).std(0).mean()
    assert spread[True] < spread[False] / 2

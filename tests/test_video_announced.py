"""Files that announce much more than they hold are refused; whole ones with odd headers are not."""

import struct
from fractions import Fraction

import av
import numpy as np
import pytest

from reslift.errors import InputError
from reslift.media import Wishes
from reslift.media.video.boxes import SEGMENT, missing_bytes
from reslift.media.video.work import enlarge
from small_models import bicubic_lift, made
from video_samples import read, write

TIMES = tuple(range(0, 800, 40))


@pytest.fixture(scope="module")
def upscaler():
    return made(bicubic_lift(2))


def patched(path, *changes):
    """The file with the bytes at places changed."""
    data = bytearray(path.read_bytes())
    for place, new in changes:
        data[place : place + len(new)] = new
    path.write_bytes(data)
    return path


def without_pictures(path, kept):
    """A video whose packets after the first `kept` hold nothing."""
    with av.open(str(path)) as container:
        packets = sorted((p.dts, p.pos, p.size) for p in container.demux(video=0) if p.size)
    return patched(path, *((pos, bytes(size)) for _, pos, size in packets[kept:]))


def number_after(path, name, skip, value):
    """A 32-bit number behind a box's name replaced."""
    place = path.read_bytes().index(name) + len(name) + skip
    return patched(path, (place, value.to_bytes(4, "big")))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
def test_frames_that_cannot_be_decoded(name, upscaler, tmp_path):
    source = without_pictures(write(tmp_path / name, times=TIMES, options={"bf": "0"}), 5)
    target = tmp_path / f"large-{name}"
    with pytest.raises(InputError, match=r"(15 of 20 frames|pictures end).*; add --allow-trunc"):
        enlarge(upscaler, source, target, Wishes())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    outcome = enlarge(upscaler, source, target, Wishes(allow_truncated=True))
    if name != "a.mkv":
        assert outcome.notes == ("15 of 20 frames could not be decoded",)
    assert len(read(target)[0]) == outcome.tally.shots == 5


def test_mp4_that_announces_more_frames_than_it_has(upscaler, tmp_path):
    source = write(tmp_path / "a.mp4", times=TIMES)
    number_after(source, b"stsc", 12, 7)
    with pytest.raises(InputError, match=r"it announces 20 frames and has 7; add --allow-trunc"):
        enlarge(upscaler, source, tmp_path / "b.mp4", Wishes())
    outcome = enlarge(upscaler, source, tmp_path / "b.mp4", Wishes(allow_truncated=True))
    assert outcome.tally.shots == 7


def test_mkv_that_announces_a_later_end(upscaler, tmp_path):
    source = write(tmp_path / "a.mkv", times=TIMES)
    data = source.read_bytes()
    place = data.index(b"\x44\x89\x88") + 3
    (length,) = struct.unpack(">d", data[place : place + 8])
    assert length == 800
    tag = data.index(b"00:00:00.800000000")
    patched(source, (place, struct.pack(">d", 4000.0)), (tag, b"00:00:04.000000000"))
    with pytest.raises(InputError, match=r"it announces 4.00 s, and its pictures end after 0.76 s"):
        enlarge(upscaler, source, tmp_path / "b.mkv", Wishes())
    assert enlarge(upscaler, source, tmp_path / "b.mkv", Wishes(end=0.5)).tally.shots == 13
    enlarge(upscaler, source, tmp_path / "c.mkv", Wishes(allow_truncated=True))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov", "a.webm"])
@pytest.mark.parametrize("times", [(0, 40, 5000), (0, 5000, 10000), (7000, 7040), (0,)])
def test_frames_that_stand_long(name, times, upscaler, tmp_path):
    codec = {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}} if "webm" in name else {}
    source = write(tmp_path / name, times=times, **codec)
    assert enlarge(upscaler, source, tmp_path / f"b-{name}", Wishes()).tally.shots == len(times)


def test_sound_that_goes_on_and_a_stale_count(upscaler, tmp_path):
    source, silence = tmp_path / "a.mkv", np.zeros((1, 1024), np.float32)
    with av.open(str(source), "w") as out:
        video, sound = out.add_stream("libx264", rate=25), out.add_stream("aac", rate=48000)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        video.metadata["NUMBER_OF_FRAMES"] = "900"
        sound.layout = "mono"
        for _ in range(8):
            out.mux(video.encode(av.VideoFrame(48, 32, "yuv420p")))
        out.mux(video.encode(None))
        for place in range(200):
            frame = av.AudioFrame.from_ndarray(silence, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 1024 * place, Fraction(1, 48000)
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    assert enlarge(upscaler, source, tmp_path / "b.mkv", Wishes()).tally.shots == 8


def test_matroska_that_counts_nothing(upscaler, tmp_path):
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w", format="matroska", options={"live": "1"}) as out:
        video = out.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        for _ in range(8):
            out.mux(video.encode(av.VideoFrame(48, 32, "yuv420p")))
        out.mux(video.encode(None))
    assert enlarge(upscaler, source, tmp_path / "b.mkv", Wishes()).tally.shots == 8


def test_an_edit_list_that_leaves_most_out(upscaler, tmp_path):
    source = write(tmp_path / "a.mp4", times=TIMES, options={"crf": "12", "g": "5", "bf": "0"})
    data = source.read_bytes()
    place = data.index(b"elst") + 12
    length, begin = struct.unpack(">Ii", data[place : place + 8])
    patched(source, (place, struct.pack(">Ii", length // 4, begin + 600)))
    shots = enlarge(upscaler, source, tmp_path / "b.mp4", Wishes()).tally.shots
    assert 3 <= shots <= 8


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_part_of_a_file(name, upscaler, tmp_path):
    source = write(tmp_path / name, times=TIMES)
    for wishes in (Wishes(end=0.1), Wishes(start=0.7), Wishes(start=0.2, end=0.3)):
        assert enlarge(upscaler, source, tmp_path / f"b{wishes.start}-{name}", wishes).tally.shots


def recording(path, clusters):
    """Matroska as it is recorded: the segment, and with `clusters` each cluster, has no length."""
    options = {"live": "1"} if clusters else {}
    with av.open(str(path), "w", format="matroska", container_options=options) as out:
        video = out.add_stream("libx264", rate=25, options={"bf": "0", "g": "4"})
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        for place in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((32, 48, 3), place * 9, np.uint8), "rgb24")
            frame.pts, frame.time_base = place, Fraction(1, 25)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    data = path.read_bytes()
    place = data.index(SEGMENT) + len(SEGMENT)
    path.write_bytes(data[:place] + b"\x01" + b"\xff" * 7 + data[place + 8 :])
    return path


@pytest.mark.parametrize("clusters", [False, True])
def test_a_recording_that_breaks_off_within_an_element(clusters, upscaler, tmp_path):
    source, target = recording(tmp_path / "a.mkv", clusters), tmp_path / "b.mkv"
    assert missing_bytes(source) == 0
    enlarge(upscaler, source, target, Wishes())
    assert len(read(target)[0]) == 20
    target.unlink()
    with av.open(str(source)) as container:
        last = [(p.pos, p.size) for p in container.demux(video=0) if p.size][-3:]
    data = source.read_bytes()
    source.write_bytes(data[: last[0][0] + last[0][1] // 2])
    with pytest.raises(InputError, match=r"truncated, the file ends .* too early"):
        enlarge(upscaler, source, target, Wishes())
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]
    assert enlarge(upscaler, source, target, Wishes(allow_truncated=True)).tally.shots >= 17

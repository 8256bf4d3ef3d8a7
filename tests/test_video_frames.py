"""Frames that are not like the first, or are of kinds that decoders seldom hand out."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from reslift.errors import InputError
from reslift.media import Wishes
from reslift.media.video.probe import planar
from reslift.media.video.verify import compare
from reslift.media.video.work import enlarge
from small_models import bicubic_lift, made
from video_samples import picture, read, tags, write

EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
SIDEWAYS = b"\xff\xe1" + (len(EXIF) + 2).to_bytes(2, "big") + EXIF


@pytest.fixture(scope="module")
def upscaler():
    return made(bicubic_lift(2))


def pictures_of(path):
    with av.open(str(path)) as source:
        return [bytes(packet) for packet in source.demux(video=0) if packet.size]


def joined(path, *clips, begin=b""):
    """The pictures of several clips as one stream; `begin` goes behind the start of each."""
    pictures = [data[:2] + begin + data[2:] for clip in clips for data in pictures_of(clip)]
    return with_pictures(path, clips[0], pictures)


def with_pictures(path, like, pictures):
    """A clip of these pictures, as the stream of another has them."""
    with av.open(str(like)) as first, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(first.streams.video[0])
        for place, data in enumerate(pictures):
            packet = av.Packet(data)
            packet.pts = packet.dts = place * 40
            packet.duration, packet.time_base = 40, Fraction(1, 1000)
            packet.stream, packet.is_keyframe = stream, True
            out.mux(packet)
    return path


def motion_jpeg(path, format):
    return write(path, codec="mjpeg", format=format, times=(0, 40), options={"qmin": "1"})


@pytest.mark.parametrize("deinterlace", [False, True])
def test_another_sampling_midway(deinterlace, upscaler, tmp_path):
    formats = ("yuvj420p", "yuvj422p", "yuvj444p")
    clips = [motion_jpeg(tmp_path / f"{format}.mkv", format) for format in formats]
    source, target = joined(tmp_path / "a.mkv", *clips), tmp_path / "b.mkv"
    enlarge(upscaler, source, target, Wishes(crf=4, deinterlace=deinterlace))
    for before, after in zip(read(source)[1], read(target)[1], strict=True):
        assert np.abs(before.astype(float) - after[::2, ::2]).mean() < 8
    assert compare(source, target) == ()


def test_another_range_midway(upscaler, tmp_path):
    options = {"bf": "0", "crf": "4"}
    clips = [
        write(tmp_path / f"{reach}.h264", times=(0, 40), options=options, colors=(reach, 1, 1, 1))
        for reach in (1, 2)
    ]
    source, target = joined(tmp_path / "a.mkv", *clips), tmp_path / "b.mkv"
    enlarge(upscaler, source, target, Wishes(crf=4))
    assert compare(source, target) == ()


def test_other_channels_midway_are_refused(upscaler, tmp_path):
    clips = [
        write(tmp_path / f"{format}.mov", codec="png", format=format, times=(0, 40), options={})
        for format in ("rgb24", "gray")
    ]
    source = joined(tmp_path / "a.mov", *clips)
    with pytest.raises(InputError, match=r"frame 2 has other channels \(gray\).*split it there"):
        enlarge(upscaler, source, tmp_path / "b.mov", Wishes())


def test_frames_with_what_pyav_does_not_know(upscaler, tmp_path):
    """FFmpeg hands out EXIF since version 8, and goes by the orientation in it."""
    clip = motion_jpeg(tmp_path / "plain.mkv", "yuvj420p")
    source, target = joined(tmp_path / "a.mov", clip, begin=SIDEWAYS), tmp_path / "b.mov"
    notes = enlarge(upscaler, source, target, Wishes()).notes
    assert any("PyAV does not know" in note for note in notes)
    assert tags(target)[-1] == tags(source)[-1] == -90
    assert compare(source, target) == ()


@pytest.mark.parametrize("opaque", [True, False])
def test_palettes(opaque, upscaler, tmp_path):
    """The last colour of the palette is transparent, and shown or not."""
    image = Image.fromarray(picture(0, (48, 32))[..., 0] // 2).convert("P")
    image.putpalette(bytes(range(256)) * 3)
    image.putpixel((5, 5), 0 if opaque else 255)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=bytes([255] * 255 + [9]))
    like = write(tmp_path / "like.mov", codec="png", format="rgb24", times=(0, 40), options={})
    source = with_pictures(tmp_path / "a.mov", like, [buffer.getvalue()] * 2)
    notes = enlarge(upscaler, source, tmp_path / "b.mov", Wishes()).notes
    assert any("transparency is not kept" in note for note in notes) is not opaque
    assert ("transparency is gone" in compare(source, tmp_path / "b.mov")) is not opaque


@pytest.mark.parametrize(
    ("packed", "wanted"),
    [
        ("nv12", "yuv420p"),
        ("p010le", "yuv420p10le"),
        ("uyvy422", "yuv422p"),
        ("y210le", "yuv422p10le"),
        ("uyyvyy411", "yuv411p"),
        ("v30xle", "yuv444p10le"),
        ("vuya", "yuva444p"),
        ("rgb48be", "gbrp16le"),
        ("x2rgb10le", "gbrp10le"),
        ("monob", "gray"),
        ("gray10le", "gray10le"),
    ],
)
def test_planes_have_the_bits_and_the_sampling_of_what_is_packed(packed, wanted):
    assert planar(packed) == wanted


@pytest.mark.parametrize("matrix", [8, 10, 14])
def test_verify_reads_matrices_that_ffmpeg_does_not_convert(matrix, upscaler, tmp_path):
    source = write(tmp_path / "a.mkv", format="yuv444p", times=(0, 40), colors=(1, 1, 1, matrix))
    enlarge(upscaler, source, tmp_path / "b.mkv", Wishes())
    assert compare(source, tmp_path / "b.mkv") == ()


def standing(path, first):
    """The clip whose last packet lasts three seconds."""
    with av.open(str(first)) as old, av.open(str(path), "w") as new:
        made = new.add_stream_from_template(old.streams.video[0])
        packets = [packet for packet in old.demux(video=0) if packet.size]
        packets[-1].duration = round(3 / packets[-1].time_base)
        for packet in packets:
            packet.stream = made
            new.mux(packet)
    return path


@pytest.mark.parametrize("names", [("a.mp4", "b.mp4"), ("a.mp4", "b.mkv"), ("a.mkv", "b.mkv")])
@pytest.mark.parametrize("later", [0, 2])
def test_the_last_picture_stays_as_long(names, later, upscaler, tmp_path):
    """MP4 counts lengths in the order of decoding: with B-frames another packet has that one's."""
    options = {"bf": str(later), "x264-params": "b-adapt=0"}
    source = standing(tmp_path / names[0], write(tmp_path / "first.mp4", options=options))
    target = tmp_path / names[1]
    enlarge(upscaler, source, target, Wishes())
    if later and source.suffix == ".mkv":
        return  # there a length is that of its own picture
    with av.open(str(source)) as wanted, av.open(str(target)) as found:
        assert wanted.duration > 3_000_000
        assert found.duration == pytest.approx(wanted.duration, abs=1000)

"""What one container or codec holds and another does not: kept by other means, or said."""

import struct
from fractions import Fraction

import av
import pytest

from reslift import media
from reslift.errors import UsageError
from reslift.media import Wishes
from reslift.media.video import shown, timecode
from reslift.media.video.boxes import SEGMENT
from reslift.media.video.codecs import CODECS
from reslift.media.video.encode import ONLY_LISTED, SAMPLINGS
from reslift.media.video.verify import compare
from reslift.media.video.work import enlarge
from small_models import bicubic_lift, made
from video_samples import packets, read, write

TIMES = (0, 40, 80, 120)
IN_ORDER = {"crf": "12", "bf": "0"}


@pytest.fixture(scope="module")
def upscaler():
    return made(bicubic_lift(2))


def formats_of(codec):
    """Those that can be chosen: gray, RGB and YUV of whole bytes, with and without transparency."""
    known = {format.name for format in av.Codec(codec.library, "w").video_formats}
    yuv = [f"yuv{a}{n.replace(':', '')}p" for a in ("", "a") for n in SAMPLINGS.values()]
    wanted = {f"{name}{deep}" for name in (*yuv, "gray", "gbrp", "gbrap") for deep in ("", "10le")}
    return sorted((known & wanted) - ONLY_LISTED.get(codec.library, set()))


@pytest.mark.parametrize("name", CODECS)
def test_encoders_open_with_what_can_be_chosen(name):
    for format in formats_of(CODECS[name]):
        context = av.CodecContext.create(CODECS[name].library, "w")
        context.width, context.height, context.pix_fmt = 96, 64, format
        context.time_base = Fraction(1, 25)
        context.colorspace = 0 if format.startswith("gb") else 1
        context.options = {"x265-params": "log-level=none"} if name == "h265" else {}
        context.open()


@pytest.mark.parametrize(
    ("format", "target", "codec", "result", "words"),
    [
        ("yuva444p", "b.webm", "vp9", "yuva420p", ["colours are kept at every other pixel"]),
        ("bgra", "b.webm", "vp9", "yuva420p", ["every other pixel", "YUV 4:2:0 by BT.709"]),
        ("yuva420p", "b.mkv", "h265", "yuv420p", ["transparency is not kept"]),
        ("yuva444p10le", "b.mkv", "ffv1", "yuva444p10le", []),
        ("gray", "b.webm", "vp9", "yuv420p", []),
        ("gray", "b.webm", "av1", "yuv420p", []),
        ("gray10le", "b.webm", None, "yuv420p10le", []),
    ],
)
def test_layouts_that_a_codec_lacks(format, target, codec, result, words, upscaler, tmp_path):
    source = write(tmp_path / "a.mkv", codec="ffv1", format=format, options={}, times=TIMES)
    made_of = enlarge(upscaler, source, tmp_path / target, Wishes(codec=codec))
    assert len(made_of.notes) == len(words)
    assert all(word in note for word, note in zip(words, made_of.notes, strict=True))
    gone = ("transparency is gone",) if words == ["transparency is not kept"] else ()
    assert compare(source, tmp_path / target) == gone
    with av.open(str(tmp_path / target)) as container:
        stream = container.streams.video[0]
        alpha = stream.metadata.get("ALPHA_MODE") == "1"
        assert stream.format.name == (
            result.replace("yuva", "yuv") if alpha and codec == "vp9" else result
        )
    if codec != "vp9":  # whose own decoder in FFmpeg leaves transparency out
        small, large = read(source)[1], read(tmp_path / target)[1]
        for one, other in zip(small, large, strict=True):
            assert abs(one.mean((0, 1)) - other.mean((0, 1))).max() < 2.5


def test_a_layout_without_a_codec_says_what_to_do(upscaler, tmp_path):
    source = write(tmp_path / "a.mkv", codec="ffv1", format="yuv444p10le", options={}, times=TIMES)
    with pytest.raises(
        UsageError, match=r"libsvtav1 has no pixel format for 10 bits .*use --codec"
    ):
        enlarge(upscaler, source, tmp_path / "b.webm", Wishes())


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv", "b.webm"])
def test_any_tag_of_the_file_is_kept(name, upscaler, tmp_path):
    """MOV has no artist and MP4 no MOOD, but for QuickTime's keys."""
    told = {"title": "ä", "artist": "me", "MOOD": "glad", "comment": "c"}
    source = write(tmp_path / "a.mkv", tags=told, times=TIMES)
    target = tmp_path / name
    assert enlarge(upscaler, source, target, Wishes()).notes == ()
    assert compare(source, target) == ()
    with av.open(str(target)) as container:
        found = {key.lower(): value for key, value in container.metadata.items()}
    assert found.items() >= {key.lower(): value for key, value in told.items()}.items()
    assert media.of(target).record(target) is not None


@pytest.mark.parametrize("name", ["b.mp4", "b.mkv"])
def test_what_known_players_find_stays_where_they_look(name, upscaler, tmp_path):
    source = write(tmp_path / "a.mp4", tags={"title": "t", "artist": "me"}, times=TIMES)
    enlarge(upscaler, source, tmp_path / name, Wishes())
    assert (b"\xa9ART" in (tmp_path / name).read_bytes()) == (name == "b.mp4")


def remade(path, source, *, tags=None, uses=None, without=None):
    """A copy of `source` whose streams have other tags and uses, by kind, or without one."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        made = {}
        for stream in old.streams:
            if stream.index == without:
                continue
            copy = made[stream.index] = new.add_stream_from_template(stream, opaque=True)
            copy.metadata.update({**stream.metadata, **(tags or {}).get(stream.type, {})})
            copy.disposition = (uses or {}).get(stream.type, int(stream.disposition))
        for packet in old.demux():
            if packet.dts is not None and packet.stream_index in made:
                packet.stream = made[packet.stream_index]
                new.mux(packet)
    return path


def test_what_is_said_of_a_stream_is_kept_or_told(upscaler, tmp_path):
    original = av.stream.Disposition.original
    source = remade(
        tmp_path / "a.mkv",
        write(tmp_path / "plain.mkv", sound="aac", times=TIMES, options=IN_ORDER),
        tags={"video": {"MOOD": "glad"}},
        uses={"audio": int(original)},
    )
    assert enlarge(upscaler, source, tmp_path / "b.mkv", Wishes()).notes == ()
    assert enlarge(upscaler, source, tmp_path / "b.mp4", Wishes()).notes == (
        "tags of video stream 0 (h264) that mp4 has no place for are not kept: MOOD",
        "audio stream 1 (aac, deu) is no longer marked as original: mp4 has no place for it",
    )


@pytest.mark.parametrize("name", ["b.mov", "b.mp4", "b.mkv"])
def test_the_time_code_of_a_camera(name, upscaler, tmp_path):
    """MOV shows it as a track of its own, which its muxer makes again."""
    code = {"timecode": "01:02:03:04"}
    source = write(tmp_path / "a.mov", tags=code, sound="pcm_s16le", times=range(0, 400, 40))
    with av.open(str(source)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio", "data"]
    found = enlarge(upscaler, source, tmp_path / name, Wishes())
    assert [note for note in found.notes if "milliseconds" not in note] == []
    assert compare(source, tmp_path / name) == ()
    with av.open(str(tmp_path / name)) as container:
        told = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
    assert told["timecode"] == code["timecode"]


@pytest.mark.parametrize("name", ["b.mov", "b.mkv"])
def test_the_time_code_of_a_cut(name, upscaler, tmp_path):
    """It names the first picture that is left: at 25 frames a second, 0.12 s are three."""
    code = {"timecode": "01:02:03:23"}
    source = write(tmp_path / "a.mov", tags=code, times=range(0, 400, 40))
    enlarge(upscaler, source, tmp_path / name, Wishes(start=0.12, end=0.3))
    assert compare(source, tmp_path / name) == ()
    with av.open(str(tmp_path / name)) as container:
        told = {key.lower(): value for key, value in container.streams.video[0].metadata.items()}
    assert told["timecode"] == "01:02:04:01"


@pytest.mark.parametrize(
    ("code", "frames", "rate", "wanted"),
    [
        ("00:00:00:00", 25, Fraction(25), "00:00:01:00"),
        ("23:59:59:24", 1, Fraction(25), "00:00:00:00"),
        ("01:00:00:00", 24 * 60 * 61, Fraction(24000, 1001), "02:01:00:00"),
        ("00:00:59;29", 1, Fraction(30000, 1001), "00:01:00;02"),
        ("00:09:59;29", 1, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:00;00", 17982, Fraction(30000, 1001), "00:10:00;00"),
        ("00:00:59;59", 1, Fraction(60000, 1001), "00:01:00;04"),
        ("00:01:00;02", -0, Fraction(30000, 1001), "00:01:00;02"),
        ("10:11:12;13", 107892 * 24, Fraction(30000, 1001), "10:11:12;13"),
        ("00:00:59:29", 1, Fraction(30), "00:01:00:00"),
        ("00:00:00:30", 5, Fraction(25), "00:00:00:30"),
        ("afternoon", 5, Fraction(25), "afternoon"),
    ],
)
def test_time_codes_count_as_smpte_has_it(code, frames, rate, wanted):
    """At 29.97 frames a second 107,892 are an hour of drop-frame code."""
    assert timecode.advanced(code, frames, rate) == wanted


@pytest.mark.parametrize("sound", ["pcm_s16le", "pcm_s24le", "alac", "flac", "ac3", "mp2"])
@pytest.mark.parametrize("name", ["b.mp4", "b.mov"])
def test_sound_of_matroska_in_other_containers(sound, name, upscaler, tmp_path):
    """PCM needs to say which speakers, and a last packet without a length would be cut off."""
    source = write(tmp_path / "a.mkv", sound=sound, times=range(0, 400, 40))
    found = enlarge(upscaler, source, tmp_path / name, Wishes())
    if (sound, name) == ("flac", "b.mov"):
        assert found.notes == (
            "audio stream 1 (flac, deu) is not in the result: mov cannot hold it",
        )
        return
    assert found.notes == ()
    assert compare(source, tmp_path / name) == ()
    before, after = (packets(path, "audio")[0] for path in (source, tmp_path / name))
    assert [data for _, data in before] == [data for _, data in after]


def test_streams_of_the_same_bytes_are_told_apart(upscaler, tmp_path):
    """Verify compares a track with the one of its own language."""
    plain = write(tmp_path / "plain.mkv", sound="aac", times=TIMES, options=IN_ORDER)
    source = tmp_path / "a.mkv"
    with av.open(str(plain)) as old, av.open(str(source), "w") as new:
        copies = [new.add_stream_from_template(old.streams[i], opaque=True) for i in (0, 1, 1)]
        for copy, code in zip(copies[1:], ("deu", "fra"), strict=True):
            copy.metadata["language"] = code
        for packet in old.demux():
            if packet.dts is not None:
                again = av.Packet(bytes(packet))
                again.pts, again.dts = packet.pts, packet.dts
                again.time_base, again.is_keyframe = packet.time_base, packet.is_keyframe
                sound = packet.stream_index == 1
                packet.stream = copies[packet.stream_index]
                new.mux(packet)
                if sound:
                    again.stream = copies[2]
                    new.mux(again)
    target = tmp_path / "b.mkv"
    enlarge(upscaler, source, target, Wishes())
    assert compare(source, target) == ()
    remade(tmp_path / "c.mkv", source, without=1)
    lost = compare(source, tmp_path / "c.mkv")
    assert lost == ("audio stream 1 (aac, deu) is not in the result byte for byte",)


@pytest.mark.parametrize(
    ("name", "was", "now", "notes"),
    [
        ("a.mp4", b"mp4a", b"zz4a", ()),
        (
            "a.mkv",
            b"A_AAC",
            b"A_ZZZ",
            ("audio stream 1 (unknown codec, deu) is not in the result: its codec is not known",),
        ),
    ],
)
def test_sound_of_an_unknown_codec(name, was, now, notes, upscaler, tmp_path):
    plain = write(tmp_path / f"plain{name}", sound="aac", times=TIMES)
    source = tmp_path / name
    source.write_bytes(plain.read_bytes().replace(was, now))
    target = tmp_path / f"b-{name}"
    assert enlarge(upscaler, source, target, Wishes()).notes == notes
    missing = ("audio stream 1 (unknown codec, deu) is not in the result byte for byte",)
    assert compare(source, target) == (missing if notes else ())


def test_verify_sees_lost_colours(tmp_path):
    source = write(tmp_path / "a.mkv", times=TIMES)
    gray = write(
        tmp_path / "b.mkv", codec="ffv1", format="gray", options={}, size=(96, 64), times=TIMES
    )
    assert "colours are gone: the result is gray" in compare(source, gray)


def test_verify_sees_frames_in_another_order(tmp_path):
    source = write(tmp_path / "a.mkv", times=TIMES, options={"crf": "5"})
    with av.open(str(source)) as opened:
        frames = [frame.to_ndarray(format="rgb24") for frame in opened.decode(video=0)]

    def clip(name, order):
        with av.open(str(tmp_path / name), "w") as made:
            stream = made.add_stream("ffv1", 25)
            stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv444p"
            stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
            for time, place in zip(TIMES, order, strict=True):
                large = frames[place].repeat(2, 0).repeat(2, 1)
                frame = av.VideoFrame.from_ndarray(large, format="rgb24")
                frame.pts, frame.time_base = time, Fraction(1, 1000)
                made.mux(stream.encode(frame))
            made.mux(stream.encode(None))
        return tmp_path / name

    order = list(range(len(TIMES)))
    words = "frames show something else than in the source, first frame"
    assert words not in " ".join(compare(source, clip("same.mkv", order)))
    order[1], order[3] = order[3], order[1]
    assert f"2 of 4 {words} 1" in " ".join(compare(source, clip("swapped.mkv", order)))
    assert f"1 of 4 {words} 1" in " ".join(compare(source, clip("held.mkv", [0, 0, 2, 3])))


def box(name, *parts):
    data = b"".join(parts)
    return (8 + len(data)).to_bytes(4, "big") + name + data


def all_around(path):
    """The MP4 marked as a picture all around, as Spherical Video V2 has it."""
    whole = bytes(4)
    projection = box(b"proj", box(b"prhd", whole, bytes(12)), box(b"equi", whole, bytes(16)))
    mark = box(b"sv3d", box(b"svhd", whole, b"test\0"), projection)
    data = bytearray(path.read_bytes())
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        place = data.rindex(name) - 4
        size = int.from_bytes(data[place : place + 4], "big")
        data[place : place + 4] = (size + len(mark)).to_bytes(4, "big")
    data[place + size : place + size] = mark
    path.write_bytes(data)
    return path


def test_marks_that_cannot_be_written_are_told(upscaler, tmp_path):
    packed = {"x264-params": "frame-packing=3"}
    clips = {
        "look all around": all_around(write(tmp_path / "a.mp4")),
        "a picture for each eye": write(tmp_path / "b.mp4", options=packed),
    }
    for words, source in clips.items():
        (note,) = enlarge(upscaler, source, tmp_path / f"large-{source.name}", Wishes()).notes
        assert words in note and "cannot be kept" in note


def with_box(path, walk, names, added):
    """The file with more at the end of the innermost of nested boxes or elements."""
    data, chain = bytearray(path.read_bytes()), []
    with path.open("rb") as file:
        piece = shown.Piece(b"", 0, len(data))
        for name in names:
            piece = next(one for one in walk(file, piece.start, piece.end) if name == one.name)
            chain.append(piece)
            if name == b"stsd":
                piece = shown.Piece(b"", piece.start + 8, piece.end)
    data[piece.end : piece.end] = added
    for piece in reversed(chain):
        ebml = walk is shown.elements
        at = data.rfind(piece.name, 0, piece.start) + len(piece.name) if ebml else piece.start - 8
        wide = piece.start - at if ebml else 4
        size = int.from_bytes(data[at : at + wide], "big") + len(added)
        data[at : at + wide] = size.to_bytes(wide, "big")
    if ebml:
        checksum = data.find(b"\xbf\x84", chain[1].start, chain[1].end)
        data[checksum : checksum + 1] = b"\xec"
    path.write_bytes(data)


APERTURE = struct.pack(">I4s8i", 40, b"clap", 40, 1, 32, 1, -4, 1, 0, 1)
PIXEL_CROP = b"\x54\xaa\x81\x0a\x54\xbb\x81\x06\x54\xcc\x81\x08\x54\xdd\x81\x10"


@pytest.mark.parametrize(
    ("name", "walk", "names", "added"),
    [
        ("a.mov", shown._boxes, (b"moov", b"trak", *shown.TO_SAMPLES, b"avc1"), APERTURE),
        ("a.mkv", shown.elements, (SEGMENT, shown.TRACKS, shown.TRACK, shown.VIDEO), PIXEL_CROP),
    ],
    ids=["clap", "PixelCrop"],
)
def test_what_players_should_hide_is_told(name, walk, names, added, upscaler, tmp_path):
    """A part that the container has players show: all is kept, and a note says that all shows."""
    source = write(tmp_path / name, size=(64, 48), times=TIMES)
    target = tmp_path / f"b{source.suffix}"
    words = "players show 40×32 of 64×48 pixels"
    assert words not in " ".join(enlarge(upscaler, source, target, Wishes()).notes)
    with_box(source, walk, names, added)
    found = enlarge(upscaler, source, target, Wishes(overwrite=True))
    assert words in " ".join(found.notes)
    assert [len(part) for part in read(target)] == [len(TIMES)] * 2

"""Videos from end to end with tiny models: times, streams, tags, refusals. Clips are made here."""

import os
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from reslift import inputs, media
from reslift.batch.naming import readable_suffixes
from reslift.errors import InputError, LimitError, OutputError, UsageError
from reslift.limits import DEFAULT
from reslift.media import Wishes
from reslift.media.video.boxes import missing_bytes
from reslift.media.video.probe import probe
from reslift.media.video.verify import compare
from reslift.media.video.work import enlarge
from reslift.sizes import Size
from small_models import bicubic_lift, made, small_lift
from video_samples import CHAPTERS, FONT, packets, picture, read, tags, write

VFR = (0, 33, 70, 100, 180, 181, 200, 300, 303, 390, 400, 500)
HDR = "log-level=none:master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)"
HDR += "L(10000000,1):max-cll=1000,400"
QUICK = {"crf": "20", "b": "0", "cpu-used": "8", "deadline": "realtime"}

WHOLE = {
    "vfr.mp4": {"times": VFR, "tick": Fraction(1, 90000), "sound": "aac", "chapters": True},
    "vfr.mkv": {"times": VFR, "sound": "libopus", "subtitles": "subrip", "attachment": True},
    "text.mp4": {"subtitles": "mov_text", "sound": "aac", "colors": (1, 6, 6, 6)},
    "turned.mov": {"rotation": 90, "aspect": Fraction(4, 3), "sound": "pcm_s16le"},
    "bframes.mp4": {"options": {"crf": "12", "bf": "4"}, "times": VFR},
    "vp9.webm": {"codec": "libvpx-vp9", "options": QUICK, "sound": "libopus"},
    "hdr.mp4": {
        "codec": "libx265",
        "format": "yuv420p10le",
        "size": (96, 64),
        "colors": (1, 9, 16, 9),
        "options": {"x265-params": HDR},
        "times": VFR[:4],
    },
    "ten.mkv": {"format": "yuv422p10le", "colors": (1, 1, 1, 1)},
    "full.mp4": {"format": "yuv444p", "colors": (2, 1, 13, 1)},
    "av1.webm": {
        "codec": "libsvtav1",
        "format": "yuv420p10le",
        "size": (64, 64),
        "options": {"preset": "12"},
        "times": VFR[:4],
    },
    "gray.mkv": {"codec": "ffv1", "format": "gray", "options": {}},
    "rgb.mkv": {"codec": "ffv1", "format": "gbrp10le", "options": {}, "times": VFR[:3]},
    "odd.webm": {"codec": "libvpx-vp9", "size": (33, 27), "options": QUICK},
    "jpeg.mov": {"codec": "mjpeg", "format": "yuvj420p", "options": {}, "colors": (2, 2, 2, 5)},
    "late.mkv": {"times": (500, 540, 580)},
    "one.mp4": {"times": (0,)},
    "small.mp4": {"size": (2, 2), "times": (0, 40)},
}


@pytest.fixture(scope="module")
def upscaler():
    return made(bicubic_lift(2))


@pytest.mark.parametrize("name", WHOLE)
def test_nothing_is_lost(name, upscaler, tmp_path):
    source = write(tmp_path / name, **WHOLE[name])
    target = tmp_path / f"large-{name}"
    medium = media.of(source)
    assert medium.upscale(upscaler, source, target, Wishes()) == ()
    assert medium.verify(source, target) == ()
    before, after = read(source), read(target)
    assert before[0] == after[0]
    assert tags(source)[0][1:] == tags(target)[0][1:] or name == "rgb.mkv"
    assert tags(source)[2:] == tags(target)[2:]
    for small, large in zip(before[1], after[1], strict=True):
        assert large.shape == (2 * small.shape[0], 2 * small.shape[1], 3)
        assert abs(small.mean((0, 1)) - large.mean((0, 1))).max() < 2.5
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_packets_of_other_streams_are_the_same_bytes(upscaler, tmp_path):
    source = write(
        tmp_path / "a.mkv",
        times=VFR,
        sound="libopus",
        subtitles="subrip",
        chapters=True,
        attachment=True,
        tags={"title": "Film", "artist": "Wer\udce9"},
    )
    target = tmp_path / "b.mkv"
    enlarge(upscaler, source, target, Wishes())
    for kind in ("audio", "subtitle"):
        before, after = packets(source, kind), packets(target, kind)
        assert before[0] == after[0]
        assert len(before[0]) >= 2
        assert before[1] == after[1]
    with av.open(str(target), metadata_errors="surrogateescape") as result:
        assert result.metadata["title"] == "Film"
        assert result.metadata["ARTIST"] == "Wer\udce9"
        assert [c["metadata"]["title"] for c in result.chapters()] == ["one", "two"]
        scaled = [round(c["start"] * c["time_base"] * 1000) for c in result.chapters()]
        assert scaled == [c["start"] for c in CHAPTERS]
        attached = [stream for stream in result.streams if stream.type == "attachment"]
        assert [(a.name, a.mimetype, a.data) for a in attached] == [("font.ttf", "font/ttf", FONT)]


def test_titles_and_dispositions_of_tracks(upscaler, tmp_path):
    source = write(tmp_path / "a.mp4", sound="aac")
    target = tmp_path / "b.mov"
    assert enlarge(upscaler, source, target, Wishes()).notes == ()
    with av.open(str(source)) as one, av.open(str(target)) as other:
        for stream in (one.streams.audio[0], other.streams.audio[0]):
            assert stream.metadata["language"] in ("deu", "ger")
            assert stream.metadata["name"] == "Ton"
        assert [int(s.disposition) for s in one.streams] == [
            int(s.disposition) for s in other.streams
        ]


def test_stripped_of_tags(upscaler, tmp_path):
    hidden = {"title": "T", "location": "+48.1+011.5/", "creation_time": "2020-01-01T00:00:00Z"}
    source = write(tmp_path / "a.mp4", sound="aac", tags=hidden)
    enlarge(upscaler, source, tmp_path / "b.mp4", Wishes(strip_metadata=True))
    with av.open(str(tmp_path / "b.mp4")) as result:
        assert not hidden.keys() & result.metadata.keys()
        assert result.streams.audio[0].metadata["language"] == "deu"
        assert all("creation_time" not in stream.metadata for stream in result.streams)


def test_a_time_that_says_nothing_need_not_be_kept(upscaler, tmp_path):
    """FFmpeg writes no creation time that is the zero of its clock; real clips have it."""
    for year in (1970, 1971):
        made_in = {"creation_time": f"{year}-01-01T00:00:00.000000Z"}
        source = write(tmp_path / f"{year}.mkv", times=(0, 40), tags=made_in)
        assert probe_tags(source)["creation_time"].startswith(str(year))
        target = tmp_path / f"{year}.mp4"
        enlarge(upscaler, source, target, Wishes())
        assert compare(source, target) == ()
    assert probe_tags(target) == made_in


def probe_tags(path):
    with av.open(str(path)) as source:
        return {key: value for key, value in source.metadata.items() if key == "creation_time"}


def test_a_container_that_cannot_hold_a_stream_says_so(upscaler, tmp_path):
    source = write(tmp_path / "a.mkv", sound="libopus", subtitles="ass", attachment=True)
    target = tmp_path / "b.mp4"
    notes = enlarge(upscaler, source, target, Wishes()).notes
    assert len(notes) == 2
    assert "subtitle stream 2 (ssa, fra)" in notes[0]
    assert "attachment" in notes[1]
    findings = compare(source, target)
    assert len(findings) == 2
    assert all("byte for byte" in finding for finding in findings)
    assert len(packets(target, "audio")[0]) == len(packets(source, "audio")[0])


def test_hdr_numbers_are_kept(upscaler, tmp_path):
    source = write(tmp_path / "a.mp4", **WHOLE["hdr.mp4"])
    for codec in ("h265", "h264", "av1"):
        target = tmp_path / f"{codec}.mp4"
        enlarge(upscaler, source, target, Wishes(codec=codec))
        light = probe(target).light
        assert light.brightest == (1000, 400)
        assert np.allclose(
            [float(number) for number in light.mastering],
            [0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329, 0.0001, 1000],
            rtol=1e-4,
            atol=5e-5,
        )
        assert tags(target)[1] == "yuv420p10le"
        assert compare(source, target) == ()
    notes = enlarge(upscaler, source, tmp_path / "ffv1.mkv", Wishes(codec="ffv1")).notes
    assert "ffv1 has no room for the HDR10 numbers" in notes[0]
    assert "HDR10 numbers" in " ".join(compare(source, tmp_path / "ffv1.mkv"))


def test_transparency_of_vp9_is_kept_or_said(upscaler, tmp_path):
    clip = {"codec": "libvpx-vp9", "format": "yuva420p", "options": QUICK, "times": VFR[:3]}
    source = write(tmp_path / "a.webm", **clip)
    assert enlarge(upscaler, source, tmp_path / "b.webm", Wishes()).notes == ()
    assert probe(tmp_path / "b.webm").format == "yuva420p"
    notes = enlarge(upscaler, source, tmp_path / "b.mkv", Wishes()).notes
    assert len(notes) == 1 and "transparency" in notes[0]
    assert compare(source, tmp_path / "b.webm") == ()
    assert "transparency is gone" in compare(source, tmp_path / "b.mkv")


def test_10_bits_are_10_bits(tmp_path):
    """A slow ramp, twice as large, has levels between those of 8 bits."""
    source = tmp_path / "a.mkv"
    with av.open(str(source), "w") as out:
        video = out.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = 64, 16, "gray10le"
        row = np.tile(np.arange(64, dtype=np.uint16) + 500, (16, 1))
        out.mux(video.encode(av.VideoFrame.from_ndarray(row, "gray10le")))
        out.mux(video.encode(None))
    target = tmp_path / "b.mkv"
    enlarge(made(bicubic_lift(2)), source, target, Wishes(codec="ffv1"))
    with av.open(str(target)) as result:
        levels = np.unique(next(result.decode(video=0)).to_ndarray())
    assert len(levels) > 60
    assert (levels.min(), levels.max()) == (500, 563)


def test_pixels_are_those_of_the_upscaler(tmp_path):
    """A lossless clip: each frame is what the upscaler makes of the picture itself."""
    source = write(tmp_path / "a.mkv", codec="ffv1", format="bgr0", options={})
    upscaler = made(small_lift(2))
    target = tmp_path / "b.mkv"
    enlarge(upscaler, source, target, Wishes(codec="ffv1"))
    for place, large in enumerate(read(target)[1]):
        wanted = upscaler(picture(place, (48, 32)).astype(np.uint16) * 257)
        assert np.abs(large - np.rint(wanted / 257.0)).max() <= 2


def test_untagged_small_video_says_its_matrix_once_it_is_large(tmp_path):
    source = write(tmp_path / "a.mp4", size=(400, 300), times=(0,))
    target = tmp_path / "b.mp4"
    notes = enlarge(made(bicubic_lift(2)), source, target, Wishes()).notes
    assert "BT.601" in notes[0]
    assert tags(target)[0][1:] == (2, 2, 6)
    assert compare(source, target) == ()


def test_repeated_frames_are_computed_once(tmp_path):
    source = write(tmp_path / "a.mkv", codec="ffv1", format="bgr0", options={}, stills=(3, 7))
    upscaler, calls = made(bicubic_lift(2)), []

    class Counting:
        size, limits, card, identity = upscaler.size, upscaler.limits, upscaler.card, "counted"
        record, finish = upscaler.record, upscaler.finish

        def run(self, planes, out, **options):
            calls.append(planes.pixels)
            upscaler.run(planes, out, **options)

    target = tmp_path / "b.mkv"
    outcome = enlarge(Counting(), source, target, Wishes(codec="ffv1"))
    pictures = read(target)[1]
    same = [np.array_equal(one, other) for one, other in pairwise(pictures)]
    assert same == [False] * 3 + [True] * 3 + [False] + [True] * 4
    assert len(calls) == 12 - outcome.tally.repeated == 5


def test_start_and_end(upscaler, tmp_path):
    source = write(tmp_path / "a.mp4", times=VFR, sound="aac", chapters=True)
    target = tmp_path / "b.mp4"
    enlarge(upscaler, source, target, Wishes(start=0.1, end=0.39))
    times = [round(float(time) * 1000) for time in read(target)[0]]
    assert times == [0, 80, 81, 100, 200, 203]
    heard, whole = packets(target, "audio")[0], packets(source, "audio")[0]
    kept = [data for time, data in whole if Fraction(1, 10) <= time < Fraction(39, 100)]
    assert [data for _, data in heard] == kept
    first = next(time for time, _ in whole if time >= Fraction(1, 10))
    assert abs(heard[0][0] - (first - Fraction(1, 10))) <= Fraction(1, 48000)
    with av.open(str(target)) as result:
        assert [c["metadata"]["title"] for c in result.chapters()] == ["one", "two"]
    with pytest.raises(InputError, match="between --start and --end"):
        enlarge(upscaler, source, tmp_path / "c.mp4", Wishes(start=50))
    with pytest.raises(UsageError, match="not after"):
        enlarge(upscaler, source, tmp_path / "c.mp4", Wishes(start=2, end=1))
    assert not list(tmp_path.glob("*c.mp4*"))


def test_a_late_start_is_sought(tmp_path):
    source = write(tmp_path / "a.mkv", size=(16, 16), times=tuple(range(0, 40000, 500)))
    target = tmp_path / "b.mkv"
    enlarge(made(bicubic_lift(2)), source, target, Wishes(start=30.2, end=33, codec="ffv1"))
    wanted = [time for time in read(source)[0] if 30.2 <= time < 33]
    assert read(target)[0] == [time - wanted[0] for time in wanted]


def interlaced(path):
    return write(path, options={"crf": "12", "flags": "+ildct+ilme", "x264-params": "tff=1"})


def test_interlaced_video_is_refused_or_deinterlaced(upscaler, tmp_path):
    source = interlaced(tmp_path / "a.mp4")
    with pytest.raises(InputError, match=r"interlaced.*--deinterlace"):
        enlarge(upscaler, source, tmp_path / "b.mp4", Wishes())
    assert enlarge(upscaler, source, tmp_path / "b.mp4", Wishes(deinterlace=True)).notes == ()
    assert read(source)[0] == read(tmp_path / "b.mp4")[0]


def damaged(path, source):
    """The source with some bytes in the middle of its pictures turned over."""
    data = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        found = [p for p in container.demux(video=0) if p.size]
        for packet in (found[4], found[7]):
            for place in range(packet.pos + packet.size // 3, packet.pos + packet.size):
                data[place] ^= 0xA5
    path.write_bytes(data)
    return path


def test_broken_frames_are_counted(upscaler, tmp_path):
    whole = write(tmp_path / "whole.mp4", size=(160, 96), options={"crf": "5", "bf": "0"})
    source = damaged(tmp_path / "a.mp4", whole)
    outcome = enlarge(upscaler, source, tmp_path / "b.mp4", Wishes())
    assert outcome.tally.damaged + outcome.tally.missing >= 1
    assert outcome.tally.shots + outcome.tally.missing == 12
    assert any("frames" in note for note in outcome.notes)


@pytest.mark.parametrize("name", ["a.mkv", "a.mov"])
def test_cut_off_video_is_refused_unless_allowed(name, upscaler, tmp_path):
    whole = write(tmp_path / name, size=(160, 96), options={"crf": "5", "g": "1"})
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    assert missing_bytes(whole) == 0
    assert missing_bytes(cut) > 0
    with pytest.raises(InputError, match=r"truncated.*bytes too early"):
        enlarge(upscaler, cut, tmp_path / f"out-{name}", Wishes())
    if name == "a.mkv":
        outcome = enlarge(upscaler, cut, tmp_path / "out.mkv", Wishes(allow_truncated=True))
        assert 1 <= outcome.tally.shots < 12


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_every_cut_and_flip_ends_in_one_error_or_a_result(suffix, tmp_path):
    """Nothing but an InputError may come out of `peek`, whatever the bytes."""
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    options = {} if codec == "mpeg4" else {"crf": "20"}
    tick = Fraction(1, 25)
    times = (0, 40, 80)
    whole = write(tmp_path / f"a{suffix}", codec=codec, options=options, tick=tick, times=times)
    data, rng = whole.read_bytes(), np.random.default_rng(3)
    medium, bad, fine = media.MEDIA["video"], 0, 0
    for turn in range(60):
        changed = bytearray(data)
        if turn % 2:
            changed = changed[: int(rng.integers(12, len(data)))]
        else:
            for place in rng.integers(12, len(data), 8):
                changed[place] = int(rng.integers(256))
        path = tmp_path / f"b{suffix}"
        path.write_bytes(changed)
        try:
            medium.peek(path, DEFAULT)
            fine += 1
        except InputError as error:
            assert str(path) in str(error)
            bad += 1
    assert bad >= 10 and bad + fine == 60


def test_what_is_no_video_is_left_to_others(tmp_path):
    heads = (b"", b"\x89PNG\r\n\x1a\n", b"\x00\x00\x00\x20ftypavif", b"RIFF\x00\x00\x00\x00WEBP")
    for head in heads:
        assert not media.MEDIA["video"].recognises(tmp_path / "a", head.ljust(64, b"\0"))
    playlist = tmp_path / "a.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\nhttp://127.0.0.1/secret.ts\n")
    assert media.of(playlist) is None


def test_sound_alone_is_no_video(tmp_path):
    source = tmp_path / "a.mp4"
    with av.open(str(source), "w") as out:
        sound = out.add_stream("aac", rate=48000)
        sound.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), "s16", "mono")
        frame.sample_rate = 48000
        out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    with pytest.raises(InputError, match="no video stream"):
        media.MEDIA["video"].peek(source, DEFAULT)


def test_limits(upscaler, tmp_path):
    source = write(tmp_path / "a.mkv")
    with pytest.raises(LimitError, match="--max-video-frames"):
        media.MEDIA["video"].peek(source, DEFAULT.changed(video_frames=5))
    with pytest.raises(LimitError, match="--max-input-pixels"):
        media.MEDIA["video"].peek(source, DEFAULT.changed(input_pixels=5))
    media.MEDIA["video"].peek(source, DEFAULT.changed(frames=5, file_bytes=5))
    tight = made(bicubic_lift(2), limits=DEFAULT.changed(video_frames=5))
    with pytest.raises(LimitError, match="--max-video-frames"):
        enlarge(tight, source, tmp_path / "b.mkv", Wishes())
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_codecs_are_checked_before_work(upscaler, tmp_path):
    source = write(tmp_path / "a.mkv", times=(0, 40))
    wrong = {
        "did you mean h265": Wishes(codec="h266"),
        r"\.webm cannot hold": Wishes(codec="h264"),
        "0 .best. to 63": Wishes(crf=64),
    }
    for text, wishes in wrong.items():
        with pytest.raises(UsageError, match=text):
            enlarge(upscaler, source, tmp_path / "b.webm", wishes)
    with pytest.raises(UsageError, match="lossless"):
        enlarge(upscaler, source, tmp_path / "b.mkv", Wishes(codec="ffv1", crf=3))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.parametrize(
    ("codec", "size"), [("h264", (8, 8200)), ("av1", (8, 4400)), ("av1", (1, 1))]
)
def test_sides_that_an_encoder_does_not_take_are_refused(codec, size, upscaler, tmp_path):
    source = write(tmp_path / "a.mkv", codec="ffv1", size=size, times=(0,), options={})
    with pytest.raises(UsageError, match=f"{codec} takes sides from .*use --codec vp9"):
        enlarge(upscaler, source, tmp_path / "b.mkv", Wishes(codec=codec))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


@pytest.mark.parametrize("sides", [(39, 63), (213, 99), (1, 1), (639, 1)])
def test_ffv1_takes_odd_sides(sides, tmp_path):
    """Slices that FFmpeg divides them into may not end within a pair that shares colours."""
    source, target = write(tmp_path / "a.mkv", times=(0, 40)), tmp_path / "b.mkv"
    sized = made(bicubic_lift(2), size=Size(sides=sides))
    enlarge(sized, source, target, Wishes(codec="ffv1"))
    _, (first, _) = read(target)
    assert first.shape == (sides[1], sides[0], 3)
    assert tags(target)[1] == "yuv420p"


def test_odd_results_of_h264_get_full_chroma(tmp_path):
    source = write(tmp_path / "a.mkv", codec="ffv1", size=(33, 27), options={}, times=(0, 40))
    upscaler = made(bicubic_lift(3))
    notes = enlarge(upscaler, source, tmp_path / "b.mp4", Wishes()).notes
    assert len(notes) == 1 and "4:4:4" in notes[0]
    assert tags(tmp_path / "b.mp4")[1] == "yuv444p"
    assert enlarge(upscaler, source, tmp_path / "b.webm", Wishes()).notes == ()
    assert read(tmp_path / "b.webm")[1][0].shape == (81, 99, 3)


def test_avi_becomes_matroska(upscaler, tmp_path):
    tick = Fraction(1, 25)
    source = write(tmp_path / "a.avi", codec="mpeg4", options={}, tick=tick, sound="libmp3lame")
    target = tmp_path / "a.mkv"
    enlarge(upscaler, source, target, Wishes())
    assert compare(source, target) == ()
    with pytest.raises(UsageError):
        medium = media.MEDIA["video"]
        medium.check_target(tmp_path / "b.avi", medium.peek(source, DEFAULT), 2)


@pytest.mark.parametrize("suffix", [".avi", ".3gp", ".3g2", ".M4V"])
def test_clips_are_found_in_folders(suffix, tmp_path):
    clip = write(tmp_path / "a.mp4").rename(tmp_path / f"a{suffix}")
    found = inputs.find([str(tmp_path)], readable_suffixes())
    assert [source.path for source in found.sources] == [clip]


def test_full_disk_leaves_nothing_under_the_name(upscaler, tmp_path, monkeypatch):
    from reslift.media.video import encode

    def fail(self, image):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encode.Encoder, "add", fail)
    source = write(tmp_path / "a.mkv")
    with pytest.raises(OutputError, match="free some space"):
        enlarge(upscaler, source, tmp_path / "b.mkv", Wishes())
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_verify_sees_what_is_wrong(upscaler, tmp_path):
    source = write(tmp_path / "a.mp4", times=VFR, sound="aac", chapters=True, colors=(1, 1, 1, 1))
    other = write(
        tmp_path / "b.mp4", times=VFR[:9], size=(96, 64), colors=(2, 9, 16, 9), rotation=180
    )
    findings = " ".join(compare(source, other, 2))
    for word in ("frames: 12 became 9", "range", "primaries", "transfer", "matrix", "display"):
        assert word in findings
    assert "audio stream 1 (aac, deu) is not in the result" in findings
    assert "chapters: 2 became 0" in findings
    assert "size" in " ".join(compare(source, other, 3))
    shifted = write(tmp_path / "c.mp4", times=(*VFR[:5], 185, *VFR[6:]), size=(96, 64))
    assert "time stamps: 1 of 12 differ, first frame 5" in " ".join(compare(source, shifted))


@pytest.mark.skipif(not os.environ.get("RESLIFT_DATA"), reason="RESLIFT_DATA is not set")
def test_real_clips(upscaler, tmp_path):
    for source in sorted(Path(os.environ["RESLIFT_DATA"], "domain/video").glob("*.mp4")):
        target = tmp_path / source.name
        enlarge(upscaler, source, target, Wishes(end=0.3))
        assert len(read(target)[0]) >= 7

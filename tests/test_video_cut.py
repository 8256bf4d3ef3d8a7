"""`--start` and `--end`: which frames, packets and chapters are left, what is announced of them."""

import io
from fractions import Fraction

import av
import pytest
from PIL import Image

from reslift import media
from reslift.errors import ResliftError
from reslift.limits import DEFAULT
from reslift.media import Wishes
from reslift.media.video import languages
from reslift.media.video.cut import Cut, Stretch
from reslift.media.video.verify import compare
from reslift.media.video.work import enlarge
from small_models import bicubic_lift, made
from video_samples import packets, read, write

VFR = (0, 33, 70, 100, 180, 181, 200, 300, 303, 390, 400, 500)
LATE = tuple(range(500, 1500, 40))
VIDEO = media.MEDIA["video"]


@pytest.fixture(scope="module")
def upscaler():
    return made(bicubic_lift(2))


def milliseconds(times):
    return [round(float(time) * 1000) for time in times]


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov"])
def test_bounds_count_from_the_first_frame_for_sound_too(name, upscaler, tmp_path):
    source = write(tmp_path / name, times=LATE, sound="aac")
    for bounds in ({"start": 0.2, "end": 0.6}, {"end": 0.6}):
        target = tmp_path / f"b-{name}"
        enlarge(upscaler, source, target, Wishes(overwrite=True, **bounds))
        last = 0.4 if "start" in bounds else 1.1
        heard = [time for time, _ in packets(target, "audio")[0]]
        assert abs(heard[0]) < 0.03
        assert last - 0.05 < heard[-1] < last
        assert compare(source, target) == ()


@pytest.mark.parametrize(("name", "words"), [("a.mkv", "subrip"), ("a.mp4", "mov_text")])
def test_words_that_stand_at_the_start_are_kept(name, words, upscaler, tmp_path):
    """The first subtitle is shown from 0.04 to 0.24 s."""
    source, target = write(tmp_path / name, times=VFR, subtitles=words), tmp_path / f"b-{name}"
    enlarge(upscaler, source, target, Wishes(start=0.1))
    with av.open(str(target)) as result:
        stream = result.streams.subtitles[0]
        shown = [p for p in result.demux(stream) if p.size > 2]
        spans = [(float(p.pts * p.time_base), float(p.duration * p.time_base)) for p in shown]
    assert spans == [pytest.approx((0, 0.14)), pytest.approx((0.14, 0.15))]
    assert compare(source, target) == ()


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        (None, 0.1, VFR[:3]),
        (0.1, None, VFR[3:]),
        (0.1, 0.1005, VFR[3:4]),
        (0.18, 0.2, VFR[4:6]),
        (0, 100, VFR),
    ],
)
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_the_frames_of_a_stretch(name, start, end, wanted, upscaler, tmp_path):
    source, target = write(tmp_path / name, times=VFR, chapters=True), tmp_path / f"b-{name}"
    wishes, done = Wishes(start=start, end=end), []
    enlarge(upscaler, source, target, wishes, done.append)
    assert milliseconds(read(target)[0]) == [time - wanted[0] for time in wanted]
    assert done == [96 * 64] * len(wanted)
    announced = VIDEO.peek(source, DEFAULT, wishes).frames
    assert abs(announced - len(wanted)) <= 3
    assert compare(source, target) == ()


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (0.1, 0.1, "not after"),
        (0.3, 0.1, "not after"),
        (-1, None, "from 0 up"),
        (None, float("nan"), "from 0 up"),
        (50, None, "between --start and --end"),
        (0.101, 0.15, "between --start and --end"),
        (None, 0, "between --start and --end"),
    ],
)
def test_what_holds_no_frame(start, end, words, upscaler, tmp_path):
    source = write(tmp_path / "a.mkv", times=VFR)
    with pytest.raises(ResliftError, match=words):
        enlarge(upscaler, source, tmp_path / "b.mkv", Wishes(start=start, end=end))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mkv"]


def test_another_stretch_is_found(upscaler, tmp_path):
    source = write(tmp_path / "a.mkv", times=VFR, sound="aac")
    enlarge(upscaler, source, tmp_path / "b.mkv", Wishes(start=0.1, end=0.4))
    longer = write(tmp_path / "c.mkv", times=VFR[:9], sound="aac")
    findings = " ".join(compare(longer, tmp_path / "b.mkv"))
    assert "frames: 6 became 7" in findings


@pytest.mark.parametrize("name", ["b.mp4", "b.mov", "b.mkv"])
def test_a_stream_that_ends_before_the_start(name, upscaler, tmp_path):
    """MP4 and MOV have no empty streams; those behind one move up."""
    source, target = two_sounds(tmp_path / "a.mkv"), tmp_path / name
    notes = enlarge(upscaler, source, target, Wishes(start=0.6)).notes
    with av.open(str(target)) as result:
        kinds = [stream.type for stream in result.streams]
    left = ["video", "audio"] if name != "b.mkv" else ["video", "audio", "audio"]
    assert kinds == left
    why = "is not in the result: nothing of it lies between --start and --end"
    assert notes == (() if name == "b.mkv" else (f"audio stream 1 (aac, deu) {why}",))
    assert compare(source, target) == ()


def two_sounds(path):
    """A clip of 1.5 s whose first sound ends after 0.4 s, and whose second does not."""
    short = write(path.with_name("short.mkv"), times=(0, 400), sound="aac")
    whole = write(path.with_name("whole.mkv"), times=tuple(range(0, 1500, 40)), sound="aac")
    with (
        av.open(str(short)) as first,
        av.open(str(whole)) as second,
        av.open(str(path), "w") as out,
    ):
        taken = [second.streams[0], first.streams[1], second.streams[1]]
        made = [(s, out.add_stream_from_template(s, opaque=True)) for s in taken]
        made[1][1].metadata["language"] = "deu"
        for stream, copy in made:
            for packet in stream.container.demux(stream):
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
            stream.container.seek(0)
    return path


def test_a_matroska_that_begins_late_announces_its_frames(tmp_path):
    source = write(tmp_path / "a.mkv", times=LATE, tick=Fraction(1, 1000))
    assert VIDEO.peek(source, DEFAULT).frames == len(LATE)


def test_packets_of_a_stretch():
    stretch = Cut.of(1, 3).stretch(Fraction(1, 2), Fraction(8, 5))
    assert stretch == Stretch(Fraction(8, 5), Fraction(7, 2))
    assert stretch.place(Fraction(2), Fraction(1), lasts=False) == (Fraction(2, 5), 1)
    assert stretch.place(Fraction(7, 2), Fraction(1), lasts=True)[1] < 0
    assert stretch.place(Fraction(1), Fraction(1), lasts=False)[1] < 0
    assert stretch.place(Fraction(1), Fraction(1), lasts=True) == (0, Fraction(2, 5))
    assert stretch.place(Fraction(1), Fraction(1, 2), lasts=True)[1] < 0


def test_pictures_of_avi_in_the_order_they_are_shown(upscaler, tmp_path):
    times = tuple(range(0, 1200, 40))
    options = {"bf": "3", "crf": "15"}
    source = write(tmp_path / "a.avi", options=options, tick=Fraction(1, 25), times=times)
    target = tmp_path / "b.mkv"
    assert enlarge(upscaler, source, target, Wishes()).notes == ()
    found = milliseconds(read(target)[0])
    assert found == [time + found[0] for time in times]
    assert compare(source, target) == ()


def with_cover(path, data):
    """A clip with sound and a cover picture."""
    whole = write(path.with_name(f"whole-{path.name}"), times=VFR, sound="aac")
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        made = {s.index: out.add_stream_from_template(s, opaque=True) for s in source.streams}
        cover = out.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt, cover.disposition = 20, 20, "yuvj420p", 0x400
        picture = av.Packet(data)
        picture.stream, picture.pts, picture.dts = cover, 0, 0
        out.mux(picture)
        for packet in source.demux():
            if packet.size:
                packet.stream = made[packet.stream_index]
                out.mux(packet)
    return path


@pytest.mark.parametrize("start", [None, 0.1])
@pytest.mark.parametrize("name", ["b.mp4", "b.mkv"])
def test_a_cover_picture_is_kept(name, start, upscaler, tmp_path):
    """FFmpeg hands out that of an MP4 without a time."""
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), (9, 99, 200)).save(buffer, "JPEG")
    source, target = with_cover(tmp_path / "a.mp4", buffer.getvalue()), tmp_path / name
    notes = enlarge(upscaler, source, target, Wishes(start=start)).notes
    with av.open(str(target)) as result:
        (cover,) = (s for s in result.streams.video if int(s.disposition) & 0x400)
        assert [bytes(p) for p in result.demux(cover) if p.size] == [buffer.getvalue()]
    findings = " ".join(compare(source, target))
    assert "mjpeg" not in findings
    # Matroska has no room for the sound before 0 that AAC in MP4 begins with.
    assert any("begin 0.021 s later" in note for note in notes) == ("time stamps" in findings)


def in_language(path, code):
    """A clip of two frames whose streams are in a language."""
    whole = write(path.with_name(f"whole-{path.name}"), times=(0, 40), sound="aac")
    with av.open(str(whole)) as source, av.open(str(path), "w") as out:
        made = {}
        for stream in source.streams:
            made[stream.index] = out.add_stream_from_template(stream, opaque=True)
            made[stream.index].metadata["language"] = code
        for packet in source.demux():
            if packet.size:
                packet.stream = made[packet.stream_index]
                out.mux(packet)
    return path


@pytest.mark.parametrize("code", ["fra", "fre", "ces", "cze", "deu", "swe", "hrv", "ron"])
def test_languages_in_mov_and_back(code, upscaler, tmp_path):
    source = in_language(tmp_path / "a.mkv", code)
    assert enlarge(upscaler, source, tmp_path / "b.mov", Wishes()).notes == ()
    with av.open(str(tmp_path / "b.mov")) as result:
        found = [stream.metadata["language"] for stream in result.streams]
    assert [languages.same(one) for one in found] == [languages.same(code)] * 2
    assert compare(source, tmp_path / "b.mov") == ()
    enlarge(upscaler, tmp_path / "b.mov", tmp_path / "c.mp4", Wishes())
    with av.open(str(tmp_path / "c.mp4")) as result:
        back = result.streams.audio[0].metadata["language"]
    assert languages.same(back) == languages.same(code)
    assert back not in languages.EVEN


@pytest.mark.parametrize(("code", "name"), [("gla", "b.mov"), ("pt-BR", "b.mp4")])
def test_a_language_without_a_word_is_told(code, name, upscaler, tmp_path):
    source = in_language(tmp_path / "a.mkv", code)
    notes = enlarge(upscaler, source, tmp_path / name, Wishes()).notes
    assert len(notes) == 2
    assert all(f"the language {code} of" in note for note in notes)
    assert all("tags language differ" in finding for finding in compare(source, tmp_path / name))


def test_a_cover_picture_that_mov_has_no_place_for_is_told(upscaler, tmp_path):
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20), (9, 99, 200)).save(buffer, "JPEG")
    source, target = with_cover(tmp_path / "a.mp4", buffer.getvalue()), tmp_path / "b.mov"
    (note,) = enlarge(upscaler, source, target, Wishes()).notes
    assert "mjpeg" in note and "only .mp4 and .mkv hold cover pictures" in note
    assert packets(target, "audio")[0] == packets(source, "audio")[0]

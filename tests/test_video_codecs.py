"""Every codec in every container: what a result says of itself, or a refusal before the work."""

import io
import zlib
from fractions import Fraction

import av
import pytest

from reslift.errors import UsageError
from reslift.media import Wishes
from reslift.media.video import work
from reslift.media.video.codecs import CODECS, FORMATS
from reslift.media.video.shown import elements
from reslift.media.video.verify import compare
from reslift.media.video.work import enlarge
from reslift.sizes import Size
from small_models import bicubic_lift, made
from video_samples import read, tags, write

TIMES = (0, 40, 81)
FULL_709, FULL, YCGCO = (2, 1, 1, 1), (2, 2, 2, 2), (1, 1, 1, 8)
INTO = [(codec, suffix) for codec in CODECS for suffix in FORMATS if suffix != ".m4v"]
HEAD, SEEK, CRC, VOID = b"\x11\x4d\x9b\x74", b"\x4d\xbb", b"\xbf", b"\xec"
CLUSTER, CUES = b"\x1f\x43\xb6\x75", b"\x1c\x53\xbb\x6b"


@pytest.fixture(scope="module")
def upscaler():
    return made(bicubic_lift(2))


@pytest.fixture
def begun(monkeypatch):
    """What is made before a result is refused: nothing, or hours of work."""
    folders = []

    class Counted(work.Parts):
        def __init__(self, *args):
            folders.append(args[0])
            super().__init__(*args)

    monkeypatch.setattr(work, "Parts", Counted)
    return folders


def made_or_refused(upscaler, source, target, codec, begun):
    """The notes; None where it is refused before any work."""
    try:
        return enlarge(upscaler, source, target, Wishes(codec=codec)).notes
    except UsageError:
        assert not begun
        return None


@pytest.mark.parametrize("colors", [FULL_709, FULL], ids=["all", "range"])
@pytest.mark.parametrize(("codec", "suffix"), INTO)
def test_colours_are_those_of_the_input(codec, suffix, colors, upscaler, begun, tmp_path):
    source = write(tmp_path / "a.mp4", colors=colors, format="yuvj420p", times=TIMES, size=(64, 48))
    target = tmp_path / f"b{suffix}"
    notes = made_or_refused(upscaler, source, target, codec, begun)
    lacks = {".webm": ("h264", "h265", "ffv1"), ".mov": ("vp9", "av1", "ffv1")}
    told = (colors, codec, suffix) != (FULL, "ffv1", ".mp4")
    assert (notes is None) == (codec in lacks.get(suffix, ()) or not told)
    if notes is None:
        return
    assert compare(source, target) == ()
    for small, large in zip(read(source)[1], read(target)[1], strict=True):
        assert abs(small.mean((0, 1)) - large.mean((0, 1))).max() < 2.5


@pytest.mark.parametrize("codec", CODECS)
def test_a_matrix_is_kept_or_refused(codec, upscaler, begun, tmp_path):
    source = write(tmp_path / "a.mp4", colors=YCGCO, times=TIMES, size=(64, 48))
    target = tmp_path / "b.mkv"
    notes = made_or_refused(upscaler, source, target, codec, begun)
    assert (notes is None) == (codec == "vp9")
    assert notes is None or (compare(source, target), tags(target)[0]) == ((), YCGCO)


def whole(data):
    """Pieces of the segment by place; asserts that its list of places and its checksums hold."""
    file = io.BytesIO(data)
    segment = list(elements(file, 0, len(data)))[-1]
    begin, found = segment.start, {}
    for piece in elements(file, segment.start, segment.end):
        found[begin - segment.start] = piece
        inner = list(elements(file, piece.start, piece.end)) if piece.name != VOID else []
        if inner and inner[0].name == CRC:
            told = data[inner[0].start : inner[0].end]
            assert told == zlib.crc32(data[inner[0].end : piece.end]).to_bytes(4, "little")
        begin = piece.end
    assert begin == len(data)
    (head,) = (piece for piece in found.values() if piece.name == HEAD)
    seeks = [one for one in elements(file, head.start, head.end) if one.name == SEEK]
    for seek in seeks:
        name, place = elements(file, seek.start, seek.end)
        at = int.from_bytes(data[place.start : place.end], "big")
        assert found[at].name == data[name.start : name.end]
    assert len(seeks) >= 3
    return [piece.name for piece in found.values()]


@pytest.mark.parametrize("aspect", [Fraction(64, 45), Fraction(1, 3)])
@pytest.mark.parametrize(
    ("codec", "name"),
    [("vp9", "b.webm"), ("av1", "b.webm"), ("vp9", "b.mkv"), ("av1", "b.mkv"), ("ffv1", "b.mkv")],
)
def test_pixel_aspect_in_matroska(codec, name, aspect, upscaler, tmp_path):
    """Only the bits of H.264 and H.265 say it by themselves there."""
    source = write(tmp_path / "a.mp4", aspect=aspect, times=TIMES, sound="libopus", chapters=True)
    target = tmp_path / name
    rounded = "time stamps are rounded to milliseconds, all that this container has"
    notes = enlarge(upscaler, source, target, Wishes(codec=codec)).notes
    assert [note for note in notes if "later" not in note] == [rounded]
    with av.open(str(target)) as result:
        stream = result.streams.video[0]
        assert abs(stream.sample_aspect_ratio - aspect) * stream.width <= 0.5
        result.seek(80_000)
        assert next(result.decode(video=0)) is not None
    assert {CLUSTER, CUES} < set(whole(target.read_bytes()))
    assert not [told for told in compare(source, target) if "aspect" in told]


def test_a_shape_that_was_asked_for_in_webm(tmp_path):
    source, target = write(tmp_path / "a.mkv", size=(48, 36), times=TIMES), tmp_path / "b.webm"
    enlarge(made(bicubic_lift(2), size=Size(sides=(96, 54))), source, target, Wishes())
    with av.open(str(target)) as result:
        assert result.streams.video[0].sample_aspect_ratio == Fraction(3, 4)
    assert compare(source, target) == ()


def test_square_pixels_need_no_word(upscaler, tmp_path, monkeypatch):
    monkeypatch.setattr("reslift.media.video.wide._put", lambda *_: pytest.fail("written"))
    source = write(tmp_path / "a.mkv", aspect=Fraction(1), times=TIMES)
    assert enlarge(upscaler, source, tmp_path / "b.webm", Wishes()).notes == ()


def test_no_room_is_told(upscaler, tmp_path, monkeypatch):
    monkeypatch.setattr("reslift.media.video.wide.LONG", 120)
    source = write(tmp_path / "a.mkv", aspect=Fraction(4, 3), times=TIMES)
    target = tmp_path / "b.webm"
    assert enlarge(upscaler, source, target, Wishes()).notes == (
        "that pixels are 4/3 as wide as high is not kept: .webm has no room",
    )
    whole(target.read_bytes())
    assert len(read(target)[0]) == len(TIMES)

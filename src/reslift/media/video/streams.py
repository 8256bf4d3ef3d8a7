"""Streams that are copied as they are: sound, subtitles, data, attachments, cover pictures."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from reslift.errors import one_line
from reslift.media.recorded import is_record
from reslift.media.video import languages
from reslift.media.video.cut import Cut
from reslift.media.video.kept import Said
from reslift.media.video.probe import COVER
from reslift.media.video.timecode import TIME_CODE
from reslift.provenance import Record

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

MADE_BY_MUXERS = {"major_brand", "minor_version", "compatible_brands", "encoder"}
OF_THE_OLD_PICTURE = (
    *("encoder", "rotate", "alpha_mode", "bps", "duration", "number_of_", "_statistics_"),
)
BOTH_KNOW = "title album date comment genre copyright location location-eng creation_time"
MP4_KNOWS = (
    "artist album_artist composer grouping lyrics description synopsis show episode_id network "
    "keywords season_number episode_sort media_type hd_video gapless_playback compilation track "
    "disc"
)
KNOWN = {
    "mp4": frozenset(f"{BOTH_KNOW} {MP4_KNOWS}".split()),
    "mov": frozenset(f"{BOTH_KNOW} make model".split()),
}
"""What these muxers write where any player finds it; for all else they have QuickTime's keys."""
PLACES = {"mp4": ("comment", "description", "synopsis"), "mov": ("comment",)}
"""Tags for text that these containers know; Matroska takes any, and so do QuickTime's own keys."""
OWN_PLACE = "RESLIFT"
HARMLESS = {"language", "title", "filename", "mimetype", "alpha_mode"}
SPEAKERS = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
FASTEST_CLOCK = 2**31 - 1
NOTHING_SHOWN = b"\0\0"
COVER_TYPES = {"mjpeg": "image/jpeg", "png": "image/png", "bmp": "image/bmp", "gif": "image/gif"}


def copyable(source: InputContainer, picture: Stream, muxer: str) -> tuple[list[Stream], list[str]]:
    """The streams besides the picture that `muxer` takes, and a note on each that it does not."""
    kept, notes = [], []
    for stream in source.streams:
        if stream.index == picture.index or is_made_anew(source, stream):
            continue
        why = _refusal(stream, muxer)
        if why is None:
            kept.append(stream)
        else:
            notes.append(f"{described(stream)} is not in the result: {why}")
    return kept, notes


def described(stream: Stream) -> str:
    """ "audio stream 1 (aac, eng)"."""
    named = getattr(stream.codec_context, "name", None) or getattr(stream, "name", None)
    name = named or "unknown codec"
    words = [word for word in (name, stream.metadata.get("language")) if word and word != "und"]
    return f"{stream.type} stream {stream.index} ({one_line(', '.join(words))})"


def add(into: OutputContainer, stream: Stream) -> Stream:
    """A stream of `into` that takes the packets of `stream`, with its tags and disposition.

    Raises ValueError or FFmpegError where the container cannot hold it.
    """
    if stream.type == "attachment":
        made: Stream = into.add_attachment(
            stream.metadata.get("filename", "attachment"),
            stream.metadata.get("mimetype", "application/octet-stream"),
            stream.data,  # type: ignore[attr-defined]
        )
    else:
        made = into.add_stream_from_template(stream, opaque=True)
    tags = stream_tags(stream)
    made.metadata.update(in_words_of(into.format.name, tags))
    if stream.type == "audio":
        _name_speakers(made)
    if stream.type != "attachment":
        made.disposition = int(stream.disposition)  # type: ignore[assignment]
    return made


def _name_speakers(made: Any) -> None:
    """Say where sound comes from, for the usual numbers of channels: MP4 takes PCM only so."""
    if made.codec_context is None or not made.codec_context.layout.name.endswith("channels"):
        return
    usual = SPEAKERS.get(made.codec_context.layout.nb_channels)
    if usual is not None:
        made.codec_context.layout = usual


def is_made_anew(source: InputContainer, stream: Stream) -> bool:
    """Whether a muxer makes a data stream again from what is said elsewhere.

    MP4 and MOV show chapters as such a stream too, and the time code of a picture stream.
    """
    if stream.type != "data":
        return False
    code = stream.metadata.get(TIME_CODE)
    coded = any(video.metadata.get(TIME_CODE) == code for video in source.streams.video)
    return (stream.name == "bin_data" and bool(source.chapters())) or (code is not None and coded)


def is_gap(packet: Packet[Any]) -> bool:
    """Whether a packet is the nothing between two subtitles of MP4, which muxers put there."""
    name = getattr(packet.stream.codec_context, "name", None)
    return name == "mov_text" and bytes(packet) == NOTHING_SHOWN


def span(packet: Packet[Any]) -> tuple[Fraction, Fraction]:
    """When a packet begins and how long it lasts, in seconds of its file."""
    stamp = packet.pts if packet.pts is not None else packet.dts or 0
    return stamp * packet.time_base, (packet.duration or 0) * packet.time_base


def lasts(packet: Packet[Any]) -> bool:
    """Whether what a packet shows stays for its whole length, and may be begun later: words do."""
    return bool(packet.stream.type == "subtitle")


def is_cover(stream: Stream) -> bool:
    """Whether a stream is a cover picture: one packet, which has no time."""
    return stream.type == "video" and bool(int(stream.disposition) & COVER)


def is_cover_for(stream: Stream, muxer: str) -> bool:
    """Whether a stream is a cover picture that Matroska keeps as an attachment."""
    return is_cover(stream) and muxer == "matroska"


def add_cover(into: OutputContainer, stream: Stream, data: bytes) -> None:
    """Attach a cover picture as Matroska wants it."""
    kind = COVER_TYPES.get(stream.codec_context.name, "image/jpeg")
    name = stream.metadata.get("filename") or f"cover.{kind.removeprefix('image/')}"
    into.add_attachment(name, stream.metadata.get("mimetype", kind), data)


def stream_tags(stream: Stream) -> dict[str, str]:
    """Tags of a stream; the title of a track, which MP4 reads as a name, is a title again."""
    tags = dict(stream.metadata)
    if "name" in tags and "title" not in tags:
        tags["title"] = tags.pop("name")
    return tags


def in_words_of(muxer: str, tags: dict[str, str]) -> dict[str, str]:
    """The tags with the language as a container calls it."""
    code = tags.get("language")
    return tags if code is None else tags | {"language": languages.written(code, muxer) or "und"}


def unspeakable(kept: Iterable[Stream], muxer: str) -> list[str]:
    """A sentence for each stream whose language a container has no word for."""
    codes = [(stream, stream.metadata.get("language") or "und") for stream in kept]
    return [
        f"the language {one_line(code)} of {described(stream)} is not kept: {muxer} has no word "
        "for it; .mkv has"
        for stream, code in codes
        if code != "und" and languages.written(code, muxer) is None
    ]


def picture_tags(stream: Stream) -> dict[str, str]:
    """Tags of the picture stream that still hold for the result."""
    tags = stream_tags(stream)
    return {
        key: value for key, value in tags.items() if not key.lower().startswith(OF_THE_OLD_PICTURE)
    }


def said(stream: Stream) -> Said:
    """What a file says of a stream."""
    return Said(stream_tags(stream), int(stream.disposition))


def given(
    picture: Stream, made: Stream, others: list[Stream], copies: dict[int, Stream]
) -> dict[int, tuple[str, Said]]:
    """By their places in the result, what streams are called and what is to be said of them.

    Attachments are left out: Matroska puts them behind all else.
    """
    pairs = [(picture, made), *((stream, copies.get(stream.index)) for stream in others)]
    return {
        copy.index: (described(stream), Said(dict(copy.metadata), int(stream.disposition)))
        for stream, copy in pairs
        if copy is not None and copy.type != "attachment"
    }


def without_empty(
    given: dict[int, tuple[str, Said]], filled: set[int], muxer: str, *, whole: bool
) -> tuple[dict[int, tuple[str, Said]], list[str]]:
    """`given` by the places that streams have in the end, and a note on each that is left out.

    MP4 and MOV leave out a stream without a packet, and number those behind it anew. filled: the
    places of streams that got one. whole: nothing was cut off.
    """
    if muxer not in KNOWN:
        return given, []
    why = "it is empty" if whole else "nothing of it lies between --start and --end"
    left = [place for place in sorted(given) if place in filled]
    empty = [given[place][0] for place in sorted(given) if place not in filled]
    notes = [f"{name} is not in the result: {why}" for name in empty]
    return {place: given[old] for place, old in enumerate(left)}, notes


def strip_tags(output: OutputContainer) -> None:
    """Remove from all streams what says when, where and with what they were made."""
    for stream in output.streams:
        for key in [key for key in stream.metadata if key.lower() not in HARMLESS]:
            del stream.metadata[key]


def file_tags(source: InputContainer) -> dict[str, str]:
    """Tags of the file, without those that a muxer writes itself."""
    return {
        key: value
        for key, value in source.metadata.items()
        if key.lower() not in MADE_BY_MUXERS and not is_record(value)
    }


def recorded_cut(container: InputContainer) -> Cut:
    """What of its source a result was made of, as it says itself."""
    found = next((text for text in container.metadata.values() if is_record(text)), None)
    options = Record.parse(found).options if found else {}
    start, end = (options.get(name) for name in ("start", "end"))
    return Cut.of(*(b if isinstance(b, int | float) else None for b in (start, end)))


def tell(tags: dict[str, str], record: Record | None, muxer: str) -> list[str]:
    """Add the record to the tags of the file, where one is free for it; a note where none is."""
    if record is None:
        return []
    taken = {key.lower() for key in tags}
    free = [key for key in PLACES.get(muxer, ()) if key not in taken]
    if muxer not in PLACES or needs_keys(tags, muxer):
        free.append(OWN_PLACE)
    if not free:
        return ["no tag is free: how the result was made is not in it"]
    tags[free[0]] = record.as_json()
    return []


def needs_keys(tags: dict[str, str], muxer: str) -> bool:
    """Whether MP4 or MOV holds all the tags only under QuickTime's keys, which take any name."""
    return muxer in KNOWN and any(key.lower() not in KNOWN[muxer] for key in tags)


def muxer_options(
    tags: dict[str, str], muxer: str, ticks: Iterable[Fraction | None]
) -> dict[str, str]:
    """Options for the muxer of MP4 and MOV.

    QuickTime's keys are written only where told to; and where a stream begins is rounded to the
    clock of the whole film, so that has to count in the `ticks` of all streams.
    """
    if muxer not in ("mp4", "mov"):
        return {}
    own = needs_keys(tags, muxer)
    clock = math.lcm(1000, *(tick.denominator for tick in ticks if tick))
    options = {"movie_timescale": str(clock)} if clock <= FASTEST_CLOCK else {}
    return options | ({"movflags": "use_metadata_tags"} if own else {})


def _refusal(stream: Stream, muxer: str) -> str | None:
    """Why `muxer` cannot hold a stream; found by trying to write a header with it alone."""
    import av

    if stream.type in ("video", "audio", "subtitle") and stream.codec_context is None:
        return "its codec is not known"
    if stream.type == "attachment" and muxer != "matroska":
        return "only .mkv holds attachments"
    if is_cover_for(stream, muxer):
        return None
    if is_cover(stream) and muxer == "mov":  # which would drop it unsaid
        return "only .mp4 and .mkv hold cover pictures"
    if stream.type == "data" and TIME_CODE in stream.metadata:
        return "no video stream has its time code"
    trial: Any = None
    try:
        trial = av.open(io.BytesIO(), "w", format=muxer)
        add(trial, stream)
        trial.start_encoding()
    except (ValueError, av.FFmpegError, TypeError, UnicodeError):
        return f"{muxer} cannot hold it"
    finally:
        if trial is not None:
            _give_up(trial)
    return None


def _give_up(container: OutputContainer) -> None:
    import av

    try:
        container.close()
    except (ValueError, av.FFmpegError):
        return

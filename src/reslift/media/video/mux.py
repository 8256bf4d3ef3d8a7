"""Joining: the parts' picture packets with the source's time stamps, and all other streams copied.

A decoder wants packets in the order dts, none later than its pts. With p the time stamps in rising
order and d the farthest that any packet comes before its turn, dts_i = p_(i-d); before the start it
is carried on backwards.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reslift.errors import OutputError, one_line
from reslift.files import CANNOT_WRITE
from reslift.media.video import streams, timecode, wide
from reslift.media.video.codecs import FORMATS
from reslift.media.video.cut import Cut, Stretch
from reslift.media.video.encode import Encoding
from reslift.media.video.kept import Said, unmarked, unplaced
from reslift.media.video.parts import Part
from reslift.media.video.probe import Clip, opened, picture_stream, probe, whole_packets
from reslift.media.video.shown import hidden_note

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

    from reslift.provenance import Record

MILLISECOND = Fraction(1, 1000)
SLANTED = "Matroska and WebM say turns alone; use .mp4 or .mov"
COARSE = ("matroska", "webm")


def join(
    clip: Clip,
    parts: list[Part],
    encoding: Encoding,
    into: Path,
    target: Path,
    cut: Cut,
    strip: bool = False,
    record: Record | None = None,
) -> list[str]:
    """Write the result to the path `into`; `target` only names it. Returns notes.

    `strip` leaves out all tags but language and title of a stream; `record` becomes a tag of the
    file.

    Raises:
        InputError: the source cannot be read again. OutputError: the container refuses.
    """
    muxer = FORMATS[target.suffix.lower()]
    with ExitStack() as stack:
        source = stack.enter_context(opened(clip.path))
        picture = picture_stream(source, clip.path)
        others, notes = streams.copyable(source, picture, muxer)
        notes += streams.unspeakable([picture, *others], muxer)
        notes += unmarked(clip.kinds, picture.metadata)
        notes += hidden_note(clip.path, picture, (clip.width, clip.height))
        tags = {} if strip else streams.file_tags(source)
        notes += streams.tell(tags, record, muxer)
        ticks = [clip.time_base, *(stream.time_base for stream in others)]
        output = _open(into, muxer, streams.muxer_options(tags, muxer, ticks))
        stack.callback(_close_quietly, output)
        output.metadata.update(tags)
        stack.enter_context(_refusals(target))
        part = stack.enter_context(opened_part(parts[0].path))
        video = _picture(output, part.streams.video[0], clip, encoding, picture)
        copies = _others(output, others, clip, muxer)
        if strip:
            streams.strip_tags(output)
        first = parts[0].times[0][0]
        origin = (picture.start_time or 0) * clip.time_base
        skipped = first * clip.time_base - origin if cut.start is not None else Fraction(0)
        video.metadata.update(timecode.later(video.metadata, skipped, clip.rate))
        given = streams.given(picture, video, others, copies)
        stretch = cut.stretch(origin, first * clip.time_base)
        shift = first if cut.start is not None else 0
        output.set_chapters(_chapters(source, stretch))
        copied = _copied(clip.path, source, copies, stretch)
        filled = _interleave(output, _pictures(parts, video, muxer, clip.time_base, shift), copied)
        output.close()
    if muxer in COARSE:
        notes += wide.told(into, muxer, encoding.aspect)
    if clip.matrix is not None and probe(into).matrix is None:
        notes.append(f"how the picture is turned or slanted when shown is not kept: {SLANTED}")
    given, empty = streams.without_empty(given, filled, muxer, whole=stretch == Stretch())
    notes += empty
    notes += _changed(into, muxer, (first - shift) * clip.time_base, tags, given)
    if muxer in COARSE and (clip.time_base / MILLISECOND).denominator != 1:
        notes.append("time stamps are rounded to milliseconds, all that this container has")
    return notes


def _changed(
    made: Path,
    muxer: str,
    wanted: Fraction,
    tags: dict[str, str],
    given: dict[int, tuple[str, Said]],
) -> list[str]:
    """Notes on what the muxer changed: tags it has no place for, and when the pictures begin.

    given: by their places in the result, what streams are called and what was to be said of them.
    """
    with opened(made) as result:
        notes = [*unplaced("the file", Said(tags), Said(result.metadata), muxer)]
        for index, (name, told) in given.items():
            notes += unplaced(name, told, streams.said(result.streams[index]), muxer)
        stream = picture_stream(result, made)
        later = (stream.start_time or 0) * (stream.time_base or MILLISECOND) - wanted
    if muxer not in COARSE or later <= MILLISECOND:
        return notes
    # Matroska has no times below 0.
    return [
        *notes,
        f"all streams begin {float(later):.3f} s later, since sound begins before 0, which "
        f"{muxer} has no time stamps for",
    ]


def opened_part(path: Path) -> InputContainer:
    """A finished segment, for reading."""
    import av

    return av.open(f"file:{path}", "r", format="matroska")


@contextmanager
def _refusals(target: Path) -> Iterator[None]:
    """What a muxer refuses while it writes, as an OutputError; a full disk stays as it is."""
    import av

    try:
        yield
    except (av.FFmpegError, ValueError) as error:
        if getattr(error, "errno", None) in CANNOT_WRITE:
            raise
        reason = getattr(error, "strerror", None) or error
        raise OutputError(
            f"cannot write {one_line(target)}: {one_line(reason)}; try another suffix, such as .mkv"
        ) from error


def _open(path: Path, muxer: str, options: dict[str, str]) -> OutputContainer:
    import av

    output = av.open(
        f"file:{path}",
        "w",
        format=muxer,
        container_options=options,
        metadata_errors="surrogateescape",
    )
    output.flags |= int(av.container.Flags.bitexact.value)  # type: ignore[call-overload]
    return output


def _close_quietly(output: OutputContainer) -> None:
    import av

    try:
        output.close()
    except (av.FFmpegError, ValueError):
        return


def _picture(
    output: OutputContainer, part: Stream, clip: Clip, encoding: Encoding, source: Stream
) -> Stream:
    made: Any = output.add_stream_from_template(part, opaque=True)
    made.time_base = clip.time_base
    context = made.codec_context
    context.framerate = encoding.rate
    context.color_range = encoding.colors.range
    context.color_primaries = encoding.colors.primaries
    context.color_trc = encoding.colors.transfer
    context.colorspace = encoding.colors.matrix
    if encoding.aspect:
        context.sample_aspect_ratio = encoding.aspect
    if encoding.library == "libx265" and output.format.name in ("mp4", "mov"):
        context.codec_tag = "hvc1"
    if clip.matrix is not None:
        made.set_display_matrix(clip.matrix)
    made.metadata.update(streams.in_words_of(output.format.name, streams.picture_tags(source)))
    if encoding.conversion.layout.alpha:
        made.metadata["alpha_mode"] = "1"
    made.disposition = int(source.disposition)
    return made  # type: ignore[no-any-return]


def _others(
    output: OutputContainer, others: list[Stream], clip: Clip, muxer: str
) -> dict[int, Stream]:
    """By index in the source, the streams of the result; cover pictures for Matroska are done."""
    copies = {}
    for stream in others:
        if streams.is_cover_for(stream, muxer):
            with opened(clip.path) as again:
                data = next(bytes(p) for p in again.demux(again.streams[stream.index]) if p.size)
            streams.add_cover(output, stream, data)
        else:
            copies[stream.index] = streams.add(output, stream)
    return copies


def _chapters(source: InputContainer, stretch: Stretch) -> list[Any]:
    chapters = []
    offset = stretch.begin or Fraction(0)
    for chapter in source.chapters():
        unit = chapter["time_base"] or Fraction(1)
        begin, end = chapter["start"] * unit, chapter["end"] * unit
        if stretch == Stretch():
            chapters.append(chapter)
        elif end > offset and (stretch.end is None or begin < stretch.end):
            start = round(max(Fraction(0), begin - offset) / unit)
            stop = (end if stretch.end is None else min(end, stretch.end)) - offset
            chapters.append({**chapter, "start": start, "end": max(start + 1, round(stop / unit))})
    return chapters


def _pictures(
    parts: list[Part], video: Stream, muxer: str, tick: Fraction, shift: int
) -> Iterator[tuple[Fraction, Packet[Any]]]:
    times = [time for part in parts for time in part.times]
    stamps = [pts for pts, _ in times]
    delay = max(_delay(part) for part in parts)
    step = max(1, stamps[1] - stamps[0] if len(stamps) > 1 else times[0][1])
    position = offset = 0
    for part in parts:
        with opened_part(part.path) as container:
            for packet in container.demux(container.streams.video[0]):
                if not packet.size:
                    continue
                place = offset + round((packet.pts or 0) * packet.time_base / MILLISECOND)
                behind = position - delay
                packet.time_base = tick
                packet.pts = stamps[place] - shift
                packet.dts = (stamps[behind] if behind >= 0 else stamps[0] + behind * step) - shift
                following = stamps[place + 1] if place + 1 < len(stamps) else None
                packet.duration = (
                    times[place][1] if following is None else following - stamps[place]
                )
                if position + 1 == len(stamps) and muxer not in COARSE:
                    # MP4 ends where the packet ends that is decoded last.
                    packet.duration = max(packet.duration, sum(times[-1]) - stamps[place])
                joined: Any = packet
                joined.stream = video
                position += 1
                yield packet.dts * tick, joined
        offset += len(part.times)


def _delay(part: Part) -> int:
    with opened_part(part.path) as container:
        places = [
            round((packet.pts or 0) * packet.time_base / MILLISECOND)
            for packet in container.demux(container.streams.video[0])
            if packet.size
        ]
    return max(order - place for order, place in enumerate(places))


def _copied(
    path: Path, source: InputContainer, copies: dict[int, Stream], stretch: Stretch
) -> Iterator[tuple[Fraction, Packet[Any]]]:
    """Packets of all other streams in the order of the file, with the time they are due."""
    if not copies:
        return
    kept = [stream for stream in source.streams if stream.index in copies]
    before: dict[int, int] = {}
    for packet in whole_packets(source, kept, path):
        if packet.size and streams.is_cover(packet.stream):
            packet.pts = packet.dts = 0
            packet.stream = copies[packet.stream_index]
            yield Fraction(0), packet
            continue
        if (packet.dts is None and packet.pts is None) or streams.is_gap(packet):
            continue
        if packet.stream.type == "audio" and packet.pts is not None:
            # Without a length, the end of a film in MP4 cuts off its last packet.
            packet.duration = packet.duration or packet.pts - before.get(
                packet.stream_index, packet.pts
            )
            before[packet.stream_index] = packet.pts
        tick = packet.time_base
        time, length = streams.span(packet)
        _, lasting = stretch.place(time, length, lasts=streams.lasts(packet))
        if lasting < 0:
            continue
        back = 0 if stretch.begin is None else round(min(stretch.begin, time) / tick)
        packet.pts = None if packet.pts is None else packet.pts - back
        packet.dts = None if packet.dts is None else packet.dts - back
        if lasting != length:
            packet.duration = round(lasting / tick)
        first = packet.dts if packet.dts is not None else packet.pts
        packet.stream = copies[packet.stream_index]
        yield (first or 0) * tick, packet


def _interleave(
    output: OutputContainer,
    pictures: Iterator[tuple[Fraction, Packet[Any]]],
    others: Iterator[tuple[Fraction, Packet[Any]]],
) -> set[int]:
    """Mux both by time, so that neither waits in memory; the streams that got a packet."""
    filled = set()
    for _, packet in heapq.merge(others, pictures, key=itemgetter(0)):
        filled.add(packet.stream_index)
        output.mux(packet)
    return filled

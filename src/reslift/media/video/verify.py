"""Two videos side by side: what the result should have of the source and has not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reslift.media.video import streams, timecode
from reslift.media.video.alike import Thumbnail, moved, thumbnail
from reslift.media.video.color import FULL, UNSPECIFIED
from reslift.media.video.cut import WHOLE, Cut, Stretch
from reslift.media.video.kept import DEFAULT_TRACK, lacking
from reslift.media.video.probe import (
    Clip,
    Light,
    boundary,
    decoder,
    is_full,
    opened,
    picture_stream,
    probe,
    shown_layout,
)
from reslift.media.video.shape import is_reshaped, sides_of
from reslift.sizes import STRETCHED, Size

if TYPE_CHECKING:
    from av.container import InputContainer

MILLISECOND = Fraction(1, 1000)
COARSEST_LIGHT = Fraction(1, 20_000)
"""AV1 counts colours in 1/65536 and the darkest light in 1/16384."""


@dataclass
class Content:
    """What a file holds; of the pictures themselves thumbnails. Times are seconds."""

    container: str = ""
    times: list[Fraction] = field(default_factory=list)
    pictures: list[Thumbnail] = field(default_factory=list)
    packets: dict[int, list[tuple[Fraction, bytes]]] = field(default_factory=dict)
    names: dict[int, str] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    tags: dict[int, dict[str, str]] = field(default_factory=dict)
    dispositions: dict[int, int] = field(default_factory=dict)
    file_tags: dict[str, str] = field(default_factory=dict)
    chapters: list[tuple[Fraction, Fraction, str]] = field(default_factory=list)
    cut: Cut = WHOLE
    ticks: list[Fraction] = field(default_factory=list)


def compare(source: Path, target: Path, scale: float | None = None) -> tuple[str, ...]:
    """Findings, a sentence each; none where the result is what it should be.

    Every frame of both is decoded, and every packet of the other streams compared; of the frames
    thumbnails are.

    Args:
        scale: sides of the result ÷ those of the source; None takes any that players show in the
            shape of the source.

    Raises:
        InputError: either cannot be read.
    """
    before, after = probe(source), probe(target)
    kept = content(after)
    held = content(before, kept.cut)
    tick = max(*held.ticks, *kept.ticks)
    return (
        *_size(before, after, scale),
        *_times(held.times, kept.times, tick),
        *_pictures(before, held, kept),
        *_looks(before, after),
        *_streams(held, kept, tick),
        *_tags(held, kept),
    )


def content(clip: Clip, cut: Cut = WHOLE) -> Content:
    """Read a whole file: times of its frames, digests of all other packets, tags, chapters.

    cut: only what it leaves, with the times that a result has.
    """
    found = Content(ticks=[clip.time_base])
    with opened(clip.path) as container, boundary(clip.path):
        picture = picture_stream(container, clip.path)
        _describe(container, found, picture.index)
        context = decoder(picture)
        wanted = [picture, *(container.streams[index] for index in found.packets)]
        read: list[tuple[int, Fraction, Fraction, bool, bytes]] = []
        shown: list[tuple[Fraction, Thumbnail]] = []
        for packet in container.demux(*wanted):
            if packet.stream.index == picture.index:
                shown += _decoded(context, packet, clip.time_base)
            elif packet.size and not streams.is_gap(packet):
                digest = hashlib.sha256(bytes(packet)).digest()
                if streams.is_cover(packet.stream):
                    found.packets[packet.stream_index].append((Fraction(0), digest))
                    continue
                span, lasts = streams.span(packet), streams.lasts(packet)
                read.append((packet.stream_index, *span, lasts, digest))
        origin, place = (picture.start_time or 0) * clip.time_base, picture.index
    # A decoder gives pictures in the order they are shown, in AVI with times that are not.
    shown = [(time, picture) for time, picture in shown if cut.holds(time, origin)]
    found.pictures = [picture for _, picture in shown]
    found.times = sorted(time for time, _ in shown)
    stretch = cut.stretch(origin, found.times[0] if found.times else origin)
    for index, time, length, lasts, digest in read:
        begin, lasting = stretch.place(time, length, lasts=lasts)
        if lasting >= 0:
            found.packets[index].append((begin, digest))
    shift = stretch.begin or Fraction(0)
    skipped = shift - origin if stretch.begin is not None else shift
    found.tags[place] = timecode.later(found.tags[place], skipped, clip.rate)
    found.times = [time - shift for time in found.times]
    found.chapters = list(_left(found.chapters, stretch, shift))
    return found


def _left(
    chapters: list[tuple[Fraction, Fraction, str]], stretch: Stretch, shift: Fraction
) -> Iterator[tuple[Fraction, Fraction, str]]:
    for begin, end, title in chapters:
        if end > shift and (stretch.end is None or begin < stretch.end):
            yield max(Fraction(0), begin - shift) if shift else begin, end - shift, title


def _decoded(context: Any, packet: Any, tick: Fraction) -> Iterator[tuple[Fraction, Thumbnail]]:
    import av

    try:
        frames = context.decode(packet if packet.size else None)
    except av.FFmpegError:
        return
    yield from ((frame.pts * tick, thumbnail(frame)) for frame in frames if frame.pts is not None)


def _describe(container: InputContainer, found: Content, picture: int) -> None:
    for stream in container.streams:
        if streams.is_made_anew(container, stream):
            continue
        found.tags[stream.index] = streams.picture_tags(stream)
        found.dispositions[stream.index] = int(stream.disposition)
        found.names[stream.index] = "the video stream"
        found.kinds[stream.index] = "picture"
        if stream.index == picture:
            continue
        found.names[stream.index] = streams.described(stream)
        found.kinds[stream.index] = stream.type
        if stream.type == "attachment":
            found.packets[stream.index] = [(Fraction(0), hashlib.sha256(stream.data).digest())]  # type: ignore[attr-defined]
        else:
            found.packets[stream.index] = []
            found.ticks.append(stream.time_base or MILLISECOND)
    found.file_tags = streams.file_tags(container)
    found.cut = streams.recorded_cut(container)
    found.container = container.format.name
    for chapter in container.chapters():
        unit = chapter["time_base"] or Fraction(1)
        title = chapter["metadata"].get("title", "")
        found.chapters.append((chapter["start"] * unit, chapter["end"] * unit, title))


def _size(before: Clip, after: Clip, scale: float | None) -> Iterator[str]:
    sizes = f"{before.width}x{before.height} became {after.width}x{after.height}"
    if scale is not None and (after.width, after.height) != sides_of(before, Size(scale=scale)):
        yield f"size: {sizes}, which is not a scale of {scale:g}"
    elif scale is None and is_reshaped(before, (after.width, after.height)):
        shown = before.aspect or 1, (after.aspect or 1) * Fraction(after.width, after.height)
        if abs(shown[1] * before.height / (shown[0] * before.width) - 1) > STRETCHED:
            yield f"size: {sizes}, which players show in another shape"


def _times(before: list[Fraction], after: list[Fraction], tick: Fraction) -> Iterator[str]:
    if len(before) != len(after):
        yield f"frames: {len(before)} became {len(after)}"
        return
    off = [abs(a - b) for a, b in zip(before, after, strict=True)]
    wrong = [place for place, gap in enumerate(off) if gap > tick / 2]
    if wrong:
        place = wrong[0]
        yield (
            f"time stamps: {len(wrong)} of {len(before)} differ, first frame {place}: "
            f"{float(before[place]):.6f} s became {float(after[place]):.6f} s"
        )


def _pictures(before: Clip, held: Content, kept: Content) -> Iterator[str]:
    """Colours under transparency may be any, and nothing is told of them."""
    layout = shown_layout(before)
    if len(held.pictures) == len(kept.pictures) and layout and not layout.alpha:
        yield from moved(held.pictures, kept.pictures)


def _looks(before: Clip, after: Clip) -> Iterator[str]:
    layouts = [shown_layout(clip) for clip in (before, after)]
    if layouts[0] and layouts[1]:
        if layouts[1].kind == "gray" != layouts[0].kind:
            yield "colours are gone: the result is gray"
        if layouts[1].bits < layouts[0].bits:
            yield f"bits: {layouts[0].bits} became {layouts[1].bits}"
        if layouts[0].alpha and not layouts[1].alpha:
            yield "transparency is gone"
        if layouts[0].kind == layouts[1].kind and (
            is_full(before.colors, layouts[0]) != is_full(after.colors, layouts[1])
        ):
            words = ["full" if c.colors.range == FULL else "limited" for c in (before, after)]
            yield f"colour range: {words[0]} became {words[1]}"
    for name in ("primaries", "transfer", "matrix"):
        was, now = getattr(before.colors, name), getattr(after.colors, name)
        guessed = name == "matrix" and was in (UNSPECIFIED, 0)
        if was != now and not guessed:
            yield f"colour {name}: {was} became {now}"
    reshaped = is_reshaped(before, (after.width, after.height))
    # Matroska stores the shown sides in whole pixels.
    off = abs((before.aspect or Fraction(1)) - (after.aspect or Fraction(1))) * after.width
    if not reshaped and off > 1:
        yield f"pixel aspect: {before.aspect} became {after.aspect}"
    if (before.matrix or ()) != (after.matrix or ()):
        yield f"display matrix: {before.matrix} became {after.matrix}"
    if not _as_bright(before.light, after.light):
        yield f"HDR10 numbers: {before.light} became {after.light}"


def _as_bright(before: Light, after: Light) -> bool:
    """Whether HDR10 numbers are the same, but for the steps that codecs count them in."""
    pairs = zip(before.mastering or (), after.mastering or (), strict=False)
    alike = (before.mastering is None) == (after.mastering is None)
    near = all(abs(was - now) <= COARSEST_LIGHT for was, now in pairs)
    return alike and near and before.brightest == after.brightest


def _streams(held: Content, kept: Content, tick: Fraction) -> Iterator[str]:
    left = dict(kept.packets)
    ordered = sorted(
        held.packets, key=lambda index: not any(_same(held, index, kept, o) for o in left)
    )
    for index in ordered:
        packets = held.packets[index]
        digests = [digest for _, digest in packets]
        equal = [other for other, found in left.items() if [d for _, d in found] == digests]
        # Of streams of the same bytes, that of the same codec and language.
        match = next((o for o in equal if _same(held, index, kept, o)), *equal[:1] or (None,))
        if match is None:
            if packets:  # MP4 leaves out what is empty, or is in the stretch that was cut out
                yield f"{held.names[index]} is not in the result byte for byte"
            continue
        gaps = [abs(a - b) for (a, _), (b, _) in zip(packets, left.pop(match), strict=True)]
        if gaps and max(gaps) > tick / 2:
            yield f"{held.names[index]}: time stamps are off by up to {float(max(gaps)):.6f} s"
        yield from _stream_tags(held, kept, index, match)
    yield from (f"{kept.names[index]} is in the result only" for index in left)


def _same(held: Content, index: int, kept: Content, other: int) -> bool:
    """Whether two streams are of one codec and have the same tags."""
    names = [side.names[i].partition("(")[2] for side, i in ((held, index), (kept, other))]
    return names[0] == names[1] and not lacking(held.tags[index], kept.tags[other])


def _stream_tags(held: Content, kept: Content, index: int, match: int) -> Iterator[str]:
    name = held.names[index]
    was, now = held.dispositions[index], kept.dispositions[match]
    # MP4 has no way to say that no track is the default one.
    told = ~0 if held.container == kept.container else ~DEFAULT_TRACK
    if was & told != now & told:
        yield f"{name}: disposition {was} became {now}"
    yield from _lacking(name, held.tags[index], kept.tags[match])


def _tags(held: Content, kept: Content) -> Iterator[str]:
    yield from _lacking("the file", held.file_tags, kept.file_tags)
    pictures = [
        next(index for index, kind in side.kinds.items() if kind == "picture")
        for side in (held, kept)
    ]
    yield from _stream_tags(held, kept, pictures[0], pictures[1])
    if len(held.chapters) != len(kept.chapters):
        yield f"chapters: {len(held.chapters)} became {len(kept.chapters)}"
        return
    for was, now in zip(held.chapters, kept.chapters, strict=True):
        if was[2] != now[2] or abs(was[0] - now[0]) > MILLISECOND:
            yield (
                f"chapter {was[2]!r} at {float(was[0]):.3f} s became {now[2]!r} at "
                f"{float(now[0]):.3f} s"
            )


def _lacking(name: str, was: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    if lost := lacking(was, now):
        yield f"{name}: tags {', '.join(lost)} differ"

"""Whether what was decoded is about all that a file announces.

Headers of whole files need not be exact: frames have any length, edit lists leave some out, sound
goes on after the pictures, Matroska may count nothing. So a file is refused only where a good part
is missing that none of these explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from reslift.errors import InputError, one_line
from reslift.media.video.boxes import demuxer

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

    from reslift.media.video.probe import Clip

PART = 10
TAIL = 4
LONGER = 2.5
MICROSECOND = Fraction(1, 1_000_000)
ADVICE = "; add --allow-truncated for what is there"


@dataclass
class Met:
    """What was met: packets and frames of the picture stream, times in ticks.

    end: when the packet that lasts longest has been shown.
    """

    packets: int = 0
    frames: int = 0
    first: int | None = None
    last: int = 0
    longest: int = 0
    end: int = 0

    def take(self, packet: Packet[Any]) -> None:
        """Note a packet."""
        self.packets += bool(packet.size)
        if packet.pts is not None:
            self.end = max(self.end, packet.pts + (packet.duration or 0))

    def at(self, pts: int) -> None:
        """Note the time of the next frame."""
        if self.first is None:
            self.first = pts
        else:
            self.longest = max(self.longest, pts - self.last)
        self.last = pts


def too_few_decoded(clip: Clip, missing: int, met: Met) -> InputError | None:
    """The error where over a tenth of the frames could not be decoded."""
    whole = met.frames + missing
    if PART * missing <= whole:
        return None
    return InputError(
        f"cannot use {one_line(clip.path)}: {missing:,} of {whole:,} frames cannot be "
        f"decoded{ADVICE}"
    )


def too_few_there(
    clip: Clip, container: InputContainer, stream: VideoStream, met: Met
) -> InputError | None:
    """The error where the file announces many more frames, or a much later end, than it has."""
    with clip.path.open("rb") as file:
        kind = demuxer(file.read(64))
    if kind == "mov":
        told = stream.frames
        if PART * (told - met.packets) <= told or PART * (told - _all_packets(clip)) <= told:
            return None
        return InputError(
            f"cannot use {one_line(clip.path)}: it announces {told:,} frames and has "
            f"{met.packets:,}{ADVICE}"
        )
    end = _announced_end(container, stream)
    if end is None or met.first is None or met.frames < 2:
        return None
    tick = clip.time_base
    tail, longest = end - max(met.last, met.end) * tick, max(met.longest * tick, 1 / clip.rate)
    if TAIL * tail <= end or tail <= longest * Fraction(LONGER):
        return None
    return InputError(
        f"cannot use {one_line(clip.path)}: it announces {float(end):.2f} s, and its pictures end "
        f"after {float(met.last * tick):.2f} s{ADVICE}"
    )


def _all_packets(clip: Clip) -> int:
    """How many packets of the picture stream there are, those outside an edit list too."""
    import av

    from reslift.media.video.probe import opened, picture_stream, whole_packets

    with opened(clip.path, ignore_editlist="1") as container:
        stream = picture_stream(container, clip.path)
        try:
            return sum(bool(p.size) for p in whole_packets(container, [stream], clip.path))
        except (av.FFmpegError, InputError):
            return 0


def _announced_end(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds at which the pictures are said to end; None where nothing says so of them alone."""
    if stream.duration and stream.time_base:
        return ((stream.start_time or 0) + stream.duration) * stream.time_base
    tagged = next((v for k, v in stream.metadata.items() if k.upper() == "DURATION"), "")
    parts = tagged.split(":")
    if len(parts) == 3:
        try:
            hours, minutes, seconds = (Fraction(part) for part in parts)
        except ValueError:
            return None
        return hours * 3600 + minutes * 60 + seconds
    if container.duration and len(container.streams) == 1:
        return container.duration * MICROSECOND
    return None

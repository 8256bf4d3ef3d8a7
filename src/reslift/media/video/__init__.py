"""Videos: MP4, MOV, MKV, WebM in and out, AVI in. PyAV, which brings FFmpeg, is the extra `video`.

::

    boxes, probe ─ what a file is     frames ─ decode, time, count     color ─ YUV ↔ RGB
    steady ─ noise over time          overlap ─ three steps at once    encode, parts ─ segments
    mux, streams ─ join, copy         work ─ from end to end           verify ─ compare two files
    shape ─ sides, pixel aspect       kept ─ tags that are lost        shots ─ one frame, its length
    codecs ─ what goes into what
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reslift.limits import Limits
from reslift.media.base import PLAIN, Enlarger, Extent, Medium, Progress, Wishes
from reslift.media.video.boxes import demuxer

if TYPE_CHECKING:
    from reslift.provenance import Record


class Video(Medium):
    """A clip: one stream of pictures is enlarged, all else is copied."""

    name = "video"
    label = "a video"
    suffixes = (".mkv", ".mp4", ".mov", ".webm", ".m4v")
    reads = (".avi", ".3gp", ".3g2")
    extra = "video"
    keeps_shape = True
    heeds = frozenset(
        {"codec", "crf", "start", "end", "deinterlace", "steady", "allow_truncated"}
        | {"strip_metadata"}
    )

    def recognises(self, path: Path, head: bytes) -> bool:
        """By the first bytes of ISO base media, Matroska or AVI."""
        return demuxer(head) is not None

    def peek(self, path: Path, limits: Limits, wishes: Wishes = PLAIN) -> Extent:
        """See `Medium`; the first frame is decoded, so that a file without one fails at once."""
        from reslift.errors import one_line
        from reslift.media.video.probe import probe
        from reslift.media.video.shape import extent_of, shown

        clip = probe(path)
        limits.check("input_pixels", clip.width * clip.height, one_line(path))
        limits.check("video_frames", clip.frames, one_line(path))
        extent = extent_of(clip)
        return replace(extent, frames=shown(clip, wishes.start, wishes.end))

    def upscale(
        self,
        enlarger: Enlarger,
        source: Path,
        target: Path,
        wishes: Wishes,
        progress: Progress | None = None,
    ) -> tuple[str, ...]:
        """See `Medium`; finished segments stay beside the target if the work is interrupted."""
        from reslift.media.video.work import enlarge

        return enlarge(enlarger, source, target, wishes, progress).notes

    def pace(
        self, enlarger: Enlarger, source: Path, target: Path, wishes: Wishes, frames: int
    ) -> float | None:
        """See `Medium`."""
        from reslift.media.video.work import pace

        return pace(enlarger, source, target, wishes, frames)

    def record(self, result: Path) -> Record | None:
        """See `Medium`."""
        from reslift.media.recorded import last_record
        from reslift.media.video.probe import opened

        with opened(result) as container:
            return last_record(container.metadata.values())

    def keeps_samples(self, source: Path, target: Path) -> bool:
        """See `Medium`."""
        from reslift.media.video.probe import LOSSLESS, probe

        return all(probe(path).codec in LOSSLESS for path in (source, target))

    def verify(self, source: Path, target: Path) -> tuple[str, ...]:
        """See `Medium`."""
        from reslift.media.video.verify import compare

        return compare(source, target)

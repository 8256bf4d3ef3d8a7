"""A clip from end to end: decode, enlarge and encode at once, segment by segment, then join.

::

    source ─ frames ─► Enlarger ─► parts (segments) ─► join ─► target
             thread     caller      thread
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reslift import __version__
from reslift.errors import InputError, UsageError, one_line
from reslift.files import atomic_write
from reslift.media.base import Enlarger, Progress, Wishes
from reslift.media.recorded import told
from reslift.media.video.color import Words
from reslift.media.video.cut import Cut
from reslift.media.video.encode import Encoding, choose
from reslift.media.video.frames import Frames, Selection, Tally
from reslift.media.video.mux import join
from reslift.media.video.overlap import Seconds, overlapped
from reslift.media.video.parts import Parts, digest, segment_length
from reslift.media.video.probe import LOSSLESS, Clip, probe, truncated
from reslift.media.video.shape import sides_of
from reslift.media.video.shots import Shot
from reslift.pixels.planes import Planes
from reslift.pixels.regrid import Regrid

if TYPE_CHECKING:
    from collections.abc import Callable

COLOURS, WITH_ALPHA = 3, (2, 4)
CHANGED = "it changed while it was enlarged; enlarge it again once it is finished"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What came of it: notes for people, what was decoded, and where the time went."""

    notes: tuple[str, ...]
    tally: Tally
    seconds: Seconds


def enlarge(
    enlarger: Enlarger,
    source: Path,
    target: Path,
    wishes: Wishes,
    progress: Progress | None = None,
) -> Outcome:
    """Enlarge `source` into `target`; segments that an earlier run finished are taken over.

    Raises:
        InputError: damaged, cut off, changed meanwhile, interlaced without `wishes.deinterlace`.
        UsageError: a codec or a time that cannot be. LimitError: too many frames. OutputError:
        target cannot be written. Finished segments stay beside the target for the next run.
    """
    clip = probe(source)
    _refuse(clip, wishes)
    selection = Selection(
        wishes.start, wishes.end, wishes.deinterlace, wishes.steady, wishes.allow_truncated
    )
    size = sides_of(clip, enlarger.size)
    enlarger.limits.check("output_pixels", size[0] * size[1], f"{one_line(source)} enlarged")
    encoding, notes = choose(clip, target, size, wishes.codec, wishes.crf)
    ratio = Regrid(clip.width, clip.height, *size).ratio
    seen = _state(source)
    parts = Parts(target, _key(enlarger, source, selection, encoding), segment_length(*size))
    frames = Frames(clip, selection, parts.is_done, enlarger.limits)
    # What a codec did to the input is better not agreed with; the result's ends the agreement.
    exact = clip.codec in LOSSLESS and encoding.library in LOSSLESS
    with _kept_for_the_next_run(parts):
        seconds = overlapped(
            frames,
            _worker(enlarger, (size[1], size[0]), exact, progress),
            lambda results: parts.write(results, encoding),
        )
        with atomic_write(target, overwrite=wishes.overwrite) as temporary:
            muxed = join(
                clip,
                parts.all(),
                encoding,
                temporary,
                target,
                Cut.of(selection.start, selection.end),
                wishes.strip_metadata,
                told(enlarger, source, wishes, exact=exact, ratios=(ratio,)),
            )
            if _state(source) != seen:  # pictures of one clip with the sound of another
                parts.remove()
                raise InputError(f"cannot use {one_line(source)}: {CHANGED}")
    parts.remove()
    _log.info("%s: %s, %s", one_line(source), frames.tally, seconds)
    return Outcome((*notes, *frames.tally.notes(), *muxed), frames.tally, seconds)


def pace(enlarger: Enlarger, source: Path, target: Path, wishes: Wishes, frames: int) -> float:
    """Seconds that a frame takes while decoder, network and encoder run side by side.

    Measured on about `frames` of them at the place where the work begins, into a folder that goes
    away. Raises as `enlarge`.
    """
    clip, start = probe(source), wishes.start or 0.0
    end = start + frames / float(clip.rate)
    few = replace(wishes, end=end if wishes.end is None else min(end, wishes.end))
    with tempfile.TemporaryDirectory() as folder:
        done = enlarge(enlarger, source, Path(folder) / f"few{target.suffix}", few)
    return done.seconds.whole / max(1, done.tally.shots)


def _refuse(clip: Clip, wishes: Wishes) -> None:
    if clip.interlaced and not wishes.deinterlace:
        raise InputError(
            f"cannot use {one_line(clip.path)}: it is interlaced, and enlarging would mix its "
            "half pictures; add --deinterlace"
        )
    if not wishes.allow_truncated and (
        error := truncated(clip.path, "; add --allow-truncated for what is there")
    ):
        raise error
    for name, bound in (("start", wishes.start), ("end", wishes.end)):
        if bound is not None and not 0 <= bound < float("inf"):
            raise UsageError(f"--{name} {bound}: give seconds from 0 up, or like 1:02:03.5")
    if wishes.start is not None and wishes.end is not None and wishes.end <= wishes.start:
        raise UsageError(f"--end {wishes.end} is not after --start {wishes.start}")


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes with a file's content; None where there is no file any more."""
    with suppress(OSError):
        found = path.stat()
        return found.st_ino, found.st_size, found.st_mtime_ns
    return None


def _key(
    enlarger: Enlarger, source: Path, selection: Selection, encoding: Encoding
) -> dict[str, object]:
    """All that decides the bytes of a segment."""
    import av

    return {
        "version": __version__,
        "av": av.__version__,
        "source": digest(source),
        "model": enlarger.identity,
        "selection": repr(replace(selection, allow_truncated=False)),
        "encoding": repr(encoding),
    }


def _worker(
    enlarger: Enlarger, shape: tuple[int, int], exact: bool, progress: Progress | None
) -> Callable[[Shot], tuple[Shot, Words | None]]:
    """shape: (H', W') of a result."""
    last: list[Words] = []

    def enlarged(image: Words) -> Words:
        bands = image.shape[2]
        out = np.empty((*shape, bands), image.dtype)
        space = "rgb" if bands >= COLOURS else "gray"
        enlarger.run(Planes(image, space, alpha=bands in WITH_ALPHA), out, exact=exact)
        return out

    def work(shot: Shot) -> tuple[Shot, Words | None]:
        result = None
        if shot.image is not None:
            result = last[0] if shot.same and last else enlarged(shot.image)
            last[:] = [result]
        if progress is not None:
            progress(shape[0] * shape[1])
        return shot, result

    return work


@contextmanager
def _kept_for_the_next_run(parts: Parts) -> Iterator[None]:
    try:
        yield
    except BaseException:
        parts.remove_if_empty()
        raise

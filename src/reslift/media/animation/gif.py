"""Animated GIF: hundredths of a second, 256 colours a frame.

Pillow lays the frames over each other; libvips reduces the colours and stores what changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np

from reslift.formats import fit, gif, vips
from reslift.formats.base import Picture
from reslift.limits import Limits
from reslift.media.animation.clip import Clip, Frame, Source, moved_note, ticks

HUNDREDTH = Fraction(1, 100)
MOST_DELAY = 65_535
MOST_PLAYS = 65_536
SETTINGS = {"keep_duplicate_frames": True, "interpalette_maxerror": 0}


class GifClip(Source):
    """GIF of several frames."""

    label = "GIF"
    still = "gif"

    def recognises(self, head: bytes) -> bool:
        return gif.Gif().recognises(head)

    def is_animated(self, file: BinaryIO) -> bool:
        return gif.has_several(file)

    def inspect(self, file: BinaryIO) -> Clip:
        facts = gif.Gif().inspect(file)
        blocks: gif.Blocks = facts.private["blocks"]
        durations = tuple(frame.delay * HUNDREDTH for frame in blocks.frames)
        facts = replace(facts, alpha=blocks.alpha, notes=())
        return Clip(facts, durations, blocks.plays)

    def frames(self, file: BinaryIO, clip: Clip, limits: Limits) -> Iterator[Frame]:
        bands = clip.facts.bands
        for canvas in gif.canvases(file, clip.facts.private["blocks"]):
            yield np.ascontiguousarray(canvas[..., :bands])


def write(path: Path, roll: Picture, clip: Clip) -> list[str]:
    """Write all frames, which lie below each other in `roll`; returns what could not be kept."""
    into = gif.Gif()
    image, _ = fit.fitted(into, roll)
    delays, moved = ticks(clip.durations, HUNDREDTH, MOST_DELAY)
    kinds = vips.library().GValue
    image = image.copy()
    image.set_type(kinds.gint_type, "page-height", roll.height // len(delays))
    image.set_type(kinds.gint_type, "loop", min(clip.plays, MOST_PLAYS))
    image.set_type(kinds.array_int_type, "delay", [10 * delay for delay in delays])
    with open(path, "w+b") as file:
        vips.save(image, "gifsave_target", file, roll, **SETTINGS)
        gif.add_comments(file, roll)
    notes = gif.written_notes(roll)
    return notes + moved_note("GIF counts hundredths of a second", moved)

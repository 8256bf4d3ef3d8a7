"""From an image to exactly the size asked for: a model after the other, then an antialiased resize.

::

    image ─ stitch ×4 ─ canvas ─ stitch ×2 ─ canvas ─ resize ─ out        one stage: image ─ out

What lies between two stages has 16 bits a sample (or is float), and is on disk where it is large;
windows on files go through piece by piece (`pieces`).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from reslift import pieces
from reslift.canvas import IN_MEMORY, canvas
from reslift.errors import UsageError
from reslift.finish import PLAIN, Finish
from reslift.pixels.exact import resize_into
from reslift.pixels.planes import Pixels, Planes
from reslift.pixels.tiles import Box
from reslift.pixels.views import Inner, Wrapped
from reslift.sizes import steps
from reslift.stitch import MOST_RINGS, Progress, Stitcher

RESIZE_SHARE = 20
KERNEL_REACH = 4
NO_WRAP = "--wrap is not for rasters that are read in windows; leave it out"


class Share:
    """Turns pixels of several stages into pixels of the result: all stages together make `total`.

    weights: how much of the work each stage is, in the order in which they run.
    """

    def __init__(self, progress: Progress | None, total: int, weights: list[int]) -> None:
        self._progress, self._total, self._weights = progress, total, weights
        self._done, self._told = 0.0, 0

    def stage(self, number: int, pixels: int) -> Progress:
        """What stage `number`, of so many pixels, is to call."""
        part = self._weights[number] / sum(self._weights) / pixels

        def advance(done: int) -> None:
            self._done += done * part * self._total
            told = min(self._total, round(self._done))
            if self._progress is not None and told > self._told:
                self._progress(told - self._told)
                self._told = told

        return advance


@dataclass(frozen=True)
class Part:
    """What of an image is wanted: all of it, the `box` of it, or all of it as a seamless tile."""

    box: Box | None = None
    wrap: bool = False


WHOLE = Part()


@dataclass(frozen=True)
class Route:
    """How one image comes to its size.

    chain: the scales, one after the other. outer: what goes through them. box: the part of it that
    is the result. resized: the last scale does not come to its sides. exact: it fills the result.
    """

    chain: tuple[int, ...]
    outer: Box
    box: Box
    resized: bool

    @property
    def exact(self) -> bool:
        """Whether nothing follows the last scale, neither a resize nor a cut."""
        return not self.resized and self.outer == self.box

    def side(self, stages: int) -> int:
        """The scale that is reached after so many stages."""
        return math.prod(self.chain[:stages])

    def direct(self, height: int, width: int) -> bool:
        """Whether one model comes to the sides of the result."""
        return len(self.chain) == 1 and (height, width) == (
            self.box.height * self.chain[0],
            self.box.width * self.chain[0],
        )

    @property
    def weights(self) -> list[int]:
        """How much work each stage is."""
        networks = [self.outer.pixels * self.side(i) ** 2 for i in range(len(self.chain))]
        return networks if not self.resized else [*networks, self.outer.pixels // RESIZE_SHARE + 1]


class Stages:
    """Models of one family, one a scale, each started when it is first needed.

    Args:
        scales: which there are.
        start: gives the stitcher of one.
    """

    def __init__(self, scales: Collection[int], start: Callable[[int], Stitcher]) -> None:
        self.scales, self._start = tuple(scales), start
        self._started: dict[int, Stitcher] = {}
        self._lock = Lock()

    @property
    def started(self) -> tuple[int, ...]:
        """The scales that were needed so far."""
        return tuple(sorted(self._started))

    def stitcher(self, scale: int) -> Stitcher:
        """The one for a scale of `scales`."""
        with self._lock:
            if scale not in self._started:
                self._started[scale] = self._start(scale)
            return self._started[scale]

    def run(
        self,
        image: Planes,
        out: Pixels,
        progress: Progress | None = None,
        *,
        part: Part = WHOLE,
        folder: Path | None = None,
        in_memory: int = IN_MEMORY,
        finish: Finish = PLAIN,
    ) -> None:
        """Fill out (H', W', C) from image (H, W, C), or from the part of it.

        The scales are the ones that come to H'/H and W'/W or a little above. `folder` takes what
        is over `in_memory` bytes between stages. Agreement with the input is brought about where
        one model goes straight to the size of the result, and nowhere else.

        Raises:
            InputError: there is no way to that size. UsageError: a model that looks at the whole
            image cannot make it seamless. Others as for `Stitcher.run`.
        """
        route = self._route(image, out, part)
        height, width = out.shape[:2]
        if not route.direct(height, width):
            if not isinstance(image.pixels, np.ndarray) and not self._see_all(route.chain):
                self._in_pieces(image, out, route, part.wrap, progress, finish)
                return
            if finish.strength < 1 and part.box is None:
                self._mixed(image, out, progress, part, folder, in_memory, finish)
                return
            finish = replace(finish, kernel=None, tally=None)
        share = Share(progress, height * width, route.weights)
        folder = folder or Path(tempfile.gettempdir())
        if part.box is not None:
            image = replace(image, pixels=image.pixels[route.outer.slices()])
        with ExitStack() as held:
            for number, scale in enumerate(route.chain):
                between, side = out, route.side(number + 1)
                if not (route.exact and number == len(route.chain) - 1):
                    shape = (route.outer.height * side, route.outer.width * side, out.shape[2])
                    is_cut = not route.resized and number == len(route.chain) - 1
                    dtype = out.dtype if is_cut else pieces.deeper(image.pixels.dtype)
                    between = held.enter_context(canvas(shape, dtype, folder, in_memory=in_memory))
                advance = share.stage(number, route.outer.pixels * side**2)
                self._stage(scale, image, between, part.wrap, advance, finish)
                image = replace(image, pixels=between)
            middle = route.box.slices(route.outer, route.side(len(route.chain)))
            if route.resized:
                resize_into(
                    image.pixels[middle],
                    out,
                    alpha=image.alpha,
                    border="wrap" if part.wrap else "symmetric",
                    progress=share.stage(len(route.chain), height * width),
                )
            elif not route.exact or not route.chain:
                out[:, :] = image.pixels[middle]

    def _in_pieces(
        self,
        image: Planes,
        out: Pixels,
        route: Route,
        wrap: bool,
        progress: Progress | None,
        finish: Finish,
    ) -> None:
        """For windows on files, of which nothing is held whole, and nothing between either."""
        if wrap:
            raise UsageError(NO_WRAP)
        height, width = image.pixels.shape[:2]
        rings = MOST_RINGS if image.alpha else 0
        plain = replace(finish, strength=1.0, kernel=None, tally=None)

        def outer(box: Box) -> Box:
            return self._surroundings(box.grown(rings, height, width), route.chain, height, width)

        def run(window: Planes, between: Pixels) -> None:
            self.run(window, between, finish=plain)

        models = pieces.Models(route.side(len(route.chain)), outer, run, finish.strength)
        pieces.fill(image, out, models, progress or (lambda pixels: None))

    def _see_all(self, chain: tuple[int, ...]) -> bool:
        """Whether a model looks at the whole image, or at images of one size only."""
        needs = [self.stitcher(scale).needs for scale in chain]
        return any(need.is_global or need.size for need in needs)

    def _mixed(
        self,
        image: Planes,
        out: Pixels,
        progress: Progress | None,
        part: Part,
        folder: Path | None,
        in_memory: int,
        finish: Finish,
    ) -> None:
        """Bicubic straight to the size of the result, and over it as much of the models."""
        bicubic = partial(
            resize_into,
            image.pixels,
            out,
            alpha=image.alpha,
            border="wrap" if part.wrap else "symmetric",
        )
        if finish.strength == 0:
            bicubic(progress=progress or (lambda pixels: None))
            return
        model = replace(finish, strength=1.0, kernel=None, tally=None)
        self.run(image, out, progress, part=part, folder=folder, in_memory=in_memory, finish=model)
        bicubic(share=1 - finish.strength)

    def _route(self, image: Planes, out: Pixels, part: Part) -> Route:
        height, width = image.pixels.shape[:2]
        box = part.box or Box(0, height, 0, width)
        high, wide = out.shape[:2]
        chain = steps(max(high / box.height, wide / box.width), self.scales)
        outer = self._surroundings(box, chain, height, width) if part.box else box
        side = math.prod(chain)
        return Route(chain, outer, box, (high, wide) != (box.height * side, box.width * side))

    def _surroundings(self, box: Box, chain: tuple[int, ...], height: int, width: int) -> Box:
        """`box` with all that its result depends on, from a place where the models' grids begin."""
        if self._see_all(chain):
            return box
        stitchers = [self.stitcher(scale) for scale in chain]
        reach, side, multiple = KERNEL_REACH, 1, 1
        for stitcher, scale in zip(stitchers, chain, strict=True):
            reach += -(-stitcher.context // side)
            multiple = math.lcm(multiple, stitcher.needs.multiple_of)
            side *= scale
        outer = box.grown(reach, height, width)
        return replace(
            outer, top=outer.top // multiple * multiple, left=outer.left // multiple * multiple
        )

    def _stage(
        self,
        scale: int,
        image: Planes,
        out: Pixels,
        wrap: bool,
        progress: Progress,
        finish: Finish,
    ) -> None:
        stitcher = self.stitcher(scale)
        if not wrap:
            stitcher.run(image, out, progress, finish)
            return
        if stitcher.needs.is_global or stitcher.needs.size:
            raise UsageError("this model looks at the whole image: it cannot make it seamless")
        if not isinstance(image.pixels, np.ndarray):
            raise UsageError(NO_WRAP)
        margin = stitcher.context
        framed: Any = Wrapped(image.pixels, margin)
        inner: Any = Inner(out, margin * scale)
        inside = image.pixels.shape[0] * image.pixels.shape[1]
        share = Share(progress, inside * scale**2, [1])
        advance = share.stage(0, framed.shape[0] * framed.shape[1] * scale**2)
        stitcher.run(replace(image, pixels=framed), inner, advance, finish)

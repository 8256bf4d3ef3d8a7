"""Further steps towards what shrinks to an original, in windows around where one is not enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift.pixels.planes import Floats
from reslift.pixels.target import REACH, Target

UNROUNDED = 0.9
TOGETHER = 2**17
WORTH_DROPPING = 0.7
RIM = 2
"""LR pixels at a window's edge that its steps leave alone: samples outside depend on them."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Round:
    """Repairs in windows: squares of `side` LR pixels with a margin around, so many steps.

    hope: where a picture that has taken `CHEAP` steps lacks more than this share of what it lacked
    at first, no picture shrinks to its original, and it is the last round. slope: the steps go down
    the slope of |lack|², for what clipping keeps the faster ones from.
    """

    side: int
    margin: int
    steps: int
    hope: float = 0.0
    slope: bool = False

    @property
    def patience(self) -> tuple[int, float]:
        """A window is given up where so many steps leave more than this share of its lack."""
        return (40, 0.95) if self.slope else (8, 0.7)


ROUNDS = (
    Round(4, 4, 8, 0.06),
    Round(8, 6, 10, 0.02),
    Round(12, 8, 16, 0.01),
    Round(24, 16, 160, 0.001, slope=True),
    Round(24, 16, 160, slope=True),
)
CHEAP = 2.0


@dataclass
class Work:
    """How many samples were moved, those of all steps together."""

    moved: int = 0


@dataclass(frozen=True)
class Frame:
    """What ties windows to what lies around them.

    sure: (h, n, w), 1 where all that A looks at lies in the window, or the picture ends. rim, held:
    (sh, n, sw), the pixels that stay and what they are.
    """

    sure: Floats
    rim: NDArray[np.bool_]
    held: Floats

    def of(self, windows: NDArray[np.bool_]) -> Frame:
        """Some of them."""
        return Frame(self.sure[:, windows], self.rim[:, windows], self.held[:, windows])

    def hold(self, x: Floats) -> None:
        """Put the rim back, in place."""
        np.copyto(x, self.held, where=self.rim)


@dataclass(frozen=True)
class Squares:
    """Squares of one side in LR pixels, each of one channel: top, left, channel (n,)."""

    side: int
    top: Ints
    left: Ints
    channel: Ints

    def __len__(self) -> int:
        return len(self.top)

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return zip(self.top.tolist(), self.left.tolist(), self.channel.tolist(), strict=True)

    def part(self, which: slice | Ints) -> Squares:
        """Some of them."""
        return Squares(self.side, self.top[which], self.left[which], self.channel[which])

    def grown(self, margin: int, shape: tuple[int, ...]) -> Squares:
        """With a margin, moved into a picture (h, C, w)."""
        side = self.side + 2 * margin
        top, left = (
            np.clip(start - margin, 0, size - side)
            for start, size in ((self.top, shape[0]), (self.left, shape[2]))
        )
        return Squares(side, top, left, self.channel)

    def cut(self, values: NDArray[Any], scale: int = 1) -> Floats:
        """(sH, C, sW) → (s side, n, s side)."""
        side = self.side * scale
        out = np.empty((side, len(self), side), np.float32)
        for number, (top, left, channel) in enumerate(self):
            y, x = top * scale, left * scale
            out[:, number] = values[y : y + side, channel, x : x + side]
        return out

    def paste(self, part: Floats, values: NDArray[Any], scale: int = 1) -> None:
        """The contrary of `cut`, in place."""
        side = self.side * scale
        for number, (top, left, channel) in enumerate(self):
            y, x = top * scale, left * scale
            values[y : y + side, channel, x : x + side] = part[:, number]

    def paste_from(self, wider: Squares, part: Floats, values: NDArray[Any]) -> None:
        """Paste of the parts of squares that enclose these what lies in these, in place."""
        down, across = self.top - wider.top, self.left - wider.left
        for number, (top, left, channel) in enumerate(self):
            inner = part[down[number] :, number, across[number] :][: self.side, : self.side]
            values[top : top + self.side, channel, left : left + self.side] = inner

    def within(self, target: Target) -> Target:
        """What is projected on in them, side by side where channels are."""
        low, high = (
            self.cut(bound, target.scale) if isinstance(bound, np.ndarray) else bound
            for bound in (target.low, target.high)
        )
        return Target(self.cut(target.y), target.scale, target.top, target.whole, low, high)


def squares_of(dirty: NDArray[np.bool_], side: int, origin: tuple[int, int]) -> Squares:
    """The squares of a fixed grid over the whole image that hold something dirty, by channel."""
    _, channels, width = dirty.shape
    found = np.flatnonzero(dirty)
    lines = found // width  # divmod would take several times as long
    rows = lines // channels
    down, across = (rows + origin[0]) // side, (found - lines * width + origin[1]) // side
    most = (width + origin[1]) // side + 1
    keys = np.sort((down * most + across) * channels + (lines - rows * channels))
    keys = keys[np.diff(keys, prepend=-1) > 0]  # np.unique takes 2 ms to begin
    places, channel = np.divmod(keys, channels)
    top, left = np.divmod(places, most)
    return Squares(side, top * side - origin[0], left * side - origin[1], channel)


def repair(x: Floats, target: Target, squares: Squares, round: Round, work: Work) -> None:
    """Steps in windows around squares, in place; those that do not meet at the same time.

    A window that would lack more than before stays as it is.
    """
    for windows in _apart(squares.grown(round.margin, target.y.shape), target):
        start, joint = windows.cut(x, target.scale), windows.within(target)
        frame = _frame(windows, start, target)
        answer = steps(start.copy(), joint, round, work, frame)
        before, after = (np.abs(joint.lacking(v) * frame.sure).max((0, 2)) for v in (start, answer))
        better = np.flatnonzero(after < before)
        windows.part(better).paste(answer[:, better], x, target.scale)


def measure(
    x: Floats, out: NDArray[Any], lack: Floats, target: Target, squares: Squares, round: Round
) -> None:
    """Bring what is saved of x and what it lacks up to date around the squares of a round."""
    side = round.side + 2 * (round.margin + 2 * REACH)
    step = max(1, TOGETHER // (side * target.scale) ** 2)
    for start in range(0, len(squares), step):
        some = squares.part(slice(start, start + step))
        windows = some.grown(round.margin + 2 * REACH, lack.shape)
        part, joint = windows.cut(x, target.scale), windows.within(target)
        part = np.rint(part) if target.whole else part
        windows.paste(part, out, target.scale)
        # Windows overlap: what one only sees the edge of is left to the other.
        some.grown(round.margin + REACH, lack.shape).paste_from(windows, joint.lacking(part), lack)


def steps(
    x: Floats, target: Target, round: Round, work: Work, frame: Frame | None = None
) -> Floats:
    """Steps with momentum, for each window until it is close enough wherever `sure`, or stuck.

    Windows, or channels, lie along the second axis of x (sh, C, sw), which is overwritten.
    """
    answer, left = np.empty_like(x), np.arange(x.shape[1])
    before, pace, goal = x.copy(), 1.0, UNROUNDED * target.close
    excess, (patience, progress) = np.full(len(left), np.inf), round.patience
    for number in range(round.steps):
        sure = None if frame is None else frame.sure
        lack, move = (target.slope if round.slope else target.step)(x, sure)
        beyond = np.maximum(np.abs(lack, out=lack) - goal, 0, out=lack)
        open = beyond.max((0, 2)) > 0
        if number % patience == 0:
            now = np.square(beyond).sum((0, 2))
            open &= now < progress * excess
            excess = now
        if not open.any():
            break
        if open.mean() <= WORTH_DROPPING:
            answer[:, left[~open]] = x[:, ~open]
            left, target, move, excess = left[open], target.of(open), move.of(open), excess[open]
            x, before = x[:, open], before[:, open]
            frame = None if frame is None else frame.of(open)
        faster = (1 + (1 + 4 * pace * pace) ** 0.5) / 2
        target.hurry(x, before, move, (pace - 1) / faster if number < round.steps - 1 else 0.0)
        if frame is not None:
            frame.hold(x)
            frame.hold(before)
        pace = faster
        work.moved += x.size
    answer[:, left] = x
    return answer


def _apart(windows: Squares, target: Target) -> Iterator[Squares]:
    """Windows that do not meet, as many as fit into a cache; each is taken as early as can be."""
    side, (height, channels, width) = windows.side, target.y.shape
    taken, turns = np.zeros((channels, height, width), np.int64), np.empty(len(windows), int)
    for number, (top, left, channel) in enumerate(windows):
        place = taken[channel, top : top + side, left : left + side]
        seen = int(np.bitwise_or.reduce(place, None))
        turn = ~seen & (seen + 1)  # the lowest bit that none of those it meets has
        place |= turn
        turns[number] = turn
    step = max(1, TOGETHER // (side * target.scale) ** 2)
    for turn in sorted(set(turns.tolist())):
        those = np.flatnonzero(turns == turn)
        for start in range(0, len(those), step):
            yield windows.part(those[start : start + step])


def _frame(windows: Squares, start: Floats, target: Target) -> Frame:
    """The frame of windows that are `start` (sh, n, sw)."""
    rows, columns = _seen(windows, target, REACH)
    sure = (rows.T[:, :, None] & columns[None]).astype(np.float32)
    rows, columns = (~ends.repeat(target.scale, 1) for ends in _seen(windows, target, RIM))
    return Frame(sure, rows.T[:, :, None] | columns[None], start)


def _seen(windows: Squares, target: Target, margin: int) -> Iterator[NDArray[np.bool_]]:
    """Rows (n, side), then columns, that are so far from the edge, or the picture ends there."""
    place = np.arange(windows.side)
    for start, size in ((windows.top, target.y.shape[0]), (windows.left, target.y.shape[2])):
        first, last = start[:, None] == 0, start[:, None] + windows.side == size
        yield ((place >= margin) | first) & ((place < windows.side - margin) | last)

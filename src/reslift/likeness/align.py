"""Whether two pictures are one: laid on each other to a fraction of a pixel, then compared.

Position and size are refined by Gauss–Newton steps (Lucas and Kanade 1981) on values whose mean
and deviation over the overlap are taken out, so that brightness and contrast do not matter. What is
compared is detail: two skies are alike in what is smooth, and only copies are in what is not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from reslift.likeness.planes import Bytes, Plane, blurs, lattice, reduced

FINEST, COARSEST = 0.8, 4.0
ROUNDS = ((2.0, 8), (0.8, 8))
STRUCTURE = 0.8
SMALLEST = 16
WIDEST = 0.35
HOPEFUL = 0.35
FLAT = 1e-3
STILL = 0.02
NEARBY, LEVEL = 4.0, 1.0
Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Place:
    """Where a pixel (y, x) of one picture lies in another: ``(ay y + by, ax x + bx)``."""

    ay: float
    by: float
    ax: float
    bx: float

    def numbers(self) -> Numbers:
        """The four in the order of the fields."""
        return np.array([self.ay, self.by, self.ax, self.bx])

    @staticmethod
    def whole(one: Bytes, other: Bytes) -> Place:
        """The whole of one on the whole of the other."""
        ay, ax = (b / a for a, b in zip(one.shape, other.shape, strict=True))
        return Place(ay, (ay - 1) / 2, ax, (ax - 1) / 2)


@dataclass(frozen=True)
class Likeness:
    """How two pictures agree.

    Attributes:
        detail: correlation of detail over the overlap, -1 to 1.
        overlap: share of the smaller picture, in the same pixels, that both show.
        share: share of the larger picture that both show.
        side: of a square as large as what both show, in pixels that were compared.
        everywhere: correlation of detail that was brought to one strength all over the overlap, so
            that one strong edge counts no more than the place it takes.
        held: how far detail runs both ways, so that it fits at one place only; a straight edge, or
            parallel ones, have about 0, what is strewn over the overlap up to 0.25.
        apart: by how many pixels the borders of the two are apart.
        stretched: by which share one is stretched more across than down, or less.
    """

    detail: float
    overlap: float
    share: float
    side: float = 0.0
    everywhere: float = 1.0
    held: float = 0.25
    apart: float = 0.0
    stretched: float = 0.0


def compare(one: Bytes, other: Bytes, place: Place) -> Likeness | None:
    """Lay ``one`` on ``other``, starting at ``place``; None where there is too little to compare.

    Args:
        one, other: (H, W) uint8 luma.
        place: of pixels of one in other, to a few pixels.
    """
    one, other, place = _same_grain(one, other, place)
    if min(*one.shape, *other.shape) < SMALLEST:
        return None
    a, b = (plane.astype(np.float32) for plane in (one, other))
    found = register(a, b, place)
    if found is None:
        return None
    at = found.numbers()
    if abs(at[0] / place.ay - 1) > WIDEST or abs(at[2] / place.ax - 1) > WIDEST:
        return None
    return _judge(a, b, at)


def register(one: Plane, other: Plane, start: Place) -> Place | None:
    """Refine a place to a fraction of a pixel; None where the pictures do not agree there.

    Args:
        one, other: (H, W) float, in which a pixel covers about the same.
        start: of pixels of one in other, to a few pixels.
    """
    at = start.numbers()
    for number, (sigma, rounds) in enumerate(ROUNDS):
        soft_one, soft_other = (levels[0] for levels in _blurred(one, other, (sigma,)))
        if number == 0 and agreement(soft_one, soft_other, start) < HOPEFUL:
            return None
        answer = _refine(soft_one, soft_other, at, rounds)
        if answer is None:
            return None
        at = answer
    return Place(*map(float, at))


def _same_grain(one: Bytes, other: Bytes, place: Place) -> tuple[Bytes, Bytes, Place]:
    """Shrink whichever shows the scene finer, so that a pixel covers the same in both."""
    ay, ax = place.ay, place.ax
    if ay > 1 or ax > 1:
        height = max(1, round(other.shape[0] / max(1.0, ay)))
        width = max(1, round(other.shape[1] / max(1.0, ax)))
        fy, fx = height / other.shape[0], width / other.shape[1]
        other = reduced(other, width, height)
        place = Place(ay * fy, (place.by + 0.5) * fy - 0.5, ax * fx, (place.bx + 0.5) * fx - 0.5)
    if place.ay < 1 or place.ax < 1:
        height = max(1, round(one.shape[0] * min(1.0, place.ay)))
        width = max(1, round(one.shape[1] * min(1.0, place.ax)))
        fy, fx = height / one.shape[0], width / one.shape[1]
        one = reduced(one, width, height)
        ay, ax = place.ay / fy, place.ax / fx
        place = Place(
            ay,
            place.by + place.ay * (0.5 / fy - 0.5),
            ax,
            place.bx + place.ax * (0.5 / fx - 0.5),
        )
    return one, other, place


def _refine(one: Plane, other: Plane, at: Numbers, rounds: int) -> Numbers | None:
    """Gauss–Newton on the four numbers of a place; None where the overlap is lost."""
    slope_y, slope_x = (np.asarray(slope, np.float32) for slope in np.gradient(other))
    for _ in range(rounds):
        overlap = _overlap(one, other, at)
        if overlap is None:
            return None
        ys, xs = overlap
        rows, columns = _lines(at, overlap)
        target, warped = one[ys, xs], lattice(other, rows, columns)
        scales = float(target.std()), float(warped.std())
        if min(scales) < FLAT:
            return None
        error = (target - target.mean()) / scales[0] - (warped - warped.mean()) / scales[1]
        dy = lattice(slope_y, rows, columns) / scales[1]
        dx = lattice(slope_x, rows, columns) / scales[1]
        y = np.arange(ys.start, ys.stop, dtype=np.float32)[:, None]
        x = np.arange(xs.start, xs.stop, dtype=np.float32)
        slopes = np.stack([(dy * y).ravel(), dy.ravel(), (dx * x).ravel(), dx.ravel()])
        normal = (slopes @ slopes.T).astype(np.float64)
        normal += np.diag(1e-6 * np.diag(normal) + 1e-9)
        step = np.linalg.solve(normal, (slopes @ error.ravel()).astype(np.float64))
        at = at + step
        if np.abs(step * [ys.stop, 1, xs.stop, 1]).max() < STILL:
            break
    return at


def _overlap(one: Plane, other: Plane, at: Numbers) -> tuple[slice, slice] | None:
    """Rows and columns of one that lie within other; None where they are few."""
    cuts = []
    for axis, (scale, shift) in enumerate(((at[0], at[1]), (at[2], at[3]))):
        if not 0.1 < scale < 10:
            return None
        first = max(0, int(np.ceil((-0.5 - shift) / scale)))
        last = min(one.shape[axis] - 1, int(np.floor((other.shape[axis] - 0.5 - shift) / scale)))
        if last - first + 1 < SMALLEST:
            return None
        cuts.append(slice(first, last + 1))
    return cuts[0], cuts[1]


def _lines(at: Numbers, overlap: tuple[slice, slice]) -> tuple[Plane, Plane]:
    """Where these rows and columns lie in the other picture."""
    rows, columns = (np.arange(cut.start, cut.stop, dtype=np.float32) for cut in overlap)
    return np.float32(at[0]) * rows + np.float32(at[1]), np.float32(at[2]) * columns + np.float32(
        at[3]
    )


def agreement(one: Plane, other: Plane, place: Place) -> float:
    """Correlation over the overlap; 0 where it is small or one has nothing to compare."""
    at = place.numbers()
    overlap = _overlap(one, other, at)
    if overlap is None:
        return 0.0
    a, b = one[overlap], lattice(other, *_lines(at, overlap))
    if min(float(a.std()), float(b.std())) < STRUCTURE:
        return 0.0
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def _judge(one: Plane, other: Plane, at: Numbers) -> Likeness | None:
    overlap = _overlap(one, other, at)
    if overlap is None:
        return None
    ours, theirs = (levels[0] - levels[1] for levels in _blurred(one, other, (FINEST, COARSEST)))
    detail = agreement(ours, theirs, Place(*map(float, at)))
    count = (overlap[0].stop - overlap[0].start) * (overlap[1].stop - overlap[1].start)
    sizes = sorted((count / one.size, count * abs(at[0] * at[2]) / other.size))
    both = ours[overlap], lattice(theirs, *_lines(at, overlap))
    return Likeness(
        detail,
        min(1.0, sizes[1]),
        min(1.0, sizes[0]),
        count**0.5,
        _everywhere(*both),
        min(map(_held, both)),
        _apart(one, other, at),
        abs(float(np.log(at[0] / at[2]))),
    )


def _everywhere(one: Plane, other: Plane) -> float:
    """Correlation of detail over its own strength nearby, and over what rounding leaves."""
    weighted = []
    for plane in (one, other):
        rounding = LEVEL * float(plane.std()) / max(FLAT, float(one.std()))
        around = np.maximum(blurs(plane**2, (NEARBY,))[0], 0)
        weighted.append((plane / np.sqrt(around + rounding**2 + FLAT**2)).ravel())
    if min(float(plane.std()) for plane in weighted) < FLAT:
        return 0.0
    return float(np.corrcoef(*weighted)[0, 1])


def _held(plane: Plane) -> float:
    """Second least of the four curvatures of an error in place and size, over their sum."""
    slope_y, slope_x = np.gradient(plane)
    y, x = (np.linspace(-1, 1, side) for side in plane.shape)
    moves = (slope_y * y[:, None], slope_y, slope_x * x, slope_x)
    slopes = np.stack([move.ravel() for move in moves]).astype(np.float64)
    curvatures = np.linalg.eigvalsh(slopes @ slopes.T)
    return float(curvatures[1] / max(FLAT, curvatures.sum()))


def _apart(one: Plane, other: Plane, at: Numbers) -> float:
    """How far the borders of one lie from those of the other, at most."""
    sides = np.array([one.shape, other.shape])
    first = -0.5 * at[::2] + at[1::2]
    last = (sides[0] - 0.5) * at[::2] + at[1::2]
    return float(np.abs([first + 0.5, last - sides[1] + 0.5]).max())


def _blurred(one: Plane, other: Plane, sigmas: tuple[float, ...]) -> tuple[Plane, Plane]:
    return blurs(one, sigmas), blurs(other, sigmas)

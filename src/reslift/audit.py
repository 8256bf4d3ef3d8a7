"""What of an enlarged picture its input determines, and what was added: without the truth.

    OUT = A⁺A OUT  +  (OUT - A⁺A OUT)          A: bicubic shrinking, A⁺: its pseudo-inverse
          determined    added: shrinking cannot see it

Added is what a prior chose among all pictures that shrink to the same input. It is no error in
itself: all sharpness beyond the input is of this kind. Two things make it doubtful: that OUT does
not shrink to IN in some colour (contradiction), and detail, of luma, where the input shows too
little structure to call for it (unsupported).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reslift import formats, media
from reslift.errors import InputError, one_line
from reslift.faces import find_faces
from reslift.formats import Picture
from reslift.limits import DEFAULT, Limits
from reslift.pixels import project
from reslift.pixels.kernel import band
from reslift.pixels.planes import Floats
from reslift.pixels.tiles import Box

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SPREAD, COARSE = 2.0, 1.5
REACH = 2.0
SUPPORT = 1.4
EVEN = 1e-6
MOST_FITTED = 200_000
FLOOR = 2.0
DOUBTFUL = 1.0
WHOLE_TAIL = 12
"""LR pixels: what of A⁺ lies farther out is below a millionth. The cut of an agreement step, which
is mended by the next, would leave 1 % of the brightness here, more than bicubic adds."""
LEAST_ENERGY = 1e-4
"""Of the result about its mean, squared levels: below it there is nothing but rounding."""
LEAST_PIXELS = 64
LEAST_SIDE = 8
"""LR pixels; what was added is told from fits and means that need some."""
MOST_REGIONS = 50
MOST_OF = 0.5
INK, ONE_SIDED, BARE, HARD = 32.0, 0.95, 0.8, 0.02
Places = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows and columns of pixels."""


@dataclass(frozen=True)
class Region:
    """A doubtful place: left, top, width, height in pixels of the result, its score, its kind.

    kind: "contradicts" where the result does not shrink to the input, else "unsupported". looks:
    "face-like" where a detector sees a face in the result; "text-like" where what was added looks
    like strokes (a guess from statistics, no reading); else "".
    """

    left: int
    top: int
    width: int
    height: int
    score: float
    kind: str
    looks: str = ""

    @property
    def label(self) -> str:
        """Its kind and what it looks like, in words."""
        return f"{self.kind}, {self.looks}" if self.looks else self.kind


@dataclass(frozen=True)
class Audit:
    """What was found, in levels of 255; maps are (H, W), of luma where no colours are named.

    added: size of what shrinking cannot see. expected_error: what was added beyond bicubic,
    smoothed; its order follows the order of the true error. doubt: 1 and above is doubtful, in luma
    or in a colour. share: energy of `added` ÷ energy of the result about its mean. contradiction:
    largest consistency error of any colour. faces: boxes in the result, doubtful or not; None where
    none were looked for.
    """

    scale: int
    added: Floats
    expected_error: Floats
    doubt: Floats
    share: float
    contradiction: float
    regions: tuple[Region, ...]
    faces: tuple[Box, ...] | None = None

    @property
    def seen(self) -> str:
        """What was found of faces, in words."""
        if self.faces is None:
            return "not looked for; a detector comes with scikit-image (reslift doctor)"
        doubtful = sum(region.looks == "face-like" for region in self.regions)
        return f"{len(self.faces)} found; regions listed that lie in them: {doubtful}"

    @property
    def doubtful(self) -> float:
        """Share of pixels that are doubtful."""
        return float((self.doubt >= DOUBTFUL).mean())


def check_still(path: Path) -> None:
    """InputError for a file of several pictures, or of measured values."""
    medium = media.of(path)
    if medium is not None:
        raise InputError(
            f"{one_line(path)}: reslift audits still pictures, not {medium.label}; "
            "`reslift verify` compares them"
        )


def audit_files(source: str | Path, result: str | Path, limits: Limits = DEFAULT) -> Audit:
    """Audit a result of any tool; gray beside colours is compared as gray in all three channels.

    Raises:
        InputError: a file cannot be read or is no still picture, the source is smaller than 8x8, or
        the result is not a whole number of times as large.
    """
    source, result = Path(source), Path(result)
    for path in (source, result):
        check_still(path)
    small = formats.read(source, limits)
    if min(small.width, small.height) < LEAST_SIDE:
        raise InputError(
            f"{one_line(source)}: {small.width}x{small.height} is too little to audit; from "
            f"{LEAST_SIDE}x{LEAST_SIDE} up"
        )
    large = formats.read(result, limits.for_results())
    if small.space != large.space and "cmyk" in (small.space, large.space):
        raise InputError(
            f"{one_line(result)} beside {one_line(source)}: {large.space} and {small.space} "
            "cannot be compared; a result of the same colours can be audited"
        )
    scale, rest = divmod(large.width, small.width)
    if rest or scale < 2 or large.height != scale * small.height:
        raise InputError(
            f"{one_line(result)}: {large.width}x{large.height} is not a whole number of times "
            f"{small.width}x{small.height}, from 2 up; `reslift verify` takes any scale"
        )
    return audit(_colours(small), _colours(large), scale)


def luma(picture: Picture) -> Floats:
    """(H, W) in levels of 255; hidden pixels are gray, ink is dark."""
    return _luma(_colours(picture))


def _colours(picture: Picture) -> Floats:
    """(H, W, 1 or 3) in levels of 255; hidden pixels are gray, ink is dark."""
    values: Any = picture.pixels.astype(np.float32) * np.float32(255 / (2**picture.bits - 1))
    if picture.space == "cmyk":
        colours: Any = (255 - values[..., :3]) * (255 - values[..., 3:4]) / 255
    else:
        colours = values[..., : 3 if picture.space == "rgb" else 1]
    if picture.alpha:
        opacity = values[..., -1:] / 255
        colours = colours * opacity + 128 * (1 - opacity)
    whole: Floats = colours
    return whole


def _luma(colours: Floats) -> Floats:
    """(H, W) of (H, W), which is luma, or of (H, W, 1 or 3)."""
    if colours.ndim == 2:
        return colours
    plain = colours @ LUMA if colours.shape[2] == 3 else colours[..., 0]
    whole: Floats = np.ascontiguousarray(plain)
    return whole


def audit(lr: Floats, sr: Floats, scale: int) -> Audit:
    """Audit sr (sH, sW) beside lr (H, W), luma, or with 1 or 3 colours last; in levels of 255.

    Only the contradiction is looked for in each colour: a change of colour may leave luma alone.
    """
    colours = _lacks(lr, sr, scale) if 3 in (*lr.shape[2:], *sr.shape[2:]) else []
    lr, sr = _luma(lr), _luma(sr)
    seen, lack = _determined(lr, sr, scale)
    if colours:  # shrinking clips each of them, which luma knows nothing of
        lack = np.tensordot(LUMA, np.array(colours), 1)
    # JPEG keeps colours coarsely: what it leaves at edges is of both signs, and averages out.
    apart = np.abs([lack, *(_smooth(colour - lack, COARSE) for colour in colours)]).max(0)
    added = np.abs(sr - seen)
    beyond = sr - _enlarged(lr, scale)
    contradiction = _enlarged(apart, scale)
    doubt = np.maximum(_unsupported(sr - seen, lr, scale), _smooth(contradiction, SPREAD) / FLOOR)
    faces = find_faces(sr)
    regions = _regions(doubt, contradiction, (sr - seen, beyond), faces or ())
    largest, share = float(np.abs(colours or [lack]).max()), _share(sr, added)
    return Audit(
        scale, added, _smooth(np.abs(beyond), SPREAD), doubt, share, largest, regions, faces
    )


def added_share(lr: Floats, sr: Floats, scale: int) -> float:
    """`Audit.share` alone, without the maps; arguments as for `audit`."""
    return _share(sr, sr - _determined(lr, sr, scale)[0])


def _determined(lr: Floats, sr: Floats, scale: int) -> tuple[Floats, Floats]:
    """What of sr shrinking can see (sH, sW), and what it lacks of lr (H, W)."""
    target = project.Target(lr[:, None], scale, 255.0, False, -1e9, 1e9)
    lack = target.lacking(sr[:, None])[:, 0]
    vertical, horizontal = (project.axis(n, scale, WHOLE_TAIL).dual for n in lr.shape)
    return project.apply(vertical, horizontal, (lr - lack)[:, None])[:, 0], lack


def _lacks(lr: Floats, sr: Floats, scale: int) -> list[Floats]:
    """What each colour of sr, shrunk, lacks of lr (H, W); one of the two has three colours.

    Channel by channel: what it takes on top is one channel of sr. Gray is the same in all three.
    """
    found = []
    for number in range(3):
        small, large = (
            np.ascontiguousarray(x if x.ndim == 2 else x[..., number % x.shape[2]])
            for x in (lr, sr)
        )
        target = project.Target(small[:, None], scale, 255.0, False, -1e9, 1e9)
        found.append(target.lacking(large[:, None])[:, 0])
    return found


def _share(sr: Floats, added: Floats) -> float:
    energy = float(((sr - sr.mean(dtype=np.float64)) ** 2).mean(dtype=np.float64))
    return float((added**2).mean(dtype=np.float64)) / energy if energy > LEAST_ENERGY else 0.0


def _enlarged(lr: Floats, scale: int) -> Floats:
    height, width = lr.shape
    rows, down = band(height, height * scale, 0, height * scale)
    columns, across = band(width, width * scale, 0, width * scale)
    half = down.astype(np.float32) @ lr[rows]
    large: Floats = half[:, columns] @ across.T.astype(np.float32)
    return large


def _unsupported(added: Floats, lr: Floats, scale: int) -> Floats:
    """Strength of the added detail that does not follow the input, over what the input calls for.

    A model sharpens what is there: much of what it adds is one function of the input's own detail
    everywhere in a picture. That part is fitted and taken away. Both strengths are root mean
    squares within about 2 LR pixels.
    """
    plain = _enlarged(lr, scale)
    sharp, fine, coarse = (plain - _smooth(plain, scale * part) for part in (0.25, 0.5, 1.0))
    bent = (v * np.abs(v) / (np.abs(v).mean() + EVEN) for v in (sharp, fine))
    features = np.stack([v.ravel() for v in (sharp, fine, coarse, *bent)], 1)
    step = -(-added.size // MOST_FITTED)
    weights = np.linalg.lstsq(features[::step], added.ravel()[::step], rcond=None)[0]
    rest = added - (features @ weights.astype(np.float32)).reshape(added.shape)
    return _strength(rest, scale) / (SUPPORT * (FLOOR + _strength(fine, scale)))


def _strength(detail: Floats, scale: int) -> Floats:
    """Root mean square nearby, of (sH, sW)."""
    height, width = (side // scale for side in detail.shape)
    blocks = (detail**2).reshape(height, scale, width, scale).mean((1, 3))
    found: Floats = np.sqrt(np.maximum(_enlarged(_smooth(blocks, REACH), scale), 0))
    return found


def _smooth(x: Floats, spread: float) -> Floats:
    """Gaussian of deviation `spread`, borders repeated."""
    radius = int(3 * spread + 0.5)
    at = np.arange(-radius, radius + 1)
    weights: Any = np.exp(-(at**2) / (2 * spread**2)).astype(np.float32)
    weights /= weights.sum()
    found: Any = x
    for axis in (0, 1):
        around = [(radius, radius) if axis == a else (0, 0) for a in (0, 1)]
        padded = np.pad(found, around, "edge")
        length = found.shape[axis]
        found = sum(
            (w * padded.take(range(i, i + length), axis) for i, w in enumerate(weights)),
            np.zeros_like(found),
        )
    smooth: Floats = found
    return smooth


def _regions(
    doubt: Floats, contradiction: Floats, news: tuple[Floats, Floats], faces: tuple[Box, ...]
) -> tuple[Region, ...]:
    """Doubtful places; `news` are what shrinking cannot see, and all that bicubic does not give."""
    found = []
    for where in _components(doubt >= DOUBTFUL):
        if where[0].size < LEAST_PIXELS:
            continue
        top, left = (int(axis.min()) for axis in where)
        bottom, right = (int(axis.max()) + 1 for axis in where)
        against = float(contradiction[where].mean()) > FLOOR
        looks = ""
        if any(_of_face(where, face) for face in faces):
            looks = "face-like"
        elif _written(*(new[top:bottom, left:right] for new in news)):
            looks = "text-like"
        score, kind = float(doubt[where].mean()), "contradicts" if against else "unsupported"
        found.append(Region(left, top, right - left, bottom - top, round(score, 2), kind, looks))
    found.sort(key=lambda region: -region.score * region.width * region.height)
    return tuple(found[:MOST_REGIONS])


def _of_face(where: Places, face: Box) -> bool:
    """Whether most of a region lies in a face, or it covers most of one."""
    rows, columns = where
    inside = (rows >= face.top) & (rows < face.bottom)
    inside &= (columns >= face.left) & (columns < face.right)
    return int(inside.sum()) > MOST_OF * min(rows.size, face.pixels)


def _written(added: Floats, beyond: Floats) -> bool:
    """Whether a patch looks like letters that agree with the input, or that were put on it."""
    return _strokes(added) or _ink(beyond)


def _ink(patch: Floats) -> bool:
    """Whether thin marks of one sign, with hard edges, lie on what is else as it was."""
    if min(patch.shape) < LEAST_SIDE:
        return False
    low, high = np.percentile(patch, (2, 98))
    most = max(-float(low), float(high))
    if most < INK:
        return False
    marks = np.abs(patch) > most / 2
    one_sided = max(float((patch[marks] > 0).mean()), float((patch[marks] < 0).mean()))
    bare = float((np.abs(patch) < most / 4).mean())
    edges = [float((np.abs(np.diff(patch, axis=axis)) > most / 3).mean()) for axis in (0, 1)]
    return one_sided > ONE_SIDED and bare > BARE and min(edges) > HARD


def _strokes(patch: Floats) -> bool:
    """Whether a patch is two-valued, with many hard edges both across and down, as letters are."""
    if min(patch.shape) < 8:
        return False
    low, high = np.percentile(patch, (5, 95))
    if high - low < 24:
        return False
    middle = np.abs(patch - (low + high) / 2) < (high - low) / 5
    edges = [np.abs(np.diff(patch, axis=axis)) > (high - low) / 3 for axis in (0, 1)]
    return bool(middle.mean() < 0.35 and min(edge.mean() for edge in edges) > 0.03)


def _components(mask: NDArray[np.bool_]) -> list[Places]:
    """Rows and columns of each connected patch (four neighbours), by runs and union."""
    parent: list[int] = []
    runs: list[tuple[int, int, int]] = []
    above: list[int] = []

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for row in range(mask.shape[0]):
        steps = np.flatnonzero(np.diff(np.concatenate(([0], mask[row].view(np.int8), [0]))))
        here = []
        for start, stop in zip(steps[::2].tolist(), steps[1::2].tolist(), strict=True):
            number = len(runs)
            runs.append((row, start, stop))
            parent.append(number)
            here.append(number)
            for other in above:
                if runs[other][1] < stop and start < runs[other][2]:
                    parent[root(other)] = root(number)
        above = here
    members: dict[int, list[tuple[int, int, int]]] = {}
    for number, run in enumerate(runs):
        members.setdefault(root(number), []).append(run)
    return [
        (
            np.concatenate([np.full(stop - start, row) for row, start, stop in part]),
            np.concatenate([np.arange(start, stop) for _, start, stop in part]),
        )
        for part in members.values()
    ]

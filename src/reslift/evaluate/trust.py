"""How far results can be trusted, beside how good they are.

::

    sr ── shrink ── beside lr ────────── consistency error
       ├─ scale head, calibration ────── 90 % interval, beside hr: coverage and half-width
       └─ pseudo-inverse of shrinking ── share of the energy that the model added
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from reslift.audit import LUMA, added_share
from reslift.errors import UsageError
from reslift.metrics import Quantity
from reslift.pixels.planes import Floats, Pixels, Planes
from reslift.pixels.shrink import shrink
from reslift.uncertainty import half_widths, log_scales

if TYPE_CHECKING:
    from reslift.uncertainty import Judge
    from reslift.upscale import Upscaler

LEVEL = 0.9
TRUST = {
    "consistency_max": Quantity("largest error", "levels", 0, higher_is_better=False),
    "consistency_mean": Quantity("mean error", "levels", 3, higher_is_better=False),
    "inside_90": Quantity("in 90 % interval", "%", 1),
    "half_width_90": Quantity("half-width", "levels", 1, higher_is_better=False),
    "added": Quantity("added", "%", 2),
}
"""What is measured of each result; an error here is the consistency error."""
NOTE = (
    "Errors: of the result, shrunk by MATLAB's bicubic, against the input, in levels of 255; the "
    "largest is of the set. 90 % interval: samples inside that of a calibrated model, with "
    "its mean half-width. Added: share of the energy of luma that shrinking "
    "cannot see."
)


def judge_of(upscaler: Upscaler) -> Judge | None:
    """What knows the intervals of a model; None where it is not calibrated."""
    try:
        return upscaler.judge
    except UsageError:
        return None


def measure(
    lr: Pixels, sr: Pixels, hr: Pixels, shave: int, judge: Judge | None = None
) -> dict[str, float]:
    """The quantities of ``TRUST`` for one result; NaN for intervals that are not known.

    Args:
        lr: (H, W, C), C 1 or 3, uint8. sr, hr: (sH, sW, C), uint8.
        shave: HR pixels left out at each border when samples inside intervals are counted.
    """
    lack = np.abs(shrink(sr, lr.shape[0], lr.shape[1], "bicubic", 255) - lr)
    small, large = (_luma(pixels) for pixels in (lr, sr))
    found = {
        "consistency_max": float(lack.max()),
        "consistency_mean": float(lack.mean()),
        "inside_90": math.nan,
        "half_width_90": math.nan,
        "added": 100 * added_share(small, large, sr.shape[0] // lr.shape[0]),
    }
    if judge is not None:
        half = np.empty(sr.shape[:2], np.float32)
        log_scales(judge.head, Planes(lr, "rgb" if lr.shape[2] == 3 else "gray", False), sr, half)
        half = 255 * half_widths(half, judge.calibration, LEVEL)
        height, width = sr.shape[:2]
        inner = slice(shave, height - shave), slice(shave, width - shave)
        error = np.abs(sr[inner].astype(np.float32) - hr[inner])
        found["inside_90"] = 100 * float((error <= half[inner][..., None]).mean())
        found["half_width_90"] = float(half[inner].mean())
    return found


def _luma(pixels: Pixels) -> Floats:
    values = pixels.astype(np.float32)
    return values @ LUMA if values.shape[2] == 3 else values[..., 0]

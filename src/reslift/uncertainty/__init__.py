"""How far to trust each pixel.

    lr, sr ── head (log b) ── calibration (q) ── half-width of the interval that holds HR

``head`` learns the scale of the error, ``shades`` adds what brightness tells of it, ``conformal``
makes it hold what it says, ``store`` keeps all in the model's checkpoint, ``mapping`` and
``beside`` draw the map of a picture of any size.
"""

from __future__ import annotations

from reslift.uncertainty.conformal import LEVELS, Calibration, Scores
from reslift.uncertainty.fitting import FitPart, Judged, fit_head
from reslift.uncertainty.head import ScaleHead
from reslift.uncertainty.mapping import half_widths, log_scales
from reslift.uncertainty.shades import Shades
from reslift.uncertainty.store import Judge, attach, load_judge, not_calibrated

__all__ = [
    "LEVELS",
    "Calibration",
    "FitPart",
    "Judge",
    "Judged",
    "ScaleHead",
    "Scores",
    "Shades",
    "attach",
    "fit_head",
    "half_widths",
    "load_judge",
    "log_scales",
    "not_calibrated",
]

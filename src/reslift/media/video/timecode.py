"""Time codes: by what hour, minute, second and frame a camera called the first picture.

SMPTE ST 12-1: `01:02:03:04` counts frames of the nominal rate, a whole number; `01:02:03;04` leaves
out the first numbers of most minutes, so that 29.97 frames a second keep up with the clock.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction

TIME_CODE = "timecode"
CODE = re.compile(r"(\d\d):([0-5]\d):([0-5]\d)([:;.])(\d\d)")
DAY, HOUR, TENTH = 24 * 60, 60, 10
"""Minutes."""


def later(tags: Mapping[str, str], seconds: Fraction, rate: Fraction) -> dict[str, str]:
    """The tags of a stream whose pictures begin so much later, at `rate` frames a second."""
    frames = round(seconds * rate)
    return {
        key: advanced(value, frames, rate) if key.lower() == TIME_CODE else value
        for key, value in tags.items()
    }


def advanced(code: str, frames: int, rate: Fraction) -> str:
    """The code of the picture so many frames on; the code itself where it is none."""
    found = CODE.fullmatch(code.strip())
    nominal = round(rate)
    if found is None or nominal < 1 or int(found[5]) >= nominal:
        return code
    hours, minutes, seconds, frame = (int(found[place]) for place in (1, 2, 3, 5))
    drops = found[4] != ":" and nominal % 30 == 0
    dropped = nominal // 15 if drops else 0
    minute = hours * HOUR + minutes
    count = (minute * 60 + seconds) * nominal + frame - dropped * (minute - minute // TENTH)
    count += frames
    tenth = TENTH * 60 * nominal - (TENTH - 1) * dropped
    tenths, rest = divmod(count % (tenth * DAY // TENTH), tenth)
    if rest >= 60 * nominal:  # nine shorter minutes follow a whole one
        short = 60 * nominal - dropped
        whole, rest = divmod(rest - 60 * nominal, short)
        minute, rest = tenths * TENTH + 1 + whole, rest + dropped
    else:
        minute = tenths * TENTH
    seconds, frame = divmod(rest, nominal)
    hours, minutes = divmod(minute, HOUR)
    return f"{hours:02}:{minutes:02}:{seconds:02}{found[4]}{frame:02}"

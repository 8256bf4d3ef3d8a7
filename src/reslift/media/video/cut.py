"""What `--start` and `--end` leave of a video: of its pictures, and of the streams beside them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

FINEST = 10**6


@dataclass(frozen=True)
class Cut:
    """What was asked for, in seconds from the first frame; None for no bound."""

    start: Fraction | None = None
    end: Fraction | None = None

    @classmethod
    def of(cls, start: float | None, end: float | None) -> Cut:
        """To the microsecond."""
        bounds = [
            None if b is None else Fraction(b).limit_denominator(FINEST) for b in (start, end)
        ]
        return cls(*bounds)

    def holds(self, time: Fraction, origin: Fraction) -> bool:
        """Whether a frame is kept; origin: the time of the first, in seconds of the source."""
        early = self.start is not None and time < origin + self.start
        return not early and (self.end is None or time < origin + self.end)

    def stretch(self, origin: Fraction, first: Fraction) -> Stretch:
        """first: when the first frame that is kept is shown, in seconds of the source."""
        return Stretch(
            None if self.start is None else first, None if self.end is None else origin + self.end
        )


@dataclass(frozen=True)
class Stretch:
    """A stretch of a source in its own seconds; `begin` becomes 0, None leaves all times."""

    begin: Fraction | None = None
    end: Fraction | None = None

    def place(self, time: Fraction, length: Fraction, *, lasts: bool) -> tuple[Fraction, Fraction]:
        """When a packet begins in the result, and how long it lasts; a length below 0: not kept.

        lasts: what began before the stretch goes on in it, as words on the screen do.
        """
        if self.end is not None and time >= self.end:
            return time, Fraction(-1)
        if self.begin is None:
            return time, length
        if time >= self.begin:
            return time - self.begin, length
        rest = time + length - self.begin
        return Fraction(0), rest if lasts and rest > 0 else Fraction(-1)


WHOLE = Cut()

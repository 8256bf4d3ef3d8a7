"""Every limit in one object: what it guards, its value, and the option that raises it.

A limit is checked where the amount is known, in the library and not only at the door: the input
from its header, the output before it is computed. Knows nothing of torch or numpy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields, replace

from reslift.errors import LimitError, UsageError, one_line

KIB = 1024
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
BINARY_UNITS = {"ki": KIB, "mi": KIB**2, "gi": KIB**3, "ti": KIB**4}


def _limit(value: int, unit: str, help_text: str) -> int:
    described: int = field(default=value, metadata={"unit": unit, "help": help_text})
    return described


@dataclass(frozen=True)
class Limits:
    """How large an input and its result may be. Every field has an option, `Limits.option`."""

    input_pixels: int = _limit(
        100_000_000, "pixels", "width × height of an input, from its header before decoding"
    )
    output_pixels: int = _limit(
        1_000_000_000, "pixels", "width × height of a result, before it is computed"
    )
    file_bytes: int = _limit(KIB**3, "bytes", "size of an input file")
    frames: int = _limit(2_000, "frames", "frames of an animation (not of a video)")
    video_frames: int = _limit(
        2_000_000, "frames", "frames of a video, about 18 hours at 30 a second"
    )
    decode_seconds: int = _limit(60, "seconds", "time that decoding one picture may take")

    @staticmethod
    def option(name: str) -> str:
        """The command-line option that changes the limit `name`."""
        return "--max-" + name.replace("_", "-")

    def check(self, name: str, amount: float, what: str) -> None:
        """Refuse `amount` of `what` where it is over the limit `name`.

        Raises LimitError with the amount, the limit, its value and its option.
        """
        limit = getattr(self, name)
        if amount <= limit:
            return
        unit = next(f.metadata["unit"] for f in fields(self) if f.name == name)
        raise LimitError(
            f"{one_line(what)}: {amount:,.0f} {unit} are more than the limit {name} of "
            f"{limit:,} {unit}; {self._advice(name, amount)}"
        )

    def _advice(self, name: str, amount: float) -> str:
        return f"raise it with {self.option(name)} {amount:.0f}"

    def changed(self, **values: int | None) -> Limits:
        """A copy with the given limits changed; None leaves a limit as it is."""
        given = {name: value for name, value in values.items() if value is not None}
        for name, value in given.items():
            if value < 1:
                raise UsageError(f"{self.option(name)} {value}: a limit is a number from 1 up")
        return replace(self, **given)

    def for_results(self) -> Limits:
        """For reading what was enlarged: a picture may be as large as a result."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return _ResultLimits(**{**values, "input_pixels": self.output_pixels})


class _ResultLimits(Limits):
    def check(self, name: str, amount: float, what: str) -> None:
        super().check("output_pixels" if name == "input_pixels" else name, amount, what)


class _FixedLimits(Limits):
    def _advice(self, name: str, amount: float) -> str:
        return "cut or shrink it, or leave it out"


DEFAULT = Limits()
FIXED = _FixedLimits()
"""The same, of commands that have no option for them: `train`, `calibrate`, `latent`, `data`."""


def parse_amount(text: str, option: str = "") -> int:
    """`"1500"`, `"200M"`, `"1.5 GB"`, `"4GiB"` → a whole number; k, M, G, T are powers of 1000.

    Raises UsageError for anything else, which begins with `option`.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?|)b?\s*", text.lower())
    if match is None:
        given = f"{option} {one_line(text)!r}".lstrip()
        raise UsageError(f"{given} is not an amount; write it like 1500, 200M, 1.5GB or 4GiB")
    return int(float(match[1]) * {**UNITS, **BINARY_UNITS}[match[2]])

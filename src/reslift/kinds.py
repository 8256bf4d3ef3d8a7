"""Refusing, in one line, values of types that an option cannot have."""

from __future__ import annotations

from numbers import Integral, Real
from pathlib import Path
from types import NoneType

from reslift.errors import UsageError, one_line
from reslift.limits import Limits
from reslift.sizes import Size

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "model": ((str, Path), "a name or a path"),
    "scale": ((Real, NoneType), "a number"),
    "source": ((str, Path), "a path"),
    "target": ((str, Path), "a path"),
    "max_memory": ((str, Real, NoneType), "a number of bytes, or a text like 2G"),
    "tile": ((Integral, NoneType), "a whole number of pixels"),
    "size": ((Size, NoneType), "a reslift.Size"),
    "limits": ((Limits,), "a reslift.Limits"),
    "strength": ((Real,), "a number from 0 to 1"),
    "consistent": ((bool, NoneType), "True, False or None"),
    "ensemble": ((bool,), "True or False"),
    "wrap": ((bool,), "True or False"),
    "backend": ((str,), "a name"),
    "kernel": ((str,), "a name"),
}


def check_kinds(**values: object) -> None:
    """Nothing, where values have one of the types of their name; True is no number.

    Raises UsageError.
    """
    for name, value in values.items():
        kinds, words = KINDS[name]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise UsageError(f"{name} {one_line(repr(value))}: give {words}")

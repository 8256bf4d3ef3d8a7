"""Which wishes concern which kind of file, so that none is passed over without a word."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from reslift.errors import UsageError, one_line
from reslift.media.base import Medium, Wishes

STILLS = frozenset({"output_format", "quality", "strip_metadata"})
FOR_ALL = {"overwrite", "provenance", "provenance_file", "uncertainty"}
STRIP = "strip_metadata"


def unheeded(kinds: Iterable[Medium | None], wishes: Wishes) -> tuple[str, ...]:
    """A sentence for each wish that has no effect on some of these kinds; None: still pictures."""
    known = {"a still picture" if kind is None else kind.label: kind for kind in kinds}
    found = []
    for entry in fields(Wishes):
        value = getattr(wishes, entry.name)
        if entry.name in FOR_ALL or entry.name == STRIP or value == entry.default:
            continue
        blind = [
            label
            for label, kind in known.items()
            if entry.name not in (STILLS if kind is None else kind.heeds)
        ]
        if blind:
            found.append(f"{_option(entry.name, value)} has no effect on {' or '.join(blind)}")
    return tuple(found)


def check_strip(kind: Medium, source: Path, wishes: Wishes) -> None:
    """UsageError where what was to be left out would stay in."""
    if wishes.strip_metadata and STRIP not in kind.heeds:
        raise UsageError(
            f"{one_line(source)}: --strip-metadata leaves nothing out of {kind.label}; leave it "
            "out, and use a program made for that"
        )


def _option(name: str, value: object) -> str:
    words = name.replace("_", "-")
    return f"--no-{words}" if value is False else f"--{words}"

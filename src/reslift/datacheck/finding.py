"""What a check of pictures found, and how bad it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from reslift.errors import VerificationError

Severity = Literal["fault", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "note")

KINDS: dict[str, Severity] = {
    "unreadable": "fault",
    "leak": "fault",
    "near-leak": "fault",
    "identity-leak": "fault",
    "misaligned": "fault",
    "wrong-scale": "fault",
    "different-content": "fault",
    "wrong-colours": "fault",
    "no-partner": "warning",
    "duplicate": "warning",
    "near-duplicate": "warning",
    "upscaled": "warning",
    "jpeg": "warning",
    "was-jpeg": "warning",
    "too-small": "warning",
    "single-colour": "warning",
    "flat": "warning",
    "cmyk": "warning",
    "label-on-both-sides": "note",
    "palette": "note",
    "alpha": "note",
    "wrong-suffix": "note",
}
"""Every kind of finding, and its severity."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with one or two files.

    Attributes:
        kind: one of `KINDS`.
        files: whom it is about, as paths that start at the folder that was named.
        text: what was measured, a sentence.
        value: the measured value; None where there is no number.
        threshold: where this kind of finding begins.
    """

    kind: str
    files: tuple[str, ...]
    text: str
    value: float | None = None
    threshold: float | None = None

    @property
    def severity(self) -> Severity:
        """That of its kind."""
        return KINDS[self.kind]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"severity": self.severity, **asdict(self), "files": list(self.files)}


@dataclass(frozen=True)
class Report:
    """All findings, the worst first.

    Attributes:
        pictures: how many were looked at, LR files not counted.
        pairs: how many LR files were compared with their HR.
        findings: sorted by severity, then kind, then files.
        notes: what was not looked at, a sentence each.
    """

    pictures: int
    pairs: int
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def exit_code(self) -> int:
        """4 where there is a fault, else 0."""
        hard = any(one.severity == "fault" for one in self.findings)
        return VerificationError.exit_code if hard else 0

    def counts(self) -> dict[str, int]:
        """Findings a kind, the worst kinds first."""
        found = Counter(one.kind for one in self.findings)
        return {kind: found[kind] for kind in KINDS if found[kind]}

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "pictures": self.pictures,
            "pairs": self.pairs,
            "counts": self.counts(),
            "findings": [one.as_dict() for one in self.findings],
            "notes": list(self.notes),
        }


def ordered(findings: list[Finding]) -> tuple[Finding, ...]:
    """The worst first, in an order that does not depend on how they were found."""
    kinds = list(KINDS)
    return tuple(sorted(findings, key=lambda one: (kinds.index(one.kind), one.files, one.text)))

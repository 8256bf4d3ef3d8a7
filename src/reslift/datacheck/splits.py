"""Which pictures are there twice, within a split and across, and who is on both sides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from reslift.datacheck.finding import Finding
from reslift.datacheck.look import Look
from reslift.datasets.persons import shared_labels
from reslift.likeness import Alike, find_alike, least_detail

MOST_NAMED = 4


@dataclass(frozen=True)
class Member:
    """A picture of a split.

    Attributes:
        name: what findings call it.
        split: 0 for training, 1 for what is held out.
        look: what was measured.
    """

    name: str
    split: int
    look: Look


def find_copies(members: Sequence[Member]) -> list[Finding]:
    """Duplicates by their bytes, and near duplicates by their detail, within and across splits."""
    groups: dict[bytes, list[Member]] = defaultdict(list)
    for member in members:
        groups[member.look.digest].append(member)
    found = [_same_bytes(group) for group in groups.values() if len(group) > 1]
    singles: list[tuple[Member, int]] = []
    for group in groups.values():
        for split in sorted({member.split for member in group}):
            singles.append((next(m for m in group if m.split == split), split))
    known = [(m, split, m.look.signature) for m, split in singles if m.look.signature is not None]
    alike = find_alike([s for _, _, s in known], [split for _, split, _ in known])
    for pair in alike:
        one, other = known[pair.one][0], known[pair.other][0]
        if one.look.digest != other.look.digest:
            found.append(_near(one, other, pair))
    return found


def _same_bytes(group: list[Member]) -> Finding:
    across = len({member.split for member in group}) > 1
    ordered = sorted(group, key=lambda member: (member.split, member.name))
    text = f"{len(group)} files of the same bytes" + (", on both sides of the split" * across)
    files = tuple(member.name for member in ordered)
    return Finding("leak" if across else "duplicate", files, text, len(group), 2)


def _near(one: Member, other: Member, pair: Alike) -> Finding:
    likeness = pair.likeness
    how = f", {pair.turn}" if pair.turn else ""
    if likeness.share < 0.97:
        how += f", {likeness.share:.0%} of the larger picture"
    text = f"the same picture{how}: detail correlates by {likeness.detail:.2f}"
    kind = "near-leak" if one.split != other.split else "near-duplicate"
    limit = round(least_detail(likeness.side), 2)
    first, second = sorted((one, other), key=lambda member: (member.split, member.name))
    files = (first.name, second.name)
    return Finding(kind, files, text, round(likeness.detail, 3), limit)


def find_identities(sides: Sequence[Sequence[Path]]) -> list[Finding]:
    """Persons, by LFW's layout ``NAME/NAME_0001.jpg``, with pictures in both splits.

    Other labels, as of classes, are only noted.

    Args:
        sides: the files of the training and of the held-out split.
    """
    shared, personal = shared_labels(*sides)
    if not shared:
        return []
    named = ", ".join(shared[:MOST_NAMED])
    more = f" and {len(shared) - MOST_NAMED} more" if len(shared) > MOST_NAMED else ""
    if personal:
        text = f"{len(shared)} persons are in training and held out: {named}{more}"
        return [Finding("identity-leak", tuple(shared), text, len(shared), 1)]
    text = f"{len(shared)} labels are in both splits: {named}{more}; a leak if they are persons"
    return [Finding("label-on-both-sides", tuple(shared), text, len(shared), 1)]

"""Which pictures are there twice, within a split and across, and who is on both sides."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from reslift.datacheck.finding import Finding
from reslift.datacheck.look import Look
from reslift.likeness import DETAIL, Alike, find_alike

PERSONS = 0.5
FEWEST_MATCHING = 0.9
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
    first, second = sorted((one, other), key=lambda member: (member.split, member.name))
    files = (first.name, second.name)
    return Finding(kind, files, text, round(likeness.detail, 3), DETAIL)


def find_identities(sides: Sequence[Iterable[Path]]) -> list[Finding]:
    """Persons, by LFW's layout ``NAME/NAME_0001.jpg``, with pictures in both splits.

    Folders count as persons where most of their names are two words, each with a capital; other
    names, as of classes, are only noted.

    Args:
        sides: the files of the training and of the held-out split.
    """
    labelled = [_labels(list(files)) for files in sides]
    if not all(labelled):
        return []
    train, held = labelled
    shared = sorted(train.keys() & held.keys())
    if not shared:
        return []
    everyone = [*train.values(), *held.values()]
    personal = sum(_is_person(label) for label in everyone) > PERSONS * len(everyone)
    named = ", ".join(train[key] for key in shared[:MOST_NAMED])
    more = f" and {len(shared) - MOST_NAMED} more" if len(shared) > MOST_NAMED else ""
    files = tuple(sorted({train[key] for key in shared}))
    if personal:
        text = f"{len(shared)} of {len(held)} held-out persons are in training too: {named}{more}"
        return [Finding("identity-leak", files, text, len(shared), 0)]
    text = f"{len(shared)} labels are in both splits: {named}{more}; a leak if they are persons"
    return [Finding("label-on-both-sides", files, text, len(shared), 0)]


def _labels(files: list[Path]) -> dict[str, str]:
    """Folded name → folder name, where nearly all files lie as LFW's do; else nothing."""
    found = [file.parent.name for file in files if _is_labelled(file)]
    if not files or len(found) < FEWEST_MATCHING * len(files):
        return {}
    return {re.sub(r"[\s_-]+", "_", name).casefold(): name for name in found}


def _is_labelled(file: Path) -> bool:
    folder = re.escape(file.parent.name)
    return re.fullmatch(rf"{folder}[_-]\d{{1,6}}", file.stem, re.IGNORECASE) is not None


def _is_person(label: str) -> bool:
    words = [word for word in re.split(r"[\s_-]+", label) if word]
    return len(words) > 1 and all(word[0].isupper() or word[0].islower() is False for word in words)

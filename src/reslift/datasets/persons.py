"""Persons by the layout of Labeled Faces in the Wild, ``NAME/NAME_0001.jpg``, in any folder."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

FEWEST_MATCHING = 0.9
PERSONS = 0.5


def shared_labels(train: Iterable[Path], held: Iterable[Path]) -> tuple[list[str], bool]:
    """Folder names that have pictures on both sides, and whether they are persons.

    No names where fewer than 90 % of the files of a side lie so. Folders count as persons where
    most names are two words and more, each with a capital, as classes are rarely named.
    """
    ours, theirs = _labels(list(train)), _labels(list(held))
    shared = sorted(ours[key] for key in ours.keys() & theirs.keys())
    everyone = [*ours.values(), *theirs.values()]
    personal = sum(map(_is_person, everyone)) > PERSONS * len(everyone)
    return shared, personal and bool(shared)


def _labels(files: list[Path]) -> dict[str, str]:
    """Folded name → folder name, where nearly all files lie as LFW's do; else nothing."""
    found = [file.parent.name for file in files if _is_labelled(file)]
    if len(found) < FEWEST_MATCHING * len(files):
        return {}
    return {re.sub(r"[\s_-]+", "_", name).casefold(): name for name in found}


def _is_labelled(file: Path) -> bool:
    folder = re.escape(file.parent.name)
    return re.fullmatch(rf"{folder}[_-]\d{{1,6}}", file.stem, re.IGNORECASE) is not None


def _is_person(label: str) -> bool:
    words = [word for word in re.split(r"[\s_-]+", label) if word]
    return len(words) > 1 and words[0][0].isupper() and words[-1][0].isupper()

"""What lies in a folder: splits, HR pictures, and LR files with the HR they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from reslift import formats
from reslift.datasets.absent import no_folder, no_picture
from reslift.datasets.pairs import HR_FOLDERS, find_test_set
from reslift.errors import InputError
from reslift.inputs import find

SCALES = (2, 3, 4, 8)
TRAIN = ("train", "training")
HELD_OUT = ("val", "valid", "validation", "test", "testing")


@dataclass(frozen=True)
class PairPlace:
    """An HR file, the LR file that belongs to it, and the scale that the layout says.

    ``lr`` is None where none is there, and ``missing`` says so.
    """

    hr: Path
    lr: Path | None
    scale: int
    missing: str = ""


@dataclass(frozen=True)
class Layout:
    """A folder's HR pictures and pairs, in a fixed order."""

    pictures: tuple[Path, ...]
    pairs: tuple[PairPlace, ...]


def lay_out(folder: Path) -> Layout:
    """Find pictures and pairs; LR files of the layouts that `evaluate` knows are not pictures.

    Raises:
        InputError: the folder is absent or holds no picture.
    """
    if not folder.is_dir():
        raise no_folder(folder, "; name one with pictures")
    found = find([str(folder)], formats.readable_suffixes())
    paths = [source.path for source in found.sources]
    if not paths:
        raise no_picture(folder)
    pairs = [pair for root in _roots(folder, paths) for pair in _pairs(root)]
    partners = {pair.lr for pair in pairs} | _lr_folders_files(pairs, paths)
    return Layout(tuple(path for path in paths if path not in partners), tuple(pairs))


def splits_of(folder: Path) -> tuple[Path, list[Path]] | None:
    """Its subfolders ``train`` and ``val`` or ``test``, if it has them."""
    train = next((folder / name for name in TRAIN if (folder / name).is_dir()), None)
    held = [folder / name for name in HELD_OUT if (folder / name).is_dir()]
    return (train, held) if train and held else None


def _roots(folder: Path, paths: list[Path]) -> list[Path]:
    """Folders that may be a test set with LR files."""
    places = dict.fromkeys([folder, *(path.parent for path in paths)])
    roots = [
        place.parent if place.name in HR_FOLDERS and place != folder else place for place in places
    ]
    known = set(roots)
    return [root for root in dict.fromkeys(roots) if not _inside_set(root, known)]


def _inside_set(root: Path, known: set[Path]) -> bool:
    """Whether a folder of LR or of HR is part of a set that is looked at as a whole."""
    return any(
        parent in known and any((parent / name).is_dir() for name in HR_FOLDERS)
        for parent in root.parents
    )


def _pairs(root: Path) -> list[PairPlace]:
    pairs: dict[tuple[Path, Path | None], PairPlace] = {}
    for scale in SCALES:
        try:
            test_set = find_test_set(root, scale)
        except InputError:
            return []
        if test_set.made:
            continue
        for files in test_set.files:
            seen = _scale(files.hr, files.lr, scale)
            pairs.setdefault(
                (files.hr, files.lr), PairPlace(files.hr, files.lr, seen, files.missing)
            )
    # Names of pairs whose LR files were all left out, as in copies of HR alone, are no pairs.
    return list(pairs.values()) if any(pair.lr for pair in pairs.values()) else []


def _scale(hr: Path, lr: Path | None, scale: int) -> int:
    """For ``_HR`` and ``_LR`` in one folder the name or the sizes say the scale, not the folder."""
    if lr is None or lr.parent != hr.parent:
        return scale
    for known in SCALES:
        if f"SRF_{known}_" in hr.name or f"x{known}_" in hr.name:
            return known
    try:
        ratio = formats.peek(hr).width / formats.peek(lr).width
    except InputError:
        return scale
    return min(SCALES, key=lambda known: abs(known - ratio))


def _lr_folders_files(pairs: list[PairPlace], paths: list[Path]) -> set[Path]:
    """All files beside an LR file, in a folder without HR: partners of none are no HR either."""
    own = {pair.hr.parent for pair in pairs}
    folders = {pair.lr.parent for pair in pairs if pair.lr} - own
    return {path for path in paths if path.parent in folders}

"""The splits of a run that is opened again, whatever came into its folders or left them since.

What is drawn for the splits depends on how many pictures there are: with one more of them, pictures
that the model has learned from would be held out. So the held-out pictures stay those of the run's
``data.json``; new pictures are trained on, if drawn for that, and left out otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePath

from reslift.datasets.base import ImageSet, Splits
from reslift.errors import InputError, one_line

HELD_OUT = ("validation", "test")


def as_recorded(
    drawn: Splits, record: Mapping[str, Sequence[str]], root: Path, *, whole: bool
) -> Splits:
    """The splits with the held-out pictures that a run had before.

    Args:
        drawn: what the recipe gives now.
        record: of ``data.json``; with nothing in it the splits stay as they are.
        root: where the pictures are now.
        whole: labels were kept on one side of the split, so new pictures of theirs are left out.

    Raises:
        InputError: no validation picture of the run is there any more.
    """
    now = {name: _numbered(images, root) for name, images in drawn.sets().items()}
    here = {key: (name, number) for name, keys in now.items() for key, number in keys.items()}
    before = _recorded(record, root, here)
    same = all(before[name].keys() == now.get(name, {}).keys() for name in HELD_OUT)
    if same or not any(before.values()):
        return drawn
    if not before["validation"].keys() & here.keys():
        raise InputError(
            f"{one_line(root)}: none of the {len(before['validation'])} validation pictures that "
            "data.json of the run names is here: name the folder that holds them with --data"
        )
    held = {key for name in HELD_OUT for key in before[name]}
    places = {name: [here[key] for key in before[name] if key in here] for name in before}
    new = [here[key] for key in now["train"] if key not in held and key not in before["train"]]
    if whole:
        kept = {_label(drawn, place) for name in HELD_OUT for place in places[name]}
        new = [place for place in new if _label(drawn, place) not in kept]
    gone = len(held - here.keys())
    notes = [
        *([f"{gone} pictures that the run held out are gone"] if gone else []),
        *([f"{len(new)} new pictures are trained on; what was held out stays so"] if new else []),
    ]
    train = _chosen(drawn, places["train"] + new)
    test = _chosen(drawn, places["test"]) if places["test"] else None
    return Splits(train, _chosen(drawn, places["validation"]), test, (*drawn.notes, *notes))


def _recorded(
    record: Mapping[str, Sequence[str]], root: Path, here: Mapping[str, object]
) -> dict[str, dict[str, None]]:
    """The names of each split; those of an older run begin with a folder, which is left out."""
    names = {
        split: [PurePath(name_below(root, name)) for name in record.get(split, ())]
        for split in ("train", *HELD_OUT)
    }
    deepest = max((len(name.parts) for name in names["validation"]), default=0)
    for above in range(deepest):
        if any("/".join(name.parts[above:]) in here for name in names["validation"]):
            break
    else:
        above = 0
    return {
        split: dict.fromkeys("/".join(name.parts[above:]) for name in paths)
        for split, paths in names.items()
    }


def _numbered(images: ImageSet, root: Path) -> dict[str, int]:
    return {name_below(root, name): number for number, name in enumerate(images.names)}


def name_below(root: Path, name: str) -> str:
    """A picture's name as ``data.json`` has it: below ``--data``, which may move."""
    for folder in dict.fromkeys((root, root.resolve())):
        try:
            return PurePath(name).relative_to(folder).as_posix()
        except ValueError:
            continue
    return name


def _label(splits: Splits, place: tuple[str, int]) -> str | None:
    labels = splits.sets()[place[0]].labels
    return None if labels is None else labels[place[1]]


def _chosen(splits: Splits, places: list[tuple[str, int]]) -> ImageSet:
    """Pictures out of several sets as one."""
    sets = splits.sets()
    labels = [_label(splits, place) for place in places]
    return ImageSet(
        tuple(sets[name].names[number] for name, number in places),
        lambda n: sets[places[n][0]].load(places[n][1]),
        tuple(label for label in labels if label is not None) if None not in labels else None,
        splits.train.personal,
    )

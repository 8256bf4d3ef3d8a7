"""What a data set is: named pictures, split into training, validation and test."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from reslift.errors import RecipeError
from reslift.recipe import DataPart
from reslift.words import counted


@dataclass(frozen=True)
class ImageSet:
    """Pictures by number, decoded when asked for.

    Attributes:
        names: one a picture, unique, for reports.
        load: number → (C, H, W) uint8 RGB.
        labels: a class a picture, where the data set has classes.
        personal: a label says whom a picture shows, so that one label on two sides of a split lets
            a model meet in training what it is judged on.
    """

    names: tuple[str, ...]
    load: Callable[[int], Tensor]
    labels: tuple[str, ...] | None = None
    personal: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def __add__(self, other: ImageSet) -> ImageSet:
        """These pictures, then the other ones, without labels."""
        own, load, more = len(self), self.load, other.load
        return ImageSet(self.names + other.names, lambda n: load(n) if n < own else more(n - own))

    def part(self, numbers: Sequence[int]) -> ImageSet:
        """The pictures of these numbers, in this order."""
        chosen, load = tuple(numbers), self.load
        labels = self.labels
        return ImageSet(
            tuple(self.names[n] for n in chosen),
            lambda n: load(chosen[n]),
            None if labels is None else tuple(labels[n] for n in chosen),
            self.personal,
        )


@dataclass(frozen=True)
class Splits:
    """What training learns from, what it looks at, and what it never sees; they share no picture.

    Attributes:
        test: None where the recipe keeps nothing for it.
        notes: what should be said of how they came about, a sentence each.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet | None = None
    notes: tuple[str, ...] = ()

    def sets(self) -> dict[str, ImageSet]:
        """Those that there are, by name."""
        named = {"train": self.train, "validation": self.validation, "test": self.test}
        return {name: images for name, images in named.items() if images is not None}


def divide_beside(
    train: ImageSet, validation: ImageSet, part: DataPart, seed: int, *, files: bool = False
) -> Splits:
    """The splits where the recipe names validation pictures: those of its test are drawn.

    Args:
        train, validation: of the recipe's folders.
        part: ``test`` says how many pictures are drawn from the training pictures.
        seed: of the drawing.
        files: names are paths: validation pictures in a subfolder of the training pictures are not
            trained on.

    Raises:
        RecipeError: nothing would be left to train on.
    """
    notes: tuple[str, ...] = ()
    if files and (both := _shared(train, validation)):
        notes = (f"{counted(len(both), 'validation picture')} below data.train: held out",)
        train = train.part([number for number in range(len(train)) if number not in both])
    if not train.names:
        raise RecipeError(
            "data.validation holds every picture of data.train, which leaves none to train on: "
            "name other folders"
        )
    if not part.test:
        return Splits(train, validation, notes=notes)
    rest = divide(train, part.model_copy(update={"hold_out": part.test, "test": 0.0}), seed)
    return Splits(rest.train, validation, rest.validation, notes)


def _shared(train: ImageSet, validation: ImageSet) -> set[int]:
    """Numbers of the training pictures that are files of the validation too."""
    held = {Path(name).resolve() for name in validation.names}
    return {n for n, name in enumerate(train.names) if Path(name).resolve() in held}


def divide(images: ImageSet, part: DataPart, seed: int) -> Splits:
    """Draw the splits of a recipe from one set.

    Args:
        images: all pictures.
        part: ``hold_out`` and ``test`` say how many are drawn, ``split_by`` what is drawn.
        seed: of the drawing.

    Raises:
        RecipeError: nothing would be left to train on, or ``split_by`` wants labels where none are.
    """
    count = len(images)
    kept, tested = max(1, _amount(part.hold_out, count)), _amount(part.test, count)
    if part.split_by == "label":
        drawn = _draw_labels(images, (kept, tested), seed)
    else:
        names = random.Random(seed).sample(range(count), min(count, kept + tested))
        drawn = (names[:kept], names[kept:])
    held = {number for numbers in drawn for number in numbers}
    if len(held) >= count:
        asked = f"data.hold_out {part.hold_out:g}"
        asked += f" and data.test {part.test:g}" if part.test else ""
        raise RecipeError(
            f"{asked} keep {min(count, kept + tested)} of {count} pictures out of training, which "
            f"leaves none to train on: add pictures, lower data.hold_out or name data.validation"
        )
    train = images.part([number for number in range(count) if number not in held])
    validation, test = (images.part(sorted(numbers)) for numbers in drawn)
    return Splits(train, validation, test if tested else None)


def _amount(asked: float, count: int) -> int:
    return round(asked if asked >= 1 else asked * count)


def _draw_labels(images: ImageSet, amounts: tuple[int, int], seed: int) -> tuple[list[int], ...]:
    """Whole labels in a random order until each amount is reached."""
    if images.labels is None:
        raise RecipeError("data.split_by is label, but this data set has no labels")
    members: dict[str, list[int]] = {}
    for number, label in enumerate(images.labels):
        members.setdefault(label, []).append(number)
    order = sorted(members)
    random.Random(seed).shuffle(order)
    drawn: tuple[list[int], ...] = ([], [])
    for amount, numbers in zip(amounts, drawn, strict=True):
        while len(numbers) < amount and order:
            numbers += members[order.pop()]
    return drawn

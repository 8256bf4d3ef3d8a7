"""What is looked at: a model, the pictures, and the damage that makes its LR.

::

    RUN              its recipe's held-out pictures, where the run found them
    RUN --split S    the same recipe's S, below --data where they have moved
    any --data DIR   all pictures of DIR, damaged as the model's card says
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from reslift import checkpoint
from reslift.backends.torch import choose_device
from reslift.checkpoint import Card
from reslift.datasets import DATASETS, ImageSet
from reslift.datasets.cifar10 import join
from reslift.datasets.folder import image_set
from reslift.datasets.pairs import find_test_set
from reslift.degradations import Bicubic, Degradation, make_degradation
from reslift.errors import InputError, UsageError, look_up, one_line
from reslift.models import SRModel
from reslift.recipe import DataPart, Recipe, parse
from reslift.run import Run
from reslift.upscale import DEFAULT_SCALE

SPLITS = ("held-out", "train", "validation", "test", "all")
FEWEST = 3


@dataclass(frozen=True)
class Source:
    """A model and the pictures that it is looked at with.

    Attributes:
        model: in evaluation mode, on ``device``.
        images: HR pictures.
        degradation: makes LR of them.
        words: which pictures these are, for the page.
    """

    name: str
    card: Card
    model: SRModel
    device: str
    images: ImageSet
    degradation: Degradation
    words: str


def open_source(
    name: str | Path,
    data: str | Path | None = None,
    *,
    dataset: str | None = None,
    split: str | None = None,
    scale: int | None = None,
    limit: int = 0,
    seed: int = 0,
    device: str = "auto",
) -> Source:
    """Load a model and find its pictures.

    Args:
        name: zoo name, checkpoint file or run folder.
        data: folder of pictures; with ``split``, the root of the recipe's folders.
        dataset: how ``data`` is read, an entry of ``DATASETS``; None looks at what is there.
        split: of a run's recipe, one of ``SPLITS``.
        scale: chooses among the sizes of a zoo name; None is 4 there.
        limit: at most so many pictures, drawn by ``seed``; 0 takes all.
        device: auto, cpu, cuda or mps.

    Raises:
        UsageError: no pictures named, a split of something that is no run, an unknown task.
        InputError: no or too few pictures there.
    """
    data = None if data is None else Path(data)
    path = checkpoint.resolve(name, scale or DEFAULT_SCALE)
    model, card = checkpoint.load(path, scale)
    if model.channels != 3:
        raise UsageError(f"{one_line(name)} takes {model.channels} channels; pictures have 3 here")
    chosen = choose_device(device)
    recipe = parse(card.recipe, f"the card of {one_line(name)}") if card.recipe else None
    degradation = _degradation(recipe, model.scale, name)
    if data is not None and split is None:
        images = _below(data, dataset, _side(recipe, model), seed)
        words = f"all pictures of {one_line(data.resolve().name)}"
    else:
        images, words = _of_run(Path(name), data, split, name)
    if len(images) < FEWEST:
        raise InputError(f"{words}: too few for a map, {len(images)} of {FEWEST} pictures")
    if limit and len(images) > limit:
        words += f", {limit} of {len(images)} drawn with seed {seed}"
        images = images.part(sorted(random.Random(seed).sample(range(len(images)), limit)))
    shown = card.name or one_line(name)
    return Source(shown, card, model.to(chosen), chosen, images, degradation, words)


def _degradation(recipe: Recipe | None, scale: int, name: str | Path) -> Degradation:
    if recipe is not None:
        damage = recipe.degradation
        return make_degradation(damage.name, scale, dict(damage.arguments))
    if scale == 1:
        raise UsageError(
            f"{one_line(name)}: its card has no recipe, so the damage that it repairs is unknown"
        )
    return Bicubic(scale)


def _side(recipe: Recipe | None, model: SRModel) -> int:
    """The side that HR is brought to: what a fixed-size model takes, or what its recipe says."""
    if model.size is not None:
        return model.size * model.scale
    return recipe.data.resize if recipe is not None and model.scale == 1 else 0


def _of_run(
    folder: Path, data: Path | None, split: str | None, name: str | Path
) -> tuple[ImageSet, str]:
    """Pictures of a run's own recipe."""
    if not (folder / "recipe.toml").is_file():
        what = "--split goes with a run folder" if split else "no pictures: name them with --data"
        raise UsageError(f"{one_line(name)}: {what}; only a run knows its own data")
    wanted = split or SPLITS[0]
    look_up(wanted, dict.fromkeys(SPLITS), "split")
    run = Run.open(folder)
    recipe = run.recipe()
    root = data or Path(run.facts().get("data_root", "."))
    part = recipe.data
    found = run.splits(recipe, root)
    sets = found.sets()
    if wanted == "held-out":
        wanted = "test" if found.test is not None else "validation"
    if wanted == "all":
        return join(list(sets.values())), "all pictures of the recipe"
    images = sets.get(wanted)
    if images is None:
        raise UsageError(f"{one_line(name)}: its recipe keeps no test pictures; --split validation")
    return images, f"the {wanted} split of the recipe's data ({part.name})"


def _below(data: Path, dataset: str | None, side: int, seed: int) -> ImageSet:
    """All pictures of a folder."""
    kind = dataset or _kind(data)
    if kind == "folder":
        paths = [files.hr for files in find_test_set(data, 1, made=True).files]
        folders = tuple(path.parent.name for path in paths)
        labels = folders if len(set(folders)) > 1 else None
        return image_set(paths, DataPart(resize=side), labels)
    reader = look_up(kind, DATASETS, "data set")
    found = reader(DataPart(name=kind, resize=side if kind != "cifar10" else 0), data, seed)
    images = join([found.train, found.validation])
    order = sorted(range(len(images)), key=lambda number: images.names[number])
    return images.part(order)


def _kind(data: Path) -> str:
    """Which reader a folder needs: those that ``folder`` reads as well are left to it."""
    if any(data.glob("data_batch_*.bin")) or (data / "cifar-10-batches-bin").is_dir():
        return "cifar10"
    return "div2k" if (data / "DIV2K_train_HR").is_dir() else "folder"

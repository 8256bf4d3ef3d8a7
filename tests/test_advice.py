"""Warnings: each fires on the published form of its system and is silent on the repaired one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from reslift import advice
from reslift.advice import Advice
from reslift.datasets import DATASETS
from reslift.datasets.base import ImageSet, Splits
from reslift.degradations import make_degradation
from reslift.errors import RecipeError
from reslift.models import MODELS, SRModel
from reslift.models.bottleneck import Bottleneck
from reslift.models.residual import Residual
from reslift.recipe import load_recipe
from reslift.validation import Pair, Score, read_pairs

CPU = torch.device("cpu")
PHOTO = torch.from_numpy(data.astronaut()[60:252, 160:352].copy()).permute(2, 0, 1)
PUBLISHED = {
    "bottleneck": {"narrow-code", "bounded-output"},
    "unet": set(),
    "hourglass": {"narrow-code", "bounded-output"},
    "isrnet": set(),
    "residual": {"bounded-output"},
}
SMALL = {"bottleneck": {"width": 8, "latent": 16}, "residual": {"width": 8}, "unet": {"width": 8}}


def tiles(side: int) -> ImageSet:
    """Crops of one photograph, row by row."""
    count = PHOTO.shape[1] // side

    def load(number: int) -> Tensor:
        top, left = number // count * side, number % count * side
        return PHOTO[:, top : top + side, left : left + side]

    return ImageSet(tuple(f"tile {n}" for n in range(count * count)), load)


def pairs_of(scale: int, side: int = 32) -> list[Pair]:
    degradation = make_degradation("bicubic" if scale > 1 else "resize_back", scale, {})
    return [pair for pair, _ in read_pairs(tiles(side).part(range(6)), degradation, CPU, 0)]


def forms() -> Iterator[tuple[str, str | None]]:
    for name, kind in MODELS.items():
        for form in kind.forms or (None,):
            yield name, form


def build(name: str, form: str | None) -> SRModel:
    torch.manual_seed(0)
    kind = MODELS[name]
    more = {"form": form} if form else {}
    return kind(scale=min(4, max(kind.scales)), **SMALL.get(name, {}), **more).eval()


@pytest.mark.parametrize(("name", "form"), list(forms()))
def test_only_published_forms_are_warned_of(name: str, form: str | None) -> None:
    model = build(name, form)
    pairs = pairs_of(model.scale)
    degradation = make_degradation("bicubic" if model.scale > 1 else "resize_back", model.scale, {})
    found = {
        one.code
        for one in (
            advice.narrow_code(model, pairs[0], degradation),
            advice.bounded_output(model, pairs),
        )
        if one
    }
    assert found == (PUBLISHED[name] if form == "published" else set())


def test_a_narrow_code_is_counted() -> None:
    found = advice.narrow_code(
        Bottleneck(form="published"), pairs_of(1)[0], make_degradation("resize_back", 1, {})
    )
    assert found is not None
    assert "128 numbers for a picture of 3,072, of which LR gives 768" in found.text
    wide = Bottleneck(form="published", latent=1024, width=8)
    assert not advice.narrow_code(wide, pairs_of(1)[0], make_degradation("resize_back", 1, {}))


@pytest.mark.parametrize("form", ["published", "repaired"])
def test_a_dead_output_is_constant_and_its_share_is_told(form: str) -> None:
    torch.manual_seed(0)
    model = Residual(width=8, form=form).eval()  # type: ignore[arg-type]
    with torch.no_grad():
        assert model.tail.bias is not None
        model.tail.bias.sub_(10)
    pairs = pairs_of(1)
    constant, bounded = advice.constant_output(model, pairs), advice.bounded_output(model, pairs)
    if form == "repaired":
        assert constant is None
        assert bounded is None
        return
    assert constant is not None
    assert "SR is flat" in constant.text
    assert bounded is not None
    dark = torch.cat([pair.hr for pair in pairs]).float().gt(1.5).float().mean().item()
    assert f"{dark:.1%} of the validation values" in bounded.text


def test_one_picture_for_all_is_constant() -> None:
    torch.manual_seed(0)
    model = Bottleneck(form="published", width=8, latent=16).eval()
    assert advice.constant_output(model, pairs_of(1)) is not None, "untrained it is gray"
    with torch.no_grad():
        model.pack.weight.zero_()
        model.unpack.bias.normal_().mul_(60)
    found = advice.constant_output(model, pairs_of(1))
    assert found is not None
    assert "one picture for all" in found.text
    assert advice.constant_output(Bottleneck(width=8, latent=16).eval(), pairs_of(1)) is None


def test_min_delta_above_all_that_can_still_come() -> None:
    article = load_recipe("s4", ("watch.min_delta=0.01",)).watch
    bicubic, reached = Score(24.8, 0.0033), Score(26.8, 0.0021)
    found = advice.min_delta(article, bicubic, "of bicubic")
    assert found is not None
    assert "min_delta 0.01 is not below the mse 0.00330 of bicubic" in found.text
    assert "3e-05" in found.remedy
    assert not advice.min_delta(article, Score(10, 0.1), "reached")
    assert not advice.min_delta(load_recipe("s4").watch, reached, "reached")
    decibels = load_recipe("s0", ("watch.min_delta=1.0",)).watch
    assert "dB" in str(advice.min_delta(decibels, reached, "reached"))
    assert not advice.min_delta(load_recipe("s0", ("watch.min_delta=0.01",)).watch, reached, "")


@pytest.mark.parametrize("change", ["watch.monitor=val_accuracy", "phases.0.loss={accuracy=1.0}"])
def test_the_accuracy_of_a_regression_is_refused(change: str) -> None:
    with pytest.raises(RecipeError, match="SR is a regression"):
        load_recipe("s4", (change,))


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """Eight persons with three pictures each, all different."""
    noise = np.random.default_rng(0).integers(0, 256, (8, 3, 24, 24, 3), np.uint8)
    for person, pictures in enumerate(noise):
        folder = tmp_path / "lfw" / f"Person_{person}"
        folder.mkdir(parents=True)
        for number, pixels in enumerate(pictures):
            Image.fromarray(pixels).save(folder / f"Person_{person}_{number:04}.png")
    return tmp_path


def splits_of(root: Path, *changes: str) -> Splits:
    part = load_recipe("s4", ("data.resize=16", "data.cache=false", *changes)).data
    return DATASETS[part.name](part, root, 32)


def test_persons_on_both_sides_are_counted(faces: Path) -> None:
    splits = splits_of(faces, "data.split_by=picture", "data.test=0.2")
    found = advice.shared_persons(splits)
    assert found is not None
    assert found.code == "shared-person"
    sides = [[Path(name).parent.name for name in one.names] for one in vars(splits).values() if one]
    known = [person for person in sides[1] if person in sides[0]]
    assert known
    assert (
        f"{len(known)} of {len(sides[1])} validation pictures show persons who are also in "
        f"training (persons: {len(set(known))})"
    ) in found.text
    assert f"of {len(sides[2])} test pictures" in found.text
    assert not advice.shared_persons(splits_of(faces))
    classes = splits_of(faces, "data.name=folder", "data.split_by=picture")
    assert not advice.shared_persons(classes), "a folder need not be a person"


def test_equal_files_on_both_sides_are_named(faces: Path) -> None:
    assert not advice.shared_pictures(splits_of(faces))
    parts = ("data.name=folder", 'data.train=["lfw"]', 'data.validation=["held"]')
    copy = faces / "held" / "copy.png"
    copy.parent.mkdir()
    shutil.copy(faces / "lfw/Person_3/Person_3_0001.png", copy)
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save(copy.with_name("other.png"))
    found = advice.shared_pictures(splits_of(faces, *parts))
    assert found is not None
    assert "1 held-out picture is" in found.text
    assert "held/copy.png is Person_3/Person_3_0001.png" in found.text


def test_pictures_without_files_are_compared_by_their_pixels() -> None:
    every = tiles(32)
    assert not advice.shared_pictures(Splits(every.part(range(4)), every.part(range(4, 8))))
    found = advice.shared_pictures(Splits(every.part(range(4)), every.part(range(2, 8))))
    assert found is not None
    assert "2 held-out pictures are" in found.text


def test_the_last_word_on_a_code_stands() -> None:
    one, two, other = (Advice(c, t, "") for c, t in (("a", "1"), ("a", "2"), ("b", "3")))
    assert advice.merged([one, other], [two]) == [two, other]

"""Copies: found however they were changed, and nothing else called one."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from skimage import data

from reslift.advice import near_pictures
from reslift.datasets.base import ImageSet, Splits
from reslift.likeness import (
    THUMBNAIL,
    Signature,
    candidates,
    find_alike,
    least_detail,
    luma,
    sign,
    within,
)
from reslift.likeness.signature import turn, turned

PHOTOS = (
    *("astronaut", "coffee", "chelsea", "rocket", "camera", "coins", "brick", "grass", "gravel"),
    *("immunohistochemistry", "hubble_deep_field", "retina", "page", "colorwheel"),
)


@functools.cache
def photo(name: str) -> Image.Image:
    """At most 320 pixels wide and high, RGB."""
    image = Image.fromarray(np.asarray(getattr(data, name)())).convert("RGB")
    image.thumbnail((320, 320))
    return image


@functools.cache
def originals() -> list[Signature]:
    return [signature(photo(name)) for name in PHOTOS]


def signature(image: Image.Image) -> Signature:
    return sign(within(luma(np.asarray(image)), THUMBNAIL))


def as_jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def cropped(image: Image.Image, across: float, down: float) -> Image.Image:
    """Off the middle, so that no corner is kept."""
    width, height = round(image.width * across), round(image.height * down)
    left, top = (image.width - width) * 2 // 3, (image.height - height) // 3
    return image.crop((left, top, left + width, top + height))


CHANGES: dict[str, tuple[Callable[[Image.Image], Image.Image], float]] = {
    "half": (lambda i: i.resize((i.width // 2, i.height // 2), Image.Resampling.BICUBIC), 1),
    "square": (lambda i: i.resize((300, 300), Image.Resampling.LANCZOS), 1),
    "quality 30": (lambda i: as_jpeg(i, 30), 1),
    "bright": (lambda i: ImageEnhance.Brightness(i).enhance(1.3), 0.9),
    "mirrored": (lambda i: i.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 1),
    "turned": (lambda i: i.transpose(Image.Transpose.ROTATE_90), 1),
    "crop 0.9": (lambda i: cropped(i, 0.9, 0.9), 0.9),
    "crop 0.7": (lambda i: cropped(i, 0.7, 0.7), 0.85),
    "crop 1 by 0.7": (lambda i: cropped(i, 0.7, 1), 0.85),
    "all": (lambda i: as_jpeg(cropped(i.transpose(0), 0.8, 0.8).resize((240, 240)), 60), 0.7),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_copies_are_found_and_nothing_else(name: str) -> None:
    change, recall = CHANGES[name]
    copies = [signature(change(photo(one))) for one in PHOTOS]
    count = len(PHOTOS)
    found = find_alike([*originals(), *copies], [0] * count + [1] * count, across=True)
    assert all(pair.other - pair.one == count for pair in found), "two different pictures are one"
    assert len(found) >= recall * count
    if name == "mirrored":
        assert {pair.turn for pair in found} == {"mirrored"}


def test_different_pictures_are_not_copies() -> None:
    assert find_alike(originals()) == []


def synthetic() -> list[np.ndarray]:
    """Skies, gradients, noise and drawings that look alike from afar."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:160, 0:160]
    pictures = [40.0 + (a * x + b * y) / 2 for a, b in ((1, 0), (0.9, 0.1), (0.8, 0.2), (0, 1))]
    for _ in range(4):
        sky = rng.normal(8, 2, (160, 160))
        sky[tuple(rng.integers(2, 158, (2, 60)))] = 220
        pictures.append(sky)
        pictures.append(rng.normal(128, 30, (160, 160)))
        drawing = np.full((160, 160), 230.0)
        for left, top, width, height in rng.integers(10, 70, (6, 4)):
            drawing[top : top + height, left : left + width] = rng.integers(0, 255)
        pictures.append(drawing)
    return [np.clip(one, 0, 255).astype(np.uint8) for one in pictures]


def test_skies_gradients_noise_and_drawings_are_not_copies() -> None:
    signatures = [sign(one) for one in synthetic()]
    assert find_alike(signatures) == []


@pytest.mark.parametrize("number", range(8))
def test_wholes_turn_as_pictures_do(number: int) -> None:
    plane = within(luma(np.asarray(photo("astronaut"))), THUMBNAIL)[:100, :120]
    whole, there = sign(plane).whole, sign(turn(plane, number)).whole
    assert turned(whole[None])[number, 0] @ there > 0.999


def test_flat_pictures_are_like_nothing() -> None:
    flat = [sign(np.full((80, 80), level, np.uint8)) for level in (0, 128, 255, 128)]
    tiny = [sign(np.full(shape, 7, np.uint8)) for shape in ((1, 1), (1, 300), (3, 2))]
    assert find_alike([*flat, *tiny]) == []
    assert find_alike(flat[:1]) == []


def test_training_warns_of_a_changed_copy_that_is_held_out() -> None:
    def images(pictures: list[Image.Image], side: str) -> ImageSet:
        tensors = [torch.from_numpy(np.asarray(one).copy()).permute(2, 0, 1) for one in pictures]
        return ImageSet(tuple(f"{side}{n}" for n in range(len(tensors))), tensors.__getitem__)

    train = images([photo(name) for name in PHOTOS[:4]], "train")
    clean = images([photo(PHOTOS[5])], "held")
    changed = images([as_jpeg(photo(PHOTOS[2]).transpose(0), 70), photo(PHOTOS[5])], "held")
    assert near_pictures(Splits(train, clean)) is None
    found = near_pictures(Splits(train, changed))
    assert found is not None
    assert found.code == "near-picture"
    assert "held0 is train2" in found.text


def roofs() -> list[Image.Image]:
    """Tiles of one dark edge each on a plain, somewhat noisy ground, as cut from one photograph."""
    rng = np.random.default_rng(4)
    y, x = np.mgrid[0:80, 0:80] - 39.5
    tiles = []
    for slope in np.linspace(0.3, 1.2, 10):
        for shift in (-18, -4, 11, 20):
            away = np.abs(x * np.cos(slope) + y * np.sin(slope) - shift)
            tile = 190 - 150 * np.clip(2.5 - away, 0, 1) + rng.normal(0, 2, (80, 80))
            tiles.append(Image.fromarray(np.clip(tile, 0, 255).astype(np.uint8)).convert("RGB"))
    return tiles


def test_an_edge_that_can_be_laid_on_another_makes_no_copy() -> None:
    tiles = roofs()
    assert find_alike([signature(tile) for tile in tiles]) == []
    count = len(tiles)
    for change in ("half", "bright", "quality 30"):
        copies = [signature(CHANGES[change][0](tile)) for tile in tiles]
        found = find_alike(
            [signature(tile) for tile in tiles] + copies, [0] * count + [1] * count, across=True
        )
        assert all(pair.other - pair.one == count for pair in found)
        assert len(found) >= 0.9 * count


def test_small_pictures_have_to_agree_better() -> None:
    assert [least_detail(side) for side in (300, 64, 48, 32, 16)] == pytest.approx(
        [0.7, 0.7, 0.8, 0.9, 0.9]
    )


def test_pairs_that_are_looked_at_are_bounded(monkeypatch):
    """Pictures of one pattern share spots and are no copies: each pair would be tried."""
    plain = originals()[0]
    generator = np.random.default_rng(0)
    pictures = []
    for _ in range(60):
        places = generator.uniform(10, 150, (12, 2))
        spots = np.column_stack([places, np.full(12, 4.0)]).astype(np.float32)
        codes = plain.codes[:12].copy()
        whole = generator.standard_normal(143).astype(np.float32)
        pictures.append(
            Signature(
                plain.thumbnail, whole / np.linalg.norm(whole), spots, codes, plain.mirrored[:12]
            )
        )
    tried = []
    agreed = candidates._agreed
    monkeypatch.setattr(candidates, "_agreed", lambda *a: tried.append(1) or agreed(*a))
    sides = np.zeros(60, np.int64)
    list(candidates.by_spots(pictures, sides, False, 100))
    assert len(tried) == 100


@pytest.mark.parametrize("width", [15, 40])
def test_pictures_in_frames_of_one_width_are_not_copies(width: int) -> None:
    """A white frame makes most of the detail of what it is around."""
    framed = []
    for name in ("coins", "camera", "page", "rocket", "brick", "gravel", "grass", "coffee"):
        dark = ImageEnhance.Brightness(photo(name).resize((240, 240))).enhance(0.4)
        framed.append(ImageOps.expand(dark, width, "white"))
    signatures = [signature(image) for image in framed]
    assert not find_alike(signatures)
    again = [signature(as_jpeg(image, 30)) for image in framed]
    assert len(find_alike([*signatures, *again])) == len(framed)

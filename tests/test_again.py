"""A run that is opened again holds out what it held out, whatever became of its folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reslift.datasets.again import as_recorded
from reslift.datasets.base import ImageSet, Splits
from reslift.errors import CheckpointError, InputError
from reslift.recipe import Recipe, parse
from reslift.run import Run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for number in range(8):
        pixels = rng.integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{number}.png")
    return tmp_path / "photos"


@pytest.fixture
def recipe() -> Recipe:
    return parse({"name": "kept", "data": {"hold_out": 2, "test": 2}}, "test")


@pytest.fixture
def run(folder: Path, recipe: Recipe, tmp_path: Path) -> Run:
    made = Run.create(tmp_path / "run", recipe, {"data_root": str(folder)})
    splits = made.splits(recipe, folder)
    made.note_pictures(splits, splits.train.names, folder)
    return made


def stems(splits: Splits) -> dict[str, list[str]]:
    return {name: [Path(n).stem for n in images.names] for name, images in splits.sets().items()}


def test_what_was_held_out_stays_so_when_pictures_come_and_go(
    folder: Path, recipe: Recipe, run: Run
) -> None:
    before = stems(run.splits(recipe, folder))
    for name in ("00", "01", "9", "99"):
        shutil.copy(folder / "0.png", folder / f"{name}.png")
    found = run.splits(recipe, folder)
    after = stems(found)
    assert (after["validation"], after["test"]) == (before["validation"], before["test"])
    assert after["train"][:4] == before["train"]
    assert {*after["train"][4:]} <= {"00", "01", "9", "99"}
    assert "are trained on; what was held out stays so" in found.notes[0]
    for number, name in enumerate(found.validation.names):
        file = np.asarray(Image.open(name)).transpose(2, 0, 1)
        assert torch.equal(found.validation.load(number), torch.from_numpy(file.copy()))
    (folder / f"{before['validation'][0]}.png").unlink()
    found = run.splits(recipe, folder)
    assert stems(found)["validation"] == before["validation"][1:]
    assert found.notes[0] == "1 pictures that the run held out are gone"


def test_a_folder_that_moved_is_the_same_folder(
    folder: Path, recipe: Recipe, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stems(run.splits(recipe, folder))
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "0.png", folder / "new.png")
    folder.rename(tmp_path / "elsewhere")
    after = stems(run.splits(recipe, Path("elsewhere")))
    assert after["validation"] == before["validation"]
    record = json.loads((run.folder / "data.json").read_text())
    older = {split: [f"../photos/{name}" for name in names] for split, names in record.items()}
    (run.folder / "data.json").write_text(json.dumps(older))
    after = stems(run.splits(recipe, Path("elsewhere")))
    assert after["validation"] == before["validation"]


def test_another_folder_is_refused_and_a_damaged_list_is_named(
    folder: Path, recipe: Recipe, run: Run
) -> None:
    for path in list(folder.iterdir()):
        path.rename(path.with_stem(f"other-{path.stem}"))
    with pytest.raises(InputError, match=r"none of the 2 validation pictures .* --data$"):
        run.splits(recipe, folder)
    (run.folder / "data.json").write_text(json.dumps({"train": 3}))
    with pytest.raises(CheckpointError, match=r"data\.json: damaged"):
        run.splits(recipe, folder)


def test_a_new_picture_of_a_held_out_person_is_left_out() -> None:
    def faces(names: list[str]) -> ImageSet:
        owners = tuple(name[0] for name in names)
        return ImageSet(tuple(names), lambda n: torch.zeros(3, 8, 8), owners, personal=True)

    record = {"train": ["a1", "a2"], "validation": ["b1"]}
    drawn = Splits(faces(["b1", "b2", "c1"]), faces(["a1", "a2"]))
    found = as_recorded(drawn, record, Path(), whole=True)
    assert found.train.names == ("a1", "a2", "c1")
    assert found.validation.names == ("b1",)
    assert found.train.personal
    assert found.train.labels == ("a", "a", "c")

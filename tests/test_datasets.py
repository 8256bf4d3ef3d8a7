"""Data sets: layouts, labels, splits, cache, and downloads that are what they should be."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from medical_samples import dicom, volume, waves
from reslift.cli import main
from reslift.datasets import DATASETS, ImageSet, Splits, paints
from reslift.datasets import decode as decoding
from reslift.datasets.base import divide
from reslift.datasets.cifar10 import CLASSES, read_batches
from reslift.datasets.collage import collage_set
from reslift.datasets.decode import decode, decode_all, to_square
from reslift.datasets.download import SOURCES, Archive, Source, get
from reslift.datasets.drawn import OUTLINES, draw, drawn_set
from reslift.datasets.paints import PAINTS
from reslift.datasets.turned import turned, turned_set, upright
from reslift.errors import (
    InputError,
    OutputError,
    RecipeError,
    ResliftError,
    VerificationError,
)
from reslift.recipe import DataPart


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESLIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def crops(count: int, side: int) -> list[np.ndarray]:
    photo = data.astronaut()
    return [
        photo[17 * n % 200 : 17 * n % 200 + side, 29 * n % 200 : 29 * n % 200 + side]
        for n in range(count)
    ]


def batch_file(path: Path, count: int) -> tuple[np.ndarray, np.ndarray]:
    """A file as the original has it, written from the format's description."""
    pictures = np.stack(crops(count, 32))
    labels = np.arange(count, dtype=np.uint8) % 10
    planes = pictures.transpose(0, 3, 1, 2).reshape(count, -1)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.concatenate([labels[:, None], planes], 1).tofile(path)
    return pictures, labels


def class_folders(root: Path, counts: dict[str, int], side: int, suffix: str = "png") -> None:
    pictures = iter(crops(sum(counts.values()), side))
    for name, count in counts.items():
        (root / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(next(pictures)).save(root / name / f"{name}_{number:04}.{suffix}")


PERSONS = {"Ada": 6, "Ben": 1, "Cid": 1, "Dot": 3, "Eve": 4, "Fay": 5}


def lay_out(name: str, root: Path) -> DataPart:
    """A small data set of this name below root, and the part of a recipe that reads it."""
    if name == "cifar10":
        for number in (1, 2):
            batch_file(root / "cifar10/cifar-10-batches-bin" / f"data_batch_{number}.bin", 10)
        return DataPart(name=name, train=("cifar10",), hold_out=0.1, test=0.1)
    if name == "div2k":
        class_folders(root / "DIV2K", {"DIV2K_train_HR": 4, "DIV2K_valid_HR": 2}, 40)
        return DataPart(name=name, train=("DIV2K",), hold_out=0.1)
    if name == "medical":
        return medical_folder(root / "series")
    class_folders(root / "lfw", PERSONS, 50, "jpg" if name == "lfw" else "png")
    return DataPart(name=name, train=("lfw",), hold_out=0.2, resize=16)


def medical_folder(folder: Path) -> DataPart:
    """Eight CT slices of four patients and a volume of six slices."""
    folder.mkdir(parents=True)
    for number in range(8):
        pixels = waves(high=900 + number).astype(np.int16)
        dicom(folder / f"IM{number}", pixels, PatientID=f"SECRET-{number % 4}")
    volume(folder / "brain.nii.gz", np.stack([waves(30, 26)] * 6, 2).astype(np.int16))
    return DataPart(name="medical", train=(folder.name,), hold_out=0.2, test=0.2)


def test_medical_labels_are_numbers_that_keep_patients_apart(tmp_path: Path) -> None:
    part = medical_folder(tmp_path / "series").model_copy(update={"split_by": "label"})
    splits = load(part, tmp_path)
    labels = [set(images.labels or ()) for images in parts_of(splits)]
    assert not labels[0] & labels[1] and not labels[0] & labels[2]
    assert len(set.union(*labels)) == 5
    assert not any("SECRET" in label for label in set.union(*labels))
    assert splits.train.personal
    whole = [load(part, tmp_path).train.load(number) for number in range(len(splits.train))]
    assert all(picture.min() == 0 and picture.max() == 255 for picture in whole)


def load(part: DataPart, root: Path, seed: int = 42) -> Splits:
    return DATASETS[part.name](part, root, seed)


def parts_of(splits: Splits) -> list[ImageSet]:
    return [part for part in (splits.train, splits.validation, splits.test) if part is not None]


@pytest.mark.parametrize("name", DATASETS)
def test_every_set_gives_named_pictures_in_splits_that_share_none(
    name: str, tmp_path: Path
) -> None:
    part = lay_out(name, tmp_path)
    splits, twin, other = (load(part, tmp_path, seed) for seed in (42, 42, 7))
    names = [name for images in parts_of(splits) for name in images.names]
    assert len(names) == len(set(names))
    assert splits.validation.names == twin.validation.names
    if name != "div2k":
        assert splits.validation.names != other.validation.names
    for images in parts_of(splits):
        assert images.labels is None or len(images.labels) == len(images)
        for number in (0, len(images) - 1):
            picture = images.load(number)
            assert picture.dtype == torch.uint8
            assert picture.shape[0] == 3


@pytest.mark.parametrize("name", DATASETS)
def test_every_set_says_what_is_missing(name: str, tmp_path: Path) -> None:
    part = DataPart(name=name, train=("nothing",))
    with pytest.raises(InputError, match=r"here|no such folder"):
        load(part, tmp_path)


def test_binary_batches_are_read_as_they_are_described(tmp_path: Path) -> None:
    pictures, labels = batch_file(tmp_path / "data_batch_1.bin", 12)
    images = read_batches([tmp_path / "data_batch_1.bin"])
    assert images.labels == tuple(CLASSES[n] for n in labels)
    for number in (0, 11):
        assert np.array_equal(images.load(number).permute(1, 2, 0), pictures[number])
    (tmp_path / "short.bin").write_bytes(b"x" * 3072)
    with pytest.raises(InputError, match="no whole number of records"):
        read_batches([tmp_path / "short.bin"])
    (tmp_path / "other.bin").write_bytes(b"\xff" * 3073)
    with pytest.raises(InputError, match="a label over 9"):
        read_batches([tmp_path / "other.bin"])


def test_cifar_folders_are_the_same_set_and_pickles_are_refused(tmp_path: Path) -> None:
    class_folders(tmp_path / "cifar10/train", {"cat": 3, "dog": 7}, 32)
    part = DataPart(name="cifar10", train=("cifar10",), hold_out=0.1, test=0.1)
    for root in (tmp_path, tmp_path / "cifar10", tmp_path / "cifar10/train"):
        splits = load(part, root)
        assert [len(images) for images in parts_of(splits)] == [8, 1, 1]
        labels = [label for images in parts_of(splits) for label in images.labels or ()]
        assert sorted(labels) == ["cat"] * 3 + ["dog"] * 7
    assert splits.train.load(0).shape == (3, 32, 32)
    (tmp_path / "py/cifar-10-batches-py").mkdir(parents=True)
    with pytest.raises(InputError, match=r"could run code.*reslift data get cifar10"):
        load(DataPart(name="cifar10", train=("py",)), tmp_path)


def test_the_original_test_batch_can_be_the_validation(tmp_path: Path) -> None:
    part = lay_out("cifar10", tmp_path)
    batch_file(tmp_path / "cifar10/cifar-10-batches-bin/test_batch.bin", 10)
    chosen = ("cifar10/cifar-10-batches-bin/test_batch.bin",)
    splits = load(part.model_copy(update={"validation": chosen}), tmp_path)
    assert [len(images) for images in parts_of(splits)] == [18, 10, 2]
    assert splits.validation.names[0] == "test_batch.bin:0"


@pytest.mark.parametrize("name", DATASETS)
def test_validation_that_a_recipe_names_is_taken_or_refused(name: str, tmp_path: Path) -> None:
    part = lay_out(name, tmp_path)
    (first,) = part.train
    (tmp_path / first).rename(tmp_path / "other")
    lay_out(name, tmp_path)
    named = part.model_copy(update={"validation": ("other",), "test": 0.2})
    if name == "div2k":
        with pytest.raises(RecipeError, match=r"leave out data\.validation"):
            load(named, tmp_path)
        return
    splits = load(named, tmp_path)
    assert splits.test is not None
    whole = load(part, tmp_path)
    assert len(splits.validation) == sum(map(len, parts_of(whole)))
    assert len(splits.train) + len(splits.test) == len(splits.validation)
    if name != "cifar10":
        assert all("other" in Path(held).parts for held in splits.validation.names)
    with pytest.raises(InputError, match="no such folder"):
        load(part.model_copy(update={"validation": ("gone",)}), tmp_path)


@pytest.mark.parametrize(
    "place", ["lfw-deepfunneled/lfw-deepfunneled", "lfw_home/lfw_funneled", "lfw", "."]
)
def test_faces_are_found_where_archives_unpack_to(place: str, tmp_path: Path) -> None:
    class_folders(tmp_path / place, PERSONS, 20, "jpg")
    (tmp_path / "pairs.txt").write_text("10\t300\n")
    splits = load(DataPart(name="lfw", train=("lfw",), hold_out=0.2), tmp_path)
    assert len(splits.train) + len(splits.validation) == sum(PERSONS.values())
    assert splits.train.personal


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("HR/a", "LRx4/a"),
        ("Set/HR/a", "Set/LRx2/a"),
        ("X_HR/a", "X_LR_bicubic/X4/ax4"),
        ("a", "x3/a"),
        ("a_SRF_4_HR", "a_SRF_4_LR"),
    ],
)
def test_lr_files_beside_their_hr_are_not_trained_on(hr: str, lr: str, tmp_path: Path) -> None:
    for stem in (hr, lr, hr.replace("a", "b"), lr.replace("a", "b"), "more/lonely_LR"):
        (tmp_path / stem).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(crops(1, 16)[0]).save(tmp_path / f"{stem}.png")
    splits = load(DataPart(hold_out=1), tmp_path)
    names = {Path(n).relative_to(tmp_path).with_suffix("").as_posix() for n in splits.train.names}
    names |= {Path(splits.validation.names[0]).relative_to(tmp_path).with_suffix("").as_posix()}
    assert names == {hr, hr.replace("a", "b"), "more/lonely_LR"}
    assert splits.notes == ("2 LR files are left out: LR is made from the HR files beside them",)
    if "/" in lr:  # named by itself, such a folder is taken as it is
        alone = DataPart(train=(str(Path(lr).parent),), hold_out=1)
        assert len(load(alone, tmp_path).train) == 1


def test_validation_below_the_training_folder_is_not_trained_on(tmp_path: Path) -> None:
    class_folders(tmp_path, {"a": 3, "val": 2}, 16)
    part = DataPart(train=(".", "a"), validation=("a/../val",), test=1)
    splits = load(part, tmp_path)
    held = {Path(name).name for name in splits.validation.names}
    names = [*splits.train.names, *(splits.test or splits.train).names]
    assert len(held) == 2
    assert sorted(names) == sorted(str(path) for path in (tmp_path / "a").iterdir())
    assert splits.notes == ("2 validation pictures below data.train: held out",)
    with pytest.raises(RecipeError, match=r"holds every picture of data\.train"):
        load(part.model_copy(update={"train": ("val",)}), tmp_path)


def test_split_shares_are_80_10_10() -> None:
    images = ImageSet(tuple(map(str, range(200))), lambda n: torch.tensor(n))
    part = DataPart(hold_out=0.1, test=0.1)
    splits = divide(images, part, 42)
    assert [len(one) for one in parts_of(splits)] == [160, 20, 20]
    assert [splits.validation.load(n).item() for n in range(20)] == [
        int(name) for name in splits.validation.names
    ]
    assert divide(images, DataPart(hold_out=0.1), 42).test is None
    with pytest.raises(RecipeError, match="leaves none to train on"):
        divide(images, DataPart(hold_out=100, test=100), 1)
    with pytest.raises(RecipeError, match="no labels"):
        divide(images, DataPart(split_by="label"), 1)


@pytest.mark.parametrize("seed", range(5))
def test_split_by_person_keeps_each_person_on_one_side(seed: int, tmp_path: Path) -> None:
    part = lay_out("lfw", tmp_path)
    at_random = load(part, tmp_path, seed)
    assert set(at_random.train.labels or ()) & set(at_random.validation.labels or ())
    by_person = load(part.model_copy(update={"split_by": "label", "test": 0.2}), tmp_path, seed)
    persons = [set(images.labels or ()) for images in parts_of(by_person)]
    assert set.union(*persons) == set(PERSONS)
    assert sum(map(len, persons)) == len(PERSONS)
    assert min(len(images) for images in parts_of(by_person)) >= 1


def test_faces_are_resized_as_pillow_does_and_to_the_middle_square() -> None:
    face = data.astronaut()[:250, 100:350]
    small = to_square(face, 80)
    reference = Image.fromarray(face).resize((80, 80), Image.Resampling.BILINEAR)
    assert np.array_equal(small, np.asarray(reference))
    wide = to_square(np.concatenate([face[:, :40] * 0, face, face[:, :40] * 0], 1), 80)
    assert np.array_equal(wide, small)
    assert to_square(face, 250) is not face
    assert np.array_equal(to_square(face, 250), face)


def test_the_cache_saves_decoding_and_notices_changes(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = lay_out("lfw", tmp_path)
    first = load(part, tmp_path)
    files = list(own_cache.iterdir())
    assert len(files) == 1
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "decode", lambda *_: pytest.fail("decoded again"))
        second = load(part, tmp_path)
        assert torch.equal(first.train.load(3), second.train.load(3))
    changed = tmp_path / "lfw/Ada/Ada_0000.jpg"
    Image.fromarray(crops(9, 50)[8]).save(changed)
    load(part, tmp_path)
    load(part.model_copy(update={"resize": 8}), tmp_path)
    assert len(list(own_cache.iterdir())) == 3
    files[0].write_bytes(b"damaged")
    os.utime(changed, (1, 1))
    assert load(part, tmp_path).train.load(0).shape == (3, 16, 16)
    for file in own_cache.iterdir():
        file.write_bytes(b"damaged")
    assert torch.equal(load(part, tmp_path).train.load(3), second.train.load(3))


def test_without_a_writable_cache_it_still_works(
    tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = lay_out("lfw", tmp_path)
    own_cache.write_text("a file where the folder should be")
    assert load(part, tmp_path).train.load(0).shape == (3, 16, 16)
    monkeypatch.setenv("RESLIFT_CACHE", str(tmp_path / "unused"))
    load(part.model_copy(update={"cache": False}), tmp_path)
    assert not (tmp_path / "unused").exists()


def test_a_damaged_picture_fails_alone_and_nothing_is_cached(
    tmp_path: Path, own_cache: Path
) -> None:
    part = lay_out("lfw", tmp_path).model_copy(update={"hold_out": 1})
    (tmp_path / "lfw/Eve/Eve_0001.jpg").write_bytes(b"no picture")
    splits = load(part, tmp_path)
    failed = 0
    for images in parts_of(splits):
        for number, name in enumerate(images.names):
            if name.endswith("Eve_0001.jpg"):
                failed += 1
                with pytest.raises(InputError, match="Eve_0001"):
                    images.load(number)
            else:
                assert images.load(number).any()
    assert failed == 1
    assert not own_cache.exists()


def test_pictures_of_another_size_are_named(tmp_path: Path) -> None:
    class_folders(tmp_path / "cifar10", {"cat": 3}, 32)
    Image.fromarray(crops(1, 40)[0]).save(tmp_path / "cifar10/cat/cat_0001.png")
    pixels, problems = decode_all(sorted((tmp_path / "cifar10/cat").iterdir()), 0, 32)
    assert pixels.shape == (3, 32, 32, 3)
    assert list(problems) == [1]
    assert "40x40, wanted 32x32" in problems[1]


@pytest.mark.timeout(240)
def test_several_processes_give_the_same_pixels(tmp_path: Path) -> None:
    class_folders(tmp_path / "set", {"a": 5}, 20)
    (tmp_path / "set/a/a_0002.png").write_bytes(b"no picture")
    paths = sorted((tmp_path / "set/a").iterdir())
    alone, together = (decode_all(paths, 8, 8, workers) for workers in (1, 2))
    assert np.array_equal(alone[0], together[0])
    assert list(alone[1]) == list(together[1]) == [2]


def test_gray_and_16_bit_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(crops(1, 9)[0][..., 0]).save(tmp_path / "g.png")
    assert decode(tmp_path / "g.png").shape == (9, 9, 3)
    Image.fromarray(crops(1, 9)[0]).convert("CMYK").save(tmp_path / "c.jpg")
    with pytest.raises(InputError, match="CMYK"):
        decode(tmp_path / "c.jpg")


def source_of(archive: Path, folder: str, checksum: str = "") -> Source:
    digest = checksum or "sha256:" + hashlib.sha256(archive.read_bytes()).hexdigest()
    url = archive.as_uri()
    return Source((Archive(url, digest, 100, folder, archive.name),), "free", "home")


def tape(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def test_get_downloads_compares_and_unpacks_whole(tmp_path: Path) -> None:
    archive = tape(tmp_path / "set.tar.gz", {"set/a.txt": b"content"})
    seen: list[int] = []
    out = tmp_path / "out"
    source = source_of(archive, "set")
    assert get(source, out, lambda done, total: seen.append(done)) == [out / "set"]
    assert (out / "set/a.txt").read_bytes() == b"content"
    assert seen[-1] == archive.stat().st_size
    assert sorted(p.name for p in out.iterdir()) == ["set", "set.tar.gz"]
    archive.unlink()
    assert get(source, out) == [out / "set"]


def test_an_archive_brought_by_hand_is_taken(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    with zipfile.ZipFile(out / "set.zip", "w") as archive:
        archive.writestr("set/a.txt", "content")
    source = source_of(out / "set.zip", "set")
    url = "http://127.0.0.1:9/set.zip"
    unreachable = Source((Archive(url, source.archives[0].checksum, 1, "set", "set.zip"),), "", "")
    assert get(unreachable, out) == [out / "set"]
    missing = Source((Archive(url, "md5:0", 1, "other", "other.zip"),), "", "")
    with pytest.raises(ResliftError, match=r"cannot download http.*bring that file by hand as"):
        get(missing, out)
    assert sorted(p.name for p in out.iterdir()) == ["set", "set.zip"]


@pytest.mark.parametrize("kind", ["md5", "sha256"])
def test_another_content_is_refused_before_it_is_unpacked(kind: str, tmp_path: Path) -> None:
    archive = tape(tmp_path / "set.tar.gz", {"set/a.txt": b"content"})
    with pytest.raises(VerificationError, match=f"{kind} is .*delete it"):
        get(source_of(archive, "set", f"{kind}:00"), tmp_path / "out")
    assert not (tmp_path / "out/set").exists()


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "set/../../evil.txt"])
def test_archives_cannot_write_outside(name: str, tmp_path: Path) -> None:
    packed = tmp_path / "in"
    packed.mkdir()
    with zipfile.ZipFile(packed / "set.zip", "w") as archive:
        archive.writestr(name, "evil")
    for path in (packed / "set.zip", tape(packed / "set.tar.gz", {name: b"evil"})):
        with pytest.raises((InputError, OutputError)):
            get(source_of(path, "set"), tmp_path / "out")
    assert not list(tmp_path.rglob("evil.txt"))
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]


def test_sources_are_whole() -> None:
    for source in SOURCES.values():
        assert source.terms
        for archive in source.archives:
            kind, _, digest = archive.checksum.partition(":")
            assert len(digest) == {"md5": 32, "sha256": 64}[kind]
            assert archive.url.startswith("https://")


def test_data_command(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["data"]) == 0
    assert "cifar10" in capsys.readouterr().out
    assert main(["data", "get"]) == 2
    assert main(["data", "get", "cifar"]) == 2
    assert "did you mean cifar10" in capsys.readouterr().err
    assert main(["data", "fetch"]) == 2
    for folder in ("DIV2K_train_HR", "DIV2K_valid_HR"):
        (tmp_path / folder).mkdir()
    assert main(["data", "get", "div2k", "--out", str(tmp_path)]) == 0
    assert "DIV2K_valid_HR" in capsys.readouterr().out


def test_drawn_pictures_are_the_same_at_every_call_and_differ_from_each_other() -> None:
    pictures = drawn_set(3, side=96)
    assert pictures.names == ("drawn 0", "drawn 1", "drawn 2")
    first, other = pictures.load(0), pictures.load(1)
    assert first.shape == (3, 96, 96) and first.dtype == torch.uint8
    assert torch.equal(first, drawn_set(1, side=96).load(0))
    assert not torch.equal(first, other)


def test_drawn_pictures_hold_edges_and_shades_of_all_kinds() -> None:
    assert sum(OUTLINES.values()) == pytest.approx(1) and sum(PAINTS.values()) == pytest.approx(1)
    photo = data.camera()[::2, ::2].astype(float)
    edges = []
    for seed in range(8):
        gray = draw(seed, 256).mean(-1)
        assert gray.std() > 20 and len(np.unique(gray.round())) > 120
        edges.append(np.abs(np.diff(gray)).mean())
    assert np.mean(edges) > np.abs(np.diff(photo)).mean()


@pytest.mark.parametrize("paint", PAINTS)
def test_every_paint_is_shares_of_two_colours(paint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paints, "PAINTS", {paint: 1.0})
    spread = []
    for seed in range(12):
        share = paints.blend(np.random.default_rng(seed), 70, 50)
        assert share.shape == (70, 50) and share.dtype == np.float32
        assert share.min() >= 0 and share.max() <= 1
        spread.append(share.std())
    assert (np.mean(spread) > 0.1) == (paint != "flat")


def test_strands_are_long_one_way_and_short_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paints, "PAINTS", {"strands": 1.0})
    for seed in range(6):
        share = paints.blend(np.random.default_rng(seed), 200, 200)
        down, right = np.gradient(share)
        tensor = np.cov(np.stack([down.ravel(), right.ravel()]))
        least, most = np.linalg.eigvalsh(tensor)
        assert most > 2 * least, seed


def test_what_is_bent_does_not_fold_over_itself() -> None:
    for seed in range(20):
        folds = paints._folds(np.random.default_rng(seed), 300, 200)
        assert folds.shape == (300, 200) and folds.std() > 0
        assert max(np.abs(np.diff(folds, axis=axis)).max() for axis in (0, 1)) < 1


def photographs(*pictures: np.ndarray) -> ImageSet:
    stack = [torch.from_numpy(p.transpose(2, 0, 1).copy()) for p in pictures]
    return ImageSet(tuple(f"photo {n}" for n in range(len(stack))), stack.__getitem__)


@pytest.mark.parametrize("size", [(40, 40), (90, 30), (31, 120)])
@pytest.mark.parametrize("angle", [0.0, 10.0, -45.0, 80.0, 90.0])
def test_a_turned_picture_holds_nothing_from_outside(size: tuple[int, int], angle: float) -> None:
    wide, high = upright(*size, angle)
    turn = np.radians(abs(angle))
    for x, y in ((wide, high), (wide, -high)):
        across = abs(x * np.cos(turn) + y * np.sin(turn)), abs(y * np.cos(turn) - x * np.sin(turn))
        assert all(side <= limit + 1e-6 for side, limit in zip(across, size, strict=True))
    white = torch.full((3, size[1], size[0]), 255, dtype=torch.uint8)
    assert (turned(white, angle, 0.5) == 255).all(), "black came in from outside"


def test_turning_goes_by_the_angle_and_keeps_what_is_seen() -> None:
    x = np.mgrid[:300, :300][1]
    stripes = (127 + 100 * np.sin(2 * np.pi * x / 12))[..., None].repeat(3, 2).astype(np.uint8)
    gray = turned(torch.from_numpy(stripes.transpose(2, 0, 1).copy()), 30, 0.5)[0].double().numpy()
    spectrum = np.abs(np.fft.rfft2(gray - gray.mean()))
    row, column = np.unravel_index(spectrum.argmax(), spectrum.shape)
    down, right = np.fft.fftfreq(gray.shape[0])[row], np.fft.rfftfreq(gray.shape[1])[column]
    assert np.hypot(down, right) == pytest.approx(1 / 6, rel=0.05)
    assert abs(np.degrees(np.arctan2(down, right))) == pytest.approx(30, abs=2)


def test_turned_copies_differ_and_are_the_same_at_every_call() -> None:
    photos = photographs(data.astronaut()[::2, ::2], data.coffee()[::2, ::2])
    copies = turned_set(photos, 2)
    assert copies.names[:2] == ("photo 0, turned 1", "photo 0, turned 2") and len(copies) == 4
    assert torch.equal(copies.load(3), turned_set(photos, 2).load(3))
    assert copies.load(0).shape != copies.load(1).shape
    assert len(turned_set(photos, 0)) == 0


def test_collages_hold_the_photographs_and_clean_edges() -> None:
    red, green = np.zeros((200, 90, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    red[..., 0], green[..., 1] = 200, 200
    collages = collage_set(photographs(red, green), 2, side=128)
    first = collages.load(0)
    assert first.shape == (3, 128, 128) and first.dtype == torch.uint8
    assert torch.equal(first, collages.load(0)) and not torch.equal(first, collages.load(1))
    pixels = first.permute(1, 2, 0).reshape(-1, 3).int()
    seen = [
        ((pixels - torch.tensor(color)).abs().sum(1) < 9).sum()
        for color in (red[0, 0], green[0, 0])
    ]
    assert min(seen) > 200, "both photographs are there as they are"


def test_a_collage_leaves_out_what_cannot_be_read() -> None:
    def load(number: int) -> torch.Tensor:
        if number:
            raise InputError(f"{number}: broken")
        return torch.full((3, 80, 80), 77, dtype=torch.uint8)

    assert 77 in collage_set(ImageSet(("0", "1", "2"), load), 1, side=64).load(0)
    broken = ImageSet(("0", "1"), lambda n: load(n + 1))
    with pytest.raises(InputError, match="broken"):
        collage_set(broken, 1, side=64).load(0)


def test_sets_one_after_the_other_keep_their_pictures() -> None:
    one, two = drawn_set(2, side=32), drawn_set(3, side=48)
    both = one + two
    assert len(both) == 5 and both.names == one.names + two.names
    assert [both.load(n).shape[1] for n in range(5)] == [32, 32, 48, 48, 48]
    assert torch.equal(both.load(3), two.load(1))

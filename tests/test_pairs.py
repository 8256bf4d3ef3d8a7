"""Test sets in every layout that is recognised, and pairs that are none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from reslift.datasets.folder import find_images
from reslift.datasets.pairs import find_test_set, lr_files, read_pair
from reslift.degradations import Bicubic
from reslift.errors import InputError

HR = data.astronaut()[:96, :120]
LR = np.asarray(Image.fromarray(HR).resize((30, 24), Image.Resampling.BICUBIC))


def put(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


LAYOUTS = {
    "benchmark": ("set", "set/HR/a.png", "set/LRx4/a.png", "set"),
    "its HR": ("set/HR", "set/HR/a.png", "set/LRx4/a.png", "set"),
    "basicsr": ("Set5", "Set5/GTmod12/a.png", "Set5/LRbicx4/a.png", "Set5"),
    "div2k": ("d", "d/DIV2K_valid_HR/1.png", "d/DIV2K_valid_LR_bicubic/X4/1x4.png", "DIV2K_valid"),
    "div2k HR": (
        "d/DIV2K_valid_HR",
        "d/DIV2K_valid_HR/1.png",
        "d/DIV2K_valid_LR_bicubic/X4/1x4.png",
        "DIV2K_valid",
    ),
    "urban": ("u", "u/img_001_SRF_4_HR.png", "u/img_001_SRF_4_LR.png", "u"),
    "beside": ("b", "b/a.png", "b/LRx4/a.png", "b"),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(tmp_path, name):
    folder, hr, lr, called = LAYOUTS[name]
    put(tmp_path / hr, HR)
    put(tmp_path / lr, LR)
    found = find_test_set(tmp_path / folder, 4)
    assert (found.name, found.made, len(found.files)) == (called, False, 1)
    assert found.files[0].hr == tmp_path / hr and found.files[0].lr == tmp_path / lr
    pair = read_pair(found.files[0], Bicubic(4))
    assert torch.equal(pair.lr[0].permute(1, 2, 0), torch.from_numpy(LR.copy()))
    made = find_test_set(tmp_path / folder, 4, made=True)
    assert made.made and made.files[0].lr is None and len(made.files) == 1


def test_lr_folder_can_be_named(tmp_path):
    put(tmp_path / "large/a.png", HR)
    put(tmp_path / "small/a_x4.png", LR)
    found = find_test_set(tmp_path / "large", 4, tmp_path / "small")
    assert found.files[0].lr == tmp_path / "small/a_x4.png"


def test_another_scale_makes_its_lr(tmp_path):
    put(tmp_path / "set/HR/a.png", HR)
    put(tmp_path / "set/LRx4/a.png", LR)
    assert find_test_set(tmp_path / "set", 3).made


def test_hr_alone_in_order_and_below(tmp_path):
    for name in ("img_10.png", "img_2.png", ".hidden.png", "notes.txt"):
        put(tmp_path / "flat" / name, HR) if name[-1] == "g" else None
    (tmp_path / "flat/notes.txt").write_text("x")
    found = find_test_set(tmp_path / "flat", 2)
    assert [f.name for f in found.files] == ["img_2.png", "img_10.png"]
    put(tmp_path / "deep/person/a.png", HR)
    assert [f.name for f in find_test_set(tmp_path / "deep", 2).files] == ["person/a.png"]


def test_folders_that_hold_nothing_are_refused(tmp_path):
    for folder, lr in ((tmp_path / "no", None), (tmp_path, None), (tmp_path, tmp_path / "no")):
        with pytest.raises(InputError, match=r"no such folder|no picture"):
            find_test_set(folder, 2, lr)


def test_made_lr_is_of_the_cropped_whole(tmp_path):
    put(tmp_path / "a.png", HR[:95, :118])
    pair = read_pair(find_test_set(tmp_path, 4).files[0], Bicubic(4))
    assert pair.hr.shape == (1, 3, 92, 116) and pair.lr.shape == (1, 3, 23, 29)
    assert torch.equal(pair.lr, Bicubic(4)(pair.hr))


def test_missing_partner_is_said(tmp_path):
    put(tmp_path / "HR/a.png", HR)
    put(tmp_path / "HR/b.png", HR)
    put(tmp_path / "LRx4/a.png", LR)
    found = find_test_set(tmp_path, 4)
    assert [f.missing != "" for f in found.files] == [False, True]
    with pytest.raises(InputError, match=r"b\.png: no LR of that name"):
        read_pair(found.files[1], Bicubic(4))


def test_wrong_scale_is_named(tmp_path):
    put(tmp_path / "HR/a.png", HR)
    put(tmp_path / "LRx2/a.png", LR)
    with pytest.raises(InputError, match="looks like scale 4"):
        read_pair(find_test_set(tmp_path, 2).files[0], Bicubic(2))


def test_rest_of_hr_is_cropped(tmp_path):
    put(tmp_path / "HR/a.png", data.astronaut()[:98, :123])
    put(tmp_path / "LRx4/a.png", LR)
    assert read_pair(find_test_set(tmp_path, 4).files[0], Bicubic(4)).hr.shape == (1, 3, 96, 120)


@pytest.mark.parametrize("start", [0, 2])
def test_subsampled_lr_is_a_shifted_one(tmp_path, start):
    """hr[::4, ::4], the classic mistake, lies 1.5 HR pixels off; [2::4] half a pixel."""
    put(tmp_path / "HR/a.png", HR)
    put(tmp_path / "LRx4/a.png", np.ascontiguousarray(HR[start::4, start::4]))
    files = find_test_set(tmp_path, 4).files[0]
    if start == 0:
        with pytest.raises(
            InputError, match=r"shifted against HR by \+0\.\d+ right, \+0\.\d+ down"
        ):
            read_pair(files, Bicubic(4))
    notes = read_pair(files, Bicubic(4), allow_shift=True).notes
    assert any("shifted" in note for note in notes)


def test_gray_files_stay_gray(tmp_path):
    put(tmp_path / "HR/a.png", HR[..., 1])
    put(tmp_path / "LRx4/a.png", np.repeat(LR[..., 1:2], 3, 2))
    pair = read_pair(find_test_set(tmp_path, 4).files[0], Bicubic(4))
    assert pair.hr.shape[1] == pair.lr.shape[1] == 1
    put(tmp_path / "other/HR/a.png", HR)
    put(tmp_path / "other/LRx4/a.png", LR[..., 1])
    assert read_pair(find_test_set(tmp_path / "other", 4).files[0], Bicubic(4)).lr.shape[1] == 3


def test_alpha_and_depth_are_remarked(tmp_path):
    opaque = np.full((*HR.shape[:2], 1), 255, np.uint8)
    put(tmp_path / "a.png", np.concatenate([HR, opaque], 2))
    Image.fromarray(HR[..., 0].astype(np.uint16) * 257).save(tmp_path / "b.png")
    with Image.open(tmp_path / "a.png") as image:
        image.convert("CMYK").save(tmp_path / "c.jpg")
    a, b, c = find_test_set(tmp_path, 2).files
    assert read_pair(a, Bicubic(2)).notes == ("alpha is not judged",)
    deep = read_pair(b, Bicubic(2))
    assert deep.notes == ("16 bit is judged at 8 bit",)
    assert np.array_equal(deep.hr[0, 0].numpy(), HR[..., 0])
    with pytest.raises(InputError, match="CMYK"):
        read_pair(c, Bicubic(2))


def test_two_lr_files_of_one_name_are_no_pair_unless_their_kind_tells_them_apart(tmp_path):
    for name in ("a.png", "b.png", "b.jpg"):
        put(tmp_path / "set/HR" / name, HR)
    for name in ("a.jpg", "a.bmp", "b.png", "b.jpg"):
        put(tmp_path / "set/LRx4" / name, LR)
    found = {files.name: files for files in find_test_set(tmp_path / "set", 4).files}
    with pytest.raises(InputError, match=r"a\.png: a\.bmp and a\.jpg in .*LRx4 may be its LR"):
        read_pair(found["a.png"], Bicubic(4))
    for name in ("b.png", "b.jpg"):
        assert found[name].missing == "" and found[name].lr == tmp_path / "set/LRx4" / name
    every = list((tmp_path / "set").rglob("*.*"))
    assert {path.parent.name for path in lr_files(every)} == {"LRx4"}
    assert len(lr_files(every)) == 4


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("data_batch_1.bin", "binary batches of CIFAR-10, which `reslift latent`"),
        ("data_batch_1", "the pickled Python version of CIFAR-10"),
        ("notes.txt", "no picture in this folder"),
    ],
)
def test_a_folder_without_pictures_says_what_else_it_holds(tmp_path, name, said):
    place = tmp_path / "cifar-10-batches"
    place.mkdir()
    (place / name).write_bytes(bytes(3073))
    for folder in (tmp_path, place):
        with pytest.raises(InputError, match=said):
            find_test_set(folder, 4)
        with pytest.raises(InputError, match=said):
            find_images(folder)
    if "CIFAR" in said:
        with pytest.raises(InputError, match=f"it holds {said}"):
            find_test_set(place / name, 4)

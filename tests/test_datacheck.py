"""Planted faults are found and named; clean pictures give no false alarm."""

from __future__ import annotations

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

from reslift.cli import main
from reslift.datacheck import KINDS, Report, check_data
from reslift.datacheck.compression import file_quality, find_comb, table_of
from reslift.datacheck.pairs import check_pair
from reslift.datacheck.resampling import find_enlargement
from reslift.datasets.pairs import PairFiles, read_pair
from reslift.degradations import Bicubic
from reslift.likeness import luma
from reslift.pixels.shrink import shrink

PHOTOS = ("astronaut", "coffee", "chelsea", "camera", "brick", "grass", "gravel", "rocket")
FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}


@functools.cache
def photo(name: str) -> Image.Image:
    """288×288, shrunk so that whatever happened to it before is gone."""
    image = Image.fromarray(np.asarray(getattr(data, name)())).convert("RGB")
    side = min(image.size) // 6 * 6
    return image.crop((0, 0, side, side)).resize((288, 288), Image.Resampling.LANCZOS)


@functools.cache
def sharp(name: str) -> Image.Image:
    """As it is, up to 480 pixels wide and high."""
    image = Image.fromarray(np.asarray(getattr(data, name)())).convert("RGB")
    return image.crop((0, 0, min(480, image.width), min(480, image.height)))


def plane(image: Image.Image) -> np.ndarray:
    return luma(np.asarray(image))


def synthetic() -> dict[str, np.ndarray]:
    """A night sky, gradients, drawings, stripes, dots and noise, (256, 256)."""
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:256, 0:256]
    sky = rng.normal(8, 2, (256, 256))
    sky[tuple(rng.integers(2, 254, (2, 90)))] = 220
    drawing = np.full((256, 256), 230.0)
    for left, top, width, height in rng.integers(10, 120, (9, 4)):
        drawing[top : top + height, left : left + width] = rng.integers(0, 255)
    return {
        name: np.clip(np.rint(one), 0, 255).astype(np.uint8)
        for name, one in {
            "sky": sky,
            "gradient": (x + y) / 2.0,
            "soft": 128 + 90 * np.sin(x / 40) * np.cos(y / 30),
            "drawing": drawing,
            "stripes": 128 + 100 * np.sign(np.sin(x * 2 * np.pi / 6 + 0.1)),
            "dots": 128 + 90 * np.cos(x * 2 * np.pi / 3) * np.cos(y * 2 * np.pi / 3),
            "noise": rng.normal(128, 30, (256, 256)),
        }.items()
    }


def kinds(report: Report) -> list[str]:
    return [one.kind for one in report.findings]


def save(image: Image.Image | np.ndarray, path: Path, **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def test_clean_pictures_give_no_finding(tmp_path: Path) -> None:
    for name in PHOTOS:
        save(photo(name), tmp_path / f"{name}.png")
    for name, pixels in synthetic().items():
        save(pixels, tmp_path / f"{name}.png")
    report = check_data(tmp_path)
    assert report.findings == ()
    assert report.exit_code == 0
    assert report.pictures == len(PHOTOS) + len(synthetic())


@pytest.mark.parametrize("kernel", FILTERS)
@pytest.mark.parametrize("factor", [1.5, 2, 3])
def test_enlarged_pictures_are_found_and_their_factor_named(factor: float, kernel: str) -> None:
    found = []
    for name in PHOTOS:
        side = round(396 / factor)
        small = sharp(name).crop((20, 20, 20 + side, 20 + side))
        found.append(find_enlargement(plane(small.resize((396, 396), FILTERS[kernel]))))
    named = [one for one in found if one]
    assert len(named) >= 0.75 * len(PHOTOS)
    close = [
        one for one in named if min(abs(f / factor - 1) for f in (one.factor, one.other)) < 0.06
    ]
    assert len(close) >= 0.85 * len(named)


def test_repeated_pixels_are_found_exactly() -> None:
    for times in (2, 3, 4):
        small = plane(photo("astronaut"))[:90, :90]
        found = find_enlargement(small.repeat(times, 0).repeat(times, 1))
        assert found is not None
        assert found.factor == times


@pytest.mark.parametrize("factor", [1.1, 1.5, 2.5, 3.3, 6])
def test_so_are_those_repeated_unevenly(factor: float) -> None:
    picture = Image.fromarray(plane(photo("astronaut"))[:90, :110])
    wide, high = (round(side * factor) for side in picture.size)
    found = find_enlargement(np.asarray(picture.resize((wide, high), Image.Resampling.NEAREST)))
    assert found is not None
    assert found.factor == pytest.approx(factor, rel=0.02)
    assert found.period == 0


def test_so_are_those_of_a_picture_that_is_flat_for_the_most_part() -> None:
    small = plane(photo("astronaut"))[:90, :90].copy()
    small[45:] = 200
    small[:, 45:] = 200
    small[np.arange(90), np.arange(90)] = 120
    for times in (2, 3):
        found = find_enlargement(small.repeat(times, 0).repeat(times, 1))
        assert found is not None
        assert found.factor == times


def test_bars_of_one_colour_are_no_repeated_pixels() -> None:
    assert find_enlargement(np.pad(plane(sharp("astronaut")), ((0, 14), (9, 12)))) is None


def test_blocks_of_jpeg_are_no_enlargement(tmp_path: Path) -> None:
    for name in PHOTOS:
        path = save(sharp(name), tmp_path / "a.jpg", quality=60)
        assert find_enlargement(plane(Image.open(path).convert("RGB")), blocks=True) is None


def test_nor_is_the_flank_of_their_period_in_small_pictures(tmp_path: Path) -> None:
    """Gray and soft, 250 pixels a side: as faces are cut out of photographs."""
    for name in PHOTOS:
        whole = photo(name).convert("L")
        for left in range(0, whole.width - 250, 60):
            face = whole.crop((left, 0, left + 250, 250)).filter(ImageFilter.GaussianBlur(1))
            path = save(face, tmp_path / "a.jpg", quality=75)
            found = find_enlargement(np.asarray(Image.open(path)), blocks=True)
            assert found is None, (name, left, found)


@pytest.mark.parametrize("quality", [30, 60, 80, 90])
def test_quality_is_known_from_tables_and_from_pixels(tmp_path: Path, quality: int) -> None:
    for name in PHOTOS:
        path = save(photo(name), tmp_path / f"{name}.jpg", quality=quality)
        assert file_quality(path) == quality
        comb = find_comb(plane(Image.open(path).convert("RGB")))
        assert comb is not None, name
        assert abs(comb.quality - quality) <= 3
        assert comb.grid == (0, 0)


def test_a_crop_moves_the_grid_and_hides_nothing(tmp_path: Path) -> None:
    found = []
    for name in PHOTOS:
        path = save(photo(name), tmp_path / "a.jpg", quality=70)
        found.append(find_comb(plane(Image.open(path).convert("RGB").crop((3, 5, 283, 280)))))
    named = [one for one in found if one]
    assert len(named) >= 0.75 * len(PHOTOS)
    assert {one.grid for one in named} == {(3, 5)}
    assert all(abs(one.quality - 70) <= 3 for one in named)


def test_resized_after_jpeg_is_silent_as_documented(tmp_path: Path) -> None:
    path = save(photo("coffee"), tmp_path / "a.jpg", quality=50)
    assert find_comb(plane(Image.open(path).convert("RGB").resize((230, 230)))) is None


def test_the_table_of_quality_50_is_that_of_the_standard() -> None:
    assert table_of(50)[0].tolist() == [16, 11, 10, 16, 24, 40, 51, 61]
    assert table_of(100).max() == 1


def lr_of(image: Image.Image, scale: int, shift: float = 0.0, stretch: float = 1.0) -> Image.Image:
    """Shrunk by Pillow, its window moved by so many LR pixels and made wider."""
    width, height = image.width // scale, image.height // scale
    extra = image.width * (stretch - 1) / 2
    box = (shift * scale - extra, 0, image.width + shift * scale + extra, image.height)
    wide = Image.new("RGB", (image.width + 64, image.height))
    wide.paste(image.resize((image.width + 64, image.height)), (0, 0))
    wide.paste(image, (32, 0))
    box = (box[0] + 32, 0, box[2] + 32, image.height)
    return wide.resize((width, height), Image.Resampling.BICUBIC, box=box)


def test_small_lr_of_other_pictures_is_told(tmp_path: Path) -> None:
    """Their coarse detail agrees somewhere far off, which once let three of these pass."""
    rng = np.random.default_rng(0)
    names = ("astronaut", "coffee", "chelsea", "rocket")
    photos = [np.asarray(getattr(data, name)()) for name in names]
    for number in range(60):
        crops = []
        for photo_of in (photos[number % 4], photos[(number + 1) % 4]):
            top, left = (rng.integers(0, size - 96) for size in photo_of.shape[:2])
            crops.append(photo_of[top : top + 96, left : left + 96])
        if number not in (28, 45, 49):
            continue
        hr, lr = tmp_path / "hr.png", tmp_path / "lr.png"
        Image.fromarray(crops[0]).save(hr)
        for crop, is_other in zip(crops, (False, True), strict=True):
            small = shrink(crop, 48, 48, "bicubic", 255.0)
            Image.fromarray(np.rint(small).clip(0, 255).astype(np.uint8)).save(lr)
            kinds = [one.kind for one in check_pair(hr, lr, 2, ("hr", "lr"))]
            assert kinds == (["different-content"] if is_other else [])


def test_colours_that_do_not_fit_are_told(tmp_path: Path) -> None:
    hr, lr = tmp_path / "hr.png", tmp_path / "lr.png"
    image = photo("coffee")
    image.save(hr)
    small = lr_of(image, 2)
    red, green, blue = small.split()
    for picture, words in (
        (small, ()),
        (Image.merge("RGB", (blue, green, red)), ("LR has red and blue exchanged",)),
        (small.convert("L"), ("LR is gray, HR is in colour",)),
    ):
        picture.save(lr)
        found = check_pair(hr, lr, 2, ("hr", "lr"))
        assert [(one.kind, one.text) for one in found] == [("wrong-colours", w) for w in words]
        assert read_pair(PairFiles("hr.png", hr, lr), Bicubic(2)).notes == words
    image.convert("CMYK").save(tmp_path / "hr.tif")
    small.convert("CMYK").save(tmp_path / "lr.tif")
    small.save(lr)
    assert check_pair(tmp_path / "hr.tif", lr, 2, ("hr", "lr")) == []
    (found,) = check_pair(hr, tmp_path / "lr.tif", 2, ("hr", "lr"))
    assert (found.kind, found.files) == ("cmyk", ("lr",))


def test_pairs_that_do_not_fit_are_told_apart(tmp_path: Path) -> None:
    names = ("astronaut", "coffee", "chelsea", "brick", "gravel", "grass")
    planted = {"astronaut": "misaligned", "coffee": "wrong-scale", "chelsea": "different-content"}
    for name in names:
        image = photo(name)
        save(image, tmp_path / "HR" / f"{name}.png")
        lr = lr_of(image, 2)
        if name == "astronaut":
            lr = lr_of(image, 2, shift=0.4)
        if name == "coffee":
            lr = lr_of(image, 2, stretch=1.04)
        if name == "chelsea":
            lr = lr_of(photo("rocket"), 2)
        save(lr, tmp_path / "LRx2" / f"{name}.png")
    save(photo("camera"), tmp_path / "HR" / "camera.png")
    save(lr_of(photo("camera"), 3), tmp_path / "LRx2" / "camera.png")
    save(photo("rocket"), tmp_path / "HR" / "rocket.png")
    report = check_data(tmp_path)
    found = {Path(one.files[0]).stem: one for one in report.findings}
    assert {stem: one.kind for stem, one in found.items()} == {
        **planted,
        "camera": "wrong-scale",
        "rocket": "no-partner",
    }
    assert found["astronaut"].value == pytest.approx(0.4, abs=0.08)
    assert "3 across, 3 down, where the layout says 2" in found["camera"].text
    assert report.exit_code == 4
    assert report.pairs == 7


def test_hr_files_without_any_lr_are_pictures_and_no_pairs(tmp_path: Path) -> None:
    for name in ("astronaut", "coffee"):
        save(photo(name), tmp_path / f"{name}_SRF_2_HR.png")
    report = check_data(tmp_path)
    assert (report.findings, report.pairs) == ((), 0)
    save(lr_of(photo("coffee"), 2), tmp_path / "coffee_SRF_2_LR.png")
    found = check_data(tmp_path).findings
    assert [(one.kind, Path(one.files[0]).name) for one in found] == [
        ("no-partner", "astronaut_SRF_2_HR.png")
    ]


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_honest_pairs_pass_whatever_shrank_them(tmp_path: Path, scale: int) -> None:
    for number, name in enumerate(PHOTOS[:4]):
        kernel = list(FILTERS.values())[number % 3]
        size = (288 // scale, 288 // scale)
        save(photo(name), tmp_path / "HR" / f"{name}.png")
        small = photo(name).resize(size, kernel)
        path = tmp_path / f"LRx{scale}" / f"{name}.png"
        if number % 2:
            small = Image.open(save(small, tmp_path / "a.jpg", quality=70)).convert("RGB")
        save(small, path)
    (tmp_path / "a.jpg").unlink()
    report = check_data(tmp_path)
    assert report.findings == ()
    assert report.pairs == 4


def test_copies_and_leaks_are_told_apart(tmp_path: Path) -> None:
    train, val = tmp_path / "train", tmp_path / "val"
    for name in PHOTOS[:5]:
        save(photo(name), train / f"{name}.png")
    save(photo("rocket"), val / "rocket.png")
    shutil.copy(train / "coffee.png", train / "again.png")
    shutil.copy(train / "chelsea.png", val / "leak.png")
    save(photo("astronaut").resize((200, 200)), val / "small.png")
    save(photo("camera").transpose(Image.Transpose.FLIP_LEFT_RIGHT), train / "flipped.png")
    report = check_data(tmp_path)
    named = {one.kind: one.files for one in report.findings}
    assert named == {
        "leak": (f"{tmp_path.name}/train/chelsea.png", f"{tmp_path.name}/val/leak.png"),
        "near-leak": (f"{tmp_path.name}/train/astronaut.png", f"{tmp_path.name}/val/small.png"),
        "duplicate": (f"{tmp_path.name}/train/again.png", f"{tmp_path.name}/train/coffee.png"),
        "near-duplicate": (
            f"{tmp_path.name}/train/camera.png",
            f"{tmp_path.name}/train/flipped.png",
        ),
    }
    assert check_data(train, val).counts() == report.counts()


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (("Ann_Lee", "Bo_Chan", "Al_Gore"), "identity-leak"),
        (("cat", "dog", "owl"), "label-on-both-sides"),
    ],
)
def test_persons_on_both_sides_are_a_fault_and_classes_are_not(
    tmp_path: Path, names: tuple[str, ...], kind: str
) -> None:
    rng = np.random.default_rng(0)
    for side, chosen in (("train", names[:2]), ("val", names[1:])):
        for name in chosen:
            for number in range(2):
                pixels = rng.integers(0, 255, (40, 40), np.uint8)
                save(pixels, tmp_path / side / name / f"{name}_{number:04}.png")
    report = check_data(tmp_path)
    assert kinds(report) == [kind]
    assert report.findings[0].files == (names[1],)
    assert report.exit_code == (4 if kind == "identity-leak" else 0)


def test_odd_and_broken_files_are_named_with_what_was_measured(tmp_path: Path) -> None:
    image = photo("coffee")
    whole = save(image, tmp_path / "good.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.png").write_text("not a picture", encoding="utf-8")
    save(photo("astronaut").quantize(64), tmp_path / "palette.png")
    save(photo("chelsea").convert("CMYK"), tmp_path / "cmyk.tif")
    save(photo("gravel").convert("RGBA"), tmp_path / "alpha.png")
    save(photo("brick"), tmp_path / "really.tif", format="PNG")
    save(photo("rocket").resize((40, 20)), tmp_path / "tiny.png")
    save(Image.new("RGB", (64, 64), (9, 9, 9)), tmp_path / "black.png")
    noise = np.random.default_rng(0).integers(100, 103, (64, 64), np.uint8)
    save(noise, tmp_path / "flat.png")
    save(photo("grass"), tmp_path / "bad.jpg", quality=40)
    report = check_data(tmp_path)
    found = {(Path(one.files[0]).name, one.kind) for one in report.findings}
    assert found == {
        ("cut.png", "unreadable"),
        ("empty.jpg", "unreadable"),
        ("text.png", "unreadable"),
        ("palette.png", "palette"),
        ("cmyk.tif", "cmyk"),
        ("alpha.png", "alpha"),
        ("really.tif", "wrong-suffix"),
        ("tiny.png", "too-small"),
        ("black.png", "single-colour"),
        ("flat.png", "flat"),
        ("bad.jpg", "jpeg"),
    }
    values = {one.kind: (one.value, one.threshold) for one in report.findings}
    assert values["jpeg"] == (40, 90)
    assert values["too-small"] == (20, 32)
    order = list(KINDS)
    assert kinds(report) == sorted(kinds(report), key=order.index)


def test_command_prints_a_table_writes_json_and_exits_4(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, val, out = tmp_path / "a", tmp_path / "b", tmp_path / "found.json"
    save(photo("coffee"), train / "one.png")
    save(photo("coffee").resize((180, 180)), val / "two.png")
    words = ["data", "check", str(train), "--val", str(val), "--json", str(out)]
    assert main(words) == 4
    printed = capsys.readouterr().out
    assert "FAULTS (1)" in printed
    assert "near-leak" in printed
    assert "[threshold 0.7]" in printed
    written = json.loads(out.read_text(encoding="utf-8"))
    assert written["counts"] == {"near-leak": 1}
    assert written["findings"][0]["files"] == ["a/one.png", "b/two.png"]
    assert main(words) == 2, "an existing file is kept without --overwrite"
    capsys.readouterr()
    assert main([*words[:-2], "-q"]) == 4
    quiet = capsys.readouterr()
    assert "near-leak" in quiet.out and "pictures" not in quiet.out and not quiet.err
    shutil.rmtree(val)
    assert main(words[:3]) == 0
    assert main(["data", "check"]) == 2
    assert main(["data", "check", str(val)]) == 1
    assert main(["data", "list", "--val", str(train)]) == 2


def test_the_answer_does_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    for number in range(6):
        save(photo(PHOTOS[number % 3]).resize((100 + number, 100)), tmp_path / f"{number}.png")
    assert check_data(tmp_path, workers=2) == check_data(tmp_path, workers=1)


def test_a_folder_of_other_files_and_a_file_are_said_to_be_such(tmp_path, capsys):
    (tmp_path / "a").write_bytes(bytes(128) + b"DICM" + bytes(400))
    assert main(["data", "check", str(tmp_path)]) == 1
    told = capsys.readouterr().err
    assert "no still picture in this folder, but a DICOM file" in told
    assert "which `reslift upscale` takes" in told
    assert main(["data", "check", str(tmp_path / "a")]) == 1
    assert "it is a file; name the folder that holds it" in capsys.readouterr().err

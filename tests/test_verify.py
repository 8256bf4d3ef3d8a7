"""Shrinking by a stated kernel; comparing pictures enlarged somehow with their originals."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image, ImageDraw
from skimage import data

from medical_samples import dicom, waves
from reslift import formats
from reslift.cli import main
from reslift.errors import InputError, UnknownName, UsageError
from reslift.formats import Picture, vips
from reslift.media import Wishes, large_tiff
from reslift.pixels.resize import downscale8
from reslift.pixels.shrink import shrink
from reslift.sizes import Size
from reslift.upscale import Upscaler
from reslift.verify import verify
from small_models import bicubic_lift, made
from test_recorded import KINDS


@pytest.fixture(scope="module")
def photo():
    return np.ascontiguousarray(data.astronaut()[60:252, 150:342])


def save(path, pixels, space="rgb", alpha=False):
    formats.write(path, Picture(np.ascontiguousarray(pixels), space, alpha), overwrite=True)
    return path


@pytest.fixture
def pair(tmp_path, photo):
    small = shrink(photo, 48, 48, "bicubic", 255).astype(np.uint8)
    return save(tmp_path / "small.png", small), save(tmp_path / "large.png", photo)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_is_the_one_of_the_benchmarks(photo, scale):
    hr = torch.from_numpy(photo.transpose(2, 0, 1))[None]
    want = downscale8(hr, scale)[0].numpy().transpose(1, 2, 0)
    side = 192 // scale
    assert np.array_equal(shrink(photo, side, side, "bicubic", 255), want)


@pytest.mark.parametrize("sides", [(64, 64), (77, 101), (192, 1), (5, 150)])
def test_box_is_the_mean_over_the_area(photo, sides):
    height, width = sides
    fine = photo.repeat(height, 0).repeat(width, 1)[:, :, :1].astype(np.float64)
    want = fine.reshape(height, 192, width, 192).mean((1, 3))
    got = shrink(photo[..., :1], height, width, "box", 255, rounded=False)
    assert np.allclose(got[..., 0], want, atol=1e-9)


def test_the_truth_agrees_with_what_was_made_from_it(pair):
    found = verify(*pair)
    assert found.holds
    assert found.largest == 0
    assert found.scale == (4, 4)
    assert [channel.name for channel in found.channels] == ["red", "green", "blue"]
    assert 0.3 < max(channel.unrounded for channel in found.channels) < 1.5


def test_a_change_is_found_in_its_channel_with_its_size(pair, photo, tmp_path):
    changed = photo.astype(int)
    changed[80:96, 80:96, 1] += np.where(changed[80:96, 80:96, 1] < 128, 40, -40)
    red, green, blue = verify(pair[0], save(tmp_path / "c.png", changed.astype(np.uint8))).channels
    assert red.largest == blue.largest == 0
    assert 30 <= green.largest <= 50
    assert 0 < green.beyond < 0.05
    assert 0 < green.mean < 0.5


def test_any_scale_is_found_from_the_sizes(pair, tmp_path):
    with Image.open(pair[0]) as small:
        small.resize((83, 83), Image.Resampling.BICUBIC).save(tmp_path / "b.png")
    found = verify(pair[0], tmp_path / "b.png", tolerance=30)
    assert found.scale == pytest.approx((83 / 48, 83 / 48))
    assert found.holds
    assert found.largest > 1


def test_hidden_colours_do_not_count(tmp_path):
    small = np.full((24, 24, 4), 90, np.uint8)
    small[:, :12, 3] = 0
    small[:, 12:, 3] = 255
    large = small.repeat(2, 0).repeat(2, 1)
    hidden = large.copy()
    hidden[:, :24, :3] = 7
    seen = hidden.copy()
    seen[:, 40:, :3] = 7
    files = [
        save(tmp_path / f"{n}.png", p, alpha=True) for n, p in enumerate((small, hidden, seen))
    ]
    kept, lost = (verify(files[0], file, kernel="box") for file in files[1:])
    assert kept.holds
    assert kept.compared == 24 * 12
    assert lost.channels[0].largest == 83
    assert lost.channels[3].name == "alpha"
    assert lost.channels[3].largest == 0


@pytest.mark.parametrize(
    ("space", "names"), [("gray", ["gray"]), ("cmyk", ["cyan", "magenta", "yellow", "black"])]
)
def test_kinds_and_depths(tmp_path, space, names):
    rng = np.random.default_rng(0)
    small = rng.integers(0, 65536, (9, 11, len(names)), dtype=np.uint16)
    files = [save(tmp_path / "a.tif", small, space)]
    files.append(save(tmp_path / "b.tif", small.repeat(3, 0).repeat(3, 1), space))
    eight = np.rint(small.repeat(3, 0).repeat(3, 1) / 257).astype(np.uint8)
    files.append(save(tmp_path / "c.tif", eight, space))
    deep, mixed = (verify(files[0], file, kernel="box") for file in files[1:])
    assert [channel.name for channel in deep.channels] == names
    assert deep.holds
    assert deep.bits == 16
    assert deep.largest == 0
    assert mixed.bits == 8
    assert mixed.largest == 0
    assert "levels of 8" in mixed.notes[0]


def test_orientation_is_applied_to_both(tmp_path, pair, photo):
    turned = Image.fromarray(np.rot90(photo, -1))
    exif = Image.Exif()
    exif[274] = 8
    turned.save(tmp_path / "t.png", exif=exif)
    assert verify(pair[0], tmp_path / "t.png").largest == 0


def test_the_command_says_it_and_ends_with_4(pair, photo, tmp_path, capsys):
    assert main(["verify", *map(str, pair)]) == 0
    assert capsys.readouterr().out.endswith(": holds: largest difference 0, limit 1 level\n")
    dark = save(tmp_path / "dark.png", photo // 2)
    assert main(["verify", str(pair[0]), str(dark)]) == 4
    verdict = capsys.readouterr().out.splitlines()[-1]
    found = verify(pair[0], dark)
    assert verdict == f"{dark}: does not hold: largest difference {found.largest:g}, limit 1 level"
    assert main(["verify", str(pair[0]), str(dark), "--json", "--tolerance", "255"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["holds"]
    assert found["largest"] > 50


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_the_columns_stay_apart_with_large_numbers(tmp_path, kind, capsys):
    files = [tmp_path / "a.tif", tmp_path / "b.tif"]
    top = 65535 if kind is np.uint16 else 1
    for file, value, side in zip(files, (0, top), (16, 32), strict=True):
        pixels = np.full((side, side), value, kind)
        pixels[:2, :2] = top - value
        tifffile.imwrite(file, pixels, photometric="minisblack")
    assert main(["verify", *map(str, files), "--kernel", "box"]) == 4
    lines = capsys.readouterr().out.splitlines()
    at = next(at for at, line in enumerate(lines) if line.startswith("channel"))
    head, row = lines[at : at + 2]
    numbers = row.split()[1:]
    assert len(numbers) == len(head.replace("a level", "level").split()) - 1
    assert all(float(number) >= 0 for number in numbers)
    assert len(row) == len(head)


def test_what_cannot_be_compared_is_refused(pair, tmp_path):
    with pytest.raises(InputError, match="no enlargement"):
        verify(pair[1], pair[0])
    cmyk = save(tmp_path / "c.tif", np.zeros((96, 96, 4), np.uint8), "cmyk")
    with pytest.raises(InputError, match="cannot be compared"):
        verify(pair[0], cmyk)
    with pytest.raises(UnknownName, match="did you mean bicubic"):
        verify(*pair, kernel="bicubik")
    with pytest.raises(UsageError, match="tolerance"):
        verify(*pair, tolerance=-1)


def test_where_nothing_is_compared_nothing_holds(tmp_path, capsys):
    veiled = np.full((12, 12, 4), 128, np.uint8)
    source = save(tmp_path / "a.png", veiled, alpha=True)
    result = save(tmp_path / "b.png", np.zeros((24, 24, 3), np.uint8))
    assert main(["verify", str(source), str(result)]) == 4
    assert "no pixel counts" in capsys.readouterr().out


def test_files_of_unlike_kinds_are_named_with_their_kinds(pair, tmp_path):
    small, large = pair
    frames = [Image.new("L", (8 * side, 8 * side), level) for side, level in ((24, 0), (24, 200))]
    moving, pages = tmp_path / "a.gif", tmp_path / "a.tif"
    for path in (moving, pages):
        frames[0].save(path, save_all=True, append_images=frames[1:])
    with pytest.raises(InputError, match=r"large.png beside .*a.gif: a still picture"):
        verify(moving, large)
    for path in (moving, pages):
        with pytest.raises(InputError, match="cannot be compared with a still picture"):
            verify(small, path)
    with pytest.raises(InputError, match=r"absent.gif: No such file"):
        verify(moving, tmp_path / "absent.gif")


@pytest.mark.parametrize("name", ["a.png", "a.dcm", "a.nii", "geo.tif", "pages.tif", "a.gif"])
def test_of_every_kind_samples_are_made_to_agree_and_are_compared(name, tmp_path):
    """Wherever no sample is lost; a GIF keeps 256 colours, and its samples are not compared."""
    source = KINDS[name][0](tmp_path / name)
    target, plain = tmp_path / f"b-{name}", bicubic_lift()
    recipe = {"scale": 2, "degradation": {"name": "bicubic"}, "phases": [{"loss": {"l1": 1.0}}]}
    card = made(plain).card.model_copy(update={"recipe": recipe})
    upscaler = Upscaler(plain, card, device="cpu")
    notes = upscaler.upscale_file(source, target, Wishes(provenance_file=True))
    told = json.loads(target.with_name(f"{target.name}.provenance.json").read_text())
    found = verify(source, target)
    if name == "a.gif":
        assert told["options"]["kernel"] is None
        assert not found.channels
        assert "samples are not compared" in found.notes[0]
        return
    assert told["options"]["kernel"] == "bicubic"
    assert found.channels
    assert not found.findings
    said = [note for note in notes if "differs from the input by up to" in note]
    assert len(said) == (not found.holds)
    other = KINDS[name][0](tmp_path / f"c-{name}")
    upscaler.consistent = False
    upscaler.upscale_file(other, tmp_path / f"d-{name}", Wishes(provenance_file=True))
    told = json.loads((tmp_path / f"d-{name}.provenance.json").read_text())
    assert told["options"]["kernel"] is None
    assert found.holds or found.largest < verify(other, tmp_path / f"d-{name}").largest / 2


@pytest.mark.parametrize(("seed", "holds"), [(256, True), (269, True), (7, False)])
def test_the_note_of_a_still_picture_counts_as_verify_does(tmp_path, seed, holds):
    """Strokes whose result lacks 1.3 to 1.4 levels before rounding, which is one after."""
    rng, image = np.random.default_rng(seed), Image.new("L", (60, 50), 128)
    for _ in range(6 + seed % 9):
        ends = tuple(map(int, rng.integers(0, 60, 4)))
        ImageDraw.Draw(image).line(ends, fill=int(rng.integers(0, 256)))
    source, target = tmp_path / "a.png", tmp_path / "b.png"
    image.save(source)
    plain = bicubic_lift()
    recipe = {"scale": 2, "degradation": {"name": "bicubic"}, "phases": [{"loss": {"l1": 1.0}}]}
    card = made(plain).card.model_copy(update={"recipe": recipe})
    notes = Upscaler(plain, card, device="cpu").upscale_file(source, target)
    found = verify(source, target)
    assert found.channels[0].unrounded > 1
    assert found.holds == holds
    said = [note for note in notes if "differs from the input by up to" in note]
    assert len(said) == (not holds)
    assert holds or f"up to {found.largest:.3g} levels" in said[0]


def test_a_note_says_once_where_measured_values_cannot_agree(tmp_path):
    smooth = waves(40, 32, 100, 900).astype(np.uint16)
    sharp = smooth.copy()
    sharp[8:24:2, 8:24:2] = 4095
    padded = smooth.copy()
    padded[:, :9] = 0
    upscaler, wishes = made(bicubic_lift(), consistent=True), Wishes(overwrite=True)
    for pixels, more, lacks in (
        (smooth, {}, False),
        (np.stack((smooth, sharp, sharp)), {}, True),
        (padded, {"PixelPaddingValue": 0}, False),
    ):
        source, target = dicom(tmp_path / "a.dcm", pixels, **more), tmp_path / "b.dcm"
        said = upscaler.upscale_file(source, target, wishes)
        assert len(said) == lacks
        assert verify(source, target).holds != lacks
        assert all("by up to" in note for note in said)
        marked = replace(wishes, not_for_diagnosis=True)
        assert not upscaler.upscale_file(source, target, marked)
    other = made(bicubic_lift(), consistent=True, size=Size(scale=1.5))
    (said,) = other.upscale_file(source, target, wishes)
    assert said.startswith("--consistent has no effect")


def test_a_tiff_larger_than_memory_is_compared_in_windows(tmp_path, photo, monkeypatch):
    monkeypatch.setattr(large_tiff, "LARGE", 100)
    small = shrink(photo, 48, 48, "bicubic", 255).astype(np.uint8)
    files = [save(tmp_path / "a.tif", small), save(tmp_path / "b.tif", photo)]
    changed = photo.copy()
    changed[80:96, 80:96, 1] ^= 64
    files.append(save(tmp_path / "c.tif", changed))
    assert large_tiff.LargeTiff().recognises(files[0], files[0].read_bytes()[:4096])
    kept, lost = (verify(files[0], file) for file in files[1:])
    assert kept.holds
    assert [one.largest > 20 for one in lost.channels] == [False, True, False]
    assert "67 million" in lost.notes[0]


def test_a_result_that_hides_what_it_holds_is_told(pair, photo, tmp_path):
    """Its samples agree, and nothing of them is seen."""
    hidden = np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)])
    shown = verify(pair[0], save(tmp_path / "a.png", hidden, alpha=True))
    assert shown.holds
    hidden[:96, :, 3] = 0
    found = verify(pair[0], save(tmp_path / "b.png", hidden, alpha=True))
    assert found.largest <= 1
    assert not found.holds
    assert found.findings == ("50.00% of the result is transparent; the source has no alpha",)


def test_samples_of_another_profile_are_told(pair, photo, tmp_path):
    """The same numbers are other colours; sRGB, said or not, is the same."""

    def profiled(name, pixels, icc, space="rgb"):
        formats.write(tmp_path / name, Picture(pixels, space, False, icc=icc), overwrite=True)
        return tmp_path / name

    library = vips.library()
    p3 = library.Image.black(1, 1, bands=3).copy(interpretation="srgb").icc_transform("p3")
    srgb = library.Image.black(1, 1, bands=3).copy(interpretation="srgb").icc_transform("srgb")
    wide, usual = (image.get("icc-profile-data") for image in (p3, srgb))
    for icc in (usual, b"damaged" * 30):
        assert verify(pair[0], profiled("same.png", photo, icc)).holds
    small = formats.read(pair[0]).pixels
    assert verify(profiled("s.png", small, wide), profiled("l.png", photo, wide)).holds
    for given, icc in ((pair[0], wide), (tmp_path / "s.png", None), (tmp_path / "s.png", usual)):
        found = verify(given, profiled("other.png", photo, icc))
        assert found.largest <= 1
        assert not found.holds
        assert "profile is not that of the source" in found.findings[0]
    cmyk = np.zeros((8, 8, 4), np.uint8), np.zeros((16, 16, 4), np.uint8)
    one, other = (profiled(f"{n}.tif", ink, None, "cmyk") for n, ink in enumerate(cmyk))
    assert verify(one, other).holds

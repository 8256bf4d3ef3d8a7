"""Intervals: that they hold, where they are stored, what stands beside a result."""

import math
import re
import shutil

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from skimage import data

from kill_points import room
from reslift import checkpoint
from reslift.calibrate import (
    calibrate,
    coverage,
    errors_and_scales,
    judge_on,
    judged,
    own_pictures,
)
from reslift.cli import main
from reslift.errors import CheckpointError, InputError, OutputError, UsageError
from reslift.media import Wishes
from reslift.pixels.planes import Planes
from reslift.sizes import Size
from reslift.uncertainty import (
    LEVELS,
    Calibration,
    FitPart,
    Judge,
    Judged,
    ScaleHead,
    Scores,
    attach,
    fit_head,
    half_widths,
    load_judge,
    log_scales,
)
from reslift.uncertainty.head import LEAST, negative_log_likelihood
from reslift.upscale import load
from small_models import saved, small_lift

SHORT = FitPart(steps=60, batch=4, patch=24)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        Image.fromarray(getattr(data, name)()[40:232, 60:252]).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def calibrated(photos, tmp_path_factory):
    """A small model's checkpoint with head and calibration in it."""
    folder = tmp_path_factory.mktemp("models")
    source = saved(folder / "plain.safetensors", small_lift(2))
    done = calibrate(source, photos, crop=192, hold_out=0.5, fit=SHORT)
    attach(source, done.judge, folder / "judged.safetensors")
    return folder / "judged.safetensors"


def planted(seed, side=96, scale=2):
    """A picture whose errors are Laplace, of a scale that its brightness tells."""
    generator = np.random.default_rng(seed)
    lr = np.repeat(generator.integers(60, 180, (side // 8, side // 8, 1)), 3, 2).astype(np.uint8)
    lr = lr.repeat(8, 0).repeat(8, 1)
    sr = lr.repeat(scale, 0).repeat(scale, 1)
    size = np.where(sr[..., :1] > 120, 12.0, 2.0)
    error = generator.laplace(0, 1, sr.shape) * size
    return Judged(f"{seed}", lr, sr, np.clip(np.rint(sr + error), 0, 255).astype(np.uint8))


def test_the_likelihood_is_that_of_laplace():
    error, log_scale = torch.rand(2, 3, 5, 4), torch.randn(2, 1, 5, 4)
    laplace = torch.distributions.Laplace(torch.zeros(()), log_scale.exp())
    wanted = -laplace.log_prob(error).mean() - math.log(2)
    assert torch.allclose(negative_log_likelihood(log_scale, error), wanted, atol=1e-5)


def test_a_head_finds_the_scale_that_was_planted():
    pictures = [planted(seed) for seed in range(4)]
    head = fit_head(pictures, 2, FitPart(steps=150, batch=8, patch=24, rate=5e-3))
    fresh = planted(9)
    log_scale, _ = errors_and_scales(head, fresh)
    bright = fresh.sr[16:-16, 16:-16, 0] > 120
    found = [float(255 * np.exp(np.median(log_scale[side]))) for side in (bright, ~bright)]
    assert found[0] == pytest.approx(12, rel=0.25) and found[1] == pytest.approx(2, rel=0.35)


@pytest.mark.parametrize("level", LEVELS)
def test_an_interval_holds_what_it_promises_wherever_the_head_is_sure_or_not(level):
    """Errors of Student's t, which the head's likelihood does not know, at ten scales.

    What is promised is a little more than the level, since twenty pictures are not all.
    """
    generator = np.random.default_rng(1)
    scores, checks = Scores(), []
    for part in range(2):
        log_scale = np.linspace(-6, -2, 400, dtype=np.float32)[:, None].repeat(600, 1)
        error = np.abs(generator.standard_t(3, (400, 600, 3))) * np.exp(log_scale)[..., None] * 0.7
        if part == 0:
            for few in range(20):
                scores.add(log_scale[:, few::20], error[:, few::20].astype(np.float32))
        else:
            half = scores.calibrate().half_width(log_scale, level)
            checks = [(error[rows] <= half[rows, :, None]).mean() for rows in _fifths(400)]
    raised = min(level * 21 / 20, (1 + level) / 2)
    assert np.abs(np.array(checks) - raised).max() < 0.012


def test_few_pictures_that_differ_promise_the_next_one_no_less():
    """Each picture has errors of its own size; without the spare share it would be 0.896."""
    generator = np.random.default_rng(3)
    flat = np.full((40, 60), -4, np.float32)
    covered = []
    for _ in range(60):
        errors = [
            np.abs(generator.laplace(size=(40, 60, 1))) * np.exp(generator.normal(-4, 0.5))
            for _ in range(11)
        ]
        scores = Scores()
        for error in errors[1:]:
            scores.add(flat, error.astype(np.float32))
        half = scores.calibrate().half_width(flat, 0.9)
        covered.append((errors[0] <= half[..., None]).mean())
    assert 0.9 < np.mean(covered) < 0.95


def _fifths(rows):
    return [slice(rows * n // 5, rows * (n + 1) // 5) for n in range(5)]


def test_calibration_of_planted_pictures_holds_on_others():
    head = fit_head([planted(s) for s in range(3)], 2, FitPart(steps=80, batch=8, patch=24))
    scores = Scores()
    for seed in range(3, 6):
        scores.add(*errors_and_scales(head, planted(seed)))
    judge = Judge(head, scores.calibrate("planted"))
    found = coverage(judge, [planted(seed) for seed in range(6, 9)])
    assert found.covered == pytest.approx(0.95, abs=0.02)  # three pictures: half the way to 1
    assert found.width < 0.92 * found.constant, "no better than one width for all"


def test_what_brightness_tells_is_counted_where_the_head_cannot_know_it():
    """A head that tells one scale for all, and errors that double towards white."""

    def shaded(seed):
        generator = np.random.default_rng(seed)
        lr = generator.integers(0, 256, (96, 96, 1), np.uint8).repeat(3, 2)
        sr = lr.repeat(2, 0).repeat(2, 1)
        error = generator.laplace(0, 1, sr.shape) * (4 + 4 * (sr[..., :1] / 255))
        return Judged(f"{seed}", lr, sr, sr + error)

    head = ScaleHead(2, width=4, blocks=1).eval()
    pictures = [shaded(seed) for seed in range(24)]
    judge = judge_on(pictures[:20], head)
    black, white = (float(judge.head.shades[k].exp()) for k in (0, -1))
    assert white / black == pytest.approx(2, rel=0.2)
    for picture in pictures[20:]:
        log_scale, error = errors_and_scales(judge.head, picture)
        half = half_widths(log_scale, judge.calibration, 0.9)[..., None]
        bright = picture.sr[16:-16, 16:-16, 0] // 52
        held = [(error <= half)[bright == fifth].mean() for fifth in range(5)]
        assert min(held) > 0.91 and max(held) < 0.97, held  # 0.945 promised; 0.90 to 0.98 without


def test_a_checkpoint_from_before_there_were_shades_is_read(calibrated, tmp_path):
    with safe_open(calibrated, "pt") as stored:
        names = [name for name in stored.keys() if not name.endswith("shades")]  # noqa: SIM118
        kept, card = {name: stored.get_tensor(name) for name in names}, stored.metadata()
    save_file(kept, tmp_path / "old.safetensors", card)
    found = load_judge(tmp_path / "old.safetensors")
    assert load_judge(calibrated).head.shades.any() and not found.head.shades.any()


def test_scales_do_not_depend_on_the_cells():
    torch.manual_seed(0)
    head = ScaleHead(2, width=8, blocks=1).eval()
    torch.nn.init.normal_(head.tail.weight, std=0.2)
    generator = np.random.default_rng(0)
    lr = generator.integers(0, 256, (300, 280, 3), np.uint8)
    sr = generator.integers(0, 256, (600, 560, 3), np.uint8)
    out = np.empty((600, 560), np.float32)
    log_scales(head, Planes(lr, "rgb", False), sr, out)
    tensors = (torch.from_numpy(x.transpose(2, 0, 1).copy())[None] / 255 for x in (lr, sr))
    with torch.inference_mode():
        whole = head(*tensors)[0, 0].numpy()
    assert np.abs(out - whole).max() < 1e-5
    assert whole.min() >= math.log(LEAST) - 1e-6


def test_the_model_itself_stays_as_it_is(calibrated):
    plain = calibrated.with_name("plain.safetensors")
    model, card = checkpoint.load(calibrated)
    other, before = checkpoint.load(plain)
    assert all(
        torch.equal(a, b)
        for a, b in zip(model.state_dict().values(), other.state_dict().values(), strict=True)
    )
    assert card.model_copy(update={"uncertainty": {}}) == before
    picture = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    assert np.array_equal(load(calibrated)(picture), load(plain)(picture))


def test_a_second_calibration_keeps_the_head(calibrated, photos):
    again = calibrate(calibrated, photos, crop=128)
    first = load_judge(calibrated)
    assert first is not None and len(again.held_out) == 4
    for name, value in first.head.named_parameters():  # what brightness adds is counted anew
        assert torch.equal(value, again.judge.head.state_dict()[name])
    assert again.judge.calibration != first.calibration


def test_what_cannot_be_calibrated(photos, tmp_path, calibrated):
    plain = calibrated.with_name("plain.safetensors")
    with pytest.raises(InputError, match="leave none to calibrate on"):
        calibrate(plain, photos, crop=128, hold_out=0.01, fit=SHORT)
    Image.new("RGB", (20, 20)).save(tmp_path / "tiny.png")
    pictures, notes = judged(load(plain), [tmp_path / "tiny.png"], 100)
    assert pictures == [] and "tiny.png: 20x20 pixels are too few" in notes[0]
    with pytest.raises(InputError, match=r"calibrate.*; left out: .*tiny\.png: 20x20"):
        calibrate(plain, tmp_path, crop=128, fit=SHORT)
    with pytest.raises(InputError, match="too few to calibrate"):
        Scores().calibrate()
    with pytest.raises(InputError, match=r"level 0\.33 was not calibrated"):
        Calibration(levels=(0.9,), centres=(0.0,), factors=((1.0,),)).half_width(
            np.zeros(1, np.float32), 0.33
        )


@pytest.mark.parametrize(
    "broken", [{"head": {}}, {"calibration": 3}, {"head": {"scale": 2, "width": 10**9}}]
)
def test_a_damaged_calibration_is_one_line(calibrated, tmp_path, broken):
    judge = load_judge(calibrated)
    assert judge is not None
    attach(calibrated, judge, tmp_path / "m.safetensors")
    from safetensors.torch import load_file, save_file

    card = checkpoint.read_card(tmp_path / "m.safetensors")
    card = card.model_copy(update={"uncertainty": {**card.uncertainty, **broken}})
    tensors = load_file(tmp_path / "m.safetensors")
    save_file(tensors, tmp_path / "m.safetensors", {checkpoint.CARD_KEY: card.model_dump_json()})
    with pytest.raises(CheckpointError, match=r"m.safetensors: its calibration is damaged"):
        load_judge(tmp_path / "m.safetensors")


def opened(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_the_maps_beside_a_result(calibrated, tmp_path, mode):
    picture = Image.fromarray(data.astronaut()[60:130, 60:150]).convert(mode)
    picture.save(tmp_path / "a.png")
    upscaler = load(calibrated)
    notes = upscaler.upscale_file(tmp_path / "a.png", tmp_path / "b.png", Wishes(uncertainty=True))
    assert any("90% of the samples are expected within" in note for note in notes)
    values = tifffile.imread(tmp_path / "b.png.uncertainty.tif")
    heat = opened(tmp_path / "b.png.uncertainty.png")
    assert values.shape == (140, 180) and values.dtype == np.uint16
    assert heat.shape == (140, 180, 3)
    judge = load_judge(calibrated)
    assert judge is not None
    lr, sr = (opened(tmp_path / name) for name in ("a.png", "b.png"))
    half = np.empty((140, 180), np.float32)
    log_scales(judge.head, Planes(lr, "rgb", False), sr, half)
    half_widths(half, judge.calibration, 0.9)
    assert np.abs(values / 65535 - half).max() < 1e-4


def test_a_result_whose_map_finds_no_room_is_absent_too(calibrated, tmp_path):
    Image.fromarray(data.astronaut()[60:130, 60:150]).save(tmp_path / "a.png")
    upscaler, wishes = load(calibrated), Wishes(uncertainty=True, quality=30)
    upscaler.upscale_file(tmp_path / "a.png", tmp_path / "b.jpg", wishes)
    picture, whole = (
        (tmp_path / name).stat().st_size for name in ("b.jpg", "b.jpg.uncertainty.tif")
    )
    assert picture < whole - 1
    with room(whole - 1), pytest.raises(OutputError, match=r"c\.jpg\.uncertainty"):
        upscaler.upscale_file(tmp_path / "a.png", tmp_path / "c.jpg", wishes)
    assert not [path.name for path in tmp_path.iterdir() if "c.jpg" in path.name]
    upscaler.upscale_file(tmp_path / "a.png", tmp_path / "c.jpg", wishes)


@pytest.mark.parametrize("bands", [1, 3])
def test_half_widths_beside_a_geotiff(calibrated, tmp_path, bands):
    rasterio = pytest.importorskip("rasterio")
    values = data.astronaut()[60:100, 60:110, :bands].transpose(2, 0, 1) * np.uint16(37)
    values[:, :4, :5] = 9
    profile = {"height": 40, "width": 50, "count": bands, "dtype": "uint16", "nodata": 9}
    place = rasterio.Affine(10.0, 0, 5e5, 0, -10.0, 42e5)
    options = {"crs": "EPSG:32618", "transform": place, "photometric": "RGB" if bands > 1 else None}
    with rasterio.open(tmp_path / "a.tif", "w", driver="GTiff", **profile, **options) as dataset:
        dataset.units = ("K",) * bands
        dataset.write(values)
    upscaler, wishes = load(calibrated), Wishes(uncertainty=True)
    notes = upscaler.upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", wishes)
    assert any("not on such data" in note for note in notes)
    whole = (tmp_path / "b.tif.uncertainty.tif").stat().st_size
    with room(whole - 1), pytest.raises(OutputError, match="the disk full"):
        upscaler.upscale_file(tmp_path / "a.tif", tmp_path / "c.tif", wishes)
    assert not [path.name for path in tmp_path.iterdir() if "c.tif" in path.name]
    with (
        rasterio.open(tmp_path / "b.tif") as large,
        rasterio.open(tmp_path / "b.tif.uncertainty.tif") as map_,
    ):
        assert (map_.bounds, map_.crs, map_.shape) == (large.bounds, large.crs, large.shape)
        assert map_.dtypes == ("float32",) * bands
        assert map_.units == large.units == ("K",) * bands
        half, result = map_.read(), large.read()
    assert np.isnan(half[:, :8, :10]).all()
    assert not np.isnan(half).sum() > bands * 80
    judge = load_judge(calibrated)
    assert judge is not None
    valid = values[:, 4:]
    low, span = float(valid.min()), float(valid.max()) - float(valid.min())
    space = "rgb" if bands > 1 else "gray"
    lr, sr = (((v - low) / span).astype(np.float32).transpose(1, 2, 0) for v in (values, result))
    expected = np.empty((80, 100), np.float32)
    log_scales(judge.head, Planes(lr, space, False), sr, expected)
    half_widths(expected, judge.calibration, 0.9)
    far = (slice(40, None), slice(50, None))
    assert np.allclose(half[(-1, *far)], expected[far] * span, rtol=1e-3)


@pytest.mark.parametrize(
    ("shape", "tags"),
    [
        ((40, 50), {"RescaleSlope": "2", "RescaleIntercept": "-1024", "PixelPaddingValue": 0}),
        ((2, 40, 50), {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": None}),
        ((40, 50, 3), {}),
    ],
)
def test_half_widths_beside_a_dicom_image(calibrated, tmp_path, shape, tags):
    pydicom = pytest.importorskip("pydicom")
    from medical_samples import dicom, read

    gray = shape[-1] != 3
    photo = data.astronaut()[60:100, 60:110].astype(np.uint16 if gray else np.uint8)
    values = np.broadcast_to(photo[..., 0] * np.uint16(9) + 1, shape).copy() if gray else photo
    if "PixelPaddingValue" in tags:
        values[:4, :5] = 0
    dicom(tmp_path / "a.dcm", values, **tags)
    upscaler = load(calibrated)
    notes = upscaler.upscale_file(tmp_path / "a.dcm", tmp_path / "b.dcm", Wishes(uncertainty=True))
    assert any("not on such images" in note for note in notes)
    upscaler.upscale_file(tmp_path / "a.dcm", tmp_path / "plain.dcm")
    large, map_ = read(tmp_path / "b.dcm"), read(tmp_path / "b.dcm.uncertainty.dcm")
    assert large.pixel_array.tobytes() == read(tmp_path / "plain.dcm").pixel_array.tobytes()
    kept = ("ImagePositionPatient", "PixelSpacing", "FrameOfReferenceUID", "PatientID", "Rows")
    assert all(map_[name].value == large[name].value for name in kept)
    changed = ("SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription")
    assert all(map_[name].value != large[name].value for name in changed)
    assert map_.SourceImageSequence[0].ReferencedSOPInstanceUID == large.SOPInstanceUID
    half = pydicom.pixels.apply_rescale(map_.pixel_array, map_).reshape(-1, 80, 100)

    judge = load_judge(calibrated)
    assert judge is not None
    result = large.pixel_array.astype(float).reshape(-1, 80, 100, 1 if gray else 3)[-1]
    given = values.reshape(-1, 40, 50, 1 if gray else 3)[-1].astype(float)
    low, high = (given[4:].min(), given[4:].max()) if gray else (0.0, 255.0)
    if "PhotometricInterpretation" in tags:
        low, high = high, low
    lr, sr = (((v - low) / (high - low)).astype(np.float32) for v in (given, result))
    expected = np.empty((80, 100), np.float32)
    log_scales(judge.head, Planes(lr, "gray" if gray else "rgb", False), sr, expected)
    half_widths(expected, judge.calibration, 0.9)
    units = abs(high - low) * float(tags.get("RescaleSlope", 1))
    far = (slice(40, None), slice(50, None))
    assert np.allclose(half[(-1, *far)], expected[far] * units, rtol=1e-3, atol=units * 1e-4)
    if "PixelPaddingValue" in tags:
        assert not half[0, :8, :10].any() and half[0, 8:, 10:].all()


def test_a_geotiff_needs_a_calibrated_model(calibrated, tmp_path):
    pytest.importorskip("rasterio")
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 9, 7), np.uint16), planarconfig="contig")
    plain = load(calibrated.with_name("plain.safetensors"))
    with pytest.raises(UsageError, match="is not calibrated"):
        plain.upscale_file(tmp_path / "a.tif", tmp_path / "b.tif", Wishes(uncertainty=True))
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


def test_maps_are_refused_before_any_work(calibrated, tmp_path):
    Image.new("RGB", (30, 30)).save(tmp_path / "a.png")
    Image.new("CMYK", (30, 30)).save(tmp_path / "c.jpg")
    plain = calibrated.with_name("plain.safetensors")
    wishes = Wishes(uncertainty=True)
    with pytest.raises(UsageError, match="is not calibrated; `reslift calibrate"):
        load(plain).upscale_file(tmp_path / "a.png", tmp_path / "b.png", wishes)
    with pytest.raises(UsageError, match="not CMYK"):
        load(calibrated).upscale_file(tmp_path / "c.jpg", tmp_path / "c.png", wishes)
    with pytest.raises(UsageError, match="at ×2 only"):
        load(calibrated, 1.5).upscale_file(tmp_path / "a.png", tmp_path / "b.png", wishes)
    with pytest.raises(UsageError, match="leave out --strength"):
        load(calibrated, strength=0.5).upscale_file(tmp_path / "a.png", tmp_path / "b.png", wishes)
    with pytest.raises(UsageError, match="leave out --crop"):
        crop = load(calibrated, size=Size(scale=2, crop=(0, 0, 9, 9)))
        crop.upscale_file(tmp_path / "a.png", tmp_path / "b.png", wishes)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "c.jpg"]


def test_command(photos, tmp_path, monkeypatch, capsys, calibrated):
    monkeypatch.chdir(tmp_path)
    plain = str(calibrated.with_name("plain.safetensors"))
    words = ["calibrate", plain, "--data", str(photos), "--crop", "128", "--steps", "20"]
    assert main([*words, "-o", "judged.safetensors"]) == 0
    said = capsys.readouterr()
    assert said.out == "judged.safetensors\n"
    assert "warning: 2 pictures say little" in said.err
    assert main([*words, "-o", "judged.safetensors"]) == 2
    Image.fromarray(data.coffee()[:60, :70]).save("a.png")
    assert main(["upscale", "a.png", "--model", "judged.safetensors", "--uncertainty"]) == 0
    made = {p.name for p in tmp_path.iterdir()}
    assert {"a-x2.png", "a-x2.png.uncertainty.png", "a-x2.png.uncertainty.tif"} <= made
    assert main(["upscale", ".", "--model", "judged.safetensors", "--skip-existing"]) == 0
    assert {p.name for p in tmp_path.iterdir()} == made, "maps were taken for pictures"


def test_copies_and_lr_files_are_no_further_pictures(photos, tmp_path):
    for path in photos.iterdir():
        for name in ("HR", "LRx2", "other"):
            (tmp_path / name).mkdir(exist_ok=True)
            side = 96 if name == "LRx2" else 192
            Image.open(path).resize((side, side)).save(tmp_path / name / path.name)
    pictures, notes = own_pictures(tmp_path)
    assert sorted(p.relative_to(tmp_path).as_posix() for p in pictures) == sorted(
        f"HR/{path.name}" for path in photos.iterdir()
    )
    assert notes == ["4 LR files beside HR", "4 files of the same bytes as others"]
    assert own_pictures(photos)[1] == []


def test_a_calibration_overwrites_no_picture_that_it_is_made_of(
    photos, tmp_path, capsys, calibrated
):
    folder = tmp_path / "photos"
    shutil.copytree(photos, folder)
    whole = (folder / "coffee.png").read_bytes()
    words = ["calibrate", str(calibrated), "--data", str(folder), "--crop", "128", "--overwrite"]
    assert main([*words, "-o", str(folder / "coffee.png")]) == 2
    assert "would overwrite the input" in capsys.readouterr().err
    assert (folder / "coffee.png").read_bytes() == whole


@pytest.mark.parametrize("seed", ["-1", "99999999999999999999"])
def test_a_seed_that_is_none_is_bad_usage(photos, capsys, calibrated, seed):
    assert main(["calibrate", str(calibrated), "--data", str(photos), "--seed", seed]) == 2
    assert "--seed" in capsys.readouterr().err


def test_one_picture_is_no_plural_and_the_model_is_named_as_it_is_found(
    tmp_path, capsys, calibrated
):
    Image.fromarray(data.coffee()[:192, :192]).save(tmp_path / "a.png")
    words = ["--data", str(tmp_path), "--crop", "128", "-o", str(tmp_path / "m.safetensors")]
    assert main(["calibrate", str(calibrated), *words]) == 0
    said = capsys.readouterr().err
    assert "calibrated on 1 picture," in said and "warning: 1 picture says little" in said
    plain = calibrated.with_name("plain.safetensors")
    with pytest.raises(UsageError, match=f"`reslift calibrate {re.escape(str(plain))} --data"):
        _ = load(plain).judge

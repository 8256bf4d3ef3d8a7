"""Perceptual features: what a distance must do, ST-LPIPS against its definition, losses, refusals.

ST-LPIPS is tested where the extra ``perceptual`` is installed, as it is with ``dev``.
"""

from __future__ import annotations

import json
import math
import sys
import types
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from skimage import data
from torch import Tensor

from reslift.cli import main
from reslift.datasets.pairs import find_test_set
from reslift.errors import CheckpointError, InputError, RecipeError, UnknownName, UsageError
from reslift.evaluate import evaluate
from reslift.features import FEATURES, load_features, st_lpips
from reslift.features.base import Features, unit
from reslift.features.lpips import LPIPS
from reslift.features.st_lpips import PACKAGE, STLPIPS, weights_file
from reslift.metrics import PERCEPTUAL
from reslift.objective import Objective
from reslift.pixels.resize import bicubic_upscale, downscale8
from reslift.recipe import PerceptualPart, Recipe, parse
from reslift.run import Run
from reslift.train import fit

CPU = torch.device("cpu")
ARGUMENTS = {"encoder": {"model": "lift-base-x4"}}
INSTALLED = {
    "st_lpips": bool(list(metadata.distributions(name=PACKAGE))),
    "lpips": bool(find_spec("lpips") and find_spec("torchvision")),
    "encoder": True,
}
needs_st_lpips = pytest.mark.skipif(
    not INSTALLED["st_lpips"], reason="the extra perceptual is not installed"
)


def load(name: str) -> Features:
    if not INSTALLED[name]:
        pytest.skip(f"what {name} needs is not installed")
    return load_features(PerceptualPart(features=name, **ARGUMENTS.get(name, {})))


def photo(side: int = 96) -> Tensor:
    image = torch.from_numpy(data.astronaut()[60 : 60 + side, 180 : 180 + side].copy())
    return image.permute(2, 0, 1)[None].float() / 255


def shrunk(hr: Tensor, scale: int) -> Tensor:
    small = downscale8((hr * 255).round().to(torch.uint8), scale).double() / 255
    return bicubic_upscale(small, scale).clamp(0, 1).float()


@pytest.fixture(params=FEATURES)
def features(request: pytest.FixtureRequest) -> Features:
    return load(request.param)


def test_a_distance_is_0_of_equal_and_grows_with_the_damage(features: Features) -> None:
    hr = photo()
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(hr.shape, generator=generator)
    blur = [F.avg_pool2d(F.pad(hr, (k, k, k, k), mode="reflect"), 2 * k + 1, 1) for k in (1, 2, 4)]
    small = [shrunk(hr, scale) for scale in (2, 4, 8)]
    series = [[(hr + s * noise).clamp(0, 1) for s in (0.02, 0.06, 0.15)], blur, small]
    for damaged in series:
        found = features.measure([hr, *damaged], hr)
        assert found[0] == 0
        assert found == sorted(found)
        assert len(set(found)) == 4


def test_a_distance_has_a_finite_gradient_of_sr_alone(features: Features) -> None:
    hr = torch.cat([photo(48), torch.zeros(1, 3, 48, 48)])
    sr = hr.clone().requires_grad_()
    features(sr + 0.01, hr).sum().backward()
    assert sr.grad is not None
    assert torch.isfinite(sr.grad).all()
    assert sr.grad[0].abs().sum() > 0
    assert all(p.grad is None for p in features.parameters())
    assert not any(p.requires_grad for p in features.parameters())


def test_gray_is_gray_three_times(features: Features) -> None:
    hr = photo(48)[:, :1]
    sr = (hr * 0.8).clamp(0, 1)
    three = features(sr.expand(-1, 3, -1, -1), hr.expand(-1, 3, -1, -1))
    torch.testing.assert_close(features(sr, hr), three, rtol=1e-4, atol=1e-7)


def test_a_picture_too_small_is_refused_in_a_loss_and_undefined_as_a_metric() -> None:
    net = load("st_lpips")
    least = torch.rand(1, 3, 21, 21)
    assert math.isfinite(net(least, least + 0.1).item())
    small = least[..., :20, :]
    with pytest.raises(InputError, match="21x21"):
        net(small, small)
    assert math.isnan(net.measure([small], small)[0])


@needs_st_lpips
def test_st_lpips_is_what_its_layers_say() -> None:
    """Against the layers of the paper's network, written out one by one."""
    saved = torch.load(weights_file(), map_location="cpu", weights_only=True)

    def down(x: Tensor, name: str) -> Tensor:
        kernel = saved[f"net.{name}.filt"]
        return F.conv2d(F.pad(x, (2,) * 4, mode="reflect"), kernel, stride=2, groups=x.shape[1])

    def conv(x: Tensor, name: str, padding: int) -> Tensor:
        return F.conv2d(x, saved[f"net.{name}.weight"], saved[f"net.{name}.bias"], padding=padding)

    def maps(image: Tensor) -> list[Tensor]:
        x = (2 * image - 1 - saved["scaling_layer.shift"]) / saved["scaling_layer.scale"]
        one = down(conv(x, "slice1.0", 2), "slice1.1").relu()
        two = conv(down(F.max_pool2d(one, 3, 1), "slice2.4"), "slice2.5", 2).relu()
        three = conv(down(F.max_pool2d(two, 3, 1), "slice3.8"), "slice3.9", 1).relu()
        four = conv(three, "slice4.11", 1).relu()
        return [one, two, three, four, conv(four, "slice5.13", 1).relu()]

    hr = photo(64)
    sr = (hr + 0.05 * torch.randn_like(hr)).clamp(0, 1)
    expected = sum(
        ((unit(a) - unit(b)).square() * saved[f"lin{n}.model.1.weight"]).sum(1).mean()
        for n, (a, b) in enumerate(zip(maps(sr), maps(hr), strict=True))
    )
    net = STLPIPS().frozen()
    torch.testing.assert_close(net(sr, hr)[0], expected, rtol=1e-4, atol=1e-6)


@needs_st_lpips
@pytest.mark.parametrize("size", [(264, 48), (203, 61)])
def test_strips_are_the_whole_picture(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    hr = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    srs = [hr.roll(1, 3), F.avg_pool2d(hr, 3, 1, 1)]
    net = STLPIPS().frozen()
    whole = [net(sr, hr).item() for sr in srs]
    monkeypatch.setattr(st_lpips, "STRIP_PIXELS", 1)
    assert net.measure(srs, hr) == pytest.approx(whole, rel=1e-5)


@needs_st_lpips
def test_a_damaged_weight_file_is_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "weights.pth"
    bad.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(CheckpointError, match=r"weights\.pth: not the weights of ST-LPIPS"):
        STLPIPS(bad)


def hide(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(st_lpips.metadata, "distribution", absent)


def test_what_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch)
    with pytest.raises(UsageError, match=r'pip install "stlpips-pytorch==0\.0\.2"'):
        load_features(PerceptualPart())
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises(UsageError, match="pip install lpips torchvision"):
        load_features(PerceptualPart(features="lpips"))
    with pytest.raises(UnknownName, match="did you mean st_lpips"):
        load_features(PerceptualPart(features="st_lpip"))
    with pytest.raises(UnknownName, match="model"):
        load_features(PerceptualPart(features="encoder", model="lift-bsae"))


def test_lpips_is_asked_for_images_from_0_to_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the package, which fetches weights when it is made."""

    class Stand(torch.nn.Module):
        def __init__(self, net: str, verbose: bool) -> None:
            super().__init__()
            assert (net, verbose) == ("alex", False)

        def forward(self, a: Tensor, b: Tensor, normalize: bool = False) -> Tensor:
            assert normalize
            return (a - b).square().mean((1, 2, 3), keepdim=True)

    package = types.ModuleType("lpips")
    package.LPIPS = Stand  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "lpips", package)
    monkeypatch.setitem(sys.modules, "torchvision", types.ModuleType("torchvision"))
    a, b = torch.rand(2, 3, 40, 40), torch.rand(2, 3, 40, 40)
    assert LPIPS().frozen()(a, b).shape == (2,)


def test_a_model_of_one_size_gives_no_features(tmp_path: Path) -> None:
    from reslift.checkpoint import Card, save
    from reslift.models import MODELS

    model = MODELS["bottleneck"](scale=1, width=8, latent=16, blocks=1)
    card = Card(name="b", model="bottleneck", arguments=model.arguments, scale=1)
    save(tmp_path / "b.safetensors", model, card)
    with pytest.raises(UsageError, match="takes 32x32 pixels only"):
        load_features(PerceptualPart(features="encoder", model=str(tmp_path / "b.safetensors")))


TREE = {
    "name": "tiny",
    "scale": 2,
    "model": {"arguments": {"width": 8, "blocks": 1, "inner_blocks": 0}},
    "data": {"hold_out": 1, "validation_crop": 48},
    "watch": {"validate_every": 2, "monitor": "perceptual", "tensorboard": False},
    "engine": {"precision": "fp32", "threads": 1},
    "perceptual": {"features": "encoder", "model": "lift-base-x2"},
    "phases": [{"steps": 4, "batch": 2, "patch": 12, "loss": {"l1": 1.0, "perceptual": 0.1}}],
}


def recipe(**changes: object) -> Recipe:
    return parse({**TREE, **changes}, "test")


def test_the_loss_is_the_weighted_sum() -> None:
    chosen = recipe()
    objective = Objective(chosen, CPU)
    sr, hr = torch.rand(2, 3, 24, 24), torch.rand(2, 3, 24, 24)
    assert objective.features is not None
    expected = (sr - hr).abs().mean() + 0.1 * objective.features(sr, hr).mean()
    torch.testing.assert_close(objective(chosen.phases[0], sr, hr), expected)
    plain = recipe(watch={}, phases=[{"steps": 1}])
    assert Objective(plain, CPU).features is None, "nothing is loaded that nobody asked for"


def test_features_are_typed_and_checked_before_training() -> None:
    with pytest.raises(RecipeError, match="encoder needs it"):
        recipe(perceptual={"features": "encoder"})
    with pytest.raises(RecipeError, match="did you mean features"):
        recipe(perceptual={"featurs": "st_lpips"})
    with pytest.raises(UnknownName, match="did you mean perceptual"):
        Objective(recipe(phases=[{"steps": 1, "loss": {"percptual": 1.0}}]), CPU)


@needs_st_lpips
def test_patches_too_small_for_the_features_are_refused() -> None:
    phases = [{"steps": 1, "patch": 10, "loss": {"perceptual": 1.0}}]
    with pytest.raises(RecipeError, match="21 HR pixels, not 20"):
        Objective(recipe(perceptual={}, phases=phases), CPU)


def write_photos(folder: Path) -> Path:
    folder.mkdir()
    for number, image in enumerate([data.astronaut(), data.coffee(), data.chelsea()]):
        Image.fromarray(image[100:164, 100:170]).save(folder / f"{number}.png")
    return folder


def test_a_training_watches_the_distance_beside_bicubic(tmp_path: Path) -> None:
    run = Run.create(tmp_path / "run", recipe(), {})
    assert fit(recipe(), run, data=write_photos(tmp_path / "photos"))
    rows = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert all(row["perceptual"] > 0 and row["bicubic_perceptual"] > 0 for row in rows)
    state = run.load_state(CPU)
    assert state is not None
    assert state["best"] == pytest.approx(-min(row["perceptual"] for row in rows))


@needs_st_lpips
def test_an_evaluation_reports_it_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    photos, out = write_photos(tmp_path / "photos"), tmp_path / "out"
    assert main(["evaluate", "--data", str(photos), "--scale", "2", "--out", str(out)]) == 0
    shown = capsys.readouterr()
    assert "ST-LPIPS bicubic" in shown.out
    assert "Ghildyal" in shown.out
    assert "ST-LPIPS" not in shown.err
    results = json.loads((out / "results.json").read_text())
    net = STLPIPS().frozen()
    for image in results["images"]:
        hr = torch.from_numpy(np.asarray(Image.open(photos / image["image"])).copy())
        hr = hr.permute(2, 0, 1)[None]
        from reslift.degradations import Bicubic

        lr = Bicubic(2)(hr).double() / 255
        sr = bicubic_upscale(lr, 2).clamp(0, 1).mul(255).add(0.5).floor().div(255)
        expected = net(sr.float(), hr / 255).item()
        assert image["scores"]["bicubic"]["st_lpips"] == pytest.approx(expected, rel=1e-4)
    assert results["summary"][0]["st_lpips"] == pytest.approx(
        np.mean([image["scores"]["bicubic"]["st_lpips"] for image in results["images"]])
    )
    assert "st_lpips" in (out / "results.csv").read_text().splitlines()[0].split(",")
    assert "ST-LPIPS bicubic" in (out / "report.html").read_text()


def test_an_evaluation_without_it_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch)
    photos = write_photos(tmp_path / "photos")
    assert main(["evaluate", "--data", str(photos), "--scale", "2", "-q"]) == 0
    shown = capsys.readouterr()
    (note,) = [line for line in shown.err.splitlines() if "ST-LPIPS" in line]
    assert 'pip install "stlpips-pytorch==0.0.2"' in note
    assert "ST-LPIPS was not measured" in shown.out
    assert main(["evaluate", "--data", str(photos), "--scale", "2", "-q", "--no-perceptual"]) == 0
    assert "ST-LPIPS" not in capsys.readouterr().err


def test_a_picture_too_small_for_it_is_judged_without(tmp_path: Path) -> None:
    net = load("st_lpips")
    assert isinstance(net, STLPIPS)
    Image.fromarray(data.coffee()[:20, :64]).save(tmp_path / "flat.png")
    Image.fromarray(data.coffee()[:64, :64]).save(tmp_path / "whole.png")
    result = evaluate([], [find_test_set(tmp_path, 2)], scale=2, features=net)
    flat, whole = (row.scores["bicubic"] for row in result.rows)
    assert math.isnan(flat["st_lpips"])
    assert result.summaries()[0].means["st_lpips"] == whole["st_lpips"]
    assert any("too small for ST-LPIPS" in line for line in result.warnings)
    assert set(PERCEPTUAL) <= set(result.metrics)

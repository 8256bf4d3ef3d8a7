"""Engines that compute in 8-bit whole numbers: near enough, said, and never taken unasked."""

import logging

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from PIL import Image
from skimage import data

from reslift import backends
from reslift.backends import BACKENDS, graph, look_up_backend
from reslift.backends.eight_bits import PICTURES, drawn_pictures, rounded_weights, steps_of
from reslift.backends.probe import difference
from reslift.cli import main
from reslift.errors import CannotExport
from reslift.metrics import psnr_y
from reslift.models import Lift
from reslift.replay import find_record
from reslift.upscale import load
from small_models import lively, small

pytest.importorskip("onnx")
EIGHT = [n for n in BACKENDS if n.endswith("-int8")]
HERE = [n for n in EIGHT if not backends.lacking(n)]
WIDE = {"width": 16, "blocks": 2, "inner_width": 24, "inner_blocks": 1, "form": "plain"}


@pytest.fixture(scope="module")
def wide():
    return lively(Lift(scale=2, **WIDE), even=True)


def test_steps_reach_as_far_as_drawn_pictures_take_the_features(wide):
    steps = steps_of(wide)
    inner = {n for n, m in wide.named_modules() if isinstance(m, torch.nn.Conv2d)} - {"head"}
    assert steps.keys() == inner, "the picture itself stays as it is"
    assert not wide.before[0].second._forward_pre_hooks
    most = max(float(wide.head(lr).abs().max()) for lr in drawn_pictures(3))
    assert steps["before.0.first"].signed
    assert steps["before.0.first"].step * 127 == pytest.approx(most, rel=1e-5)
    assert not steps["before.0.second"].signed, "behind a ReLU all of the 255 are used"


@pytest.mark.parametrize(("channels", "size"), [(3, None), (1, None), (3, 32)])
def test_drawn_pictures_are_pictures_of_the_kind_that_a_model_takes(channels, size):
    pictures = list(drawn_pictures(channels, size))
    assert len(pictures) == PICTURES
    for lr in pictures:
        assert lr.shape[:2] == (1, channels) and (size is None or lr.shape[2:] == (size, size))
        assert 0 <= lr.min() < 0.2 and 0.8 < lr.max() <= 1
    again = next(drawn_pictures(channels, size))
    assert torch.equal(pictures[0], again)


def test_weights_are_off_by_half_a_step_at_most():
    weight = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(1))
    weight[2] = 0
    numbers, step = rounded_weights(weight)
    assert numbers.dtype == np.int8 and numbers.min() >= -127
    back = numbers * step.reshape(-1, 1, 1, 1)
    assert (np.abs(back - weight.numpy()) <= step.reshape(-1, 1, 1, 1) * 0.5001).all()
    assert not numbers[2].any()


def test_the_graph_holds_inner_weights_as_whole_numbers(wide):
    plain, small = (graph.make(wide, eight_bits=b) for b in (False, True))
    kinds = {t.name: t.data_type for t in onnx.load_from_string(small.onnx).graph.initializer}
    assert kinds["before.0.first.weight.numbers"] == TensorProto.INT8
    assert kinds["head.weight"] == kinds["skip.kernel"] == TensorProto.FLOAT
    assert "before.0.first.weight" not in kinds
    assert len(small.onnx) < 0.6 * len(plain.onnx)


@pytest.mark.parametrize("name", HERE)
def test_the_answer_is_near_that_of_fp32_on_a_photograph(name):
    photo = np.ascontiguousarray(data.astronaut()[:256, :256])
    hr = torch.from_numpy(photo.transpose(2, 0, 1).copy())[None].double() / 255
    lr = np.asarray(Image.fromarray(photo).resize((128, 128), Image.Resampling.BICUBIC))
    exact, coarse = (
        load("lift-small", 2, "cpu", backend=b, consistent=False) for b in ("torch", name)
    )
    assert coarse.backend == name and coarse.engine == f"cpu, {name} int8"
    scores = []
    for upscaler in (exact, coarse):
        sr = upscaler(lr)
        picture = torch.from_numpy(sr.transpose(2, 0, 1).copy())[None].double() / 255
        scores.append(float(psnr_y(picture, hr, 2)))
    assert 0 < abs(scores[0] - scores[1]) < 0.1, "that it is no other at all would be fp32"


@pytest.mark.parametrize("name", HERE)
def test_any_size_and_alpha_and_a_tile_that_changes_no_byte(wide, name):
    engine = look_up_backend(name)(wide)
    with torch.inference_mode():
        for lr in drawn_pictures(3, 33):
            odd = lr[..., :31, :]
            wrong = difference(engine.run(odd.numpy()), wide(odd).numpy(), "int8")
            assert not wrong, wrong
    pixels = np.random.default_rng(2).integers(0, 256, (61, 47, 4), np.uint8)
    whole, tiled = (load("lift-small", 2, "cpu", backend=name, tile=t)(pixels) for t in (None, 32))
    assert whole.tobytes() == tiled.tobytes()


def test_a_model_that_adds_no_detail_to_a_picture_stays_in_floats(caplog):
    model = lively(small("unet", "published"))
    with pytest.raises(CannotExport, match="8 bits would damage"):
        graph.make(model, eight_bits=True)
    with caplog.at_level(logging.WARNING):
        engine = backends.start(model, HERE[0], "cpu")
    assert engine.name == "torch" and "8 bits would damage" in caplog.text


def test_auto_never_takes_them(wide, monkeypatch):
    lacking = backends.lacking
    monkeypatch.setattr(
        backends, "lacking", lambda n: lacking(n) if n in EIGHT or n == "torch" else ["nothing"]
    )
    assert backends.start(wide, "auto", "cpu").name == "torch"
    assert list(BACKENDS)[-len(EIGHT) :] == EIGHT


@pytest.mark.parametrize("name", HERE)
def test_results_say_so_and_are_made_again(tmp_path, monkeypatch, name, capsys):
    monkeypatch.setenv("RESLIFT_CACHE", str(tmp_path / "cache"))
    source, result = tmp_path / "cat.png", tmp_path / "cat-x2.png"
    Image.fromarray(data.chelsea()[100:140, 100:150]).save(source)
    command = ["upscale", str(source), "--scale", "2", "--model", "lift-small", "-q"]
    assert main([*command, "--backend", name]) == 0
    assert main([*command, "--backend", name.removesuffix("-int8"), "-o", f"{tmp_path}/b.png"]) == 0
    kept = sorted(file.stem[-5:] == "-int8" for file in (tmp_path / "cache" / "graphs").iterdir())
    assert kept == [False, True], "each kind of graph has a file of its own"
    record = find_record(result)
    assert (record.backend, record.precision) == (name, "int8")
    assert main(["replay", str(result), "--input", str(source)]) == 0
    assert main(["verify", str(source), str(result)]) == 0

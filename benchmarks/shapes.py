"""What the shape of `lift` costs here: inference and training time, interleaved, medians.

    python benchmarks/shapes.py [--rounds 5] [--threads 1] [--bf16]

Each row is a width, a number of blocks and a half-resolution branch; `×base` is the ratio to the
bundled shape in the same round. Inference is a 480×270 picture ×4, training one step on 8 patches
of 48×48.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from reslift.models import Lift

BASE = (32, 4, 64, 6)
SHAPES = [
    BASE,
    (32, 4, 32, 0),
    (32, 8, 32, 0),
    (64, 4, 64, 0),
    (64, 8, 64, 0),
    (48, 8, 48, 0),
    (48, 4, 64, 5),
    (64, 4, 64, 4),
]


def build(shape: tuple[int, int, int, int]) -> Lift:
    """A `lift` of (width, blocks, inner width, inner blocks) whose tail is not zero."""
    width, blocks, inner_width, inner_blocks = shape
    model = Lift(4, 3, width, blocks, inner_width, inner_blocks)
    torch.nn.init.normal_(model.tail.weight, std=0.01)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def seconds(work: Callable[[], None]) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def inference(model: Lift) -> Callable[[], None]:
    """Upscale a 480×270 picture once."""
    lr = torch.rand(1, 3, 270, 480).contiguous(memory_format=torch.channels_last)

    def work() -> None:
        with torch.inference_mode():
            model(lr)

    return work


def training(model: Lift) -> Callable[[], None]:
    """One forward and backward pass."""
    lr = torch.rand(8, 3, 48, 48).contiguous(memory_format=torch.channels_last)
    hr = torch.rand(8, 3, 192, 192)

    def work() -> None:
        model.zero_grad()
        (model(lr) - hr).abs().mean().backward()  # type: ignore[no-untyped-call]

    return work


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--bf16", action="store_true", help="autocast, as bf16 trainings do")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.set_autocast_dtype("cpu", torch.bfloat16)
    torch.set_autocast_enabled("cpu", given.bf16)
    models = {shape: build(shape) for shape in SHAPES}
    jobs = {
        (shape, kind.__name__): kind(model)
        for shape, model in models.items()
        for kind in (inference, training)
    }
    times: dict[tuple[object, str], list[float]] = {key: [] for key in jobs}
    for turn in range(given.rounds + 1):
        for key, work in jobs.items():
            spent = seconds(work)
            if turn:
                times[key].append(spent)
    print(f"{given.threads} threads, torch {torch.__version__}, {'bf16' if given.bf16 else 'fp32'}")
    print("width blocks inner       parameters  MACs/LR px  halo   upscale   ×base   step   ×base")
    for shape, model in models.items():
        row = []
        for kind in ("inference", "training"):
            mine, base = times[shape, kind], times[BASE, kind]
            ratio = statistics.median(a / b for a, b in zip(mine, base, strict=True))
            row.append(f"{statistics.median(mine):6.2f} s {ratio:6.2f}")
        width, blocks, inner_width, inner_blocks = shape
        inner = f"{inner_width}×{inner_blocks}" if inner_blocks else "–"
        macs = model.macs(48, 48) / 48**2
        print(
            f"{width:5} {blocks:6} {inner:10} {model.parameter_count():11,} {macs:11,.0f}"
            f" {model.halo:5}  {row[0]}  {row[1]}"
        )


if __name__ == "__main__":
    main()

"""What engines cost: models × engines × sizes, interleaved, medians; ratios to torch by round.

    python benchmarks/speed.py [--models lift-base-x4 …] [--sizes 480x270 …] [--threads 1]

Sizes are those of LR. A line holds milliseconds an output megapixel, the ratio to torch in the same
round, GFLOP/s (two for each multiply-add), their share of what a matrix product reaches in the same
process and precision, and the peak memory of a process that upscales one picture. `--clock cpu`
takes CPU time instead of wall time, for machines that do other things too.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

ENGINES = ["torch", "openvino", "onnxruntime", "openvino-int8", "onnxruntime-int8"]
SIDE = 2048
MEGA = 1e6
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
PEAK_MEMORY = """
import numpy as np, pathlib, reslift, resource, sys
model, backend, width, height = sys.argv[1:]
upscaler = reslift.load(model, device="cpu", backend=backend, consistent=False)
upscaler(np.zeros((int(height), int(width), 3), np.uint8))
status = pathlib.Path("/proc/self/status")  # getrusage would count the parent's memory too
lines = status.read_text().splitlines() if status.exists() else []
peaks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
print(*peaks or [resource.getrusage(resource.RUSAGE_SELF).ru_maxrss])
"""


@dataclass(frozen=True)
class Job:
    """One line of the table."""

    model: str
    backend: str
    size: tuple[int, int]


def main() -> None:
    """Measure and print."""
    given = parse()
    os.environ["OMP_NUM_THREADS"] = str(given.threads)  # read by every engine when it starts
    import torch

    torch.set_num_threads(given.threads)
    upscalers = load(given.models, given.backends)
    sizes = [tuple(map(int, size.split("x"))) for size in given.sizes]
    jobs = [Job(m, b, s) for m in given.models for s in sizes for b in given.backends]
    clock = CLOCKS[given.clock]
    times = measure(jobs, upscalers, given.rounds, clock)
    peaks = {precision: gemm_peak(precision, clock) for precision in ("fp32", "bf16")}
    print(
        f"{given.threads} threads, {given.clock} time, matrix product "
        f"{peaks['fp32']:.0f} GFLOP/s in fp32, {peaks['bf16']:.0f} in bf16"
    )
    print(
        "model         engine           precision  LR size     ms/MP  ×torch  GFLOP/s  of peak"
        "  memory"
    )
    for job in jobs:
        print(line(job, upscalers, times, peaks, given.memory), flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=[f"lift-base-x{s}" for s in (2, 3, 4)])
    parser.add_argument("--backends", nargs="+", default=ENGINES)
    parser.add_argument("--sizes", nargs="+", default=["120x90", "480x270", "1024x768"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--memory", action="store_true", help="peak memory too: a process a line")
    return parser.parse_args()


def load(models: list[str], names: list[str]) -> dict[tuple[str, str], object]:
    """Every model in every engine; an engine that gave way to another is an error."""
    import reslift

    found = {}
    for model in models:
        for name in names:
            upscaler = reslift.load(model, device="cpu", backend=name, consistent=False)
            if upscaler.backend != name:
                raise SystemExit(f"{name} is not usable here")
            found[model, name] = upscaler
    return found


def measure(
    jobs: list[Job], upscalers: dict, rounds: int, clock: Callable[[], float]
) -> dict[Job, list[float]]:
    """Seconds of each job by round; all jobs take turns, and the first turn is not counted."""
    import numpy as np

    rng = np.random.default_rng(0)
    times: dict[Job, list[float]] = {job: [] for job in jobs}
    for turn in range(rounds + 1):
        for job in jobs:
            width, height = job.size
            lr = rng.integers(0, 256, (height, width, 3), np.uint8)
            begun = clock()
            upscalers[job.model, job.backend](lr)
            if turn:
                times[job].append(clock() - begun)
    return times


def gemm_peak(precision: str, clock: Callable[[], float]) -> float:
    """GFLOP/s of a large matrix product, the best of five."""
    import torch

    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = torch.rand(SIDE, SIDE).to(kind), torch.rand(SIDE, SIDE).to(kind)
    spent = []
    for _ in range(5):
        begun = clock()
        a @ b
        spent.append(clock() - begun)
    return 2 * SIDE**3 / min(spent) / 1e9


def line(job: Job, upscalers: dict, times: dict, peaks: dict[str, float], memory: bool) -> str:
    """A job as a line of the table."""
    upscaler = upscalers[job.model, job.backend]
    precision = upscaler._stitcher.backend.precision
    width, height = job.size
    seconds = statistics.median(times[job])
    base = times.get(Job(job.model, "torch", job.size), [])
    pairs = list(zip(times[job], base, strict=False))
    ratio = f"{statistics.median(a / b for a, b in pairs):6.2f}" if pairs else "     –"
    flops = 2 * upscaler.model.macs(height, width) / seconds / 1e9
    megapixels = width * height * upscaler.scale**2 / MEGA
    share = f"{flops / peaks[precision]:7.0%}" if precision in peaks else "      –"
    peak = f"{peak_memory(job):5.0f} MB" if memory else "       –"
    return (
        f"{job.model:13} {job.backend:16} {precision:9}  {width}x{height:<6} "
        f"{1e3 * seconds / megapixels:8.0f}  {ratio} {flops:8.0f} {share} "
        f"{peak}"
    )


def peak_memory(job: Job) -> float:
    """Megabytes that a process with this job alone holds at most."""
    words = [sys.executable, "-c", PEAK_MEMORY, job.model, job.backend, *map(str, job.size)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout) * unit / MEGA


if __name__ == "__main__":
    main()

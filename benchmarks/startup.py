"""The fixed cost: a whole process that upscales a small JPEG, against one that imports torch.

    python benchmarks/startup.py [--rounds 5] [--size 480x270] [--model lift-base]

The processes take turns; medians of wall and CPU time, and the ratio of CPU times in one round. A
first run of each engine, not counted, makes its graph and keeps it in the cache, and Python keeps
its bytecode, as it does where no setting forbids it.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

IMPORT = "import torch"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", default="480x270")
    parser.add_argument("--model", default="lift-base")
    parser.add_argument("--backends", nargs="+", default=["onnxruntime", "openvino", "torch"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        jobs = commands(Path(folder), given.size, given.model, given.backends)
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in jobs}
        for turn in range(given.rounds + 1):
            for name, words in jobs.items():
                spent = run(words, environment)
                if turn:
                    times[name].append(spent)
    print("process                wall     CPU  CPU, × import torch")
    for name, rows in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*rows, strict=True))
        pairs = zip(rows, times[IMPORT], strict=True)
        ratio = statistics.median(mine[1] / base[1] for mine, base in pairs)
        print(f"{name:20} {wall:5.2f} s {cpu:5.2f} s {ratio:8.2f}")


def commands(folder: Path, size: str, model: str, backends: list[str]) -> dict[str, list[str]]:
    """What to run, by name; the picture is written to `folder`."""
    width, height = map(int, size.split("x"))
    rows = np.linspace(0, 6, height)[:, None, None]
    columns = np.linspace(0, 9, width)[None, :, None]
    waves = 127 + 60 * np.sin(rows * 9 + np.arange(3)) + 60 * np.cos(columns * 7)
    Image.fromarray(waves.astype(np.uint8)).save(folder / "a.jpg", quality=92)
    jobs = {IMPORT: [sys.executable, "-c", IMPORT]}
    for name in backends:
        words = ["-m", "reslift", "upscale", folder / "a.jpg", "-o", folder / f"{name}.jpg"]
        words += ["--model", model, "--device", "cpu", "--backend", name, "--overwrite", "-q"]
        jobs[f"upscale, {name}"] = [sys.executable, *map(str, words)]
    return jobs


def run(words: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall and CPU seconds of a process, its children's included."""
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, env=environment)
    wall, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()

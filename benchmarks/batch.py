"""What a batch survives and costs: random kills, memory over many pictures, use of the processors.

python -m benchmarks.batch kills --count 50
python -m benchmarks.batch memory --pictures 500
python -m benchmarks.batch overlap --pictures 40
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from reslift import machine

SEED = 20


def make_pictures(folder: Path, count: int, width: int, height: int) -> None:
    """Different pieces of photographs, as PNG; noise-free, so that they compress as photographs."""
    folder.mkdir(parents=True)
    sources = [data.astronaut(), data.chelsea(), data.coffee(), data.rocket()]
    rng = random.Random(SEED)
    for number in range(count):
        source = sources[number % len(sources)]
        high, wide = min(height, len(source)), min(width, source.shape[1])
        top, left = rng.randint(0, len(source) - high), rng.randint(0, source.shape[1] - wide)
        piece = source[top : top + high, left : left + wide]
        Image.fromarray(np.ascontiguousarray(piece)).save(folder / f"{number:04}.png")


def command(*words: str) -> list[str]:
    """The command line of `reslift upscale`."""
    return [sys.executable, "-m", "reslift", "upscale", *words]


def results(folder: Path) -> dict[str, str]:
    """Name and digest of every file that is not hidden."""
    found = [path for path in folder.glob("*") if path.name[0] != "."]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(found)}


def kills(count: int, model: str, place: Path) -> bool:
    """Kill the same command `count` times at random moments, let it end, compare the bytes."""
    make_pictures(place / "in", 24, 96, 72)
    words = [str(place / "in"), "--model", model, "--quiet"]
    started = time.perf_counter()
    subprocess.run(command(*words, "-o", str(place / "whole")), check=True)
    length = time.perf_counter() - started
    whole = results(place / "whole")
    rng, redone, killed, partial, finished = random.Random(SEED), 0, 0, 0, 0
    again = command(*words, "-o", str(place / "out"))
    while killed < count:
        before = {p.name: p.stat().st_mtime_ns for p in (place / "out").glob("[!.]*")}
        run = subprocess.Popen(again)
        try:
            run.wait(rng.uniform(0.3, 1.0) * length)
        except subprocess.TimeoutExpired:
            run.kill()
            run.wait()
            killed += 1
        after = {p.name: p.stat().st_mtime_ns for p in (place / "out").glob("[!.]*")}
        redone += sum(after.get(name) != stamp for name, stamp in before.items())
        partial += sum(whole.get(n) != digest for n, digest in results(place / "out").items())
        # Code 2 is that of a batch which was killed after its last result: all is there.
        if run.returncode == 0 or (run.returncode == 2 and results(place / "out") == whole):
            finished += 1
            for path in (place / "out").iterdir():
                path.unlink()
    last = subprocess.run(again, check=False).returncode  # 2 as above
    equal = results(place / "out") == whole
    left = [path.name for path in (place / "out").glob(".*")]
    print(f"{killed} kills over {finished + 1} batches")
    print(f"results done twice: {redone}; of other bytes: {partial}")
    print(f"last run: exit {last}; equal to the uninterrupted run: {equal}; left over: {left}")
    return last in (0, 2) and equal and not left and not redone and not partial


def memory(pictures: int, model: str, place: Path) -> bool:
    """Resident memory of one run over many pictures, every half second."""
    make_pictures(place / "in", pictures, 96, 72)
    words = str(place / "in"), "-o", str(place / "out"), "--model", model, "--quiet"
    run = subprocess.Popen(command(*words))
    samples: list[tuple[int, float]] = []
    while run.poll() is None:
        done = len(list((place / "out").glob("[!.]*"))) if (place / "out").exists() else 0
        status = Path(f"/proc/{run.pid}/statm")
        try:
            pages = int(status.read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            break
        samples.append((done, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
        time.sleep(0.5)
    run.wait()
    steady = [size for done, size in samples if done > pictures // 10]
    half = len(steady) // 2
    first, second = np.median(steady[:half]), np.median(steady[half:])
    print(f"{pictures} pictures: median {first:.0f} MiB in the first half, {second:.0f} MiB in the")
    print(f"second, at most {max(steady):.0f} MiB after the first tenth")
    return run.returncode == 0 and second < 1.05 * first


def overlap(pictures: int, model: str, place: Path) -> bool:
    """Time and processor use with --workers 0, 1 and 2, interleaved."""
    make_pictures(place / "in", pictures, 320, 240)
    cores, rows = machine.usable_cores(), []
    for turn in range(2):
        for workers in (0, 1, 2):
            out = place / f"out{turn}{workers}"
            words = str(place / "in"), "-o", str(out), "--model", model, "--quiet"
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            busy, started = _Machine(), time.perf_counter()
            subprocess.run(command(*words, "--workers", str(workers)), check=True)
            seconds = time.perf_counter() - started
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            rows.append((workers, seconds, used / seconds / cores, busy.share()))
    for workers in (0, 1, 2):
        ours = [row[1:] for row in rows if row[0] == workers]
        seconds, share, whole = (min(column) for column in zip(*ours, strict=True))
        print(f"workers {workers}: {seconds:.1f} s, {share:.0%} of {cores} cores, all {whole:.0%}")
    return True


class _Machine:
    """How busy all processors were since it was made, whoever used them."""

    def __init__(self) -> None:
        self._before = self._read()

    @staticmethod
    def _read() -> tuple[int, int]:
        words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
        ticks = list(map(int, words))
        return sum(ticks), ticks[3] + ticks[4]

    def share(self) -> float:
        total, idle = (now - then for now, then in zip(self._read(), self._before, strict=True))
        return 1 - idle / max(1, total)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the measurements; 0 where what is promised holds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("kills", "memory", "overlap"))
    parser.add_argument("--count", type=int, default=50, help="kills")
    parser.add_argument("--pictures", type=int, help="how many")
    parser.add_argument("--model", default="lift-base")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        if options.what == "kills":
            holds = kills(options.count, options.model, place)
        elif options.what == "memory":
            holds = memory(options.pictures or 500, options.model, place)
        else:
            holds = overlap(options.pictures or 40, options.model, place)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())

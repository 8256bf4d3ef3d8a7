"""Damaged files by the thousand through `Upscaler.upscale_file`, in workers with a time limit.

    python benchmarks/fuzz.py [--count 2000] [--first 0] [--seconds 30]

Prints how many were enlarged and refused, the slowest, and every hang, crash, traceback and wrong
success with the number that makes it again: `--first NUMBER --count 1`. Exit 1 if any.
"""

from __future__ import annotations

import argparse
import collections
import json
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"


def work(first: int, count: int) -> None:
    """In a worker: a line of JSON for each file, before and after it."""
    sys.path.insert(0, str(TESTS))
    import fuzz
    from small_models import bicubic_lift, made

    upscaler = made(bicubic_lift(2), limits=fuzz.LIMITS)
    for number, (name, data) in enumerate(fuzz.mutants(count, first), first):
        print(json.dumps({"begins": number, "name": name}), flush=True)
        began = time.perf_counter()
        try:
            outcome = fuzz.judge(upscaler.upscale_file, data)
        except fuzz.Wrong as error:
            outcome = f"WRONG {error}"
        except Exception as error:
            outcome = f"TRACEBACK {type(error).__name__}: {str(error)[:200]}"
        seconds = time.perf_counter() - began
        told = {"number": number, "name": name, "outcome": outcome, "seconds": seconds}
        print(json.dumps(told), flush=True)


def lines_of(worker: subprocess.Popen[str]) -> queue.Queue[str | None]:
    """What the worker prints, and None at its end."""
    found: queue.Queue[str | None] = queue.Queue()

    def listen() -> None:
        assert worker.stdout is not None
        for line in worker.stdout:
            found.put(line)
        found.put(None)

    threading.Thread(target=listen, daemon=True).start()
    return found


def supervise(first: int, end: int, limit: float) -> list[dict[str, object]]:
    """Run the files first … end - 1; a worker that hangs or dies is replaced behind that file."""
    told: list[dict[str, object]] = []
    while first < end:
        command = [sys.executable, __file__, "--worker", str(first), str(end - first)]
        worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        lines, begun = lines_of(worker), {"begins": first, "name": "?"}
        wait = 120.0
        while True:
            try:
                line = lines.get(timeout=wait)
            except queue.Empty:
                worker.kill()
                line = None
                outcome = "HANG"
            else:
                outcome = f"CRASH, exit code {worker.wait()}" if line is None else ""
            if line is None:
                break
            wait, message = limit, json.loads(line)
            if "begins" in message:
                begun = message
                first = message["begins"]
            else:
                told.append(message)
                first = message["number"] + 1
        worker.wait()
        if first < end:
            told.append({"number": first, "name": begun["name"], "outcome": outcome, "seconds": 0})
            first += 1
    return told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--worker", type=int, nargs=2)
    options = parser.parse_args()
    if options.worker:
        work(*options.worker)
        return 0
    told = supervise(options.first, options.first + options.count, options.seconds)
    kinds = collections.Counter(str(one["outcome"]).split()[0].rstrip(",") for one in told)
    faults = [one for one in told if one["outcome"] not in ("done", "refused")]
    for one in faults:
        print(f"{one['number']} {one['name']}: {one['outcome']}")
    slowest = max(told, key=lambda one: float(str(one["seconds"])))
    print(f"{len(told):,} files: {dict(kinds)}")
    print(f"slowest: {float(str(slowest['seconds'])):.2f} s, {slowest['number']} {slowest['name']}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

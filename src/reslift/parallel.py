"""``fit`` on one device or on several, one process each (DistributedDataParallel)."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reslift.errors import DeviceError, ResliftError, UsageError
from reslift.interrupts import stop_politely
from reslift.recipe import Recipe
from reslift.run import Run
from reslift.train import fit
from reslift.watcher import Watcher

POLL, GRACE = 0.2, 5.0
"""Seconds between looks at the processes; for the others to end in, when one has failed."""


def fit_on(
    devices: int,
    recipe: Recipe,
    run: Run,
    data: Path,
    device: str,
    minutes: float | None,
    watcher: Watcher | None,
) -> bool:
    """``fit`` with every batch divided among ``devices`` processes.

    The processes draw the batches that one process would draw, so the result differs from a single
    device's by rounding only. CUDA devices talk through NCCL, others through gloo. Ctrl-C and
    SIGTERM stop all of them after the same step.

    Raises:
        UsageError: fewer than one device, or more than the machine has.
        DeviceError: a process was ended from outside.
        ResliftError, KeyboardInterrupt: as ``fit``.
    """
    if devices < 1:
        raise UsageError(f"--devices starts at 1, not {devices}")
    if devices == 1:
        return fit(recipe, run, data=data, device=device, minutes=minutes, watcher=watcher)
    import torch
    import torch.multiprocessing as workers

    if device in ("auto", "cuda") and 0 < torch.cuda.device_count() < devices:
        raise UsageError(f"--devices {devices}: this machine has {torch.cuda.device_count()}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with stop_politely() as asked:
        context = workers.get_context("spawn")
        stop, failures = context.Event(), context.SimpleQueue()
        arguments = (devices, port, stop, failures, os.getpid(), recipe, run, data, device, minutes)
        with _undisturbed():
            started = workers.spawn(  # type: ignore[attr-defined, no-untyped-call]
                _work, (*arguments, watcher), nprocs=devices, join=False
            )
        try:
            while not started.join(POLL, GRACE):
                if asked.is_set():
                    stop.set()
        except (workers.ProcessRaisedException, workers.ProcessExitedException) as error:  # type: ignore[attr-defined]
            if not failures.empty():
                raise failures.get() from None
            if isinstance(error, workers.ProcessExitedException):  # type: ignore[attr-defined]
                raise DeviceError(
                    f"{str(error).replace('terminated with', 'of --devices ended by')}; for want "
                    f"of memory? The run keeps its last saved state"
                ) from None
            raise
        except KeyboardInterrupt:
            for process in started.processes:
                process.kill()
            raise
    if asked.is_set():
        raise KeyboardInterrupt
    state = run.load_state(torch.device("cpu"))
    return state is not None and state["step"] >= recipe.steps


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to all processes, is nothing to those that start here."""
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread, to which no signal comes
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(rank: int, devices: int, port: int, stop: Any, failures: Any, *rest: Any) -> None:
    import torch

    parent, recipe, run, data, device, minutes, watcher = rest

    def interrupted(*_: object) -> None:
        if os.getppid() != parent:  # torch says so with a signal
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, interrupted)
    interrupted()
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    cuda = device in ("auto", "cuda") and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(rank)
    torch.distributed.init_process_group("nccl" if cuda else "gloo", rank=rank, world_size=devices)
    try:
        fit(
            recipe,
            run,
            data=data,
            device=device,
            minutes=minutes,
            watcher=watcher if rank == 0 else None,
            share=(rank, devices),
            stop=stop,
        )
        torch.distributed.barrier()
    except KeyboardInterrupt:
        pass
    except ResliftError as error:
        failures.put(error)
        raise
    finally:
        torch.distributed.destroy_process_group()
    # All is saved. Torch's threads now and then abort a process that ends while they do.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

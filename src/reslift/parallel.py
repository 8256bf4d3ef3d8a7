"""``fit`` on one device or on several, one process each (DistributedDataParallel)."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from reslift.errors import DeviceError, UsageError
from reslift.interrupts import Flag, stop_politely
from reslift.recipe import Recipe
from reslift.run import Run
from reslift.train import fit
from reslift.watcher import Watcher

POLL, GRACE = 0.2, 30.0
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

    if device in ("auto", "cuda") and 0 < torch.cuda.device_count() < devices:
        raise UsageError(f"--devices {devices}: this machine has {torch.cuda.device_count()}")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with stop_politely() as asked:
        done = _together(
            devices, (port, os.getpid(), recipe, run, data, device, minutes, watcher), asked
        )
    if asked.is_set():
        raise KeyboardInterrupt
    return done


def _together(devices: int, given: tuple[Any, ...], asked: Flag) -> bool:
    """Start the processes and wait for them; what the first of them says of its training."""
    import torch.multiprocessing as workers

    context = workers.get_context("spawn")
    stop, said = context.Event(), context.SimpleQueue()
    logging.getLogger("torch.multiprocessing.spawn").setLevel(logging.ERROR)
    with _deaf():
        started = workers.spawn(  # type: ignore[attr-defined, no-untyped-call]
            _work, (devices, stop, said, *given), nprocs=devices, join=False
        )
    try:
        while not started.join(POLL, GRACE):
            if asked.is_set():
                stop.set()
    except (workers.ProcessRaisedException, workers.ProcessExitedException) as error:  # type: ignore[attr-defined]
        if asked.is_set():
            raise KeyboardInterrupt from None
        found = None if said.empty() else said.get()
        if isinstance(found, Exception) and not _is_of_a_lost_one(found):
            raise found from None
        codes = [process.exitcode or 0 for process in started.processes]
        if min(codes) < 0:
            name = signal.Signals(-min(codes)).name
            why = "; for want of memory?" if name == "SIGKILL" else "."
            raise DeviceError(
                f"process {codes.index(min(codes))} of --devices was ended by {name}{why} "
                f"The run keeps its last saved state"
            ) from None
        raise error from None
    except KeyboardInterrupt:
        for process in started.processes:
            process.kill()
        raise
    return not said.empty() and said.get() is True


def _is_of_a_lost_one(error: Exception) -> bool:
    """Whether a process only says that it no longer hears another."""
    text = str(error).lower()
    return type(error) is RuntimeError and any(word in text for word in ("gloo", "nccl", "peer"))


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to all processes, is nothing to those that start here."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread, to which no signal comes
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class _Stop:
    """Whether the parent asks to stop, or is no more."""

    def __init__(self, event: Any) -> None:
        self._event, self._parent = event, multiprocessing.parent_process()

    def is_set(self) -> bool:
        """Looked at by the first process, which tells the others."""
        return self._event.is_set() or (self._parent is not None and not self._parent.is_alive())


def _work(rank: int, devices: int, stop: Any, said: Any, port: int, *rest: Any) -> None:
    import torch

    parent, recipe, run, data, device, minutes, watcher = rest

    def interrupted(*_: object) -> None:
        if os.getppid() != parent:  # Linux says so with a signal
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
        with contextlib.suppress(KeyboardInterrupt):
            done = fit(
                recipe,
                run,
                data=data,
                device=device,
                minutes=minutes,
                watcher=watcher if rank == 0 else None,
                share=(rank, devices),
                stop=_Stop(stop),
            )
            if rank == 0:
                said.put(done)
        torch.distributed.barrier()
    except Exception as error:
        with contextlib.suppress(Exception):  # what cannot be pickled is told by its traceback
            said.put(error)
        raise
    finally:
        torch.distributed.destroy_process_group()
    # All is saved. Torch's threads now and then abort a process that ends while they do.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

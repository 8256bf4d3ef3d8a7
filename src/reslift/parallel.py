"""``fit`` on one device or on several, one process each (DistributedDataParallel)."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

from reslift.errors import UsageError
from reslift.recipe import Recipe
from reslift.run import Run
from reslift.train import fit
from reslift.watcher import Watcher


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
    device's by rounding only. CUDA devices talk through NCCL, others through gloo.

    Raises:
        UsageError: fewer than one device, or more than the machine has.
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
    arguments = (devices, port, recipe, run, data, device, minutes, watcher)
    workers.spawn(_work, arguments, nprocs=devices)  # type: ignore[attr-defined, no-untyped-call]
    state = run.load_state(torch.device("cpu"))
    return state is not None and state["step"] >= recipe.steps


def _work(rank: int, devices: int, port: int, recipe: Recipe, run: Run, *rest: Any) -> None:
    import torch

    data, device, minutes, watcher = rest
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
        )
        torch.distributed.barrier()
    finally:
        torch.distributed.destroy_process_group()
    # All is saved. Torch's threads now and then abort a process that ends while they do.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)

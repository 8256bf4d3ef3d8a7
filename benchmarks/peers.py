"""Quality, time and memory beside what a user could install instead; a table and the Pareto plot.

    python benchmarks/peers.py DATA/bench [--sets Set5] [--scale 4] [--slow] [--out DIR]

Each peer (``benchmarks/peer.py`` names them) gets an environment of its own under --envs, installed
with pip from the index that pip is set to, and a process of its own for each round; rounds are
interleaved and the fastest counts. All see the same LR files; PSNR-Y and SSIM-Y are computed here,
by one code, from the PNG files that they write. ``--only`` takes names, ``--threads`` cores.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from reslift import report
from reslift.datasets.pairs import TestSet, find_test_set
from reslift.metrics import psnr_y, ssim_y

sys.path.insert(0, str(Path(__file__).parent))  # under `python -m` too
from peer import PEERS, Peer

WORKER = Path(__file__).with_name("peer.py")


@dataclass
class Standing:
    """What one peer reached: means over pictures, costs an output megapixel."""

    peer: Peer
    psnr_y: dict[str, float] = field(default_factory=dict)
    ssim_y: dict[str, float] = field(default_factory=dict)
    wall: float = float("inf")
    cpu: float = float("inf")
    peak: float = 0.0
    failed: str = ""


def main() -> None:
    """Measure all peers and write the table and the plot."""
    given = parse()
    names = given.only or [name for name, peer in PEERS.items() if given.slow or not peer.slow]
    names = [name for name in names if given.scale in PEERS[name].scales]
    sets = [find_test_set(given.data / name, given.scale) for name in given.sets]
    standings = {name: Standing(PEERS[name]) for name in names}
    pythons = {name: environment(name, given.envs, standings[name]) for name in names}
    with tempfile.TemporaryDirectory() as scratch:
        for _ in range(given.rounds):
            for name in names:
                for number, test_set in enumerate(sets):
                    out = Path(scratch) / name / test_set.name
                    measure(standings[name], pythons[name], name, test_set, out, given, number == 0)
    table = as_table(list(standings.values()), given.sets)
    print(f"×{given.scale}, {given.threads} threads, {platform.processor() or platform.machine()}")
    print(table)
    if given.out:
        write(given.out, list(standings.values()), table, given)


def environment(name: str, envs: Path, standing: Standing) -> Path:
    """The Python of a peer's own environment, made and filled where it is not there yet."""
    peer = PEERS[name]
    if "reslift" in peer.requirements:
        return Path(sys.executable)
    folder = envs / name
    python = folder / "bin" / "python"
    mark = folder / ".ready"
    if mark.exists():
        return python
    venv.create(folder, with_pip=True, clear=True)
    wanted = [*peer.requirements, *([peer.files] if peer.files else []), "numpy", "pillow"]
    done = subprocess.run(
        [python, "-m", "pip", "install", "-q", *dict.fromkeys(wanted)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        standing.failed = f"pip install: {done.stderr.strip().splitlines()[-1]}"
    else:
        mark.touch()
    return python


def measure(
    standing: Standing,
    python: Path,
    name: str,
    test_set: TestSet,
    out: Path,
    given: argparse.Namespace,
    timed: bool,
) -> None:
    """One process of one peer on one set; the first set gives the costs."""
    if standing.failed or (standing.psnr_y.get(test_set.name) and not timed):
        return
    lr = [files.lr for files in test_set.files]
    if None in lr:
        raise SystemExit(f"{test_set.name}: no LR files for this scale")
    command = [python, WORKER, name, str(given.scale), lr[0].parent, out, "--rounds", "2"]
    command += ["--threads", str(given.threads), "--files", python.parents[1]]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        standing.failed = (done.stderr.strip().splitlines() or ["no word"])[-1]
        return
    told = json.loads(done.stdout.splitlines()[-1])
    scores = [score(out / files.hr.name, files.hr, given.scale) for files in test_set.files]
    standing.psnr_y[test_set.name] = float(np.mean([one[0] for one in scores]))
    standing.ssim_y[test_set.name] = float(np.mean([one[1] for one in scores]))
    if timed:
        sizes = (Image.open(out / files.hr.name).size for files in test_set.files)
        pixels = sum(width * height for width, height in sizes)
        for kind in ("wall", "cpu"):
            spent = sum(taken[kind] for taken in told["pictures"].values()) / pixels * 1e6
            setattr(standing, kind, min(getattr(standing, kind), spent))
        standing.peak = max(standing.peak, told["peak"])


def score(sr: Path, hr: Path, scale: int) -> tuple[float, float]:
    """PSNR-Y and SSIM-Y of a file, shave = scale; HR is cut to whole LR pixels."""
    found, truth = tensor(sr), tensor(hr)
    truth = truth[..., : found.shape[2], : found.shape[3]]
    return float(psnr_y(found, truth, scale)), float(ssim_y(found, truth, scale))


def tensor(path: Path) -> torch.Tensor:
    """A file as (1, 3, H, W) in [0, 1]."""
    pixels = torch.from_numpy(np.array(Image.open(path).convert("RGB")))
    return pixels.permute(2, 0, 1)[None] / 255


def as_table(standings: Sequence[Standing], sets: Sequence[str]) -> str:
    """Markdown, the best PSNR-Y first."""
    head = " | ".join(f"{name} PSNR-Y / SSIM-Y" for name in sets)
    lines = [
        f"| | {head} | ms/MP, wall | ms/MP, CPU | peak MiB |",
        "|---|" + "---|" * (len(sets) + 3),
    ]
    there = [standing for standing in standings if not standing.failed]
    for one in sorted(there, key=lambda s: -s.psnr_y[sets[0]]):
        cells = [f"{one.psnr_y[name]:.2f} / {one.ssim_y[name]:.4f}" for name in sets]
        label = f"**{one.peer.label}**" if is_ours(one) else one.peer.label
        label += f" ({one.peer.note})" if one.peer.note else ""
        costs = f"{1e3 * one.wall:.0f} | {1e3 * one.cpu:.0f} | {one.peak:.0f}"
        lines.append(f"| {label} | {' | '.join(cells)} | {costs} |")
    lines += [f"\n{one.peer.label}: {one.failed}" for one in standings if one.failed]
    return "\n".join(lines)


def is_ours(standing: Standing) -> bool:
    """Whether it is a model of this project."""
    return "reslift" in standing.peer.requirements


def write(out: Path, standings: Sequence[Standing], table: str, given: argparse.Namespace) -> None:
    """The table and the plot as files of the folder `out`."""
    first = given.sets[0]
    choices = [
        report.Choice(one.peer.label, 1e3 * one.wall, one.psnr_y[first], is_ours(one))
        for one in standings
        if not one.failed
    ]
    chart = report.pareto_chart(
        choices,
        x_label=f"milliseconds an output megapixel, {given.threads} CPU cores",
        y_label=f"PSNR-Y, {first} ×{given.scale}, dB",
    )
    out.mkdir(parents=True, exist_ok=True)
    (out / f"pareto-x{given.scale}.svg").write_text(report.as_file(chart), encoding="utf-8")
    (out / f"peers-x{given.scale}.md").write_text(table + "\n", encoding="utf-8")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=["Set5"])
    parser.add_argument("--scale", type=int, default=4)
    parser.add_argument("--slow", action="store_true", help="the slow ones too")
    parser.add_argument("--only", nargs="+", choices=PEERS)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--envs", type=Path, default=Path("build/peers"))
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()

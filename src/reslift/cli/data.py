"""`reslift data`: the original data sets, from where they are published; checks of any folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from reslift.errors import UsageError, look_up, one_line

ACTIONS = ("list", "get", "check")
MEGA = 1e6


def command(
    action: Annotated[str, typer.Argument(help="list, get or check.")] = "list",
    name: Annotated[
        str, typer.Argument(help="Data set to get: cifar10, lfw or div2k; or the folder to check.")
    ] = "",
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Folder to put it in.", show_default="data")
    ] = Path("data"),
    val: Annotated[
        Path | None, typer.Option(help="check: the folder that is held out from the first.")
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", help="check: write the findings to this file.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing --json file.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no counts.")] = False,
) -> int:
    """List the data sets that recipes name, download one, or check a folder of pictures.

    The archive is compared with its published checksum before it is unpacked. Without a network:
    bring the archive to the folder by hand, and run the command to compare and unpack it.

    check looks for unreadable files, LR that does not fit its HR, HR that was enlarged or JPEG
    before, copies and persons on both sides of a split, flat and small pictures. Exit code 4 where
    a fault is found.
    """
    if action not in ACTIONS:
        raise UsageError(f"data wants one of {', '.join(ACTIONS)}, not {one_line(action)!r}")
    if action == "check":
        if not name:
            raise UsageError("name the folder to check: reslift data check DIR")
        from reslift.cli.data_check import check

        return check(Path(name), val, as_json, overwrite, quiet)
    if val is not None or as_json is not None:
        raise UsageError(f"--val and --json belong to `reslift data check`, not to {action}")
    from reslift.datasets.download import SOURCES, get

    if action == "list":
        for key, source in SOURCES.items():
            size = sum(archive.size for archive in source.archives) / MEGA
            print(f"{key:<8} {size:>6,.0f} MB  {source.terms}; {source.home}")
        return 0
    if not name:
        raise UsageError(f"name the data set to get: {', '.join(SOURCES)}")
    source = look_up(name, SOURCES, "data set")
    with _bar(quiet) as progress:
        folders = get(source, out, progress)
    if not quiet:
        print(f"terms: {source.terms}; {source.home}", file=sys.stderr)
        for folder in folders:
            print(one_line(folder))
    return 0


@contextmanager
def _bar(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """A bar on a terminal, nothing elsewhere."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = (BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("download")
        yield lambda done, total: bars.update(task, completed=done, total=total)

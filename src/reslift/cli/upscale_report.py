"""`--summary`: what became of every file, for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reslift import __version__
from reslift.errors import OutputError, UsageError, one_line
from reslift.files import atomic_write, check_not_input, check_target

if TYPE_CHECKING:
    from reslift.batch import Job, Plan
    from reslift.batch.run import Outcome
    from reslift.cli.upscale_options import UpscaleOptions

Record = dict[str, Any]


@dataclass
class Report:
    """Gathers a record a file; `write` puts them into the file that ``--summary`` names, if any."""

    options: UpscaleOptions
    plan: Plan
    names: Callable[[Path], str] = str
    engine: str | None = None
    _told: dict[Path, Record] = field(default_factory=dict)
    _started: float = field(default_factory=time.perf_counter)

    def add(self, outcome: Outcome) -> None:
        """What became of a job."""
        record = self._record(outcome.job, outcome.state)
        record["seconds"] = round(outcome.seconds, 3)
        record["notes"] = [one_line(note) for note in outcome.notes]
        record["error"] = None if outcome.error is None else one_line(outcome.error)
        self._told[outcome.job.source] = record

    def write(self) -> None:
        """The whole file at once; jobs that were not come to are "missing"."""
        if self.options.summary is None:
            return
        records = [self._record(job, "kept") for job in self.plan.skipped]
        records += [
            self._told.get(job.source, self._record(job, "missing")) for job in self.plan.jobs
        ]
        records += [
            {
                "input": self.names(f.path),
                "output": None,
                "state": "failed",
                "error": one_line(f.reason),
            }
            for f in self.plan.failures
        ]
        states = [record["state"] for record in records]
        whole = {
            "reslift": __version__,
            "model": self.options.model,
            "engine": self.engine,
            "seconds": round(time.perf_counter() - self._started, 3),
            **{state: states.count(state) for state in ("done", "kept", "failed", "missing")},
            "files": records,
        }
        with atomic_write(Path(self.options.summary), overwrite=True) as temporary:
            temporary.write_text(json.dumps(whole, indent=2) + "\n", encoding="ascii")

    def _record(self, job: Job, state: str) -> Record:
        return {
            "input": self.names(job.source),
            "output": self.names(job.target),
            "state": state,
            "input_size": list(job.given),
            "output_size": list(job.wanted),
            "frames": job.frames,
            "output_bytes": _bytes(job.target) if state in ("done", "kept") else None,
            "seconds": None,
            "notes": [],
            "error": None,
        }


def check_summary(path: Path, plan: Plan) -> None:
    """Raise, before any work, where the summary has no place, or is an input or a result.

    Its folder may be one that is made for results.
    """
    from reslift.batch.naming import place

    jobs = (*plan.jobs, *plan.skipped)
    check_not_input(path, *(job.source for job in jobs), *(one.path for one in plan.failures))
    for job in jobs:
        if place(job.target) == place(path):
            raise UsageError(f"--summary {one_line(path)} is the result of {one_line(job.source)}")
    check_target(path, overwrite=True)
    folders = {folder for job in plan.jobs for folder in job.target.parents}
    if not path.parent.exists() and path.parent not in folders:
        raise OutputError(
            f"cannot write {one_line(path)}: there is no folder {one_line(path.parent)}; make it"
        )


def _bytes(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None

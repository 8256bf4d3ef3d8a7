"""Making a result again from what it says about itself, and telling what differs.

OUT ── record ── same input? same weights? ── upscale ── the same bytes?
"""

from __future__ import annotations

import filecmp
import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from reslift import checkpoint, formats, media
from reslift.errors import InputError, OutputExists, UsageError, one_line
from reslift.limits import DEFAULT, Limits
from reslift.media import Wishes
from reslift.provenance import Record, from_xmp, sha256, side_file, versions
from reslift.upscale import Upscaler, load


@dataclass(frozen=True)
class Replay:
    """How a repetition came out.

    same_bytes: the files are equal. largest, share: by how many levels samples of a still picture
    differ, and how many of them; 0 where only metadata do, None for other kinds of files. reasons:
    what is not as it was, a sentence each.
    """

    same_bytes: bool
    largest: int | None
    share: float | None
    reasons: tuple[str, ...]


def find_record(result: Path, limits: Limits = DEFAULT) -> Record:
    """What a result, or else the file beside it, says about how it was made.

    A file beside it may be of an earlier result of that name; what a result says is its own.

    Raises:
        InputError: neither says anything.
    """
    record = _inscribed(result, limits)
    if record is None and side_file(result).is_file():
        record = _beside(result)
    if record is None:
        raise InputError(
            f"{one_line(result)} does not say how it was made: it is not by reslift, or was "
            "written with --no-provenance or --strip-metadata"
        )
    return record


def _beside(result: Path) -> Record:
    """What the file beside a result says."""
    beside = side_file(result)
    try:
        return Record.parse(beside.read_text(encoding="ascii"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot use {one_line(beside)}: {one_line(error)}") from error


def _inscribed(result: Path, limits: Limits) -> Record | None:
    """What the result itself says."""
    medium = media.of(result)
    if medium is not None:
        return medium.record(result)
    return from_xmp(formats.read(result, limits.for_results()).xmp)


def replay(
    result: str | Path,
    source: str | Path,
    *,
    model: str | Path | None = None,
    out: Path | None = None,
    limits: Limits = DEFAULT,
) -> Replay:
    """Make `result` again from `source` and compare the two.

    Args:
        model: a checkpoint file, where it was none of the bundled ones.
        out: where the repetition is kept; None drops it.

    Raises:
        InputError: no record, files of two kinds, or `source` is not what the record names.
        CheckpointError, UnknownName: the model is not here. OutputError: it cannot be written.
        UsageError: `out` is a name for another format.
    """
    result, source = Path(result), Path(source)
    record = find_record(result, limits)
    if sha256(source) != record.input_sha256:
        raise InputError(
            f"{one_line(source)} is not what {one_line(result)} was made from: its SHA-256 is not "
            f"{record.input_sha256[:12]}…"
        )
    wishes = _wishes(record, result, limits)
    if out is not None:
        _check_name(out, result, record)
        if os.path.lexists(out):
            raise OutputExists(f"{one_line(out)} exists; name another output")
    upscaler = _upscaler(record, model, limits)
    with tempfile.TemporaryDirectory(prefix="reslift-") as folder:
        again = out or Path(folder) / result.name
        upscaler.upscale_file(source, again, wishes)
        now = _inscribed(again, limits) or upscaler.record(source)
        reasons = (*_changed(record, now), *_contradicted(record, result))
        if filecmp.cmp(again, result, shallow=False):
            return Replay(True, 0, 0.0, reasons)
        if media.of(result) is not None:
            return Replay(False, None, None, reasons)
        return Replay(False, *_difference(again, result, limits), reasons)


def _check_name(out: Path, result: Path, record: Record) -> None:
    if media.of(result) is not None:
        kind, same = result.suffix, out.suffix.lower() == result.suffix.lower()
    else:
        found = formats.format_of(out)
        kind = record.options.get("format", found)
        same = found == kind
    if not same:
        raise UsageError(f"{one_line(out)}: the repetition is {kind} as the result is; name it so")


def _wishes(record: Record, result: Path, limits: Limits) -> Wishes:
    """How the result was written."""
    options: dict[str, Any] = dict(record.options)
    if media.of(result) is None:
        options["output_format"] = options.get("format")
    names = {entry.name for entry in fields(Wishes)}
    says = _inscribed(result, limits) is not None or not side_file(result).is_file()
    chosen = {name: value for name, value in options.items() if name in names}
    try:
        text = json.dumps({**chosen, "provenance": says})
        return TypeAdapter(Wishes).validate_json(text, strict=True)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise _damaged(name, chosen.get(name)) from error


def _damaged(name: str, value: object) -> InputError:
    return InputError(f"the record is damaged: {name} {one_line(repr(value)):.50}")


def _upscaler(record: Record, model: str | Path | None, limits: Limits) -> Upscaler:
    options = record.options
    size = record.size
    if size is None:
        raise InputError("the record names a size that is not known here")
    strength = options.get("strength", 1.0)
    if not isinstance(strength, int | float):
        raise _damaged("strength", strength)
    name = model or record.model
    base, _, own = record.model.rpartition("-x")
    if model is None and base and set(record.weights) != {own}:
        name = base  # another of its family made it, or several did
    if model is None and record.model not in checkpoint.zoo():
        raise InputError(
            f"the model {one_line(record.model)} is not bundled: name its file with --model"
        )
    return load(
        name,
        backend=record.backend,
        device=record.device,
        limits=limits,
        size=size,
        ensemble=bool(options.get("ensemble")),
        wrap=bool(options.get("wrap")),
        strength=float(strength),
        consistent=options.get("consistent", options.get("kernel") is not None),
        kernel=options.get("kernel") or "bicubic",
    )


def _changed(before: Record, now: Record) -> Iterator[str]:
    """What of the surroundings is not as it was."""
    for scale, digest in before.weights.items():
        if now.weights.get(scale) != digest:
            yield (
                f"the weights of {one_line(before.model)} for x{one_line(scale)} are others: name "
                "the file that was used with --model"
            )
    for name in ("backend", "precision", "device"):
        was, has = getattr(before, name), getattr(now, name)
        if was != has:
            yield f"{name} was {one_line(was)}, is {has}"
    here = versions()
    for package in sorted({*before.versions, *here}):
        was, has = before.versions.get(package, "absent"), here.get(package, "absent")
        if was != has:
            yield f"{one_line(package)} was {one_line(was)}, is {has}"


def _contradicted(record: Record, result: Path) -> Iterator[str]:
    """Says so where a file beside a result tells of another one; `record`: by which it was made."""
    path = side_file(result)
    if not path.is_file():
        return
    try:
        same = _beside(result).options == record.options
    except InputError:
        same = False
    if not same:
        yield f"{one_line(path.name)} is not of this result, and was left aside"


def _difference(again: Path, result: Path, limits: Limits) -> tuple[int, float]:
    wide = limits.for_results()
    one, other = (formats.read(path, wide).pixels for path in (again, result))
    if one.shape != other.shape or one.dtype != other.dtype:
        return int(np.iinfo(other.dtype).max), 1.0
    differs = np.abs(one.astype(np.int32) - other.astype(np.int32))
    return int(differs.max()), float((differs > 0).mean())

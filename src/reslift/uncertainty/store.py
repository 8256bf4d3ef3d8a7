"""A head and its calibration in the checkpoint of the model they belong to."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_bytes

from reslift.checkpoint import CARD_KEY, EXTRA_PREFIX, Card, read_card, zoo
from reslift.errors import CheckpointError, UsageError, one_line
from reslift.files import atomic_write
from reslift.uncertainty.conformal import Calibration
from reslift.uncertainty.head import ScaleHead

MOST = 512
PREFIX = f"{EXTRA_PREFIX}scale-head."


@dataclass(frozen=True)
class Judge:
    """What tells how far to trust each pixel of a model's answer."""

    head: ScaleHead
    calibration: Calibration


def attach(checkpoint: Path, judge: Judge, target: Path, *, overwrite: bool = False) -> None:
    """Write the checkpoint again with `judge` in it; the model's own numbers stay as they are.

    Raises:
        CheckpointError: the checkpoint cannot be read. OutputExists, OutputError: the target.
    """
    facts = {
        "head": judge.head.arguments,
        "calibration": judge.calibration.model_dump(mode="json"),
    }
    card = read_card(checkpoint).model_copy(update={"uncertainty": facts})
    tensors = {k: v for k, v in _tensors(checkpoint).items() if not k.startswith(EXTRA_PREFIX)}
    for name, value in judge.head.state_dict().items():
        tensors[PREFIX + name] = value.detach().cpu().half().contiguous()
    with atomic_write(target, overwrite=overwrite) as temporary:
        temporary.write_bytes(to_bytes(tensors, metadata={CARD_KEY: card.model_dump_json()}))


def load_judge(checkpoint: Path) -> Judge | None:
    """The head and calibration in a checkpoint; None where it was not calibrated.

    Raises:
        CheckpointError: they are damaged.
    """
    facts = read_card(checkpoint).uncertainty
    if not facts:
        return None
    try:
        calibration = Calibration.model_validate(facts["calibration"])
        head = ScaleHead(**{name: _small(value) for name, value in facts["head"].items()})
        tensors = _tensors(checkpoint)
        found = {k[len(PREFIX) :]: v.float() for k, v in tensors.items() if k.startswith(PREFIX)}
        found.setdefault("shades", head.shades)  # checkpoints calibrated before there were any
        head.load_state_dict(found)
    except (KeyError, TypeError, ValueError, RuntimeError, ValidationError) as error:
        raise CheckpointError(
            f"{one_line(checkpoint)}: its calibration is damaged ({type(error).__name__})"
        ) from error
    head.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Judge(head.eval(), calibration)


def not_calibrated(source: Path | object, card: Card) -> UsageError:
    """The error of a model without intervals: how to get them, by the name that finds it again."""
    named = card.name
    if isinstance(source, Path) and source not in zoo().values():
        named = str(source)
    how = f"`reslift calibrate {one_line(shlex.quote(named))} --data DIR` does it"
    return UsageError(f"the model {one_line(card.name)} is not calibrated; {how}")


def _small(value: Any) -> int:
    """A constructor's argument from a stranger's file: a whole number that asks for no memory."""
    if not isinstance(value, int) or not 0 <= value <= MOST:
        raise ValueError(f"{value!r} is not a number from 0 to {MOST}")
    return value


def _tensors(checkpoint: Path) -> dict[str, Any]:
    try:
        with safe_open(checkpoint, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{one_line(checkpoint)}: {one_line(error)}") from error

"""Checkpoints: one safetensors file, weights in the body, the card in the header.

A checkpoint may only name a model in ``MODELS``, so a stranger's file brings numbers and never
code. ``read_card`` looks at the header alone and needs no torch.
"""

from __future__ import annotations

import hashlib
import json
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reslift.errors import CheckpointError, ResliftError, UnknownName, UsageError, look_up, one_line
from reslift.files import atomic_write

if TYPE_CHECKING:
    from reslift.models import SRModel

ZOO = Path(__file__).parent / "zoo"
SUFFIX = ".safetensors"
DEFAULT_MODEL = "lift-base"
CARD_KEY = "reslift"
EXTRA_PREFIX = "extra."
"""What stands beside the model in its file: tensors that are not the model's own."""
MAX_HEADER_BYTES = 8 * 2**20
MAX_ARGUMENT = 4096
ORDERS = (2, 4, 8)
"""Of `reslift.symmetry`, which needs torch."""


class Card(BaseModel):
    """What a set of weights is: how to rebuild the model, and where the weights come from.

    Attributes:
        name: how ``reslift models`` lists it, ``lift-base-x4``.
        model, arguments: entry of ``MODELS`` and its constructor's arguments.
        scale: SR size ÷ LR size.
        summary: one line on what it is for.
        data: what the weights saw.
        licence: terms under which they may be used.
        recipe: the whole training recipe.
        command: the command that made them.
        scores: ``{"Set5": {"psnr_y": 32.0, "ssim_y": 0.89, "bicubic_psnr_y": 28.4, …}, …}``.
        parameters: number of learned values.
        version: version of reslift that wrote the file.
        notes: anything a user should know.
        uncertainty: the scale head's arguments and its calibration, where there is one
            (``reslift.uncertainty``); its weights lie beside the model's.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    model: str
    arguments: dict[str, Any]
    scale: int = Field(ge=1)
    summary: str = ""
    data: str = ""
    licence: str = ""
    recipe: dict[str, Any] = {}
    command: str = ""
    scores: dict[str, dict[str, float]] = {}
    parameters: int = 0
    version: str = ""
    notes: tuple[str, ...] = ()
    uncertainty: dict[str, Any] = {}


def file_stem(card: Card) -> str:
    """The name of a model as what a file can be called."""
    return re.sub(r"[/\0]", "-", card.name) or card.model


def order_of(recipe: dict[str, Any]) -> Literal[1, 2, 4, 8]:
    """In how many positions weights answer alike, by the recipe in their card; 1 by default."""
    part = recipe.get("model")
    found = part.get("symmetry") if isinstance(part, dict) else None
    return found if isinstance(found, int) and found in ORDERS else 1  # type: ignore[return-value]


def zoo() -> dict[str, Path]:
    """The bundled checkpoints, ``{"lift-base-x4": path, …}``, by name."""
    return {path.stem: path for path in sorted(ZOO.glob(f"*{SUFFIX}"))}


def resolve(name: str | Path, scale: int | None = None) -> Path:
    """The file that a zoo name, a file or a run folder stands for.

    A zoo name may leave out its scale (``lift-base`` with ``scale=4`` is ``lift-base-x4``). A run
    folder stands for its best checkpoint, else its last.

    Raises:
        UsageError: the name is empty. UnknownName: neither a file nor a bundled name.
        CheckpointError: a folder without a checkpoint, or a file of another kind.
    """
    if not str(name).strip():
        raise UsageError(
            "no model is named: give a bundled model's name, a checkpoint or a run folder"
        )
    bundled = zoo()
    for candidate in (str(name), f"{name}-x{scale}"):
        if candidate in bundled:
            return bundled[candidate]
    try:
        return _file(Path(name), str(name), bundled, scale)
    except OSError as error:  # a name that is too long, a folder that may not be looked into
        raise CheckpointError(f"{one_line(name)}: {one_line(error.strerror or error)}") from error


def _file(path: Path, name: str, bundled: dict[str, Path], scale: int | None) -> Path:
    if path.is_dir():
        for stem in ("best", "last"):
            if (path / f"{stem}{SUFFIX}").is_file():
                return path / f"{stem}{SUFFIX}"
        raise CheckpointError(f"{one_line(path)}: this folder holds no best or last{SUFFIX}")
    if not path.exists():
        if path.suffix:
            raise CheckpointError(f"{one_line(path)}: there is no such file")
        sizes = sorted({stem.rsplit("-x", 1)[0] for stem in bundled})
        if name in sizes:
            raise UsageError(f"model {one_line(name)} is not bundled for scale {scale}")
        look_up(name, dict.fromkeys([*sizes, *bundled]), "model")
        raise UnknownName(f"unknown model {one_line(name)}")
    if not path.is_file():  # reading a pipe would wait for ever
        raise CheckpointError(f"{one_line(path)}: not a regular file; name a checkpoint file")
    return path


def family(name: str | Path) -> dict[int, Path]:
    """The files of one model by scale: all bundled ones of a zoo name without scale, else one.

    Raises:
        UnknownName, CheckpointError: as for `resolve` and `read_card`.
    """
    stems = {stem.rpartition("-x"): path for stem, path in zoo().items()}
    bundled = {int(scale): path for (base, _, scale), path in stems.items() if base == str(name)}
    if bundled:
        return bundled
    path = resolve(name)
    return {read_card(path).scale: path}


def _header(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            size = struct.unpack("<Q", file.read(8))[0]
            if not 2 <= size <= MAX_HEADER_BYTES:
                raise ValueError("no safetensors header")
            header = json.loads(file.read(size))
        if not isinstance(header, dict):
            raise ValueError("no safetensors header")
    except OSError as error:
        raise CheckpointError(f"{one_line(path)}: {one_line(error.strerror)}") from error
    except (ValueError, struct.error, RecursionError) as error:
        raise CheckpointError(
            f"{one_line(path)}: not a reslift checkpoint, which is a {SUFFIX} file with a card"
        ) from error
    return header


def read_card(path: Path) -> Card:
    """The card in a checkpoint's header.

    Raises:
        CheckpointError: the file is not a checkpoint of ours, or its card is not whole.
    """
    text = _header(path).get("__metadata__", {}).get(CARD_KEY)
    if text is None:
        raise CheckpointError(f"{one_line(path)}: its header holds no reslift card")
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise CheckpointError(f"{one_line(path)}: its card is damaged at '{place}'") from error


def save(path: Path, model: SRModel, card: Card, *, half: bool = False) -> None:
    """Write weights and card to one file, which appears only when it is whole.

    Args:
        path: ends in ``.safetensors``; an existing file is replaced.
        model: its weights; non-persistent buffers are rebuilt from the arguments.
        card: goes into the header.
        half: store 16-bit floats; loading gives 32-bit ones back.
    """
    import torch
    from safetensors.torch import save as to_bytes

    weights = {
        key: value.detach().cpu().to(torch.float16 if half else value.dtype).contiguous()
        for key, value in model.state_dict().items()
    }
    with atomic_write(path, overwrite=True) as temporary:
        temporary.write_bytes(to_bytes(weights, metadata={CARD_KEY: card.model_dump_json()}))


def load(name: str | Path, scale: int | None = None) -> tuple[SRModel, Card]:
    """Model, in evaluation mode on the CPU in fp32, and card of a zoo name, file or run folder.

    Raises:
        UnknownName: no such bundled model.
        CheckpointError: the file is damaged, foreign, or does not fit the model it names.
        UsageError: the model's scale is not the one asked for.
    """
    path = resolve(name, scale)
    card = card_for(path, scale)
    return _rebuild(path, card), card


def card_for(path: Path, scale: int | None) -> Card:
    """The card of a checkpoint that has to be for `scale`, where that is not None.

    Raises:
        CheckpointError: as for `read_card`. UsageError: the model is for another scale.
    """
    card = read_card(path)
    if scale is not None and card.scale != scale:
        raise UsageError(
            f"model {one_line(path)} has scale {card.scale}, not {scale}: ask for "
            f"--scale {card.scale} or for another model"
        )
    return card


def _rebuild(path: Path, card: Card) -> SRModel:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from reslift.models import MODELS

    misfit = f"{one_line(path)}: its weights do not fit the model it names ({one_line(card.model)})"
    try:
        kind = look_up(card.model, MODELS, "model")
        if any(isinstance(v, int) and v > MAX_ARGUMENT for v in card.arguments.values()):
            raise ValueError(f"an argument over {MAX_ARGUMENT}")
        stored = load_file(str(path))
        weights = {k: v for k, v in stored.items() if not k.startswith(EXTRA_PREFIX)}
        with torch.device("meta"):
            shapes = {k: v.shape for k, v in kind(**card.arguments).state_dict().items()}
        if shapes != {k: v.shape for k, v in weights.items()}:
            raise ValueError("shapes differ")
        model = kind(**card.arguments)
        model.load_state_dict({k: v.float() for k, v in weights.items()})
    except ResliftError as error:
        raise CheckpointError(f"{one_line(path)}: {one_line(error)}") from error
    except (TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(misfit) from error
    if model.scale != card.scale:
        raise CheckpointError(f"{one_line(path)}: card and weights differ in scale")
    return model.eval().requires_grad_(False)


def weights_digest(model: SRModel | Path) -> str:
    """SHA-256 of a checkpoint file, or of the weights of a model that comes from none."""
    if isinstance(model, Path):
        with model.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()

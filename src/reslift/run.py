"""The run folder: everything that a training leaves behind, and all that resuming needs.

::

    recipe.toml        the whole recipe, defaults included
    environment.json   versions, device, threads, command
    data.json          the pictures of each split
    log.jsonl          a line a validation
    state.pt           what ``--resume`` continues from
    pictures.safetensors   what they were made into for drawing, where that took long; until done
    best, last .safetensors   the averaged weights with their card
    report.html, .json what came of it: verdict, warnings, curves, pictures, the table
    loss.svg, psnr.svg the curves as pictures
    tensorboard/       the same numbers as events, where tensorboard is installed
"""

from __future__ import annotations

import io
import json
import math
import os
import platform
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from reslift.checkpoint import SUFFIX, Card
from reslift.datasets import DATASETS, Splits
from reslift.datasets.again import as_recorded, name_below
from reslift.errors import CheckpointError, OutputError, OutputExists, look_up, one_line
from reslift.files import atomic_write
from reslift.models import SRModel
from reslift.recipe import Recipe, load_recipe, to_toml
from reslift.start import complete
from reslift.validation import Score

LOG, STATE, STOCK = "log.jsonl", "state.pt", "pictures.safetensors"
REPORT, DATA, EVENTS = "report.json", "data.json", "tensorboard"
IN_STATE = {"model", "average", "optimiser", "step", "best", "waited", "elapsed", "threads"}
IN_STATE |= {"precision", "loss_sum", "loss_count", "random", "rows"}
BEFORE_TRAINING = {"recipe.toml", "environment.json", DATA, REPORT, "report.html", STOCK}
BEFORE_TRAINING |= {EVENTS}


class Run:
    """A run folder, created or opened.

    Args:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def create(cls, folder: Path, recipe: Recipe, facts: dict[str, Any]) -> Run:
        """A new folder with the recipe and the facts of the machine in it.

        Raises:
            OutputExists: the folder holds more than the start of a run that never trained.
            OutputError: it cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if {path.name for path in folder.iterdir()} - BEFORE_TRAINING:
                raise OutputExists(
                    f"{one_line(folder)} is not empty: continue it with --resume, or name another "
                    f"folder with --out"
                )
            (folder / STOCK).unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make {one_line(folder)}: {one_line(error)}") from error
        run = cls(folder)
        run.write_text("recipe.toml", to_toml(complete(recipe)))
        run.write_json("environment.json", {**environment(), **facts})
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """An existing run.

        Raises:
            CheckpointError: the folder holds no recipe.
        """
        if not (folder / "recipe.toml").is_file():
            raise CheckpointError(f"{one_line(folder)}: not a run folder: it holds no recipe.toml")
        return cls(folder)

    def recipe(self) -> Recipe:
        """The recipe that the run was started with."""
        return load_recipe(self.folder / "recipe.toml")

    def facts(self) -> dict[str, Any]:
        """What ``environment.json`` holds.

        Raises:
            CheckpointError: the file is absent or damaged.
        """
        (facts,) = self._parsed("environment.json", [self._read("environment.json")])
        return facts

    def splits(self, recipe: Recipe, root: Path) -> Splits:
        """The pictures of the recipe; those that the run once held out are held out for good.

        Raises:
            ResliftError: pictures are gone, or too few, or the list of them is damaged.
        """
        part = recipe.data
        drawn = look_up(part.name, DATASETS, "data set")(part, root, recipe.seed)
        if not (self.folder / DATA).exists():
            return drawn
        (record,) = self._parsed(DATA, [self._read(DATA)])
        for names in record.values():
            if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
                raise self._damaged(DATA, "not lists of pictures")
        return as_recorded(drawn, record, root, whole=part.split_by == "label")

    def note_pictures(self, splits: Splits, read: Sequence[str], root: Path) -> None:
        """Write ``data.json``; `read` are the training pictures that could be."""
        sets = {name: images.names for name, images in splits.sets().items()} | {"train": read}
        below = {key: [name_below(root, name) for name in names] for key, names in sets.items()}
        self.write_json(DATA, below)

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8")
        except OSError as error:
            raise CheckpointError(
                f"{one_line(self.folder / name)}: {one_line(error.strerror)}"
            ) from error
        except UnicodeDecodeError as error:
            raise self._damaged(name, error) from error

    def _parsed(self, name: str, texts: list[str]) -> list[dict[str, Any]]:
        try:
            found = [json.loads(text) for text in texts]
        except ValueError as error:
            raise self._damaged(name, error) from error
        if not all(isinstance(value, dict) for value in found):
            raise self._damaged(name, "not an object of JSON")
        return found

    def _damaged(self, name: str, why: object) -> CheckpointError:
        return CheckpointError(f"{one_line(self.folder / name)}: damaged: {one_line(why)}")

    def write_text(self, name: str, text: str) -> None:
        """Replace a text file of the folder, whole or not at all."""
        with atomic_write(self.folder / name, overwrite=True) as temporary:
            # Names of files need not be UTF-8; what is escaped here is JSON's escape as well.
            temporary.write_text(text, encoding="utf-8", errors="backslashreplace")

    def write_json(self, name: str, value: Any) -> None:
        """Replace a JSON file of the folder."""
        self.write_text(name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder; nothing in it where it is absent or damaged."""
        try:
            value = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}

    def rows(self) -> list[dict[str, Any]]:
        """The log, a row a validation; none where training did not come so far."""
        if not (self.folder / LOG).exists():
            return []
        return self._parsed(LOG, self._read(LOG).splitlines())

    def log(self, rows: list[dict[str, Any]]) -> None:
        """Replace the log by these rows; whole, so that it always agrees with the state."""
        self.write_text(LOG, "".join(json.dumps(row) + "\n" for row in rows))

    def events(self, step: int) -> Any:
        """A TensorBoard writer that drops what came after ``step``.

        None without the package, and where the folder's name is not UTF-8, the only one that
        TensorBoard takes; the log has the same numbers.
        """
        folder = str(self.folder / EVENTS)
        try:
            folder.encode()
            from torch.utils.tensorboard import SummaryWriter
        except (ImportError, UnicodeEncodeError):
            return None
        return SummaryWriter(folder, purge_step=step + 1)

    def save_state(self, state: dict[str, Any]) -> None:
        """Replace the state; the old one survives a kill at any moment."""
        # Written by torch itself, a full disk would be an error of its zip, without a name.
        whole = io.BytesIO()
        torch.save(state, whole)
        with atomic_write(self.folder / STATE, overwrite=True) as temporary:
            temporary.write_bytes(whole.getbuffer())

    @property
    def has_state(self) -> bool:
        """Whether there is something to continue from."""
        return (self.folder / STATE).exists()

    def load_state(self, device: torch.device) -> dict[str, Any] | None:
        """The last saved state, or None when the run had not saved one yet.

        Raises:
            CheckpointError: the file is damaged, or gone from a run that had one.
        """
        path = self.folder / STATE
        if not self.has_state:
            if (self.folder / LOG).exists() or (self.folder / f"last{SUFFIX}").exists():
                raise CheckpointError(
                    f"{one_line(path)} is not there, and without it the run would start anew over "
                    "its own results: bring it back, or train into another folder with --out"
                )
            return None
        try:
            state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        except (MemoryError, torch.OutOfMemoryError):
            raise
        except (PermissionError, IsADirectoryError) as error:
            raise CheckpointError(f"{one_line(path)}: {one_line(error.strerror)}") from error
        except Exception as error:  # torch's own words advise to trust the file and go on
            raise self._damaged(STATE, "not a whole state of a training") from error
        if not (isinstance(state, dict) and state.keys() >= IN_STATE):
            raise self._damaged(STATE, "not a whole state of a training")
        return state

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """Restoring from the state in here; CheckpointError where it is of another recipe."""
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise CheckpointError(
                f"{one_line(self.folder / STATE)}: this state does not fit the recipe.toml beside "
                "it: bring back the one it was saved with"
            ) from error


def card_of(
    recipe: Recipe, model: SRModel, data: str, step: int, score: Score | None, bicubic: Score
) -> Card:
    """What the weights of a run are.

    Args:
        recipe: they come from it.
        model: holds them.
        data: what they saw, in words.
        step: how far training was.
        score: of the validation, where it has been; ``bicubic`` is that of bicubic.
    """
    scores: dict[str, dict[str, float]] = {}
    if score is not None:
        numbers = {
            "psnr_y": score.psnr_y,
            "mse": score.mse,
            "bicubic_psnr_y": bicubic.psnr_y,
            "bicubic_mse": bicubic.mse,
        }
        # The PSNR of equal pictures is infinite, which a card cannot hold.
        scores["validation"] = {k: v for k, v in numbers.items() if math.isfinite(v)}
    return Card(
        name=recipe.name,
        model=recipe.model.name,
        arguments=model.arguments,
        scale=recipe.scale,
        summary=recipe.summary,
        data=data,
        licence=recipe.licence,
        recipe=recipe.model_dump(mode="json", exclude_none=True),
        command=shlex.join(["reslift", "train", recipe.name]),
        scores=scores,
        parameters=model.parameter_count(),
        version=environment()["reslift"],
        notes=(f"step {step} of {recipe.steps}",),
    )


def environment() -> dict[str, Any]:
    """Versions and machine, as a run records them."""
    from reslift import __version__

    return {
        "reslift": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
    }

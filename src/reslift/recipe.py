"""Recipes: what to train, as typed TOML. Unknown keys are refused and the near name suggested.

A recipe lists only what differs from the defaults below; a run writes the whole into its folder.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path, PureWindowsPath
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from reslift.errors import RecipeError, look_up, one_line
from reslift.files import recipes_folder
from reslift.recipe_errors import explain

Value = bool | int | float | str | tuple[str, ...]
Weight = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, lt=1)]

MOST_THREADS = 1024
LARGEST_SEED = 2**23 - 1  # ``stepper.noise_seeds`` stay in 64 bits with it


ACCURACY = (
    "accuracy counts answers that are exactly right, of a classifier; SR is a regression, whose "
    "pixels are close or far: watch psnr_y or mse"
)


def refuse_accuracy(value: Any) -> Any:
    """ValueError, with the reason, where a recipe asks for the accuracy of a regression."""
    names = value if isinstance(value, dict) else [value]
    if any(str(name).lower().removeprefix("val_") in ("acc", "accuracy") for name in names):
        raise ValueError(ACCURACY)
    return value


class Part(BaseModel):
    # TOML has infinity, JSON and what a run writes of its recipe have not.
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ModelPart(Part):
    """Which architecture: an entry of ``MODELS`` and its constructor's arguments.

    Attributes:
        symmetry: positions of a picture that the model answers alike: 1, 2, 4 or 8.
    """

    name: str = "lift"
    arguments: dict[str, Value] = {}
    symmetry: Literal[1, 2, 4, 8] = 1


class DegradationPart(Part):
    """How HR becomes LR: an entry of ``DEGRADATIONS`` and its arguments, but for the scale."""

    name: str = "bicubic"
    arguments: dict[str, Value] = {}


class DataPart(Part):
    """Where the pictures are.

    Attributes:
        name: entry of ``DATASETS``.
        train: folders to train on; relative ones start at ``--data``.
        validation: folders to validate on; if empty, ``hold_out`` pictures of ``train``.
        exclude: patterns of file names or of paths below the folder to leave out.
        hold_out: number of pictures, or share of them if below 1, kept for validation.
        test: the same, kept for a test that training never looks at.
        split_by: what is drawn for the splits: ``picture``, or ``label``, which keeps all pictures
            of a class or person on one side.
        resize: side that pictures are brought to: the middle square, antialiased bilinear; 0 keeps
            them as they are.
        cache: keep decoded pictures of one size on the disk for the next training.
        workers: that prepare pictures ahead, or decode those of one size; 0 chooses.
        reject_flat: share of patches, the flattest ones, that is never drawn.
        augment: ``all`` draws flips and quarter turns, ``mirror`` left-right flips only.
        shifts: sampling grids that LR is made on, shifted by whole HR pixels: 1 to scale².
        copies: shrunk copies of the pictures that are drawn too, as shares of their sides.
        colours: share of the patches with permuted colours, less contrast, another brightness.
        drawn: pictures of 1024x1024 that are drawn, not photographed, and trained on too.
        turned: copies of each picture, turned by any angle and shrunk, that are trained on too.
        collages: pictures of 1024x1024 made of pieces of the others, that are trained on too.
        validation_crop: side of the centre crop, HR pixels, that validation looks at; 0 is all.
    """

    name: str = "folder"
    train: tuple[str, ...] = (".",)
    validation: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hold_out: float = Field(0.05, ge=0)
    test: float = Field(0.0, ge=0)
    split_by: Literal["picture", "label"] = "picture"
    resize: int = Field(0, ge=0, le=4096)
    cache: bool = True
    workers: int = Field(0, ge=0, le=256)
    reject_flat: float = Field(0.3, ge=0, lt=1)
    augment: Literal["all", "mirror", "none"] = "all"
    shifts: int = Field(1, ge=1)
    copies: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    colours: float = Field(0.0, ge=0, le=1)
    drawn: int = Field(0, ge=0, le=10_000)
    turned: int = Field(0, ge=0, le=100)
    collages: int = Field(0, ge=0, le=10_000)
    validation_crop: int = Field(768, ge=0)


class PerceptualPart(Part):
    """What the loss ``perceptual`` and the monitor of that name compare pictures in.

    Attributes:
        features: entry of ``FEATURES``: st_lpips, lpips or encoder.
        model: zoo name, checkpoint or run folder whose encoder ``encoder`` uses.
    """

    features: str = "st_lpips"
    model: str = ""

    @model_validator(mode="after")
    def _model_goes_with_encoder(self) -> PerceptualPart:
        if (self.features == "encoder") != bool(self.model):
            raise ValueError('model goes with features = "encoder", and encoder needs it')
        return self


class AdversaryPart(Part):
    """A discriminator that a phase trains the model against.

    Attributes:
        loss: entry of ``ADVERSARIAL_LOSSES``: relativistic or hinge.
        weight: of the adversarial loss beside the phase's losses, once fully ramped.
        rate: learning rate of the discriminator.
        width: features of its first layer.
        warmup: steps at the start in which the discriminator alone learns.
        ramp: steps in which the weight rises from 0 while PSNR holds the floor.
        floor: held-out PSNR-Y below which the weight is lowered, dB above ``floor_from``.
        floor_from: ``start``, the PSNR-Y when the phase begins, or ``bicubic``.
        spike: a loss above this many times its running mean is a spike, which is rolled back.
        keep_every: steps between the states that a spike is rolled back to.
        rollbacks: how many of them a phase survives.
    """

    loss: str = "relativistic"
    weight: float = Field(5e-3, gt=0)
    rate: float = Field(1e-4, gt=0)
    width: int = Field(32, ge=1, le=512)
    warmup: int = Field(100, ge=0)
    ramp: int = Field(500, ge=1)
    floor: float = -0.5
    floor_from: Literal["start", "bicubic"] = "start"
    spike: float = Field(5.0, gt=1)
    keep_every: int = Field(100, ge=1)
    rollbacks: int = Field(5, ge=0)


class Phase(Part):
    """A stretch of training with one batch shape, one loss and one rate curve.

    Attributes:
        steps: optimiser steps.
        batch, patch: patches a step, and their side in LR pixels.
        rate, final_rate: learning rate at the start and, along a half cosine, at the end;
            ``final_rate`` left out keeps it constant.
        warmup: steps over which the rate rises from 0.
        loss: entries of ``LOSSES``, or ``perceptual``, at least one, and their weights above 0.
        kl: weight of a variational model's KL term, nats per latent number; above 0 for these
            models, 0 for all others.
        kl_warmup: steps over which that weight rises from 0 (Bowman et al. 2016), so that the
            latent is used before it has a price.
        adversary: the discriminator to train against; none when left out.
        blended: share of the patches that have another one laid over them, half opaque at most.
        teacher: a model (zoo name, file or run) whose answers HR is mixed with; none when left out.
        taught: the share of its answers in that mixture.
    """

    steps: int = Field(ge=1)
    batch: int = Field(16, ge=1)
    patch: int = Field(48, ge=4)
    rate: float = Field(5e-4, gt=0)
    final_rate: float | None = Field(None, ge=0)
    warmup: int = Field(0, ge=0)
    loss: dict[str, Weight] = Field({"l1": 1.0}, min_length=1)
    kl: float = Field(0.0, ge=0)
    kl_warmup: int = Field(0, ge=0)
    adversary: AdversaryPart | None = None
    blended: float = Field(0.0, ge=0, le=1)
    teacher: str = ""
    taught: float = Field(0.5, gt=0, le=1)

    _no_accuracy = field_validator("loss", mode="before")(refuse_accuracy)


class OptimiserPart(Part):
    """Optimiser, gradient clipping and the moving average (EMA) of the weights that is deployed.

    Attributes:
        name: entry of ``OPTIMISERS``, ``adam`` or ``muon``.
        betas, weight_decay: of Adam.
        l1_penalty: λ of the term λ Σ|w| over all weights but biases, added to the loss.
        centre: Muon turns the centre taps of each 3×3 kernel once more by themselves, which is how
            it would train a 1×1 convolution beside it.
        clip: largest gradient norm; 0 switches clipping off.
        ema: share of the average that stays at each step.
    """

    name: str = "adam"
    betas: tuple[Share, Share] = (0.9, 0.99)
    weight_decay: float = Field(0.0, ge=0)
    l1_penalty: float = Field(0.0, ge=0)
    centre: bool = False
    clip: float = Field(1.0, ge=0)
    ema: float = Field(0.999, ge=0, lt=1)


class WatchPart(Part):
    """Validation, checkpoints and stopping.

    Attributes:
        validate_every: steps between validations.
        save_minutes: minutes between states that ``--resume`` continues from.
        monitor: what makes a validation better: a higher ``psnr_y`` (dB), a lower ``mse``, or
            a lower ``perceptual`` distance.
        patience: validations without an improvement before stopping; 0 never stops early.
        min_delta: by how much the monitored number has to improve to count, in its own unit.
        epoch: steps an epoch of the progress bar holds; 0 means one validation interval.
        tensorboard: write event files when tensorboard is installed.
    """

    validate_every: int = Field(1000, ge=1)
    save_minutes: float = Field(5.0, gt=0)
    monitor: Literal["psnr_y", "mse", "perceptual"] = "psnr_y"
    patience: int = Field(0, ge=0)
    min_delta: float = Field(0.0, ge=0)
    epoch: int = Field(0, ge=0)
    tensorboard: bool = True

    _no_accuracy = field_validator("monitor", mode="before")(refuse_accuracy)


class EnginePart(Part):
    """How the arithmetic is done. ``auto`` is bf16 where the chip has it and fp32 elsewhere.

    Attributes:
        precision: auto, fp32 or bf16.
        compile: fuse the model with ``torch.compile``; worth its start-up on a GPU.
        graph: replay each step as one CUDA graph; ignored elsewhere.
        threads: CPU threads; 0 leaves torch's own choice.
    """

    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    graph: bool = False
    threads: int = Field(0, ge=0, le=MOST_THREADS)


class Recipe(Part):
    """Everything that decides the weights, but for the pictures themselves.

    Attributes:
        name: also the run folder's and the card's name, so no path.
        init: zoo name, checkpoint or run folder to start from; what fits by name and shape is taken
            over, so that an ×2 trunk starts an ×4 model.
        grow: start as the smaller model that ``init`` names, widened and deepened without a change
            of its answers (``models/grow.py``); kind and scale have to be the same.
        licence: written into the card.
    """

    name: str
    summary: str = ""
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    scale: int = Field(4, ge=1, le=8)
    init: str | None = None
    grow: bool = False
    licence: str = ""
    model: ModelPart = ModelPart()
    degradation: DegradationPart = DegradationPart()
    data: DataPart = DataPart()
    optimiser: OptimiserPart = OptimiserPart()
    watch: WatchPart = WatchPart()
    engine: EnginePart = EnginePart()
    perceptual: PerceptualPart = PerceptualPart()
    phases: tuple[Phase, ...] = (Phase(steps=10_000),)

    @field_validator("name")
    @classmethod
    def _name_is_one_folder(cls, name: str) -> str:
        # Windows' rules are the stricter ones, and runs are carried from machine to machine.
        if not name.strip() or name == ".." or "\0" in name or PureWindowsPath(name).name != name:
            raise ValueError("it names the run's folder: not empty, no path, not . or ..")
        return name

    @model_validator(mode="after")
    def _has_phases(self) -> Recipe:
        if not self.phases:
            raise ValueError("a recipe needs at least one phase")
        if self.grow and not self.init:
            raise ValueError("grow needs init, the smaller model to start from")
        return self

    @property
    def steps(self) -> int:
        """Optimiser steps of all phases."""
        return sum(phase.steps for phase in self.phases)


def recipes() -> dict[str, Path]:
    """The bundled recipes by name, from the wheel or the checkout."""
    return {path.stem: path for path in sorted(recipes_folder().glob("*.toml"))}


def load_recipe(name: str | Path, sets: tuple[str, ...] = ()) -> Recipe:
    """A recipe from a bundled name or a TOML file, with ``key=value`` changes applied.

    Args:
        name: ``lift-base-x4`` or a path.
        sets: dotted keys, list places by number: ``phases.0.steps=200``. Values are TOML; what is
            not TOML is text.

    Raises:
        RecipeError: the file cannot be read, a key is unknown or a value does not fit.
        UnknownName: no such bundled recipe.
    """
    path = Path(name)
    if path.suffix != ".toml" and not path.is_file():
        path = look_up(str(name), recipes(), "recipe")
    try:
        # Editors of Windows begin UTF-8 with a mark, which is no part of TOML.
        tree = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RecipeError(f"{one_line(path)}: {one_line(error.strerror)}") from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{one_line(path)}: not TOML: {one_line(error)}") from error
    tree.setdefault("name", path.stem)
    for change in sets:
        _apply(tree, change)
    return parse(tree, one_line(path))


def parse(tree: dict[str, Any], origin: str) -> Recipe:
    """A recipe from a nested dict; errors begin with ``origin``."""
    try:
        return Recipe.model_validate(tree)
    except ValidationError as error:
        raise RecipeError(f"{origin}: {explain(error, Recipe)}") from error


def _apply(tree: dict[str, Any], change: str) -> None:
    key, equals, text = change.partition("=")
    if not equals:
        raise RecipeError(f"--set wants key=value, not {one_line(change)!r}")
    if any("\ud800" <= letter <= "\udfff" for letter in change):
        raise RecipeError(f"--set {one_line(change)}: not UTF-8, as TOML has to be")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    node, (*parents, last) = tree, key.strip().split(".")
    try:
        if any(name[:1] == "-" for name in (*parents, last)):
            raise IndexError
        for name in parents:
            node = node[int(name)] if isinstance(node, list) else node.setdefault(name, {})
        node[int(last) if isinstance(node, list) else last] = value
    except (ValueError, IndexError, TypeError, AttributeError) as error:
        hint = "lists count from 0, as in phases.0.steps=200"
        raise RecipeError(f"--set {one_line(change)}: no such place; {hint}") from error


def to_toml(recipe: Recipe) -> str:
    """The whole recipe, defaults included, as TOML that ``load_recipe`` reads back."""
    tree = recipe.model_dump(mode="json", exclude_none=True)
    lines = [
        f"{k} = {_toml(v)}" for k, v in tree.items() if not isinstance(v, dict) and k != "phases"
    ]
    for key, table in tree.items():
        if isinstance(table, dict):
            lines += ["", f"[{key}]", *(f"{k} = {_toml(v)}" for k, v in table.items())]
    for phase in tree["phases"]:
        lines += ["", "[[phases]]", *(f"{k} = {_toml(v)}" for k, v in phase.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # TOML's rule alone

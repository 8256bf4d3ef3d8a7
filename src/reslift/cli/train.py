"""``reslift train``: a recipe in, a run folder out."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reslift.cli import say
from reslift.words import counted, signed

if TYPE_CHECKING:
    from reslift.advice import Advice
    from reslift.recipe import Recipe
    from reslift.run import Run


def command(
    recipe: Annotated[
        str | None, typer.Argument(help="Bundled recipe or TOML file; none with --resume.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Folder of pictures, or root of the recipe's folders.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Run folder [default: runs/NAME].")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Run folder to continue.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Change the recipe: key=value.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    devices: Annotated[int, typer.Option(help="Data-parallel processes.")] = 1,
    minutes: Annotated[
        float | None, typer.Option(help="Stop after this long; --resume goes on.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> int:
    """Train a model as a recipe says, or resume a run."""
    from reslift.errors import UsageError

    if minutes is not None and not minutes >= 0:  # nan would never end
        raise UsageError(f"--minutes {minutes:g}: it wants a number from 0 up")
    if (recipe is None) == (resume is None):
        raise UsageError("name either a recipe to start or a run folder with --resume")
    if resume is not None:
        if set_ or out:
            raise UsageError(
                "--resume continues the run as it is: --set and --out do not go with it"
            )
        return _go(resume, None, data, device, devices, minutes, quiet)
    from reslift.recipe import load_recipe

    assert recipe is not None
    chosen = load_recipe(recipe, tuple(set_ or ()))
    return _go(out or Path("runs") / chosen.name, chosen, data, device, devices, minutes, quiet)


def _go(
    folder: Path,
    recipe: Recipe | None,
    data: Path | None,
    device: str,
    devices: int,
    minutes: float | None,
    quiet: bool,
) -> int:
    from reslift.files import alone
    from reslift.parallel import fit_on
    from reslift.run import Run

    if recipe is None:
        Run.open(folder)  # nothing is made where there is no run
    with alone(folder, "training"):
        if recipe is None:
            run = Run.open(folder)
            recipe = run.recipe()
            root = data or Path(run.facts().get("data_root", "."))
        else:
            root = data or Path()
            facts = {"data_root": str(root.resolve()), "command": ["reslift", *sys.argv[1:]]}
            run = Run.create(folder, recipe, facts)
        watcher = None if quiet else show_progress(bars=devices == 1)
        try:
            done = fit_on(devices, recipe, run, root, device, minutes, watcher)
        except KeyboardInterrupt:
            say(f"stopped; continue with: reslift train --resume {folder}")
            raise
        finally:
            if watcher is not None:
                watcher.close()
    if not quiet:
        for line in verdicts(run):
            say(line)
        left = "" if done else f"; continue with: reslift train --resume {folder}"
        print(f"{folder}{left}")
    return 0


def verdicts(run: Run) -> list[str]:
    """What the run's report says of each split, a line each; none before a first validation."""
    from reslift.run import REPORT

    found = run.read_json(REPORT)
    judged = [row for row in found.get("summary", []) if row["verdict"]]
    gains = {
        row["set"]: f"{signed(float(row['gain_psnr_y']))} dB against bicubic. "
        for row in judged
        if row["gain_psnr_y"] is not None
    }
    told = found.get("verdicts", [])
    return [f"{one['set']}: {gains.get(one['set'], '')}{one['sentence']}" for one in told]


def show_progress(bars: bool) -> Any:
    """Bars on a terminal, a line a validation elsewhere."""
    return Bars() if bars and sys.stderr.isatty() else Lines()


class Lines:
    """A line of text for each validation."""

    def __init__(self) -> None:
        self.begun = time.monotonic()
        self.first = 0
        self.recipe: Recipe | None = None

    def started(self, recipe: Recipe, step: int, facts: dict[str, Any]) -> None:
        self.recipe, self.first, self.begun = recipe, step, time.monotonic()
        self.say(
            f"{recipe.name}: {facts['parameters']:,} parameters, {facts['pictures']} pictures "
            f"({facts['megapixels']} MP), {facts['device']} {facts['precision']}, "
            f"{counted(facts['threads'], 'thread')}, step {step} of {recipe.steps}"
        )

    def stepped(self, step: int) -> None:
        pass

    def validated(self, row: dict[str, Any]) -> None:
        assert self.recipe is not None
        speed = (row["step"] - self.first) / max(1e-9, time.monotonic() - self.begun)
        gain = row["psnr_y"] - row["bicubic_psnr_y"]
        self.say(
            f"step {row['step']}/{self.recipe.steps}  loss {row['loss']:.5f}  "
            f"PSNR-Y {row['psnr_y']:.3f} dB  bicubic {row['bicubic_psnr_y']:.3f}  "
            f"gain {signed(gain, 3)}  rate {row['rate']:.1e}  {speed:.1f} steps/s"
        )

    def note(self, text: str) -> None:
        self.say(f"note: {text}")

    def warn(self, advice: Advice) -> None:
        self.say(f"warning: {advice}")

    def say(self, text: str) -> None:
        say(text)

    def close(self) -> None:
        pass


class Bars(Lines):
    """Bars for the epoch and for the whole training, with the time left."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        self.bars = Progress(
            "{task.description}",
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.epoch_steps = 1

    def started(self, recipe: Recipe, step: int, facts: dict[str, Any]) -> None:
        self.epoch_steps = recipe.watch.epoch or recipe.watch.validate_every
        self.bars.start()
        self.whole = self.bars.add_task("training", total=recipe.steps, completed=step)
        self.epoch = self.bars.add_task("epoch", total=self.epoch_steps)
        super().started(recipe, step, facts)

    def stepped(self, step: int) -> None:
        assert self.recipe is not None
        number, inside = divmod(step - 1, self.epoch_steps)
        epochs = -(-self.recipe.steps // self.epoch_steps)
        self.bars.update(self.whole, completed=step)
        self.bars.update(
            self.epoch, completed=inside + 1, description=f"epoch {number + 1}/{epochs}"
        )

    def say(self, text: str) -> None:
        self.bars.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self.bars.stop()

"""``fit``: from a recipe and pictures to a run folder. The loop, read top to bottom."""

from __future__ import annotations

import contextlib
import json
import math
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from reslift import checkpoint
from reslift.adversary import adversary_notes
from reslift.advice import Advice
from reslift.backends.torch import choose_device
from reslift.datasets.base import Splits
from reslift.datasets.made import made_sets
from reslift.datasets.patches import PatchBank
from reslift.datasets.stock import kept_stock
from reslift.degradations import Degradation, make_degradation
from reslift.errors import ResliftError, UsageError, escaped, one_line
from reslift.interrupts import Flag, stop_politely
from reslift.objective import PERCEPTUAL, Objective
from reslift.outcome import Reporter
from reslift.recipe import Recipe
from reslift.run import STOCK, Run, card_of
from reslift.start import complete, start_model
from reslift.stepper import Stepper, rate_at
from reslift.validation import Best, Score, Validator, diverged
from reslift.watcher import Silent, Watcher

Row = dict[str, Any]
SAMPLE = 32
"""Training pictures that are measured like the held-out ones, at most."""


def fit(
    recipe: Recipe,
    run: Run,
    *,
    data: Path,
    device: str = "auto",
    minutes: float | None = None,
    watcher: Watcher | None = None,
    share: tuple[int, int] = (0, 1),
    stop: Flag | None = None,
) -> bool:
    """Train until the recipe's steps are done, patience runs out or the minutes are over.

    Starts from the run's saved state when it has one. A stopped and resumed training gives, on the
    CPU in the same precision, the very weights of an uninterrupted one.

    Args:
        recipe: what to train.
        run: its folder.
        data: root of the recipe's relative picture folders.
        device: auto, cpu, cuda or mps.
        minutes: stop, with the state saved, after this long, making pictures ready included; at
            least one step is done.
        watcher: is told of each step and validation.
        share: (rank, world) of a data-parallel process.
        stop: says when to stop after a step, instead of Ctrl-C and SIGTERM.

    Returns:
        Whether the training is finished; False when it can be resumed.

    Raises:
        ResliftError: pictures, recipe or initial weights cannot be used, or the loss or a
            validation's score is not finite.
        KeyboardInterrupt: after saving the state.
    """
    watcher = watcher or Silent()
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    session = Session(complete(recipe), run, data, device, share, watcher)
    with contextlib.nullcontext(stop) if stop is not None else stop_politely() as asked:
        while not session.finished:
            session.advance()
            if session.agree(asked.is_set() or time.monotonic() > deadline):
                break
        session.close()
    if asked.is_set():
        raise KeyboardInterrupt
    return session.finished


class Session:
    """One sitting of a training: what ``fit`` moves forward step by step."""

    def __init__(
        self,
        recipe: Recipe,
        run: Run,
        data: Path,
        device: str,
        share: tuple[int, int],
        watcher: Watcher,
    ) -> None:
        self.recipe, self.run, self.watcher, self.share = recipe, run, watcher, share
        self.root = data
        self.device = torch.device(choose_device(device))
        torch.backends.cudnn.benchmark = True
        state = run.load_state(self.device)
        self.threads = _set_threads(state["threads"] if state else recipe.engine.threads)
        self.precision = state["precision"] if state else choose_precision(recipe, self.device)
        _check_share(recipe, share)
        objective = Objective(recipe, self.device)

        degradation = make_degradation(
            recipe.degradation.name, recipe.scale, recipe.degradation.arguments
        )
        splits = run.splits(recipe, data)
        model = start_model(recipe, watcher.note).to(self.device)
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.bank = self._fill_bank(splits, degradation)
        crop = recipe.data.validation_crop
        self.validator = Validator(
            splits.validation, degradation, self.device, crop, objective.features
        )
        self._leave_out(self.validator.unreadable)
        self.validator.check()
        photos = len(set(self.bank.stock.names) & set(splits.train.names))
        few = self.bank.sample(min(SAMPLE, max(1, len(self.validator.pairs) // 2)), photos)
        self.sample = Validator(few, degradation, self.device, crop)
        self.stepper = Stepper(model, self.bank, recipe, self.precision, share, objective)
        self.rows: list[Row] = []
        self.step, self.elapsed, self.best = 0, 0.0, Best(recipe.watch)
        self._loss_sum, self._loss_count = torch.zeros((), device=self.device), 0
        if state:
            with run.fitting():
                self._restore(state)
        wanted = recipe.watch.tensorboard and self._leads
        self._events = run.events(self.step) if wanted else None
        self._since = time.monotonic()
        self._saved_at = self._since
        self._open_log(splits)
        if self._leads:
            model = self.stepper.average
            self.reporter = Reporter(run, recipe, splits, degradation, self.validator, model)
            self.reporter.update(self.rows, self.step, self.finished)
            self._tell(self.reporter.warnings)
        if recipe.init and not state and _monitors_its_goal(recipe):
            self._measure_start()

    def _measure_start(self) -> None:
        """The first best is what is started from, so that continuing never ends below it."""
        score = self.validator.score(self.stepper.average)
        if wrong := score.not_finite:
            raise ResliftError(f"init {one_line(self.recipe.init)}: its {wrong} is not finite")
        self.best.sees(score, waits=False)
        gain = score.psnr_y - self.validator.baseline.psnr_y
        self.watcher.note(f"starts from PSNR-Y {score.psnr_y:.3f} dB, {gain:+.3f} on bicubic")
        if self._leads:
            self._save_weights("best", score)

    def _fill_bank(self, splits: Splits, degradation: Degradation) -> PatchBank:
        part, photos = self.recipe.data, splits.train
        made = made_sets(part, photos)
        images = sum(made.values(), photos)
        # After a stop the pictures are what they were, whatever has become of the files since.
        files = [Path(name).name for name in images.names]
        about = part, self.recipe.degradation, self.recipe.scale, self.recipe.seed, files
        stock = kept_stock(
            self.run.folder / STOCK,
            repr(about),
            images,
            degradation,
            self.device,
            shifts=part.shifts,
            copies=part.copies,
            workers=part.workers,
            note=self.watcher.note if self._leads else None,
        )
        bank = PatchBank(
            stock,
            reject_flat=part.reject_flat,
            augment=part.augment,
            colours=part.colours,
            seed=self.recipe.seed,
        )
        for patch in {phase.patch for phase in self.recipe.phases}:
            bank.spots(patch)
        self.made = {kind: len({*stock.names} & {*made[kind].names}) for kind in made}
        self._leave_out(stock.unreadable)
        return bank

    def _leave_out(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.watcher.note(f"left out: {line}")

    def _open_log(self, splits: Splits) -> None:
        facts = {
            "device": str(self.device),
            "precision": self.precision,
            "threads": self.threads,
            "parameters": self.stepper.model.parameter_count(),
            "pictures": len(self.bank.stock.names),
            "megapixels": round(self.bank.stock.pixels / 1e6, 2),
            "bicubic_psnr_y": self.validator.baseline.psnr_y,
        }
        if self._leads and self.step == 0:
            self.run.write_json("environment.json", {**self.run.facts(), **facts})
        if self._leads:
            self.run.note_pictures(splits, self.bank.stock.names, self.root)
        self.watcher.started(self.recipe, self.step, facts)
        for line in splits.notes:
            self.watcher.note(line)

    @property
    def _leads(self) -> bool:
        return self.share[0] == 0

    @property
    def finished(self) -> bool:
        """All steps done, or patience used up in the last phase."""
        return self.step >= self.recipe.steps or self.best.over

    def agree(self, stop: bool) -> bool:
        """Whether the leading process wants to stop, known to all processes."""
        if self.share[1] == 1:
            return stop
        word = torch.tensor(int(stop), device=self.device)
        torch.distributed.broadcast(word, 0)
        return bool(word.item())

    def advance(self) -> None:
        """One step and whatever is due after it."""
        self._enter_phase()
        self._loss_sum += self.stepper.step(self.step)
        self._loss_count += 1
        self.step += 1
        self.watcher.stepped(self.step)
        watch = self.recipe.watch
        if self.step % watch.validate_every == 0 or self.step == self.recipe.steps:
            self._validate()
        if time.monotonic() - self._saved_at > 60 * watch.save_minutes:
            self._save_state()
        self._check_adversary()

    def _enter_phase(self) -> None:
        """At the first step of a phase: measure where it starts, and meet its adversary."""
        phase, inner = self.stepper.phase_at(self.step)
        if inner:
            return
        start = self.validator.baseline.psnr_y
        if phase.adversary is not None:
            start = self.validator.score(self.stepper.average).psnr_y
            for line in adversary_notes(self.recipe):
                self.watcher.note(line)
        self.stepper.begin(phase, start, self.validator.baseline.psnr_y)

    def _check_adversary(self) -> None:
        adversary = self.stepper.adversary
        if adversary is not None and adversary.guard.exhausted:
            self.close()
            raise ResliftError(
                f"step {self.step}: the loss ran away {adversary.guard.rollbacks} times; the run "
                f"keeps its last good state: lower adversary.weight, adversary.rate or phases.rate"
            )

    def _validate(self) -> None:
        loss = (self._loss_sum / self._loss_count).item()
        self._loss_sum.zero_()
        self._loss_count = 0
        if not math.isfinite(loss):
            raise diverged("loss", self.step)
        criterion = partial(self.stepper.objective, self.stepper.phase_at(self.step - 1)[0])
        score = self.validator.score(self.stepper.average, criterion)
        if wrong := score.not_finite:
            raise diverged(f"validation's {wrong}", self.step)
        bicubic, adversary = self.validator.baseline, self.stepper.adversary
        judged = adversary is None or self.recipe.watch.monitor == PERCEPTUAL
        last = self.step > self.recipe.steps - self.recipe.phases[-1].steps
        better = self.best.sees(score, waits=judged and last)
        row = {
            "step": self.step,
            "loss": loss,
            "validation_loss": score.loss,
            "bicubic_loss": self.validator.bicubic_loss(criterion),
            "psnr_y": score.psnr_y,
            "bicubic_psnr_y": bicubic.psnr_y,
            "mse": score.mse,
            "bicubic_mse": bicubic.mse,
            **self.sample.as_training(self.stepper.average),
            "rate": self._rate(),
            "seconds": round(self._seconds(), 1),
            **self.stepper.take_kl(),
        }
        if score.perceptual is not None:
            row |= {"perceptual": score.perceptual, "bicubic_perceptual": bicubic.perceptual}
        if adversary is not None:
            adversary.judge(score.psnr_y)
            row |= adversary.report()
        self.rows.append(row)
        if self._leads:
            if better or not (self.run.folder / f"best{checkpoint.SUFFIX}").exists():
                self._save_weights("best", score)
            if not self.run.has_state:
                self._save_state()  # a log without a state is a loss
            self.run.log(self.rows)
            self._tell(self.reporter.update(self.rows, self.step, self.finished, score))
            if self._events:
                for name in row.keys() - {"step", "seconds"}:
                    self._events.add_scalar(name, row[name], self.step)
        self.watcher.validated(row)

    def _rate(self) -> float:
        return rate_at(*self.stepper.phase_at(self.step - 1))

    def _seconds(self) -> float:
        return self.elapsed + time.monotonic() - self._since

    def close(self) -> None:
        """Save everything; the run folder is whole afterwards."""
        if self._leads:
            if self._events:
                self._events.close()
            self._save_state()
            last = self.rows[-1] if self.rows else {}
            known = "mse" in last
            self._save_weights("last", Score(last["psnr_y"], last["mse"]) if known else None)
            told = {advice.code for advice in self.reporter.warnings}
            self.reporter.finish(self.rows, self.step, self.finished)
            self._tell(one for one in self.reporter.warnings if one.code not in told)
            if self.finished:
                with contextlib.suppress(OSError):
                    (self.run.folder / STOCK).unlink(missing_ok=True)

    def _tell(self, warnings: Iterable[Advice]) -> None:
        for advice in warnings:
            self.watcher.warn(advice)

    def _save_state(self) -> None:
        self._saved_at = time.monotonic()
        if not self._leads:
            return
        self.run.save_state(
            {
                **self.stepper.state(),
                "step": self.step,
                **self.best.state(),
                "elapsed": self._seconds(),
                "threads": self.threads,
                "precision": self.precision,
                "loss_sum": self._loss_sum,
                "loss_count": self._loss_count,
                "random": torch.get_rng_state(),
                "rows": json.dumps(self.rows),
            }
        )

    def _restore(self, state: Row) -> None:
        self.stepper.restore(state)
        self.step, self.elapsed = state["step"], state["elapsed"]
        self.best.restore(state)
        self._loss_sum, self._loss_count = state["loss_sum"], state["loss_count"]
        self.rows = json.loads(state["rows"])
        torch.set_rng_state(state["random"].cpu())

    def _save_weights(self, stem: str, score: Score | None) -> None:
        path = self.run.folder / f"{stem}{checkpoint.SUFFIX}"
        part, model, stock = self.recipe.data, self.stepper.average, self.bank.stock
        seen = f"{len(stock.names)} pictures, {len(stock.hr) / 1e6:.1f} MP, from "
        seen += ", ".join(escaped((self.root / one).resolve().name) for one in part.train)
        seen += "".join(f", {count} {kind}" for kind, count in self.made.items() if count)
        card = card_of(self.recipe, model, seen, self.step, score, self.validator.baseline)
        checkpoint.save(path, model, card)


def choose_precision(recipe: Recipe, device: torch.device) -> str:
    """The recipe's precision; ``auto`` is bf16 on CUDA and on CPUs with AMX or AVX512-BF16."""
    if recipe.engine.precision != "auto":
        return recipe.engine.precision
    if device.type == "cuda":
        return "bf16"
    if device.type == "cpu" and torch.cpu._is_avx512_bf16_supported():
        return "bf16"
    return "fp32"


def _monitors_its_goal(recipe: Recipe) -> bool:
    """Whether a better model has a better monitor: training for looks pays with PSNR."""
    phases = recipe.phases
    looks = any(p.adversary is not None or p.kl or PERCEPTUAL in p.loss for p in phases)
    return recipe.watch.monitor == PERCEPTUAL or not looks


def _set_threads(threads: int) -> int:
    if threads:
        torch.set_num_threads(threads)
    return torch.get_num_threads()


def _check_share(recipe: Recipe, share: tuple[int, int]) -> None:
    for phase in recipe.phases:
        if phase.batch % share[1]:
            raise UsageError(f"a batch of {phase.batch} does not divide among {share[1]} devices")

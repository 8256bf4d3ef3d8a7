"""Training: exact resume, exact drawing, schedules, stopping, and what a run leaves behind."""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from unittest.mock import Mock
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import SafetensorError
from skimage import data

from kill_points import room
from reslift import checkpoint, parallel
from reslift.advice import Advice
from reslift.cli import main
from reslift.cli.train import Lines
from reslift.datasets.base import ImageSet
from reslift.datasets.collage import collage_set
from reslift.datasets.decode import decoded
from reslift.datasets.drawn import drawn_set
from reslift.datasets.folder import find_images, load_folders, read_rgb
from reslift.datasets.patches import FINE, PatchBank
from reslift.datasets.stock import Stock, grids, load_stock, stock_up
from reslift.degradations import Bicubic, ResizeBack
from reslift.errors import (
    DeviceError,
    InputError,
    OutputError,
    OutputExists,
    RecipeError,
    ResliftError,
)
from reslift.files import alone, part_name
from reslift.losses import LOSSES, agreement
from reslift.metrics import psnr_y
from reslift.models import Lift
from reslift.objective import Objective
from reslift.optimisers import OPTIMISERS, orthogonalise
from reslift.parallel import fit_on
from reslift.pixels.color import LUMA
from reslift.pixels.target import matrices
from reslift.recipe import Phase, Recipe, WatchPart, load_recipe, parse, recipes, to_toml
from reslift.run import IN_STATE, Run, card_of
from reslift.start import complete, start_model
from reslift.stepper import Stepper, ema_share, rate_at
from reslift.train import fit
from reslift.validation import Best, Criterion, Score, Validator, centre
from reslift.watcher import Silent

TREE = {
    "name": "tiny",
    "scale": 2,
    "model": {"arguments": {"width": 8, "blocks": 2, "inner_width": 8, "inner_blocks": 1}},
    "data": {"hold_out": 1, "validation_crop": 48},
    "watch": {"validate_every": 10, "save_minutes": 1000, "tensorboard": False},
    "engine": {"precision": "fp32", "threads": 1},
    "phases": [
        {"steps": 18, "batch": 4, "patch": 12, "rate": 1e-3, "warmup": 3},
        {
            "steps": 12,
            "batch": 2,
            "patch": 16,
            "rate": 1e-3,
            "final_rate": 1e-5,
            "loss": {"mse": 1},
            "blended": 0.5,
        },
    ],
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    photos = [data.astronaut()[40:169, 160:301], data.coffee()[60:189, 60:201]]
    photos += [data.chelsea()[60:189, 120:261], data.astronaut()[300:429, 60:201]]
    for number, photo in enumerate(photos):
        Image.fromarray(photo).save(folder / f"{number}.png")
    return folder


def recipe(**changes: object) -> Recipe:
    return parse({**TREE, **changes}, "test")


def start(folder: Path, chosen: Recipe) -> Run:
    return Run.create(folder, chosen, {})


def weights(run: Run, stem: str = "last") -> bytes:
    model, _ = checkpoint.load(run.folder / f"{stem}.safetensors")
    return b"".join(p.numpy().tobytes() for p in model.state_dict().values())


class Stopper(Silent):
    """Interrupts, as Ctrl-C does, at one step."""

    def __init__(self, at: int) -> None:
        self.at = at

    def stepped(self, step: int) -> None:
        if step == self.at:
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_saves_though_it_ended_what_read_the_messages(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `reslift train … 2>&1 | tee log`."""

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    chosen, monitor = recipe(), Lines()
    monitor.stepped = Stopper(3).stepped  # type: ignore[method-assign]
    run = start(tmp_path / "run", chosen)
    monkeypatch.setattr(sys, "stderr", Broken())
    with pytest.raises(KeyboardInterrupt):
        fit(chosen, run, data=pictures, watcher=monitor)
    state = run.load_state(torch.device("cpu"))
    assert state is not None and state["step"] == 3


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("environment.json", b"", "environment.json: damaged"),
        ("environment.json", b'{"data_root": "\xff"}', "environment.json: damaged"),
        ("environment.json", b"[1, 2]", "environment.json: damaged"),
        ("state.pt", b"", "state.pt: damaged: not a whole state"),
        ("state.pt", b"\x80garbage" * 99, "state.pt: damaged: not a whole state"),
        ("state.pt", [1, 2], "state.pt: damaged: not a whole state"),
        ("state.pt", {"step": 3}, "state.pt: damaged: not a whole state"),
        ("recipe.toml", {"model": {"arguments": {"width": 6}}}, "does not fit the recipe.toml"),
        ("recipe.toml", {"optimiser": {"name": "muon"}}, "does not fit the recipe.toml"),
    ],
)
def test_a_damaged_run_is_one_line_and_stays_as_it_is(
    name: str,
    content: object,
    says: str,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    phases = [{"steps": 4, "batch": 2, "patch": 12}]
    chosen = recipe(phases=phases)
    run = start(tmp_path / "run", chosen)
    with pytest.raises(KeyboardInterrupt):
        fit(chosen, run, data=pictures, watcher=Stopper(2))
    place = run.folder / name
    if isinstance(content, bytes):
        place.write_bytes(content)
    elif name == "recipe.toml":
        place.write_text(to_toml(recipe(phases=phases, **content)))  # type: ignore[arg-type]
    else:
        torch.save(content, place)
    before = {path: path.read_bytes() for path in run.folder.iterdir()}
    words = ["train", "--resume", str(run.folder)]
    given = [] if name == "environment.json" else ["--data", str(pictures)]
    capsys.readouterr()
    assert main([*words, *given, "--device", "cpu"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert says in said and "internal" not in said
    assert before == {path: path.read_bytes() for path in run.folder.iterdir()}


@pytest.mark.parametrize("steps", [2, 12])
def test_a_run_whose_state_is_gone_is_not_started_anew(
    steps: int, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It would begin at step 0 and replace best and last by those of the first steps."""
    run = start(tmp_path / "run", recipe())
    with pytest.raises(KeyboardInterrupt):
        fit(recipe(), run, data=pictures, watcher=Stopper(steps))
    (run.folder / "state.pt").unlink()
    before = {path: path.read_bytes() for path in run.folder.iterdir()}
    words = ["train", "--resume", str(run.folder), "--data", str(pictures), "--device", "cpu"]
    assert main(words) == 1
    assert "state.pt is not there" in capsys.readouterr().err.splitlines()[-1]
    assert before == {path: path.read_bytes() for path in run.folder.iterdir()}


def test_a_run_that_is_killed_after_a_validation_has_a_state(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Run, rows: list[dict[str, object]]) -> None:
        raise MemoryError

    run = start(tmp_path / "run", recipe())
    with monkeypatch.context() as patch, pytest.raises(MemoryError):
        patch.setattr(Run, "log", killed)
        fit(recipe(), run, data=pictures)
    assert not (run.folder / "log.jsonl").exists()
    assert fit(recipe(), run, data=pictures)
    whole = start(tmp_path / "whole", recipe())
    fit(recipe(), whole, data=pictures)
    assert weights(run, "best") == weights(whole, "best") and weights(run) == weights(whole)


def test_a_state_that_finds_no_room_is_told_and_the_old_one_stays(tmp_path: Path) -> None:
    run, cpu = start(tmp_path / "run", recipe()), torch.device("cpu")
    old = {**dict.fromkeys(IN_STATE, 0), "step": 7}
    run.save_state(old)
    with room(9000), pytest.raises(OutputError, match=r"cannot write .*state\.pt: File too large"):
        run.save_state({**old, "step": 8, "model": torch.zeros(9000)})
    assert run.load_state(cpu) == old
    assert not list(run.folder.glob(".*"))


@pytest.mark.parametrize("optimiser", OPTIMISERS)
def test_resumed_is_uninterrupted_bit_for_bit(
    optimiser: str, pictures: Path, tmp_path: Path
) -> None:
    chosen = recipe(optimiser={"name": optimiser})
    whole = start(tmp_path / "whole", chosen)
    assert fit(chosen, whole, data=pictures)
    broken = start(tmp_path / "broken", chosen)
    for stop in (3, 10, 17, 18, 29):
        with pytest.raises(KeyboardInterrupt):
            fit(chosen, broken, data=pictures, watcher=Stopper(stop))
        state = broken.load_state(torch.device("cpu"))
        assert state is not None
        assert state["step"] == stop
    assert fit(chosen, broken, data=pictures)
    for stem in ("last", "best"):
        assert weights(whole, stem) == weights(broken, stem)

    def rows(run: Run) -> list[dict[str, float]]:
        lines = (run.folder / "log.jsonl").read_text().splitlines()
        return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]

    assert rows(whole) == rows(broken)
    assert [row["step"] for row in rows(whole)] == [10, 20, 30]


@pytest.mark.timeout(240)
def test_killed_at_any_moment_it_continues_to_the_same_weights(
    pictures: Path, tmp_path: Path
) -> None:
    chosen = recipe(watch={**TREE["watch"], "save_minutes": 0.0001, "validate_every": 5})  # type: ignore[dict-item]
    whole = start(tmp_path / "whole", chosen)
    assert fit(chosen, whole, data=pictures)
    broken = start(tmp_path / "broken", chosen)
    command = [sys.executable, "-m", "reslift", "train", "--resume", str(broken.folder)]
    command += ["--data", str(pictures), "--quiet"]
    kills = 0
    for more_steps in (0.0, 0.03, 0.1):
        before = (broken.folder / "state.pt").exists()
        process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
        deadline = time.monotonic() + 60
        marker = broken.folder / "state.pt"
        begun = marker.stat().st_mtime if before else 0.0
        while process.poll() is None and time.monotonic() < deadline:
            if marker.exists() and marker.stat().st_mtime > begun:
                break
            time.sleep(0.002)
        time.sleep(more_steps)
        if process.poll() is None:
            process.kill()
            kills += 1
        process.wait()
    assert kills >= 1
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert weights(whole) == weights(broken)
    assert weights(whole, "best") == weights(broken, "best")
    leftovers = [p.name for p in broken.folder.iterdir() if p.name.startswith(".")]
    assert len(leftovers) <= kills


def test_minutes_pause_and_the_run_goes_on(pictures: Path, tmp_path: Path) -> None:
    run = start(tmp_path / "run", recipe())
    assert not fit(recipe(), run, data=pictures, minutes=0)
    assert fit(recipe(), run, data=pictures)


def test_training_beats_bicubic_and_leaves_a_whole_folder(pictures: Path, tmp_path: Path) -> None:
    phases = [{"steps": 120, "batch": 8, "patch": 24, "rate": 4e-3, "final_rate": 1e-4}]
    chosen = recipe(phases=phases, watch={**TREE["watch"], "validate_every": 60})  # type: ignore[dict-item]
    run = start(tmp_path / "run", chosen)
    fit(chosen, run, data=pictures)
    row = json.loads((run.folder / "log.jsonl").read_text().splitlines()[-1])
    assert row["psnr_y"] > row["bicubic_psnr_y"] + 0.1
    card = checkpoint.read_card(run.folder / "best.safetensors")
    assert card.scores["validation"]["psnr_y"] == pytest.approx(row["psnr_y"])
    assert card.recipe["phases"][0]["rate"] == 4e-3
    assert run.recipe() == chosen
    names = json.loads((run.folder / "data.json").read_text())
    assert len(names["train"]) == 3
    assert not set(names["train"]) & set(names["validation"])
    for picture in ("psnr.svg", "loss.svg"):
        ElementTree.parse(run.folder / picture)
    assert "bicubic" in (run.folder / "report.html").read_text()


def test_names_that_are_not_utf_8_are_trained_on(pictures: Path, tmp_path: Path) -> None:
    place = tmp_path / "photos\udce9"
    try:
        shutil.copytree(pictures, place)
        for path in list(place.iterdir()):
            path.rename(path.with_stem(f"caf\udce9{path.stem}"))
    except OSError:
        pytest.skip("names are Unicode on this file system")
    chosen = recipe()
    run = start(tmp_path / "run", chosen)
    assert fit(chosen, run, data=place)
    splits = run.splits(chosen, place)
    assert all("\udce9" in name for name in splits.train.names)
    assert "\\udce9" in (run.folder / "data.json").read_text(encoding="utf-8")


def test_pictures_of_one_colour_are_held_out_without_harm(pictures: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    Image.new("RGB", (64, 48), "white").save(plain / "white.png")
    (photo, *_) = sorted(pictures.glob("*.png"))
    chosen = recipe(data={"train": [str(plain)], "validation": [str(plain)], "reject_flat": 0.0})
    with pytest.raises(ResliftError, match="leaves none to train on"):
        fit(chosen, start(tmp_path / "a", chosen), data=tmp_path)
    chosen = recipe(data={"validation": [str(plain)]})
    with pytest.raises(ResliftError, match="bicubic makes every held-out picture exactly"):
        fit(chosen, start(tmp_path / "b", chosen), data=pictures)
    shutil.copy(photo, plain)
    run = start(tmp_path / "c", chosen)
    fit(chosen, run, data=pictures)
    rows = run.rows()
    assert all(math.isfinite(row["psnr_y"] + row["bicubic_psnr_y"]) for row in rows)
    alone = recipe(data={"train": [str(plain)], "exclude": [photo.name], "reject_flat": 0.0})
    alone = alone.model_copy(
        update={"data": alone.data.model_copy(update={"validation": (str(photo.parent),)})}
    )
    run = start(tmp_path / "d", alone)
    fit(alone, run, data=pictures)
    assert all("train_psnr_y" not in row for row in run.rows())


def test_patience_stops_and_the_best_is_kept(pictures: Path, tmp_path: Path) -> None:
    chosen = recipe(
        watch={"validate_every": 2, "patience": 2, "min_delta": 50.0, "tensorboard": False},
        phases=TREE["phases"][:1],  # type: ignore[index]
    )
    run = start(tmp_path / "run", chosen)
    assert fit(chosen, run, data=pictures)
    lines = (run.folder / "log.jsonl").read_text().splitlines()
    assert len(lines) == 3
    assert (run.folder / "best.safetensors").exists()


def test_init_takes_over_what_fits(pictures: Path, tmp_path: Path) -> None:
    first = start(tmp_path / "x2", recipe())
    fit(recipe(), first, data=pictures)
    model = start_model(recipe(scale=4, init=str(first.folder)))
    source, _ = checkpoint.load(first.folder)
    assert torch.equal(model.state_dict()["head.weight"], source.state_dict()["head.weight"])
    assert model.state_dict()["tail.weight"].abs().max() == 0
    other = {"arguments": {"width": 10, "blocks": 1, "inner_blocks": 0}}
    with pytest.raises(RecipeError, match="none of its weights"):
        start_model(recipe(model=other, init=str(first.folder)))


def test_init_brings_its_model_where_the_recipe_names_none(pictures: Path, tmp_path: Path) -> None:
    first = start(tmp_path / "first", recipe())
    fit(recipe(), first, data=pictures)
    tree = {key: value for key, value in TREE.items() if key != "model"}
    chosen = parse({**tree, "init": str(first.folder)}, "here")
    run = start(tmp_path / "second", chosen)
    assert run.recipe().model.arguments["width"] == recipe().model.arguments["width"]
    notes: list[str] = []
    model = start_model(complete(chosen), notes.append)
    source, _ = checkpoint.load(first.folder)
    assert all(map(torch.equal, model.state_dict().values(), source.state_dict().values()))
    assert fit(chosen, run, data=pictures) and notes == []
    other = recipe(scale=4, init=str(first.folder))
    start_model(other, notes.append)
    assert len(notes) == 1 and "do not fit and start anew: tail.weight" in notes[0]


def test_continuing_never_ends_below_where_it_started(pictures: Path, tmp_path: Path) -> None:
    first = start(tmp_path / "first", recipe())
    fit(recipe(), first, data=pictures)
    phases = [{**phase, "rate": 0.1} for phase in TREE["phases"]]
    wild = recipe(init=str(first.folder), phases=phases)
    watcher, notes = Silent(), list[str]()
    watcher.note = notes.append  # type: ignore[method-assign]
    run = start(tmp_path / "second", wild)
    fit(wild, run, data=pictures, watcher=watcher)
    assert [note for note in notes if note.startswith("starts from PSNR-Y")]
    before, card = checkpoint.load(first.folder)
    best, started = checkpoint.load(run.folder)
    assert started.scores == card.scores
    assert all(map(torch.equal, best.state_dict().values(), before.state_dict().values()))
    last, _ = checkpoint.load(run.folder / "last.safetensors")
    assert not all(map(torch.equal, last.state_dict().values(), before.state_dict().values()))


@pytest.mark.parametrize("name", [n for n in recipes() if load_recipe(n).init])
def test_bundled_recipes_fit_what_they_start_from(name: str) -> None:
    notes: list[str] = []
    start_model(complete(load_recipe(name)), notes.append)
    assert all("weights do not fit and start anew: tail." in note for note in notes)
    assert not (notes and name in ("finetune", "medical"))


def test_a_grown_start_gives_the_answers_of_init(pictures: Path, tmp_path: Path) -> None:
    small = {"name": "lift", "arguments": {"width": 6, "blocks": 1, "inner_blocks": 0}}
    large = {"name": "lift", "arguments": {"width": 9, "blocks": 3, "inner_blocks": 0}}
    first = start(tmp_path / "small", recipe(model=small))
    fit(recipe(model=small), first, data=pictures)
    grown = start_model(recipe(model=large, init=str(first.folder), grow=True))
    source, _ = checkpoint.load(first.folder)
    lr = torch.rand(1, 3, 12, 10)
    assert torch.allclose(grown.eval()(lr), source(lr), atol=1e-5)
    with pytest.raises(RecipeError, match="keeps the kind of model and the scale"):
        start_model(recipe(model=large, init=str(first.folder), grow=True, scale=4))
    with pytest.raises(RecipeError, match="grow needs init"):
        recipe(model=large, grow=True)


def test_luma_loss_is_blind_to_colour_and_plain_for_gray() -> None:
    sr = torch.full((1, 3, 4, 4), 0.5)
    shift = torch.tensor([1 / LUMA[0], -1 / LUMA[1], 0.0]).view(1, 3, 1, 1)
    assert LOSSES["luma"](sr + shift, sr).item() == pytest.approx(0, abs=1e-7)
    assert LOSSES["luma"](sr + 0.1, sr).item() == pytest.approx(0.1)
    gray = torch.rand(2, 1, 5, 5)
    assert LOSSES["luma"](gray, gray - 0.2).item() == pytest.approx(0.2)


def test_decibel_loss_counts_ratios_of_errors_patch_by_patch() -> None:
    hr = torch.rand(2, 3, 8, 8) * 0.4 + 0.3
    error = torch.rand(2, 3, 8, 8) * 0.2
    loss, other = (LOSSES["decibel"](hr + part, hr).item() for part in (error, error / 2))
    assert loss - other == pytest.approx(np.log10(4), rel=0.01)
    gray = torch.rand(3, 1, 8, 8)
    noisy = (gray + 0.1 * torch.randn(3, 1, 8, 8)).clamp(0, 1)
    mse = (noisy - gray).square().mean((1, 2, 3))
    wanted = (255**2 * mse).log10().mean().item()
    assert LOSSES["decibel"](noisy, gray).item() == pytest.approx(wanted, abs=0.01)
    same = hr.clone().requires_grad_()
    LOSSES["decibel"](same, hr).backward()
    assert same.grad is not None and same.grad.isfinite().all()


def test_agreement_loss_is_blind_to_detail_and_to_what_clipping_mends() -> None:
    hr = torch.rand(2, 3, 16, 24, dtype=torch.float64) * 0.6 + 0.2
    down, up = matrices(8, 2)
    across, back = matrices(12, 2)
    detail = torch.rand_like(hr) * 0.1
    seen = torch.from_numpy(up @ down) @ detail @ torch.from_numpy(back @ across).mT
    assert agreement((hr + detail - seen).float(), hr.float(), 2).item() == pytest.approx(
        0, abs=1e-3
    )
    assert agreement((hr + 0.01).float(), hr.float(), 2).item() == pytest.approx(
        np.log10(1 + 2.55**2), rel=1e-3
    )
    white = torch.ones(1, 1, 8, 8)
    assert agreement(white + 0.5, white, 4).item() == 0


def test_agreement_loss_is_refused_on_the_same_grid() -> None:
    with pytest.raises(RecipeError, match="scale of 2"):
        Objective(load_recipe("s4", ("phases.0.loss={agreement=1.0}",)), torch.device("cpu"))


def test_a_diverging_run_keeps_its_last_good_state(pictures: Path, tmp_path: Path) -> None:
    phases = [{"steps": 30, "batch": 4, "patch": 12, "rate": 1e30, "loss": {"mse": 1.0}}]
    run = start(tmp_path / "run", recipe(phases=phases))
    with pytest.raises(ResliftError, match="not finite"):
        fit(recipe(phases=phases), run, data=pictures)
    assert not (run.folder / "last.safetensors").exists()


@pytest.mark.timeout(120)
def test_two_processes_equal_one(pictures: Path, tmp_path: Path) -> None:
    phases = [{"steps": 6, "batch": 4, "patch": 12, "rate": 1e-3}]
    chosen = recipe(phases=phases)
    one, two = start(tmp_path / "one", chosen), start(tmp_path / "two", chosen)
    assert fit(chosen, one, data=pictures)
    assert fit_on(2, chosen, two, pictures, "cpu", None, None)
    a, b = (np.frombuffer(weights(run), np.float32) for run in (one, two))
    np.testing.assert_allclose(a, b, atol=2e-6)


@pytest.mark.timeout(120)
def test_an_error_in_one_process_is_the_error_of_all(pictures: Path, tmp_path: Path) -> None:
    chosen = recipe(data={"train": ["nowhere"], "hold_out": 1})
    run = start(tmp_path / "run", chosen)
    with pytest.raises(ResliftError, match="nowhere") as alone:
        fit(chosen, run, data=pictures)
    with pytest.raises(type(alone.value), match="nowhere") as together:
        fit_on(2, chosen, run, pictures, "cpu", None, None)
    assert str(together.value) == str(alone.value)


def second_fails(rank: int, *rest: object) -> None:
    def failing(*given: object, **named: object) -> bool:
        if rank == 1:
            raise MemoryError("no room")
        return fit(*given, **named)  # type: ignore[arg-type]

    parallel.fit = failing  # type: ignore[attr-defined]
    parallel._work(rank, *rest)  # type: ignore[arg-type]


@pytest.mark.timeout(120)
def test_an_error_of_one_process_alone_ends_the_others(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "_work", second_fails)
    run = start(tmp_path / "run", recipe())
    with pytest.raises(MemoryError, match="no room"):
        fit_on(2, recipe(), run, pictures, "cpu", None, None)


def stops_at_the_end(rank: int, devices: int, stop: Event, *rest: object) -> None:
    def ended(*given: object, **named: object) -> bool:
        if rank == 0:
            time.sleep(1)
            raise KeyboardInterrupt
        return True

    parallel.fit = ended  # type: ignore[attr-defined]
    parallel._work(rank, devices, stop, *rest)  # type: ignore[arg-type]


@pytest.mark.timeout(120)
def test_stopping_while_the_first_process_saves_is_no_error(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parallel, "_work", stops_at_the_end)
    run = start(tmp_path / "run", recipe())
    assert not fit_on(2, recipe(), run, pictures, "cpu", None, None)


@pytest.mark.timeout(120)
def test_patience_ends_two_processes_as_one(pictures: Path, tmp_path: Path) -> None:
    chosen = recipe(
        watch={"validate_every": 2, "patience": 1, "min_delta": 50.0, "tensorboard": False},
        phases=[{"steps": 40, "batch": 2, "patch": 16}],
    )
    assert fit_on(2, chosen, start(tmp_path / "run", chosen), pictures, "cpu", None, None)


@pytest.mark.timeout(120)
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="signals of a group are POSIX")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_two_processes_stop_together(name: str, pictures: Path, tmp_path: Path) -> None:
    file, run = tmp_path / "long.toml", tmp_path / "run"
    file.write_text(to_toml(recipe(phases=[{"steps": 10**6, "batch": 2, "patch": 12}])))
    words = ["train", str(file), "--data", str(pictures), "-o", str(run), "--devices", "2"]
    command = subprocess.Popen(
        [sys.executable, "-m", "reslift", *words], stderr=subprocess.PIPE, start_new_session=True
    )
    try:
        while not (run / "log.jsonl").exists() and command.poll() is None:
            time.sleep(0.1)
        if name == "SIGKILL":
            listed = subprocess.run(  # the newest child: a worker
                ["pgrep", "-P", str(command.pid), "-n"], capture_output=True, text=True, check=True
            )
            os.kill(int(listed.stdout), signal.SIGKILL)
        else:
            os.killpg(command.pid, getattr(signal, name))
        said = command.communicate(timeout=60)[1].decode()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(command.pid, signal.SIGKILL)
    assert "Traceback" not in said and "internal" not in said
    if name == "SIGKILL":
        assert (
            command.returncode == 1
            and "of --devices was ended by SIGKILL; for want of memory?" in said
        )
    else:
        assert command.returncode == 130 and said.count("stopping after this step") == 1
        assert Run.open(run).load_state(torch.device("cpu")) is not None


def bank(pictures: Path, **options: object) -> PatchBank:
    photos = [np.asarray(Image.open(p)) for p in sorted(pictures.iterdir())]
    tensors = [torch.from_numpy(p.copy()).permute(2, 0, 1) for p in photos]
    images = ImageSet(tuple(map(str, range(4))), tensors.__getitem__)
    made = {name: options.pop(name) for name in ("shifts", "copies") if name in options}
    return PatchBank(stock_of(images, **made), **options)  # type: ignore[arg-type]


def stock_of(images: ImageSet, **options: object) -> Stock:
    return stock_up(images, Bicubic(2), torch.device("cpu"), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [0, 2, 16])
def test_pictures_that_are_loaded_ahead_are_those_of_one_thread(workers: int) -> None:
    """The first ones are the slowest, so that threads give them back in another order."""

    def load(number: int) -> torch.Tensor:
        time.sleep(0.05 if number < 2 else 0)
        if number % 3 == 2:
            raise InputError(f"{number}.png is broken")
        return torch.full((3, 20, 20 + number), number, dtype=torch.uint8)

    images = ImageSet(tuple(map(str, range(9))), load)
    one, ahead = (stock_of(images, workers=count) for count in (1, workers))
    assert one.unreadable == ["2.png is broken", "5.png is broken", "8.png is broken"]
    for name, value in vars(one).items():
        other = getattr(ahead, name)
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other


def test_an_error_of_the_program_while_loading_ahead_is_not_swallowed() -> None:
    asked = []

    def load(number: int) -> torch.Tensor:
        asked.append(number)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stock_of(ImageSet(tuple(map(str, range(50))), load), workers=2)
    assert len(asked) < 10


def test_patches_are_where_they_say_in_lr_and_hr(pictures: Path) -> None:
    shelf = bank(pictures, augment="none", reject_flat=0.0)
    whole_hr = torch.from_numpy(np.asarray(Image.open(pictures / "0.png")).copy())[:128, :140]
    whole_lr = Bicubic(2)(whole_hr.permute(2, 0, 1)[None])[0]
    width = 70
    picks = torch.tensor([[5 * width + 9, width, 10 * 140 + 18, 140, 0]])
    lr, hr = shelf.gather(picks, 12)
    assert torch.equal(lr[0], whole_lr[:, 5:17, 9:21].float() / 255)
    assert torch.equal(hr[0], whole_hr.permute(2, 0, 1)[:, 10:34, 18:42].float() / 255)


def test_the_eight_turns_are_all_different_and_agree_between_lr_and_hr(pictures: Path) -> None:
    shelf = bank(pictures)
    picks = torch.tensor([[0, 70, 0, 140, turn] for turn in range(8)])
    lr, hr = shelf.gather(picks, 16)
    assert len({x.numpy().tobytes() for x in lr}) == 8
    base = (lr[0], hr[0])
    for turn in range(8):
        moved = []
        for x in base:
            x = x.transpose(1, 2) if turn // 4 else x
            x = x.flip(1) if turn // 2 % 2 else x
            x = x.flip(2) if turn % 2 else x
            moved.append(x)
        assert torch.equal(lr[turn], moved[0])
        assert torch.equal(hr[turn], moved[1])


def test_drawing_depends_on_seed_and_step_alone(pictures: Path) -> None:
    shelf, twin = bank(pictures, seed=4), bank(pictures, seed=4)
    shelf.picks(1, 3, 12)
    assert torch.equal(shelf.picks(7, 5, 12), twin.picks(7, 5, 12))
    assert not torch.equal(shelf.picks(7, 5, 12), shelf.picks(8, 5, 12))
    assert not torch.equal(shelf.picks(7, 5, 12), bank(pictures, seed=5).picks(7, 5, 12))


@pytest.mark.parametrize("crop", [0, 13, 24, 999])
def test_the_centre_of_lr_hr_and_baseline_is_one_place(crop: int) -> None:
    lr = torch.arange(11 * 14.0).view(1, 1, 11, 14)
    hr = lr.repeat_interleave(3, 2).repeat_interleave(3, 3)
    small, large, same = centre(lr, 3, crop, hr, hr)
    assert torch.equal(small.repeat_interleave(3, 2).repeat_interleave(3, 3), large)
    assert torch.equal(large, same)
    side = crop // 3 if crop else 99
    assert small.shape[2:] == (min(11, side), min(14, side))


def test_flat_patches_are_rejected() -> None:
    flat = torch.full((3, 96, 96), 90, dtype=torch.uint8)
    noise = torch.randint(0, 256, (3, 96, 96), dtype=torch.uint8)
    images = ImageSet(("flat", "noise"), [flat, noise].__getitem__)
    shelf = PatchBank(stock_of(images), reject_flat=0.5)
    assert shelf.spots(16)[:, 0].unique().tolist() == [1]


def test_every_grid_and_copy_is_a_pair_the_degradation_makes(pictures: Path) -> None:
    shelf = bank(pictures, augment="none", shifts=4, copies=[0.5], reject_flat=0.3)
    assert grids(2, shelf.stock.grids) == [(0, 0), (1, 1), (0, 1), (1, 0)]
    assert len(shelf.stock.shelves) == 2 * 4 * 4 and len(shelf.stock.names) == 4
    seen = set()
    for step in range(12):
        picks = shelf.picks(step, 8, 12)
        lr, hr = shelf.gather(picks, 12)
        again = Bicubic(2)((hr * 255).round().to(torch.uint8)).float() / 255
        assert torch.equal(lr[..., 4:-4, 4:-4], again[..., 4:-4, 4:-4])
        seen |= {(row[3], row[2] // row[3] % 2, row[2] % row[3] % 2) for row in picks.tolist()}
    assert {row[0] for row in seen} == {140, 70}
    assert len(seen) > 6


def test_a_kept_stock_draws_the_same_patches(pictures: Path, tmp_path: Path) -> None:
    shelf = bank(pictures, shifts=4, copies=[0.5])
    path = tmp_path / "pictures.safetensors"
    shelf.stock.save(path, "one")
    names = [f"moved/{name}" for name in shelf.stock.names]
    kept = load_stock(path, "one", names)
    assert kept is not None and vars(kept).keys() == vars(shelf.stock).keys()
    assert kept.names == names
    again = PatchBank(kept)
    for step in range(4):
        picks = shelf.picks(step, 8, 12)
        assert torch.equal(picks, again.picks(step, 8, 12))
        for a, b in zip(shelf.gather(picks, 12), again.gather(picks, 12), strict=True):
            assert torch.equal(a, b)
    assert torch.equal(again.sample(2, 4).load(1), shelf.sample(2, 4).load(1))
    assert load_stock(path, "other", names) is None
    path.write_bytes(path.read_bytes()[:5000])
    assert load_stock(path, "one", names) is None


@pytest.fixture
def stocks(monkeypatch: pytest.MonkeyPatch) -> list[Stock]:
    """All that are made, as they are."""
    made: list[Stock] = []

    def noted(*given: object, **named: object) -> Stock:
        made.append(stock_up(*given, **named))  # type: ignore[arg-type]
        return made[-1]

    monkeypatch.setattr("reslift.datasets.stock.stock_up", noted)
    return made


def test_a_stopped_run_keeps_slow_pictures_until_it_is_done(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stocks: list[Stock]
) -> None:
    chosen = recipe()
    plain, kept = start(tmp_path / "plain", chosen), start(tmp_path / "kept", chosen)
    assert fit(chosen, plain, data=pictures)
    monkeypatch.setattr("reslift.datasets.stock.SLOW", -1.0)
    assert not fit(chosen, kept, data=pictures, minutes=0)
    assert (kept.folder / "pictures.safetensors").stat().st_size > 10**5
    assert fit(chosen, kept, data=pictures)
    assert len(stocks) == 2, "resuming made the pictures again"
    assert not (kept.folder / "pictures.safetensors").exists()
    assert weights(kept) == weights(plain)


def test_kept_pictures_are_found_from_elsewhere_and_not_by_a_new_run(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stocks: list[Stock]
) -> None:
    monkeypatch.setattr("reslift.datasets.stock.SLOW", -1.0)
    file, run = tmp_path / "a.toml", tmp_path / "run"
    file.write_text(to_toml(recipe()))
    monkeypatch.chdir(pictures.parent)
    words = ["train", str(file), "--data", pictures.name, "-o", str(run), "--minutes", "0", "-q"]
    assert main(words) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["train", "--resume", str(run), "-q"]) == 0
    assert len(stocks) == 1
    (tmp_path / "new").mkdir()
    (tmp_path / "new/pictures.safetensors").write_bytes(b"of a run that was killed")
    start(tmp_path / "new", recipe())
    assert not (tmp_path / "new/pictures.safetensors").exists()


def test_a_disk_without_room_costs_only_the_kept_pictures(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("reslift.datasets.stock.SLOW", -1.0)
    monkeypatch.setattr("safetensors.torch.save_file", full)
    run = start(tmp_path / "run", recipe())
    assert not fit(recipe(), run, data=pictures, minutes=0)
    assert not (run.folder / "pictures.safetensors").exists()


def test_a_patch_as_large_as_the_picture_stays_on_the_first_grid() -> None:
    images = ImageSet(("a",), [torch.randint(0, 256, (3, 32, 32), dtype=torch.uint8)].__getitem__)
    shelf = PatchBank(stock_of(images, shifts=4))
    assert shelf.picks(0, 32, 16)[:, 2].unique().tolist() == [0]


def test_other_colours_fit_lr_and_hr_and_leave_the_rest_alone(pictures: Path) -> None:
    plain, other = bank(pictures, seed=1), bank(pictures, seed=1, colours=0.5)
    a, b = plain.picks(3, 64, 12), other.picks(3, 64, 12)
    assert torch.equal(a[:, :5], b[:, :5])
    (lr, hr), (lr2, hr2) = plain.gather(a, 12), other.gather(b, 12)
    same = b[:, 5] == 0
    assert 16 < same.sum() < 48
    assert torch.equal(hr[same], hr2[same]) and torch.equal(lr[same], lr2[same])
    changed = (hr != hr2).flatten(1).any(1)
    assert torch.equal(changed, ~same)
    assert hr2.min() >= 0 and hr2.max() <= 1
    again = Bicubic(2)((hr2 * 255).round().to(torch.uint8)).float() / 255
    assert (lr2 - again)[..., 4:-4, 4:-4].abs().max() <= 3.01 / 255


def test_blended_patches_are_pairs_of_patches_and_the_rest_stays(pictures: Path) -> None:
    shelf = bank(pictures, seed=1)
    plain, mixed = shelf.picks(3, 64, 12), shelf.picks(3, 64, 12, 0.5)
    assert torch.equal(plain, mixed[:, :6])
    share = mixed[:, 12] / FINE
    assert 16 < (share == 0).sum() < 48 and share.max() <= 0.5
    (lr, hr), (lr2, hr2), other = (shelf.gather(p, 12) for p in (plain, mixed, mixed[:, 6:12]))
    weight = share.float().view(-1, 1, 1, 1)
    torch.testing.assert_close(hr2, (1 - weight) * hr + weight * other[1])
    torch.testing.assert_close(lr2, (1 - weight) * lr + weight * other[0])
    whole = shelf.gather(mixed, 12)
    halves = [shelf.gather(mixed[rank::2], 12) for rank in (0, 1)]
    assert all(torch.equal(whole[1][rank::2], halves[rank][1]) for rank in (0, 1))


def test_made_pictures_train_too_and_are_neither_held_out_nor_sampled(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reslift.datasets.made.drawn_set", lambda count: drawn_set(count, side=64))
    small = partial(collage_set, side=64)
    monkeypatch.setattr("reslift.datasets.made.collage_set", small)
    some = shutil.copytree(pictures, tmp_path / "some")
    (some / "broken.png").write_bytes(b"no picture")
    made = {"drawn": 2, "turned": 1, "collages": 3}
    chosen = recipe(data={**TREE["data"], **made})  # type: ignore[dict-item]
    run = start(tmp_path / "run", chosen)
    assert fit(chosen, run, data=some)
    names = json.loads((run.folder / "data.json").read_text())
    photos = [name for name in names["train"] if name.endswith(".png")]
    wanted = ["drawn 0", "drawn 1", *(f"{name}, turned 1" for name in photos)]
    assert names["train"] == [*photos, *wanted, "collage 0", "collage 1", "collage 2"]
    assert all(name.endswith(".png") for name in names["validation"])
    card = checkpoint.load(run.folder / "last.safetensors")[1]
    assert f"2 of them drawn, {len(photos)} turned, 3 collages" in card.data
    whole = bank(pictures).sample(9, 2)
    assert whole.names == ("0", "1")


def test_more_grids_than_there_are_is_refused(pictures: Path) -> None:
    with pytest.raises(InputError, match=r"1 to 4"):
        bank(pictures, shifts=5)


def test_too_large_a_patch_and_unreadable_pictures_are_named(pictures: Path) -> None:
    with pytest.raises(InputError, match=r"lower phases\.patch"):
        bank(pictures).spots(500)

    def fail(number: int) -> torch.Tensor:
        raise InputError("broken.png: truncated")

    with pytest.raises(InputError, match=r"broken\.png"):
        stock_of(ImageSet(("a",), fail))


def test_rates_follow_warmup_constant_and_cosine() -> None:
    phase = Phase(steps=110, rate=1.0, warmup=10, final_rate=0.0)
    assert [rate_at(phase, n) for n in (0, 4, 9)] == pytest.approx([0.1, 0.5, 1.0])
    assert rate_at(phase, 60) == pytest.approx(0.5)
    assert rate_at(phase, 109) < 0.001
    assert rate_at(Phase(steps=5, rate=0.3), 4) == 0.3


def test_average_follows_the_definition(pictures: Path) -> None:
    chosen = recipe()
    model = Lift(scale=2, width=8, blocks=1, inner_blocks=0)
    stepper = Stepper(model, bank(pictures), chosen, "fp32")
    expected = [p.detach().clone() for p in stepper.average.parameters()]
    for step in range(5):
        stepper.step(step)
        share = ema_share(0.999, step)
        for mean, now in zip(expected, model.parameters(), strict=True):
            mean.lerp_(now.detach(), share)
    for mean, kept in zip(expected, stepper.average.parameters(), strict=True):
        torch.testing.assert_close(mean, kept)


def test_patience_measures_from_the_last_improvement_that_counted() -> None:
    best = Best(WatchPart(monitor="mse", patience=3, min_delta=0.01))
    seen = [best.sees(Score(20, mse)) for mse in (0.05, 0.045, 0.041, 0.039)]
    assert seen == [True] * 4
    assert best.waited == 0  # four small steps are a large one
    assert [best.sees(Score(20, mse)) for mse in (0.04, 0.038, 0.037)] == [False, True, True]
    assert best.over
    twin = Best(best.watch)
    twin.restore(best.state())
    assert vars(twin) == vars(best)
    assert Best(WatchPart(min_delta=0.1)).sees(Score(-5, 0.9))


def test_the_same_grid_is_trained_beside_bicubic_of_the_small_picture(
    pictures: Path, tmp_path: Path
) -> None:
    phases = [{"steps": 6, "batch": 4, "patch": 32, "rate": 1e-3, "loss": {"mse": 1.0}}]
    chosen = recipe(
        scale=1,
        model={"name": "bottleneck", "arguments": {"width": 8, "latent": 16, "blocks": 1}},
        degradation={"name": "resize_back"},
        data={"hold_out": 1, "test": 1, "resize": 32, "cache": False},
        watch={"validate_every": 3, "monitor": "mse", "min_delta": 1.0, "tensorboard": False},
        phases=phases,
    )
    run = start(tmp_path / "run", chosen)
    warnings: list[Advice] = []
    watcher = Silent()
    watcher.warn = warnings.append  # type: ignore[method-assign]
    assert fit(chosen, run, data=pictures, watcher=watcher)
    assert [one.code for one in warnings].count("min-delta") == 1
    names = json.loads((run.folder / "data.json").read_text())
    assert [len(names[split]) for split in ("train", "validation", "test")] == [2, 1, 1]
    rows = [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()]
    hr = decoded([pictures / names["validation"][0]], chosen.data).load(0)[None]
    truth, base = hr.double() / 255, ResizeBack().baseline(hr)
    assert rows[0]["bicubic_mse"] == pytest.approx((base - truth).square().mean().item(), rel=1e-4)
    assert rows[0]["bicubic_psnr_y"] == pytest.approx(psnr_y(base, truth, 0).item(), rel=1e-4)
    scores = checkpoint.read_card(run.folder / "last.safetensors").scores["validation"]
    assert scores["mse"] == rows[-1]["mse"]


def test_the_l1_penalty_pulls_weights_and_not_biases_to_zero(pictures: Path) -> None:
    """Adam's first step is the sign of the gradient: a huge penalty makes it the weight's."""
    chosen = recipe(optimiser={"l1_penalty": 1e6, "clip": 0.0, "ema": 0.0})
    model = start_model(chosen)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.01)
    before = [w.detach().clone() for w in model.parameters()]
    loss = Stepper(model, bank(pictures), chosen, "fp32").step(3).item()
    for old, new in zip(before, model.parameters(), strict=True):
        if old.ndim > 1:
            assert torch.equal((old - new).sign(), old.sign())
    assert loss < 1


def test_orthogonalise_brings_singular_values_near_one() -> None:
    torch.manual_seed(0)
    for shape in ((3, 8, 72), (2, 40, 12)):
        values = torch.linalg.svdvals(orthogonalise(torch.randn(shape)))
        assert values.min() > 0.4
        assert values.max() < 1.4


@pytest.mark.parametrize("name", LOSSES)
def test_losses_vanish_only_at_equality_and_have_gradients(name: str) -> None:
    hr = torch.rand(2, 3, 8, 8)
    sr = (hr + 0.1).requires_grad_()
    loss = LOSSES[name](sr, hr)
    loss.backward()
    assert loss.ndim == 0
    assert sr.grad is not None
    assert LOSSES[name](hr, hr).item() <= 1.1e-3 < loss.item()


def test_fft_loss_is_the_mean_absolute_spectrum() -> None:
    sr, hr = np.random.default_rng(0).random((2, 1, 1, 8, 8))
    spectrum = np.fft.rfft2(sr - hr, norm="ortho")
    want = np.mean(np.stack([np.abs(spectrum.real), np.abs(spectrum.imag)]))
    got = LOSSES["fft"](torch.from_numpy(sr), torch.from_numpy(hr))
    assert got.item() == pytest.approx(want)


def test_a_batch_that_finds_no_memory_is_one_line_and_another_try_is_free(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = recipe(watch={**TREE["watch"], "tensorboard": True})  # type: ignore[dict-item]
    run = start(tmp_path / "run", chosen)
    told = (
        "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
    )
    with monkeypatch.context() as patch, pytest.raises(DeviceError, match=r"lower phases\.batch"):
        patch.setattr(Stepper, "_advance", Mock(side_effect=RuntimeError(told)))
        fit(chosen, run, data=pictures)
    assert fit(recipe(), start(tmp_path / "run", recipe()), data=pictures)


def test_a_model_of_one_channel_is_refused_before_it_trains(pictures: Path, tmp_path: Path) -> None:
    gray = {"arguments": {**TREE["model"]["arguments"], "channels": 1}}  # type: ignore[index]
    chosen = recipe(model=gray)
    with pytest.raises(RecipeError, match=r"takes 1 channels; .* leave out model\.arguments"):
        fit(chosen, start(tmp_path / "run", chosen), data=pictures)


def test_a_folder_in_use_is_not_trained_over(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(OutputExists, match="--resume"):
        start(tmp_path, recipe())


@pytest.mark.skipif(os.name == "nt", reason="no locks for folders")
def test_one_training_at_a_time_has_a_run_folder(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Started twice at once, two recipes and two logs would mix in one folder."""
    path, out = tmp_path / "tiny.toml", tmp_path / "run"
    path.write_text(to_toml(recipe()))
    new = ["train", str(path), "--data", str(pictures), "--out", str(out), "--minutes", "0"]
    with alone(out, "training"):
        for words in (new, ["train", "--resume", str(out)]):
            if words is not new:
                start(out, recipe())
            before = sorted(out.iterdir())
            assert main(words) == 1
            said = capsys.readouterr().err.splitlines()[-1]
            assert "another process is training there" in said
            assert sorted(out.iterdir()) == before
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    left = part_name(".pt").replace(f"-{os.getpid()}-", f"-{killed.pid}-")
    (out / left).write_bytes(b"half a state")
    assert main(new) == 0
    assert not (out / left).exists()


def test_command_line_trains_resumes_and_refuses(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "tiny.toml"
    path.write_text(to_toml(recipe()))
    out = tmp_path / "run"
    words = ["train", str(path), "--data", str(pictures), "--out", str(out)]
    assert main([*words, "--minutes", "0"]) == 0
    assert "--resume" in capsys.readouterr().out
    assert main(words) == 2
    assert main(["train", "--resume", str(out), "--set", "seed=3"]) == 2
    assert main(["train"]) == 2
    assert main([*words[:-1], str(tmp_path / "nan"), "--minutes", "nan"]) == 2
    assert main([*words[:2], "--set", "sede=3"]) == 2
    assert "did you mean seed" in capsys.readouterr().err
    assert main(["train", "--resume", str(out)]) == 0
    told = capsys.readouterr().err
    assert "PSNR-Y" in told
    verdict = json.loads((out / "report.json").read_text())["verdicts"][0]["sentence"]
    assert f" dB against bicubic. {verdict}\n" in told and "validation: " in told
    assert checkpoint.load(out / "last.safetensors")[1].data.endswith(f", from {pictures.name}")
    assert main([*words[:2], "--data", str(tmp_path / "no"), "--out", str(tmp_path / "r")]) == 1
    assert "no such folder of training pictures: name the folder" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["s1", "s2", "s2-vae", "s3"])
def test_the_systems_for_photographs_take_any_folder_of_them(name: str, pictures: Path) -> None:
    """`--data PHOTOS` is all that the documentation asks for."""
    part = load_recipe(name, ("data.hold_out=1",)).data
    splits = load_folders(part, pictures, seed=0)
    assert len(splits.train) + 1 == len(list(pictures.rglob("*.png")))


def test_folders_are_scanned_in_order_without_what_is_excluded(tmp_path: Path) -> None:
    for name in ("b/x.png", "a/debian__y.png", "research/z.png", "a/w.png", ".hidden.png", "t.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(data.astronaut()[:8, :8]).save(tmp_path / name, format="png")
    found = find_images(tmp_path, ("debian__*", "research/*"))
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a/w.png", "b/x.png"]
    with pytest.raises(InputError, match="no picture"):
        find_images(tmp_path / "research", ("*.png",))


def test_every_kind_of_picture_becomes_eight_bit_rgb(tmp_path: Path) -> None:
    photo = data.astronaut()[:8, :8]
    Image.fromarray(photo).convert("L").save(tmp_path / "gray.png")
    Image.fromarray(photo).convert("RGBA").save(tmp_path / "alpha.png")
    Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1040).save(tmp_path / "deep.png")
    for name in ("gray", "alpha", "deep"):
        image = read_rgb(tmp_path / f"{name}.png")
        assert (image.shape, image.dtype) == ((3, 8, 8), torch.uint8)
    assert torch.equal(read_rgb(tmp_path / "alpha.png"), torch.from_numpy(photo).permute(2, 0, 1))
    deep = read_rgb(tmp_path / "deep.png")[0].flatten()
    assert deep.tolist() == [round(n * 1040 / 257) for n in range(64)]


VARIATIONAL = {"width": 8, "blocks": 1, "strategies": ["residual", "vae"]}


def variational() -> Recipe:
    phases = [{"steps": 12, "batch": 4, "patch": 12, "rate": 1e-3, "kl": 1e-3, "kl_warmup": 6}]
    return recipe(model={"name": "hourglass", "arguments": VARIATIONAL}, phases=phases)


def test_a_variational_run_resumes_bit_for_bit_and_logs_its_kl(
    pictures: Path, tmp_path: Path
) -> None:
    chosen = variational()
    whole, broken = start(tmp_path / "whole", chosen), start(tmp_path / "broken", chosen)
    assert fit(chosen, whole, data=pictures)
    for stop in (4, 9):
        with pytest.raises(KeyboardInterrupt):
            fit(chosen, broken, data=pictures, watcher=Stopper(stop))
        torch.rand(7)
    assert fit(chosen, broken, data=pictures)
    assert weights(whole) == weights(broken)
    kls = []
    for run in (whole, broken):
        lines = (run.folder / "log.jsonl").read_text().splitlines()
        kls.append([json.loads(line)["kl"] for line in lines])
    assert kls[0] == kls[1]
    assert len(kls[0]) == 2
    assert min(kls[0]) > 0


@pytest.mark.timeout(240)
def test_two_processes_draw_the_noise_of_one(pictures: Path, tmp_path: Path) -> None:
    chosen = variational()
    one, two = start(tmp_path / "one", chosen), start(tmp_path / "two", chosen)
    assert fit(chosen, one, data=pictures)
    assert fit_on(2, chosen, two, pictures, "cpu", None, None)
    a, b = (np.frombuffer(weights(run), np.float32) for run in (one, two))
    np.testing.assert_allclose(a, b, atol=2e-5)


def test_patience_waits_for_the_last_phase(pictures: Path, tmp_path: Path) -> None:
    chosen = recipe(
        watch={"validate_every": 2, "patience": 1, "min_delta": 50.0, "tensorboard": False},
        phases=[{"steps": 8, "batch": 2, "patch": 16}, {"steps": 40, "batch": 2, "patch": 16}],
    )
    run = start(tmp_path / "run", chosen)
    assert fit(chosen, run, data=pictures)
    steps = [
        json.loads(line)["step"] for line in (run.folder / "log.jsonl").read_text().split("\n")[:-1]
    ]
    assert steps == [2, 4, 6, 8, 10], "the first validation after the first phase is one too many"


def test_a_score_that_runs_away_before_the_loss_ends_the_run(
    pictures: Path, tmp_path: Path
) -> None:
    """Answers of 1e30 have a finite l1, and an mse that fp32 does not hold."""
    phases = [{"steps": 1, "batch": 4, "patch": 12, "rate": 1e30}]
    chosen = recipe(phases=phases, optimiser={"ema": 0.0})
    run = start(tmp_path / "run", chosen)
    with pytest.raises(ResliftError, match="validation's mse is not finite at step 1: the run"):
        fit(chosen, run, data=pictures)
    assert not list(run.folder.glob("*.safetensors"))


def test_a_later_runaway_score_leaves_the_good_checkpoint(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = recipe()
    run, measured = start(tmp_path / "run", chosen), Validator.score
    calls: list[float] = []

    def runs_away(self: Validator, model: Lift, criterion: Criterion | None = None) -> Score:
        score = measured(self, model, criterion)
        calls.append(score.mse)
        return replace(score, loss=math.inf) if criterion and len(calls) > 1 else score

    monkeypatch.setattr(Validator, "score", runs_away)
    with pytest.raises(ResliftError, match="validation's loss is not finite at step 20"):
        fit(chosen, run, data=pictures)
    assert checkpoint.load(run.folder)[1].notes == ("step 10 of 30",)
    assert [row["step"] for row in run.rows()] == [10]


def test_a_start_whose_score_is_not_finite_is_refused(pictures: Path, tmp_path: Path) -> None:
    first = start(tmp_path / "first", recipe())
    fit(recipe(), first, data=pictures)
    path = first.folder / "best.safetensors"
    model, card = checkpoint.load(path)
    for weight in model.parameters():
        weight.fill_(1e8)
    checkpoint.save(path, model, card)
    chosen = recipe(init=str(path))
    run = start(tmp_path / "run", chosen)
    with pytest.raises(ResliftError, match=r"init .*best\.safetensors: its mse is not finite"):
        fit(chosen, run, data=pictures)
    assert not (run.folder / "best.safetensors").exists()


def test_an_exact_validation_leaves_a_readable_card(tmp_path: Path) -> None:
    chosen, path = recipe(), tmp_path / "m.safetensors"
    model, exact = start_model(chosen), Score(math.inf, 0.0)
    assert not exact.not_finite
    checkpoint.save(path, model, card_of(chosen, model, "", 1, exact, Score(30.0, 1e-3)))
    (numbers,) = checkpoint.load(path)[1].scores.values()
    assert numbers == {"mse": 0.0, "bicubic_psnr_y": 30.0, "bicubic_mse": 1e-3}


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("lift", {"width": "a"}, r"model\.arguments\.width: .* 'a': it wants a whole number"),
        ("lift", {"width": True}, r"model\.arguments\.width: .* True: it wants a whole number"),
        ("lift", {"blocks": 2.5}, r"model\.arguments\.blocks: .* 2\.5: it wants a whole number"),
        ("lift", {"width": 10**12}, r"model\.arguments\.width: .* 10{12}: at most 4096"),
        ("lift", {"form": 3}, r"model\.arguments\.form: .* 3: it wants text"),
        ("edsr", {"residual_scale": "b"}, r"model\.arguments\.residual_scale: .* a number"),
        ("hourglass", {"strategies": 3}, r"model\.arguments: .* cannot use the values .*3"),
        ("lift", {"widht": 8}, r"model\.arguments of lift 'widht'; did you mean width"),
        ("lift", {"scale": 2}, r"model\.arguments of lift 'scale'"),
    ],
)
def test_arguments_that_a_model_cannot_use_are_named(
    name: str, arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(RecipeError, match=words) as caught:
        start_model(recipe(model={"name": name, "arguments": arguments}))
    assert "\n" not in str(caught.value)
    whole = {"name": "edsr", "arguments": {"width": 8, "blocks": 1, "residual_scale": 1}}
    assert start_model(recipe(model=whole)).arguments["residual_scale"] == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names of other systems are Unicode")
def test_a_folder_whose_name_is_not_utf8_has_no_events_and_the_same_log(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"run\xff")
    folder.mkdir()
    assert Run(folder).events(0) is None

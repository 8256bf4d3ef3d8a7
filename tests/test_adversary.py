"""Adversarial phases: losses by their formulas, balance, guard, exact resume, two processes."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from skimage import data

from reslift import checkpoint
from reslift.adversary import ADVERSARIAL_LOSSES, Adversary, Balance, Discriminator, Guard
from reslift.errors import RecipeError, ResliftError, UnknownName
from reslift.models import Lift
from reslift.parallel import fit_on
from reslift.recipe import AdversaryPart, Recipe, load_recipe, parse, to_toml
from reslift.run import Run
from reslift.train import fit
from reslift.watcher import Silent

CPU = torch.device("cpu")
PART = {"width": 4, "warmup": 2, "ramp": 4, "keep_every": 3, "weight": 0.05, "rate": 1e-3}
TREE = {
    "name": "tiny",
    "scale": 2,
    "model": {"arguments": {"width": 8, "blocks": 1, "inner_blocks": 0}},
    "data": {"hold_out": 1, "validation_crop": 32},
    "watch": {"validate_every": 4, "save_minutes": 1000, "tensorboard": False},
    "engine": {"precision": "fp32", "threads": 1},
}
PLAIN = {"steps": 3, "batch": 2, "patch": 8, "rate": 1e-3}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number, photo in enumerate([data.astronaut(), data.coffee(), data.chelsea()]):
        Image.fromarray(photo[100:164, 100:170]).save(folder / f"{number}.png")
    return folder


def recipe(steps: int = 11, changes: dict[str, object] | None = None, **part: object) -> Recipe:
    against = {**PLAIN, "steps": steps, "adversary": {**PART, **part}}
    return parse({**TREE, "phases": [PLAIN, against], **(changes or {})}, "test")


def start(folder: Path, chosen: Recipe) -> Run:
    return Run.create(folder, chosen, {})


def weights(run: Run, stem: str = "last") -> np.ndarray:
    model, _ = checkpoint.load(run.folder / f"{stem}.safetensors")
    return np.concatenate([p.numpy().ravel() for p in model.state_dict().values()])


def rows(run: Run) -> list[dict[str, float]]:
    lines = (run.folder / "log.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


class Stopper(Silent):
    """Interrupts, as Ctrl-C does, at one step."""

    def __init__(self, at: int) -> None:
        self.at = at

    def stepped(self, step: int) -> None:
        if step == self.at:
            os.kill(os.getpid(), signal.SIGINT)


def test_relativistic_is_the_papers_binary_cross_entropy() -> None:
    real, fake = torch.randn(4, 1, 3, 3), torch.randn(4, 1, 3, 3)
    loss = ADVERSARIAL_LOSSES["relativistic"]
    one, zero = torch.ones(4, 1, 3, 3), torch.zeros(4, 1, 3, 3)
    cross = F.binary_cross_entropy_with_logits
    above, below = real - fake.mean(), fake - real.mean()
    torch.testing.assert_close(
        loss.defence(real, fake), (cross(above, one) + cross(below, zero)) / 2
    )
    torch.testing.assert_close(
        loss.attack(real, fake), (cross(above, zero) + cross(below, one)) / 2
    )


def test_hinge_leaves_alone_what_is_beyond_the_margin() -> None:
    loss = ADVERSARIAL_LOSSES["hinge"]
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
    assert loss.defence(real, fake).item() == pytest.approx(0.5 / 2 + 1 / 2)
    assert loss.attack(real, fake).item() == pytest.approx(1.5)


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_attack_and_defence_pull_apart_and_touch_their_own_side_only(name: str) -> None:
    part = AdversaryPart(loss=name, width=4, warmup=0)
    adversary = Adversary(part, 3, 0, CPU, 30.0, 28.0)
    sr, hr = torch.rand(2, 3, 16, 16, requires_grad=True), torch.rand(2, 3, 16, 16)
    attack, defence = adversary.losses(sr, hr)
    attack.backward()
    assert sr.grad is not None
    assert sr.grad.abs().sum() > 0
    assert all(p.grad is None for p in adversary.discriminator.parameters())
    sr.grad = None
    adversary.learn(defence)
    assert sr.grad is None
    assert all(p.grad is not None for p in adversary.discriminator.parameters())


@pytest.mark.parametrize("name", ADVERSARIAL_LOSSES)
def test_a_discriminator_learns_to_tell_blur(name: str) -> None:
    adversary = Adversary(AdversaryPart(loss=name, width=8, rate=1e-3), 3, 0, CPU, 30.0, 28.0)
    photo = torch.from_numpy(data.astronaut()[:256, :256].copy()).permute(2, 0, 1).float() / 255
    hr = torch.stack([photo[:, y : y + 32, x : x + 32] for y in (0, 96) for x in (60, 130)])
    sr = F.avg_pool2d(hr, 3, 1, 1)
    found = []
    for _ in range(40):
        _, defence = adversary.losses(sr, hr)
        adversary.learn(defence)
        found.append(defence.item())
    assert found[-1] < found[0] * 0.8
    with torch.no_grad():
        judge = adversary.discriminator
        assert judge(hr).mean() > judge(sr).mean()


def test_a_discriminator_judges_patches_with_bounded_slope() -> None:
    judge = Discriminator(3, 4)
    assert judge(torch.rand(2, 3, 24, 40)).shape == (2, 1, 3, 5)
    for _ in range(30):
        judge(torch.rand(1, 3, 16, 16))
    for layer in judge.layers:
        matrix = layer.weight.detach().flatten(1)
        assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, abs=0.1)


def test_the_weight_rises_above_the_floor_and_halves_below_it() -> None:
    balance = Balance(AdversaryPart(weight=0.4, ramp=4, floor=-0.5), 30.0, 28.0)
    assert (balance.floor, balance.weight) == (29.5, 0.0)
    for _ in range(3):
        balance.rise()
    assert balance.weight == pytest.approx(0.3)
    balance.judge(29.4)
    balance.rise()
    assert balance.weight == pytest.approx(0.15)
    balance.judge(29.5)
    for _ in range(9):
        balance.rise()
    assert balance.weight == pytest.approx(0.4)
    below = Balance(AdversaryPart(floor=3.0, floor_from="bicubic", ramp=1), 30.0, 28.0)
    below.rise()
    assert (below.floor, below.weight) == (31.0, 0.0)


def test_the_guard_refuses_spikes_and_what_is_not_finite() -> None:
    guard = Guard(AdversaryPart(spike=3.0, rollbacks=1, keep_every=10))
    assert guard.accepts(1.0, 0.5)
    assert guard.accepts(50.0, 0.5), "too early to know"
    guard = Guard(guard.part)
    state = {"w": torch.zeros(2)}
    for step in range(30):
        assert guard.accepts(1.0 + step % 2, 0.5)
        guard.keep(step, lambda: state)
        state["w"] += 1
    assert not guard.accepts(9.0, 0.5)
    assert not guard.accepts(1.0, math.nan)
    assert not guard.accepts(math.inf, 0.5)
    back = guard.roll_back()
    assert back is not None
    assert back["w"].tolist() == [20.0, 20.0], "kept before the update of step 20"
    assert not guard.exhausted
    back["w"] += 5
    again = guard.roll_back()
    assert again is not None
    assert again["w"].tolist() == [20.0, 20.0], "what was handed out is a copy"
    assert guard.exhausted


def test_nothing_but_the_discriminator_moves_in_the_warm_up(pictures: Path, tmp_path: Path) -> None:
    short, long = recipe(steps=4, warmup=1), recipe(steps=9, warmup=8)
    runs = [start(tmp_path / str(n), chosen) for n, chosen in enumerate((short, long))]
    for run, chosen, stop in zip(runs, (short, long), (3, 11), strict=True):
        with pytest.raises(KeyboardInterrupt):
            fit(chosen, run, data=pictures, watcher=Stopper(stop))
    assert np.array_equal(*map(weights, runs))
    state = runs[1].load_state(CPU)
    assert state is not None
    assert state["adversary"]["steps"] == 8
    fit(long, runs[1], data=pictures)
    assert not np.array_equal(*map(weights, runs))


@pytest.mark.parametrize("loss", ADVERSARIAL_LOSSES)
def test_resumed_is_uninterrupted_bit_for_bit(loss: str, pictures: Path, tmp_path: Path) -> None:
    chosen = recipe(loss=loss)
    whole, broken = start(tmp_path / "whole", chosen), start(tmp_path / "broken", chosen)
    assert fit(chosen, whole, data=pictures)
    for stop in (3, 4, 6, 10, 13):
        with pytest.raises(KeyboardInterrupt):
            fit(chosen, broken, data=pictures, watcher=Stopper(stop))
    assert fit(chosen, broken, data=pictures)
    for stem in ("last", "best"):
        assert np.array_equal(weights(whole, stem), weights(broken, stem))
    assert rows(whole) == rows(broken)
    last = rows(whole)[-1]
    assert last["adversarial_weight"] > 0
    assert last["rollbacks"] == 0
    assert math.isfinite(last["adversarial_loss"] + last["discriminator_loss"])
    assert "adversarial_loss" not in rows(whole)[0] or rows(whole)[0]["step"] > 3


KILLED = """
import os, signal, sys
from pathlib import Path
from reslift.run import Run
from reslift.train import fit
from reslift.watcher import Silent

class Killer(Silent):
    def stepped(self, step):
        if step == 9:
            os.kill(os.getpid(), signal.SIGKILL)

run = Run.open(Path(sys.argv[1]))
fit(run.recipe(), run, data=Path(sys.argv[2]), watcher=Killer())
"""


def test_killed_in_an_adversarial_phase_it_continues_to_the_same_weights(
    pictures: Path, tmp_path: Path
) -> None:
    watch = {**TREE["watch"], "save_minutes": 1e-6}  # type: ignore[dict-item]
    chosen = recipe(changes={"watch": watch})
    whole, broken = start(tmp_path / "whole", chosen), start(tmp_path / "broken", chosen)
    assert fit(chosen, whole, data=pictures)
    done = subprocess.run([sys.executable, "-c", KILLED, str(broken.folder), str(pictures)])
    assert done.returncode == -signal.SIGKILL
    state = broken.load_state(CPU)
    assert state is not None
    assert state["step"] == 8
    assert state["adversary"]["steps"] == 5
    assert fit(chosen, broken, data=pictures)
    assert np.array_equal(weights(whole), weights(broken))
    assert rows(whole) == rows(broken)


class Poisoner(Silent):
    """Breaks the model's weights after some steps, as a bad update would."""

    def __init__(self, at: set[int], monkeypatch: pytest.MonkeyPatch) -> None:
        self.at, self.step = at, 0
        ours = self
        advance = Adversary.learn

        def learn(self: Adversary, defence: torch.Tensor) -> None:
            advance(self, defence)
            if ours.step + 1 in ours.at:
                with torch.no_grad():
                    next(self.discriminator.parameters()).fill_(math.nan)

        monkeypatch.setattr(Adversary, "learn", learn)

    def stepped(self, step: int) -> None:
        self.step = step


def test_a_broken_side_is_rolled_back_and_the_run_resumes_exactly(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = recipe()
    whole, broken = start(tmp_path / "whole", chosen), start(tmp_path / "broken", chosen)
    assert fit(chosen, whole, data=pictures, watcher=Poisoner({8}, monkeypatch))
    last = rows(whole)[-1]
    assert last["rollbacks"] == 1
    assert np.isfinite(weights(whole)).all()
    monkeypatch.undo()
    poisoner = Poisoner({8}, monkeypatch)
    for stop in (7, 8, 9):
        stopper = Stopper(stop)
        stopper.stepped = lambda step, inner=stopper.stepped: (  # type: ignore[method-assign]
            poisoner.stepped(step),
            inner(step),
        )
        with pytest.raises(KeyboardInterrupt):
            fit(chosen, broken, data=pictures, watcher=stopper)
    poisoner.step = 9
    assert fit(chosen, broken, data=pictures, watcher=poisoner)
    assert np.array_equal(weights(whole), weights(broken))
    assert rows(whole) == rows(broken)


def test_too_many_rollbacks_end_with_the_last_good_state(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = recipe(rollbacks=1)
    run = start(tmp_path / "run", chosen)
    with pytest.raises(ResliftError, match="ran away 2 times"):
        fit(chosen, run, data=pictures, watcher=Poisoner(set(range(7, 20)), monkeypatch))
    assert np.isfinite(weights(run)).all()
    state = run.load_state(CPU)
    assert state is not None
    assert all(torch.isfinite(w).all() for w in state["adversary"]["discriminator"].values())


def test_best_stays_faithful_and_patience_rests(pictures: Path, tmp_path: Path) -> None:
    notes: list[str] = []
    watcher = Silent()
    watcher.note = notes.append  # type: ignore[method-assign]
    watch = {**TREE["watch"], "patience": 1, "min_delta": 50.0}  # type: ignore[dict-item]
    chosen = recipe(changes={"watch": watch})
    run = start(tmp_path / "run", chosen)
    assert fit(chosen, run, data=pictures, watcher=watcher)
    assert rows(run)[-1]["step"] == chosen.steps, "patience did not end the phase"
    assert any("last.safetensors" in note for note in notes)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("loss", ADVERSARIAL_LOSSES)
def test_two_processes_equal_one(loss: str, pictures: Path, tmp_path: Path) -> None:
    chosen = recipe(steps=7, loss=loss)
    one, two = start(tmp_path / "one", chosen), start(tmp_path / "two", chosen)
    assert fit(chosen, one, data=pictures)
    assert fit_on(2, chosen, two, pictures, "cpu", None, None)
    np.testing.assert_allclose(weights(one), weights(two), atol=1e-5)
    before = weights(one, "best")
    assert np.abs(before - weights(one)).max() > 1e-4, "the phase moved the weights"


@pytest.mark.parametrize(
    ("part", "words", "error"),
    [
        ({"loss": "hing"}, "did you mean hinge", UnknownName),
        ({"warmup": 11}, "phases.1.adversary.warmup", RecipeError),
    ],
)
def test_what_cannot_be_trained_is_refused_before_the_first_step(
    part: dict[str, object],
    words: str,
    error: type[Exception],
    pictures: Path,
    tmp_path: Path,
) -> None:
    chosen = recipe(**part)  # type: ignore[arg-type]
    with pytest.raises(error, match=words):
        fit(chosen, start(tmp_path / "run", chosen), data=pictures)
    assert not (tmp_path / "run" / "log.jsonl").exists()


def test_the_recipe_is_typed_and_survives_being_written(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(to_toml(recipe()), encoding="utf-8")
    assert load_recipe(path).phases == recipe().phases
    with pytest.raises(RecipeError, match="did you mean weight"):
        recipe(weigth=1.0)


def test_a_model_of_its_own_can_be_the_discriminators_pupil() -> None:
    """The attack's gradient raises the logits of SR."""
    adversary = Adversary(AdversaryPart(width=8, warmup=0, loss="hinge"), 3, 0, CPU, 30.0, 28.0)
    model, lr = Lift(scale=2, width=8, blocks=1, inner_blocks=0), torch.rand(2, 3, 12, 12)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    found = []
    for _ in range(15):
        attack, _ = adversary.losses(model(lr), torch.rand(2, 3, 24, 24))
        optimiser.zero_grad()
        attack.backward()
        optimiser.step()
        found.append(attack.item())
    assert found[-1] < found[0]


def test_training_for_looks_does_not_keep_its_start_as_the_best(
    pictures: Path, tmp_path: Path
) -> None:
    first = start(tmp_path / "first", recipe())
    fit(recipe(), first, data=pictures)
    notes: list[str] = []
    watcher = Silent()
    watcher.note = notes.append  # type: ignore[method-assign]
    chosen = recipe(changes={"init": str(first.folder / "last.safetensors")})
    run = start(tmp_path / "second", chosen)
    fit(chosen, run, data=pictures, watcher=watcher)
    assert not [note for note in notes if note.startswith("starts from")]
    assert (weights(run, "best") != weights(first)).any()

"""Training on a teacher's answers: what is compared, what is refused, that resuming is exact."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data
from torch import Tensor

from reslift import checkpoint
from reslift.checkpoint import Card
from reslift.datasets.base import ImageSet
from reslift.datasets.patches import PatchBank
from reslift.datasets.stock import stock_up
from reslift.degradations import Bicubic
from reslift.errors import RecipeError, UnknownName, UsageError
from reslift.models import Lift
from reslift.recipe import Recipe, parse
from reslift.run import Run
from reslift.stepper import Stepper, noise_seeds
from reslift.teacher import Teachers, turned, turned_back
from reslift.train import fit
from small_models import lively

SMALL = {"width": 8, "blocks": 2, "inner_width": 8, "inner_blocks": 1}
CPU = torch.device("cpu")


def teacher(path: Path, scale: int = 2, channels: int = 3, still: bool = False) -> str:
    """A checkpoint; `still` answers as bicubic does."""
    model = Lift(scale, channels, **SMALL)
    arguments = {"scale": scale, "channels": channels, **SMALL}
    card = Card(name="t", model="lift", arguments=arguments, scale=scale, summary="")
    checkpoint.save(path, model if still else lively(model), card)
    return str(path)


def recipe(**phase: object) -> Recipe:
    phases = [{"steps": 6, "batch": 2, "patch": 12, **phase}]
    tree = {
        "name": "taught",
        "scale": 2,
        "model": {"arguments": SMALL},
        "data": {"hold_out": 1, "validation_crop": 48},
        "watch": {"validate_every": 3, "save_minutes": 1000, "tensorboard": False},
        "engine": {"precision": "fp32", "threads": 1},
        "phases": phases,
    }
    return parse(tree, "test")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for number, photo in enumerate((data.astronaut(), data.coffee(), data.chelsea())):
        Image.fromarray(photo[60:156, 60:156]).save(folder / f"{number}.png")
    return folder


def test_hr_is_mixed_with_the_answer_by_its_share(tmp_path: Path) -> None:
    name = teacher(tmp_path / "t.safetensors")
    chosen = recipe(teacher=name, taught=0.25)
    lr, hr = torch.rand(2, 3, 12, 12), torch.rand(2, 3, 24, 24)
    upright = torch.zeros(2, dtype=torch.int64)
    answer = checkpoint.load(name)[0](lr).clamp(0, 1).detach()
    mixed = Teachers(chosen, 3, CPU).mixed(chosen.phases[0], lr, hr, upright)
    torch.testing.assert_close(mixed, 0.75 * hr + 0.25 * answer)
    plain = recipe()
    assert Teachers(plain, 3, CPU).mixed(plain.phases[0], lr, hr, upright) is hr


def positions(patch: Tensor) -> list[Tensor]:
    """The eight of (B, C, P, P), by `rot90`."""
    return [torch.rot90(p, k, (2, 3)) for p in (patch, patch.flip(3)) for k in range(4)]


def test_a_patch_takes_eight_positions_and_comes_back() -> None:
    patch = torch.rand(1, 3, 6, 6)
    codes = torch.arange(8)
    eight = turned(patch.expand(8, -1, -1, -1), codes)
    for wanted in positions(patch):
        assert sum(torch.equal(one, wanted[0]) for one in eight) == 1
    assert torch.equal(turned_back(eight, codes), patch.expand(8, -1, -1, -1))


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_the_answers_of_eight_steps_are_the_self_ensemble(batch: int, tmp_path: Path) -> None:
    chosen = recipe(teacher=teacher(tmp_path / "t.safetensors"), taught=1.0)
    model = checkpoint.load(chosen.phases[0].teacher)[0]
    lr = torch.rand(1, 3, 12, 12).expand(batch, -1, -1, -1)
    seen = [
        Teachers(chosen, 3, CPU).mixed(
            chosen.phases[0], lr, torch.zeros(batch, 3, 24, 24), noise_seeds(1, step, batch)
        )
        for step in range(8)
    ]
    answers = [model(one).clamp(0, 1).detach() for one in positions(lr[:1])]
    back = [torch.rot90(a, -k, (2, 3)) for k, a in zip((0, 1, 2, 3) * 2, answers, strict=True)]
    back[4:] = [one.flip(3) for one in back[4:]]
    wanted = torch.stack(back).mean(0)
    assert (answers[0] - wanted).abs().max() > 1e-3
    torch.testing.assert_close(torch.stack(seen).mean(0), wanted.expand(batch, -1, -1, -1))


def test_a_teacher_is_not_turned_where_patches_are_not(tmp_path: Path) -> None:
    chosen = recipe(teacher=teacher(tmp_path / "t.safetensors"), taught=1.0)
    chosen = chosen.model_copy(update={"data": chosen.data.model_copy(update={"augment": "none"})})
    lr = torch.rand(4, 3, 12, 12)
    answer = checkpoint.load(chosen.phases[0].teacher)[0](lr).clamp(0, 1).detach()
    found = Teachers(chosen, 3, CPU).mixed(
        chosen.phases[0], lr, torch.zeros(4, 3, 24, 24), noise_seeds(1, 3, 4)
    )
    torch.testing.assert_close(found, answer)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_the_loss_compares_with_what_is_taught(share: float, tmp_path: Path) -> None:
    """An untrained model and its teacher both answer as bicubic does."""
    chosen = recipe(teacher=teacher(tmp_path / "t.safetensors", still=True), taught=share)
    photo = torch.from_numpy(data.astronaut()[60:156, 60:156].transpose(2, 0, 1).copy())
    bank = PatchBank(stock_up(ImageSet(("one",), lambda _: photo), Bicubic(2), CPU))
    untaught, taught = (
        float(Stepper(Lift(2, 3, **SMALL), bank, r, "fp32").step(0)) for r in (recipe(), chosen)
    )
    assert untaught > 1e-3
    assert taught == pytest.approx((1 - share) * untaught, rel=0.05, abs=1e-6)


def test_a_run_with_a_teacher_is_resumed_bit_for_bit(pictures: Path, tmp_path: Path) -> None:
    chosen = recipe(teacher=teacher(tmp_path / "t.safetensors"))
    found = []
    for name, minutes in (("whole", None), ("slices", 0.0)):
        run = Run.create(tmp_path / name, chosen, {})
        while not fit(chosen, run, data=pictures, minutes=minutes):
            pass
        found.append(checkpoint.load(run.folder / "last.safetensors")[0].state_dict())
    for key, value in found[0].items():
        assert torch.equal(value, found[1][key])


def test_what_cannot_teach_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="nobody"):
        Teachers(recipe(teacher="nobody"), 3, CPU)
    with pytest.raises(UsageError):
        Teachers(recipe(teacher=teacher(tmp_path / "3.safetensors", scale=3)), 3, CPU)
    gray = recipe(teacher=teacher(tmp_path / "1.safetensors", channels=1))
    with pytest.raises(RecipeError, match="has 1 planes"):
        Teachers(gray, 3, CPU)

"""S2's strategies: what may be combined, what each adds, and the laws of the variational one."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal as Reference
from torch.distributions import kl_divergence as reference_kl

from reslift.errors import RecipeError, UsageError
from reslift.models import Lift
from reslift.models.attention import WINDOW, AttentiveBlock, window_max, window_mean
from reslift.models.hourglass import STRATEGIES, Hourglass, smallest_factor
from reslift.models.noise import normal_at
from reslift.models.variational import Learner, Normal, kl_divergence, require_variational
from reslift.recipe import Phase, load_recipe, parse, to_toml
from reslift.start import start_model
from reslift.stepper import check_kl, kl_at, noise_seeds
from small_models import lively

EVERY = [list(c) for n in range(5) for c in itertools.combinations(STRATEGIES, n)]


def hourglass(*strategies: str, scale: int = 4, **arguments: int) -> Hourglass:
    given = {"width": 8, "blocks": 1, **arguments}
    return Hourglass(scale, strategies=strategies, **given).eval()  # type: ignore[arg-type]


def variational(*strategies: str, scale: int = 2) -> Hourglass:
    return lively(hourglass(*strategies, "vae", scale=scale, width=16), even=True)


@pytest.mark.parametrize("strategies", EVERY, ids="+".join)
def test_every_combination_is_a_model(strategies: list[str]) -> None:
    model = hourglass(*strategies)
    assert model.is_variational == ("vae" in strategies)
    assert model(torch.rand(2, 3, 9, 14)).shape == (2, 3, 36, 56)
    assert model.arguments["strategies"] == strategies
    assert hourglass(*reversed(strategies)).arguments == model.arguments


def test_the_repaired_form_is_the_residual_strategy_and_the_published_has_none() -> None:
    torch.manual_seed(0)
    plain = Hourglass(width=8)
    torch.manual_seed(0)
    named = Hourglass(width=8, strategies=["residual"])
    assert plain.arguments == named.arguments
    states = zip(plain.state_dict().items(), named.state_dict().items(), strict=True)
    assert all(a[0] == b[0] and torch.equal(a[1], b[1]) for a, b in states)
    assert {key.split(".")[0] for key in plain.state_dict()} == {"down", "up", "refine", "tail"}
    assert Hourglass(form="published").arguments["strategies"] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"strategies": ["atention"]}, "'atention' is not one of residual, multiscale"),
        ({"strategies": ["vae", "vae"]}, "'vae' is there twice"),
        ({"strategies": "vae"}, r'a list, like \["vae"\]'),
        ({"strategies": ["vae"], "form": "published"}, "form 'published' has no strategies"),
        ({"strategies": ["multiscale"], "scale": 3}, "a product, like 4, 6 or 8, not 3"),
        ({"strategies": ["attention"], "blocks": 0}, "blocks starts at 1"),
    ],
)
def test_choices_that_make_no_sense_are_one_line(arguments: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        Hourglass(**arguments)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_a_recipe_names_strategies_and_keeps_them(tmp_path: Path) -> None:
    tree = {"name": "t", "model": {"name": "hourglass"}}
    tree["model"]["arguments"] = {"width": 8, "strategies": ["vae", "residual"]}  # type: ignore[index]
    recipe = parse(tree, "t")
    (tmp_path / "t.toml").write_text(to_toml(recipe))
    assert load_recipe(tmp_path / "t.toml") == recipe
    assert start_model(recipe).arguments["strategies"] == ["residual", "vae"]
    change = ('model.arguments.strategies=["multiscale"]', "scale=3")
    with pytest.raises(RecipeError, match="model hourglass: multiscale needs"):
        start_model(load_recipe(tmp_path / "t.toml", change))


def test_without_skips_the_latent_is_all_that_the_decoder_sees() -> None:
    for strategies, alone in (((), True), (("residual",), False)):
        model = lively(hourglass(*strategies))
        lr, outer, middle, latent = model.encode(torch.rand(1, 3, 8, 8))
        other = model.decode([lr, outer + 1, middle + 1, latent])
        assert torch.equal(model.decode([lr, outer, middle, latent]), other) == alone


def test_levels_of_the_pyramid_divide_the_scale() -> None:
    for scale, factors in ((4, [2, 2]), (6, [2, 3]), (8, [2, 2, 2])):
        level, found = hourglass("multiscale", scale=scale), []
        while level is not None:
            found.append(level.factor)
            level = level.above
        assert found == factors
    assert [smallest_factor(n) for n in (1, 2, 3, 9, 5)] == [1, 2, 3, 3, 5]


def test_attention_pools_over_a_window_and_not_past_the_border() -> None:
    x = torch.rand(1, 2, 12, 15)
    mean, most, reach = window_mean(x), window_max(x), WINDOW // 2
    for row, column in ((0, 0), (5, 7), (11, 3)):
        rows = slice(max(0, row - reach), row + reach + 1)
        window = x[..., rows, max(0, column - reach) : column + reach + 1]
        torch.testing.assert_close(mean[..., row, column], window.mean((2, 3)))
        torch.testing.assert_close(most[..., row, column], window.amax((2, 3)))


def test_attention_weighs_between_nothing_and_all() -> None:
    block = lively(AttentiveBlock(8))
    x = torch.rand(1, 8, 10, 10)
    detail = block.project(torch.relu(block.expand(x)))
    weight = (block(x) - x) / detail
    assert weight.min() > 0
    assert weight.max() < 1
    assert weight.std() > 0.01


def test_noise_is_normal_independent_and_of_its_place() -> None:
    field = normal_at(torch.arange(6), 8, 64, 64)
    count = field.numel()
    for power, moment in ((1, 0.0), (2, 1.0), (3, 0.0), (4, 3.0)):
        assert abs(field.pow(power).mean().item() - moment) < 5 * (96 / count) ** 0.5
    for axis in range(4):
        first, second = field.narrow(axis, 0, 5), field.narrow(axis, 1, 5)
        assert abs((first * second).mean().item()) < 5 * first.numel() ** -0.5
    part = normal_at(torch.arange(6), 8, 10, 21, top=30, left=7)
    torch.testing.assert_close(part, field[:, :, 30:40, 7:28], atol=1e-6, rtol=0)
    assert torch.equal(normal_at(torch.tensor([4]), 8, 64, 64), field[4:5])


def test_kl_is_that_of_torch_distributions() -> None:
    q, p = (Normal(torch.randn(2, 3, 4, 5), torch.randn(2, 3, 4, 5)) for _ in range(2))
    expected = reference_kl(*(Reference(n.mean, (n.log_variance / 2).exp()) for n in (q, p)))
    torch.testing.assert_close(kl_divergence(q, p), expected)
    assert kl_divergence(p, p).abs().max() < 1e-6


def test_the_posterior_sees_hr_and_evaluation_does_not() -> None:
    model = variational(scale=4)
    lr, hr, seeds = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 32, 32), torch.arange(2)
    answers = [Learner(model)(lr, truth, seeds) for truth in (hr, hr.flip(3))]
    assert not torch.equal(answers[0][0], answers[1][0])
    assert min(kl for _, kl in answers) > 1e-3
    assert answers[0][1] != answers[1][1]
    assert torch.equal(model(lr), model(lr))


@pytest.mark.parametrize("strategies", [(), ("residual", "multiscale", "attention")])
def test_training_answers_depend_on_lr_hr_and_seeds_alone(strategies: tuple[str, ...]) -> None:
    model = variational(*strategies, scale=4)
    learner, seeds = Learner(model), noise_seeds(3, 7, 4)
    lr, hr = torch.rand(4, 3, 10, 10), torch.rand(4, 3, 40, 40)
    sr, kl = learner(lr, hr, seeds)
    torch.rand(9)
    again, same = learner(lr, hr, seeds)
    assert torch.equal(sr, again)
    assert torch.equal(kl, same)
    half, _ = learner(lr[1::2], hr[1::2], seeds[1::2])
    torch.testing.assert_close(half, sr[1::2], atol=1e-5, rtol=0)
    assert not torch.equal(learner(lr, hr, noise_seeds(3, 8, 4))[0], sr)


def test_evaluation_is_deterministic_and_samples_are_by_seed() -> None:
    model, lr = variational("residual"), torch.rand(2, 3, 9, 10)
    assert torch.equal(model(lr), model(lr))

    def sample(seed: int) -> torch.Tensor:
        return model.sample(lr, 3, torch.Generator().manual_seed(seed)).images

    assert torch.equal(sample(1), sample(1))
    assert not torch.equal(sample(1), sample(2))
    assert sample(1).shape == (3, 2, 3, 18, 20)
    for a, b in itertools.combinations(sample(1), 2):
        assert (a - b).abs().max() > 1e-3


def test_many_samples_surround_the_answer() -> None:
    """Where the decoder is nearly linear in the latent, their mean is the answer of its mean."""
    model, lr = variational("residual"), torch.rand(1, 3, 12, 12)
    with torch.no_grad():
        model.latent.prior_head.bias[16:] = -10.0  # type: ignore[union-attr,index]
    samples = model.sample(lr, 200, torch.Generator().manual_seed(0))
    torch.testing.assert_close(samples.mean, samples.images.mean(0))
    error = (samples.mean - model(lr)).abs() / (samples.deviation / 200**0.5)
    assert error.median() < 2  # standard errors
    assert error.max() < 8
    assert samples.deviation.min() > 0
    expected = samples.images.double().var(0).sqrt().float()
    torch.testing.assert_close(samples.deviation, expected, atol=1e-5, rtol=1e-3)


@pytest.mark.parametrize("strategies", [(), ("residual", "multiscale", "attention")])
def test_a_tile_drawn_with_its_origin_is_its_place_in_the_whole(
    strategies: tuple[str, ...],
) -> None:
    model = variational(*strategies, scale=4)
    side, start = 2 * model.halo + 24, model.halo + 8
    lr, seeds = torch.rand(1, 3, side, side), torch.tensor([11])
    whole = model.draw(lr, seeds)
    top, end = start - model.halo, start + 12 + model.halo
    tile = model.draw(lr[..., top:end, top:end], seeds, (top, top))
    core = tile[..., model.halo * 4 : (model.halo + 12) * 4, model.halo * 4 : (model.halo + 12) * 4]
    inside = slice(start * 4, (start + 12) * 4)
    torch.testing.assert_close(core, whole[..., inside, inside], atol=1e-6, rtol=2e-6)
    shifted = model.draw(lr[..., top:end, top:end], seeds)
    assert not torch.allclose(shifted, tile, atol=1e-4)


def test_models_of_one_answer_refuse_to_sample() -> None:
    lr = torch.rand(1, 3, 8, 8)
    for call in (
        lambda: hourglass("residual").sample(lr, 3),
        lambda: hourglass().draw(lr, torch.tensor([0])),
        lambda: require_variational(Lift(width=8)),
        lambda: Learner(hourglass()),
    ):
        with pytest.raises(UsageError, match="gives one answer and no samples"):
            call()
    with pytest.raises(UsageError, match="2 or more"):
        variational().sample(lr, 1)


def test_kl_weight_rises_over_its_warmup_and_goes_with_the_model() -> None:
    phase = Phase(steps=9, kl=0.4, kl_warmup=4)
    weights = [kl_at(phase, step) for step in range(6)]
    np.testing.assert_allclose(weights, [0.1, 0.2, 0.3, 0.4, 0.4, 0.4])
    assert kl_at(Phase(steps=9, kl=0.4), 0) == 0.4
    check_kl(hourglass("vae"), (phase,))
    check_kl(hourglass(), (Phase(steps=1),))
    with pytest.raises(RecipeError, match=r"phases\.1\.kl is 0"):
        check_kl(hourglass("vae"), (phase, Phase(steps=1)))
    with pytest.raises(RecipeError, match=r"phases\.0\.kl is 0\.4.*no latent distribution"):
        check_kl(Lift(width=8), (phase,))

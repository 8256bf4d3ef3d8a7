"""Models small enough for tests, with weights that make borders and far pixels matter."""

import inspect

import torch

from reslift.checkpoint import Card, save
from reslift.models import MODELS, Lift
from reslift.upscale import Upscaler

SMALL = {"width": 6, "blocks": 2, "inner_width": 6, "inner_blocks": 1}

SMALLEST = {**SMALL, "width": 8, "depth": 2, "latent": 8, "size": 16}
COMBINED = ["repaired+", "repaired+attention", "repaired+multiscale", "repaired+residual+vae"]
COMBINED += ["repaired+multiscale+attention+vae"]
VARIANTS = [(name, form) for name, kind in MODELS.items() for form in kind.forms or ("",)]
VARIANTS += [("hourglass", form) for form in COMBINED]
"""Every architecture in each of its forms, "" where it has none; after a plus, its strategies."""


def small(name, form="", scale=2, **arguments):
    """A small untrained model of ``MODELS``, at the scale nearest to ``scale`` that it has."""
    kind = MODELS[name]
    known = inspect.signature(kind).parameters
    given = {key: value for key, value in SMALLEST.items() if key in known}
    if form:
        given["form"], plus, strategies = form.partition("+")
        if plus:
            given |= {"strategies": strategies.split("+") if strategies else [], "blocks": 1}
    scale = min(max(scale, kind.scales[0]), kind.scales[-1])
    if "multiscale" in form:
        scale *= 2
    return kind(scale=scale, **{**given, **arguments}).eval()


def lively(model, seed=0, *, even=False):
    """Random weights everywhere; ``even``: layers keep their signal's size and few pixels clip."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            spread = weight[0].numel() ** -0.5 if even and weight.ndim > 1 else 0.2
            weight.copy_(torch.randn(weight.shape, generator=generator) * spread)
    return model.eval().requires_grad_(False)


def small_lift(scale=2):
    return lively(Lift(scale=scale, **SMALL))


def bicubic_lift(scale=2):
    """Untrained, Lift is bicubic interpolation."""
    return Lift(scale=scale, **SMALL).eval().requires_grad_(False)


def card_of(model, name="small"):
    return Card(name=name, model="lift", arguments=model.arguments, scale=model.scale)


def made(model, **options):
    return Upscaler(model, card_of(model), device="cpu", **options)


def saved(path, model):
    save(path, model, card_of(model))
    return path

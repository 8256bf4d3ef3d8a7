"""Models small enough for tests, with weights that make borders and far pixels matter."""

import torch

from reslift.checkpoint import Card, save
from reslift.models import Lift
from reslift.upscale import Upscaler

SMALL = {"width": 6, "blocks": 2, "inner_width": 6, "inner_blocks": 1}


def lively(model, seed=0):
    """Random weights everywhere."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.2)
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

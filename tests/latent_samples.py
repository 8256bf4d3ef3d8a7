"""Small labelled pictures on the disk, and models that look at them."""

import inspect

import numpy as np
from PIL import Image

from reslift.checkpoint import Card, save
from small_models import lively, small

DAMAGE = {"name": "resize_back", "arguments": {"factor": 2}}


def pictures(folder, count=6, size=(16, 16), labels=("dark", "light")):
    """``count`` pictures a label, smooth with a little noise; dark ones and light ones."""
    rng = np.random.default_rng(0)
    for level, label in enumerate(labels):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            x = np.linspace(0, rng.uniform(1, 9), size[0])[None, :, None]
            wave = 60 + 90 * level + 30 * np.sin(x + rng.uniform(0, 3, 3))
            noisy = wave + rng.normal(0, 6, (size[1], size[0], 3))
            pixels = noisy.clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{label}{number}.png")
    return folder


def checkpoint(path, name, form="", scale=2):
    """A file with a small model of ``MODELS`` whose card says what it repairs."""
    model = lively(small(name, form, scale), even=True)
    recipe = {"name": "tiny", "scale": model.scale}
    if model.scale == 1:
        recipe["degradation"] = DAMAGE
    arguments = {k: v for k, v in model.arguments.items() if k in parameters(type(model))}
    save(path, model, Card(name=name, model=name, arguments=arguments, scale=model.scale,
                           recipe=recipe))  # fmt: skip
    return path


def parameters(kind):
    return inspect.signature(kind).parameters

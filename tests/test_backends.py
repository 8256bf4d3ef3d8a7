"""Every engine answers as PyTorch does in fp32; graphs, the probe, the cache, the choice."""

import pytest

pytest.importorskip("onnx")
import json
import logging

import numpy as np
import torch

from reslift import backends, machine
from reslift.backends import BACKENDS, graph, look_up_backend
from reslift.backends.probe import difference, probe_image
from reslift.backends.torch import TorchBackend
from reslift.errors import UsageError
from reslift.models import Lift
from reslift.pixels.planes import Planes
from reslift.stitch import Stitcher
from small_models import SMALL, VARIANTS, card_of, lively, saved, small, small_lift

INSTALLED = [name for name in BACKENDS if not backends.lacking(name)]
GRAPHS = [name for name in INSTALLED if name != "torch"]
SHAPES = [(1, 1), (5, 4), (16, 24), (33, 7), (21, 18)]


def an_lr(model, height, width, seed=0):
    sides = (model.size, model.size) if model.size else (height, width)
    return np.random.default_rng(seed).random((1, model.channels, *sides), np.float32)


@pytest.fixture(scope="module")
def ready():
    """Graphs of every architecture, made once."""
    return {variant: graph.make(lively(small(*variant), even=True)) for variant in VARIANTS}


@pytest.mark.parametrize("name", INSTALLED)
@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_every_engine_answers_as_torch_in_fp32(ready, name, variant):
    model = lively(small(*variant), even=True)
    reference = TorchBackend(model, "cpu", "fp32")
    engine = reference if name == "torch" else look_up_backend(name)(ready[variant])
    assert engine.precision == "fp32" and engine.device == "cpu"
    for height, width in SHAPES:
        lr = an_lr(model, height, width)
        with torch.inference_mode():
            expected = model(torch.from_numpy(lr)).numpy()
        sr = engine.run(lr)
        assert sr.dtype == np.float32 and sr.shape == expected.shape
        assert np.abs(sr - expected).max() <= 1e-5 * max(1, np.abs(expected).max())
        assert np.abs(sr - expected).mean() <= 1e-6 * max(1, np.abs(expected).max())

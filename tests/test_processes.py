"""An `Upscaler` in other processes: pickled, copied, forked."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import reslift
from reslift import backends
from reslift.sample import Sampler
from small_models import card_of, lively, made, small, small_lift

IMAGE = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
FORKED = """
import os, sys
import numpy as np
import reslift
upscaler = reslift.load("lift-small", scale=2, backend="torch")
image = np.random.default_rng(0).integers(0, 256, (140, 180, 3), np.uint8)
expected = upscaler(image)
child = os.fork()
if child == 0:
    again = reslift.load("lift-small", scale=2, backend="torch")
    same = all(np.array_equal(each(image), expected) for each in (upscaler, again))
    os._exit(0 if same else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("backend", ["torch", "openvino", "onnxruntime"])
def test_pickled_and_copied(backend):
    pytest.importorskip(backend)
    options = {"size": reslift.Size(scale=1.5), "strength": 0.8, "ensemble": True}
    upscaler = reslift.load("lift-small", backend=backend, **options)
    expected = upscaler(IMAGE)
    for again in (pickle.loads(pickle.dumps(upscaler)), copy.deepcopy(upscaler)):
        assert again.identity == upscaler.identity
        np.testing.assert_array_equal(again(IMAGE), expected)


def test_a_model_that_comes_from_no_file_is_pickled():
    upscaler = made(small_lift(2))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(upscaler))(IMAGE), upscaler(IMAGE))


def test_a_sampler_is_pickled():
    model = lively(small("hourglass", "repaired+residual+vae"))
    sampler = Sampler(model, card_of(model), device="cpu")
    again = pickle.loads(pickle.dumps(sampler))
    np.testing.assert_array_equal(again.sample(IMAGE, 1)[0], sampler.sample(IMAGE, 1)[0])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_pytorch_answers_in_a_forked_process():
    """It would wait there for the threads of OpenMP, which did not go along."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    assert subprocess.run(command, env=environment, timeout=300, check=False).returncode == 0


def test_openvino_does_not_start_in_a_forked_process(monkeypatch, caplog):
    """It would wait there for its threads; another engine is taken."""
    pytest.importorskip("openvino")
    reslift.load("lift-small", scale=2, backend="openvino")
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert backends.start(small_lift(2), "openvino", "cpu").name == "torch"
    assert "openvino is not used: it was started before this process was forked" in caplog.text

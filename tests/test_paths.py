"""Functions that take files and folders take their names as text too."""

from __future__ import annotations

import numpy as np
from PIL import Image

import reslift
from reslift.audit import audit_files
from reslift.datacheck import check_data
from reslift.datasets.pairs import find_test_set
from reslift.evaluate import evaluate
from reslift.export import export
from reslift.replay import replay
from reslift.verify import verify


def test_text_is_as_good_as_a_path(tmp_path):
    pixels = np.random.default_rng(0).integers(96, 160, (24, 24, 3)).astype(np.uint8)
    small, large = str(tmp_path / "a.png"), str(tmp_path / "b.png")
    Image.fromarray(pixels).save(small)
    upscaler = reslift.load("lift-small", scale=2, device="cpu")
    upscaler.upscale_file(small, large)
    assert verify(small, large).holds
    assert 0 <= audit_files(small, large).share < 1
    assert replay(large, small).same_bytes
    folder = str(tmp_path)
    assert check_data(folder).pictures == 2
    result = evaluate([("small", upscaler)], [find_test_set(folder, 2)], scale=2)
    assert len(result.summaries()) == 2
    made = export("lift-small", "torchscript", str(tmp_path / "new" / "a.pt"), scale=2)
    assert [path.is_file() for path in made.files] == [True]

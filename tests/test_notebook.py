"""The tour runs from top to bottom without a network, and shows what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

TOUR = Path(__file__).parents[1] / "notebooks" / "tour.ipynb"
NOBODY = "http://127.0.0.1:9"
"""A proxy that does not answer: with it no machine has a network."""


def printed(notebook):
    """All text that the cells printed."""
    outputs = [out for cell in notebook.cells for out in cell.get("outputs", ())]
    return "\n".join(out.text for out in outputs if out.output_type == "stream")


def ask_for_cifar10(notebook):
    """As in Colab, where it is fetched."""
    cell = next(c for c in notebook.cells if c.source.startswith("FETCH = "))
    cell.source = "FETCH = True\n" + cell.source.partition("\n")[2]


def test_it_is_stored_without_outputs():
    notebook = nbformat.read(TOUR, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)


@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("ignore")
def test_it_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("RESLIFT_DATA", str(tmp_path))
    monkeypatch.setenv("RESLIFT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, NOBODY)
    notebook = nbformat.read(TOUR, as_version=4)
    ask_for_cifar10(notebook)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=500, resources=where).execute()

    text = printed(notebook)
    assert "cannot download" in text and "CIFAR-10 cannot be fetched" in text
    assert "CIFAR-10 is not here" in text
    rows = re.findall(r"(?m)^(?:validation|test) +s0 .*?  ([+-]\d+\.\d\d)  ", text)
    gains = [float(found) for found in rows]
    assert len(gains) == 4, "validation and test, published and repaired"
    assert max(gains[:2]) < -1, "the published form loses to bicubic"
    assert min(gains[2:]) > 0, "the repaired form does not"
    pictures = [out for cell in notebook.cells for out in cell.get("outputs", ()) if "data" in out]
    assert sum("image/png" in out.data for out in pictures) >= 9

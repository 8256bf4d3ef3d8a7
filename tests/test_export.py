"""Exported files: what they answer and say, what is refused, and the example in the docs."""

import json
import os
import re
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kill_points import room
from reslift import export as verb
from reslift.checkpoint import save
from reslift.cli import main
from reslift.errors import (
    CannotExport,
    OutputError,
    OutputExists,
    UnknownName,
    UsageError,
    VerificationError,
)
from reslift.export import KINDS, SIZES, export
from reslift.models.isrnet import ISRNet
from small_models import VARIANTS, card_of, lively, saved, small, small_lift

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
PAGE = Path(__file__).resolve().parents[1] / "docs" / "export.md"


@pytest.fixture
def checkpoint(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return saved(tmp_path / "m.safetensors", small_lift(2))


def needs(kind):
    for package in KINDS[kind].packages:
        pytest.importorskip(package)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("variant", VARIANTS, ids=" ".join)
def test_every_model_can_be_exported(kind, variant, tmp_path):
    needs(kind)
    model = lively(small(*variant), even=True)
    file = tmp_path / f"m{KINDS[kind].suffixes[0]}"
    KINDS[kind].write(model, verb.facts_of(model, card_of(model)), file)
    difference, shapes = verb.compare(KINDS[kind].read(file), model)
    assert difference <= 1e-5 and len(shapes) == len(SIZES) == 5
    assert {shape[0] for shape in shapes} == {1, 2, 3}
    if not model.size:
        assert (1, 1) in {shape[2:] for shape in shapes}
        assert any(height % 2 and width % 2 for *_, height, width in shapes)


def test_openvino_survives_one_pixel_in_one_channel(tmp_path):
    """It ended Python by SIGABRT, so another process runs it."""
    needs("openvino")
    model = lively(ISRNet(2, channels=1, form="published"), even=True)
    card = card_of(model).model_copy(update={"model": "isrnet"})
    save(tmp_path / "gray.safetensors", model, card)
    words = [str(tmp_path / "gray.safetensors"), "--to", "openvino", "-o", str(tmp_path / "g.xml")]
    command = [sys.executable, "-m", "reslift", "export", *words]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_torchscript_needs_no_other_package(checkpoint):
    Path("onnx.py").write_text("raise ModuleNotFoundError(\"No module named 'onnx'\")")
    command = [sys.executable, "-m", "reslift", "export", str(checkpoint), "--to", "torchscript"]
    env = {**os.environ, "PYTHONPATH": str(Path.cwd())}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr


def test_the_name_is_the_one_that_was_given(checkpoint):
    needs("openvino")
    done = export(checkpoint, "openvino", Path("A.XML"))
    assert [str(file) for file in done.files] == ["A.XML", "A.bin"]
    assert all(file.is_file() for file in done.files)


@pytest.mark.filterwarnings("ignore:.torch.jit.load:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_the_file_says_what_it_needs(kind, checkpoint):
    needs(kind)
    done = export(checkpoint, kind)
    assert [file.suffix for file in done.files] == list(KINDS[kind].suffixes)
    if kind == "onnx":
        facts = onnxruntime.InferenceSession(done.files[0]).get_modelmeta().custom_metadata_map
    elif kind == "openvino":
        openvino = pytest.importorskip("openvino")
        told = openvino.Core().read_model(done.files[0]).get_rt_info("reslift").value
        facts = {key: told[key].value if hasattr(told[key], "value") else told[key] for key in told}
    else:
        extra = {"reslift.json": ""}
        torch.jit.load(done.files[0], _extra_files=extra)
        facts = {
            k: v if isinstance(v, str) else json.dumps(v)
            for k, v in json.loads(extra["reslift.json"]).items()
        }
    model = small_lift(2)
    assert (facts["scale"], facts["range"], facts["name"]) == ("2", "[0, 1]", "small")
    assert (facts["halo"], facts["multiple_of"]) == (str(model.halo), str(model.multiple_of))
    assert (facts["is_global"], facts["size"]) == ("false", "null")


def test_a_file_that_differs_is_not_written(checkpoint, monkeypatch):
    other = lively(small("lift"), seed=7)
    write = KINDS["onnx"].write
    wrong = verb.Kind((), (".onnx",), lambda model, *rest: write(other, *rest), KINDS["onnx"].read)
    monkeypatch.setitem(KINDS, "onnx", wrong)
    with pytest.raises(VerificationError, match=r"differs from PyTorch by .* nothing was written"):
        export(checkpoint, "onnx")
    assert [path.name for path in Path().iterdir()] == ["m.safetensors"]


def test_what_cannot_be_is_one_line(checkpoint, tmp_path, monkeypatch):
    with pytest.raises(UnknownName, match="did you mean onnx"):
        export(checkpoint, "onxn")
    with pytest.raises(UsageError, match=r"a\.pt: a file for onnx ends in \.onnx"):
        export(checkpoint, "onnx", Path("a.pt"))
    Path("small.onnx").write_bytes(b"kept")
    with pytest.raises(OutputExists):
        export(checkpoint, "onnx")
    assert Path("small.onnx").read_bytes() == b"kept"
    published = lively(ISRNet(scale=3, form="published"))
    with pytest.raises(CannotExport, match="this ISRNet cannot be exported: "):
        KINDS["onnx"].write(published, {}, tmp_path / "i.onnx")
    monkeypatch.setattr(verb, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="export to openvino needs onnx and openvino: python -m"):
        export(checkpoint, "openvino")


@pytest.mark.parametrize("kind", KINDS)
def test_a_temporary_folder_without_room_is_one_line(kind, checkpoint, monkeypatch, capsys):
    needs(kind)
    write = KINDS[kind].write

    def no_room(*words):
        with room(1000):
            write(*words)

    monkeypatch.setitem(KINDS, kind, replace(KINDS[kind], write=no_room))
    assert main(["export", str(checkpoint), "--to", kind]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot write" in line and "TMPDIR" in line
    assert [path.name for path in Path().iterdir()] == ["m.safetensors"]


def test_of_two_files_none_is_left_alone(checkpoint, monkeypatch):
    needs("openvino")
    old = export(checkpoint, "openvino").files
    before = [file.read_bytes() for file in old]
    write_bytes = Path.write_bytes

    def no_room(path, data):
        if path.suffix == ".xml" and path.parent == Path():
            raise OSError(28, "No space left on device")
        return write_bytes(path, data)

    other = saved(Path("other.safetensors"), lively(small("lift"), seed=3))
    monkeypatch.setattr(Path, "write_bytes", no_room)
    with pytest.raises(OutputError, match=r"cannot write small\.xml: No space"):
        export(other, "openvino", overwrite=True)
    assert [file.read_bytes() for file in old] == before


def test_the_command_tells_the_difference_and_the_path(checkpoint, capsys):
    assert main(["export", str(checkpoint), "--to", "onnx", "-o", "a.onnx"]) == 0
    streams = capsys.readouterr()
    assert streams.out == "a.onnx\n"
    assert re.match(r"compared with PyTorch on 5 shapes: largest difference \d", streams.err)
    onnx.checker.check_model(onnx.load("a.onnx"), full_check=True)
    assert main(["export", str(checkpoint), "--to", "onnx", "-o", "a.onnx"]) == 2


def test_the_example_in_the_docs_runs_without_reslift(checkpoint):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert "reslift" not in code and len(code.splitlines()) <= 21
    export(checkpoint, "onnx", Path("lift-base-x4.onnx"))
    lr = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)
    Image.fromarray(lr).save("photo.png")
    Path("example.py").write_text(code, encoding="utf-8")
    runpy.run_path("example.py")
    with torch.inference_mode():
        sr = small_lift(2)(torch.from_numpy(lr).permute(2, 0, 1)[None] / 255)
    expected = (sr[0].permute(1, 2, 0).clamp(0, 1) * 255).round().numpy()
    assert np.abs(np.asarray(Image.open("photo-x4.png")) - expected).max() <= 1


@pytest.mark.parametrize(("name", "file"), [("a/b", "a-b.pt"), ("a\0b", "a-b.pt"), ("", "lift.pt")])
def test_a_name_that_no_file_can_have_is_changed(tmp_path, monkeypatch, name, file):
    monkeypatch.chdir(tmp_path)
    model = small_lift(2)
    save(tmp_path / "m.safetensors", model, card_of(model, name))
    assert export("m.safetensors", "torchscript").files == (Path(file),)


def test_the_model_itself_is_never_overwritten(tmp_path):
    path = saved(tmp_path / "m.pt", small_lift(2))
    before = path.read_bytes()
    with pytest.raises(UsageError, match="would overwrite the input"):
        export(path, "torchscript", path, overwrite=True)
    assert path.read_bytes() == before

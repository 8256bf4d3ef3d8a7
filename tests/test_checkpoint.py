"""Checkpoints: what is saved is what is loaded, and a stranger's file does no harm."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from reslift import checkpoint
from reslift.checkpoint import CARD_KEY, Card
from reslift.errors import CheckpointError, UnknownName, UsageError
from reslift.models import Lift
from small_models import VARIANTS, small

SMALL = {"scale": 2, "width": 8, "blocks": 1, "inner_width": 8, "inner_blocks": 1}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = Lift(**SMALL)
    torch.nn.init.normal_(model.tail.weight)
    path = tmp_path / "m.safetensors"
    card = Card(name="m", model="lift", arguments=model.arguments, scale=2, licence="MIT")
    checkpoint.save(path, model, card)
    return path


def rewrite(path: Path, **changes: object) -> Path:
    model, card = checkpoint.load(path)
    tree = {**json.loads(card.model_dump_json()), **changes}
    other = path.with_name("other.safetensors")
    save_file(dict(model.state_dict()), str(other), metadata={CARD_KEY: json.dumps(tree)})
    return other


@pytest.mark.parametrize(("name", "form"), VARIANTS)
def test_saved_equals_loaded(name: str, form: str, tmp_path: Path) -> None:
    model = small(name, form)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    path = tmp_path / "x.safetensors"
    card = Card(name="x", model=name, arguments=model.arguments, scale=model.scale)
    checkpoint.save(path, model, card)
    again, same = checkpoint.load(path)
    assert same == card
    side = model.size or 8
    lr = torch.rand(1, model.channels, side, side)
    with torch.no_grad():
        assert torch.equal(model(lr), again(lr))


@pytest.mark.skipif(os.name == "nt", reason="pipes as POSIX has them")
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match="not a regular file"):
        checkpoint.resolve(tmp_path / "m.safetensors")


def test_half_storage_comes_back_as_fp32(saved: Path) -> None:
    model, card = checkpoint.load(saved)
    half = saved.with_name("half.safetensors")
    checkpoint.save(half, model, card, half=True)
    again, _ = checkpoint.load(half)
    assert half.stat().st_size < 0.75 * saved.stat().st_size
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    torch.testing.assert_close(again.tail.weight, model.tail.weight, rtol=1e-3, atol=1e-6)


def test_card_is_read_without_torch(saved: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from reslift.checkpoint import read_card;"
        f"print(read_card(Path({str(saved)!r})).licence, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["MIT", "False"]


def test_damage_is_one_clear_line(saved: Path) -> None:
    whole = saved.read_bytes()
    for damaged in (
        b"",
        whole[:5],
        whole[:200],
        whole[:-9],
        struct.pack("<Q", 2**60),
        b"\x80" * 99,
    ):
        saved.write_bytes(damaged)
        with pytest.raises(CheckpointError) as caught:
            checkpoint.load(saved)
        assert saved.name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="not a reslift checkpoint"):
        checkpoint.load(path)


def test_a_foreign_card_is_refused(saved: Path) -> None:
    for changes, words in (
        ({"model": "os.system"}, "unknown model"),
        ({"arguments": {**SMALL, "width": 9}}, "do not fit"),
        ({"arguments": {**SMALL, "evil": 1}}, "do not fit"),
        ({"arguments": {**SMALL, "blocks": 10**9}}, "do not fit"),
        ({"scale": 3}, "differ in scale"),
        ({"surprise": 1}, "damaged at 'surprise'"),
    ):
        with pytest.raises(CheckpointError, match=words):
            checkpoint.load(rewrite(saved, **changes))


def test_names_and_scales(saved: Path) -> None:
    with pytest.raises(UsageError, match="scale 2, not 4"):
        checkpoint.load(saved, 4)
    with pytest.raises(UnknownName, match="unknown model"):
        checkpoint.load("no-such-thing", 4)
    with pytest.raises(CheckpointError, match="no such file"):
        checkpoint.load("missing.safetensors")
    with pytest.raises(CheckpointError, match="no best or last"):
        checkpoint.load(saved.parent / "..")


def test_an_empty_name_is_not_the_current_folder(
    saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved.rename(saved.with_name("best.safetensors"))
    monkeypatch.chdir(saved.parent)
    for name in ("", " "):
        with pytest.raises(UsageError, match="no model is named"):
            checkpoint.load(name)
    assert checkpoint.load(".")[1].name == "m"


def test_a_run_folder_stands_for_its_best(saved: Path) -> None:
    saved.rename(saved.with_name("best.safetensors"))
    assert checkpoint.resolve(saved.parent).name == "best.safetensors"


def test_every_bundled_checkpoint_loads_and_tells_what_it_saw() -> None:
    assert checkpoint.zoo(), "the package ships weights"
    for name, path in checkpoint.zoo().items():
        model, card = checkpoint.load(name)
        assert card.name == name == f"lift-{card.name.split('-')[1]}-x{model.scale}"
        assert card.data
        assert card.licence
        assert card.recipe
        assert card.command
        for scores in card.scores.values():
            assert scores["psnr_y"] > scores["bicubic_psnr_y"], name
        assert path.stat().st_size < 12e6


def test_a_name_that_cannot_be_looked_up_is_one_line():
    with pytest.raises(CheckpointError, match="too long"):
        checkpoint.resolve("x" * 5000)

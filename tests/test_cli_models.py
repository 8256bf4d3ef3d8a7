"""`reslift models`: a table from the cards, and one card whole."""

from __future__ import annotations

import json

import pytest
import torch

from reslift import checkpoint
from reslift.checkpoint import Card
from reslift.cli import main
from reslift.models import MODELS, SRModel


def small(scale: int) -> SRModel:
    torch.manual_seed(0)
    return MODELS["lift"](scale=scale, width=8)


@pytest.fixture
def planted_zoo(tmp_path, monkeypatch):
    for scale in (2, 4):
        model = small(scale)
        card = Card(
            name=f"lift-base-x{scale}",
            model="lift",
            arguments=model.arguments,
            scale=scale,
            parameters=12345,
            licence="MIT",
            data="open\nphotographs",
            scores={"Set5": {"psnr_y": 31.5, "bicubic_psnr_y": 28.43, "ssim_y": 0.88}},
            recipe={"steps": 7},
        )
        checkpoint.save(tmp_path / f"lift-base-x{scale}.safetensors", model, card)
    monkeypatch.setattr(checkpoint, "ZOO", tmp_path)
    return tmp_path


def output(capsys, *words: str) -> str:
    assert main(["models", *words]) == 0
    return capsys.readouterr().out


def test_table(planted_zoo, capsys):
    heading, *rows = output(capsys).splitlines()
    assert len(rows) == 2
    for word in ("model", "scale", "parameters", "Set5", "BSD100", "licence", "data"):
        assert word in heading
    for word in ("lift-base-x4", "x4", "12,345", "31.50 (+3.07)", "–", "MIT", r"open\nphotographs"):
        assert word in rows[1]


def test_one_card(planted_zoo, capsys):
    by_name = output(capsys, "lift-base-x2")
    assert by_name == output(capsys, str(planted_zoo / "lift-base-x2.safetensors"))
    lines = [line.split() for line in by_name.splitlines()]
    for wanted in (["name", "lift-base-x2"], ["scale", "2"], ["psnr_y", "31.5"], ["steps", "7"]):
        assert wanted in lines


def test_json(planted_zoo, capsys):
    table = json.loads(output(capsys, "--json"))
    assert [card["scale"] for card in table] == [2, 4]
    assert json.loads(output(capsys, "lift-base-x4", "--json")) == table[1]
    assert json.loads(output(capsys, "lift-base", "--json")) == table


def test_unknown_name_suggests(planted_zoo, capsys):
    assert main(["models", "lift-bse-x4"]) == 2
    assert "lift-base-x4" in capsys.readouterr().err


def test_empty_zoo_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(checkpoint, "ZOO", tmp_path)
    assert main(["models"]) == 1
    assert "reslift doctor" in capsys.readouterr().err

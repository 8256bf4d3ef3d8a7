"""`reslift compare`: what stands side by side, and what is refused."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data

from reslift import formats
from reslift.checkpoint import Card, save
from reslift.cli import main
from reslift.compare import Comparison
from reslift.degradations import ResizeBack
from reslift.errors import InputError, UsageError
from reslift.metrics import psnr_y
from reslift.pixels.resize import bicubic_upscale, downscale8
from reslift.report.panels import GAP, Panel, draw_panels
from small_models import made, saved, small, small_lift


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model():
    return str(saved(Path("small.safetensors"), small_lift(2)))


@pytest.fixture
def pair():
    hr = torch.from_numpy(data.astronaut()[60:180, 150:270].copy()).permute(2, 0, 1)[None]
    lr = downscale8(hr, 2)
    for name, image in (("hr.png", hr), ("lr.png", lr)):
        Image.fromarray(image[0].permute(1, 2, 0).numpy()).save(name)
    return lr, hr


CPU = {"device": "cpu", "backend": "torch"}


def panel(sheet, number, side, zoom):
    left = number * (side * zoom + GAP)
    return sheet[: side * zoom : zoom, left : left + side * zoom : zoom]


def test_every_panel_is_what_it_says(model, pair):
    lr, _ = pair
    sheet = Comparison([model], **CPU, zoom=2).draw(Path("lr.png"), Path("hr.png"))[0].pixels
    lr_pixels = lr[0].permute(1, 2, 0).numpy()
    bicubic = (bicubic_upscale(lr.double() / 255, 2) * 255).round().clamp(0, 255)
    np.testing.assert_array_equal(panel(sheet, 0, 120, 2)[::2, ::2], lr_pixels)
    off = panel(sheet, 1, 120, 2) - bicubic[0].permute(1, 2, 0).numpy()
    assert np.abs(off).max() <= 1
    np.testing.assert_array_equal(panel(sheet, 2, 120, 2), made(small_lift(2))(lr_pixels))
    np.testing.assert_array_equal(panel(sheet, 3, 120, 2), data.astronaut()[60:180, 150:270])
    assert sheet.shape[1] == 4 * 240 + 3 * GAP


def test_the_score_is_that_of_the_whole_picture(model, pair, monkeypatch):
    lr, hr = pair
    drawn = []
    monkeypatch.setattr("reslift.compare.draw_panels", lambda p, z: drawn.extend(p) or data.cat())
    Comparison([model], crop=(5, 5, 9, 9), **CPU).draw(Path("lr.png"), Path("hr.png"))
    sr = torch.from_numpy(made(small_lift(2))(lr[0].permute(1, 2, 0).numpy())).permute(2, 0, 1)
    wanted = psnr_y(sr[None].float() / 255, hr.float() / 255, 2).item()
    assert [p.label for p in drawn] == ["LR 60x60", "bicubic", "small.safetensors", "HR"]
    assert drawn[2].note == f"{wanted:.2f} dB PSNR-Y" and drawn[3].note == ""
    assert all(p.pixels.shape == (18, 18, 3) for p in drawn)


def test_on_the_same_grid_lr_is_what_is_compared_with(pair, monkeypatch):
    hr = pair[1]
    lr = ResizeBack()(hr)
    Image.fromarray(lr[0].permute(1, 2, 0).numpy()).save("damaged.png")
    same = small("residual", "repaired")
    card = Card(name="same", model="residual", arguments=same.arguments, scale=1)
    save(Path("same.safetensors"), same, card)
    drawn = []
    monkeypatch.setattr("reslift.compare.draw_panels", lambda p, z: drawn.extend(p) or data.cat())
    Comparison(["same.safetensors"], **CPU).draw(Path("damaged.png"), Path("hr.png"))
    assert [p.label for p in drawn] == ["LR 120x120", "same.safetensors", "HR"]
    wanted = psnr_y(lr.float() / 255, hr.float() / 255, 0).item()
    assert [p.note for p in drawn] == [f"{wanted:.2f} dB PSNR-Y"] * 2 + [""], "untrained: LR"


def test_a_crop_is_the_part_of_the_whole(model, pair):
    whole = Comparison([model], zoom=1, **CPU).draw(Path("lr.png"))[0].pixels
    part = Comparison([model], zoom=1, crop=(20, 10, 16, 16), **CPU).draw(Path("lr.png"))[0].pixels
    for number in range(3):
        wanted = panel(whole, number, 120, 1)[20:52, 40:72].astype(int)
        assert np.abs(panel(part, number, 32, 1) - wanted).max() <= 1


def test_a_large_picture_shows_its_middle(model):
    Image.fromarray(data.camera()).save("large.png")
    sheet, notes = Comparison([model], **CPU).draw(Path("large.png"))
    assert "the middle, 240x240" in notes[-1]
    assert sheet.pixels.shape[1] == 3 * 480 + 2 * GAP


def test_gray_16_bits_and_alpha(model):
    values = np.arange(20 * 20, dtype=np.uint16).reshape(20, 20, 1) * 160
    formats.write("gray.png", formats.Picture(values, "gray", False))
    Image.fromarray(np.full((9, 9, 4), 77, np.uint8)).save("alpha.png")
    assert Comparison([model], **CPU).draw(Path("gray.png"))[0].space == "rgb"
    assert "alpha is not shown" in Comparison([model], **CPU).draw(Path("alpha.png"))[1]


def test_what_cannot_be_compared(model, pair):
    with pytest.raises(InputError, match="at scale 4 is 240x240 rgb"):
        Comparison([model], 4, **CPU).draw(Path("lr.png"), Path("hr.png"))
    Image.new("CMYK", (9, 9)).save("cmyk.jpg")
    with pytest.raises(InputError, match="CMYK"):
        Comparison([model], **CPU).draw(Path("cmyk.jpg"))
    for wrong in ({"scale": -1}, {"zoom": 0}):
        with pytest.raises(UsageError, match="from"):
            Comparison([model], **wrong, **CPU).draw(Path("lr.png"))


def test_the_command(model, pair, capsys):
    words = ["compare", model, "lr.png", "--device", "cpu", "--backend", "torch"]
    assert main(words) == 0 and capsys.readouterr().out == "lr-compare.png\n"
    assert main(words) == 2 and "exists" in capsys.readouterr().err
    assert main([*words, "--overwrite", "-q"]) == 0 and capsys.readouterr().out == ""
    assert main([*words, "-o", "b.jpg", "--hr", "hr.png", "--crop", "1,1,9,9"]) == 0
    assert formats.peek("b.jpg").format == "jpeg"
    capsys.readouterr()
    before = sorted(os.listdir())
    for wrong, says in (
        (["lr.png"], "last the picture"),
        (["nothing", "lr.png"], "nothing"),
        ([model, "none.png"], "none.png"),
        ([model, "lr.png", "-o", "x.abc"], "names no format"),
        ([model, "lr.png", "--crop", "99,99,1,1", "-o", "c.png"], "outside"),
    ):
        assert main(["compare", *wrong]) in (1, 2)
        err = capsys.readouterr().err.splitlines()
        assert len(err) == 1 and says in err[0]
    assert sorted(os.listdir()) == before


def test_what_is_compared_is_never_written_over(model, pair, capsys):
    Path("link.png").symlink_to("lr.png")
    before = Path("lr.png").read_bytes(), Path("hr.png").read_bytes()
    for name in ("lr.png", "link.png", "hr.png"):
        words = ["compare", model, "lr.png", "--hr", "hr.png", "-o", name, "--overwrite"]
        assert main(words) == 2
        assert f"{name} would overwrite the input" in capsys.readouterr().err
    assert (Path("lr.png").read_bytes(), Path("hr.png").read_bytes()) == before


def test_long_labels_are_cut_and_panels_stand_in_a_row():
    pixels = np.zeros((10, 40), np.uint8)
    sheet = draw_panels([Panel("x" * 200, pixels), Panel("b", pixels[:, :20], "note")], 3)
    assert sheet.width == 120 + GAP + 60 and sheet.height > 30 + 2 * 15
    gap = np.asarray(sheet)[:, 120 : 120 + GAP]
    assert (gap == 255).all()


def test_a_sheet_that_no_memory_holds_is_refused_before_any_work(model, pair, capsys):
    for words, said in (
        (["--zoom", "100000"], "give a smaller --zoom or a --crop"),
        (["--scale", "0"], "from 1 up"),
        (["--crop", "60,0,5,5"], "lr.png: --crop begins at 60,0, outside its 60x60 pixels"),
        (["--max-input-pixels", "99"], "raise it with --max-input-pixels 3600"),
    ):
        assert main(["compare", model, "lr.png", *words]) in (1, 2)
        assert said in capsys.readouterr().err
    assert not Path("lr-compare.png").exists()

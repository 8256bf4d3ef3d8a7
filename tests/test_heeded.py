"""No option is passed over without a word: each kind of file says what it has no use for."""

from dataclasses import fields, replace

import numpy as np
import pytest
from PIL import Image

from reslift.cli import main
from reslift.errors import UsageError
from reslift.media import MEDIA, Wishes, unheeded
from reslift.media.heeded import FOR_ALL, STILLS
from small_models import bicubic_lift, made, saved
from video_samples import read, write

CHANGED = {
    "quality": 50,
    "output_format": "png",
    "strip_metadata": True,
    "layout": "cog",
    "compression": "lzw",
    "overviews": False,
    "separate_bands": True,
    "classes": "1",
    "codec": "h264",
    "crf": 20,
    "start": 1.0,
    "end": 2.0,
    "deinterlace": True,
    "steady": False,
    "allow_truncated": True,
    "window": (40.0, 400.0),
    "axis": 1,
    "not_for_diagnosis": True,
}


def test_every_wish_is_heeded_by_some_kind():
    names = {field.name for field in fields(Wishes)} - FOR_ALL
    assert names == set(CHANGED)
    assert names == STILLS.union(*(medium.heeds for medium in MEDIA.values()))


@pytest.mark.parametrize("name", sorted(set(CHANGED) - {"strip_metadata"}))
def test_kinds_that_do_not_heed_a_wish_are_named(name):
    wishes = replace(Wishes(), **{name: CHANGED[name]})
    for medium in (None, *MEDIA.values()):
        heeds = STILLS if medium is None else medium.heeds
        notes = unheeded([medium], wishes)
        assert len(notes) == (name not in heeds)
        assert all(name.replace("_", "-") in note for note in notes)
    assert unheeded(MEDIA.values(), Wishes()) == ()


@pytest.fixture
def model(tmp_path):
    return str(saved(tmp_path / "model.safetensors", bicubic_lift(2)))


def test_the_command_says_it_once_before_any_work(model, tmp_path, capsys):
    source = write(tmp_path / "a.mkv", times=(0, 40))
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    words = [str(source), str(tmp_path / "a.png"), "-o", f"{tmp_path}/out/", "--model", model]
    options = ["--scale", "2", "--output-format", "png", "--crf", "20", "--axis", "1"]
    assert main(["upscale", *words, *options]) == 0
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("note: --")]
    assert said == [
        "note: --output-format has no effect on a video",
        "note: --crf has no effect on a still picture",
        "note: --axis has no effect on a video or a still picture",
    ]
    assert (tmp_path / "out/a.mkv").exists()


def test_what_would_stay_in_is_refused(tmp_path):
    nibabel = pytest.importorskip("nibabel")
    source = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 2), np.int16), np.eye(4)), source)
    with pytest.raises(UsageError, match="--strip-metadata leaves nothing out of a NIfTI"):
        made(bicubic_lift(2)).upscale_file(source, tmp_path / "b.nii", Wishes(strip_metadata=True))
    assert not (tmp_path / "b.nii").exists()


def test_a_target_that_one_input_cannot_become_is_bad_usage(model, tmp_path):
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "a.png")
    source = write(tmp_path / "a.mkv", times=(0, 40))
    for given, target in ((tmp_path / "a.png", "x.mp4"), (source, "x.png")):
        words = [str(given), "-o", str(tmp_path / target), "--model", model, "--scale", "2"]
        assert main(["upscale", *words]) == 2


@pytest.mark.parametrize("verb", ["upscale", "plan"])
def test_a_part_is_for_still_pictures(model, tmp_path, capsys, verb):
    source = write(tmp_path / "a.mkv", times=(0, 40))
    assert main([verb, str(source), "--model", model, "--crop", "0,0,8,8"]) == 2
    said = capsys.readouterr().err
    assert "--crop" in said and len(said.splitlines()) == 1


def test_the_plan_of_a_video_names_the_sides_that_it_gets(model, tmp_path, capsys):
    source = write(tmp_path / "a.mp4", size=(48, 32), times=(0, 40))
    words = [str(source), "--model", model, "--scale", "1.7"]
    assert main(["plan", *words]) == 0
    assert "82x54" in capsys.readouterr().out
    assert main(["upscale", *words]) == 0
    assert read(tmp_path / "a-x1.7.mp4")[1][0].shape == (54, 82, 3)

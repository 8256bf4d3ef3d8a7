"""World files: the corners of a result lie where those of its source do."""

import numpy as np
import pytest
from PIL import Image

from reslift.errors import OutputExists
from reslift.formats import world
from reslift.media import Wishes
from reslift.sizes import Size
from small_models import bicubic_lift, made

NUMBERS = (10.0, 0.5, -0.25, -10.0, 500005.0, 4999995.0)


def beside(path, suffix=".pgw"):
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path)
    path.with_suffix(suffix).write_text("".join(f"{number}\n" for number in NUMBERS))
    return path


def at(numbers, column, row):
    """Where the corner (column, row) lies; corners of the first pixel are 0 and 1."""
    a, d, b, e, c, f = numbers
    return a * (column - 0.5) + b * (row - 0.5) + c, d * (column - 0.5) + e * (row - 0.5) + f


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.png", ".pgw"), ("a.jpg", ".jgw"), ("a.png", ".wld"), ("b.jpg", ".jpgw")],
)
def test_corners_stay(name, suffix, tmp_path):
    source, target = beside(tmp_path / name, suffix), tmp_path / "large.png"
    notes = made(bicubic_lift(2)).upscale_file(source, target)
    assert "its place on a map is in large.pgw" in notes
    numbers = world.read(target)
    for column, row in ((0, 0), (30, 0), (0, 20), (30, 20)):
        assert np.allclose(at(numbers, 2 * column, 2 * row), at(NUMBERS, column, row), rtol=1e-14)


def test_a_crop(tmp_path):
    source, target = beside(tmp_path / "a.png"), tmp_path / "large.png"
    size = Size(scale=3, crop=(4, 6, 11, 7))
    made(bicubic_lift(3), size=size).upscale_file(source, target)
    numbers = world.read(target)
    for column, row in ((0, 0), (11, 7)):
        assert np.allclose(at(numbers, 3 * column, 3 * row), at(NUMBERS, 4 + column, 6 + row))
    size = Size(sides=(33, 22), crop=(4, 6, 11, 7))
    notes = made(bicubic_lift(2), size=size).upscale_file(source, tmp_path / "other.png")
    assert any("world file is left" in note for note in notes)
    assert not (tmp_path / "other.pgw").exists()


def test_one_that_is_there_is_not_lost(tmp_path):
    source, target = beside(tmp_path / "a.png"), tmp_path / "large.png"
    (tmp_path / "large.pgw").write_text("mine")
    with pytest.raises(OutputExists):
        made(bicubic_lift(2)).upscale_file(source, target)
    assert not target.exists()
    made(bicubic_lift(2)).upscale_file(source, target, Wishes(overwrite=True))
    assert world.read(target) is not None


def test_none_and_what_is_no_world_file(tmp_path):
    source, target = beside(tmp_path / "a.png"), tmp_path / "large.png"
    source.with_suffix(".pgw").write_text("1 2 3 nan 5 6")
    assert made(bicubic_lift(2)).upscale_file(source, target) == ()
    assert not (tmp_path / "large.pgw").exists()


def test_what_only_a_side_file_of_gdal_says_is_told_to_be_left(tmp_path):
    source, target = beside(tmp_path / "a.png"), tmp_path / "large.png"
    side = tmp_path / "a.png.aux.xml"
    side.write_text("<PAMDataset><Histograms/></PAMDataset>")
    assert len(made(bicubic_lift(2)).upscale_file(source, target)) == 1
    side.write_text("<PAMDataset><SRS>LOCAL_CS[]</SRS></PAMDataset>")
    for place in (True, False):
        notes = made(bicubic_lift(2)).upscale_file(source, target, Wishes(overwrite=True))
        assert ("its place on a map is in large.pgw" in notes) is place
        assert any("a.png.aux.xml is not kept" in note for note in notes)
        source.with_suffix(".pgw").unlink(missing_ok=True)

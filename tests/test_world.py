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


def test_a_file_of_the_crs_is_said_to_be_left(tmp_path):
    source = beside(tmp_path / "a.png")
    (tmp_path / "a.prj").write_text('LOCAL_CS["site grid"]')
    notes = made(bicubic_lift(2)).upscale_file(source, tmp_path / "large.png")
    assert "a.prj is not read: copy it beside the result" in notes


def test_of_a_picture_that_is_turned_upright_it_is_said_to_be_left(tmp_path):
    """GDAL counts pixels as they lie in the file, where the result has them upright."""
    source, target = beside(tmp_path / "a.jpg", ".jgw"), tmp_path / "large.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(source) as picture:
        picture.save(source, exif=exif)
    source.with_name("a.jpg.aux.xml").write_text("<PAMDataset><SRS>EPSG:4326</SRS></PAMDataset>")
    notes = made(bicubic_lift(2)).upscale_file(source, target)
    for name in ("a.jgw", "a.jpg.aux.xml"):
        said = f"{name} says where the picture lies before it is turned upright, and is left"
        assert said in notes
    assert {path.name for path in tmp_path.iterdir()} == {
        "a.jpg",
        "a.jgw",
        "a.jpg.aux.xml",
        "large.png",
    }


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


SYSTEM = '<SRS dataAxisToSRSAxisMapping="1,2">LOCAL_CS["here"]</SRS>'
TURNED = "<GeoTransform>500000.0, 10.0, 0.5, 5e6, -0.25, -10.0</GeoTransform>"
POINTS = (
    '<GCPList Projection=""><GCP Id="a" Pixel="0" Line="0" X="1" Y="9" Z="0"/>'
    '<GCP Id="b" Pixel="30" Line="20" X="7" Y="2" Z="5"/></GCPList>'
)
RPC = '<Metadata domain="RPC"><MDI key="LINE_OFF">9.5</MDI><MDI key="LINE_SCALE">10</MDI>'
RPC += '<MDI key="SAMP_OFF">14.5</MDI><MDI key="SAMP_SCALE">15</MDI></Metadata>'


def aside(path, text):
    """The picture at `path`, and what the side file of GDAL says."""
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path)
    path.with_name(f"{path.name}.aux.xml").write_text(f"<PAMDataset>{text}</PAMDataset>")
    return path


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_what_a_side_file_of_gdal_says_of_the_place_goes_with_the_result(name, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    source = aside(tmp_path / name, f"{SYSTEM}{TURNED}<Histograms/>")
    target = tmp_path / f"large-{name}"
    notes = made(bicubic_lift(2)).upscale_file(source, target)
    assert f"its place on a map is in {target.name}.aux.xml" in notes
    with rasterio.open(source) as before, rasterio.open(target) as after:
        assert before.crs is not None and after.crs == before.crs
        assert before.transform.c == 500000
        for column, row in ((0, 0), (30, 0), (0, 20), (30, 20)):
            a, b, c, d, e, f = tuple(before.transform)[:6]
            there = a * column + b * row + c, d * column + e * row + f
            a, b, c, d, e, f = tuple(after.transform)[:6]
            here = a * 2 * column + b * 2 * row + c, d * 2 * column + e * 2 * row + f
            assert here == pytest.approx(there, rel=1e-15)
    assert "Histograms" not in (tmp_path / f"{target.name}.aux.xml").read_text()


def test_points_and_rpc_beside_a_picture_move_with_its_pixels(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    source, target = aside(tmp_path / "a.png", POINTS + RPC), tmp_path / "large.png"
    size = Size(scale=3, crop=(4, 6, 11, 7))
    made(bicubic_lift(3), size=size).upscale_file(source, target)
    with rasterio.open(target) as after:
        places = [(point.col, point.row, point.x, point.z) for point in after.gcps[0]]
        rpc = after.tags(ns="RPC")
    assert places == [(-12.0, -18.0, 1.0, 0.0), (78.0, 42.0, 7.0, 5.0)]
    moved = {name: float(rpc[name]) for name in ("LINE_OFF", "SAMP_OFF")}
    assert moved == {"LINE_OFF": (10 - 6) * 3 - 0.5, "SAMP_OFF": (15 - 4) * 3 - 0.5}
    assert (float(rpc["LINE_SCALE"]), float(rpc["SAMP_SCALE"])) == (30, 45)


@pytest.mark.parametrize("damage", ["1, 2, 3", "1,2,3,4,5,x", "1,2,3,4,5,nan"])
def test_a_side_file_that_cannot_be_read_is_said_to_be_left(damage, tmp_path):
    source = aside(tmp_path / "a.png", f"<GeoTransform>{damage}</GeoTransform>")
    notes = made(bicubic_lift(2)).upscale_file(source, tmp_path / "large.png")
    assert any("a.png.aux.xml cannot be read" in note for note in notes)
    assert not (tmp_path / "large.png.aux.xml").exists()
    side = tmp_path / "a.png.aux.xml"
    side.write_text("<PAMDataset><Histograms/></PAMDataset>")
    assert made(bicubic_lift(2)).upscale_file(source, tmp_path / "other.png") == ()


def test_a_side_file_that_is_there_is_not_lost(tmp_path):
    source, target = aside(tmp_path / "a.png", SYSTEM), tmp_path / "large.png"
    (tmp_path / "large.png.aux.xml").write_text("mine")
    with pytest.raises(OutputExists):
        made(bicubic_lift(2)).upscale_file(source, target)
    assert not target.exists()
    made(bicubic_lift(2)).upscale_file(source, target, Wishes(overwrite=True))
    assert "LOCAL_CS" in (tmp_path / "large.png.aux.xml").read_text()

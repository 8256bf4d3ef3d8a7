"""Rasters on a map: what goes in comes out finer, in the same place, with nothing lost."""

from __future__ import annotations

import builtins
import os
import warnings

import numpy as np
import pytest
import rasterio
import rasterio.shutil
import tifffile
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, MaskFlags
from rasterio.rpc import RPC

from kill_points import room
from reslift import files, media, pieces, stages
from reslift.errors import InputError, LimitError, OutputError, UsageError
from reslift.limits import DEFAULT
from reslift.media import Wishes
from reslift.media.geotiff import windows
from reslift.sizes import Size
from small_models import bicubic_lift, made, small_lift

UTM = CRS.from_epsg(32618)
PLACE = Affine(10.0, 0, 500_000.1, 0, -10.0, 4_200_000.7)
DTYPES = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64"]
FILL = 3.4028234663852886e38
LOCAL = 'LOCAL_CS["site grid",UNIT["metre",1]]'


@pytest.fixture(autouse=True)
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def scene(bands=1, height=24, width=30, dtype="uint16", seed=0, low=100, high=3000):
    """Smooth hills with some noise, (bands, h, w)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    hills = np.sin(x / 4 + np.arange(bands)[:, None, None]) * np.cos(y / 5)
    values = (hills + 1) / 2 * 0.8 + rng.random((bands, height, width)) * 0.2
    return (low + values * (high - low)).astype(dtype)


def save(path, pixels, **profile):
    change = profile.pop("change", lambda dataset: None)
    profile = {"driver": "GTiff", "crs": UTM, "transform": PLACE, **profile}
    count, height, width = pixels.shape
    with rasterio.open(
        path, "w", width=width, height=height, count=count, dtype=pixels.dtype, **profile
    ) as dataset:
        change(dataset)
        dataset.write(pixels)
    return path


def enlarge(path, model=None, **wishes):
    target = path.with_name(f"{path.stem}-large.tif")
    upscaler = made(model or small_lift())
    notes = upscaler.upscale_file(path, target, Wishes(overwrite=True, **wishes))
    return target, notes


def read(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bands", [1, 2, 3, 5, 11])
def test_all_sample_types_and_any_number_of_bands(tmp_path, dtype, bands):
    high = 120 if dtype.endswith("8") else 3000
    pixels = scene(bands, dtype=dtype, low=5, high=high)
    target, _ = enlarge(save(tmp_path / "a.tif", pixels, photometric="minisblack"))
    large = read(target)
    assert large.dtype == dtype
    assert large.shape == (bands, 48, 60)
    for before, after in zip(pixels, large, strict=True):
        assert before.min() <= after.min() < after.max() <= before.max()


def test_an_8_bit_raster_gets_the_pixels_of_the_picture(tmp_path):
    pixels = scene(3, dtype="uint8", low=0, high=255)
    pixels[:, 0, :2] = 0, 255
    colors = {"change": lambda d: setattr(d, "colorinterp", RGB)}
    target, _ = enlarge(save(tmp_path / "a.tif", pixels, **colors))
    picture = made(small_lift())(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    assert np.array_equal(read(target), picture.transpose(2, 0, 1))
    apart, _ = enlarge(tmp_path / "a.tif", separate_bands=True)
    alone = made(small_lift())(np.ascontiguousarray(pixels[1]))
    assert np.array_equal(read(apart)[1], alone)


RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)


PLACES = (
    PLACE,
    Affine(0.1, 0, -75.123456789, 0, -0.1, 38.987654321),
    Affine(300.0379266750948, 0, 101985.0, 0, -300.041782729805, 2826915.0),
    Affine.translation(4e5, 5e6) @ Affine.rotation(31) @ Affine.scale(3, -3),
)


@pytest.mark.parametrize(
    "transform",
    [
        *PLACES,
        Affine(2.0, 0.7, 100.0, 0.3, -2.0, 200.0),
    ],
)
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("point", ["Area", "Point"])
def test_corners_stay_where_they_are(tmp_path, transform, scale, point):
    def change(dataset):
        dataset.update_tags(AREA_OR_POINT=point)

    path = save(tmp_path / "a.tif", scene(), transform=transform, change=change)
    target, _ = enlarge(path, bicubic_lift(scale))
    with rasterio.open(path) as source, rasterio.open(target) as large:
        assert large.bounds == source.bounds
        assert large.tags()["AREA_OR_POINT"] == point
        for corner in [(0, 0), (source.width, 0), (0, source.height)]:
            fine = tuple(side * scale for side in corner)
            assert large.transform * fine == pytest.approx(source.transform * corner, rel=1e-14)


@pytest.mark.parametrize("crs", [None, CRS.from_wkt(LOCAL), CRS.from_epsg(4326), UTM])
def test_crs(tmp_path, crs):
    path = save(tmp_path / "a.tif", scene(), crs=crs)
    target, _ = enlarge(path)
    with rasterio.open(path) as source, rasterio.open(target) as large:
        assert large.crs == source.crs
        assert (large.crs is None) == (crs is None)
    assert not list(tmp_path.glob(".reslift*"))


def test_ground_control_points_and_rpc(tmp_path):
    points = [GroundControlPoint(r, c, 10 + c / 9, 50 - r / 9, 3.0) for r, c in CORNERS]
    rpc = RPC(
        **dict.fromkeys(("lat_off", "long_off", "height_off"), 20.0),
        **dict.fromkeys(("lat_scale", "long_scale", "height_scale"), 2.0),
        line_off=11.5,
        samp_off=14.5,
        line_scale=12.0,
        samp_scale=15.0,
        line_num_coeff=[0.0, 1.0] + [0.0] * 18,
        line_den_coeff=[1.0] + [0.0] * 19,
        samp_num_coeff=[0.0, 0.0, 1.0] + [0.0] * 17,
        samp_den_coeff=[1.0] + [0.0] * 19,
    )
    path = tmp_path / "a.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=30, height=24, count=1, dtype="uint16"
    ) as dataset:
        dataset.gcps = points, CRS.from_epsg(4326)
        dataset.rpcs = rpc
        dataset.write(scene())
    target, _ = enlarge(path)
    with rasterio.open(target) as large:
        found, crs = large.gcps
        assert crs == CRS.from_epsg(4326)
        assert [(p.row, p.col, p.x, p.y, p.z) for p in found] == [
            (p.row * 2, p.col * 2, p.x, p.y, p.z) for p in points
        ]
        # The centre of the first pixel, (0, 0) in RPC, is now half a fine pixel inside: 0.5.
        assert (large.rpcs.line_off, large.rpcs.samp_off) == (23.5, 29.5)
        assert (large.rpcs.line_scale, large.rpcs.samp_scale) == (24.0, 30.0)
        assert large.rpcs.line_num_coeff == rpc.line_num_coeff


CORNERS = [(0.0, 0.0), (0.0, 30.0), (24.0, 0.0), (24.0, 30.0), (12.5, 7.25)]


def with_gaps(pattern, nodata, dtype="int32"):
    """A scene with missing pixels in a pattern, and where they are."""
    pixels = scene(2, 40, 44, dtype, seed=3, low=1000, high=3000)
    y, x = np.mgrid[:40, :44]
    missing = {
        "half": x < 20,
        "checks": (x + y) % 2 == 0,
        "dots": (x % 7 == 3) & (y % 5 == 2),
        "islands": (x % 11 > 1) | (y % 9 > 1),
        "frame": (x < 3) | (y < 3) | (x > 40) | (y > 36),
        "line": np.abs(x - y) < 2,
    }[pattern]
    pixels[:, missing] = nodata
    return pixels, missing


def valid_within(large, gone, nodata, valid):
    """What is not gone: it lies in the range of the valid values, and the rest is nodata."""
    assert (large[:, gone] == nodata).all()
    kept = large[:, ~gone]
    assert kept.min() >= valid.min() and kept.max() <= valid.max()
    return kept


@pytest.mark.parametrize("pattern", ["half", "checks", "dots", "islands", "frame", "line"])
def test_nodata_never_bleeds_into_data(tmp_path, pattern):
    answers = []
    for nodata in (-9999, 0, 65535, 2**31 - 1):
        pixels, missing = with_gaps(pattern, nodata)
        target, _ = enlarge(save(tmp_path / "a.tif", pixels, nodata=nodata))
        large = read(target)
        gone = missing.repeat(2, 0).repeat(2, 1)
        answers.append(valid_within(large, gone, nodata, pixels[:, ~missing]))
    for other in answers[1:]:
        assert np.array_equal(answers[0], other)


def test_what_lies_in_a_gap_does_not_matter_to_its_neighbours(tmp_path):
    steady, missing = with_gaps("half", 0, "float32")
    steady[:, ~missing] = 2000.0
    target, _ = enlarge(save(tmp_path / "a.tif", steady, nodata=0))
    assert (read(target)[:, ~missing.repeat(2, 0).repeat(2, 1)] == 2000).all()


@pytest.mark.parametrize("nodata", [None, float("nan"), -9999.0])
def test_nan_and_infinity(tmp_path, nodata):
    pixels, missing = with_gaps("islands", np.nan, "float32")
    pixels[0, 20, 20:23] = np.inf
    target, _ = enlarge(save(tmp_path / "a.tif", pixels, nodata=nodata))
    with rasterio.open(target) as large:
        values = large.read()
        assert str(large.nodata) == str(nodata)
    gone = missing.repeat(2, 0).repeat(2, 1)
    assert np.isnan(values[1][gone]).all()
    assert np.isinf(values[0, 40:42, 40:46]).all()
    assert np.isfinite(values[1][~gone]).all()


def test_no_valid_pixel_becomes_nodata(tmp_path):
    pixels = scene(1, 40, 40, "uint8", low=90, high=110)
    pixels[pixels == 100] = 101
    pixels[0, :5] = 100
    target, _ = enlarge(save(tmp_path / "a.tif", pixels, nodata=100))
    large = read(target)[0]
    assert (large[:10] == 100).all()
    assert (large[10:] != 100).all()


def test_a_mask_of_its_own(tmp_path):
    pixels, missing = with_gaps("frame", 77, "uint16")
    mask = np.where(missing, 0, 255).astype(np.uint8)

    def change(dataset):
        dataset.write_mask(mask)

    answers = []
    for inside in (True, False):
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=inside):
            path = save(tmp_path / f"{inside}.tif", pixels, change=change)
        target, _ = enlarge(path)
        with rasterio.open(target) as large:
            assert MaskFlags.per_dataset in large.mask_flag_enums[0]
            assert np.array_equal(large.read_masks(1), mask.repeat(2, 0).repeat(2, 1))
            answers.append(large.read()[:, large.read_masks(1) > 0])
        assert not (tmp_path / f"{target.name}.msk").exists()
    assert np.array_equal(*answers)
    filled = pixels.copy()
    filled[:, missing] = 60_000
    other, _ = enlarge(save(tmp_path / "other.tif", filled, change=change))
    assert np.array_equal(read(other)[:, ~missing.repeat(2, 0).repeat(2, 1)], answers[0])


@pytest.mark.parametrize("graded", [False, True])
def test_opacity(tmp_path, graded):
    pixels = scene(4, 40, 44, "uint8", low=0, high=255)
    missing = with_gaps("half", 0)[1]
    pixels[3] = np.where(missing, 0, 255)
    if graded:
        pixels[3, 10:20, 18:26] = np.linspace(0, 255, 80).reshape(10, 8)
    colors = {"change": lambda d: setattr(d, "colorinterp", (*RGB, ColorInterp.alpha))}
    target, _ = enlarge(save(tmp_path / "a.tif", pixels, **colors))
    with rasterio.open(target) as large:
        assert large.colorinterp == (*RGB, ColorInterp.alpha)
        alpha = large.read(4)
        fine = pixels[3].repeat(2, 0).repeat(2, 1)
        assert np.array_equal(alpha == 0, fine == 0)
        assert (alpha[50:, :30] == 0).all()
        assert (alpha[50:, 50:] == 255).all()
        assert np.array_equal(np.unique(alpha).size > 2, graded)
        hidden = np.broadcast_to(alpha == 0, (3, 80, 88))
        repeated = pixels[:3].repeat(2, 1).repeat(2, 2)
        assert np.array_equal(large.read([1, 2, 3])[hidden], repeated[hidden])


def test_outliers_do_not_spoil_the_rest(tmp_path):
    """A hot pixel of 65,535 in a scene of 100 to 3000 leaves what is far from it as it was."""
    pixels = scene(1, 100, 100)
    plain, _ = enlarge(save(tmp_path / "plain.tif", pixels), bicubic_lift())
    pixels[0, 5, 5] = 65535
    hot, _ = enlarge(save(tmp_path / "hot.tif", pixels), bicubic_lift())
    large = read(hot)[0].astype(int)
    assert (large[10:12, 10:12] > 60_000).all()
    assert (np.delete(large, [10, 11], 0) < 5000).all()
    before = read(plain)[0, 40:].astype(int)
    within = (before > before.min()) & (before < before.max())
    assert np.abs(large[40:] - before)[within].max() <= 1


def test_classes_are_repeated(tmp_path):
    classes = (scene(1, dtype="uint8", low=0, high=5)).astype("uint8")
    table = {i: (i * 40, 255 - i * 40, 9, 255) for i in range(256)}

    def change(dataset):
        dataset.write_colormap(1, table)

    target, notes = enlarge(save(tmp_path / "a.tif", classes, photometric="palette", change=change))
    assert any("classes" in note for note in notes)
    with rasterio.open(target) as large:
        assert np.array_equal(large.read(1), classes[0].repeat(2, 0).repeat(2, 1))
        assert large.colormap(1)[3] == (120, 135, 9, 255)
        assert large.colorinterp == (ColorInterp.palette,)


def test_classes_without_a_colour_table_are_suspected_and_taken_when_named(tmp_path):
    rng = np.random.default_rng(0)
    pixels = np.stack([rng.integers(0, 9, (120, 120)) * 20, rng.integers(0, 3000, (120, 120))])
    path = save(tmp_path / "a.tif", pixels.astype("int16"), photometric="minisblack")
    _, notes = enlarge(path, bicubic_lift())
    assert notes == ("band 1 takes few different values; if they name classes, give --classes 1",)
    target, notes = enlarge(path, bicubic_lift(), classes="1")
    assert notes == ("band 1 holds classes: each pixel is repeated, nothing is interpolated",)
    assert np.array_equal(read(target)[0], pixels[0].repeat(2, 0).repeat(2, 1))
    with pytest.raises(UsageError, match="--classes"):
        enlarge(path, classes="3")


def test_names_units_scales_and_tags_of_all_domains(tmp_path):
    def change(dataset):
        dataset.descriptions = ("blue", "near infrared")
        dataset.scales, dataset.offsets = (0.0001, 0.5), (-0.1, 0.0)
        dataset.units = ("W/m2", "")
        dataset.update_tags(TIFFTAG_SOFTWARE="sensor 1", CLOUDS="3 %")
        dataset.update_tags(ns="MY", orbit="a=b")
        dataset.update_tags(2, wavelength="842", STATISTICS_MEAN="1")
        dataset.update_tags(2, ns="EXTRA", quality="good")
        dataset.update_tags(
            ns="xml:XMP", **{"<x:xmpmeta xmlns:x": '"adobe:ns:meta/">é</x:xmpmeta>'}
        )

    path = save(tmp_path / "a.tif", scene(2), photometric="minisblack", change=change)
    target, _ = enlarge(path)
    with rasterio.open(path) as source, rasterio.open(target) as large:
        for name in ("descriptions", "scales", "offsets", "units", "colorinterp"):
            assert getattr(large, name) == getattr(source, name), name
        for domain in (None, "MY", "xml:XMP"):
            tags = large.tags(ns=domain)
            assert ("RESLIFT" in tags) is (domain is None)
            tags.pop("RESLIFT", None)
            assert tags == source.tags(ns=domain)
        assert large.tags(2) == {"wavelength": "842"}
        assert large.tags(2, ns="EXTRA") == {"quality": "good"}


@pytest.mark.parametrize(
    "profile",
    [
        {"compress": "deflate", "predictor": 2, "tiled": True, "blockxsize": 16, "blockysize": 16},
        {"compress": "lzw", "interleave": "band"},
        {"compress": "zstd", "interleave": "pixel", "tiled": True},
        {"BIGTIFF": "YES"},
        {"nbits": 12},
        {"nbits": 12, "compress": "deflate"},
    ],
)
def test_the_file_is_laid_out_like_the_source(tmp_path, profile):
    path = save(tmp_path / "a.tif", scene(3, 300, 310), photometric="minisblack", **profile)
    target, notes = enlarge(path, bicubic_lift())
    assert notes == ()
    with rasterio.open(path) as source, rasterio.open(target) as large:
        assert large.profile["tiled"] == source.profile["tiled"]
        assert large.compression == source.compression
        assert large.interleaving == source.interleaving
        assert large.is_tiled == source.is_tiled
        if source.is_tiled:
            assert large.block_shapes == source.block_shapes
        bits = [d.tags(1, ns="IMAGE_STRUCTURE").get("NBITS") for d in (source, large)]
        assert bits[0] == bits[1]


def test_layouts_on_request(tmp_path):
    path = save(tmp_path / "a.tif", scene(1, 300, 300))
    cog, _ = enlarge(path, bicubic_lift(), layout="cog", compression="zstd")
    with rasterio.open(cog) as large:
        structure = large.tags(ns="IMAGE_STRUCTURE")
        assert (structure["LAYOUT"], structure["COMPRESSION"]) == ("COG", "ZSTD")
        assert large.overviews(1)
        whole = large.read()
    again, _ = enlarge(cog, bicubic_lift(), layout="strips", compression="none", overviews=False)
    with rasterio.open(again) as large:
        assert not large.overviews(1)
        assert not large.is_tiled
        assert large.compression is None
    kept, _ = enlarge(cog, bicubic_lift())
    with rasterio.open(kept) as large:
        assert large.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    tiles, _ = enlarge(path, bicubic_lift(), layout="tiles", overviews=True)
    with rasterio.open(tiles) as large:
        assert large.is_tiled
        assert large.overviews(1) == [2, 4]
        assert np.array_equal(large.read(), whole)
    assert {p.name for p in tmp_path.iterdir()} == {
        "a.tif",
        "a-large.tif",
        "a-large-large.tif",
        "a-large-large-large.tif",
    } & {p.name for p in tmp_path.iterdir()}


@pytest.mark.parametrize(
    ("wishes", "wanted"), [({"layout": "fast"}, "--layout"), ({"compression": "zip"}, "deflate")]
)
def test_layouts_that_are_not_there(tmp_path, wishes, wanted):
    path = save(tmp_path / "a.tif", scene())
    with pytest.raises(UsageError, match=wanted):
        enlarge(path, **wishes)


def test_lossy_compression_does_not_touch_nodata(tmp_path):
    pixels = scene(3, 64, 64, "uint8", low=1, high=255)
    pixels[:, :20] = 0
    path = save(tmp_path / "a.tif", pixels, nodata=0, compress="jpeg", photometric="ycbcr")
    target, notes = enlarge(path)
    assert any("lossy" in note for note in notes)
    with rasterio.open(target) as large:
        assert large.tags(ns="IMAGE_STRUCTURE")["COMPRESSION"] == "DEFLATE"


@pytest.mark.parametrize("scale", [1, 3, 5])
def test_scales_that_the_model_does_not_have(tmp_path, scale):
    pixels, missing = with_gaps("islands", -9999)
    path = save(tmp_path / "a.tif", pixels, nodata=-9999)
    upscaler = made(bicubic_lift(2), size=Size(scale=scale))
    upscaler.upscale_file(path, tmp_path / "b.tif")
    with rasterio.open(path) as source, rasterio.open(tmp_path / "b.tif") as large:
        assert large.bounds == source.bounds
        gone = missing.repeat(scale, 0).repeat(scale, 1)
        assert np.array_equal(large.read(1) == -9999, gone)


def test_cells_do_not_show(tmp_path):
    """Cells of 512 with gaps across their borders: the same as one cell of everything."""
    pixels, _ = with_gaps("line", -9999, "int16")
    pixels = np.tile(pixels, (1, 15, 13))
    path = save(tmp_path / "a.tif", pixels, nodata=-9999)
    upscaler = made(small_lift())
    upscaler.upscale_file(path, tmp_path / "cells.tif", Wishes())
    upscaler._stitcher.cell = 2048
    upscaler.upscale_file(path, tmp_path / "whole.tif", Wishes())
    cells, whole = read(tmp_path / "cells.tif"), read(tmp_path / "whole.tif")
    assert np.abs(cells.astype(int) - whole).max() <= 1


def test_a_world_file_places_a_plain_tiff(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, scene()[0])
    assert media.of(path) is None
    (tmp_path / "a.tfw").write_text("10.0\n0\n0\n-10.0\n1005.0\n1995.0\n")
    assert media.of(path) is media.MEDIA["geotiff"]
    assert media.MEDIA["geotiff"].known(path) == (tmp_path / "a.tfw",)
    target, _ = enlarge(path)
    with rasterio.open(target) as large:
        assert tuple(large.bounds) == (1000.0, 1760.0, 1300.0, 2000.0)


def test_a_file_of_the_crs_is_said_to_be_left(tmp_path):
    (tmp_path / "a.prj").write_text('LOCAL_CS["site grid"]')
    _, notes = enlarge(save(tmp_path / "a.tif", scene(), crs=None))
    assert "a.prj is not read: copy it beside the result, which has no CRS" in notes
    assert not enlarge(save(tmp_path / "a.tif", scene()))[1]


def test_a_side_file_places_a_plain_tiff(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, scene()[0])
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:32618</SRS><GeoTransform>1,2,0,9,0,-2</GeoTransform></PAMDataset>"
    )
    assert media.MEDIA["geotiff"].known(path) == (tmp_path / "a.tif.aux.xml",)
    target, _ = enlarge(path)
    with rasterio.open(target) as large:
        assert large.crs == UTM
        assert large.transform == Affine(1, 0, 1, 0, -1, 9)
    assert not (tmp_path / "a-large.tif.aux.xml").exists()


RPC_LINES = ("LINE_OFF: 11.5", "SAMP_OFF: 14.5", "LINE_SCALE: 12", "SAMP_SCALE: 15")
RPC_LINES += tuple(f"{a}_{b}: 2" for a in ("LAT", "LONG", "HEIGHT") for b in ("OFF", "SCALE"))
RPC_LINES += tuple(
    f"{a}_{b}_COEFF_{n}: {int(n == 1)}"
    for a in ("LINE", "SAMP")
    for b in ("NUM", "DEN")
    for n in range(1, 21)
)


@pytest.mark.parametrize("name", ["a_RPC.TXT", "a_rpc.txt"])
def test_rpc_beside_a_plain_tiff_are_not_dropped(name, tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, scene()[0])
    (tmp_path / name).write_text("no coefficients")
    assert media.of(path) is None
    (tmp_path / name).write_text("\n".join(RPC_LINES) + "\n")
    assert media.MEDIA["geotiff"].known(path) == (tmp_path / name,)
    target, _ = enlarge(path)
    with rasterio.open(target) as large:
        assert (large.rpcs.line_off, large.rpcs.samp_off) == (23.5, 29.5)


def test_a_table_of_mapinfo_places_a_plain_tiff(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, scene()[0])
    corners = ((500000, 4600000, 0, 0), (500300, 4600000, 30, 0), (500000, 4599760, 0, 24))
    points = ",\n".join(f'({x},{y}) ({c},{r}) Label "p"' for x, y, c, r in corners)
    (tmp_path / "a.tab").write_text(
        "!table\n!version 300\n!charset WindowsLatin1\n\nDefinition Table\n"
        f'File "a.tif"\nType "RASTER"\n{points}\n'
        'CoordSys Earth Projection 8, 104, "m", 15, 0, 0.9996, 500000, 0\nUnits "m"\n'
    )
    target, _ = enlarge(path)
    with rasterio.open(target) as large:
        assert tuple(large.bounds) == (500000, 4599760, 500300, 4600000)
        assert large.crs is not None


def test_the_grid_that_a_jpeg_2000_says_in_gml_is_not_that_of_the_result(tmp_path):
    path = tmp_path / "a.jp2"
    save(tmp_path / "a.tif", scene(1, 64, 64))
    rasterio.shutil.copy(
        tmp_path / "a.tif", path, driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES"
    )
    with rasterio.open(path) as source:
        assert "xml:gml.root-instance" in source.tag_namespaces()
    target, _ = enlarge(path)
    with rasterio.open(target) as large:
        assert "xml:gml.root-instance" not in large.tag_namespaces()


def test_jpeg_2000_becomes_a_geotiff(tmp_path):
    path = tmp_path / "a.jp2"
    save(tmp_path / "a.tif", scene(1, 64, 64))
    rasterio.shutil.copy(tmp_path / "a.tif", path, driver="JP2OpenJPEG", QUALITY=100)
    target, notes = enlarge(path)
    assert any("GeoTIFF" in note for note in notes)
    with rasterio.open(tmp_path / "a.tif") as source, rasterio.open(target) as large:
        assert (large.bounds, large.crs) == (source.bounds, source.crs)
    with pytest.raises(UsageError, match="tif"):
        made(small_lift()).upscale_file(path, tmp_path / "b.jp2")


@pytest.mark.parametrize("bands", [2, 4, 5])
def test_bands_of_no_colour_of_a_jpeg_2000_are_those_of_the_result(tmp_path, bands):
    pixels = scene(bands, dtype="uint8", low=0, high=250)
    plain, path = save(tmp_path / "b.tif", pixels, photometric="minisblack"), tmp_path / "a.jp2"
    rasterio.shutil.copy(plain, path, driver="JP2OpenJPEG", QUALITY=100, REVERSIBLE="YES")
    target, _ = enlarge(path)
    assert media.MEDIA["geotiff"].verify(path, target) == ()


def test_without_the_extra_nothing_is_dropped_in_silence(tmp_path, monkeypatch):
    path = save(tmp_path / "a.tif", scene())
    real = builtins.__import__

    def without(name, *rest, **more):
        if name.startswith("rasterio"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match=r"pip install \"reslift\[geo\]\""):
        media.MEDIA["geotiff"].peek(path, DEFAULT)


@pytest.mark.parametrize("dtype", ["complex64", "int64", "uint64"])
def test_samples_that_are_refused(tmp_path, dtype):
    path = save(tmp_path / "a.tif", scene(1, dtype="uint16").astype(dtype))
    with pytest.raises(InputError, match=f"a.tif.*{dtype}"):
        media.MEDIA["geotiff"].peek(path, DEFAULT)


def test_damaged_and_too_large_files(tmp_path):
    path = save(tmp_path / "a.tif", scene(1, 300, 300))
    with pytest.raises(LimitError, match=r"a\.tif.*--max-input-pixels"):
        media.MEDIA["geotiff"].peek(path, DEFAULT.changed(input_pixels=1000))
    short = tmp_path / "short.tif"
    for share in (0.2, 0.5, 0.9):
        data = path.read_bytes()
        cut = data[: int(len(data) * share)]
        short.write_bytes(cut)
        with pytest.raises(InputError, match=r"short\.tif"):
            enlarge(short)
    assert not list(tmp_path.glob("*large*"))
    assert not list(tmp_path.glob(".reslift*"))


def test_a_damaged_name_of_the_system_is_refused_by_the_file(tmp_path):
    """rasterio passes on what GDAL finds as it reads more of the header, and not as its own."""
    path = save(tmp_path / "a.tif", scene(3))
    with tifffile.TiffFile(path) as file:
        scale, words = (file.pages.first.tags[code].offset for code in (33550, 34737))
    data = bytearray(path.read_bytes())
    data[scale : scale + 2] = (33542).to_bytes(2, "little")
    data[words + 2 : words + 4] = (514).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(InputError, match=r"a\.tif: damaged"):
        enlarge(path)


ODD = [Size(scale=1.7), Size(sides=(77, 41)), Size(long_side=101), Size(scale=0.6), Size(scale=5)]


def enlarge_to(path, size, model=None, **wishes):
    target = path.with_name(f"{path.stem}-large.tif")
    upscaler = made(model or small_lift(), size=size)
    return target, upscaler.upscale_file(path, target, Wishes(overwrite=True, **wishes))


@pytest.mark.parametrize("size", ODD)
@pytest.mark.parametrize("transform", PLACES)
def test_corners_stay_at_any_size(tmp_path, size, transform):
    path = save(tmp_path / "a.tif", scene(), transform=transform)
    target, _ = enlarge_to(path, size, bicubic_lift())
    with rasterio.open(path) as source, rasterio.open(target) as large:
        assert (large.width, large.height) == size.of(source.width, source.height)
        assert large.bounds == source.bounds
        for far, fine in zip(
            [(source.width, 0), (0, source.height)],
            [(large.width, 0), (0, large.height)],
            strict=True,
        ):
            assert large.transform * fine == pytest.approx(source.transform * far, rel=1e-14)


@pytest.mark.parametrize("size", [Size(scale=1.7), Size(sides=(70, 91)), Size(scale=0.6)])
@pytest.mark.parametrize("pattern", ["half", "checks", "islands"])
def test_nodata_never_bleeds_at_any_size(tmp_path, pattern, size):
    answers = []
    for nodata in (-9999, 0, 2**31 - 1):
        pixels, missing = with_gaps(pattern, nodata)
        target, _ = enlarge_to(save(tmp_path / "a.tif", pixels, nodata=nodata), size)
        large = read(target)
        wide, high = size.of(44, 40)
        rows, columns = ((np.arange(n) + 0.5) / n for n in (high, wide))
        gone = missing[np.ix_((rows * 40).astype(int), (columns * 44).astype(int))]
        answers.append(valid_within(large, gone, nodata, pixels[:, ~missing]))
    for other in answers[1:]:
        assert np.array_equal(answers[0], other)


def test_a_mask_and_opacity_at_any_size(tmp_path):
    pixels = scene(3, 40, 44, "uint8", low=0, high=255)
    mask = np.full((40, 44), 255, np.uint8)
    mask[:, :15] = 0

    def change(dataset):
        dataset.colorinterp = RGB
        dataset.write_mask(mask)

    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        path = save(tmp_path / "a.tif", pixels, change=change)
    target, _ = enlarge_to(path, Size(scale=1.7))
    with rasterio.open(target) as large:
        found = large.read_masks(1)
        assert (large.width, large.height) == (75, 68)
    columns = ((np.arange(75) + 0.5) / 75 * 44).astype(int)
    assert np.array_equal(found, np.broadcast_to(mask[0][columns], (68, 75)))
    opacity = np.full((1, 40, 44), 255, np.uint8)
    opacity[..., :15], opacity[..., 15] = 0, 128
    both = np.concatenate((pixels, opacity))
    path = save(tmp_path / "c.tif", both, change=lambda d: setattr(d, "colorinterp", RGBA))
    large = read(enlarge_to(path, Size(scale=1.7))[0])[3]
    assert (large[:, columns < 13] == 0).all()
    assert (large[:, columns > 18] == 255).all()


RGBA = (*RGB, ColorInterp.alpha)


def test_classes_control_points_and_rpc_at_any_size(tmp_path):
    classes = np.random.default_rng(0).integers(0, 9, (1, 24, 30)).astype("uint8")
    target, _ = enlarge_to(save(tmp_path / "a.tif", classes), Size(sides=(50, 31)), classes="1")
    rows, columns = ((np.arange(n) + 0.5) / n for n in (31, 50))
    wanted = classes[:, (rows * 24).astype(int)][:, :, (columns * 30).astype(int)]
    assert np.array_equal(read(target), wanted)
    points = [GroundControlPoint(r, c, 10 + c / 9, 50 - r / 9, 3.0) for r, c in CORNERS]
    path = save(
        tmp_path / "b.tif",
        scene(),
        crs=None,
        transform=Affine.identity(),
        change=lambda d: setattr(d, "gcps", (points, CRS.from_epsg(4326))),
    )
    with rasterio.open(enlarge_to(path, Size(sides=(50, 31)))[0]) as large:
        found, _ = large.gcps
    for before, after in zip(points, found, strict=True):
        assert after.row == pytest.approx(before.row * 31 / 24)
        assert after.col == pytest.approx(before.col * 50 / 30)


@pytest.mark.parametrize("layout", ["cog", "strips"])
@pytest.mark.parametrize("point", ["Area", "Point"])
def test_control_points_of_pixels_that_are_points(tmp_path, point, layout):
    """The tag is read by itself: GDAL moves such points when it writes them and when it reads."""
    half = 0.5 if point == "Point" else 0.0
    points = [GroundControlPoint(r, c, 10 + c / 9, 50 - r / 9, 3.0) for r, c in CORNERS]

    def change(dataset):
        dataset.update_tags(AREA_OR_POINT=point)
        dataset.gcps = points, CRS.from_epsg(4326)

    path = save(tmp_path / "a.tif", scene(), crs=None, transform=Affine.identity(), change=change)
    target, _ = enlarge(path, layout=layout)
    before, after = (tie_points(file) for file in (path, target))
    assert after[:, :2] + half == pytest.approx((before[:, :2] + half) * 2)
    assert np.array_equal(after[:, 2:], before[:, 2:])
    with rasterio.open(target) as large:
        assert large.tags()["AREA_OR_POINT"] == point


@pytest.mark.parametrize("compression", ["jpeg", "webp", "deflate"])
def test_a_cog_that_loses_samples_does_not_claim_to_agree(tmp_path, compression):
    """It is copied from a file that keeps them, and is none."""
    colors = {"change": lambda d: setattr(d, "colorinterp", RGB)}
    pixels = scene(3, dtype="uint8", low=0, high=255)
    path, faithful = save(tmp_path / "a.tif", pixels, **colors), bicubic_lift(2)
    target, notes = enlarge(path, faithful, layout="cog", compression=compression, quality=50)
    assert not any("levels" in note for note in notes)
    upscaler = made(faithful)
    runs = []
    upscaler.run = lambda *args, exact=False, **more: runs.append(exact)
    upscaler.upscale_file(
        path, target, Wishes(overwrite=True, layout="cog", compression=compression)
    )
    assert runs == [compression == "deflate"]


@pytest.mark.parametrize("fill", [-FILL, FILL, -1.7976931348623157e308, 1e12])
def test_a_fill_that_no_tag_names_does_not_squeeze_what_was_measured(tmp_path, fill):
    """A quarter of a raster of values around 0; floats of 32 bits over all would leave one."""
    values = scene(dtype="float64", low=-5, high=5)
    values = values if abs(fill) != FILL else values.astype("float32")
    values[:, :6] = fill
    path = save(tmp_path / "a.tif", values)
    target, notes = enlarge(path, bicubic_lift(2))
    named = any("gdal_edit.py -a_nodata 1000000000000.0 FILE" in note for note in notes)
    assert named is (fill == 1e12)  # The largest float is taken for none by itself.
    large = read(target)[0]
    assert np.array_equal(large[:10], np.full((10, 60), values.dtype.type(fill)))
    away = large[16:].astype("float64")
    wanted = values[0, 8:].astype("float64").repeat(2, 0).repeat(2, 1)
    assert np.corrcoef(away.ravel(), wanted.ravel())[0, 1] > 0.9
    assert -5 <= away.min() < -4 < 4 < away.max() <= 5


def test_values_further_apart_than_floats_count_are_refused(tmp_path):
    values = scene(dtype="float64", low=-1, high=1) * 1.7e308
    with pytest.raises(InputError, match=r"a\.tif: values from -1.*further apart than 64-bit"):
        enlarge(save(tmp_path / "a.tif", values))


def tie_points(path):
    """Column, row, 0, x, y, z of each."""
    with tifffile.TiffFile(path) as file:
        return np.reshape(file.pages[0].tags[33922].value, (-1, 6))


def test_any_size_reads_only_windows(tmp_path, monkeypatch):
    """Cells and pieces far smaller than the raster: the values stay, and nothing whole is held."""
    path = save(
        tmp_path / "a.tif", scene(1, 200, 180, "float32"), tiled=True, blockxsize=16, blockysize=16
    )
    whole = read(enlarge_to(path, Size(scale=1.7))[0])
    monkeypatch.setattr(pieces, "CELL", 64)
    monkeypatch.setattr(pieces, "LEAST", 16)
    monkeypatch.setattr(stages, "canvas", None)
    areas, read_window = [], windows.Source.__getitem__

    def noted(self, area):
        found = read_window(self, area)
        areas.append(found.shape[0] * found.shape[1])
        return found

    monkeypatch.setattr(windows.Source, "__getitem__", noted)
    small = read(enlarge_to(path, Size(scale=1.7))[0])
    assert max(areas) < 200 * 180 / 4
    np.testing.assert_allclose(small, whole, atol=2900 * 3e-6)


@pytest.mark.parametrize("layout", [None, "cog"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_gray_counted_from_white_is_gray_and_stays_so(tmp_path, dtype, layout):
    pixels = scene(1, dtype=dtype, low=10, high=240)
    path = tmp_path / "a.tif"
    # As other writers than GDAL do it; GDAL then tells a colour table.
    placed = [(33550, "d", 3, (10.0, 10.0, 0.0), True), (33922, "d", 6, (0.0,) * 6, True)]
    tifffile.imwrite(path, pixels[0], photometric="miniswhite", extratags=placed, metadata=None)
    target, notes = enlarge(path, bicubic_lift(), layout=layout)
    assert not any("classes" in note for note in notes)
    assert any("no COG" in note for note in notes) is (layout == "cog")
    large = tifffile.TiffFile(target).pages[0]
    assert large.photometric == tifffile.PHOTOMETRIC.MINISWHITE and large.colormap is None
    shrunk = large.asarray().reshape(24, 2, 30, 2)
    assert (np.ptp(shrunk, (1, 3)) > 0).mean() > 0.5
    assert media.MEDIA["geotiff"].verify(path, target) == ()


@pytest.mark.parametrize(
    ("convention", "offset"), [("TOP_LEFT_CORNER", "6"), ("PIXEL_CENTER", "6.5")]
)
def test_arrays_of_places_stand_for_the_same_places(tmp_path, convention, offset):
    told = {"X_DATASET": "x.tif", "PIXEL_OFFSET": "3", "PIXEL_STEP": "5", "LINE_STEP": "1"}
    told["GEOREFERENCING_CONVENTION"] = convention
    path = save(
        tmp_path / "a.tif", scene(), change=lambda d: d.update_tags(ns="GEOLOCATION", **told)
    )
    target, _ = enlarge(path)
    with rasterio.open(target) as large:
        wanted = {"PIXEL_OFFSET": offset, "PIXEL_STEP": "10", "LINE_STEP": "2"}
        assert large.tags(ns="GEOLOCATION") == {**told, **wanted}
    assert media.MEDIA["geotiff"].verify(path, target) == ()


def test_a_nodata_value_between_whole_numbers_is_the_one_that_gdal_takes(tmp_path):
    path = tmp_path / "a.tif"
    placed = [(33550, "d", 3, (10.0, 10.0, 0.0), True), (33922, "d", 6, (0.0,) * 6, True)]
    nodata = (42113, "s", 0, "100.5", True)
    pixels = scene(1, 40, 40, "uint8", low=90, high=110)[0]
    tifffile.imwrite(path, pixels, extratags=[*placed, nodata], metadata=None)
    target, _ = enlarge(path, bicubic_lift())
    with rasterio.open(path) as source, rasterio.open(target) as large:
        assert (large.read_masks(1) == source.read_masks(1).repeat(2, 0).repeat(2, 1)).all()


@pytest.mark.parametrize("layout", ["tiles", "strips", "cog"])
def test_a_disk_that_fills_up_leaves_no_result_that_cannot_be_read(tmp_path, layout):
    """GDAL says nothing of what it could not write on closing: overviews above all."""
    noise = np.random.default_rng(0).integers(0, 255, (1, 140, 150), np.uint8)
    path = save(tmp_path / "a.tif", noise, tiled=True, blockxsize=64, blockysize=64)
    model, wishes = bicubic_lift(), {"layout": layout, "overviews": True, "compression": "none"}
    target, _ = enlarge(path, model, **wishes)
    whole, names = target.read_bytes(), sorted(tmp_path.iterdir())
    assert rasterio.open(target).overviews(1)
    for missing in (1, 5_000, 20_000, 30_000):
        with room(len(whole) - missing), pytest.raises(OutputError, match=r"a-large\.tif"):
            enlarge(path, model, **wishes)
        assert target.read_bytes() == whole and sorted(tmp_path.iterdir()) == names


def test_what_a_kill_leaves_of_a_cog_is_swept(tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(*words, **options):
        left.extend(path for path in tmp_path.iterdir() if path.name[0] == ".")
        raise Killed

    path, left = save(tmp_path / "a.tif", scene()), []
    monkeypatch.setattr("rasterio.shutil.copy", killed)
    with pytest.raises(Killed):
        enlarge(path, layout="cog")
    assert len(left) == 2
    for part in left:
        part.touch()
    files.sweep(tmp_path, os.getpid())
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("space", "bands"), [("CMYK", 4), ("CIELAB", 3)])
def test_colours_that_are_read_as_others_are_said_to_be(space, bands, tmp_path):
    path = save(tmp_path / "a.tif", scene(bands, dtype="uint8", high=200), photometric=space)
    _, notes = enlarge(path)
    assert f"{space} is read as RGB, which the result is" in notes

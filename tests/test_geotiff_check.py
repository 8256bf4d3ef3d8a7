"""`reslift verify` of rasters: each thing that a result should have of its source, taken away."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import tifffile
from affine import Affine
from rasterio.crs import CRS
from rasterio.enums import ColorInterp

from reslift.verify import verify
from small_models import bicubic_lift
from test_geotiff import PLACE, enlarge, quiet, save, scene  # noqa: F401

FINE = PLACE @ Affine.scale(0.5)


def smooth(bands=1, height=24, width=30, dtype="int16", seed=0):
    """Hills that the bicubic kernel can have made."""
    y, x = np.mgrid[:height, :width]
    hills = np.sin(x / 5 + np.arange(bands)[:, None, None] + seed) * np.cos(y / 6)
    return (1000 + 900 * hills).astype(dtype)


def doubled(path, change=lambda dataset: None, pixels=None, **profile):
    """The source with every pixel repeated, and with one thing changed."""
    with rasterio.open(path) as source:
        given = {"nodata": source.nodata, "crs": source.crs, "transform": FINE, **profile}
        large = source.read().repeat(2, 1).repeat(2, 2) if pixels is None else pixels
    return save(path.with_name("large.tif"), large, change=change, **given)


def described(dataset):
    dataset.set_band_description(1, "height")
    dataset.set_band_unit(1, "m")
    dataset.scales, dataset.offsets = [0.1] * dataset.count, [5.0] * dataset.count
    dataset.update_tags(SENSOR="one")
    dataset.update_tags(1, WAVELENGTH="490")


def found(path, large, **options):
    return verify(path, large, kernel="box", **options)


def test_repeated_pixels_are_the_same_place_with_the_same_samples(tmp_path):
    path = save(tmp_path / "a.tif", smooth(2), nodata=-1, change=described)
    answer = found(path, doubled(path, described))
    assert answer.findings == ()
    assert answer.holds
    assert answer.scale == (2, 2)
    assert [one.name for one in answer.channels] == ["band 1 (height)", "band 2"]
    assert answer.compared == 2 * 24 * 30


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"crs": CRS.from_epsg(32619)}, "CRS: EPSG:32618 became EPSG:32619"),
        ({"crs": None}, "CRS: EPSG:32618 became none"),
        ({"nodata": -9}, "band 1: nodata -1.0 became -9.0"),
        ({"transform": PLACE}, "corners:"),
        ({"transform": FINE @ Affine.translation(0.5, 0)}, "corners:"),
        ({"transform": FINE @ Affine.rotation(1e-6)}, "corners:"),
        ({"change": lambda d: None}, "band 1: description height became None"),
        ({"change": lambda d: None}, "band 1: unit m became"),
        ({"change": lambda d: None}, "band 1: scale 0.1 became 1.0"),
        ({"change": lambda d: None}, "band 1: offset 5.0 became 0.0"),
        ({"change": lambda d: None}, "the file: tags SENSOR differ"),
        ({"change": lambda d: None}, "band 1: tags WAVELENGTH differ"),
        ({"pixels": smooth(1, 48, 60)}, "bands: 2 became 1"),
        ({"pixels": smooth(2, 48, 60, "int32")}, "samples: int16 became int32"),
        ({"pixels": smooth(2, 48, 60) + 1000}, "beyond the range of the source"),
        ({"pixels": smooth(2, 20, 60)}, "size: 30x24 became 60x20"),
    ],
)
def test_what_was_lost_is_named(changed, words, tmp_path):
    path = save(tmp_path / "a.tif", smooth(2), nodata=-1, change=described)
    answer = found(path, doubled(path, **{"change": described, **changed}))
    assert any(words in finding for finding in answer.findings), answer.findings
    assert not answer.holds


def test_missing_pixels_stay_missing_and_others_stay(tmp_path):
    pixels = smooth()
    pixels[:, :, :8] = -1
    path = save(tmp_path / "a.tif", pixels, nodata=-1)
    large = pixels.repeat(2, 1).repeat(2, 2)
    assert found(path, doubled(path, pixels=large)).holds
    large[0, 10:14, 14:17] = -1
    answer = found(path, doubled(path, pixels=large))
    assert answer.findings == ("band 1: 4 pixels are missing in one of both only",)


def test_a_changed_patch_is_found_in_its_band_with_its_size(tmp_path):
    path = save(tmp_path / "a.tif", smooth(2))
    large = smooth(2).repeat(2, 1).repeat(2, 2)
    large[1, 20:24, 20:24] = 900
    first, second = found(path, doubled(path, pixels=large)).channels
    assert first.largest == 0
    assert second.largest == np.abs(smooth(2)[1, 10:12, 10:12] - 900.0).max()


def test_levels_are_steps_and_of_floats_parts_of_the_range(tmp_path):
    pixels = smooth(dtype="float32") / 65535
    path = save(tmp_path / "a.tif", pixels)
    large = pixels.repeat(2, 1).repeat(2, 2)
    large += np.ptp(pixels) / 65535 * 3
    large = large.clip(pixels.min(), pixels.max())
    (channel,) = found(path, doubled(path, pixels=large)).channels
    assert channel.level == pytest.approx(np.ptp(pixels) / 65535)
    assert channel.largest == pytest.approx(3, rel=0.01)


def test_classes_are_compared_as_squares(tmp_path):
    def table(dataset):
        dataset.write_colormap(1, {value: (value, 0, 0, 255) for value in range(256)})

    pixels = (smooth(1) // 500).astype("uint8")
    path = save(tmp_path / "a.tif", pixels, change=table)
    large = pixels.repeat(2, 1).repeat(2, 2)
    answer = found(path, doubled(path, table, pixels=large))
    assert answer.holds
    assert not answer.channels
    large[0, 3, 3:5] = 7
    answer = found(path, doubled(path, table, pixels=large))
    assert answer.findings == ("band 1: 2 pixels are not those of the source, repeated",)


def test_nothing_wider_than_a_piece_is_read(tmp_path, monkeypatch):
    from reslift.media.geotiff.file import Opened

    path = save(tmp_path / "a.tif", smooth(1, 40, 1100), tiled=True, blockxsize=64, blockysize=64)
    large, seen = doubled(path), []
    read = Opened.samples

    def watched(self, numbers, box):
        seen.append(box.width)
        return read(self, numbers, box)

    monkeypatch.setattr(Opened, "samples", watched)
    monkeypatch.setattr("reslift.media.geotiff.plan.WINDOW", 256)
    assert found(path, large).holds
    assert max(seen) <= 2 * 256


def test_a_result_of_ours_holds(tmp_path):
    def change(dataset):
        described(dataset)
        dataset.colorinterp = [ColorInterp.gray, ColorInterp.undefined]

    path = save(tmp_path / "a.tif", scene(2), nodata=0, change=change)
    target, _ = enlarge(path)
    answer = verify(path, target, tolerance=10_000)
    assert answer.findings == ()
    assert answer.holds
    assert len(answer.channels) == 2


@pytest.mark.parametrize("layout", ["strips", "tiles", "cog"])
@pytest.mark.parametrize("nodata", [(-1.0, -2.0), (None, -2.0), (-1.0, None)])
def test_each_band_keeps_its_own_nodata(nodata, layout, tmp_path):
    pixels = smooth(2)
    pixels[0, :4], pixels[1, :, :4] = -1, -2
    path = save(tmp_path / "a.tif", pixels)
    bands = "".join(
        f'<PAMRasterBand band="{number}"><NoDataValue>{value}</NoDataValue></PAMRasterBand>'
        for number, value in enumerate(nodata, 1)
        if value is not None
    )
    path.with_name("a.tif.aux.xml").write_text(f"<PAMDataset>{bands}</PAMDataset>")
    target, notes = enlarge(path, layout=layout, overviews=True)
    assert any("nodata values of its bands differ" in note for note in notes)
    with rasterio.open(path) as small, rasterio.open(target) as large:
        assert large.nodatavals == small.nodatavals == nodata
        assert np.array_equal(large.read_masks(), small.read_masks().repeat(2, 1).repeat(2, 2))
    assert verify(path, target).findings == ()


def test_nodata_of_zero_that_is_lost_is_named(tmp_path):
    path = save(tmp_path / "a.tif", smooth(), nodata=0)
    assert found(path, doubled(path, nodata=None)).findings == ("band 1: nodata 0.0 became None",)


def test_no_valid_pixel_takes_the_nodata_values_of_all_bands(tmp_path):
    rng = np.random.default_rng(0)
    pixels = (rng.random((3, 24, 30)) < 0.4).astype(np.uint8)
    pixels[2][(pixels == 0).all(0)] = 1
    pixels[:, :6, :6], pixels[:, 12:, 15:] = 0, 80
    tags = {"NODATA_VALUES": "0 0 0"}
    path = save(tmp_path / "a.tif", pixels, change=lambda d: d.update_tags(**tags))
    target, _ = enlarge(path, bicubic_lift())
    assert verify(path, target).findings == ()


@pytest.mark.parametrize("bands", [2, 4, 5])
@pytest.mark.parametrize("layout", ["strips", "tiles", "cog"])
def test_colours_multiplied_by_their_opacity_stay_so(layout, bands, tmp_path):
    pixels = scene(bands, dtype="uint8", low=0, high=100)
    pixels[-1] = 200
    path, kinds = tmp_path / "a.tif", (0,) * (bands in (5,)) + (1,)
    colours = "rgb" if bands > 3 else "minisblack"
    tifffile.imwrite(
        path,
        pixels.transpose(1, 2, 0),
        photometric=colours,
        planarconfig="contig",
        extrasamples=kinds,
        extratags=[(33550, "d", 3, (10.0, 10.0, 0.0)), (33922, "d", 6, (0.0, 0, 0, 5e5, 4e6, 0))],
    )
    target, _ = enlarge(path, layout=layout, overviews=True)
    with tifffile.TiffFile(target) as large:
        assert {page.extrasamples for page in large.pages} == {kinds}
    assert verify(path, target).findings == ()
    plain, _ = enlarge(save(tmp_path / "b.tif", pixels, photometric=colours, alpha="yes"))
    became = "colours multiplied by their opacity became straight colours"
    assert became in verify(path, plain).findings


def test_bands_without_numbers_have_one_nodata(tmp_path):
    pixels = smooth(2, dtype="float64")
    pixels[:, 4:9, 4:9] = np.nan
    path = save(tmp_path / "a.tif", pixels, nodata=np.nan)
    target, notes = enlarge(path)
    assert not notes
    assert verify(path, target).findings == ()


@pytest.mark.parametrize("layout", ["strips", "cog"])
def test_names_of_classes_and_tables_are_kept_and_missed(tmp_path, layout):
    path = save(tmp_path / "a.tif", scene(2, dtype="uint8", low=0, high=3))
    names = "<CategoryNames><Category>none</Category><Category>wood</Category></CategoryNames>"
    table = '<GDALRasterAttributeTable tableType="athematic"><Row index="0" />'
    table += "</GDALRasterAttributeTable>"
    side = path.with_name("a.tif.aux.xml")
    side.write_text(
        f'<PAMDataset><PAMRasterBand band="1">{names}</PAMRasterBand>'
        f'<PAMRasterBand band="2">{table}<Histograms/></PAMRasterBand></PAMDataset>'
    )
    target, notes = enlarge(path, layout=layout)
    assert any("band 1 holds classes" in note for note in notes)
    beside = target.with_name(target.name + ".aux.xml")
    assert names in beside.read_text() and table in beside.read_text()
    assert "Histograms" not in beside.read_text()
    assert verify(path, target).findings == ()
    beside.write_text(beside.read_text().replace("wood", "water"))
    (finding,) = verify(path, target).findings
    assert "names of classes" in finding
    side.write_text("<PAMDataset><PAMRaster")
    assert not any("holds classes" in note for note in enlarge(path)[1])


def test_halves_are_compared_by_their_own_steps(tmp_path):
    pixels = (smooth(dtype="float32") / 10).astype(np.float16).astype(np.float32)
    path = save(tmp_path / "a.tif", pixels, nbits=16)
    rough = pixels + np.float32(0.05)
    large = doubled(path, pixels=rough.repeat(2, 1).repeat(2, 2), nbits=16)
    (channel,) = found(path, large).channels
    assert channel.level == np.spacing(np.float16(pixels.max()))
    assert channel.largest <= 1


def test_a_result_saved_with_loss_may_leave_the_range(tmp_path):
    path = save(tmp_path / "a.tif", np.full((3, 32, 32), 100, np.uint8), photometric="RGB")
    large = np.full((3, 64, 64), 102, np.uint8)
    for packing, beyond in (("jpeg", False), ("deflate", True)):
        made = doubled(path, pixels=large, compress=packing, photometric="RGB")
        found_beyond = any("beyond the range" in word for word in found(path, made).findings)
        assert found_beyond == beyond

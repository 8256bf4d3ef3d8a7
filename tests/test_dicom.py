"""DICOM in, DICOM out: values, geometry, history, and what must not be enlarged."""

import hashlib
import io
import zlib
from types import SimpleNamespace

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from medical_samples import SHIPPED, SLANTED, Cubic, dicom, read, waves
from reslift.cli import main
from reslift.errors import InputError, LimitError, OutputError, ResliftError, UsageError
from reslift.limits import DEFAULT, Limits
from reslift.media import MEDIA, Wishes, is_meant, of
from reslift.media.base import Extent
from reslift.media.dicom import apart, geometry, halves, loss
from reslift.media.dicom.sniff import PREAMBLE
from reslift.media.dicom.source import opened
from reslift.pixels.regrid import Regrid
from reslift.sizes import Size
from small_models import bicubic_lift, saved

DICOM = MEDIA["dicom"]
NO_IMAGE = ["rtdose.dcm", "rtplan.dcm", "rtstruct.dcm", "reportsi.dcm", "test-SR.dcm"]
NO_IMAGE += ["liver_1frame.dcm", "waveform_ecg.dcm", "SC_rgb_rle_32bit.dcm", "badVR.dcm"]
DAMAGED = ["MR_truncated.dcm", "rtplan_truncated.dcm"]
UNKNOWN = ["JPEG-lossy.dcm", "JPGExtended.dcm", "JPEG2000-embedded-sequence-delimiter.dcm"]
GOOD = ["693_J2KI.dcm", "CT_small.dcm", "ExplVR_BigEnd.dcm", "J2K_pixelrep_mismatch.dcm"]
GOOD += ["JPEGLSNearLossless_16.dcm", "MR_small_RLE.dcm", "MR_small_expb.dcm", "image_dfl.dcm"]
GOOD += ["MR_small_implicit.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_rle_16bit_2frame.dcm"]
GOOD += ["SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_jpeg_gdcm.dcm"]
GOOD += ["SC_rgb_small_odd.dcm", "examples_overlay.dcm", "examples_palette.dcm", "SC_rgb_jpeg.dcm"]


def enlarged(source, target, scale=2, **wishes):
    enlarger, extent = Cubic(scale), DICOM.peek(source, DEFAULT)
    DICOM.check_target(target, extent, enlarger.size.of(extent.width, extent.height))
    DICOM.upscale(enlarger, source, target, Wishes(**wishes))
    return read(target)


def corners(dataset):
    """The outer corners of the image in the patient, by the formula of PS3.3 C.7.6.2.1.1."""
    row, column = np.split(np.array(dataset.ImageOrientationPatient, float), 2)
    down, across = (float(step) for step in dataset.PixelSpacing)
    start = np.array(dataset.ImagePositionPatient, float)
    places = [(-0.5, -0.5), (dataset.Columns - 0.5, -0.5), (-0.5, dataset.Rows - 0.5)]
    return np.array([start + row * across * i + column * down * j for i, j in places])


@pytest.mark.parametrize("name", GOOD)
def test_every_syntax_and_kind_of_pixels(name, tmp_path):
    source, target = SHIPPED / name, tmp_path / "a.dcm"
    after, before = enlarged(source, target), read(source)
    assert (after.Rows, after.Columns) == (before.Rows * 2, before.Columns * 2)
    given, result = before.pixel_array, after.pixel_array
    if before.PhotometricInterpretation == "PALETTE COLOR":
        given = pydicom.pixels.apply_color_lut(given, before) >> 8
    elif before.PhotometricInterpretation.startswith("YBR"):
        given = pydicom.pixels.pixel_array(source)
    if given.dtype.byteorder == ">":
        given = given.astype(given.dtype.newbyteorder("="))
    assert given.min() <= result.min() and result.max() <= given.max()
    axis = given.ndim - (3 if after.SamplesPerPixel == 3 else 2)
    blocks = given.repeat(2, axis).repeat(2, axis + 1).astype(float)
    correlation = np.corrcoef(blocks.ravel(), result.ravel().astype(float))[0, 1]
    assert correlation > 0.85
    assert abs(blocks.mean() - result.mean()) < 0.02 * np.ptp(given)
    assert DICOM.verify(source, target) == ()


def test_without_a_network_the_values_are_those_of_a_cubic_within_the_range(tmp_path):
    pixels = waves().astype(np.int16)
    source = dicom(tmp_path / "a.dcm", pixels)
    result = enlarged(source, tmp_path / "b.dcm").pixel_array
    shown = ((pixels - pixels.min()) / np.ptp(pixels)).astype(np.float32)
    out = np.empty((48, 40, 1), np.float32)
    Cubic().run(type("P", (), {"pixels": shown[..., None]}), out)
    wanted = np.rint(out[..., 0].astype(float) * np.ptp(pixels) + pixels.min())
    assert result.dtype == np.int16
    assert np.abs(result - wanted).max() <= 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_corners_and_distances_stay_where_they_are(scale, tmp_path):
    source = dicom(tmp_path / "a.dcm", waves().astype(np.int16), ImagerPixelSpacing=[0.9, 0.6])
    before, after = read(source), enlarged(source, tmp_path / "b.dcm", scale)
    assert np.allclose(corners(before), corners(after), atol=0.04)
    assert np.abs(corners(before) - corners(after)).max() < 1e-6
    first, last = np.array([3.0, 5.0]), np.array([17.0, 11.0])
    lengths = [
        np.hypot(*((last - first) * factor * np.array(dataset.PixelSpacing, float)[::-1]))
        for dataset, factor in ((before, 1), (after, scale))
    ]
    assert abs(lengths[0] - lengths[1]) < 0.1 * 0.4
    assert list(after.ImageOrientationPatient) == SLANTED
    assert np.allclose(np.array(after.ImagerPixelSpacing, float), np.array([0.9, 0.6]) / scale)


def test_moved_corners_are_found(tmp_path):
    source = dicom(tmp_path / "a.dcm", waves().astype(np.int16))
    after = enlarged(source, tmp_path / "b.dcm")
    after.ImagePositionPatient = read(source).ImagePositionPatient
    after.save_as(tmp_path / "c.dcm")
    assert "corners lie" in DICOM.verify(source, tmp_path / "c.dcm")[0]


def test_a_ring_of_padding_never_bleeds(tmp_path):
    pixels = waves(40, 40, -100, 300).astype(np.int16)
    y, x = np.mgrid[:40, :40]
    outside = np.hypot(x - 19.5, y - 19.5) > 15
    pixels[outside] = -2000
    result = enlarged(
        dicom(tmp_path / "a.dcm", pixels, PixelPaddingValue=-2000), tmp_path / "b.dcm"
    )
    hidden = outside.repeat(2, 0).repeat(2, 1)
    assert (result.pixel_array[hidden] == -2000).all()
    assert result.pixel_array[~hidden].min() >= pixels[~outside].min()
    assert result.PixelPaddingValue == -2000


def test_metal_does_not_squeeze_what_the_network_sees(tmp_path):
    pixels = waves(64, 64, -1000, 1000).astype(np.int16)
    with_metal = pixels.copy()
    with_metal[30, 40:42] = 32000
    enlarger = Cubic()
    for name, values in (("a", pixels), ("b", with_metal)):
        source = dicom(tmp_path / f"{name}.dcm", values)
        DICOM.upscale(enlarger, source, tmp_path / f"{name}2.dcm", Wishes())
    plain, metal = (read(tmp_path / f"{name}2.dcm").pixel_array.astype(int) for name in "ab")
    far = np.ones_like(plain, bool)
    far[54:70, 74:92] = False
    assert np.abs(plain - metal)[far].max() <= 3
    assert 25000 < metal.max() <= 32000
    assert metal.min() >= -1000
    assert np.ptp(enlarger.shown[1][5:25]) > 0.3


def test_a_window_is_what_the_network_sees_and_nothing_is_clipped(tmp_path):
    pixels = waves(low=0, high=3000).astype(np.uint16)
    source = dicom(tmp_path / "a.dcm", pixels, RescaleSlope=2, RescaleIntercept=-1000)
    enlarger = Cubic()
    DICOM.upscale(enlarger, source, tmp_path / "b.dcm", Wishes(window=(0.0, 1000.0)))
    seen = np.clip((pixels * 2.0 - 1000 + 500) / 1000, 0, 1)
    assert np.allclose(enlarger.shown[0][..., 0], seen, atol=1e-6)
    result = read(tmp_path / "b.dcm").pixel_array
    whole = enlarged(source, tmp_path / "c.dcm").pixel_array
    assert result.max() > 2800
    assert np.abs(result.astype(int) - whole).mean() < 60


def test_monochrome1_is_shown_inverted_and_stays_so(tmp_path):
    pixels = waves(low=10, high=200).astype(np.uint8)
    source = dicom(tmp_path / "a.dcm", pixels, PhotometricInterpretation="MONOCHROME1")
    enlarger = Cubic()
    DICOM.upscale(enlarger, source, tmp_path / "b.dcm", Wishes())
    assert enlarger.shown[0].flat[pixels.argmin()] == 1
    after = read(tmp_path / "b.dcm")
    assert after.PhotometricInterpretation == "MONOCHROME1"
    assert abs(after.pixel_array.mean() - pixels.mean()) < 1


def test_bits_beside_the_value_are_an_overlay_and_no_value(tmp_path):
    pixels = waves(low=0, high=4095).astype(np.uint16)
    circle = (np.indices(pixels.shape).sum(0) % 7 == 0).astype(np.uint16)
    tags = {"BitsStored": 12, "HighBit": 11}
    source = dicom(tmp_path / "a.dcm", pixels | circle << 12, **tags)
    dataset = read(source)
    for element, vr, value in (
        (0x0010, "US", 24),
        (0x0011, "US", 20),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 16),
        (0x0102, "US", 12),
        (0x1301, "IS", int(circle.sum())),
    ):
        dataset.add_new((0x6000, element), vr, value)
    dataset.save_as(source)
    after = enlarged(source, tmp_path / "b.dcm", 3)
    assert after[0x6000, 0x1301].value == after.overlay_array(0x6000).sum()
    plain = enlarged(dicom(tmp_path / "c.dcm", pixels, **tags), tmp_path / "d.dcm", 3)
    assert np.array_equal(after.pixel_array, plain.pixel_array)
    assert np.array_equal(after.overlay_array(0x6000), circle.repeat(3, 0).repeat(3, 1))


@pytest.mark.parametrize("signed", [False, True])
def test_a_high_bit_above_the_value(signed, tmp_path):
    pixels = waves(low=-2000 if signed else 0, high=2047).astype(np.int16)
    tags = {"BitsStored": 12, "PixelRepresentation": int(signed)}
    upper = (pixels.view(np.uint16) << 4) | 5
    high = enlarged(dicom(tmp_path / "a.dcm", upper, HighBit=15, **tags), tmp_path / "b.dcm")
    plain = enlarged(dicom(tmp_path / "c.dcm", pixels, HighBit=11, **tags), tmp_path / "d.dcm")
    assert high.HighBit == 11
    assert np.array_equal(high.pixel_array, plain.pixel_array)


@pytest.mark.parametrize("planar", [0, 1])
def test_planes_of_colour(planar, tmp_path):
    pixels = np.stack([waves(low=low, high=high) for low, high in ((0, 99), (40, 50), (9, 255))], 2)
    pixels = pixels.astype(np.uint8)
    stored = pixels.transpose(2, 0, 1).reshape(pixels.shape) if planar else pixels
    source = dicom(tmp_path / "a.dcm", np.ascontiguousarray(stored), PlanarConfiguration=planar)
    after = enlarged(source, tmp_path / "b.dcm")
    assert after.PlanarConfiguration == 0
    assert np.allclose(after.pixel_array.mean((0, 1)), pixels.mean((0, 1)), atol=1.5)


def enhanced(path, shared_orientation=True):
    """Three frames with functional groups, each at its own place."""
    from pydicom.dataset import Dataset

    def item(**values):
        made = Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    measures = item(PixelSpacing=[0.7, 0.4], SliceThickness=2)
    orientation = item(ImageOrientationPatient=SLANTED)
    shared, frames = item(PixelMeasuresSequence=[measures]), []
    if shared_orientation:
        shared.PlaneOrientationSequence = [orientation]
    for number in range(3):
        place = item(ImagePositionPatient=[1.0 * number, 2.0, 3.0])
        frame = item(PlanePositionSequence=[place])
        if not shared_orientation:
            frame.PlaneOrientationSequence = [orientation]
        frames.append(frame)
    own = {"ImagePositionPatient": None, "ImageOrientationPatient": None, "PixelSpacing": None}
    return dicom(
        path,
        np.stack([waves(low=0, high=100 + n) for n in range(3)]).astype(np.uint16),
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=frames,
        **own,
    )


@pytest.mark.parametrize("shared", [True, False])
def test_frames_of_enhanced_images_each_keep_their_place(shared, tmp_path):
    source = enhanced(tmp_path / "a.dcm", shared)
    after = enlarged(source, tmp_path / "b.dcm", 2)
    measures = after.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(step) for step in measures.PixelSpacing] == [0.35, 0.2]
    row, column = np.array(SLANTED[:3]), np.array(SLANTED[3:])
    for number, frame in enumerate(after.PerFrameFunctionalGroupsSequence):
        wanted = np.array([number, 2, 3]) - 0.25 * (row * 0.4 + column * 0.7)
        place = frame.PlanePositionSequence[0].ImagePositionPatient
        assert np.allclose(np.array(place, float), wanted, atol=1e-9)
    assert after.pixel_array.shape == (3, 48, 40)
    assert [frame.max() for frame in after.pixel_array] == sorted(
        frame.max() for frame in after.pixel_array
    )
    assert DICOM.verify(source, tmp_path / "b.dcm") == ()


def test_what_the_frames_of_an_angiogram_say_of_pixels_is_brought_over():
    from pydicom.dataset import Dataset

    def item(**values):
        made = Dataset()
        for keyword, value in values.items():
            setattr(made, keyword, value)
        return made

    edges = {"LeftVerticalEdge": 3, "RightVerticalEdge": 15, "LowerHorizontalEdge": 20}
    frame = item(
        ProjectionPixelCalibrationSequence=[item(ObjectPixelSpacingInCenterOfBeam=[0.25, 0.5])],
        FrameDisplayShutterSequence=[item(**{f"Shutter{e}": n for e, n in edges.items()})],
        CollimatorShapeSequence=[item(**{f"Collimator{e}": n for e, n in edges.items()})],
        ExposureControlSensingRegionsSequence=[
            item(**{f"ExposureControlSensingRegion{e}": n for e, n in edges.items()})
        ],
        FramePixelShiftSequence=[item(MaskSubPixelShift=[1.5, -2.0])],
    )
    elements = item(Rows=24, Columns=20, PerFrameFunctionalGroupsSequence=[frame])
    geometry.enlarge_geometry(elements, Regrid(20, 24, 40, 72))
    calibrated = frame.ProjectionPixelCalibrationSequence[0]
    assert calibrated.ObjectPixelSpacingInCenterOfBeam == [0.25 / 3, 0.25]
    outlined = ("FrameDisplayShutter", "CollimatorShape", "ExposureControlSensingRegions")
    for part in (frame[f"{name}Sequence"].value[0] for name in outlined):
        assert [int(element.value) for element in part] == [5, 30, 60]
    assert frame.FramePixelShiftSequence[0].MaskSubPixelShift == [4.5, -4.0]


def test_ultrasound_regions_measure_the_same(tmp_path):
    from pydicom.dataset import Dataset

    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 2, 3
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 17, 20
    region.ReferencePixelX0, region.ReferencePixelY0 = 5, 0
    region.ReferencePixelPhysicalValueX, region.ReferencePixelPhysicalValueY = 1.5, 0.0
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.02, 0.03
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    source = dicom(
        tmp_path / "a.dcm", waves(low=0).astype(np.uint8), SequenceOfUltrasoundRegions=[region]
    )
    after = enlarged(source, tmp_path / "b.dcm", 2).SequenceOfUltrasoundRegions[0]

    def value(part, pixel):
        inside = pixel - part.RegionLocationMinX0 - part.ReferencePixelX0
        return part.ReferencePixelPhysicalValueX + inside * part.PhysicalDeltaX

    for pixel in (2.0, 9.0, 16.5):
        assert value(after, 2 * pixel + 0.5) == pytest.approx(value(region, pixel), abs=1e-12)
    assert (after.RegionLocationMinX0, after.RegionLocationMaxX1) == (4, 35)
    assert (after.RegionLocationMinY0, after.RegionLocationMaxY1) == (6, 41)


def test_history_and_names(tmp_path):
    source = dicom(
        tmp_path / "a.dcm",
        waves().astype(np.int16),
        SmallestImagePixelValue=-7,
        DerivationDescription="denoised",
        InstanceCreationDate="20200102",
        LossyImageCompression="01",
        LossyImageCompressionRatio=12,
        ShutterLeftVerticalEdge=3,
        ShutterRightVerticalEdge=10,
    )
    dataset = read(source)
    block = dataset.private_block(0x0029, "MAKER", create=True)
    block.add_new(0x01, "LO", "kept")
    dataset.IconImageSequence = [pydicom.Dataset()]
    dataset.save_as(source)
    after = enlarged(source, tmp_path / "b.dcm")
    assert list(after.ImageType) == ["DERIVED", "SECONDARY", "AXIAL"]
    assert after.SOPInstanceUID != dataset.SOPInstanceUID
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    assert after.SOPInstanceUID.startswith("2.25.") and after.SOPInstanceUID.is_valid
    assert after.SourceImageSequence[0].ReferencedSOPInstanceUID == dataset.SOPInstanceUID
    assert after.DerivationDescription.startswith("denoised; Enlarged 2x")
    assert after.DerivationCodeSequence[-1].CodeMeaning == "Spatial resampling"
    assert after.ContributingEquipmentSequence[-1].ManufacturerModelName == "cubic-x2"
    assert after.private_block(0x0029, "MAKER")[0x01].value == "kept"
    assert (after.LossyImageCompression, after.LossyImageCompressionRatio) == ("01", 12)
    assert after.SmallestImagePixelValue == after.pixel_array.min()
    assert (after.ShutterLeftVerticalEdge, after.ShutterRightVerticalEdge) == (5, 20)
    assert "IconImageSequence" not in after and "InstanceCreationDate" not in after
    for keyword in ("PatientName", "PatientID", "FrameOfReferenceUID", "WindowCenter", "StudyDate"):
        assert after[keyword].value == dataset[keyword].value


def test_the_same_bytes_again_and_one_series_for_all(tmp_path):
    sources = [
        dicom(tmp_path / f"{n}.dcm", waves(high=900 + n).astype(np.int16), InstanceNumber=n)
        for n in (1, 2)
    ]
    results = [enlarged(source, tmp_path / f"r{source.name}") for source in sources]
    assert results[0].SeriesInstanceUID == results[1].SeriesInstanceUID != "1.2.3.4"
    assert results[0].SOPInstanceUID != results[1].SOPInstanceUID
    enlarged(sources[0], tmp_path / "again.dcm")
    first, again = (hashlib.sha256((tmp_path / n).read_bytes()) for n in ("r1.dcm", "again.dcm"))
    assert first.digest() == again.digest()
    DICOM.upscale(Cubic(identity="another"), sources[0], tmp_path / "other.dcm", Wishes())
    other = read(tmp_path / "other.dcm")
    assert other.SeriesInstanceUID != results[0].SeriesInstanceUID
    assert other.SOPInstanceUID != results[0].SOPInstanceUID
    assert [result.InstanceNumber for result in results] == [1, 2]


def test_parts_of_one_image_stay_parts_of_one_image_with_another_name(tmp_path):
    made = []
    for number in (1, 2):
        whole = {"ConcatenationUID": "1.2.8", "SOPInstanceUIDOfConcatenationSource": "1.2.9"}
        source = dicom(
            tmp_path / f"{number}.dcm",
            waves(high=1000 * number).astype(np.int16),
            InConcatenationNumber=number,
            **whole,
        )
        made.append(enlarged(source, tmp_path / f"{number}-large.dcm"))
        assert DICOM.verify(source, tmp_path / f"{number}-large.dcm") == ()
    names = [[part[keyword].value for keyword in whole] for part in made]
    assert names[0] == names[1]
    assert not {*whole.values()} & {*names[0]}


def test_not_for_diagnosis_is_burned_in_only_where_asked(tmp_path):
    source = dicom(
        tmp_path / "a.dcm", np.full((64, 80), 50, np.uint8) + waves(64, 80, 0, 9).astype("u1")
    )
    plain = enlarged(source, tmp_path / "b.dcm").pixel_array
    marked = enlarged(source, tmp_path / "c.dcm", not_for_diagnosis=True)
    changed = plain != marked.pixel_array
    assert 0.005 < changed.mean() < 0.2
    assert not changed[: plain.shape[0] // 2].any()
    assert set(np.unique(marked.pixel_array[changed])) <= {50, 59}
    assert marked.SOPInstanceUID != read(tmp_path / "b.dcm").SOPInstanceUID


@pytest.mark.parametrize("name", NO_IMAGE + DAMAGED + UNKNOWN)
def test_what_is_no_image_or_is_damaged_is_refused_in_one_line(name, tmp_path):
    source, target = SHIPPED / name, tmp_path / "a.dcm"
    with pytest.raises(ResliftError) as caught:
        enlarged(source, target)
    assert str(caught.value).startswith(f"{source}: ")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_file_says_how_much_is_lacking(tmp_path):
    path = dicom(tmp_path / "a.dcm", waves(20, 30).astype(np.int16))
    whole = path.read_bytes()
    assert DICOM.peek(path, DEFAULT) == Extent(30, 20)
    path.write_bytes(whole[:-100])
    with pytest.raises(InputError, match=r"truncated, [0-9,]+ bytes of pixels lack$"):
        DICOM.peek(path, DEFAULT)


def test_a_dicomdir_is_refused_and_passed_over_by_scans():
    path = SHIPPED / "dicomdirtests" / "DICOMDIR"
    with pytest.raises(InputError, match="lists files"):
        DICOM.peek(path, DEFAULT)
    assert of(path) is DICOM and not is_meant(path)


def test_no_word_of_an_error_is_the_patients(tmp_path):
    path = dicom(tmp_path / "a.dcm", waves().astype(np.int16))
    whole = path.read_bytes()
    for end in range(200, len(whole) - 10, 97):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError) as caught:
            enlarged(path, tmp_path / "b.dcm")
        assert "ecret" not in str(caught.value) and "SECRET" not in str(caught.value)


def test_changed_bytes_never_end_in_a_traceback(tmp_path):
    whole = dicom(tmp_path / "a.dcm", waves().astype(np.int16)).read_bytes()
    header = len(whole) - 24 * 20 * 2
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(150):
        mutant = bytearray(whole)
        for place in rng.integers(132, header, 4):
            mutant[place] = rng.integers(256)
        path = tmp_path / "m.dcm"
        path.write_bytes(mutant)
        try:
            enlarged(path, tmp_path / "b.dcm", overwrite=True)
        except ResliftError as error:
            refused += 1
            assert str(error).startswith(str(tmp_path)) and "\n" not in str(error)
    assert 10 < refused < 150
    assert {place.name for place in tmp_path.iterdir()} <= {"a.dcm", "m.dcm", "b.dcm"}


def test_limits_are_those_of_the_header(tmp_path):
    path = dicom(tmp_path / "a.dcm", waves().astype(np.int16), NumberOfFrames=3000)
    with pytest.raises(LimitError, match="max-frames"):
        DICOM.peek(path, DEFAULT)
    with pytest.raises(LimitError, match="max-input-pixels"):
        DICOM.peek(path, Limits(input_pixels=100))
    with pytest.raises(OutputError, match="65535 a side"):
        DICOM.check_target(tmp_path / "b.dcm", Extent(20000, 9), (80000, 36))
    with pytest.raises(UsageError, match=r"written as one of \.dcm"):
        DICOM.check_target(tmp_path / "b.png", Extent(2, 9), (8, 36))
    path = dicom(tmp_path / "a.dcm", waves().astype(np.int16))
    with pytest.raises(UsageError, match="de-identify"):
        DICOM.upscale(Cubic(), path, tmp_path / "b.dcm", Wishes(strip_metadata=True))


def test_a_deflated_bomb_is_refused_before_it_is_unpacked(tmp_path):
    whole = (SHIPPED / "image_dfl.dcm").read_bytes()
    length = int.from_bytes(whole[140:144], "little")
    engine = zlib.compressobj(9, wbits=-15)
    packed = engine.compress(bytes(30_000_000)) + engine.flush()
    path = tmp_path / "bomb.dcm"
    path.write_bytes(whole[: 144 + length] + packed)
    with pytest.raises(LimitError, match="unpacked"):
        DICOM.peek(path, Limits(file_bytes=10_000_000))


def test_content_tells_not_the_name(tmp_path):
    source = dicom(tmp_path / "1.2.840.7", waves().astype(np.int16))
    assert of(source) is DICOM and is_meant(source)
    bare = tmp_path / "bare"
    bare.write_bytes(source.read_bytes()[132:])
    assert of(bare) is DICOM
    for content in (b"", b"\x08\x00", b"\x89PNG\r\n\x1a\n" + bytes(200), b"\x08\x00" * 300):
        (tmp_path / "other").write_bytes(content)
        assert of(tmp_path / "other") is not DICOM


def test_a_series_folder_without_suffixes_through_the_command(tmp_path, capsys):
    folder = tmp_path / "series"
    folder.mkdir()
    for number, name in enumerate(("IM1", "1.2.840.22", "c.dcm")):
        place = [0.0, 0.0, 5.0 * number]
        pixels = waves(high=500 + number).astype(np.int16)
        dicom(folder / name, pixels, ImagePositionPatient=place, InstanceNumber=number)
    (folder / "README").write_text("no image")
    (folder / "DICOMDIR").write_bytes((SHIPPED / "dicomdirtests" / "DICOMDIR").read_bytes())
    model = saved(tmp_path / "m.safetensors", bicubic_lift(2))
    words = ["upscale", str(folder), "--model", str(model), "--device", "cpu", "--backend", "torch"]
    assert main([*words, "-o", str(tmp_path / "out")]) == 0, capsys.readouterr().err
    results = [read(tmp_path / "out" / n) for n in ("IM1.dcm", "1.2.840.22.dcm", "c.dcm")]
    assert len({result.SeriesInstanceUID for result in results}) == 1
    steps = np.diff([np.array(r.ImagePositionPatient, float) for r in results], axis=0)
    assert np.allclose(steps, [0, 0, 5])
    assert main(words) == 0
    assert (folder / "1.2.840.22-x2.dcm").exists()
    capsys.readouterr()
    assert main([*words, "--skip-existing"]) == 0
    assert not list(folder.glob("*-x2-x2*"))


def test_the_transfer_syntax_of_the_result_is_plain(tmp_path):
    after = enlarged(SHIPPED / "MR_small_jp2klossless.dcm", tmp_path / "a.dcm")
    assert after.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian


ANY = [Size(scale=1.7), Size(sides=(50, 31)), Size(long_side=61), Size(scale=0.7)]


@pytest.mark.parametrize("size", ANY)
def test_corners_and_distances_stay_at_any_size(size, tmp_path):
    facts = {"ImagerPixelSpacing": [0.9, 0.6], "SeriesDescription": "AX"}
    source = dicom(tmp_path / "a.dcm", waves().astype(np.int16), **facts)
    before, after = read(source), enlarged(source, tmp_path / "b.dcm", size)
    assert (after.Columns, after.Rows) == size.of(20, 24)
    assert after.pixel_array.shape == (after.Rows, after.Columns)
    assert np.abs(corners(before) - corners(after)).max() < 1e-6
    ratio = np.array([after.Columns / 20, after.Rows / 24])
    first, last = np.array([3.0, 5.0]), np.array([17.0, 11.0])
    lengths = [
        np.hypot(*((last - first) * factor * np.array(dataset.PixelSpacing, float)[::-1]))
        for dataset, factor in ((before, 1), (after, ratio))
    ]
    assert abs(lengths[0] - lengths[1]) < 0.1 * 0.4
    fine = np.array(after.ImagerPixelSpacing, float)
    assert np.allclose(fine, np.array([0.9, 0.6]) / ratio[::-1])
    assert f"{after.Columns}x{after.Rows}" in after.SeriesDescription
    assert f"{after.Rows} rows and {after.Columns} columns" in after.DerivationDescription
    assert DICOM.verify(source, tmp_path / "b.dcm") == ()


def test_padding_and_overlays_at_any_size(tmp_path):
    pixels = waves(40, 40, -100, 300).astype(np.int16)
    y, x = np.mgrid[:40, :40]
    outside = np.hypot(x - 19.5, y - 19.5) > 15
    pixels[outside] = -2000
    bits = np.packbits(outside.reshape(-1), bitorder="little").tobytes()
    source = dicom(tmp_path / "a.dcm", pixels, PixelPaddingValue=-2000)
    dataset = read(source)
    for tag, kind, value in (
        *((0x10, "US", 40), (0x11, "US", 40), (0x40, "CS", "G"), (0x50, "SS", [1, 1])),
        *((0x100, "US", 1), (0x102, "US", 0), (0x3000, "OW", bits)),
    ):
        dataset.add_new((0x6000, tag), kind, value)
    dataset.save_as(source)
    after = enlarged(source, tmp_path / "b.dcm", Size(sides=(70, 55)))
    rows, columns = ((np.arange(n) + 0.5) / n * 40 for n in (55, 70))
    hidden = outside[np.ix_(rows.astype(int), columns.astype(int))]
    assert np.array_equal(after.pixel_array == -2000, hidden)
    assert np.array_equal(after.overlay_array(0x6000).astype(bool), hidden)


def test_pixels_without_a_spacing_say_their_shape_where_it_changes(tmp_path):
    plain = {"PixelSpacing": None, "ImagePositionPatient": None, "ImageOrientationPatient": None}
    source = dicom(tmp_path / "a.dcm", waves(24, 20, 0, 200).astype(np.uint8), **plain)
    after = enlarged(source, tmp_path / "b.dcm", Size(sides=(80, 48)))
    assert list(after.PixelAspectRatio) == [2, 1]
    assert DICOM.verify(source, tmp_path / "b.dcm") == ()
    del after.PixelAspectRatio
    after.save_as(tmp_path / "c.dcm")
    assert "another shape" in DICOM.verify(source, tmp_path / "c.dcm")[0]
    assert "PixelAspectRatio" not in enlarged(source, tmp_path / "d.dcm", Size(scale=1.7))


def test_ultrasound_regions_and_shutters_at_any_size():
    from pydicom.dataset import Dataset

    elements, region = Dataset(), Dataset()
    elements.Rows, elements.Columns = 40, 30
    elements.ShutterLeftVerticalEdge, elements.ShutterLowerHorizontalEdge = 4, 36
    elements.CenterOfCircularShutter = [20, 10]
    region.RegionLocationMinX0, region.RegionLocationMaxX1 = 3, 29
    region.RegionLocationMinY0, region.RegionLocationMaxY1 = 0, 39
    region.ReferencePixelX0, region.ReferencePixelPhysicalValueX = 7, 1.25
    region.PhysicalDeltaX, region.PhysicalDeltaY = 0.1, 0.2
    elements.SequenceOfUltrasoundRegions = [region]
    geometry.enlarge_geometry(elements, Regrid(30, 40, 50, 50))
    across, down = 50 / 30, 50 / 40
    assert (elements.Rows, elements.Columns) == (50, 50)
    assert (elements.ShutterLeftVerticalEdge, elements.ShutterLowerHorizontalEdge) == (6, 45)
    assert list(elements.CenterOfCircularShutter) == [round(19.5 * down + 0.5), 16]
    assert (region.PhysicalDeltaX, region.PhysicalDeltaY) == (0.1 / across, 0.2 / down)
    assert (region.RegionLocationMaxX1, region.RegionLocationMaxY1) == (49, 49)
    # The same place in the image has the same physical value before and after.
    before = 1.25 + (0 - 3 - 7 - 0.5) * 0.1
    first = region.RegionLocationMinX0 + region.ReferencePixelX0
    after = region.ReferencePixelPhysicalValueX + (-0.5 - first) * region.PhysicalDeltaX
    assert after == pytest.approx(before)


@pytest.mark.parametrize(("first", "last"), [(500, None), (500, 540), (-1000, -990)])
def test_no_measured_pixel_becomes_padding(first, last, tmp_path):
    pixels = waves(40, 40).astype(np.int16)
    pixels[(pixels >= first) & (pixels <= (last or first))] = first - 1 if first > -1000 else -989
    pixels[:6] = first
    limits = {"PixelPaddingValue": first, "PixelPaddingRangeLimit": last}
    source = dicom(tmp_path / "a.dcm", pixels, **limits)
    stored = enlarged(source, tmp_path / "b.dcm").pixel_array
    hidden = (stored >= first) & (stored <= (first if last is None else last))
    assert hidden[:12].all()
    assert not hidden[12:].any()
    assert DICOM.verify(source, tmp_path / "b.dcm") == ()


@pytest.mark.parametrize(
    "name", ["PhotometricInterpretation", "SamplesPerPixel", "BitsStored", "PixelRepresentation"]
)
def test_what_the_pixels_cannot_be_read_without_is_named(name, tmp_path):
    source = dicom(tmp_path / "a.dcm", waves().astype(np.int16), **{name: None})
    with pytest.raises(InputError, match=f"how its pixels are stored: {name} lacks"):
        DICOM.peek(source, DEFAULT)


def test_a_name_in_another_character_set_than_is_said_stays_as_it_is(tmp_path):
    from reslift.media.dicom import halves

    source, name = tmp_path / "a.dcm", b"M\xfcller^J\xfcrgen"
    dataset = read(SHIPPED / "examples_palette.dcm")
    dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 192", "X" * len(name)
    dataset.save_as(source)
    source.write_bytes(source.read_bytes().replace(b"X" * len(name), name))
    enlarged(source, tmp_path / "b.dcm", Size(sides=(40, 40)))
    assert name in (tmp_path / "b.dcm").read_bytes()
    result = read(tmp_path / "b.dcm")
    calibration = SimpleNamespace(data="pictures")
    made = halves.describe(result, np.zeros((1, 40, 40), np.uint16), 0.5, calibration)
    made.save_as(tmp_path / "c.dcm")
    assert name in (tmp_path / "c.dcm").read_bytes()


def test_what_cannot_be_read_is_said_as_it_is(tmp_path):
    pixels = waves().astype(np.int16)
    source = dicom(tmp_path / "a.dcm", pixels, BitsAllocated=32, BitsStored=None, HighBit=None)
    with pytest.raises(InputError, match="its values have 32 bits"):
        DICOM.peek(source, DEFAULT)
    source = dicom(tmp_path / "a.dcm", pixels)
    plain, by_network = b"\x14\x001.2.840.10008.1.2.1\x00", b"\x16\x001.2.840.10008.1.2.4.94"
    source.write_bytes(source.read_bytes().replace(plain, by_network))
    with pytest.raises(InputError, match="is compressed in a way that is not read"):
        enlarged(source, tmp_path / "b.dcm")


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_implicit.dcm", "MR_small_RLE.dcm", "image_dfl.dcm"]
)
def test_what_lies_behind_the_pixels_is_said_to_be_left_out(name, tmp_path):
    source, target = tmp_path / "a.dcm", tmp_path / "b.dcm"
    dataset = read(SHIPPED / name)
    dataset.save_as(source)
    assert DICOM.upscale(Cubic(), source, target, Wishes()) == ()
    dataset.private_block(0x7FE1, "RAW", create=True).add_new(1, "LO", "raw")
    dataset.save_as(source)
    notes = DICOM.upscale(Cubic(), source, target, Wishes(overwrite=True))
    assert notes == ("private elements behind the pixels are left out",)


@pytest.mark.parametrize(
    ("keyword", "text", "count"),
    [
        *(("PixelSpacing", text, 2) for text in ("abc", "0.5", "0,5\\0,5", "nan\\1", "1\\2\\3")),
        *(("PixelSpacing", text, 2) for text in ("0\\0", "-0.5\\0.5", "0.5\\0.0")),
        ("ImagerPixelSpacing", "xyz", 2),
        ("ImagerPixelSpacing", "0\\0.1", 2),
        *(("PixelAspectRatio", text, 2) for text in ("1\\0", "0\\1", "3\\2\\1")),
        ("ImagePositionPatient", "a\\b\\c", 3),
        ("ImageOrientationPatient", "qqq", 6),
        ("NumberOfFrames", "xyz", 1),
    ],
)
def test_an_element_that_should_hold_numbers_is_named_before_any_work(
    keyword, text, count, tmp_path
):
    source = dicom(tmp_path / "a.dcm", waves().astype(np.int16))
    dataset = read(source)
    if keyword == "PixelAspectRatio":
        del dataset.PixelSpacing
    raw = text.encode() + b" " * (len(text) % 2)
    kind = pydicom.datadict.dictionary_VR(keyword)
    tag = pydicom.tag.Tag(pydicom.datadict.tag_for_keyword(keyword))
    dataset._dict[tag] = pydicom.dataelem.RawDataElement(tag, kind, len(raw), raw, 0, False, True)
    dataset.save_as(source)
    with pytest.raises(InputError, match=f"{keyword} should hold {count} number") as caught:
        DICOM.peek(source, DEFAULT)
    assert text not in str(caught.value)


def rename_syntax(path, uid):
    """Let a file say another transfer syntax than the one that it is written in."""
    dataset, data = read(path), path.read_bytes()
    begin = PREAMBLE + 16 + int.from_bytes(data[PREAMBLE + 12 : PREAMBLE + 16], "little")
    dataset.file_meta.TransferSyntaxUID = uid
    head = io.BytesIO(bytes(PREAMBLE) + b"DICM")
    head.seek(0, io.SEEK_END)
    pydicom.filewriter.write_file_meta_info(head, dataset.file_meta)
    path.write_bytes(head.getvalue() + data[begin:])


@pytest.mark.parametrize("implicit", [False, True])
def test_elements_are_read_as_they_are_written_whatever_is_said_of_them(implicit, tmp_path):
    source = dicom(tmp_path / "a.dcm", waves().astype(np.int16))
    kinds = [pydicom.uid.ExplicitVRLittleEndian, pydicom.uid.ImplicitVRLittleEndian]
    dataset = read(source)
    dataset.file_meta.TransferSyntaxUID = kinds[implicit]
    dataset.save_as(source, implicit_vr=implicit, little_endian=True)
    wanted = enlarged(source, tmp_path / "b.dcm").pixel_array
    rename_syntax(source, kinds[not implicit])
    found = enlarged(source, tmp_path / "c.dcm")
    assert np.array_equal(found.pixel_array, wanted)
    assert found.file_meta.TransferSyntaxUID == kinds[implicit]


@pytest.mark.parametrize(
    ("name", "syntax", "words"),
    [
        ("CT_small.dcm", "1.2.840.10008.1.2.4.50", "is compressed, and it is not compressed"),
        ("MR_small_RLE.dcm", "1.2.840.10008.1.2.1", "is not compressed, and it is compressed"),
        ("CT_small.dcm", "1.2.840.10008.1.2.2", "cannot be read by its transfer syntax"),
        ("CT_small.dcm", "1.2.840.10008.1.2.1.99", "it is deflated, and it is not"),
    ],
)
def test_a_transfer_syntax_that_is_not_that_of_the_file_is_named(name, syntax, words, tmp_path):
    source = tmp_path / "a.dcm"
    source.write_bytes((SHIPPED / name).read_bytes())
    rename_syntax(source, syntax)
    with pytest.raises(InputError, match=words):
        DICOM.peek(source, DEFAULT)


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_implicit.dcm", "MR_small_bigendian.dcm"]
)
def test_a_single_pixel_is_a_picture(name, tmp_path):
    dataset = read(SHIPPED / name)
    dataset.PixelData, dataset.Rows, dataset.Columns = dataset.PixelData[:2], 1, 1
    for keyword in ("DataSetTrailingPadding", "SmallestImagePixelValue", "LargestImagePixelValue"):
        if keyword in dataset:
            del dataset[keyword]
    dataset.save_as(tmp_path / "a.dcm")
    assert enlarged(tmp_path / "a.dcm", tmp_path / "b.dcm").pixel_array.shape == (2, 2)


@pytest.mark.parametrize("pixels", [None, b""])
def test_a_picture_without_pixels_is_said_to_be_one(pixels, tmp_path):
    source = dicom(tmp_path / "a.dcm", waves().astype(np.int16))
    dataset = read(source)
    del dataset.PixelData
    if pixels is not None:
        dataset.add_new("PixelData", "OW", pixels)
    dataset.save_as(source)
    with pytest.raises(InputError, match="has no pixel data"):
        DICOM.peek(source, DEFAULT)


@pytest.mark.parametrize("said", [2, None])
def test_frames_that_the_header_does_not_count_are_not_dropped(said, tmp_path):
    source = dicom(tmp_path / "a.dcm", np.stack([waves()] * 3).astype(np.int16))
    dataset = read(source)
    del dataset.NumberOfFrames
    if said:
        dataset.NumberOfFrames = said
    dataset.save_as(source)
    with pytest.raises(InputError, match=r"the header says . frames?, 3 are there"):
        DICOM.peek(source, DEFAULT)


@pytest.mark.parametrize("behind", [1, 100, 2 * 20 * 24 + 2])
def test_bytes_behind_the_frames_that_are_no_frames_are_padding(behind, tmp_path):
    source = dicom(tmp_path / "a.dcm", waves().astype(np.int16))
    dataset = read(source)
    dataset.PixelData += bytes(behind + behind % 2)
    dataset.save_as(source)
    assert DICOM.peek(source, DEFAULT).frames == 1


def test_the_map_is_shown_as_the_gray_that_it_is(tmp_path):
    colours = {
        f"{colour}PaletteColorLookupTable{part}": value
        for colour in ("Red", "Green", "Blue")
        for part, value in (("Descriptor", [2, 0, 16]), ("Data", bytes(4)))
    }
    source = dicom(
        tmp_path / "a.dcm",
        waves(low=0).astype(np.uint16),
        PhotometricInterpretation="MONOCHROME1",
        PresentationLUTShape="INVERSE",
        PixelPresentation="COLOR",
        ConcatenationUID="1.2.8",
        **colours,
    )
    large = enlarged(source, tmp_path / "b.dcm")
    assert (large.PresentationLUTShape, large.PixelPresentation) == ("INVERSE", "COLOR")
    whole, data = np.ones((1, 4, 4), np.uint16), SimpleNamespace(data="pictures")
    shown = halves.describe(large, whole, 1.0, data)
    assert shown.PhotometricInterpretation == "MONOCHROME2"
    assert (shown.PresentationLUTShape, shown.PixelPresentation) == ("IDENTITY", "MONOCHROME")
    assert not set(colours) & set(shown.dir())
    assert shown.ConcatenationUID not in ("1.2.8", large.ConcatenationUID)


def test_what_is_true_of_the_source_only_goes(tmp_path):
    """Counts of its pixels, its authorization, the program that wrote it."""
    counts = pydicom.Dataset()
    counts.HistogramNumberOfBins, counts.HistogramData = 2, [200, 280]
    source = dicom(
        tmp_path / "a.dcm", waves().astype(np.int16), SOPInstanceStatus="AO", Modality="DX"
    )
    dataset = read(source)
    dataset.HistogramSequence = [counts]
    dataset.file_meta.ImplementationVersionName = "SCANNER_7"
    dataset.save_as(source)
    after = enlarged(source, tmp_path / "b.dcm")
    assert "HistogramSequence" not in after and "SOPInstanceStatus" not in after
    assert after.file_meta.get("ImplementationVersionName") != "SCANNER_7"
    assert DICOM.verify(source, tmp_path / "b.dcm") == ()


def test_a_backslash_in_the_name_of_a_series(tmp_path):
    source = dicom(tmp_path / "a.dcm", waves().astype(np.int16), SeriesDescription="T1\\T2")
    assert enlarged(source, tmp_path / "b.dcm").SeriesDescription == "T1/T2 2x cubic-x2"


@pytest.mark.parametrize("irreversible", [True, False])
def test_loss_that_only_the_frames_of_jpeg_2000_tell(tmp_path, irreversible):
    """A syntax that may lose something and no element that says whether: the wavelet does."""
    source = read(SHIPPED / "693_J2KI.dcm")
    del source.LossyImageCompression
    at = source.PixelData.find(b"\xff\x52", source.PixelData.find(b"\xff\x4f\xff\x51")) + 13
    assert source.PixelData[at] == 1
    wavelet = bytes([0 if irreversible else 1])
    source.PixelData = source.PixelData[:at] + wavelet + source.PixelData[at + 1 :]
    source.save_as(tmp_path / "a.dcm")
    image = opened(tmp_path / "a.dcm", DEFAULT)
    assert image.is_lossy is irreversible
    assert DICOM.keeps_samples(tmp_path / "a.dcm", tmp_path / "a.dcm") is not irreversible
    loss.keep(image.elements, image.syntax)
    assert image.elements.LossyImageCompressionMethod == "ISO_15444_1"


def test_a_decoder_in_its_own_process_is_started_once_a_file(tmp_path, monkeypatch):
    """Starting it takes longer than all else, and the frames are gone through four times."""
    starts, run = [], apart.subprocess.run
    monkeypatch.setattr(
        apart.subprocess, "run", lambda *args, **more: starts.append(1) or run(*args, **more)
    )
    monkeypatch.setattr(apart, "_kept", {})
    source = tmp_path / "a.dcm"
    source.write_bytes((SHIPPED / "MR_small_jpeg_ls_lossless.dcm").read_bytes())
    enlarged(source, tmp_path / "b.dcm")
    assert len(list(DICOM.layers(source, tmp_path / "b.dcm"))) == 1
    assert len(starts) == 1
    source.write_bytes((SHIPPED / "JPEGLSNearLossless_16.dcm").read_bytes())
    after = enlarged(source, tmp_path / "c.dcm")
    assert (len(starts), after.Rows) == (2, 2 * read(source).Rows)
    monkeypatch.setattr(apart, "MOST_KEPT", 100)
    source.write_bytes((SHIPPED / "MR_small_jpeg_ls_lossless.dcm").read_bytes())
    enlarged(source, tmp_path / "d.dcm")
    assert len(starts) == 4
    assert (tmp_path / "d.dcm").read_bytes() == (tmp_path / "b.dcm").read_bytes()

"""`verify` of DICOM images: whatever is lost or changed behind their back is named."""

from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.dataset import Dataset

from medical_samples import SLANTED, Cubic, dicom, read, waves
from reslift.media import MEDIA, Wishes

DICOM = MEDIA["dicom"]


def item(**values):
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def frame(number):
    """Its own place, spacing and units, as enhanced images tell them."""
    return item(
        PlanePositionSequence=[item(ImagePositionPatient=[1.0 * number, 2.0, 3.0])],
        PixelMeasuresSequence=[item(PixelSpacing=[0.7, 0.4], SliceThickness=2)],
        PixelValueTransformationSequence=[
            item(RescaleSlope=str(1 + number), RescaleIntercept="-1000", RescaleType="HU")
        ],
    )


def enhanced(path):
    shared = item(PlaneOrientationSequence=[item(ImageOrientationPatient=SLANTED)])
    top = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    return dicom(
        path,
        np.stack([waves(low=0, high=1000 + n) for n in range(3)]).astype(np.uint16),
        SharedFunctionalGroupsSequence=[shared],
        PerFrameFunctionalGroupsSequence=[frame(n) for n in range(3)],
        **dict.fromkeys(top),
    )


def plain(path):
    """Without a place in the patient; with padding, an overlay, a private element; once lossy."""
    pixels = waves(low=0, high=3000).astype(np.int16)
    pixels[:4] = -5
    top = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    facts = {"ImagerPixelSpacing": [0.2, 0.2], "PixelPaddingValue": -5, **dict.fromkeys(top)}
    dataset = read(dicom(path, pixels, LossyImageCompression="01", **facts))
    block = dataset.private_block(0x0011, "ACME", create=True)
    block.add_new(1, "LO", "a word of theirs")
    height, width = pixels.shape
    for element, vr, value in (
        (0x0010, "US", height),
        (0x0011, "US", width),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", 1),
        (0x0102, "US", 0),
        (0x3000, "OW", b"\x0f" * (height * width // 8)),
    ):
        dataset.add_new((0x6000, element), vr, value)
    dataset.save_as(path)
    return path


def repaint(dataset, change):
    pixels = dataset.pixel_array.copy()
    change(pixels)
    dataset.PixelData = pixels.tobytes()


def groups(dataset, number):
    return dataset.PerFrameFunctionalGroupsSequence[number]


FAULTS = [
    (plain, "ImagerPixelSpacing", lambda d: setattr(d, "ImagerPixelSpacing", [0.2, 0.2])),
    (plain, "lost: ImagerPixelSpacing", lambda d: delattr(d, "ImagerPixelSpacing")),
    (plain, "StudyDate", lambda d: setattr(d, "StudyDate", "19990101")),
    (plain, "lost: (0011,0010)", lambda d: d.remove_private_tags()),
    (plain, "(6000,3000)", lambda d: d.__delitem__((0x6000, 0x3000))),
    (plain, "lost: PixelPaddingValue", lambda d: delattr(d, "PixelPaddingValue")),
    (plain, "PixelSpacing: not in the source", lambda d: setattr(d, "PixelSpacing", [0.1, 0.1])),
    (plain, "LossyImageCompression does not", lambda d: setattr(d, "LossyImageCompression", "00")),
    (plain, "says ORIGINAL", lambda d: setattr(d, "ImageType", ["ORIGINAL", "PRIMARY"])),
    (enhanced, "says ORIGINAL", lambda d: setattr(d, "ImageType", "ORIGINAL")),
    (plain, "padding in one", lambda d: repaint(d, lambda p: p.__setitem__((2, 3), 900))),
    (plain, "padding in one", lambda d: repaint(d, lambda p: p.__setitem__((20, 3), -5))),
    (plain, "beyond the range", lambda d: repaint(d, lambda p: p.__setitem__((8, 3), 3001))),
    (enhanced, "RescaleSlope", lambda d: setattr(
        groups(d, 1).PixelValueTransformationSequence[0], "RescaleSlope", "7")),
    (enhanced, "SliceThickness", lambda d: setattr(
        groups(d, 2).PixelMeasuresSequence[0], "SliceThickness", "7")),
    (enhanced, "PlanePosition", lambda d: groups(d, 2).__delattr__("PlanePositionSequence")),
    (enhanced, "corners lie", lambda d: setattr(
        groups(d, 2).PlanePositionSequence[0], "ImagePositionPatient", [2.0, 2.0, 3.0])),
]  # fmt: skip


@pytest.mark.parametrize(("made", "words", "change"), FAULTS)
def test_what_was_changed_is_named_and_no_value_of_it(made, words, change, tmp_path):
    source, target = made(tmp_path / "a.dcm"), tmp_path / "b.dcm"
    DICOM.upscale(Cubic(), source, target, Wishes())
    assert DICOM.verify(source, target) == ()
    after = read(target)
    change(after)
    after.save_as(target)
    found = " | ".join(DICOM.verify(source, target))
    assert words in found
    assert not any(word in found for word in ("SECRET", "Secret", "1999", "theirs"))


def test_frames_may_use_the_range_of_all(tmp_path):
    pixels = np.stack([waves(low=0, high=50), waves(low=0, high=900)]).astype(np.uint16)
    source = dicom(tmp_path / "a.dcm", pixels)
    target = dicom(tmp_path / "b.dcm", pixels.repeat(2, 1).repeat(2, 2))
    assert {(one.least, one.most) for one in DICOM.layers(source, target)} == {(0.0, 900.0)}


def test_a_window_goes_by_the_slope_of_each_frame(tmp_path):
    source, enlarger = enhanced(tmp_path / "a.dcm"), Cubic()
    DICOM.upscale(enlarger, source, tmp_path / "b.dcm", Wishes(window=(-500, 600)))
    stored = read(source).pixel_array
    # Each frame is seen in its window first; of -800 to -200 HU, which is 200 to 800 ÷ its slope.
    for number, shown in enumerate(enlarger.shown[:6:2]):
        low, high = 200 / (1 + number), 800 / (1 + number)
        wanted = ((stored[number] - low) / (high - low)).clip(0, 1)
        assert np.allclose(shown[..., 0], wanted, atol=1e-6)


def test_a_window_that_cannot_be_used_is_said(tmp_path):
    table = item(LUTDescriptor=[4, 0, 16], LUTData=b"\0" * 8)
    table["LUTDescriptor"].VR, table["LUTData"].VR = "US", "OW"
    gray = dicom(tmp_path / "a.dcm", waves(low=0).astype(np.int16), ModalityLUTSequence=[table])
    colours = dicom(tmp_path / "c.dcm", np.zeros((9, 9, 3), np.uint8))
    for source, word in ((gray, "table"), (colours, "colours")):
        target = tmp_path / "b.dcm"
        notes = DICOM.upscale(Cubic(), source, target, Wishes(overwrite=True, window=(40, 400)))
        assert word in notes[0]


def test_a_map_of_half_widths_has_no_mapping_of_values(tmp_path):
    from reslift.media.dicom import halves

    mapping = item(RealWorldValueSlope=2.0, RealWorldValueIntercept=0.0)
    source = dicom(
        tmp_path / "a.dcm", waves().astype(np.int16), RealWorldValueMappingSequence=[mapping]
    )
    calibration = SimpleNamespace(data="pictures")
    made = halves.describe(read(source), np.zeros((1, 24, 20), np.uint16), 0.5, calibration)
    assert "RealWorldValueMappingSequence" not in made
    assert float(made.RescaleSlope) == 0.5

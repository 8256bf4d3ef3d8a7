"""NIfTI in, NIfTI out: corners, values, what is kept and what is refused."""

import gzip
import itertools

import nibabel
import numpy as np
import pytest
import torch
from nibabel.nifti1 import Nifti1Extension

from kill_points import room
from medical_samples import Cubic, volume, waves
from reslift import batch
from reslift.errors import InputError, LimitError, OutputError, ResliftError, UsageError
from reslift.limits import DEFAULT, Limits
from reslift.media import MEDIA, Wishes, of
from reslift.sizes import Size
from reslift.uncertainty import Calibration, Judge

NIFTI = MEDIA["nifti"]
TURN = np.array(
    [[1.6, -0.36, 1.2, -31.0], [1.2, 0.48, -1.6, 12.0], [0.0, 1.8, 0.0, 4.5], [0, 0, 0, 1.0]]
)


def voxels(shape=(10, 12, 7), low=-200, high=900, dtype=np.int16):
    plane = waves(shape[0], shape[1], low, high)
    return np.stack([np.roll(plane, n, 0) for n in range(shape[2])], 2).astype(dtype)


def enlarged(source, target, scale=2, **wishes):
    enlarger, extent = Cubic(scale), NIFTI.peek(source, DEFAULT)
    NIFTI.check_target(target, extent, enlarger.size.of(extent.width, extent.height))
    NIFTI.upscale(enlarger, source, target, Wishes(**wishes))
    return nibabel.load(target)


def corners(affine, shape):
    ends = [(-0.5, side - 0.5) for side in shape[:3]]
    return np.array([affine @ [*corner, 1] for corner in itertools.product(*ends)])[:, :3]


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_corners_of_both_forms_stay(axis, suffix, tmp_path):
    source = volume(tmp_path / f"a{suffix}", voxels(), affine=TURN, codes=(1, 3))
    before, after = nibabel.load(source), enlarged(source, tmp_path / f"b{suffix}", axis=axis)
    across = 2 if axis is None else axis
    assert after.shape == tuple(n * (1 if i == across else 2) for i, n in enumerate(before.shape))
    for get in ("get_qform", "get_sform"):
        there, here = (getattr(image.header, get)() for image in (before, after))
        assert np.allclose(corners(there, before.shape), corners(here, after.shape), atol=1e-4)
    assert (after.header["qform_code"], after.header["sform_code"]) == (1, 3)
    assert NIFTI.verify(source, tmp_path / f"b{suffix}") == ()


def test_a_form_whose_code_is_unknown_is_moved_too(tmp_path):
    source = volume(tmp_path / "a.nii", voxels(), affine=TURN, codes=(0, 3))
    before, after = nibabel.load(source), enlarged(source, tmp_path / "b.nii")
    there, here = (image.header.get_qform() for image in (before, after))
    assert np.allclose(corners(there, before.shape), corners(here, after.shape), atol=1e-4)


@pytest.mark.parametrize(
    ("words", "place", "value"),
    [
        ("numbers in one", (1, 1, 0), 5.0),
        ("numbers in one", (11, 9, 1), np.nan),
        ("not within", (11, 9, 1), 1e6),
    ],
)
def test_missing_and_foreign_values_are_found(words, place, value, tmp_path):
    given = voxels().astype(np.float32)
    given[:3, :3] = np.nan
    source, target = volume(tmp_path / "a.nii", given), tmp_path / "b.nii"
    after = enlarged(source, target)
    assert NIFTI.verify(source, target) == ()
    made = after.get_fdata().astype(np.float32)
    made[place] = value
    nibabel.save(nibabel.Nifti1Image(made, None, after.header), target)
    assert words in " | ".join(NIFTI.verify(source, target))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_largest_float_is_no_value(dtype, tmp_path):
    """Programs put it where there is no data; over such a range floats have one value for all."""
    given = voxels(low=-5, high=5).astype(dtype)
    given[:3, :3] = np.finfo(np.float32).min
    source, target = volume(tmp_path / "a.nii", given), tmp_path / "b.nii"
    made = enlarged(source, target).get_fdata()
    assert np.array_equal(made[:6, :6], np.full((6, 6, 7), float(np.finfo(np.float32).min)))
    made[:6, :6] = 0
    assert -5 <= made.min() < -3 < 3 < made.max() <= 5
    assert NIFTI.verify(source, target) == ()
    assert {(layer.least, layer.most) for layer in NIFTI.layers(source, target)} == {(-5, 5)}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("pixdim", (2, 2, 2, 2, 1, 1, 1, 1), "spacing along axis 2 was 4 and is 2 for 1 times"),
        ("pixdim", (2, 1.06, 1.5, 4, 1, 1, 1, 1), "spacing along axis 0 was 2 and is 1.06 for 2"),
        ("intent_name", b"other", "intent_name is not that of the source"),
        ("aux_file", b"other", "aux_file is not that of the source"),
        ("descrip", b"other", "descrip is not that of the source"),
        ("dim_info", 1, "dim_info 57 became 1"),
        ("slice_duration", 3, "slice_duration 0.5 became 3.0"),
    ],
)
def test_changed_fields_are_found(field, value, words, tmp_path):
    source, target = volume(tmp_path / "a.nii", voxels()), tmp_path / "b.nii"
    given = nibabel.load(source)
    # Both forms as they are: programs that take neither go by the spacings alone.
    given.header["qform_code"] = given.header["sform_code"] = 0
    given.header["pixdim"][1:4] = 2, 3, 4
    given.header["dim_info"], given.header["slice_duration"] = 57, 0.5
    given.header["intent_name"], given.header["descrip"] = b"mine", b"told"
    header = given.header.copy()
    data = np.asarray(given.dataobj)
    source.write_bytes(header.binaryblock + bytes(4) + data.tobytes("F"))
    enlarged(source, target)
    assert NIFTI.verify(source, target) == ()
    data = target.read_bytes()
    made = nibabel.Nifti1Header(data[:348], check=False)
    made[field] = value
    target.write_bytes(made.binaryblock + data[348:])
    assert words in " | ".join(NIFTI.verify(source, target))


def test_slices_may_use_the_range_of_all(tmp_path):
    given = (np.arange(12 * 10 * 3, dtype=np.float32) % 7).reshape(12, 10, 3) * [1, 10, 100]
    source = volume(tmp_path / "a.nii", given.astype(np.float32))
    enlarged(source, tmp_path / "b.nii")
    bounds = {(one.least, one.most) for one in NIFTI.layers(source, tmp_path / "b.nii")}
    assert bounds == {(0.0, 600.0)}


def test_the_quick_look_knows_the_axis(tmp_path):
    source = volume(tmp_path / "a.nii", voxels((6, 7, 8)))
    sides = {axis: NIFTI.peek(source, DEFAULT, Wishes(axis=axis)) for axis in range(3)}
    assert {a: (e.width, e.height, e.frames) for a, e in sides.items()} == {
        0: (7, 8, 6),
        1: (6, 8, 7),
        2: (6, 7, 8),
    }
    naming = batch.Naming(str(tmp_path / "out.nii"), "-x2")
    request = batch.Request([str(source)], Size(scale=2), naming, wishes=Wishes(axis=0))
    assert [job.wanted for job in batch.plan(request).jobs] == [(14, 16)]


def test_the_coarsest_axis_is_the_one_across(tmp_path):
    for coarse in range(3):
        spacing = np.diag([*(4.0 if axis == coarse else 1.0 for axis in range(3)), 1.0])
        source = volume(tmp_path / "a.nii", voxels((6, 7, 8)), affine=spacing)
        shape = enlarged(source, tmp_path / "b.nii", overwrite=True).shape
        assert shape[coarse] == (6, 7, 8)[coarse]


@pytest.mark.parametrize("dtype", ["u1", "i1", "i2", "u2", "i4", "u4", "f4", "f8", ">i2", ">f4"])
def test_type_scaling_and_extensions_are_kept(dtype, tmp_path):
    data = voxels(low=0, high=100).astype(dtype)
    image = nibabel.Nifti1Image(data, np.diag([1, 1, 3, 1]))
    image = nibabel.Nifti1Image(
        data, image.affine, image.header.as_byteswapped(">" if dtype.startswith(">") else "<")
    )
    image.header.set_data_dtype(np.dtype(dtype))
    image.header.extensions.append(Nifti1Extension("comment", b"written by a scanner"))
    image.header["descrip"], image.header["cal_max"] = b"T1", 77
    source = tmp_path / "a.nii"
    nibabel.save(image, source)
    block = bytearray(source.read_bytes())
    order = ">" if image.header.endianness == ">" else "<"
    block[112:120] = np.array([2.5, -7.0], f"{order}f4").tobytes()
    source.write_bytes(block)
    after = enlarged(source, tmp_path / "b.nii")
    assert after.header.get_data_dtype() == nibabel.load(source).header.get_data_dtype()
    assert (after.dataobj.slope, after.dataobj.inter) == (2.5, -7.0)
    assert after.header.extensions[0].get_content() == b"written by a scanner"
    assert bytes(after.header["descrip"].tobytes()).startswith(b"T1; reslift")
    assert float(after.header["cal_max"]) == 77
    stored = np.asarray(after.dataobj.get_unscaled())
    assert stored.min() >= data.min() and stored.max() <= data.max()
    blocks = data.astype(float).repeat(2, 0).repeat(2, 1)
    assert np.corrcoef(blocks.ravel(), stored.astype(float).ravel())[0, 1] > 0.95


AFNI = b'<AFNI_attributes><AFNI_atr atr_name="DELTA">1 1 3</AFNI_atr></AFNI_attributes>'
STACK = b'{"global": {}, "dcmmeta_shape": [10, 12, 7]}'


@pytest.mark.parametrize(("code", "text", "whose"), [(4, AFNI, "AFNI"), (0, STACK, "dcmstack")])
def test_extensions_that_say_where_voxels_lay_are_left_out(code, text, whose, tmp_path):
    image = nibabel.Nifti1Image(voxels(), np.diag([1, 1, 3, 1]))
    image.header.extensions.append(Nifti1Extension(code, text))
    image.header.extensions.append(Nifti1Extension("comment", b"written by a scanner"))
    nibabel.save(image, tmp_path / "a.nii")
    source, target = tmp_path / "a.nii", tmp_path / "b.nii"
    notes = NIFTI.upscale(Cubic(2), source, target, Wishes())
    assert notes == (f"its extension of {whose} says where the voxels lay, and is left out",)
    assert [e.get_code() for e in nibabel.load(target).header.extensions] == [6, 6]
    assert NIFTI.verify(source, target) == ()
    other = nibabel.load(target)
    other.header.extensions.clear()
    other.header.extensions.append(Nifti1Extension(code, text))
    nibabel.save(other, tmp_path / "c.nii")
    assert NIFTI.verify(source, tmp_path / "c.nii") == (
        f"its extension of {whose} says where the voxels of the source lie",
        "an extension of code 6 is lost",
    )


def test_times_stay_apart(tmp_path):
    data = np.stack([voxels() + 100 * n for n in range(3)], 3)
    source = volume(tmp_path / "a.nii.gz", data)
    after = enlarged(source, tmp_path / "b.nii.gz")
    assert after.shape == (20, 24, 7, 3)
    assert after.header["pixdim"][4] == nibabel.load(source).header["pixdim"][4]
    means = np.asarray(after.dataobj).mean((0, 1, 2))
    assert np.allclose(np.diff(means), 100, atol=2)


def test_what_is_no_number_stays_so_and_does_not_spread(tmp_path):
    data = voxels(dtype=np.float32)
    data[:4] = np.nan
    data[6, 6, 3] = np.inf
    after = np.asarray(enlarged(volume(tmp_path / "a.nii", data), tmp_path / "b.nii").dataobj)
    assert np.array_equal(~np.isfinite(after), ~np.isfinite(data).repeat(2, 0).repeat(2, 1))
    kept = data[np.isfinite(data)]
    assert after[np.isfinite(after)].min() >= kept.min()


def test_colours_and_flat_pictures(tmp_path):
    colour = np.zeros((8, 9, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    colour["G"] = voxels((8, 9, 3), 0, 255, np.uint8)
    after = enlarged(volume(tmp_path / "a.nii", colour), tmp_path / "b.nii")
    result = np.asarray(after.dataobj)
    assert result["G"].max() > 200 and result["R"].max() == 0
    flat = volume(tmp_path / "c.nii", voxels()[:, :, 0])
    assert enlarged(flat, tmp_path / "d.nii").shape == (20, 24)


def test_the_same_bytes_again(tmp_path):
    source = volume(tmp_path / "a.nii.gz", voxels())
    for name in ("b.nii.gz", "c.nii.gz"):
        enlarged(source, tmp_path / name)
    assert (tmp_path / "b.nii.gz").read_bytes() == (tmp_path / "c.nii.gz").read_bytes()


def test_what_is_refused(tmp_path):
    labels = volume(tmp_path / "a.nii", voxels(), intent_code=1002)
    with pytest.raises(InputError, match="labels"):
        NIFTI.peek(labels, DEFAULT)
    with pytest.raises(InputError, match="voxel type complex64 "):
        NIFTI.peek(volume(tmp_path / "b.nii", voxels().astype(np.complex64)), DEFAULT)
    with pytest.raises(LimitError, match="max-file-bytes"):
        NIFTI.peek(volume(tmp_path / "c.nii.gz", np.zeros((60, 60, 60))), Limits(file_bytes=9000))
    with pytest.raises(UsageError, match=r"\.nii\.gz"):
        NIFTI.check_target(
            tmp_path / "b.png", NIFTI.peek(volume(tmp_path / "d.nii", voxels()), DEFAULT), (20, 24)
        )
    for name in ("d.nii", "d.nii.gz"):
        whole = volume(tmp_path / name, voxels()).read_bytes()
        for end in (400, len(whole) // 2, len(whole) - 9):
            (tmp_path / name).write_bytes(whole[:end])
            if of(tmp_path / name) is NIFTI:
                with pytest.raises(InputError, match=name):
                    enlarged(tmp_path / name, tmp_path / "e.nii")
    assert not (tmp_path / "e.nii").exists()


def test_changed_bytes_never_end_in_a_traceback(tmp_path):
    whole = volume(tmp_path / "a.nii", voxels((6, 6, 3))).read_bytes()
    rng, refused = np.random.default_rng(3), 0
    for _ in range(150):
        mutant = bytearray(whole)
        for place in rng.integers(4, 344, 5):
            mutant[place] = rng.integers(256)
        path = tmp_path / "m.nii"
        path.write_bytes(mutant)
        try:
            enlarged(path, tmp_path / "b.nii", overwrite=True)
        except ResliftError as error:
            refused += 1
            assert str(error).startswith(str(tmp_path)) and "\n" not in str(error)
    assert 5 < refused < 150


def test_content_tells(tmp_path):
    source = volume(tmp_path / "a.nii.gz", voxels())
    other = tmp_path / "b.txt"
    other.write_bytes(source.read_bytes())
    assert of(other) is NIFTI
    other.write_bytes(gzip.compress(b"no volume" * 99))
    assert of(other) is None


@pytest.mark.parametrize("size", [Size(scale=1.7), Size(sides=(31, 17)), Size(scale=0.7)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_corners_of_both_forms_stay_at_any_size(axis, size, tmp_path):
    source = volume(tmp_path / "a.nii", voxels(), affine=TURN, codes=(1, 3))
    before, after = nibabel.load(source), enlarged(source, tmp_path / "b.nii", size, axis=axis)
    inside = [n for n in range(3) if n != axis]
    wanted = list(before.shape)
    sides = size.of(*(before.shape[n] for n in inside))
    for place, side in zip(inside, sides, strict=True):
        wanted[place] = side
    assert list(after.shape) == wanted
    for get in ("get_qform", "get_sform"):
        there, here = (getattr(image.header, get)() for image in (before, after))
        assert np.allclose(corners(there, before.shape), corners(here, after.shape), atol=1e-4)
    label = "x".join(map(str, sides)).encode()
    assert label in bytes(after.header["descrip"].tobytes())
    assert NIFTI.verify(source, tmp_path / "b.nii") == ()
    moved = after.header.copy()
    moved["srow_x"][3] += 2
    nibabel.save(nibabel.Nifti1Image(after.get_fdata().astype("i2"), None, moved), source)
    assert "corners lie" in NIFTI.verify(tmp_path / "b.nii", source)[0]


def test_what_is_no_number_stays_so_at_any_size(tmp_path):
    data = voxels(dtype=np.float32)
    data[:4] = np.nan
    source = volume(tmp_path / "a.nii", data)
    after = np.asarray(enlarged(source, tmp_path / "b.nii", Size(scale=1.7)).dataobj)
    gone = np.isnan(data)[((np.arange(17) + 0.5) / 17 * 10).astype(int)]
    gone = gone[:, ((np.arange(20) + 0.5) / 20 * 12).astype(int)]
    assert np.array_equal(np.isnan(after), gone)
    assert np.nanmin(after) >= np.nanmin(data) and np.nanmax(after) <= np.nanmax(data)


def flat_head(lr, sr):
    """log b = 0 everywhere."""
    return torch.zeros(1, 1, *sr.shape[2:])


flat_head.halo, flat_head.scale = 2, 2


class Unsure(Cubic):
    """Trusts every pixel to 0.1 of what the network was shown."""

    judge = Judge(
        flat_head,
        Calibration(
            levels=(0.9,), centres=(0.0,), factors=((0.1,),), data="planted", pictures=1, samples=1
        ),
    )


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["i2", ">f4"])
def test_half_widths_lie_in_the_place_of_the_volume(suffix, dtype, tmp_path):
    values = voxels().astype(dtype)
    if values.dtype.kind == "f":
        values[2, 3, 1] = np.nan
    source, target = volume(tmp_path / f"a{suffix}", values, affine=TURN), tmp_path / f"b{suffix}"
    (path,) = NIFTI.maps(target)
    notes = NIFTI.upscale(Unsure(2), source, target, Wishes(uncertainty=True))
    assert path.name == f"b{suffix}.uncertainty{suffix}" and path.name in notes[-1]
    result, halves = nibabel.load(target), nibabel.load(path)
    assert np.array_equal(result.affine, halves.affine)
    assert halves.shape == result.shape and halves.get_data_dtype().kind == "f"
    numbers = np.isfinite(result.get_fdata())
    slope = result.dataobj.slope
    span = slope * float(np.nanmax(values.astype(float)) - np.nanmin(values.astype(float)))
    assert halves.get_fdata()[numbers] == pytest.approx(0.1 * span, rel=1e-3)
    assert (halves.get_fdata()[~numbers] == 0).all()
    assert NIFTI.verify(source, target) == ()


def test_no_map_is_left_without_its_volume(tmp_path):
    """The end of a compressed volume is written when it is closed."""
    source, target = volume(tmp_path / "a.nii.gz", voxels(), affine=TURN), tmp_path / "b.nii.gz"
    NIFTI.upscale(Unsure(2), source, target, Wishes(uncertainty=True))
    whole, (path,) = target.stat().st_size, NIFTI.maps(target)
    assert path.stat().st_size < whole
    path.unlink(), target.unlink()
    with room(whole - 1), pytest.raises(OutputError, match=r"b\.nii\.gz: File too large"):
        NIFTI.upscale(Unsure(2), source, target, Wishes(uncertainty=True))
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
@pytest.mark.parametrize("packed", [False, True])
def test_header_and_voxels_may_lie_in_two_files(kind, packed, tmp_path):
    stored, ending = voxels(), ".gz" if packed else ""
    for made, name in ((kind(stored, TURN), "a.img"), (nibabel.Nifti1Image(stored, TURN), "b.nii")):
        made.header.extensions.append(Nifti1Extension("comment", b"of the source"))
        nibabel.save(made, tmp_path / name)
    if packed:
        for name in ("a.hdr", "a.img"):
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress((tmp_path / name).read_bytes()))
            (tmp_path / name).unlink()
    header = tmp_path / f"a.hdr{ending}"
    assert of(header) is of(tmp_path / f"a.img{ending}") is NIFTI
    assert NIFTI.known(header) == (tmp_path / f"a.img{ending}",)
    one, other = (
        enlarged(source, tmp_path / f"{source.name[0]}-out.nii")
        for source in (header, tmp_path / "b.nii")
    )
    assert np.array_equal(one.dataobj.get_unscaled(), other.dataobj.get_unscaled())
    assert np.allclose(one.affine, other.affine)
    assert one.header.extensions[0].get_content() == b"of the source"
    assert not NIFTI.verify(header, tmp_path / "a-out.nii")
    with pytest.raises(InputError, match=rf"its header is a\.hdr{ending}; give that"):
        NIFTI.peek(tmp_path / f"a.img{ending}", DEFAULT)
    (tmp_path / f"a.img{ending}").unlink()
    with pytest.raises(InputError, match=r"its voxels are not beside it, in a\.img"):
        NIFTI.peek(header, DEFAULT)


@pytest.mark.parametrize(
    ("at", "value"), [(0, 0.0), (0, 0.5), (0, -1.0), (1, -2.0), (2, 0.0), (2, np.nan)]
)
def test_spacings_that_should_not_be_are_taken_as_other_readers_do(at, value, tmp_path):
    source, target = volume(tmp_path / "a.nii", voxels(), affine=TURN, codes=(1, 0)), "b.nii"
    block = bytearray(source.read_bytes())
    block[76 + 4 * at : 80 + 4 * at] = np.array(value, "<f4").tobytes()
    source.write_bytes(block)
    after = enlarged(source, tmp_path / target)
    before = nibabel.load(source)
    assert (float(after.header["pixdim"][0]) < 0) == (at == 0 and value < 0)
    if value == value:
        there, here = (image.header.get_qform() for image in (before, after))
        assert np.allclose(corners(there, before.shape), corners(here, after.shape), atol=1e-4)
    assert float(after.header["pixdim"][1]) == 1.0
    assert np.isclose(after.header["pixdim"][2], 0.5 if at == 2 else 0.9486833)


@pytest.mark.parametrize("intent", [1002, 1008, 1010, 2006, 2009, 3001, 3006])
def test_what_holds_no_intensities_is_refused(intent, tmp_path):
    source = volume(tmp_path / "a.nii", voxels(), intent_code=intent)
    with pytest.raises(InputError, match="not intensities"):
        NIFTI.peek(source, DEFAULT)


@pytest.mark.parametrize("axis", [None, 0])
def test_when_slices_were_taken_is_kept_for_those_slices_only(axis, tmp_path):
    times = {"slice_end": 6, "slice_code": 1, "slice_duration": 0.5}
    source = volume(tmp_path / "a.nii", voxels(), dim_info=0b110000, **times)
    enlarger, target = Cubic(2), tmp_path / "b.nii"
    notes = NIFTI.upscale(enlarger, source, target, Wishes(axis=axis))
    header = nibabel.load(target).header
    assert [float(header[field]) for field in times] == [n * (axis is None) for n in (6, 1, 0.5)]
    assert any("when its slices were taken" in note for note in notes) == (axis is not None)
    assert NIFTI.verify(source, target) == ()
    raw = bytearray(target.read_bytes())
    raw[122] = 2  # slice_code
    target.write_bytes(raw)
    assert NIFTI.verify(source, target) != ()


@pytest.mark.parametrize(("dtype", "levels"), [("u1", 1), ("f4", 7), ("i2", 900)])
def test_a_volume_that_may_hold_labels_is_said_to(dtype, levels, tmp_path):
    source = volume(tmp_path / "a.nii", voxels((40, 40, 7), 0, levels).astype(dtype))
    notes = NIFTI.upscale(Cubic(2), source, tmp_path / "b.nii", Wishes())
    assert any("labels" in note for note in notes) == (levels < 32)

"""The Upscaler: every kind of image in Python, files, transparency, memory, failure."""

import os

import numpy as np
import pytest
import torch
from PIL import Image

import reslift
from reslift import arrays, formats
from reslift.errors import (
    InputError,
    LimitError,
    OutputError,
    OutputExists,
    ResliftError,
    UsageError,
)
from reslift.limits import Limits
from reslift.media import Wishes
from reslift.sizes import Size
from reslift.upscale import Upscaler
from small_models import bicubic_lift, card_of, made, saved, small_lift

SIZES = [(1, 1), (1, 7), (37, 1), (5, 4), (3000, 1)]


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture(scope="module")
def upscaler():
    return made(small_lift(2))


@pytest.fixture(scope="module")
def bicubic():
    return made(bicubic_lift(4))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("bands", [None, 1, 2, 3, 4, 6])
def test_arrays_keep_kind_dtype_and_layout(upscaler, dtype, bands):
    shape = (9, 7) if bands is None else (9, 7, bands)
    image = rng().random(shape, dtype=np.float32)
    if dtype != "float32":
        image = (image * np.iinfo(dtype).max).astype(dtype)
    before = image.copy()
    sr = upscaler(image)
    assert type(sr) is np.ndarray and sr.dtype == dtype
    assert sr.shape == (18, 14, *shape[2:])
    np.testing.assert_array_equal(image, before)
    if dtype == "float32":
        assert sr.min() >= 0 and sr.max() <= 1


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_sizes_are_exact(scale, height, width):
    sr = made(bicubic_lift(scale))(rng().integers(0, 256, (height, width, 3), np.uint8))
    assert sr.shape == (height * scale, width * scale, 3)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "I;16"])
def test_pil_modes_are_kept(upscaler, mode):
    bands = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "I;16": 2}[mode]
    image = Image.frombytes(mode, (7, 9), rng().bytes(63 * bands))
    image.info = {"icc_profile": b"profile", "dpi": (300, 300), "other": 1}
    sr = upscaler(image)
    assert (sr.mode, sr.size) == (mode, (14, 18))
    assert sr.info == {"icc_profile": b"profile", "dpi": (300, 300)}
    if mode not in ("CMYK", "I;16"):
        array = np.asarray(image)
        np.testing.assert_array_equal(np.asarray(sr), upscaler(array))
    if mode == "I;16":
        np.testing.assert_array_equal(np.asarray(sr), upscaler(np.asarray(image)))


def test_palettes_and_black_and_white_become_colour_and_gray(upscaler):
    palette = Image.new("P", (4, 4))
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert upscaler(palette).mode == "RGB"
    palette.info["transparency"] = 0
    assert upscaler(palette).mode == "RGBA"
    assert upscaler(Image.new("1", (4, 4))).mode == "L"


def test_cmyk_goes_plane_by_plane(upscaler):
    image = Image.frombytes("CMYK", (7, 9), rng().bytes(63 * 4))
    sr, planes = np.asarray(upscaler(image)), np.asarray(image)
    for plane in range(4):
        np.testing.assert_array_equal(sr[..., plane], upscaler(planes[..., plane].copy()))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float16, torch.float64])
@pytest.mark.parametrize("shape", [(3, 9, 7), (2, 1, 9, 7), (2, 4, 9, 7)])
def test_tensors_keep_dtype_and_layout(upscaler, dtype, shape):
    image = torch.rand(shape)
    image = (image * 255).to(dtype) if dtype == torch.uint8 else image.to(dtype)
    sr = upscaler(image)
    assert sr.dtype == dtype and sr.is_contiguous()
    assert sr.shape == (*shape[:-2], 18, 14)
    if len(shape) == 4:
        assert sr[1].equal(upscaler(image[1]))


def test_all_kinds_give_the_same_values(upscaler):
    array = rng(3).integers(0, 256, (11, 8, 3), np.uint8)
    sr = upscaler(array)
    np.testing.assert_array_equal(np.asarray(upscaler(Image.fromarray(array))), sr)
    tensor = upscaler(torch.from_numpy(array).permute(2, 0, 1))
    np.testing.assert_array_equal(tensor.permute(1, 2, 0).numpy(), sr)


def see_through(mode):
    image = Image.new(mode, (4, 4), 5)
    image.info["transparency"] = 5
    return image


@pytest.mark.parametrize(
    ("image", "says"),
    [
        ("photo.png", "cannot upscale a str"),
        (np.zeros((4, 4, 3)), "not float64"),
        (np.zeros((4, 4), bool), "not bool"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"not \(2, 4, 4, 3\)"),
        (np.zeros((0, 4, 3), np.uint8), r"not \(0, 4, 3\)"),
        (np.ma.zeros((4, 4), np.uint8), "has no mask"),
        (np.zeros((3, 40, 40), np.uint8), r"looks like \(C, H, W\)"),
        (np.full((4, 4), 200, np.float32), r"in \[200, 200\]; divide"),
        (np.full((4, 4), np.nan, np.float32), "holds NaN; fill it in"),
        (torch.zeros(4, 4), r"not \(4, 4\)"),
        (torch.zeros(40, 40, 3), r"looks like \(H, W, C\)"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "not torch.int64"),
        (torch.full((3, 4, 4), 255.0), r"in \[255, 255\]"),
        (Image.new("HSV", (4, 4)), "mode HSV"),
        (Image.new("F", (4, 4)), "mode F"),
        (Image.new("RGB", (0, 4)), "size"),
        (torch.zeros(3, 4, 4, device="meta"), "meta device"),
        (torch.zeros(3, 4, 4).to_sparse(), "sparse"),
        (see_through("I;16"), "transparent value"),
    ],
)
def test_what_is_no_image_is_refused(upscaler, image, says):
    with pytest.raises(InputError, match=says):
        upscaler(image)


@pytest.mark.filterwarnings("ignore:.*nested tensors")
def test_nested_tensors_are_refused(upscaler):
    with pytest.raises(InputError, match="not nested"):
        upscaler(torch.nested.nested_tensor([torch.zeros(3, 4, 4), torch.zeros(3, 4, 4)]))


def test_a_pil_image_that_cannot_be_decoded_is_refused(tmp_path, upscaler):
    path = tmp_path / "a.png"
    Image.new("RGB", (40, 40)).save(path)
    closed = Image.open(path)
    closed.close()
    with pytest.raises(InputError, match="cannot be decoded"):
        upscaler(closed)
    path.write_bytes(path.read_bytes()[:-30])
    with Image.open(path) as cut_off, pytest.raises(InputError, match="truncated"):
        upscaler(cut_off)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_views_and_the_other_byte_order_give_the_same(upscaler, dtype):
    high = 65535 if dtype == np.uint16 else 1
    array = (np.random.default_rng(0).random((8, 9, 3)) * high).astype(dtype)
    plain, swapped = upscaler(array), np.dtype(dtype).newbyteorder("S")
    np.testing.assert_array_equal(upscaler(array.astype(swapped)), plain)
    np.testing.assert_array_equal(upscaler(array[::-1, ::-1].copy()[::-1, ::-1]), plain)
    np.testing.assert_array_equal(upscaler(np.asfortranarray(array)), plain)


def test_a_torch_device_is_a_device():
    model = small_lift(2)
    assert Upscaler(model, card_of(model), device=torch.device("cpu")).device == "cpu"


def test_more_than_256_levels_survive(bicubic):
    ramp = np.linspace(0, 65535, 700).round().astype(np.uint16)
    sr = bicubic(np.repeat(ramp[None, :, None], 4, 0).repeat(3, 2))
    assert sr.dtype == np.uint16 and len(np.unique(sr)) > 2000


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_are_never_saved(tmp_path, poison):
    model = small_lift(2)
    with torch.no_grad():
        model.tail.bias[0] = poison
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(ResliftError, match="NaN or infinity"):
        made(model).upscale_file(tmp_path / "a.png", tmp_path / "b.png")
    assert os.listdir(tmp_path) == ["a.png"]


def test_limits_hold_in_the_library_too(tmp_path):
    image = np.zeros((10, 10, 3), np.uint8)
    small_in, small_out = Limits(input_pixels=99), Limits(output_pixels=399)
    with pytest.raises(LimitError, match="--max-input-pixels 100"):
        made(small_lift(2), limits=small_in)(image)
    with pytest.raises(LimitError, match="--max-output-pixels 400"):
        made(small_lift(2), limits=small_out)(image)
    Image.fromarray(image).save(tmp_path / "a.png")
    for limits in (small_in, small_out):
        with pytest.raises(LimitError, match=r"a\.png"):
            made(small_lift(2), limits=limits).upscale_file(tmp_path / "a.png", tmp_path / "b.png")
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_file_gives_the_pixels_that_an_array_gives(tmp_path, upscaler):
    array = rng(5).integers(0, 65536, (13, 9, 4), np.uint16)
    picture = formats.Picture(array, "rgb", True, resolution=(300.0, 300.0, "inch"))
    formats.write(tmp_path / "a.png", picture)
    source = (tmp_path / "a.png").read_bytes()
    done = []
    target = tmp_path / "new" / "folder" / "b.tiff"
    upscaler.upscale_file(tmp_path / "a.png", target, progress=done.append)
    result = formats.read(target)
    np.testing.assert_array_equal(result.pixels, upscaler(array))
    assert result.alpha and result.resolution == (118.11, 118.11, "cm")
    assert sum(done) == 26 * 18
    assert (tmp_path / "a.png").read_bytes() == source
    with pytest.raises(OutputExists):
        upscaler.upscale_file(tmp_path / "a.png", target)
    upscaler.upscale_file(tmp_path / "a.png", target, Wishes(overwrite=True))


def test_a_folder_that_cannot_be_made_is_an_output_error(tmp_path, upscaler):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(OutputError, match="cannot make the folder"):
        upscaler.upscale_file(tmp_path / "a.png", tmp_path / "a.png" / "b.png")


def test_a_target_that_cannot_be_is_refused_before_any_work(tmp_path, monkeypatch, upscaler):
    path = tmp_path / "a.png"
    Image.new("RGB", (4, 4)).save(path)
    (tmp_path / "there.png").write_bytes(b"kept")
    monkeypatch.setattr(upscaler, "_stitcher", None)
    with pytest.raises(OutputExists):
        upscaler.upscale_file(path, tmp_path / "there.png")
    with pytest.raises(UsageError, match="names no format"):
        upscaler.upscale_file(path, tmp_path / "b.xyz")
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match=r"b\.png: Permission denied"):
        upscaler.upscale_file(path, tmp_path / "b.png")
    assert (tmp_path / "there.png").read_bytes() == b"kept"


def test_a_result_on_disk_is_the_same_file(tmp_path, monkeypatch, upscaler):
    Image.fromarray(rng().integers(0, 256, (40, 30, 3), np.uint8)).save(tmp_path / "a.png")
    upscaler.upscale_file(tmp_path / "a.png", tmp_path / "b.png")
    monkeypatch.setattr("reslift.work.IN_MEMORY", 0)
    upscaler.upscale_file(tmp_path / "a.png", tmp_path / "c.png")
    assert (tmp_path / "b.png").read_bytes() == (tmp_path / "c.png").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["a.png", "b.png", "c.png"]


def test_load_takes_a_file_and_its_scale(tmp_path):
    path = saved(tmp_path / "m.safetensors", small_lift(2))
    upscaler = reslift.load(path, device="cpu", backend="torch")
    image = rng().integers(0, 256, (6, 5, 3), np.uint8)
    assert upscaler.scale == 2 and upscaler.card.name == "small" and upscaler.device == "cpu"
    np.testing.assert_array_equal(upscaler(image), made(small_lift(2))(image))
    twice = reslift.load(path, scale=4, device="cpu", backend="torch")
    assert twice.scale == 4 and twice(image).shape == (24, 20, 3)


def test_planes_of_an_array_are_named_by_their_count():
    kinds = {n: arrays.as_planes(np.zeros((1, 1, n))) for n in (1, 2, 3, 4, 7)}
    assert [(p.space, p.alpha) for p in kinds.values()] == [
        ("gray", False),
        ("gray", True),
        ("rgb", False),
        ("rgb", True),
        ("gray", False),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"name_or_file": None},
        {"name_or_file": 5},
        {"scale": "4"},
        {"scale": True},
        {"tile": "a"},
        {"size": (40, 40)},
        {"limits": 3},
        {"strength": "a"},
        {"consistent": "x"},
        {"ensemble": "no"},
        {"wrap": 2},
        {"backend": None},
        {"kernel": None},
        {"max_memory": True},
        {"max_memory": b"2G"},
        {"max_memory": float("nan")},
    ],
)
def test_values_of_other_types_are_one_line(wrong):
    with pytest.raises(UsageError, match="give "):
        reslift.load(**wrong)


def test_other_types_of_paths_and_strengths_are_one_line_too(tmp_path, upscaler):
    with pytest.raises(UsageError, match="source None: give a path"):
        upscaler.upscale_file(None, tmp_path / "b.png")
    dial = upscaler.dial(np.zeros((3, 3), np.uint8))
    with pytest.raises(UsageError, match="strength 'x': give a number"):
        dial.at("x")


@pytest.mark.parametrize(
    "size",
    [
        Size(scale=np.int64(2)),
        Size(scale=np.float32(1.5)),
        Size(long_side=np.int16(20)),
        Size(megapixels=np.float32(0.001)),
        Size(sides=[np.int64(20), None]),
        Size(scale=2, crop=np.array([0, 0, 4, 4]).tolist()),
        Size(scale=2, crop=tuple(np.array([0, 0, 4, 4]))),
    ],
)
def test_numbers_of_numpy_are_numbers_in_files_too(tmp_path, size):
    source = tmp_path / "a.png"
    Image.new("RGB", (8, 6)).save(source)
    upscaler = made(small_lift(2), size=size, strength=np.float32(0.5))
    upscaler.upscale_file(str(source), str(tmp_path / "b.png"), Wishes(provenance_file=True))
    assert formats.read(tmp_path / "b.png").width == size.of(8, 6)[0]


@pytest.mark.parametrize("name", ["a.png", "linked.png", "hard.png"])
def test_an_input_is_never_overwritten(tmp_path, upscaler, name):
    source = tmp_path / "a.png"
    Image.new("RGB", (8, 6)).save(source)
    (tmp_path / "linked.png").symlink_to(source)
    (tmp_path / "hard.png").hardlink_to(source)
    before = source.read_bytes()
    for overwrite in (False, True):
        with pytest.raises(UsageError, match="would overwrite the input"):
            upscaler.upscale_file(source, tmp_path / name, Wishes(overwrite=overwrite))
    assert source.read_bytes() == before


def test_no_sides_at_all_are_no_size():
    with pytest.raises(UsageError, match="a side is a number"):
        Size(sides=[None, None])


def test_a_tensor_that_is_negated_only_later_gives_the_same(upscaler):
    image = torch.rand(3, 5, 4)
    assert upscaler(torch._neg_view(-image)).equal(upscaler(image))

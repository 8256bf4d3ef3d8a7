"""What clips, volumes and rasters say about how they were made."""

import numpy as np
import pytest
from PIL import Image

from reslift import formats, media, provenance
from reslift.cli import main
from reslift.errors import InputError, UsageError
from reslift.media import Wishes, large_tiff
from reslift.media.nifti.extension import with_comment
from reslift.provenance import Record, from_xmp
from reslift.replay import replay
from reslift.upscale import Upscaler, load
from small_models import bicubic_lift, made, saved, small_lift


def clip(path):
    from video_samples import write

    comment = {} if path.suffix == ".mov" else {"comment": "holiday"}
    return write(path, times=(0, 40, 80), tags={"title": "Beach", **comment})


def animation(path):
    frames = [Image.fromarray(np.full((6, 8, 3), shade, np.uint8)) for shade in (20, 200)]
    more = {"comment": b"hello"} if path.suffix == ".gif" else {"lossless": True}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=80, **more)
    return path


def slice_of_ct(path):
    from medical_samples import dicom, waves

    return dicom(path, waves(8, 10).astype(np.int16))


def volume(path):
    import nibabel

    values = np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4)
    image = nibabel.Nifti1Image(values, np.diag([1.0, 1.0, 3.0, 1.0]))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"scanned"))
    nibabel.save(image, path)
    return path


def raster(path):
    import rasterio
    from affine import Affine

    profile = {"width": 9, "height": 8, "count": 1, "dtype": "uint16", "crs": "EPSG:32618"}
    place = Affine(10.0, 0, 500_000, 0, -10.0, 4_200_000)
    with rasterio.open(path, "w", driver="GTiff", transform=place, **profile) as dataset:
        dataset.update_tags(CLOUDS="3 %")
        dataset.write(np.arange(72, dtype=np.uint16).reshape(1, 8, 9))
    return path


def pages(path):
    shades = [Image.fromarray(np.full((6, 8), shade, np.uint8)) for shade in (20, 200)]
    shades[0].save(path, save_all=True, append_images=shades[1:])
    return path


def in_video(path):
    import av

    with av.open(str(path)) as container:
        tags = dict(container.metadata)
    assert tags["title" if "title" in tags else "TITLE"] == "Beach"
    assert "holiday" in tags.values() or path.suffix == ".mov"
    return [value for value in tags.values() if "input_sha256" in value]


def in_any_video(path):
    import av

    with av.open(str(path)) as container:
        return [text for text in container.metadata.values() if "input_sha256" in text]


def in_animation(path):
    if path.suffix == ".gif":
        with path.open("rb") as file:
            extra = formats.FORMATS["gif"].inspect(file).extra
        assert extra[0] == ("comment", b"hello")
        return [data.decode() for _, data in extra[1:]]
    return in_xmp(path)


def in_dicom(path):
    import pydicom

    machines = pydicom.dcmread(path).ContributingEquipmentSequence
    texts = [machine.ContributionDescription for machine in machines]
    return [text for text in texts if "input_sha256" in text][-1:]


def in_nifti(path):
    import nibabel

    image = nibabel.load(path)
    assert image.get_fdata().shape == tuple(
        side * n for side, n in zip((6, 5, 4), scales(path), strict=True)
    )
    first, *others = [(e.get_code(), e.get_content()) for e in image.header.extensions]
    assert first == (6, b"scanned")
    return [content.rstrip(b"\0").decode() for code, content in others if code == 6]


def scales(path):
    return (4, 4, 1) if "again" in path.name else (2, 2, 1)


def in_raster(path):
    import rasterio

    with rasterio.open(path) as dataset:
        tags = dataset.tags()
    assert tags["CLOUDS"] == "3 %"
    return [tags["RESLIFT"]] if "RESLIFT" in tags else []


def in_xmp(path):
    found = from_xmp(formats.read(path).xmp)
    return [found.as_json()] if found else []


KINDS = {
    "a.mkv": (clip, in_video),
    "a.mp4": (clip, in_video),
    "a.mov": (clip, in_video),
    "a.gif": (animation, in_animation),
    "a.webp": (animation, in_animation),
    "a.png": (animation, in_animation),
    "a.dcm": (slice_of_ct, in_dicom),
    "a.nii": (volume, in_nifti),
    "a.nii.gz": (volume, in_nifti),
    "geo.tif": (raster, in_raster),
    "pages.tif": (pages, in_xmp),
}


@pytest.fixture
def upscaler():
    return made(small_lift())


@pytest.mark.parametrize("name", KINDS)
def test_every_medium_carries_one_record(name, upscaler, tmp_path):
    make, read = KINDS[name]
    (tmp_path / "secret").mkdir()
    source = make(tmp_path / "secret" / name)
    target, again = tmp_path / f"large-{name}", tmp_path / f"again-{name}"
    assert media.of(source) is not None
    upscaler.upscale_file(source, target)
    (text,) = read(target)
    found = Record.parse(text)
    assert found.input_sha256 == provenance.sha256(source)
    assert found.weights == upscaler.record(source).weights
    assert "secret" not in text
    upscaler.upscale_file(target, again)
    (text,) = read(again)
    assert Record.parse(text).input_sha256 == provenance.sha256(target)
    upscaler.upscale_file(target, again, Wishes(provenance=False, overwrite=True))
    assert read(again) == [] or name == "a.dcm"


@pytest.mark.parametrize("name", KINDS)
def test_it_changes_no_byte_from_run_to_run_or_with_tiles(name, upscaler, tmp_path):
    source = KINDS[name][0](tmp_path / name)
    one, other = tmp_path / f"one-{name}", tmp_path / f"two-{name}"
    upscaler.upscale_file(source, one)
    made(small_lift(), tile=8).upscale_file(source, other)
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("name", ["a.mkv", "a.gif", "pages.tif"])
def test_stripped_results_say_nothing(name, upscaler, tmp_path):
    source = KINDS[name][0](tmp_path / name)
    target = tmp_path / f"large-{name}"
    upscaler.upscale_file(source, target, Wishes(strip_metadata=True))
    assert b"input_sha256" not in target.read_bytes()


def test_a_large_tiff_carries_it(upscaler, tmp_path, monkeypatch):
    monkeypatch.setattr(large_tiff, "LARGE", 0)
    Image.fromarray(np.full((6, 8), 90, np.uint8)).save(tmp_path / "a.tif")
    assert media.of(tmp_path / "a.tif").name == "large-tiff"
    upscaler.upscale_file(tmp_path / "a.tif", tmp_path / "b.tif")
    with (tmp_path / "b.tif").open("rb") as file:
        assert from_xmp(formats.FORMATS["tiff"].inspect(file).xmp) is not None


def test_the_side_file_says_what_was_wished_for(upscaler, tmp_path):
    source, target = slice_of_ct(tmp_path / "a.dcm"), tmp_path / "b.dcm"
    wishes = Wishes(provenance=False, provenance_file=True, window=(40.0, 400.0), overwrite=True)
    upscaler.upscale_file(source, target, wishes)
    beside = Record.parse(provenance.side_file(target).read_text())
    assert beside.options["window"] == [40.0, 400.0]
    assert "overwrite" not in beside.options
    assert in_dicom(target) == []


def test_a_video_says_that_its_frames_agree(tmp_path):
    faithful = bicubic_lift()
    upscaler = made(faithful, consistent=True)
    upscaler.upscale_file(clip(tmp_path / "a.mkv"), tmp_path / "b.mkv")
    (text,) = in_video(tmp_path / "b.mkv")
    assert Record.parse(text).options["kernel"] == "bicubic"


@pytest.mark.parametrize(
    ("codec", "suffix", "kernel"), [("ffv1", "mkv", "bicubic"), ("h264", "mp4", None)]
)
def test_a_video_agrees_by_default_where_no_sample_is_lost(codec, suffix, kernel, tmp_path):
    from video_samples import noisy_clip

    recipe = {"scale": 2, "degradation": {"name": "bicubic"}, "phases": [{"loss": {"l1": 1.0}}]}
    model = bicubic_lift()
    card = made(model).card.model_copy(update={"recipe": recipe})
    source, target = noisy_clip(tmp_path / "a.mkv", 2), tmp_path / f"b.{suffix}"
    upscaler = Upscaler(model, card, device="cpu")
    upscaler.upscale_file(source, target, Wishes(codec=codec, provenance_file=True))
    (text,) = in_any_video(target)
    beside = Record.parse(provenance.side_file(target).read_text())
    assert Record.parse(text).options["kernel"] == beside.options["kernel"] == kernel


def test_a_mov_has_one_place_and_keeps_what_is_there(upscaler, tmp_path):
    notes = upscaler.upscale_file(clip(tmp_path / "a.mp4"), tmp_path / "b.mov")
    assert in_video(tmp_path / "b.mov") == []
    assert any("no tag is free" in note for note in notes)


@pytest.mark.parametrize("order", ["<", ">"])
def test_bytes_that_are_no_extensions_stay(order, upscaler, tmp_path):
    (tmp_path / "in").write_bytes(b"input")
    record = upscaler.record(tmp_path / "in")
    odd = b"\1\0\0\0" + b"unknown bytes!!!"
    assert with_comment(odd, record, order) == odd
    assert with_comment(b"\0\0\0\0", None, order) == b"\0\0\0\0"
    added = with_comment(bytes(20), record, order)
    assert added[0] == 1
    assert len(added) % 16 == 4
    assert with_comment(added, record, order) == added
    assert with_comment(added, None, order) == bytes(4)


@pytest.mark.parametrize("name", ["a.mkv", "a.gif"])
def test_uncertainty_is_refused_before_any_work(name, upscaler, tmp_path):
    source = KINDS[name][0](tmp_path / name)
    with pytest.raises(UsageError, match="--uncertainty maps still pictures, DICOM, NIfTI, GeoT"):
        upscaler.upscale_file(source, tmp_path / f"b-{name}", Wishes(uncertainty=True))
    assert list(tmp_path.iterdir()) == [source]


WISHES = {
    "a.mkv": {"codec": "h264", "crf": 30, "start": 0.03},
    "a.gif": {},
    "a.dcm": {"window": (40.0, 400.0), "not_for_diagnosis": True},
    "a.nii.gz": {"axis": 0},
    "geo.tif": {"layout": "tiles", "compression": "deflate", "separate_bands": True},
    "pages.tif": {},
}


@pytest.mark.parametrize("name", WISHES)
def test_replay_makes_a_medium_again(name, tmp_path, capsys):
    source, target = KINDS[name][0](tmp_path / name), tmp_path / f"large-{name}"
    model = saved(tmp_path / "m.safetensors", bicubic_lift())
    upscaler = load(model, backend="torch", consistent=None if name == "a.gif" else False)
    upscaler.upscale_file(source, target, Wishes(**WISHES[name]))
    words = ["replay", str(target), "--input", str(source), "--model", str(model)]
    assert main(words) == 0
    assert "the same bytes again" in capsys.readouterr().out
    kept = tmp_path / f"kept-{name}"
    assert main([*words, "-o", str(kept)]) == 0
    assert kept.read_bytes() == target.read_bytes()
    assert main([*words, "-o", str(tmp_path / "kept.png")]) == 2
    assert "the repetition is ." in capsys.readouterr().err


def test_replay_of_a_medium_tells_other_bytes(tmp_path, capsys):
    source, target = slice_of_ct(tmp_path / "a.dcm"), tmp_path / "b.dcm"
    model = saved(tmp_path / "m.safetensors", bicubic_lift())
    load(model, backend="torch").upscale_file(source, target)
    content = bytearray(target.read_bytes())
    content[-1] ^= 1
    target.write_bytes(content)
    done = replay(target, source, model=model)
    assert (done.same_bytes, done.largest, done.reasons) == (False, None, ())
    words = ["replay", str(target), "--input", str(source), "--model", str(model)]
    assert main(words) == 4
    assert "b.dcm: other bytes" in capsys.readouterr().out
    with pytest.raises(InputError, match="is not what"):
        replay(target, target, model=model)

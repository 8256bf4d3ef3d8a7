"""The audit: what shrinking cannot see, planted fakes, and what the command prints and writes."""

import json

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from skimage import data

from reslift import formats
from reslift.audit import LUMA, added_share, audit, audit_files
from reslift.cli import main
from reslift.errors import InputError
from reslift.faces import find_faces
from reslift.formats import Picture
from reslift.pixels import project
from reslift.pixels.resize import bicubic_upscale
from reslift.pixels.shrink import shrink
from reslift.pixels.target import matrices
from reslift.upscale import load

SIDE = 48


@pytest.fixture(scope="module")
def pair():
    """LR and a faithful x4 result, RGB."""
    hr = np.ascontiguousarray(data.astronaut()[:256, 100:356])
    lr = shrink(hr, 64, 64, "bicubic", 255).astype(np.uint8)
    return lr, load("lift-base", 4, backend="torch")(lr)


@pytest.fixture
def files(pair, tmp_path):
    for name, pixels in zip(("lr.png", "sr.png"), pair, strict=True):
        formats.write(tmp_path / name, Picture(pixels, "rgb", False))
    return tmp_path / "lr.png", tmp_path / "sr.png"


def gray(pixels):
    return np.ascontiguousarray(pixels @ LUMA)


def glyphs():
    image = Image.new("L", (SIDE, SIDE), 205)
    ImageDraw.Draw(image).text((2, 6), "KR4X\nNWH8", fill=40, font=ImageFont.load_default(15))
    return np.asarray(image, np.float32)


def planted(sr, top=16, left=180):
    fake, where = sr.copy(), np.zeros(sr.shape, bool)
    where[top : top + SIDE, left : left + SIDE] = True
    patch = glyphs()
    fake[where] = (patch - patch.mean() + sr[where].mean()).ravel().clip(0, 255)
    return fake, where


def auroc(inside, outside):
    ranks = np.argsort(np.argsort(np.concatenate([inside, outside])))
    return (ranks[: inside.size].sum() - inside.size * (inside.size - 1) / 2) / (
        inside.size * outside.size
    )


def test_what_shrinking_sees_is_not_called_added(pair):
    lr = gray(pair[0]) * np.float32(0.5) + 64
    height, width = lr.shape
    vertical, horizontal = (project.axis(n, 4).dual for n in (height, width))
    determined = project.apply(vertical, horizontal, lr[:, None])[:, 0]
    found = audit(lr, determined, 4)
    assert found.share < 1e-3
    assert found.contradiction < 2
    assert found.added.mean() < 1


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_bicubic_adds_nothing_to_a_bright_picture_of_little_contrast(scale):
    lr = np.float32(200) + np.random.default_rng(0).normal(0, 3, (90, 33)).astype(np.float32)
    sr = bicubic_upscale(torch.from_numpy(lr)[None, None], scale)[0, 0].numpy()
    shrink = [matrices(n, scale)[0] for n in lr.shape]
    lr = (shrink[0] @ sr @ shrink[1].T).astype(np.float32)
    assert added_share(lr, sr, scale) < 1e-6
    checks = (np.indices(sr.shape).sum(0) % 2 * 2 - 1).astype(np.float32)
    inverse = [np.linalg.pinv(matrix) @ matrix for matrix in shrink]
    loud = sr + 3 * checks
    unseen = loud - inverse[0] @ loud @ inverse[1].T
    expected = (unseen**2).sum() / ((loud - loud.mean()) ** 2).sum()
    assert added_share(lr, loud, scale) == pytest.approx(expected, rel=1e-4)


def test_nothing_is_added_to_one_colour():
    lr, sr = (np.full((n, n), 18.15, np.float32) for n in (20, 60))
    sr[5, 5] += np.float32(1e-5)
    assert added_share(lr, sr, 3) == 0.0


def test_added_detail_is_measured(pair):
    lr, sr = map(gray, pair)
    plain = audit(lr, sr, 4)
    checks = (np.indices(sr.shape).sum(0) % 2 * 2 - 1).astype(np.float32)
    loud = audit(lr, sr + 6 * checks, 4)
    assert 0 < plain.share < 0.1
    assert 5 < np.sqrt((loud.added**2).mean() - (plain.added**2).mean()) < 7
    assert loud.doubtful > 0.4 > 3 * plain.doubtful
    assert loud.contradiction < plain.contradiction + 1


def test_the_map_follows_the_true_error(pair):
    hr = gray(data.astronaut()[:256, 100:356])
    lr, sr = map(gray, pair)
    found, error = audit(lr, sr, 4).expected_error, np.abs(sr - hr)
    ranks = [np.argsort(np.argsort(m.ravel())) for m in (found, error)]
    assert np.corrcoef(*ranks)[0, 1] > 0.4


@pytest.mark.parametrize("way", ["pasted", "consistent"])
def test_planted_glyphs_are_found(pair, way):
    lr, sr = map(gray, pair)
    fake, where = planted(sr)
    if way == "consistent":
        target = project.Target(np.ascontiguousarray(lr[:, None]), 4, 255.0, False, 0.0, 255.0)
        fake = project.bicubic(np.ascontiguousarray(fake[:, None]), target)[0][:, 0]
    found = audit(lr, fake, 4)
    assert auroc(found.doubt[where], found.doubt[~where]) > 0.9
    kinds = {region.kind for region in found.regions}
    assert ("contradicts" in kinds) == (way == "pasted")
    middle = [r for r in found.regions if r.left < 204 < r.left + r.width and r.top < 40]
    assert middle


@pytest.mark.parametrize("size", [12, 24])
def test_words_written_on_a_result_are_named_and_nothing_else(pair, size):
    lr, sr = pair
    words, rng = Image.fromarray(sr), np.random.default_rng(0)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(words).text((170, 16), "Exit 24\nno way", fill=(0, 0, 0), font=font)
    noisy, smooth, foreign = (sr.copy() for _ in range(3))
    place = np.s_[16:66, 170:220]
    noisy[place] = np.clip(sr[place] + rng.normal(0, 25, (50, 50, 1)), 0, 255)
    smooth[place] = sr[place].mean((0, 1))
    foreign[place] = data.grass()[:50, :50, None]
    looks = []
    for fake in (np.asarray(words), noisy, smooth, foreign, sr):
        found = audit(*(one.astype(np.float32) for one in (lr, fake)), 4).regions
        looks.append({r.looks for r in found if r.left < 195 < r.left + r.width and r.top < 66})
    assert "text-like" in looks[0]
    assert not any("text-like" in look for look in looks[1:])


def recoloured(sr):
    """What luma cannot tell: a square with more red and as much less green."""
    fake = sr.astype(np.float32)
    fake[10:60, 14:64] += np.array((60, -60 * LUMA[0] / LUMA[1], 0), np.float32)
    return fake


def names_the_square(regions):
    """Whether the only region that contradicts is the square of `recoloured`, nearly."""
    one, *more = (region for region in regions if region.kind == "contradicts")
    sides = one.left, one.top, one.left + one.width, one.top + one.height
    return not more and np.abs(np.subtract(sides, (14, 10, 64, 60))).max() <= 8


def test_changed_colours_contradict_where_luma_agrees():
    small = np.random.default_rng(0).integers(80, 181, (36, 40, 3), np.uint8)
    large = load("lift-small", 2, backend="torch")(small)
    lr, sr, fake = small.astype(np.float32), large.astype(np.float32), recoloured(large)
    plain, found = audit(lr, sr, 2), audit(lr, fake, 2)
    assert audit(gray(lr), gray(fake), 2).contradiction < 1
    assert plain.contradiction < 2 and "contradicts" not in {r.kind for r in plain.regions}
    assert found.contradiction == pytest.approx(60, abs=6)
    assert names_the_square(found.regions)
    assert found.doubt[20:50, 24:54].min() > 10
    for name in ("added", "expected_error", "share"):
        assert np.allclose(getattr(found, name), getattr(plain, name), atol=1e-3), "is of luma"


def test_colours_that_shrinking_clips_contradict_nothing():
    """`verify` says that it holds: each colour is clipped for itself, which luma is not."""
    hard = np.clip((data.astronaut()[:192, 100:292].astype(float) - 128) * 4 + 128, 0, 255)
    small = np.rint(shrink(hard.astype(np.uint8), 48, 48, "bicubic", 255.0)).astype(np.uint8)
    large = load("lift-base", 4, backend="torch")(small)
    agrees = np.abs(shrink(large, 48, 48, "bicubic", 255.0) - small).max() <= 1
    assert agrees and audit(small.astype(np.float32), large.astype(np.float32), 4).contradiction < 1


@pytest.mark.parametrize("gray_one", ["source", "result"])
def test_gray_beside_colours_is_compared_in_all_three(tmp_path, gray_one):
    small = np.random.default_rng(0).integers(80, 181, (36, 40, 1), np.uint8)
    large = load("lift-small", 2, backend="torch")(small)
    plain, coloured = (pixels.repeat(3, 2) for pixels in (small, large))
    if gray_one == "source":
        fake = Picture(np.rint(recoloured(coloured)).astype(np.uint8), "rgb", False)
        pairs = [(Picture(small, "gray", False), fake)]
        pairs.append((Picture(small, "gray", False), Picture(coloured, "rgb", False)))
    else:
        plain[4:20, 4:20, 2] += 50
        pairs = [(Picture(plain, "rgb", False), Picture(large, "gray", False))]
    for number, pair in enumerate(pairs):
        for name, picture in zip(("a.png", "b.png"), pair, strict=True):
            formats.write(tmp_path / name, picture, overwrite=True)
        found = audit_files(tmp_path / "a.png", tmp_path / "b.png")
        assert ("contradicts" in {r.kind for r in found.regions}) == (number == 0)
        assert (found.contradiction > 45) == (number == 0)


def test_channels_that_differ_alike_are_judged_as_luma_is(pair):
    lr, sr = map(gray, pair)
    fake = planted(sr)[0]
    plain = audit(lr, fake, 4)
    found = audit(*(x[..., None].repeat(3, 2) for x in (lr, fake)), 4)
    assert np.allclose(found.doubt, plain.doubt, atol=1e-3)
    assert found.contradiction == pytest.approx(plain.contradiction, abs=1e-3)
    assert [(r.kind, r.left, r.top) for r in found.regions] == [
        (r.kind, r.left, r.top) for r in plain.regions
    ]
    one = audit(lr[..., None], fake[..., None], 4)
    assert np.array_equal(one.doubt, plain.doubt), "gray takes no other way than luma"


def test_a_planted_face_is_named():
    hr = gray(np.ascontiguousarray(data.coffee()[:384, :512]))
    lr = np.rint(shrink(hr[..., None], 96, 128, "bicubic", 255)[..., 0]).astype(np.float32)
    sr = load("lift-base", 4, backend="torch")(lr[..., None].astype(np.uint8))[..., 0]
    fake = sr.astype(np.float32)
    assert audit(lr, fake, 4).faces == ()
    fake[20:116, 20:116] = gray(data.astronaut()[64:160, 172:268])
    found = audit(lr, fake, 4)
    named = [region for region in found.regions if region.looks == "face-like"]
    assert [region.label for region in named][:1] == ["contradicts, face-like"]
    assert all(region.left < 116 and region.top < 116 for region in named)


def test_detail_made_up_in_a_face_is_named(pair):
    lr, sr = map(gray, pair)
    checks = (np.indices(sr.shape).sum(0) % 2 * 2 - 1).astype(np.float32)
    sr[90:130, 100:150] += 16 * checks[90:130, 100:150]
    found = audit(lr, sr, 4)
    assert "unsupported, face-like" in {region.label for region in found.regions}
    assert found.seen.startswith("1 found; regions listed that lie in them: ")


def test_faces_are_found_where_they_are_at_any_size():
    astronaut = gray(data.astronaut())
    for size in (1, 1.3, 4):
        side = round(512 * size)
        large = Image.fromarray(astronaut).resize((side, side), Image.Resampling.BICUBIC)
        found = find_faces(np.asarray(large)) or ()
        assert len(found) <= 2, "one face, and one place that only looks like one"
        face = found[0]
        middle = (face.top + face.bottom) / 2 / size, (face.left + face.right) / 2 / size
        assert middle == pytest.approx((115, 222), abs=15)
    assert find_faces(astronaut[:20, :20]) == ()


def test_without_a_detector_faces_are_not_looked_for(pair, monkeypatch):
    monkeypatch.setattr("reslift.faces._detector", lambda: None)
    found = audit(*map(gray, pair), 4)
    assert found.faces is None
    assert "not looked for" in found.seen


def test_gray_16_bits_and_alpha_are_audited(files, pair, tmp_path):
    for number, pixels in enumerate(pair):
        deep = np.dstack([pixels.astype(np.uint16) * 257, np.full(pixels.shape[:2], 65535)])
        formats.write(tmp_path / f"{number}.tif", Picture(deep.astype(np.uint16), "rgb", True))
    deep, plain = audit_files(tmp_path / "0.tif", tmp_path / "1.tif"), audit_files(*files)
    assert deep.share == pytest.approx(plain.share, rel=1e-3)


def test_the_command(files, tmp_path, capsys):
    for name in ("page.html", "map.png"):
        assert main(["audit", *map(str, files), "-o", str(tmp_path / name)]) == 0
    out = capsys.readouterr().out
    assert "determined by the input: 9" in out
    assert "levels of 255 in any colour (bicubic)" in out
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Content-Security-Policy" in page
    assert "nobody is recognised" in page
    assert "contradicts the input in any colour" in page
    assert "1 found" in page and "faces: 1 found" in out
    with Image.open(tmp_path / "map.png") as drawn:
        assert drawn.size == (256, 256)
    assert main(["audit", str(files[0]), "--model", "lift-base", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 < found["added_share"] < 0.2
    assert [60 < box["left"] < box["right"] < 190 for box in found["faces"]] == [True]
    assert main(["audit", str(files[0])]) == 2
    assert main(["audit", *map(str, files), "-o", str(tmp_path / "map.gif")]) == 2
    assert main(["audit", *map(str, files), "-o", str(tmp_path / "map.png")]) == 2


def test_what_is_no_enlargement_is_refused(files, tmp_path):
    with pytest.raises(InputError, match="whole number of times"):
        audit_files(files[1], files[0])


def test_a_picture_of_a_few_pixels_is_refused(tmp_path):
    for name, side in (("a.png", 7), ("b.png", 14)):
        Image.new("L", (side, 2 * side), 90).save(tmp_path / name)
    with pytest.raises(InputError, match=r"a\.png: 7x14 is too little to audit; from 8x8 up"):
        audit_files(tmp_path / "a.png", tmp_path / "b.png")


def test_an_animation_is_refused_and_not_judged_by_its_first_frame(tmp_path, capsys):
    frames = [Image.new("L", (8, 8), level) for level in (0, 200)]
    for name, side in (("a.gif", 8), ("b.gif", 16)):
        large = [frame.resize((side, side)) for frame in frames]
        large[0].save(tmp_path / name, save_all=True, append_images=large[1:])
    assert main(["audit", str(tmp_path / "a.gif"), str(tmp_path / "b.gif")]) == 1
    assert "a.gif: reslift audits still pictures" in capsys.readouterr().err
    assert main(["audit", str(tmp_path / "a.gif"), "--model", "lift-small"]) == 1
    assert "a.gif: reslift audits still pictures" in capsys.readouterr().err


def test_what_is_audited_is_never_written_over(files, capsys):
    before = [path.read_bytes() for path in files]
    for path in files:
        assert main(["audit", *map(str, files), "-o", str(path), "--overwrite"]) == 2
        assert "it is what is audited" in capsys.readouterr().err
    assert [path.read_bytes() for path in files] == before


def test_inks_are_not_compared_with_light(files, tmp_path):
    """What a conversion changes would be told as if the model had done it."""
    inks = np.zeros((64, 64, 4), np.uint8)
    formats.write(tmp_path / "inks.tif", Picture(inks, "cmyk", False))
    with pytest.raises(InputError, match=r"sr\.png beside .*inks\.tif: rgb and cmyk cannot be"):
        audit_files(tmp_path / "inks.tif", files[1])

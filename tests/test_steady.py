"""Noise of what does not move is averaged; what moves, and what has no noise, is not touched."""

import io
from itertools import pairwise

import av
import numpy as np
import pytest
from PIL import Image
from skimage import data

from reslift.media import Wishes
from reslift.media.video.shots import Shot, steadied
from reslift.media.video.steady import AHEAD, Steady
from reslift.media.video.work import enlarge
from small_models import bicubic_lift, made
from video_samples import noisy_clip, read

SIZE = (128, 96)
LEVEL = 257


def calmed(frames):
    steady = Steady()
    early = [shown for frame in frames for shown in steady.push(frame)]
    return early + list(steady.flush())


def words(frames, sigma=0.0, seed=0):
    """uint16 of 8-bit levels, with noise."""
    rng = np.random.default_rng(seed)
    noisy = [frame + rng.normal(0, sigma, frame.shape) for frame in frames]
    return [np.rint(np.clip(frame, 0, 255)).astype(np.uint16) * LEVEL for frame in noisy]


def still(count):
    return [data.astronaut()[60:156, 140:268].astype(float)] * count


def moving(step, count):
    """A picture that passes by, `step` pixels a frame, shrunk from twice the size."""
    wide = Image.fromarray(data.coffee())
    boxes = [(40 + 2 * step * k, 60, 296 + 2 * step * k, 252) for k in range(count)]
    return [np.asarray(wide.resize(SIZE, 3, box=box)).astype(float) for box in boxes]


def coded(frames, crf):
    """As H.264 hands them back."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as out:
        video = out.add_stream("libx264", rate=25, options={"crf": str(crf)})
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        for frame in frames:
            picture = (frame // LEVEL).astype(np.uint8)
            out.mux(video.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        out.mux(video.encode(None))
    file.seek(0)
    with av.open(file) as source:
        shown = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    return [picture.astype(np.uint16) * LEVEL for picture in shown]


def flicker(frames):
    return np.stack([frame[..., :3].mean(2) for frame in frames]).std(0, ddof=1).mean() / LEVEL


def error(frame, clean):
    return ((frame.astype(float) - clean) ** 2).mean()


@pytest.mark.parametrize("sigma", [1, 4, 16])
@pytest.mark.parametrize("count", [4, 8, 24])
def test_noise_of_a_still_clip_is_calmed(sigma, count):
    frames = words(still(count), sigma)
    assert flicker(calmed(frames)) < 0.25 * flicker(frames)


@pytest.mark.parametrize(("crf", "most"), [(12, 0.4), (18, 0.5), (23, 0.6)])
def test_noise_that_a_codec_went_over_is_calmed(crf, most):
    """Below 1 / 1.65, by which the bundled model flickers more than bicubic."""
    frames = coded(words(still(16), 5), crf)
    assert flicker(calmed(frames)) < most * flicker(frames)


def test_gray_and_opacity():
    rng = np.random.default_rng(0)
    gray = words([frame[..., :1] for frame in still(12)], 4)
    assert flicker([np.repeat(f, 3, 2) for f in calmed(gray)]) < 0.25 * flicker(
        [np.repeat(f, 3, 2) for f in gray]
    )
    alpha = [rng.integers(0, 2, (*frame.shape[:2], 1)).astype(np.uint16) * 65535 for frame in gray]
    both = [np.concatenate(pair, 2) for pair in zip(gray, alpha, strict=True)]
    for shown, given in zip(calmed(both), both, strict=True):
        assert np.array_equal(shown[..., 1], given[..., 1])


@pytest.mark.parametrize("step", [0.03, 0.1, 0.5, 1, 3, 4])
def test_what_moves_without_noise_keeps_every_bit(step):
    frames = words(moving(step, 16))
    assert all(np.array_equal(*pair) for pair in zip(calmed(frames), frames, strict=True))


@pytest.mark.parametrize("step", [0.03, 0.1, 0.5, 3])
@pytest.mark.parametrize("sigma", [2, 5])
def test_what_moves_with_noise_is_not_smeared(step, sigma):
    clean = words(moving(step, 16))
    frames = words(moving(step, 16), sigma)
    for shown, given, truth in zip(calmed(frames), frames, clean, strict=True):
        assert error(shown, truth) <= 1.001 * error(given, truth)


def test_an_object_before_a_noisy_background():
    clean = [frame.copy() for frame in still(20)]
    for place, frame in enumerate(clean):
        frame[30:60, 2 * place : 2 * place + 24] = data.coffee()[200:230, 200:224]
    frames, clean = words(clean, 4), words(clean)
    shown = calmed(frames)
    for place in range(20):
        around = slice(28, 62), slice(max(0, 2 * place - 2), 2 * place + 26)
        assert error(shown[place][around], clean[place][around]) <= 1.02 * error(
            frames[place][around], clean[place][around]
        )
    assert flicker([frame[64:] for frame in shown]) < 0.25 * flicker([f[64:] for f in frames])


def test_a_scene_cut_ends_what_is_averaged():
    clean = still(10) + moving(3, 10)
    frames, clean = words(clean, 4), words(clean)
    for shown, given, truth in zip(calmed(frames), frames, clean, strict=True):
        assert error(shown, truth) <= 1.001 * error(given, truth)
    two = words(still(10) + moving(0, 10), 4)
    assert flicker(calmed(two)[:10]) < 0.25 * flicker(two[:10])
    assert flicker(calmed(two)[10:]) < 0.25 * flicker(two[10:])


def test_fades_and_changes_of_colour_alone_are_followed():
    clean = [frame * (1 - 0.01 * place) for place, frame in enumerate(still(20))]
    frames, clean = words(clean, 4), words(clean)
    for shown, given, truth in zip(calmed(frames), frames, clean, strict=True):
        assert error(shown, truth) <= error(given, truth)
    lamp = [frame.copy() for frame in still(20)]
    for place, frame in enumerate(lamp):
        frame[40:60, 40:60] = (200, 40, 60) if place < 10 else (40, 200, 60)
    shown, truth = calmed(words(lamp, 2)), words(lamp)
    assert all(
        error(shown[k][40:60, 40:60], truth[k][40:60, 40:60]) < 9 * LEVEL**2 for k in (9, 10)
    )


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (5, 40), (33, 17)])
def test_any_size(size):
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 65535, (*size, 3)).astype(np.uint16) for _ in range(7)]
    assert [frame.shape for frame in calmed(frames)] == [frame.shape for frame in frames]


def shots(pictures, same):
    return [Shot(k, k, 1, pictures[k], again) for k, again in enumerate(same)]


def test_repeated_frames_stay_repeated_and_do_not_pile_up():
    frames = words(still(12), 4)
    order = [0, 0, 1, 1, *[2] * 40, *range(3, 12)]
    same = [a == b for a, b in zip(order, [None, *order], strict=False)]
    behind, given = [], shots([frames[k] for k in order], same)

    def fed():
        for shot in given:
            behind.append(shot.index)
            yield shot

    found = []
    for shot in steadied(fed()):
        found.append(shot)
        assert behind[-1] - shot.index <= 3 * AHEAD
    assert [shot.index for shot in found] == list(range(len(order)))
    for one, other in pairwise(found):
        assert np.array_equal(one.image, other.image) == other.same


def test_by_default_a_noisy_clip_is_no_less_steady_than_bicubic(tmp_path):
    source = noisy_clip(tmp_path / "a.mkv", 12, repeat=2)
    upscaler = made(bicubic_lift(2))
    outcome = enlarge(upscaler, source, tmp_path / "b.mkv", Wishes(codec="ffv1"))
    assert outcome.tally.repeated == 6
    enlarge(upscaler, source, tmp_path / "c.mkv", Wishes(codec="ffv1", steady=False))
    steady, plain = (read(tmp_path / name)[1] for name in ("b.mkv", "c.mkv"))
    assert flicker(steady) < 0.4 * flicker(plain)
    assert all(np.array_equal(steady[k], steady[k + 1]) for k in range(0, 12, 2))

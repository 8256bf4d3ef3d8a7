"""Strength and agreement with the input: what a finished result promises."""

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from skimage import data
from threadpoolctl import threadpool_info, threadpool_limits

from reslift import stitch
from reslift.backends.torch import TorchBackend
from reslift.errors import UsageError
from reslift.finish import Finish, Tally, is_faithful
from reslift.models import Lift
from reslift.pixels.planes import Planes
from reslift.pixels.project import Target, bicubic
from reslift.pixels.repair import ROUNDS, Squares, Work, measure, repair, squares_of
from reslift.pixels.resize import bicubic_upscale
from reslift.pixels.shrink import shrink
from reslift.pixels.target import LONG, axis, matrices
from reslift.stitch import Stitcher
from reslift.upscale import Upscaler
from small_models import lively, made, small_lift


def picture(scale, dtype=np.uint8, top=255):
    hr = np.ascontiguousarray(data.astronaut()[: 30 * scale, 180 : 180 + 41 * scale])
    return (shrink(hr, 30, 41, "bicubic", 255) * (top // 255)).astype(dtype)


def error(sr, lr, kernel, top=255.0):
    return np.abs(shrink(sr, *lr.shape[:2], kernel, top, rounded=False) - lr)


def near_bicubic(scale):
    """A model that adds detail and shifts the brightness, as real ones do."""
    model = Lift(scale=scale, width=6, blocks=2, inner_width=6, inner_blocks=1)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.06)
    return model.eval().requires_grad_(False)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize(("kernel", "most"), [("bicubic", 1.0), ("box", 1e-9)])
def test_whole_numbers_shrink_to_the_input(scale, kernel, most):
    lr = picture(scale)
    loose = made(near_bicubic(scale), consistent=False)(lr)
    held = made(near_bicubic(scale), consistent=True, kernel=kernel)(lr)
    assert error(loose, lr, kernel).max() > 2
    assert error(held, lr, kernel).max() <= most


@pytest.mark.parametrize("kernel", ["bicubic", "box"])
def test_so_do_16_bits_and_floats(kernel):
    lr = picture(2, np.uint16, 65535)
    sr = made(near_bicubic(2), consistent=True, kernel=kernel)(lr)
    assert error(sr, lr, kernel, 65535).max() <= (1 if kernel == "bicubic" else 1e-9)
    values = (lr / 65535).astype(np.float32)
    sr = made(near_bicubic(2), consistent=True, kernel=kernel)(values)
    assert error(sr, values, kernel, 1.0).max() < 1e-4


@pytest.mark.parametrize("value", [0, 255])
def test_box_keeps_to_the_range_where_there_is_no_room(value):
    lr = np.full((9, 7, 1), value, np.uint8)
    lr[4, 3] = 128
    sr = made(lively(small_lift(3)), consistent=True, kernel="box")(lr)
    assert error(sr, lr, "box").max() <= 1e-9


def test_cells_do_not_show():
    lr = picture(2)
    results = []
    for kernel in ("box", "bicubic"):
        for cell in (512, 8):
            tally, out = Tally(), np.empty((60, 82, 3), np.uint8)
            stitcher = Stitcher(TorchBackend(near_bicubic(2), "cpu", "fp32"), cell=cell)
            stitcher.run(Planes(lr, "rgb", False), out, finish=Finish(1, kernel, tally))
            assert tally.count == lr.size
            assert tally.largest == pytest.approx(error(out, lr, kernel).max(), abs=1e-3)
            results.append(out)
    assert np.array_equal(results[0], results[1])
    assert (results[2] != results[3]).mean() < 0.03
    assert error(results[3], lr, "bicubic").max() <= 1


def test_tile_and_memory_change_no_byte():
    lr = picture(2)
    results = []
    for tile in (8, 64):
        out = np.empty((60, 82, 3), np.uint8)
        stitcher = Stitcher(TorchBackend(near_bicubic(2), "cpu"), tile=tile, cell=8)
        stitcher.run(Planes(lr, "rgb", False), out, finish=Finish(1, "bicubic"))
        results.append(out)
    assert np.array_equal(*results)


def test_opaque_stays_opaque_and_clear_stays_clear():
    lr = np.dstack([picture(2), np.full((30, 41), 255, np.uint8)])
    lr[10:20, 10:20, 3] = 0
    for kernel in ("bicubic", "box"):
        sr = made(near_bicubic(2), consistent=True, kernel=kernel)(lr)
        assert (sr[:12, :, 3] == 255).all()
        assert (sr[26:34, 26:34, 3] == 0).all()
    assert error(sr[..., 3:], lr[..., 3:], "box").max() <= 1e-9


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_strength_0_is_bicubic(scale):
    lr = picture(scale)
    levels = torch.from_numpy(lr.transpose(2, 0, 1))[None].double()
    want = (bicubic_upscale(levels, scale) + 0.5).floor().clamp(0, 255)[0].numpy()
    got = made(near_bicubic(scale), strength=0)(lr)
    same = got == want.transpose(1, 2, 0)
    assert same.mean() > 0.9999


def test_strength_is_linear_and_1_is_the_model():
    values = (picture(2) / 255).astype(np.float32) * np.float32(0.6) + np.float32(0.2)
    low, half, high = (
        made(near_bicubic(2), strength=a, consistent=False)(values) for a in (0.0, 0.5, 1.0)
    )
    inside = (low > 0) & (low < 1) & (high > 0) & (high < 1)
    assert inside.mean() > 0.8
    assert np.abs(half - (low + high) / 2)[inside].max() < 1e-5
    assert np.abs(low - high).max() > 0.05
    plain = made(near_bicubic(2), consistent=False)(values)
    assert np.array_equal(high, plain)


@pytest.mark.parametrize("scale", [1.7, 8])
def test_any_size_has_a_strength(scale):
    from reslift.sizes import Size

    lr = picture(2)
    low, half, high = (
        made(near_bicubic(2), size=Size(scale=scale), strength=a)(lr).astype(int)
        for a in (0.0, 0.5, 1.0)
    )
    assert np.abs(half - (low + high) / 2).max() <= 1.5
    assert np.abs(low - high).max() > 3


def test_the_dial_runs_the_model_once():
    upscaler = made(near_bicubic(2))
    lr, runs = picture(2), []
    engine = upscaler._stitcher.backend
    run = engine.run
    engine.run = lambda cell: runs.append(1) or run(cell)
    dial = upscaler.dial(lr)
    results = {a: dial.at(a) for a in (0.25, 0.5, 1.0, 0.0)}
    assert len(runs) == 1
    del engine.run
    for strength, result in results.items():
        assert np.array_equal(result, made(near_bicubic(2), strength=strength)(lr))
    with pytest.raises(UsageError, match="0 is bicubic"):
        dial.at(1.5)


@pytest.mark.parametrize(("suffix", "agrees"), [("png", True), ("tif", True), ("jpg", False)])
def test_files_that_were_damaged_are_not_agreed_with_by_default(tmp_path, suffix, agrees):
    from reslift.media import Wishes

    recipe = {"scale": 2, "degradation": {"name": "bicubic"}, "phases": [{"loss": {"l1": 1.0}}]}
    model = near_bicubic(2)
    card = made(model).card.model_copy(update={"recipe": recipe})
    source = tmp_path / f"a.{suffix}"
    Image.fromarray(data.astronaut()[:40, :50]).save(source)
    for wanted, expected in ((None, agrees), (True, True), (False, False)):
        upscaler = Upscaler(model, card, device="cpu", consistent=wanted)
        work = upscaler.work(source, tmp_path / "b.png", Wishes(overwrite=True))
        with work:
            work.read()
            work.enlarge()
            assert (work.finish.kernel == "bicubic") is expected


def test_only_faithful_models_agree_by_default():
    recipe = {"scale": 2, "degradation": {"name": "bicubic"}, "phases": [{"loss": {"l1": 1.0}}]}
    assert is_faithful(recipe)
    assert not is_faithful({})
    assert not is_faithful({**recipe, "scale": 1})
    assert not is_faithful({**recipe, "degradation": {"name": "pixelate"}})
    for phase in ({"loss": {"l1": 1.0, "perceptual": 0.1}}, {"adversary": {}, "kl": 1e-3}):
        assert not is_faithful({**recipe, "phases": [*recipe["phases"], phase]})
    model = near_bicubic(2)
    card = made(model).card
    told = [
        Upscaler(model, card.model_copy(update={"recipe": r}), device="cpu").finish(lossless=keeps)
        for r, keeps in ((recipe, True), (recipe, False), ({}, True))
    ]
    assert [finish.kernel for finish in told] == ["bicubic", None, None]


@pytest.mark.parametrize("scale", [3, 4])
def test_lettering_agrees_and_comes_nearer_to_the_truth(scale):
    """Black and white everywhere: clipping undoes most of the first step, and windows are many."""
    generator = np.random.default_rng(0)
    ink = generator.random((16, 20)) < 0.4
    hr = np.where(ink, 0, 255).repeat(3 * scale, 0).repeat(2 * scale, 1)[..., None].astype(np.uint8)
    lr = shrink(hr, 48, 40, "bicubic", 255).astype(np.uint8)
    y = lr.transpose(0, 2, 1).astype(np.float32)
    soft = hr.transpose(0, 2, 1) + generator.normal(0, 25, (hr.shape[0], 1, hr.shape[1]))
    x = soft.astype(np.float32)
    target = Target(y, scale, 255.0, True, 0.0, 255.0)
    saved, lack = bicubic(x.copy(), target)
    assert saved.dtype == np.uint8
    assert error(saved.transpose(0, 2, 1), lr, "bicubic").max() <= 1
    assert np.abs(lack).max() <= 1
    off = [np.square(v.clip(0, 255) - hr.transpose(0, 2, 1)).mean() for v in (x, saved)]
    assert off[1] < 0.8 * off[0]


def test_hard_lettering_agrees_though_clipping_holds_most_of_it():
    """Between the axes too, where every tenth sample is beyond the range."""
    generator = np.random.default_rng(3)
    hr = np.full((96, 128, 1), 255, np.uint8)
    for _ in range(60):
        top, left, long = generator.integers(0, 90, 3)
        wide = int(generator.integers(2, 6))
        if generator.random() < 0.5:
            hr[top : top + wide, left : left + long // 3] = 0
        else:
            hr[top : top + long // 3, left : left + wide] = 0
    lr = shrink(hr, 48, 64, "bicubic", 255).astype(np.uint8)
    soft = bicubic_upscale(torch.from_numpy(lr[..., 0])[None, None].float(), 2)[0, 0].numpy()
    target = Target(lr.transpose(0, 2, 1).astype(np.float32), 2, 255.0, True, 0.0, 255.0)
    saved, _ = bicubic(np.ascontiguousarray(soft[:, None]), target)
    assert np.abs(shrink(saved.transpose(0, 2, 1), 48, 64, "bicubic", 255) - lr).max() <= 1


def lettering():
    """A photograph with a few letters, black and white, and what bicubic makes of its LR, ×2."""
    hr = data.astronaut()[:400, :400].astype(np.uint8)
    letters = data.page()[50:86, 150:200] > 120
    hr[100:136, 100:150] = np.where(letters, 255, 0)[..., None]
    lr = shrink(hr, 200, 200, "bicubic", 255.0).astype(np.float32)
    levels = torch.from_numpy(lr.transpose(2, 0, 1))[None]
    x = bicubic_upscale(levels, 2)[0].permute(1, 0, 2).float().numpy().clip(0, 255)
    return x, Target(np.ascontiguousarray(lr.transpose(0, 2, 1)), 2, 255.0, True, 0.0, 255.0)


def test_what_windows_measure_is_what_the_whole_picture_lacks():
    """Windows overlap: one must not put back what it knew before the other was measured."""
    x, target = lettering()
    out = np.empty(x.shape, np.uint8)
    lack = target.save(x, None, out)
    squares = squares_of(np.abs(lack) > 1, 4, (0, 0))
    assert len(squares) > 50
    repair(x, target, squares, ROUNDS[0], Work())
    measure(x, out, lack, target, squares, ROUNDS[0])
    assert np.abs(lack - target.lacking(np.rint(x))).max() < 1e-3
    assert (out == np.rint(x)).all()


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_a_window_changes_nothing_around_it(number):
    """What steps left at the edges of windows spoilt the samples beside them."""
    x, target = lettering()
    round, lack, before = ROUNDS[number], target.lacking(x), x.copy()
    row, channel, column = (int(n) for n in np.unravel_index(np.abs(lack).argmax(), lack.shape))
    place = (np.array([n // round.side * round.side]) for n in (row, column))
    square = Squares(round.side, *place, np.array([channel]))
    repair(x, target, square, round, Work())
    assert (x != before).any()
    window = square.grown(round.margin, lack.shape)
    change = np.abs(target.lacking(x) - lack)
    (top,), (left,) = window.top, window.left
    change[top : top + window.side, channel, left : left + window.side] = 0
    assert change.max() == 0


def test_noise_that_nothing_shrinks_to_costs_few_steps():
    generator = np.random.default_rng(0)
    dark = data.astronaut()[:96, :96] * 0.2
    lr = np.clip(dark + generator.normal(0, 12, dark.shape), 0, 255).round().astype(np.float32)
    y = np.ascontiguousarray(lr.transpose(0, 2, 1))
    x = bicubic_upscale(torch.from_numpy(lr.transpose(2, 0, 1))[None], 2)[0].permute(1, 0, 2)
    moved, move = [], Target.hurry
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Target, "hurry", lambda *a: moved.append(a[1].size) or move(*a))
        _, lack = bicubic(x.numpy().copy(), Target(y, 2, 255.0, True, 0.0, 255.0))
    assert np.abs(lack).max() > 1
    assert sum(moved) < 20 * x.numel()


def test_what_cannot_be_met_ends_early_and_never_farther_off():
    lr = np.random.default_rng(0).integers(0, 256, (96, 80, 1), dtype=np.uint8)
    x = lr.repeat(2, 0).repeat(2, 1).transpose(0, 2, 1).astype(np.float32)
    target = Target(lr.transpose(0, 2, 1).astype(np.float32), 2, 255.0, True, 0.0, 255.0)
    moves, move = [], Target.hurry
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Target, "hurry", lambda *a: moves.append(1) or move(*a))
        _, lack = bicubic(x, target)
    assert np.abs(lack).max() > 1
    assert len(moves) < 150


def test_what_cannot_be_met_is_left_as_the_first_step_had_it():
    """A picture that was sharpened until it clips: steps end in speckles, here 118 levels off."""
    hr = data.chelsea()[:296, :384]
    lr = shrink(hr, 148, 192, "bicubic", 255.0)
    blurred = np.asarray(Image.fromarray(lr.astype(np.uint8)).filter(ImageFilter.GaussianBlur(1)))
    sharp = np.clip(lr + 3 * (lr - blurred), 0, 255).round().astype(np.float32)
    target = Target(np.ascontiguousarray(sharp.transpose(0, 2, 1)), 2, 255.0, True, 0.0, 255.0)
    x = target.y.repeat(2, 0).repeat(2, 2)
    first = np.empty(x.shape, np.uint8)
    moved = x.copy()
    before = np.abs(target.save(moved, target.step(moved)[1], first)).max()
    out, lack = bicubic(x, target)
    assert 20 < np.abs(lack).max() <= before
    assert np.abs(lack).mean() < 0.5
    far = (np.abs(lack) > 10).any(1).repeat(2, 0).repeat(2, 1)[:, None]
    assert far.any() and (out == first)[np.broadcast_to(far, out.shape)].all()


def test_matrices_are_multiplied_on_one_thread_and_the_caller_keeps_its_own(monkeypatch):
    def threads():
        return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}

    seen = []

    def watched(*given):
        seen.append(threads())
        return finished(*given)

    finished = stitch.finished
    monkeypatch.setattr(stitch, "finished", watched)
    stitcher = Stitcher(TorchBackend(small_lift(2), "cpu", "fp32"))
    lr, out = np.zeros((8, 8, 3), np.uint8), np.zeros((16, 16, 3), np.uint8)
    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS has one thread, or does not tell")
        stitcher.run(Planes(lr, "rgb", False), out, finish=Finish(1, "bicubic"))
        assert threads() == {2}
    assert seen == [{1}]


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", [LONG + 1, 96, 127])
def test_long_axes_are_to_the_bit_what_their_matrices_are(scale, size):
    down, dual = matrices(size, scale)
    found = axis(size, scale)
    parts = ((found.down, down), (found.dual, dual), (found.back, scale * down.T))
    for blocks, wanted in parts:
        whole = np.zeros(wanted.shape, np.float32)
        for rows, span, block in blocks:
            whole[rows, span] = block
        assert (whole == wanted.astype(np.float32)).all()
    joined = np.zeros(down.shape, np.float32)
    for rows, span, block in found.spread:
        joined[rows, span] += block
    assert (joined == down.astype(np.float32)).all()

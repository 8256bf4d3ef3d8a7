"""Evaluation: rows, means, gains, intervals, files, failures; and the command itself."""

from __future__ import annotations

import csv
import io
import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from reslift import metrics
from reslift.checkpoint import save
from reslift.cli import main
from reslift.datasets.decode import to_square
from reslift.datasets.pairs import find_test_set
from reslift.errors import OutputExists, UsageError
from reslift.evaluate import (
    BASELINE,
    Contender,
    Gallery,
    ImageRow,
    bootstrap,
    evaluate,
    load_models,
    preparation,
)
from reslift.evaluate.page import verdict
from reslift.evaluate.results import summarise
from reslift.evaluate.save import as_csv, as_json, prepare
from reslift.evaluate.save import save as save_results
from reslift.recipe import Recipe
from small_models import bicubic_lift, card_of, made, saved, small, small_lift

PICTURES = {
    "a <b>.png": data.astronaut()[:64, :96],
    "gray.png": data.camera()[200:264, 200:280],
    "odd.png": data.coffee()[100:171, 200:263],
}


@pytest.fixture
def folder(tmp_path):
    for name, pixels in PICTURES.items():
        (tmp_path / "set").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "set" / name)
    return tmp_path / "set"


def run(*words):
    return subprocess.run(
        [sys.executable, "-m", "reslift", "evaluate", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_bicubic_is_first_and_untrained_lift_ties_with_it(folder):
    result = evaluate([("lift", made(bicubic_lift()))], [find_test_set(folder, 2)], scale=2)
    assert [c.name for c in result.contenders] == [BASELINE, "lift"]
    assert [row.image for row in result.rows] == list(PICTURES)
    for row in result.rows:
        assert set(row.scores["lift"]) == set(metrics.METRICS)
        assert abs(row.gain("lift")) < 0.1
        assert row.ms_per_megapixel["lift"] > 0
    (base, lift) = result.summaries()
    assert base.gain == 0 and base.interval is None
    assert lift.means["psnr_y"] == pytest.approx(
        np.mean([row.scores["lift"]["psnr_y"] for row in result.rows])
    )
    assert lift.contender.parameters == bicubic_lift().parameter_count()
    assert lift.contender.macs == bicubic_lift().macs(360, 640)


def test_rows_agree_with_pillow(folder):
    """Pillow's kernel is MATLAB's to about 0.01 dB when shrinking; both ways it stays close."""
    result = evaluate([], [find_test_set(folder, 2)], scale=2)
    for row, pixels in zip(result.rows, PICTURES.values(), strict=True):
        hr = pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]
        size = (hr.shape[1] // 2, hr.shape[0] // 2)
        lr = Image.fromarray(hr).resize(size, Image.Resampling.BICUBIC)
        sr = np.asarray(lr.resize((hr.shape[1], hr.shape[0]), Image.Resampling.BICUBIC))
        x, y = (
            (i / 255 @ [65.481, 128.553, 24.966] + 16 if i.ndim == 3 else i.astype(float))
            for i in (sr, hr)
        )
        mse = np.mean((x - y)[2:-2, 2:-2] ** 2)
        assert row.scores[BASELINE]["psnr_y"] == pytest.approx(
            10 * math.log10(255**2 / mse), abs=0.1
        )


def test_what_is_judged_is_what_a_user_receives(folder):
    """The row of a model equals the metric of Upscaler's own answer to the LR picture."""
    upscaler = made(small_lift())
    test_set = find_test_set(folder, 2)
    seen = {}
    evaluate(
        [("m", upscaler)],
        [test_set],
        scale=2,
        watcher=lambda row, pair, answers: seen.update({row.image: (row, pair, answers["m"])}),
    )
    row, pair, sr = seen["gray.png"]
    image = pair.lr[0, 0].numpy()
    assert np.array_equal(upscaler(image), sr[0, 0].numpy())
    value = metrics.psnr_y(sr.double() / 255, pair.hr.double() / 255, 2).item()
    assert row.scores["m"]["psnr_y"] == value


def test_trust_is_what_verify_and_audit_say_of_the_same_files(folder, tmp_path):
    from reslift.audit import audit_files
    from reslift.verify import verify

    seen = {}
    result = evaluate(
        [("m", made(small_lift()))],
        [find_test_set(folder, 2)],
        scale=2,
        trust=True,
        watcher=lambda row, pair, answers: seen.update({row.image: (row, pair, answers)}),
    )
    for row, pair, answers in seen.values():
        Image.fromarray(pair.lr[0].permute(1, 2, 0).numpy().squeeze()).save(tmp_path / "lr.png")
        for name in (BASELINE, "m"):
            sr = answers[name][0].permute(1, 2, 0).numpy().squeeze()
            Image.fromarray(sr).save(tmp_path / "sr.png")
            said = verify(tmp_path / "lr.png", tmp_path / "sr.png")
            assert row.trust[name]["consistency_max"] == said.largest > 0
            mean = np.mean([channel.mean for channel in said.channels])
            assert row.trust[name]["consistency_mean"] == pytest.approx(mean)
            share = audit_files(tmp_path / "lr.png", tmp_path / "sr.png").share
            assert row.trust[name]["added"] == pytest.approx(100 * share, rel=1e-3)
            assert math.isnan(row.trust[name]["inside_90"]), "nothing is calibrated"
    largest = max(row.trust["m"]["consistency_max"] for row in result.rows)
    assert result.summaries()[1].trust["consistency_max"] == largest
    kept = as_json(result, "c", "now")
    assert kept["summary"][1]["trust"]["inside_90"] is None
    assert kept["images"][0]["trust"]["m"]["added"] == pytest.approx(
        result.rows[0].trust["m"]["added"]
    )


def test_trust_counts_samples_inside_the_interval():
    from reslift.evaluate.trust import measure
    from reslift.uncertainty import Calibration, Judge, ScaleHead

    lr = np.full((20, 24, 3), 100, np.uint8)
    sr, hr = (np.full((40, 48, 3), value, np.uint8) for value in (100, 103))
    hr[:, :24] = 120
    head = ScaleHead(2, width=4, blocks=1).eval()
    torch.nn.init.zeros_(head.tail.weight), torch.nn.init.zeros_(head.tail.bias)
    judge = Judge(head, Calibration(levels=(0.9,), centres=(-9.0, 0.0), factors=((2.0, 2.0),)))
    found = measure(lr, sr, hr, 4, judge)
    assert found["half_width_90"] == pytest.approx(8.0), "twice the scale at the start, 4 levels"
    assert found["inside_90"] == pytest.approx(50.0)
    assert found["consistency_max"] == found["added"] == 0


def test_scale_one_shaves_nothing_and_takes_any_degradation(folder):
    from reslift.degradations import Degradation

    class Darker(Degradation):
        scale = 1

        def __call__(self, hr: torch.Tensor) -> torch.Tensor:
            return hr // 2

        def describe(self) -> str:
            return "half as bright"

    result = evaluate([], [find_test_set(folder, 1)], scale=1, degradation=Darker())
    assert result.shave == 0 and "half as bright" in result.sets[0].lr
    assert 0 < result.rows[0].scores[BASELINE]["psnr_y"] < 20


def test_models_of_another_scale_or_twice_are_refused(folder, tmp_path):
    sets = [find_test_set(folder, 4)]
    with pytest.raises(UsageError, match=r"has scale 2, this evaluation has 4"):
        evaluate([("m", made(small_lift(2)))], sets, scale=4)
    with pytest.raises(UsageError, match="twice"):
        evaluate([("m", made(small_lift(4))), ("m", made(small_lift(4)))], sets, scale=4)
    two = saved(tmp_path / "two.safetensors", small_lift(2))
    four = saved(tmp_path / "four.safetensors", small_lift(4))
    assert load_models([two], None, "cpu")[1] == 2
    with pytest.raises(UsageError, match="different scales"):
        load_models([two, four], None, "cpu")
    with pytest.raises(UsageError, match="give --scale"):
        load_models([], None, "cpu")


def test_run_folders_and_equal_names(tmp_path):
    (tmp_path / "run").mkdir()
    saved(tmp_path / "run/best.safetensors", small_lift(2))
    saved(tmp_path / "same.safetensors", small_lift(2))
    models, scale = load_models([tmp_path / "run", tmp_path / "same.safetensors"], None, "cpu")
    assert scale == 2
    assert [name for name, _ in models] == ["small", "same"]


def row_of(image, base, ours):
    scores = {BASELINE: {"psnr_y": base}, "m": {"psnr_y": ours}}
    return ImageRow("s", image, 8, 8, scores, {BASELINE: 1.0, "m": 2.0})


def test_exact_images_are_left_out_of_means_for_everyone():
    rows = [row_of("a", 30.0, 31.0), row_of("b", 40.0, math.inf), row_of("c", math.inf, math.inf)]
    summary = summarise("s", Contender("m"), rows)
    assert summary.means["psnr_y"] == 31.0 and summary.images == 1
    assert summary.gain == 1.0, "not the difference of the means beside it"


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=40))
def test_interval_holds_the_mean_and_repeats(values):
    low, high = bootstrap(values)
    assert low - 1e-9 <= np.mean(values) <= high + 1e-9
    assert min(values) - 1e-9 <= low <= high <= max(values) + 1e-9
    assert bootstrap(values) == (low, high)


def test_interval_is_that_of_scipy():
    from scipy.stats import bootstrap as outside

    values = np.random.default_rng(3).normal(0.4, 1.0, 60)
    wanted = outside(
        (values,), np.mean, method="percentile", n_resamples=10_000, random_state=1
    ).confidence_interval
    assert bootstrap(list(values)) == pytest.approx((wanted.low, wanted.high), abs=0.02)
    assert bootstrap([1.0]) is None


def test_gallery_keeps_the_worst_and_stays_small(folder):
    gallery = Gallery(200, 1, 2)
    side = math.sqrt(gallery.area)
    assert 60 < side < 200
    gallery._most = 2
    result = evaluate(
        [("m", made(small_lift()))],
        [find_test_set(folder, 2)],
        scale=2,
        watcher=lambda row, pair, answers: gallery.add(row, pair, answers),
    )
    worst = [row.image for row in sorted(result.rows, key=lambda row: row.gain("m"))]
    assert [s.row.image for s in gallery.subjects] == worst[:2]


def test_files_agree_and_are_not_overwritten(folder, tmp_path):
    gallery = Gallery(3, 1, 2)
    result = evaluate(
        [("m", made(small_lift()))],
        [find_test_set(folder, 2)],
        scale=2,
        watcher=lambda row, pair, answers: gallery.add(row, pair, answers),
    )
    out = tmp_path / "out"
    prepare(out, overwrite=False)
    paths = save_results(out, result, gallery.subjects, "reslift evaluate x")
    assert [p.name for p in paths] == ["results.json", "results.csv", "report.html"]
    kept = json.loads(paths[0].read_text(encoding="utf-8"))
    assert kept["protocol"] == result.protocol and kept["command"] == "reslift evaluate x"
    assert kept["environment"]["torch"] == torch.__version__
    lines = list(csv.DictReader(io.StringIO(paths[1].read_text(encoding="utf-8"))))
    assert len(lines) == 6
    for line in lines:
        row = next(i for i in kept["images"] if i["image"] == line["image"])
        assert float(line["psnr_y"]) == pytest.approx(row["scores"][line["model"]]["psnr_y"])
    text = paths[2].read_text(encoding="utf-8")
    assert "a &lt;b&gt;.png" in text and "<b>.png" not in text
    assert text.count("<article") == 3 and "where" not in text.split("<article")[1][:200]
    with pytest.raises(OutputExists, match="--overwrite"):
        prepare(out, overwrite=False)
    prepare(out, overwrite=True)


def test_json_says_what_is_not_a_number(folder):
    result = evaluate([], [find_test_set(folder, 2)], scale=2)
    result.rows[0].scores[BASELINE].update(psnr_y=math.inf, ssim_y=math.nan)  # type: ignore[attr-defined]
    image = as_json(result, "c", "now")["images"][0]
    assert image["scores"][BASELINE]["psnr_y"] == "inf"
    assert image["scores"][BASELINE]["ssim_y"] is None
    json.dumps(as_json(result, "c", "now"), allow_nan=False)


def test_csv_runs_no_formula(tmp_path):
    Image.fromarray(PICTURES["gray.png"]).save(tmp_path / "=1+1.png")
    result = evaluate([], [find_test_set(tmp_path, 2)], scale=2)
    assert ",'=1+1.png," in as_csv(result)


def test_command_judges_the_rest_of_a_broken_folder(folder, tmp_path):
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n truncated")
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(folder / "tiny.png")
    model = small_lift()
    save(tmp_path / "m.safetensors", model, card_of(model))
    done = run(tmp_path / "m.safetensors", "--data", folder, "--out", tmp_path / "out")
    assert done.returncode == 3, done.stderr
    assert "largest error, levels" in done.stdout
    assert "<h2>Trust</h2>" in (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "broken.png" in done.stderr and "tiny.png" in done.stderr
    assert "Traceback" not in done.stderr and "3 done, 2 failed" in done.stderr
    assert "bicubic" in done.stdout and "\x1b" not in done.stdout
    assert len(json.loads((tmp_path / "out/results.json").read_text())["failures"]) == 2
    assert not [p for p in (tmp_path / "out").iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--scale", "2"], 2, "--data"),
        (["--data", "SET"], 2, "--scale"),
        (["--data", "SET", "--data", "SET", "--scale", "2"], 2, "twice"),
        (["--data", "SET/none", "--scale", "2"], 1, "no such folder"),
        (["nonesuch", "--data", "SET", "--scale", "2"], 2, "unknown model"),
        (["--data", "SET", "--scale", "0"], 2, "scale"),
    ],
)
def test_command_refuses_in_one_line(folder, capsys, words, code, said):
    assert main(["evaluate", *(word.replace("SET", str(folder)) for word in words)]) == code
    heard = capsys.readouterr().err
    assert said in heard and len(heard.splitlines()) == 1


def test_nothing_judged_is_a_failure(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(b"")
    assert main(["evaluate", "--data", str(tmp_path), "--scale", "2"]) == 1
    assert "no picture could be judged" in capsys.readouterr().err


def test_outputs_are_refused_before_the_work(folder, tmp_path, capsys):
    out = tmp_path / "out"
    out.mkdir()
    (out / "results.csv").write_text("mine")
    words = ["evaluate", "--data", str(folder), "--scale", "2", "--out", str(out)]
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--limit", "1", "--quiet", "--no-trust"]) == 0
    heard = capsys.readouterr()
    assert "largest error" not in heard.out
    assert str(out / "report.html") in heard.out and "odd.png" not in heard.out
    assert (out / "results.csv").read_text().startswith("set,image")


def same_grid(tmp_path, name, damage, resize=24):
    """A checkpoint at scale 1 that leaves LR as it is, and says what it was trained to repair."""
    model = small("residual", "repaired")
    recipe = Recipe(name=name, scale=1, degradation=damage, data={"resize": resize})
    card = card_of(model, name).model_copy(
        update={"model": "residual", "recipe": recipe.model_dump(mode="json", exclude_none=True)}
    )
    save(tmp_path / f"{name}.safetensors", model, card)
    return tmp_path / f"{name}.safetensors"


def test_at_scale_1_the_damage_is_the_recipes_and_bicubic_starts_from_the_small_picture(
    folder, tmp_path, capsys
):
    damage = {"name": "pixelate", "arguments": {"percent": 25}}
    path = same_grid(tmp_path, "faces", damage)
    assert main(["evaluate", str(path), "--data", str(folder), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "area to 25 %" in out and "HR brought to 24x24" in out and "0 pixels shaved" in out
    assert "the small picture that LR was made from" in out

    upscalers, scale = load_models([path], None, "cpu")
    degradation, side = preparation(upscalers, scale)
    result = evaluate(
        upscalers, [find_test_set(folder, 1)], scale=1, degradation=degradation, side=side
    )
    row = next(row for row in result.rows if row.image.startswith("a"))
    hr = torch.from_numpy(to_square(PICTURES["a <b>.png"], 24).copy()).permute(2, 0, 1)[None]
    truth = hr.double() / 255
    expected = {
        BASELINE: degradation.baseline(hr),
        "faces": degradation(hr).double() / 255,
    }
    for name, answer in expected.items():
        rounded = (answer * 255).add(0.5).floor().clamp(0, 255) / 255
        assert row.scores[name]["psnr_y"] == pytest.approx(
            metrics.psnr_y(rounded, truth, 0).item(), abs=1e-3
        )
    assert row.gain("faces") < 0


def test_at_scale_1_models_share_their_damage_and_there_is_a_model(folder, tmp_path):
    one = same_grid(tmp_path, "one", {"name": "pixelate"})
    other = same_grid(tmp_path, "other", {"name": "resize_back"})
    words = ["evaluate", str(one), str(other), "--data", str(folder), "--device", "cpu"]
    assert main(words) == 2
    assert main(["evaluate", "--data", str(folder), "--scale", "1"]) == 2
    bare = saved(tmp_path / "bare.safetensors", bicubic_lift(1))
    assert main(["evaluate", str(bare), "--data", str(folder), "--device", "cpu"]) == 2


def test_gains_are_of_the_images_that_the_means_are_of():
    """An image that bicubic reproduces has neither; a dash where none is left."""

    def row(image, base, ours):
        scores = {BASELINE: {"psnr_y": base}, "m": {"psnr_y": ours}}
        return ImageRow("set", image, 9, 9, scores, {BASELINE: 1.0, "m": 1.0})

    exact = [row("both", math.inf, math.inf), row("bicubic", math.inf, 30.0)]
    rows = [row("a", 20.0, 21.0), row("b", 20.0, 20.5), *exact]
    base, ours = (summarise("set", Contender(name), rows) for name in (BASELINE, "m"))
    assert ours.gain == ours.means["psnr_y"] - base.means["psnr_y"] == 0.75
    assert ours.images == 2 and ours.interval == bootstrap([1.0, 0.5])
    nothing = summarise("set", Contender("m"), exact)
    assert math.isnan(nothing.gain) and nothing.images == 0
    assert "nan" not in verdict(nothing) and "<b>– dB</b>" in verdict(nothing)


def test_a_gain_that_rounds_to_nothing_has_no_sign():
    scores = {BASELINE: {"psnr_y": 20.001}, "m": {"psnr_y": 20.0}}
    row = ImageRow("set", "a", 9, 9, scores, {BASELINE: 1.0, "m": 1.0})
    assert "<b>0.00 dB</b>" in verdict(summarise("set", Contender("m"), [row]))

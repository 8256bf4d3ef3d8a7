"""The report of a training: what it says is what the best weights do on the held-out pictures."""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from PIL import Image
from skimage import data

from reslift import checkpoint
from reslift.cli import main
from reslift.datasets.folder import read_rgb
from reslift.degradations import Bicubic, ResizeBack
from reslift.evaluate import BASELINE, bootstrap
from reslift.evaluate.results import Contender, Evaluation, ImageRow, SetInfo
from reslift.metrics import psnr_y, ssim_y
from reslift.outcome import measure as measuring
from reslift.outcome import sentence
from reslift.outcome.measure import HeldOut, measure, take
from reslift.recipe import Recipe, parse
from reslift.run import Run
from reslift.train import fit
from reslift.validation import Pair, centre
from reslift.watcher import Silent
from small_models import bicubic_lift

TREE = {
    "name": "small <s>",
    "summary": "a test",
    "scale": 1,
    "model": {"name": "residual", "arguments": {"width": 4}},
    "degradation": {"name": "resize_back"},
    "data": {"hold_out": 9, "test": 8, "cache": False, "reject_flat": 0.0},
    "watch": {"validate_every": 3, "tensorboard": False},
    "engine": {"precision": "fp32", "threads": 1},
    "phases": [{"steps": 6, "batch": 2, "patch": 16, "rate": 1e-4, "loss": {"mse": 1.0}}],
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    photo = data.astronaut()
    for number in range(20):
        top, left = number // 5 * 32, number % 5 * 40
        Image.fromarray(photo[top : top + 32, left : left + 40]).save(folder / f"{number}.png")
    return folder


def trained(folder: Path, pictures: Path, **changes: object) -> tuple[Run, Recipe]:
    recipe = parse({**TREE, **changes}, "test")
    run = Run.create(folder, recipe, {"data_root": str(pictures), "command": ["reslift", "train"]})
    assert fit(recipe, run, data=pictures)
    return run, recipe


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, pictures: Path) -> Run:
    return trained(tmp_path_factory.mktemp("runs") / "run", pictures)[0]


def report(run: Run) -> dict:  # type: ignore[type-arg]
    return json.loads((run.folder / "report.json").read_text())  # type: ignore[no-any-return]


def test_the_table_is_what_the_best_weights_do(run: Run, pictures: Path) -> None:
    model, _ = checkpoint.load(run.folder / "best.safetensors")
    names = json.loads((run.folder / "data.json").read_text())
    record = report(run)
    for split, count in (("validation", 9), ("test", 8)):
        gains, likeness = [], []
        for name in names[split]:
            hr = read_rgb(pictures / name)[None]
            truth, lr = hr.double() / 255, ResizeBack()(hr).float() / 255
            base = psnr_y(ResizeBack().baseline(hr), truth, 0).item()
            sr = model(lr).double()
            gains.append(psnr_y(sr, truth, 0).item() - base)
            likeness.append(ssim_y(sr, truth, 0).item())
        base, ours = (row for row in record["summary"] if row["set"] == split)
        assert (base["model"], ours["model"]) == (BASELINE, "small <s>")
        assert ours["images"] == count
        assert ours["gain_psnr_y"] == pytest.approx(sum(gains) / count, abs=1e-4)
        assert ours["gain_psnr_y"] == pytest.approx(ours["psnr_y"] - base["psnr_y"])
        assert ours["ssim_y"] == pytest.approx(sum(likeness) / count, abs=1e-5)
        assert ours["gain_interval_95"] == pytest.approx(bootstrap(gains), abs=1e-4)
        assert ours["ms_per_output_megapixel"] > 0
    assert {one["set"]: one["verdict"] for one in record["verdicts"]} == {
        one["set"]: one["verdict"] for one in record["summary"] if one["verdict"]
    }
    assert record["run"]["finished"] is True
    assert record["run"]["parameters"] == model.parameter_count()
    assert record["data"]["train"] == {"pictures": 3, "labels": 1}
    assert record["weights"].startswith("best.safetensors, step ")


def test_the_page_is_whole_and_small(run: Run) -> None:
    text = (run.folder / "report.html").read_text(encoding="utf-8")
    for verdict in report(run)["verdicts"]:
        assert verdict["sentence"] in text
    for part in ("95 % interval", "Curves", "Worst errors", "error of bicubic", "Test pictures"):
        assert part in text
    assert "ST-LPIPS was not measured." in text and "`reslift evaluate` with this run" in text
    assert f"<dd>{run.facts()['bicubic_psnr_y']:.2f}</dd>" in text
    assert "small &lt;s&gt;" in text
    assert "<s>" not in text
    assert text.count("<article") == 12
    assert text.count('class="coarse"') > 50, "small pictures are enlarged as squares"
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    assert len(text) < 3e6


def test_the_log_has_training_pictures_and_the_loss_of_held_out_ones(
    run: Run, pictures: Path
) -> None:
    names = json.loads((run.folder / "data.json").read_text())
    base = []
    for name in names["train"]:
        hr = read_rgb(pictures / name)[None]
        base.append(psnr_y(ResizeBack().baseline(hr), hr.double() / 255, 0).item())
    rows = run.rows()
    assert [row["step"] for row in rows] == [3, 6]
    for row in rows:
        assert row["validation_loss"] == pytest.approx(row["mse"], rel=1e-5)
        assert row["bicubic_loss"] == pytest.approx(row["bicubic_mse"], rel=0.02)
        assert row["train_bicubic_psnr_y"] == pytest.approx(sum(base) / 3, abs=1e-3)
        assert 10 < row["train_psnr_y"] < 60


def test_the_command_judges_a_run_and_writes_its_report_anew(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = report(run)
    (run.folder / "report.html").unlink()
    assert main(["evaluate", str(run.folder), "--device", "cpu", "--out", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    for one in before["verdicts"]:
        assert f"{one['set']}: {one['sentence']}" in told
    after = report(run)
    for old, new in zip(before["summary"], after["summary"], strict=True):
        old.pop("ms_per_output_megapixel")
        new.pop("ms_per_output_megapixel")
        assert new.pop("st_lpips", 0.0) >= 0, "where its extra is installed"
        assert old == new
    assert after["run"] == before["run"]
    assert after["warnings"] == before["warnings"]
    assert (run.folder / "report.html").is_file()
    assert json.loads((tmp_path / "results.json").read_text())["summary"][1]["set"] == "validation"


def test_the_scores_of_a_run_are_told_where_its_report_finds_no_room(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (run.folder / "report.html").read_bytes()

    def full(self: Run, name: str, text: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.folder / name))

    monkeypatch.setattr(Run, "write_text", full)
    assert main(["evaluate", str(run.folder), "--device", "cpu"]) == 1
    told = capsys.readouterr()
    assert report(run)["verdicts"][0]["sentence"] in told.out
    assert "No space left" in told.err and "Traceback" not in told.err
    assert (run.folder / "report.html").read_bytes() == before


@pytest.mark.parametrize("words", [["lift-base"], ["RUN", "--limit", "3"], ["RUN", "RUN"], []])
def test_without_pictures_only_one_run_is_judged(
    run: Run, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word.replace("RUN", str(run.folder)) for word in words]
    assert main(["evaluate", *words]) == 2
    assert "--data DIR, or one run folder" in capsys.readouterr().err


class Glance(Silent):
    """Reads the report while training goes on."""

    def __init__(self, run: Run) -> None:
        self.run, self.seen = run, list[dict]()  # type: ignore[type-arg]

    def stepped(self, step: int) -> None:
        self.seen.append(report(self.run))


def test_a_cut_training_says_how_far_it_came(pictures: Path, tmp_path: Path) -> None:
    recipe = parse(
        {**TREE, "model": {"name": "residual", "arguments": {"width": 4, "form": "published"}}},
        "test",
    )
    run = Run.create(tmp_path, recipe, {})
    glance = Glance(run)
    assert not fit(recipe, run, data=pictures, minutes=0, watcher=glance)
    assert [one["summary"] for one in glance.seen] == [[]]
    assert [one["code"] for one in glance.seen[0]["warnings"]] == ["bounded-output"]
    record = report(run)
    assert (record["run"]["step"], record["run"]["finished"]) == (1, False)
    assert record["weights"].startswith("last.safetensors")
    assert "cut at step 1 of 6" in (run.folder / "report.html").read_text(encoding="utf-8")
    assert fit(recipe, run, data=pictures)
    assert "all 6 steps" in (run.folder / "report.html").read_text(encoding="utf-8")


def pair(side: int, name: str = "p") -> Pair:
    top = len(name) * 7
    hr = torch.from_numpy(data.coffee()[top : top + side, :side].copy()).permute(2, 0, 1)[None]
    degradation = Bicubic(2)
    lr, base = degradation(hr), degradation.baseline(hr).mul(255).round().clamp(0, 255)
    return Pair(name, lr, hr, base.to(torch.uint8))


def held(pairs: Sequence[Pair], name: str = "validation") -> HeldOut:
    return HeldOut(name, len(pairs), pairs.__getitem__, "made")


def test_pictures_that_share_a_batch_are_judged_alone() -> None:
    model = bicubic_lift()
    pairs = [pair(side, "p" * n) for n, side in enumerate((32, 32, 40, 32), 1)]
    together = measure(model, "m", [held(pairs)]).result.rows
    for one, row in zip(pairs, together, strict=True):
        (alone,) = measure(model, "m", [held([one])]).result.rows
        assert row.image == one.name
        assert row.scores["m"] == pytest.approx(alone.scores["m"], rel=1e-4)
        assert row.scores[BASELINE] == alone.scores[BASELINE]
        assert row.gain("m") == pytest.approx(0, abs=0.05), "untrained, Lift is bicubic"


def test_pictures_too_small_to_shave_fail_and_the_rest_is_judged() -> None:
    findings = measure(bicubic_lift(), "m", [held([pair(4), pair(32)])])
    assert [row.width for row in findings.result.rows] == [32]
    assert "nothing is left" in findings.result.failures[0].reason


def test_many_pictures_are_drawn_and_kept_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "MOST_PICTURES", 10)
    split = HeldOut("test", 50, lambda n: None if n % 2 else pair(8, str(n)), "made")
    drawn = [int(one.name) for one in take(split, bounded=True)]
    assert len(drawn) == 10
    assert drawn == sorted(drawn)
    assert drawn[-1] > 30, "from all over"
    assert len(take(split, bounded=False)) == 25


def judged(gains: Sequence[float]) -> Evaluation:
    result = Evaluation(1, 0, "", [Contender(BASELINE), Contender("m")], [SetInfo("test", "", 0)])
    for number, gain in enumerate(gains):
        scores = {BASELINE: {"psnr_y": 30.0}, "m": {"psnr_y": 30 + gain}}
        result.rows.append(
            ImageRow("test", str(number), 8, 8, scores, {BASELINE: math.nan, "m": 1.0})
        )
    return result


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        ([1.0, 2.0, 1.5], "closer to HR than bicubic's, on 3 of 3"),
        ([0.01, 0.02, 0.01], "on 3 of 3 of them by PSNR-Y. A gain under 0.1 dB is not"),
        ([-1.0, -2.0, -0.5], "is closer to HR on 3 of 3 pictures. For this task bicubic"),
        ([1.0, -1.1, 0.2, -0.2], "no larger than chance makes it with 4 pictures; 2 gain"),
        ([5.0], "One picture cannot tell"),
    ],
)
def test_the_verdict_in_words(gains: list[float], words: str) -> None:
    result = judged(gains)
    assert words in sentence(result.summaries()[1], result)


def test_the_crop_of_training_is_what_is_judged(pictures: Path, tmp_path: Path) -> None:
    part = {**TREE["data"], "validation_crop": 16, "test": 0}  # type: ignore[dict-item]
    run, _ = trained(tmp_path, pictures, data=part)
    record = report(run)
    assert "the middle 16x16 HR pixels" in record["sets"][0]["lr"]
    names = json.loads((run.folder / "data.json").read_text())["validation"]
    base = []
    for name in names:
        hr = read_rgb(pictures / name)[None]
        whole = ResizeBack().baseline(hr)
        _, small, truth = centre(hr, 1, 16, whole, hr)
        base.append(psnr_y(small, truth.double() / 255, 0).item())
    assert record["summary"][0]["psnr_y"] == pytest.approx(sum(base) / len(base), abs=1e-6)

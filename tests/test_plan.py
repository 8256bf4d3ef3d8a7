"""`reslift plan`: says what an upscaling takes, and writes nothing."""

from __future__ import annotations

import re
import time

import numpy as np
import pytest
from PIL import Image

from reslift import batch, plan, upscale
from reslift.batch import Job, Naming, Request
from reslift.checkpoint import Card, save
from reslift.cli import main
from reslift.cli.plan import amount, duration
from reslift.limits import DEFAULT
from reslift.sizes import Size
from small_models import made, saved, small, small_lift


def picture(path, width, height):
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def model(tmp_path):
    return str(saved(tmp_path / "small.safetensors", small_lift()))


def test_a_table_and_a_sum(tmp_path, capsys, model):
    folder = tmp_path / "in"
    folder.mkdir()
    picture(folder / "a.png", 60, 40)
    picture(folder / "b.jpg", 1100, 30)
    assert main(["plan", str(folder), "--model", model, "--backend", "torch"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["input", "kind", "frames", "cells", "result", "memory", "time"]
    assert lines[1].split()[1:5] == ["PNG", "1", "1", "120x80"]
    assert lines[2].split()[1:5] == ["JPEG", "1", "3", "2200x60"]
    assert re.match(r"in all .+ to start\), at most .+B of memory, on cpu", lines[3])
    assert sorted(p.name for p in folder.iterdir()) == ["a.png", "b.jpg"]


def test_a_model_of_one_size_is_asked_for_that_size_alone(tmp_path, capsys):
    model = small("bottleneck", "repaired")
    card = Card(name="s", model="bottleneck", arguments=model.arguments, scale=1)
    save(tmp_path / "s.safetensors", model, card)
    (tmp_path / "in").mkdir()
    picture(tmp_path / "in" / "fits.png", model.size, model.size)
    picture(tmp_path / "in" / "other.png", model.size, model.size + 1)
    assert main(["plan", str(tmp_path / "in"), "--model", str(tmp_path / "s.safetensors")]) == 3
    streams = capsys.readouterr()
    assert "fits.png" in streams.out and "other.png" not in streams.out
    assert "other.png: this model has fully connected layers and takes 16x16" in streams.err


def test_what_cannot_be_read_is_said(tmp_path, capsys, model):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    picture(tmp_path / "in" / "good.png", 30, 30)
    assert main(["plan", str(tmp_path / "in"), "--model", model, "--backend", "torch"]) == 3
    assert "bad.png" in capsys.readouterr().err
    assert main(["plan", str(tmp_path / "none.png"), "--model", model]) == 1


def test_the_time_grows_with_the_pixels(tmp_path):
    upscaler = made(small_lift())
    for name, side in (("a", 520), ("b", 1040)):
        picture(tmp_path / f"{name}.png", side, side)
    naming = Naming(str(tmp_path / "out"), "-x2", None, False, None)
    request = Request([str(tmp_path / "*.png")], Size(scale=2), naming)
    jobs = batch.plan(request).jobs
    found, failed = plan.estimates(plan.Probe(upscaler, DEFAULT), jobs)
    assert not failed
    assert [e.cells for e in found] == [4, 9]
    assert 2 < found[1].seconds / found[0].seconds < 5
    began = time.perf_counter()
    upscaler.upscale_file(jobs[1].source, tmp_path / "c.png")
    taken = time.perf_counter() - began
    assert 0.2 < found[1].seconds / taken < 5


def test_bands_count(tmp_path):
    rasterio = pytest.importorskip("rasterio")
    times = []
    for bands in (1, 6):
        path = tmp_path / f"{bands}.tif"
        profile = {"width": 64, "height": 64, "count": bands, "dtype": "uint16"}
        profile |= {"crs": "EPSG:32618", "transform": rasterio.Affine(1, 0, 5, 0, -1, 5)}
        with rasterio.open(path, "w", driver="GTiff", **profile) as dataset:
            dataset.write(np.ones((bands, 64, 64), np.uint16))
        job = Job(path, tmp_path / "out.tif", (64, 64), (128, 128))
        probe = plan.Probe(made(small_lift()), DEFAULT, _costs={2.0: plan.Cost(1e-6, 1.0, 1.0)})
        times.append(probe.estimate(job).seconds)
    assert times[1] > 3 * times[0]


def test_memory_grows_with_each_cell_larger_than_all_before():
    cost, growth = plan.Cost(1.0, 10.0, 4.0), plan.Growth()
    assert growth.take([100, 120, 110, 120, 130], cost) == 1000 + 480 + 520
    assert growth.take([90, 130], cost) == 2000
    assert plan.Growth().take([50, 60], plan.Cost(1.0, 10.0, 0.0)) == 500


def test_words():
    assert duration(0.0123) == "12 ms"
    assert duration(12.34) == "12.3 s"
    assert duration(250) == "4 min 10 s"
    assert duration(3 * 3600 + 299) == "3 h 4 min"
    assert (amount(1_200_000_000), amount(5_000_000)) == ("1.2 GB", "5 MB")


def test_a_failure_names_its_file_once_and_makes_no_table(tmp_path, capsys, model):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert main(["plan", str(broken), "--model", model, "--backend", "torch"]) == 1
    streams = capsys.readouterr()
    assert streams.out == "" and streams.err.count("broken.png") == 1


def test_a_clip_is_tried_from_end_to_end_where_it_begins(tmp_path, monkeypatch):
    av = pytest.importorskip("av")
    assert av
    from reslift import media
    from video_samples import noisy_clip

    (tmp_path / "in").mkdir()
    clip = noisy_clip(tmp_path / "in" / "clip.mkv", 90)
    upscaler, video = made(small_lift()), media.MEDIA["video"]
    naming = Naming(str(tmp_path / "out"), "-x2", None, False, None)
    wishes = media.Wishes(start=1.0)
    request = Request([str(tmp_path / "in" / "*")], Size(scale=2), naming, wishes=wishes)
    (job,) = batch.plan(request).jobs
    seen = []

    def pace(*given):
        seen.append(given)
        return type(video).pace(video, *given)

    monkeypatch.setattr(video, "pace", pace, raising=False)
    (found,), failed = plan.estimates(plan.Probe(upscaler, DEFAULT, wishes), [job])
    assert not failed and seen[0][3].start == 1.0
    assert plan.FEWEST <= seen[0][4] <= plan.MOST
    assert 0 < found.seconds < 60 and not (tmp_path / "out").exists()
    assert [p.name for p in (tmp_path / "in").iterdir()] == [clip.name]
    monkeypatch.setattr(video, "pace", lambda *given: 2.0)
    (found,), _ = plan.estimates(plan.Probe(upscaler, DEFAULT, wishes), [job])
    assert found.seconds == 2.0 * job.frames


def test_what_costs_time_is_counted(tmp_path, monkeypatch, model):
    asked, real = {}, upscale.load
    monkeypatch.setattr(upscale, "load", lambda *a, **k: asked.update(k) or real(*a, **k))
    source = str(picture(tmp_path / "a.png", 6, 4))
    words = ["plan", source, "--model", model, "--backend", "torch", "--ensemble", "--wrap"]
    assert main(words) == 0
    assert asked["ensemble"] and asked["wrap"]

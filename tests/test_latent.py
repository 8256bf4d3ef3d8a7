"""Looking inside: exact ends of interpolations, maps against outside implementations, the files."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from latent_samples import DAMAGE, checkpoint, pictures
from reslift import latent
from reslift.checkpoint import Card, save
from reslift.cli import main
from reslift.datasets.cifar10 import CLASSES, PIXELS
from reslift.errors import InputError, UsageError
from reslift.latent import project, walk
from reslift.latent.drawing import draw_map
from reslift.latent.neighbours import agreement, nearest, trustworthiness
from reslift.latent.page import amplification, columns
from reslift.latent.pool import pooled
from reslift.latent.strips import Strip, choose_pair, find_picture
from reslift.recipe import parse
from reslift.run import Run
from small_models import VARIANTS, lively, small

FILES = {"latent.html", "latent.csv", "map-pca.png", "interpolation.png", "traversal.png"}


def scattered(count, size, seed=0):
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("pictures") / "set")


@pytest.fixture(scope="module")
def found(folder, tmp_path_factory):
    path = checkpoint(tmp_path_factory.mktemp("model") / "m.safetensors", "lift")
    return latent.explore(latent.open_source(path, folder, device="cpu"))


@pytest.mark.parametrize(("name", "form"), VARIANTS)
def test_ends_of_an_interpolation_are_the_reconstructions(name, form):
    model = lively(small(name, form), even=True)
    height, width = (model.size, model.size) if model.size else (13, 11)
    a, b = (
        torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(s)) for s in (1, 2)
    )
    first, second = walk.features_of(model, a), walk.features_of(model, b)
    for way in ("linear", "spherical"):
        ends = [walk.decoded(model, walk.interpolate(first, second, t, way), a) for t in (0.0, 1.0)]
        assert torch.equal(ends[0], model(a)) and torch.equal(ends[1], model(b))
        middle = walk.decoded(model, walk.interpolate(first, second, 0.5, way), a)
        assert not torch.equal(middle, ends[0]) and not torch.equal(middle, ends[1])
    only = walk.interpolate(first, second, 1.0, "latent only")
    assert torch.equal(only[-1], second[-1])
    assert all(torch.equal(x, y) for x, y in zip(only[:-1], first[:-1], strict=True))


def test_spherical_keeps_the_length_and_lr_goes_linearly():
    a, b = torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([[0.0, 2.0, 0.0]])
    assert walk.slerp(a, b, 0.5).tolist()[0] == pytest.approx([2**0.5, 2**0.5, 0])
    assert torch.equal(walk.slerp(a, 3 * a, 0.25), torch.lerp(a, 3 * a, 0.25))
    lr = torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4)
    mixed = walk.interpolate([lr[0], a], [lr[1], b], 0.3, "spherical")
    assert torch.equal(mixed[0], torch.lerp(*lr, 0.3))


@pytest.mark.parametrize("shape", [(1, 10), (1, 5, 7, 6)])
def test_a_traversal_moves_the_pooled_vector_along_its_axis(shape):
    here = torch.rand(shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    direction = torch.nn.functional.normalize(scattered(1, 10)[0].double(), dim=0)
    assert torch.equal(walk.shifted(here, direction, 0.0), here)
    there = walk.shifted(here, direction, 0.2)
    assert torch.allclose(pooled(there) - pooled(here), 0.2 * direction, atol=1e-9)
    flat = torch.ones(1, 5, 7, 6)
    assert pooled(walk.shifted(flat, direction, 3.0)).isfinite().all()


def test_the_mean_latent_is_the_same_for_all():
    maps, mean = torch.rand(2, 3, 4, 5), torch.arange(6.0)
    emptied = walk.without_latent(maps, mean)
    assert emptied.shape == maps.shape
    assert torch.equal(emptied[1, :, 2, 3], mean[:3])
    assert torch.equal(walk.without_latent(torch.rand(2, 6), mean), mean.expand(2, 6))


def test_nearest_are_those_of_a_full_sort():
    vectors = scattered(600, 5)
    numbers, distances = nearest(vectors, 4)
    full = torch.cdist(vectors.double(), vectors.double()).fill_diagonal_(torch.inf)
    assert torch.equal(numbers, full.argsort(1)[:, :4])
    assert torch.allclose(distances, full.sort(1).values[:, :4])


def test_trustworthiness_is_scikit_learns():
    manifold = pytest.importorskip("sklearn.manifold", reason="scikit-learn is not installed")
    vectors, points = scattered(700, 8), scattered(700, 2, seed=1)
    half = vectors[:, :2] + 0.5 * points
    for flat in (points, half):
        ours = trustworthiness(vectors, flat, 7)
        theirs = manifold.trustworthiness(vectors.numpy(), flat.numpy(), n_neighbors=7)
        assert ours == pytest.approx(theirs, abs=1e-6)
    assert trustworthiness(vectors, 3 * vectors, 7) == 1.0
    assert np.isnan(trustworthiness(vectors[:3], points[:3], 1))


def test_agreement_of_labels():
    same, chance = agreement(["a", "a", "b", "b"], torch.tensor([[1], [0], [3], [0]]))
    assert same == 0.75 and chance == pytest.approx(4 / 12)


def test_principal_axes_are_those_of_the_covariance():
    vectors = scattered(50, 6) * torch.tensor([5.0, 3, 2, 1, 0.5, 0.1]) + 7
    axes = project.principal_axes(vectors)
    values, directions = np.linalg.eigh(np.cov(vectors.double().numpy().T))
    assert axes.deviations.square().numpy() == pytest.approx(values[::-1])
    assert np.abs((axes.directions.numpy() @ directions[:, ::-1]).diagonal()) == pytest.approx(1)
    assert axes.shares.sum().item() == pytest.approx(1)
    assert axes.scores(vectors).std(0).numpy() == pytest.approx(axes.deviations.numpy())


def test_maps_depend_on_the_seed_alone():
    if not (project.installed("openTSNE") or project.installed("sklearn")):
        pytest.skip("neither openTSNE nor scikit-learn is installed")
    vectors = torch.cat([scattered(15, 6), scattered(15, 6, 1) + 9])
    axes = project.principal_axes(vectors)
    runs = [project.project(vectors, axes, seed)[0][1].points for seed in (0, 0)]
    assert torch.equal(*runs)
    groups = runs[0][:15], runs[0][15:]
    apart = (groups[0].mean(0) - groups[1].mean(0)).norm()
    assert apart > max(group.std(0).norm() for group in groups)


def test_scikit_learn_stands_in_for_opentsne(monkeypatch):
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    monkeypatch.setattr(project, "installed", lambda package: package == "sklearn")
    points, words = project.tsne(scattered(12, 4).double(), 0)
    assert points.shape == (12, 2) and words.startswith("scikit-learn")


def test_without_extras_pca_remains_and_a_line_says_so(monkeypatch):
    monkeypatch.setattr(project, "installed", lambda package: False)
    vectors = scattered(20, 4)
    maps, notes = project.project(vectors, project.principal_axes(vectors), 0)
    assert [one.key for one in maps] == ["pca"]
    assert len(notes) == 1 and "pip install" in notes[0]


@pytest.mark.parametrize(("name", "form"), VARIANTS)
def test_every_model_can_be_looked_into(name, form, tmp_path, folder):
    path = checkpoint(tmp_path / "m.safetensors", name, form)
    source = latent.open_source(path, folder, limit=8, device="cpu")
    found = latent.explore(source)
    assert not found.encoded.failures and len(found.encoded.names) == 8
    assert torch.stack(found.encoded.vectors).shape[0] == len(found.projections[0].points) == 8
    assert found.traversals and len(found.interpolations) == 3
    for strip in found.interpolations:
        assert strip.changes[0] == 0 and all(np.isfinite(strip.changes))
    lines = latent.save(tmp_path, found, "reslift latent")
    assert {line.name for line in lines} == FILES


def test_the_page_holds_every_picture_and_asks_no_network(found, tmp_path):
    latent.save(tmp_path, found, "reslift <latent>")
    text = (tmp_path / "latent.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<link|src=\"(?!data:)|@import|<latent>", text)
    block = re.search(r'<script type="application/json" id="explorer-data">(.*?)</script>', text)
    data = json.loads(block[1])
    assert len(data["names"]) == 12 and sorted(data["labels"]) == ["dark", "light"]
    assert all(len(one["values"]) == 12 for one in data["columns"])
    assert all(0 <= x <= 1 for one in data["maps"] for x in one["points"])
    for sheet in data["sheets"].values():
        assert sheet["sources"][0].startswith("data:image/")


def test_the_table_says_what_was_measured(found, tmp_path):
    latent.save(tmp_path, found, "reslift latent")
    text = (tmp_path / "latent.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["file"] for row in rows] == found.encoded.names
    assert rows[0]["label"] == "dark" and rows[0]["file"] == "dark/dark0.png"
    first = found.projections[0].points[3].tolist()
    assert [float(rows[3][key]) for key in ("pca_1", "pca_2")] == pytest.approx(first, rel=1e-6)
    assert len(rows[0]["nearest"].split()) == found.neighbours.shape[1]
    for row in rows:
        gain = float(row["psnr_y"]) - float(row["bicubic_psnr_y"])
        assert float(row["gain_psnr_y"]) == pytest.approx(gain, abs=1e-5)


def test_pictures_are_named_by_number_name_or_end(found):
    names = found.encoded.names
    assert find_picture(found.encoded, "dark/dark3.png") == names.index("dark/dark3.png")
    assert find_picture(found.encoded, "light2") == names.index("light/light2.png")
    assert find_picture(found.encoded, "5") == 5
    assert choose_pair(found.encoded, found.axes, ("0", "light2")) == (
        0,
        names.index("light/light2.png"),
    )
    for wrong, words in (("99", "no picture"), (".png", "12 pictures"), ("", "no picture")):
        with pytest.raises(UsageError, match=words):
            find_picture(found.encoded, wrong)


def test_differences_too_small_to_see_are_enlarged():
    def strip(levels):
        frames = tuple(np.full((4, 5, 3), 100 + level, np.uint8) for level in levels)
        return Strip("s", ("−1", "0", "1"), frames, (0.0, 0.0, 0.0), 1)

    wanted = {(0, 0, 0): 1, (0, 1, 2): 32, (7, 0, 0): 16, (90, 0, 0): 1}
    assert {levels: amplification(strip(levels)) for levels in wanted} == wanted


def test_large_pictures_are_shown_where_they_err_most(tmp_path):
    data = pictures(tmp_path / "large", 2, (300, 280))
    path = checkpoint(tmp_path / "m.safetensors", "lift")
    found = latent.explore(latent.open_source(path, data, device="cpu"))
    shown = found.encoded.pictures
    assert shown["hr"][0].shape == shown["sr"][0].shape == (256, 256, 3)
    assert shown["lr"][0].shape == (128, 128, 3)
    assert max(found.encoded.thumbnails[0].shape) == 64


def test_command_writes_the_files_once(folder, tmp_path, capsys):
    path = checkpoint(tmp_path / "m.safetensors", "hourglass", "repaired")
    words = ["latent", str(path), "--data", str(folder), "--limit", "6", "--device", "cpu"]
    assert main([*words, "--between", "0,3"]) == 0
    printed = capsys.readouterr()
    assert "trustworthiness" in printed.out and "t-SNE needs" in printed.err
    out = tmp_path / "m-latent"
    assert {file.name for file in out.iterdir()} == FILES
    with Image.open(out / "interpolation.png") as strip:
        assert strip.size == (9 * 128, 3 * 128)
    before = (out / "latent.csv").read_bytes()
    assert main(words) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--quiet"]) == 0
    assert (out / "latent.csv").read_bytes() == before
    assert main([*words, "--out", str(tmp_path / "o"), "--between", "0"]) == 2


def test_a_broken_picture_is_listed_and_left_out(tmp_path, capsys):
    data = pictures(tmp_path / "set", 3)
    (data / "dark" / "a.png").write_bytes(b"no picture")
    path = checkpoint(tmp_path / "m.safetensors", "lift")
    assert main(["latent", str(path), "--data", str(data), "--device", "cpu"]) == 3
    said = capsys.readouterr().err
    assert "a.png" in said and "6 done, 1 failed" in said
    assert "a.png" in (tmp_path / "m-latent" / "latent.html").read_text(encoding="utf-8")


def test_a_run_knows_its_own_pictures(tmp_path, folder):
    model = lively(small("bottleneck", "repaired"), even=True)
    recipe = parse(
        {
            "name": "tiny", "scale": 1, "seed": 5, "degradation": DAMAGE,
            "model": {"name": "bottleneck"},
            "data": {"train": ["."], "hold_out": 4, "test": 3, "resize": 16},
        },
        "test",
    )  # fmt: skip
    run = Run.create(tmp_path / "run", recipe, {"data_root": str(folder)})
    card = Card(name="tiny", model="bottleneck", arguments=model.arguments, scale=1,
                recipe=recipe.model_dump(mode="json"))  # fmt: skip
    save(run.folder / "best.safetensors", model, card)
    sizes = {split: len(latent.open_source(run.folder, split=split).images)
             for split in latent.SPLITS}  # fmt: skip
    assert sizes == {"held-out": 3, "train": 5, "validation": 4, "test": 3, "all": 12}
    assert len(latent.open_source(run.folder).images) == 3
    assert len(latent.open_source(run.folder, folder).images) == 12
    with pytest.raises(UsageError, match="unknown split"):
        latent.open_source(run.folder, split="mine")


def test_cifar_batches_are_recognised(tmp_path):
    rng = np.random.default_rng(1)
    records = rng.integers(0, 255, (12, 1 + PIXELS), np.uint8)
    records[:, 0] = np.arange(12) % 10
    records.tofile(tmp_path / "data_batch_1.bin")
    path = checkpoint(tmp_path / "m.safetensors", "edsr")
    source = latent.open_source(path, tmp_path, device="cpu")
    assert len(source.images) == 12
    number = source.images.names.index("data_batch_1.bin:11")
    assert source.images.labels[number] == CLASSES[1]


def test_what_cannot_be_looked_at_is_refused(tmp_path, folder):
    path = checkpoint(tmp_path / "m.safetensors", "lift")
    with pytest.raises(UsageError, match="name them with --data"):
        latent.open_source(path)
    with pytest.raises(UsageError, match="--split goes with a run"):
        latent.open_source(path, folder, split="test")
    with pytest.raises(UsageError, match="unknown data set"):
        latent.open_source(path, folder, dataset="cifar")
    with pytest.raises(InputError, match="too few for a map"):
        latent.open_source(path, pictures(tmp_path / "few", 1))
    with pytest.raises(InputError, match="no such folder"):
        latent.open_source(path, tmp_path / "absent")


def test_a_look_that_fails_leaves_no_folder(tmp_path, capsys):
    """Neither does an evaluation."""
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "one.png")
    data = ["--data", str(tmp_path)]
    look = ["latent", "lift-small", *data, "-o", str(tmp_path / "new" / "look")]
    assert main(look) == 1
    assert main(["evaluate", "no-such-model", *data, "--out", str(tmp_path / "new")]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["one.png"]
    (tmp_path / "new").write_text("a file")
    assert main(look) == 1
    assert "cannot make the folder" in capsys.readouterr().err.splitlines()[-1]


def test_a_look_that_replaces_another_leaves_none_of_its_files(folder, tmp_path):
    path = checkpoint(tmp_path / "m.safetensors", "lift")
    out = tmp_path / "look"
    out.mkdir()
    (out / "map-umap.png").write_bytes(b"of an earlier look")
    (out / "notes.txt").write_text("the user's")
    words = ["latent", str(path), "--data", str(folder), "--limit", "4", "--device", "cpu", "-q"]
    assert main([*words, "-o", str(out), "--overwrite"]) == 0
    assert {file.name for file in out.iterdir()} == {*FILES, "notes.txt"}


def test_a_gain_without_end_says_which_end(found):
    known = found.encoded.psnr[2:]
    ends = {"psnr": [30.0, math.inf, *known], "bicubic_psnr": [math.inf, 30.0, *known]}
    encoded = replace(found.encoded, **ends)
    (gain,) = (c for c in columns(replace(found, encoded=encoded)) if c["key"] == "gain_psnr_y")
    assert gain["values"][:2] == ["-∞", "∞"] and gain["values"][2] == 0.0
    json.dumps(gain, allow_nan=False)
    points = found.projections[0].points
    assert draw_map(points, [gain], [], "title").shape[2] == 3

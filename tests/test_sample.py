"""`reslift sample`: what is written, that cells and seeds hold, what is refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reslift import formats
from reslift.checkpoint import Card, save
from reslift.cli import main
from reslift.errors import UsageError
from reslift.models.hourglass import Hourglass
from reslift.pixels.tiles import CELL
from reslift.sample import BRIGHTER, Sampler, SampleStitcher, load
from small_models import lively, saved, small_lift


def model_of(*strategies):
    model = Hourglass(2, width=16, blocks=1, strategies=[*strategies, "vae"])
    return lively(model, even=True)


def card_for(model):
    return Card(name="s", model="hourglass", arguments=model.arguments, scale=model.scale)


@pytest.fixture(scope="module")
def variational(tmp_path_factory):
    path, model = tmp_path_factory.mktemp("model") / "vae.safetensors", model_of("residual")
    save(path, model, card_for(model))
    return path


@pytest.fixture(scope="module")
def sampler(variational):
    return load(variational, device="cpu")


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def picture(name, height=13, width=17, bands=3):
    array = np.random.default_rng(0).integers(60, 190, (height, width, bands), np.uint8)
    Image.fromarray(array[..., 0] if bands == 1 else array).save(name)
    return array


def png(path):
    return np.asarray(Image.open(path))


def test_samples_differ_among_themselves_and_agree_by_seed(sampler):
    image = np.random.default_rng(1).random((11, 9, 3), dtype=np.float32)
    first = sampler.sample(image, 3, seed=4)
    assert [s.shape for s in first] == [(22, 18, 3)] * 3
    for one, same in zip(first, sampler.sample(image, 3, seed=4), strict=True):
        np.testing.assert_array_equal(one, same)
    others = [*first, *sampler.sample(image, 2, seed=5), sampler(image)]
    assert len({other.tobytes() for other in others}) == 6
    np.testing.assert_array_equal(sampler(image), sampler(image))


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_cells_change_no_sample(bands, monkeypatch):
    model = model_of("residual")
    image = np.random.default_rng(2).random((70, 61, bands), dtype=np.float32)

    def sample(cell):
        monkeypatch.setattr(SampleStitcher.__init__, "__defaults__", (None, None, cell))
        sampler = Sampler(model, card_for(model), device="cpu")
        assert sampler._stitcher.cell == cell
        return sampler.sample(image, 1, seed=9)[0]

    np.testing.assert_allclose(sample(16), sample(CELL), rtol=0, atol=1e-6)


def test_threads_draw_their_own(sampler):
    """Threads that draw and threads that ask for the usual answer do not disturb each other."""
    image = np.random.default_rng(3).integers(0, 256, (24, 20, 3), np.uint8)
    expected = [sampler(image), *(sampler.sample(image, 1, seed)[0] for seed in range(3))]

    def work(number):
        if number % 4 == 0:
            return sampler(image)
        return sampler.sample(image, 1, number % 4 - 1)[0]

    with ThreadPoolExecutor(4) as pool:
        for number, answer in enumerate(pool.map(work, range(60))):
            np.testing.assert_array_equal(answer, expected[number % 4])


def test_alpha_is_never_drawn(sampler):
    image = np.random.default_rng(3).integers(0, 256, (12, 10, 4), np.uint8)
    first, second = sampler.sample(image, 2)
    np.testing.assert_array_equal(first[..., 3], sampler(image)[..., 3])
    np.testing.assert_array_equal(first[..., 3], second[..., 3])
    assert (first[..., :3] != second[..., :3]).any()


@pytest.mark.parametrize("bands", [1, 3, 4])
def test_the_command_writes_samples_mean_and_deviation(here, variational, sampler, capsys, bands):
    array = picture("a.png", bands=bands)
    words = ["sample", "a.png", "--model", str(variational), "-n", "5", "--device", "cpu"]
    assert main(words) == 0
    folder = here / "a-x2-samples"
    out, err = capsys.readouterr()
    assert out == "a-x2-samples\n"
    assert f"deviation.png shows {BRIGHTER} times" in err
    names = {"sr", "mean", "deviation", *(f"sample-{n}" for n in range(1, 6))}
    assert {path.name for path in folder.iterdir()} == {f"{name}.png" for name in names}
    array = array[..., 0] if bands == 1 else array
    np.testing.assert_array_equal(png(folder / "sr.png"), sampler(array))
    samples = sampler.sample(array, 5)
    for number, sample in enumerate(samples):
        np.testing.assert_array_equal(png(folder / f"sample-{number + 1}.png"), sample)
    floats = np.stack([s.astype(np.float64) for s in samples])
    assert np.abs(png(folder / "mean.png") - floats.mean(0)).max() <= 1
    colors = floats[..., :3] if bands == 4 else floats
    spread = colors.std(0, ddof=1)
    spread = spread if bands == 1 else spread.mean(2)
    shown = png(folder / "deviation.png")
    assert shown.max() > 0
    assert np.abs(shown - (BRIGHTER * spread).clip(0, 255)).max() <= 0.75 * BRIGHTER
    assert main([*words, "--quiet"]) == 2
    before = png(folder / "sample-1.png")
    assert main([*words, "--overwrite", "--seed", "1", "--quiet"]) == 0
    assert (png(folder / "sample-1.png") != before).any()


def test_16_bits_stay_16_bits(here, sampler):
    ramp = np.linspace(9000, 50000, 600).round().astype(np.uint16).reshape(20, 30, 1)
    formats.write(here / "a.tif", formats.Picture(ramp, "gray", False))
    sampler.sample_file(here / "a.tif", here / "out", 2)
    assert formats.read(here / "out" / "sample-2.png").pixels.dtype == np.uint16


def test_refusals_are_one_line_and_leave_nothing(here, variational, sampler, capsys):
    picture("a.png")
    lift = saved(here / "lift.safetensors", small_lift(2))
    for words, says in (
        (["--model", str(lift)], "gives one answer and no samples"),
        (["--model", str(variational), "-n", "1"], "1 samples; from 2 to"),
        (["--model", str(variational), "--seed", "-1"], "seed -1"),
    ):
        assert main(["sample", "a.png", "--device", "cpu", *words]) == 2
        err = capsys.readouterr().err
        assert says in err
        assert err.count("\n") == 1
    assert main(["sample", "gone.png", "--model", str(variational)]) == 1
    assert sorted(path.name for path in here.iterdir()) == ["a.png", "lift.safetensors"]
    with pytest.raises(UsageError, match="0 samples"):
        sampler.sample(np.zeros((4, 4), np.uint8), 0)
    assert isinstance(variational, Path)


def test_fewer_samples_leave_none_of_an_earlier_call_and_no_input_is_lost(
    variational, here, capsys
):
    picture("a.png")
    words = ["sample", "a.png", "--model", str(variational), "-o", "s"]
    assert main([*words, "-n", "4"]) == 0
    assert main([*words, "-n", "2", "--overwrite"]) == 0
    assert sorted(p.name for p in Path("s").glob("sample-*")) == ["sample-1.png", "sample-2.png"]
    Path("b").mkdir()
    whole = picture("b/mean.png")
    assert main(["sample", "b/mean.png", *words[2:4], "-o", "b", "-n", "2", "--overwrite"]) == 2
    assert "would overwrite the input" in capsys.readouterr().err
    np.testing.assert_array_equal(png("b/mean.png"), whole)
    assert main([*words, "--max-input-pixels", "9", "--overwrite"]) == 1

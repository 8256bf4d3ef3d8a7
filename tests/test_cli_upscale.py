"""`reslift upscale`: what is printed and returned, what a failure leaves."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reslift import formats
from reslift.backends.torch import TorchBackend
from reslift.checkpoint import save
from reslift.cli import main
from reslift.formats import vips
from reslift.stitch import Stitcher
from reslift.upscale import Upscaler, load
from small_models import card_of, made, saved, small_lift

ON_CPU = ("--device", "cpu", "--backend", "torch")
POSIX = pytest.mark.skipif(os.name == "nt", reason="signals and terminals as POSIX has them")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(saved(tmp_path_factory.mktemp("model") / "small.safetensors", small_lift(2)))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(model, capsys):
    """Run the command; gives its code and the lines of both streams."""

    def call(*words):
        code = main(["upscale", "--model", model, *ON_CPU, *map(str, words)])
        streams = capsys.readouterr()
        return code, streams.out.splitlines(), streams.err.splitlines()

    return call


def noise(height=9, width=7, bands=3, seed=0):
    array = np.random.default_rng(seed).integers(0, 256, (height, width, bands), np.uint8)
    return array[..., 0] if bands == 1 else array


def picture(name, *shape):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(noise(*shape)).save(path)
    return path


def everything():
    """Every file here, hidden ones too, with its content."""
    files = [path for path in Path().rglob("*") if path.is_file()]
    return {path.as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_one_picture(run):
    picture("a.png")
    before = everything()
    assert run("a.png") == (0, ["a-x2.png"], ["1 done, 0 failed"])
    after = everything()
    assert after.pop("a-x2.png") and after == before
    np.testing.assert_array_equal(np.asarray(Image.open("a-x2.png")), made(small_lift(2))(noise()))


def test_command_line_and_python_give_the_same_bytes(run, model):
    picture("a.png", 30, 41, 4)
    assert run("a.png", "-o", "cli.png")[0] == 0
    load(model, device="cpu", backend="torch").upscale_file(Path("a.png"), Path("python.png"))
    assert Path("cli.png").read_bytes() == Path("python.png").read_bytes()


@pytest.mark.parametrize("bands", [3, 4])
def test_tile_changes_no_byte(run, monkeypatch, bands):
    monkeypatch.setattr(Stitcher.__init__, "__defaults__", (None, None, 16))
    picture("a.png", 53, 38, bands)
    for tile in (16, 64, 999):
        assert run("a.png", "-o", f"{tile}.png", "--tile", tile)[0] == 0
    assert run("a.png", "-o", "memory.png", "--max-memory", "32G")[0] == 0
    assert run("a.png", "-o", "none.png")[0] == 0
    files = ("16.png", "64.png", "999.png", "memory.png", "none.png")
    assert len({Path(name).read_bytes() for name in files}) == 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 7), (37, 1), (3000, 1), (13, 21)])
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "bmp"])
def test_any_size_in_any_format(run, height, width, suffix):
    picture(f"a.{suffix}", height, width)
    assert run(f"a.{suffix}")[:2] == (0, [f"a-x2.{suffix}"])
    header = formats.peek(f"a-x2.{suffix}")
    assert (header.height, header.width) == (2 * height, 2 * width)
    assert header.format == formats.format_of(f"a.{suffix}")


def test_16_bit_stays_16_bit(run):
    ramp = np.linspace(0, 65535, 1500).round().astype(np.uint16)[None, :, None]
    formats.write("a.png", formats.Picture(np.repeat(ramp, 8, 0).copy(), "gray", False))
    assert run("a.png", "-o", "b.tif")[0] == 0
    sr = formats.read("b.tif").pixels
    assert sr.dtype == np.uint16 and len(np.unique(sr)) > 1000


def test_folders_mirror_and_a_second_run_finds_its_work_done(run):
    picture("in/a.png"), picture("in/s/b.jpg"), Path("in/notes.txt").write_text("x")
    code, out, err = run("in", "-o", "out")
    assert (code, [Path(p).as_posix() for p in out]) == (0, ["out/a.png", "out/s/b.jpg"])
    assert err[-1] == "2 done, 0 failed"
    assert run("in")[0] == 0
    before = everything()
    code, out, err = run("in")
    assert (code, out) == (2, []) and "a-x2.png exists (and 1 more of the results)" in err[0]
    assert everything() == before
    assert run("in", "--overwrite")[2][-1] == "2 done, 0 failed"
    assert everything() == before


def test_a_batch_with_broken_files(run):
    for name in ("in/a.png", "in/z.png"):
        picture(name, 40, 40)
    whole = Path("in/a.png").read_bytes()
    Path("in/cut.png").write_bytes(whole[: len(whole) // 2])
    Path("in/zero.png").touch()
    Path("in/bad\n\x1b[31m.png").write_text("text")
    before = everything()
    code, out, err = run("in", "gone.png", "-o", "out")
    assert (code, len(out)) == (3, 2)
    assert err[-1] == "2 done, 4 failed"
    failed = [line for line in err if line.startswith("failed: ")]
    assert len(failed) == 4 and len(err) == 5
    assert sum("cut.png" in line for line in failed) == 1
    assert any("bad\\n\\x1b[31m.png" in line for line in failed)
    journal = ".reslift-journal"
    assert sorted(os.listdir("out")) == [journal, "a.png", "z.png"], "for the same command again"
    assert before.items() <= everything().items()


def test_nothing_succeeded(run):
    Path("a.png").write_text("text")
    assert run("a.png", "b.png")[0] == 1
    assert run("a.png", "--quiet")[1:] == ([], run("a.png")[2])
    assert sorted(os.listdir()) == ["a.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="shorter paths elsewhere")
def test_long_and_odd_names_are_printed_whole(run):
    name = f" {'n' * 200}"
    picture(f"{'f' * 200}/{'g' * 200}/{'h' * 200}/{'i' * 200}/{name}.png")
    code, out, _ = run("f" * 200)
    assert code == 0 and len(out[0]) > 1000 and Path(out[0]).exists()


@pytest.mark.parametrize("name", ["no", "there", "e", "use"])
def test_short_names_are_told_too(run, name):
    code, _, err = run(name)
    assert code == 1 and err[0] == f"failed: {name}: there is no such file or folder"
    Path(name).write_bytes(b"text")
    assert run(name)[2][0].startswith(f"failed: cannot use {name}: unknown content")


def test_a_missing_input_is_told_where_the_result_is_named_too(run):
    code, _, err = run("a.png", "-o", "b.png")
    assert code == 1 and err[0] == "failed: a.png: there is no such file or folder"


@POSIX
def test_an_interrupt_while_a_result_is_written_is_not_lost(run, monkeypatch):
    """libvips calls Python back; what is raised in there would be printed and forgotten."""
    picture("a.png"), picture("b.png")
    before, save, main_thread = everything(), vips.save, threading.main_thread().ident

    def interrupted(image, saver, sink, *words, **options):
        put = sink.write

        def write(data):
            signal.pthread_kill(main_thread, signal.SIGINT)
            time.sleep(0.05)
            return put(data)

        sink.write = write
        save(image, saver, sink, *words, **options)

    monkeypatch.setattr(vips, "save", interrupted)
    code, out, err = run("a.png", "b.png")
    assert (code, out) == (130, []) and err[-2:] == ["0 done, 0 failed", "reslift: interrupted"]
    assert everything().keys() - before.keys() <= {"a-x2.png", ".reslift-journal"}


def test_quiet_says_nothing_but_errors(run):
    picture("a.png")
    assert run("a.png", "--quiet") == (0, [], [])


def test_notes_are_printed_once_each(run):
    Image.fromarray(noise()).quantize(8).save("a.png")
    picture("b.png", 9, 7, 4)
    code, _, err = run("a.png")
    assert code == 0 and len([line for line in err if line.startswith("note: a.png: ")]) == 1
    err = run("b.png", "-o", "b.jpg")[2]
    assert err[:-1] == ["note: b.png: JPEG has no alpha: composited on white"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "Missing argument"),
        (("a.png", "-o", "b.xyz"), "'.xyz' names no format"),
        (("a.png", "--scale", "0"), "scale 0"),
        (("a.png", "--scale", "65"), "up to 64"),
        (("a.png", "--size", "big"), "3840x2160"),
        (("a.png", "--size", "0x5"), "from 1 up"),
        (("a.png", "--scale", "2", "--long-side", "9"), "not several"),
        (("a.png", "--megapixels", "nan"), "megapixels nan"),
        (("a.png", "--megapixels", "1e308"), "megapixels 1e+308: above 0 and up to"),
        (("a.png", "--long-side", "9" * 400), "long side 99999999999999999999: "),
        (("a.png", "--size", "9" * 400 + "x"), "from 1 up to"),
        (("a.png", "--crop", "1,2,3"), "X,Y,width,height"),
        (("a.png", "--crop", "1,2,0,3"), "from 1 up"),
        (("a.png", "--output-format", "pdf"), "unknown format"),
        (("a.png", "-o", "b.gif", "--output-format", "png"), "b.gif is named as another format"),
        (("a.png", "--suffix", "/x"), "not a path"),
        (("a.png", "--overwrite", "--skip-existing"), "exclude"),
        (("a.png", "--scale", "big"), "--scale"),
        (("a.png", "--tile", "0"), "tile 0"),
        (("a.png", "--device", "tpu"), "'tpu' is not one of"),
        (("a.png", "--max-memory", "much"), "'much' is not an amount"),
        (("a.png", "--max-input-pixels", "0"), "from 1 up"),
        (("a.png", "--quality", "101"), "quality"),
        (("a.png", "--model", "lift-bass"), "lift-bass"),
        (("a.png", "--frobnicate"), "--frobnicate"),
        (("a.png", "-o", "a.png", "--overwrite"), "would overwrite the input"),
    ],
)
def test_bad_usage_is_one_line_and_no_work(run, words, says):
    picture("a.png")
    code, out, err = run(*words)
    assert (code, out) == (2, []) and len(err) == 1 and says in err[0]
    assert os.listdir() == ["a.png"]


@pytest.mark.parametrize(
    ("option", "name"),
    [("--max-input-pixels", 62), ("--max-output-pixels", 251), ("--max-file-bytes", 50)],
)
def test_limits_name_their_option(run, option, name):
    picture("a.png")
    code, _, err = run("a.png", option, name)
    assert code == 1 and option in err[0]
    assert run("a.png", option, "1M")[0] == 0


def test_a_defect_in_one_file_does_not_stop_the_rest(run, monkeypatch):
    picture("a.png"), picture("b.png")
    work = Upscaler.work

    def fails_on_a(self, source, target, *words):
        if source.name == "a.png":
            raise KeyError
        return work(self, source, target, *words)

    monkeypatch.setattr(Upscaler, "work", fails_on_a)
    code, out, err = run("a.png", "b.png")
    assert (code, out) == (3, ["b-x2.png"])
    assert "internal error, KeyError" in err[0] and len(err) == 2
    assert "Traceback" in "\n".join(run("a.png", "--debug")[2])


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError("CUDA out of memory")])
def test_a_stop_in_the_middle_leaves_only_whole_results(run, monkeypatch, stop):
    monkeypatch.setattr("reslift.work.IN_MEMORY", 0)
    picture("a.png", 5, 5), picture("b.png", 6, 6)
    before, compute = everything(), TorchBackend.run

    def stops(self, cell):
        if cell.shape[-1] == 6:
            raise stop
        return compute(self, cell)

    monkeypatch.setattr(TorchBackend, "run", stops)
    code, out, err = run("a.png", "b.png")
    assert (code, out) == (130 if stop is KeyboardInterrupt else 3, ["a-x2.png"])
    assert ("reslift: interrupted" in err) == (stop is KeyboardInterrupt)
    after = everything()
    assert after.pop("a-x2.png") and after.pop(".reslift-journal") and after == before


def test_a_read_only_place_is_one_line(run, monkeypatch):
    picture("a.png")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "mkdir", refuse)
    code, out, err = run("a.png", "-o", "new/")
    assert (code, out) == (1, []) and "cannot make the folder new: Permission denied" in err[0]


def process(*words, **options):
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        env={**environment, **options.pop("env", {})},
        text=True,
        **options,
    )


def test_bad_inputs_fail_before_torch_is_loaded(model):
    Path("a.png").write_text("text")
    code = (
        "import sys; from reslift.cli import main; "
        f"code = main(['upscale', 'a.png', 'gone.png', '--model', {model!r}]); "
        "print(code, 'torch' in sys.modules)"
    )
    done = process("-c", code, stderr=subprocess.PIPE)
    out, err = done.communicate(timeout=60)
    assert out.split() == ["1", "False"] and err.endswith("0 done, 2 failed\n")


@POSIX
@pytest.mark.parametrize("no_color", [False, True])
def test_progress_only_on_a_terminal(model, no_color):
    import pty

    picture("a.png", 40, 40)
    terminal, end = pty.openpty()
    env = {"NO_COLOR": "1"} if no_color else {}
    words = "-m", "reslift", "upscale", "a.png", "--model", model
    command = process(*words, stderr=end, env=env)
    out, _ = command.communicate(timeout=100)
    os.close(end)
    drawn = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert (command.returncode, out) == (0, "a-x2.png\n")
    assert "%" in drawn and drawn.rstrip().endswith("1 done, 0 failed")
    assert bool(re.search(r"\x1b\[[0-9;]*(3[0-9]|38;5;[0-9]+)m", drawn)) != no_color


@POSIX
def test_a_real_interrupt(model):
    picture("a.png", 4, 4), picture("b.png", 2000, 2000)
    before = everything()
    words = "-m", "reslift", "upscale", "a.png", "b.png", "--model", model
    command = process(*words, stderr=subprocess.PIPE)
    assert command.stdout.readline() == "a-x2.png\n"
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=60)
    assert command.returncode == 130 and "Traceback" not in err
    after = everything()
    assert after.pop("a-x2.png") and after.pop(".reslift-journal") and after == before


def test_a_model_that_is_not_calibrated_is_one_error_for_all_files(run):
    picture("in/a.png"), picture("in/b.png")
    code, out, errors = run("in", "-o", "out", "--uncertainty")
    assert (code, out, len(errors)) == (2, [], 1)
    assert "is not calibrated; `reslift calibrate" in errors[0]
    assert not Path("out").exists()


def test_an_ensemble_of_answers_that_are_alike_is_told(run, tmp_path, capsys):
    picture("a.png")
    assert not any("--ensemble" in line for line in run("a.png", "--ensemble")[2])
    model = small_lift(2)
    for order, told in ((8, 1), (4, 0)):
        card = card_of(model).model_copy(update={"recipe": {"model": {"symmetry": order}}})
        save(tmp_path / "m.safetensors", model, card)
        words = ["upscale", "a.png", "--model", "m.safetensors", *ON_CPU, "--overwrite"]
        assert main([*words, "--ensemble"]) == 0
        assert capsys.readouterr().err.count("--ensemble only costs time") == told
    assert main([*words, "--ensemble", "--quiet"]) == 0 and not capsys.readouterr().err

"""`reslift upscale` of many files: how results are named, kept, resumed, summed up and piped."""

import hashlib
import io
import json
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import formats_samples as samples
from kill_points import room
from reslift import files, formats, provenance
from reslift.backends.torch import TorchBackend
from reslift.cli import main
from reslift.errors import OutputError
from small_models import saved, small_lift

POSIX = pytest.mark.skipif(os.name == "nt", reason="signals as POSIX has them")
JOURNAL = ".reslift-journal"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(saved(tmp_path_factory.mktemp("model") / "small.safetensors", small_lift(2)))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def run(model, capsys):
    def call(*words):
        arguments = ["upscale", "--model", model, "--device", "cpu", "--backend", "torch"]
        code = main([*arguments, *map(str, words)])
        streams = capsys.readouterr()
        return code, streams.out.splitlines(), streams.err.splitlines()

    return call


def picture(name, height=9, width=7, **options):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(str(name))).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(values).save(path, **options)
    return path


def tree(folder="."):
    found = [p for p in Path(folder).rglob("*") if p.is_file()]
    return {p.as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(found)}


def sides(name):
    header = formats.peek(name)
    return header.width, header.height


def test_names_and_formats(run):
    picture("in/a.png"), picture("in/s/b.jpg")
    assert run("in", "-o", "o1", "--suffix", "_big")[1] == ["o1/a_big.png", "o1/s/b_big.jpg"]
    assert run("in", "-o", "o2", "--flat")[1] == ["o2/a.png", "o2/b.jpg"]
    assert run("in", "-o", "o3", "--output-format", "webp")[1] == ["o3/a.webp", "o3/s/b.webp"]
    assert formats.peek("o3/a.webp").format == "webp"
    assert run("in/a.png", "--suffix", "-new", "--scale", "1.5")[1] == ["in/a-new.png"]
    assert run("in/a.png", "--suffix", "", "--overwrite")[0] == 2
    picture("in/t/a.png")
    code, _, err = run("in", "-o", "o4", "--flat")
    assert code == 2 and "would both become" in err[0]
    assert run("in/a.png", "-o", "x.dat", "--output-format", "bmp")[0] == 0
    assert formats.peek("x.dat").format == "bmp"


@pytest.mark.parametrize(
    ("words", "name", "wanted"),
    [
        (("--scale", "1.7"), "a-x1.7.png", (12, 15)),
        (("--scale", "3"), "a-x3.png", (21, 27)),
        (("--scale", "8"), "a-x8.png", (56, 72)),
        (("--size", "31x17"), "a-31x17.png", (31, 17)),
        (("--size", "14x"), "a-14x.png", (14, 18)),
        (("--long-side", "36"), "a-36px.png", (28, 36)),
        (("--megapixels", "0.001"), "a-0.001mp.png", (28, 36)),
        (("--crop", "2,3,4,5"), "a-x2-crop.png", (8, 10)),
    ],
)
def test_sizes(run, words, name, wanted):
    picture("a.png")
    assert run("a.png", *words)[:2] == (0, [name])
    assert sides(name) == wanted


def test_another_shape_is_told(run):
    picture("a.png")
    assert "its shape is changed, 7x9 to 31x17" in run("a.png", "--size", "31x17")[2][0]
    assert len(run("a.png", "--size", "31x")[2]) == 1


def test_a_crop_outside_is_that_file_s_failure(run):
    picture("a.png"), picture("b.png", 50, 50)
    code, out, err = run("a.png", "b.png", "--crop", "20,20,4,4")
    assert (code, out) == (3, ["b-x2-crop.png"]) and "outside its 7x9" in err[0]


def test_existing_results_are_left_or_an_error(run):
    picture("in/a.png"), picture("in/b.png")
    assert run("in/a.png", "-o", "out/")[0] == 0
    before = tree()
    assert run("in", "-o", "out")[0] == 2 and tree() == before
    code, out, err = run("in", "-o", "out", "--skip-existing")
    assert (code, out) == (0, ["out/b.png"]) and err == ["1 done, 0 failed, 1 already there"]
    assert before.items() <= tree().items()


def test_metadata_goes_when_asked(run):
    exif = Image.Exif()
    exif[0x010F] = "maker"
    exif.get_ifd(0x8825)[1] = "N"
    picture("a.jpg", exif=exif)
    assert run("a.jpg", "-o", "kept.jpg")[0] == 0
    assert run("a.jpg", "-o", "gone.jpg", "--strip-metadata")[0] == 0
    assert b"maker" in Path("kept.jpg").read_bytes()
    assert b"Exif" not in Path("gone.jpg").read_bytes()


def test_a_part_does_not_carry_small_copies_of_the_whole(run):
    """Thumbnails show what was cut away: in EXIF, in Photoshop's list and in XMP."""
    small = b"\xff\xd8a small copy of the whole\xff\xd9"
    first = struct.pack("<HHHI4sI", 1, 271, 2, 4, b"Abc\0", 26)
    entries = struct.pack("<HHHIIHHII", 2, 513, 4, 1, 56, 514, 4, 1, len(small))
    exif = b"II*\0\x08\0\0\0" + first + entries + bytes(4) + small
    named = struct.pack(">4sHHI", b"8BIM", 1028, 0, 4) + b"IPTC"
    listed = named + struct.pack(">4sHHI", b"8BIM", 1036, 0, len(small)) + small
    packet = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
        b'syntax-ns#"><rdf:Description xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="5">'
        b"<xmp:Thumbnails>%b</xmp:Thumbnails></rdf:Description></rdf:RDF></x:xmpmeta>" % small[2:-2]
    )
    picture("a.jpg", exif=b"Exif\0\0" + exif, xmp=packet)
    data, segment = Path("a.jpg").read_bytes(), b"Photoshop 3.0\0" + listed
    marker = b"\xff\xed" + struct.pack(">H", len(segment) + 2)
    Path("a.jpg").write_bytes(data[:2] + marker + segment + data[2:])
    assert run("a.jpg", "-o", "whole.jpg")[0] == 0
    assert run("a.jpg", "-o", "part.jpg", "--crop", "0,0,8,8")[0] == 0
    assert Path("whole.jpg").read_bytes().count(small[2:-2]) == 3
    part = Path("part.jpg").read_bytes()
    assert small[2:-2] not in part
    assert b"Photoshop 3.0\0" + named in part and b'xmp:Rating="5"' in part
    with Image.open("part.jpg") as image:
        assert dict(image.getexif()) == {271: "Abc"}


def test_what_colours_mean_stays_without_metadata(run):
    picture("a.png")
    data = Path("a.png").read_bytes()
    means = samples.chunk(b"cICP", bytes((9, 16, 0, 1))) + samples.chunk(b"gAMA", bytes(4))
    text = samples.chunk(b"tEXt", b"Author\0somebody")
    Path("a.png").write_bytes(data[:33] + means + text + data[33:])
    assert run("a.png", "-o", "b.png", "--strip-metadata")[0] == 0
    assert means in Path("b.png").read_bytes() and text not in Path("b.png").read_bytes()


def test_what_stands_beside_a_result_never_replaces_an_input(run):
    picture("a.png"), picture("a-x2.png.provenance.json.png"), picture("w/a.jpg")
    os.rename("a-x2.png.provenance.json.png", "a-x2.png.provenance.json")
    numbers = "".join(f"{number}\n" for number in (1, 0, 0, -1, 500.5, 99.5))
    Path("w/a.jgw").write_text(numbers)
    before = tree()
    words = ("a.png", "a-x2.png.provenance.json", "--provenance-file", "--overwrite")
    for refused in (words, ("w/a.jpg", "-o", "w/a.jpeg", "--overwrite")):
        code, out, err = run(*refused)
        assert (code, out, len(err)) == (2, [], 1) and "would overwrite the input" in err[0]
    picture("w/b.jpg"), picture("w/b.jpeg"), Path("w/b.jgw").write_text(numbers)
    code, _, err = run("w/b.jpg", "w/b.jpeg", "-o", "large/")
    assert code == 2 and "would both write large/b.jgw" in err[0]
    assert before.items() <= tree().items() and not Path("large").exists()


def test_a_record_that_is_there_is_told_before_the_work(run):
    picture("a.png"), Path("o.png.provenance.json").write_text("mine")
    code, out, err = run("a.png", "-o", "o.png", "--provenance-file")
    assert code != 0 and out == [] and "o.png.provenance.json exists" in err[0]
    assert not Path("o.png").exists() and Path("o.png.provenance.json").read_text() == "mine"


def test_a_summary_has_a_record_a_file(run):
    picture("a.png"), picture("b.png"), Path("c.png").write_text("text")
    assert run("b.png", "-o", "out/")[0] == 0
    words = "a.png", "b.png", "c.png", "-o", "out", "--skip-existing", "--summary", "s.json"
    assert run(*words)[0] == 3
    whole = json.loads(Path("s.json").read_text())
    records = {record["input"]: record for record in whole["files"]}
    assert (whole["done"], whole["kept"], whole["failed"], whole["missing"]) == (1, 1, 1, 0)
    done = records["a.png"]
    assert (done["state"], done["input_size"], done["output_size"]) == ("done", [7, 9], [14, 18])
    assert done["output_bytes"] == Path("out/a.png").stat().st_size and done["seconds"] > 0
    assert "unknown content" in records["c.png"]["error"] and done["error"] is None


def test_a_summary_has_its_place_before_any_work(run):
    picture("a.png"), Path("broken.png").write_text("text")
    os.link("a.png", "hard.png")
    before = tree()
    for name, code, says in (
        ("a.png", 2, "would overwrite the input a.png"),
        ("hard.png", 2, "would overwrite the input a.png"),
        ("broken.png", 2, "would overwrite the input broken.png"),
        ("a-x2.png", 2, "is the result of a.png"),
        ("no/s.json", 1, "cannot write no/s.json"),
    ):
        found, out, err = run("a.png", "broken.png", "--summary", name)
        assert (found, out, len(err)) == (code, [], 1) and says in err[0]
    assert tree() == before
    assert run("a.png", "-o", "new/sub/", "--summary", "new/s.json")[0] == 0
    assert json.loads(Path("new/s.json").read_text())["done"] == 1


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_workers_change_no_byte_and_no_order(run, workers):
    for number in range(7):
        picture(f"in/{number}.png", 30 - number, 20)
    code, out, _ = run("in", "-o", f"out{workers}", "--workers", workers)
    assert code == 0 and [Path(p).stem for p in out] == list("0123456")
    assert run("in", "-o", "other", "--workers", 2)[0] == 0
    assert list(tree(f"out{workers}").values()) == list(tree("other").values())
    assert not list(Path().rglob(JOURNAL))


class Counting:
    """Counts the cells that are computed, and can stop the program after some."""

    def __init__(self, monkeypatch, limit=None):
        compute, self.cells = TorchBackend.run, 0

        def counted(backend, cell):
            self.cells += 1
            if limit is not None and self.cells > limit:
                raise KeyboardInterrupt
            return compute(backend, cell)

        monkeypatch.setattr(TorchBackend, "run", counted)


def interrupted_batch(run, monkeypatch, *words):
    for number in range(5):
        picture(f"in/{number}.png", 12 + number, 20)
    with monkeypatch.context() as patch:
        Counting(patch, limit=4)
        code, _, err = run("in", "-o", "out", *words)
    assert code == 130 and 1 <= len(list(Path("out").glob("*.png"))) <= 4
    assert "the same command again does only what is missing" in err
    return len(list(Path("out").glob("*.png")))


def test_the_same_command_again_does_only_what_is_missing(run, monkeypatch):
    done = interrupted_batch(run, monkeypatch)
    counting = Counting(monkeypatch)
    code, _, err = run("in", "-o", "out")
    assert code == 0 and err[-1] == f"{5 - done} done, 0 failed, {done} already there"
    assert counting.cells <= 5 - done + 2  # a probe in fp32 and one in bf16, where there is bf16
    assert run("in", "-o", "whole")[0] == 0
    assert list(tree("out").values()) == list(tree("whole").values())
    assert not list(Path().rglob(JOURNAL))
    assert run("in", "-o", "out")[0] == 2


@pytest.mark.parametrize("change", ["input", "option", "model"])
def test_what_changed_is_done_again(run, monkeypatch, change, tmp_path):
    done = interrupted_batch(run, monkeypatch)
    words, redone = ["in", "-o", "out"], done
    if change == "input":
        picture("in/0.png", 33, 31)
        redone = 1
    elif change == "option":
        words += ["--wrap"]
    else:
        other = small_lift(2)
        next(other.parameters()).data[:] = 0.1
        words += ["--model", str(saved(tmp_path / "other.safetensors", other))]
    code, _, err = run(*words)
    kept = f", {done - redone} already there" if done > redone else ""
    assert code == 0 and err[-1] == f"{5 - done + redone} done, 0 failed{kept}"
    whole = [word if word != "out" else "whole" for word in words]
    assert run(*whole)[0] == 0
    assert list(tree("out").values()) == list(tree("whole").values())


def test_a_result_painted_over_is_not_lost(run, monkeypatch):
    interrupted_batch(run, monkeypatch)
    Path("out/0.png").write_bytes(b"mine now")
    code, _, err = run("in", "-o", "out")
    assert code == 2 and "out/0.png exists" in err[0]
    assert Path("out/0.png").read_bytes() == b"mine now"


def test_a_vanished_input_and_a_full_disk_are_one_line_each(run, monkeypatch):
    for name in "abc":
        picture(f"in/{name}.png", 20, 20)
    write, compute = formats.write, TorchBackend.run

    def full(path, *words, **options):
        if path.name == "b.png":
            raise OSError(28, "No space left on device")
        return write(path, *words, **options)

    def vanishing(backend, cell):
        Path("in/c.png").unlink(missing_ok=True)
        return compute(backend, cell)

    monkeypatch.setattr("reslift.formats.write", full)
    monkeypatch.setattr(TorchBackend, "run", vanishing)
    code, out, err = run("in", "-o", "out", "--workers", "0")
    assert (code, out) == (3, ["out/a.png"]) and err[-1] == "1 done, 2 failed"
    assert len(err) == 3 and "No such file" in err[1]
    assert sorted(os.listdir("out")) == [JOURNAL, "a.png"]
    monkeypatch.setattr("reslift.formats.write", write)
    picture("in/c.png", 20, 20)
    code, out, err = run("in", "-o", "out", "--workers", "0")
    assert out[0] == "out/b.png" and "1 already there" in err[-1]


def record_meets(monkeypatch, accident):
    """The record beside b.png meets an accident before it is written."""
    write = provenance.write_beside

    def meets(target, *rest, **options):
        if target.name == "b.png":
            accident(provenance.side_file(target))
        write(target, *rest, **options)

    monkeypatch.setattr("reslift.provenance.write_beside", meets)


def full(path):
    raise OutputError(f"cannot write {path}: No space left on device")


@pytest.mark.parametrize("lone", [True, False])
def test_a_result_whose_record_found_no_room_is_made_again(run, monkeypatch, lone):
    picture("in/a.png"), picture("in/b.png")
    words = ("in/b.png" if lone else "in", "-o", "out", "--provenance-file")
    with monkeypatch.context() as patch:
        record_meets(patch, full)
        code, out, _ = run(*words)
    assert (code, out) == ((1, []) if lone else (3, ["out/a.png"]))
    assert not Path("out/b.png").exists()
    code, out, err = run(*words)
    assert (code, out) == (0, ["out/b.png"]) and ("1 already there" in err[-1]) is not lone
    assert Path("out/b.png.provenance.json").exists() and not Path("out", JOURNAL).exists()


@pytest.mark.parametrize("lone", [True, False])
def test_the_room_for_a_record_is_taken_before_pages_are_made(run, lone):
    picture("in/a.tif", save_all=True, append_images=[Image.new("L", (9, 9))])
    picture("in/b.tif", save_all=True, append_images=[Image.new("L", (9, 9))])
    words = ("in/a.tif" if lone else "in", "-o", "out", "--provenance-file")
    with room(12_000):
        code, _, err = run(*words)
    assert code == 1 and "out/a.tif.provenance.json: File too large" in err[0]
    assert not [path for path in Path("out").glob("*") if path.name != JOURNAL]
    assert run(*words)[0] == 0
    record = json.loads(Path("out/a.tif.provenance.json").read_text())
    assert record["weights"]


def test_a_record_that_appeared_beside_pages_is_not_lost_when_run_again(run, monkeypatch):
    for name in "ab":
        picture(f"in/{name}.tif", save_all=True, append_images=[Image.new("L", (9, 9))])
    from reslift.media.tiff_pages import TiffPages

    upscale = TiffPages.upscale

    def meets(medium, enlarger, source, target, *rest):
        notes = upscale(medium, enlarger, source, target, *rest)
        if target.name == "b.tif":
            provenance.side_file(target).write_bytes(b"mine")
        return notes

    words = ("in", "-o", "out", "--provenance-file")
    with monkeypatch.context() as patch:
        patch.setattr(TiffPages, "upscale", meets)
        assert run(*words)[0] == 3
    assert run(*words)[0] in (2, 3)
    assert Path("out/b.tif.provenance.json").read_bytes() == b"mine"


def test_a_record_that_appeared_meanwhile_is_not_lost_when_run_again(run, monkeypatch):
    picture("in/a.png"), picture("in/b.png")
    words = ("in", "-o", "out", "--provenance-file")
    with monkeypatch.context() as patch:
        record_meets(patch, lambda path: path.write_bytes(b"mine"))
        assert run(*words)[0] == 3
    code, _, err = run(*words)
    assert code == 3 and "out/b.png.provenance.json exists" in err[0]
    assert Path("out/b.png.provenance.json").read_bytes() == b"mine"
    assert not Path("out/b.png").exists()


@pytest.mark.parametrize("names", [("a.png",), ("a.png", "c.png")])
def test_a_file_that_is_no_picture_can_be_mended_and_the_rest_is_not_done_again(run, names):
    """Found before any work, it leaves the journal as a later failure does."""
    for name in names:
        picture(f"s/{name}")
    Path("s/b.png").write_text("no picture")
    code, lines, _ = run("s", "-o", "o")
    assert (code, lines) == (3, [f"o/{name}" for name in names])
    assert Path("o", JOURNAL).exists()
    made = {name: Path("o", name).stat().st_mtime_ns for name in names}
    picture("s/b.png")
    code, _, said = run("s", "-o", "o")
    assert code == 0
    assert said[-1] == f"1 done, 0 failed, {len(names)} already there"
    assert made == {name: Path("o", name).stat().st_mtime_ns for name in names}
    assert not Path("o", JOURNAL).exists()


def results():
    return [path for path in Path("out").glob("*.png") if path.name[0] != "."]


def process(*words, **options):
    command = [sys.executable, "-m", "reslift", "upscale", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, **options
    )


@POSIX
def test_killed_at_any_moment_and_run_again(run, model):
    for number in range(6):
        picture(f"in/{number}.png", 150, 150)
    words = "in", "-o", "out", "--model", model, "--device", "cpu", "--backend", "torch"
    assert run(*words[:2], "whole")[0] == 0
    command = process(*words)
    deadline = time.monotonic() + 60
    while len(results()) < 2 and time.monotonic() < deadline:
        time.sleep(0.002)
    command.kill()
    command.communicate()
    before = {path: path.stat().st_mtime_ns for path in results()}
    assert len(before) >= 2
    assert run(*words)[0] == 0
    assert list(tree("out").values()) == list(tree("whole").values())
    assert all(p.stat().st_mtime_ns == time for p, time in before.items())
    assert not list(Path().rglob(".reslift*"))


@POSIX
def test_leftovers_of_dead_processes_are_swept(tmp_path):
    command = process("--help")
    command.communicate()
    machine = files._machine()
    dead = tmp_path / f".reslift-{machine}-{command.pid}-{'0' * 16}.part.png"
    alive = tmp_path / f".reslift-{machine}-{os.getpid()}-{'0' * 16}.part.png"
    other = tmp_path / f".reslift-{'f' * 8}-{command.pid}-{'0' * 16}.part.png"
    for path in (dead, alive, other):
        path.touch()
    files.sweep(tmp_path)
    assert not dead.exists() and alive.exists() and other.exists()


@POSIX
def test_ctrl_c_ends_within_two_seconds(model):
    for number in range(4):
        picture(f"in/{number}.png", 1200, 1200)
    command = process("in", "-o", "out", "--model", model, "--device", "cpu", "--backend", "torch")
    assert command.stdout.readline() == b"out/0.png\n"
    started = time.monotonic()
    command.send_signal(signal.SIGINT)
    _, err = command.communicate(timeout=60)
    assert command.returncode == 130 and b"Traceback" not in err
    assert time.monotonic() - started < 2
    assert b"the same command again" in err and err.endswith(b"reslift: interrupted\n")
    assert not list(Path().rglob("*.part*"))


@pytest.fixture
def pipes(monkeypatch):
    def send(content):
        standard_in, standard_out = (
            io.TextIOWrapper(io.BytesIO(content)),
            io.TextIOWrapper(io.BytesIO()),
        )
        monkeypatch.setattr(sys, "stdin", standard_in)
        monkeypatch.setattr(sys, "stdout", standard_out)
        return standard_out.buffer

    return send


def test_pipes(run, pipes):
    content = picture("a.png").read_bytes()
    assert run("a.png")[0] == 0
    sink = pipes(content)
    assert run("-")[0] == 0
    assert sink.getvalue() == Path("a-x2.png").read_bytes()
    sink = pipes(content)
    assert run("-", "-o", "-", "--output-format", "jpeg")[0] == 0
    assert sink.getvalue()[:3] == b"\xff\xd8\xff"
    sink = pipes(content)
    assert run("-", "-o", "named.png")[0] == 0
    assert Path("named.png").read_bytes() == Path("a-x2.png").read_bytes()
    sink = pipes(b"")
    assert run("a.png", "-o", "-")[0] == 0
    assert sink.getvalue() == Path("a-x2.png").read_bytes()


@pytest.mark.parametrize(
    ("words", "content", "code", "says"),
    [
        (("-",), b"", 1, "standard input is empty"),
        (("-",), b"text that is no picture", 1, "failed: cannot use standard input"),
        (("-", "a.png"), b"x", 2, "alone"),
        (("in", "-o", "-"), b"", 2, "not one file"),
        (("-", "--max-file-bytes", "3"), b"12345", 1, "--max-file-bytes"),
        (("-", "--provenance-file"), b"x", 2, "--provenance-file"),
        (("a.png", "-o", "-", "--uncertainty"), b"", 2, "--uncertainty"),
    ],
)
def test_pipes_that_cannot_be(run, pipes, words, content, code, says):
    picture("a.png"), Path("in").mkdir()
    sink = pipes(content)
    found, _, err = run(*words)
    assert found == code and says in err[0] and sink.getvalue() == b""


def test_a_temporary_folder_that_cannot_be_is_told(run, pipes, monkeypatch):
    def no_room(**options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryDirectory", no_room)
    pipes(picture("a.png").read_bytes())
    code, _, (line,) = run("-")
    assert code == 1 and "cannot make a temporary folder: No space left" in line
    assert line.endswith("let TMPDIR name a folder with room")


def test_standard_input_that_finds_no_room_is_told(run, pipes):
    pipes(bytes(5000))
    with room(1000):
        code, _, err = run("-")
    assert code == 1 and "cannot write into" in err[0] and "TMPDIR" in err[0]


def test_a_closed_standard_output_is_told(run, pipes, monkeypatch):
    pipes(picture("a.png").read_bytes())
    with open(os.devnull, "w") as closed:  # what stands for a stream that is not there
        monkeypatch.setattr(sys, "stdout", closed)
        code, _, err = run("-")
    assert code == 2 and "standard output is closed" in err[0]


def test_a_summary_names_pipes_as_pipes(run, pipes):
    content = picture("a.png").read_bytes()
    pipes(content)
    assert run("-", "--summary", "sum.json")[0] == 0
    (record,) = json.loads(Path("sum.json").read_text())["files"]
    assert (record["input"], record["output"], record["state"]) == ("-", "-", "done")
    pipes(content)
    assert run("-", "-o", "b.png", "--summary", "sum.json")[0] == 0
    (record,) = json.loads(Path("sum.json").read_text())["files"]
    assert (record["input"], record["output"]) == ("-", "b.png")


def test_what_cannot_be_done_as_asked_is_said(run):
    picture("a.png", 12, 20)
    _, _, err = run("a.png", "--crop", "15,5,10,20", "-o", "b.png")
    assert any("cut to 5x7" in line for line in err)
    _, _, err = run("a.png", "--crop", "15,5,5,7", "-o", "c.png")
    assert not any("cut to" in line for line in err)
    _, _, err = run("a.png", "--scale", "1.7", "--consistent", "-o", "d.png")
    assert any("--consistent has no effect" in line for line in err)
    _, _, err = run("a.png", "--consistent", "-o", "e.png")
    assert not any("has no effect" in line for line in err)
    picture("a.jpg", 12, 20)
    box = "--kernel box has no effect here without --consistent"
    for name, more, told in (("a.jpg", (), 1), ("a.jpg", ("--consistent",), 0)):
        _, _, err = run(name, "--kernel", "box", "-o", f"f{told}.png", *more)
        assert sum(box in line for line in err) == told, (name, more)

"""What `upscale` will read and write: names, refusals, scans. No model, no torch."""

import os
import sys
from pathlib import Path

import pytest
from PIL import Image

from reslift import batch, inputs
from reslift.batch import naming
from reslift.errors import OutputExists, UsageError
from reslift.limits import DEFAULT, Limits
from reslift.sizes import Size

POSIX = pytest.mark.skipif(os.name == "nt", reason="links and pipes as POSIX has them")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def picture(name, size=(4, 3), kind=None):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path, kind)
    return path


def planned(*words, out=None, scale=4, overwrite=False, limits=DEFAULT, **rule):
    size = Size(scale=scale)
    names = batch.Naming(out, size.label, **rule)
    return batch.plan(batch.Request(words, size, names, overwrite, limits=limits))


def names(*words, **options):
    plan = planned(*words, **options)
    assert not plan.failures
    return {job.source.as_posix(): job.target.as_posix() for job in plan.jobs}


def reasons(*words, **options):
    return {f.path.as_posix(): f.reason for f in planned(*words, **options).failures}


def test_beside_the_input():
    picture("a.png"), picture("sub/b.JPG"), picture("c.d.tif")
    assert names("a.png", "sub/b.JPG", "c.d.tif", scale=3) == {
        "a.png": "a-x3.png",
        "sub/b.JPG": "sub/b-x3.JPG",
        "c.d.tif": "c.d-x3.tif",
    }


def test_pixels_are_those_of_the_result():
    picture("a.png", (5, 7))
    assert planned("a.png", scale=3).jobs[0].pixels == 15 * 21


def test_content_decides_where_the_suffix_is_another():
    picture("a.jpg", kind="PNG"), picture("b", kind="PNG"), picture("c.2024", kind="JPEG")
    assert names("a.jpg", "b", "c.2024") == {
        "a.jpg": "a-x4.png",
        "b": "b-x4.png",
        "c.2024": "c.2024-x4.jpg",
    }
    assert names("a.jpg", "c.2024", out="o") == {"a.jpg": "o/a.png", "c.2024": "o/c.2024.jpg"}


def test_out_names_a_file_for_one_input():
    picture("a.png")
    for out in ("b.webp", "new/b.TIFF", "b.v2.jpg"):
        assert names("a.png", out=out) == {"a.png": out}
    assert names("*.png", out="b.jpg") == {"a.png": "b.jpg"}


def test_out_names_a_folder_otherwise():
    picture("a.png"), picture("sub/b.png"), Path("there.png").mkdir()
    assert names("a.png", out="o") == {"a.png": "o/a.png"}
    assert names("a.png", out="o.png/") == {"a.png": "o.png/a.png"}
    assert names("a.png", out="there.png") == {"a.png": "there.png/a.png"}
    assert names("a.png", "sub/b.png", out="o.v2") == {
        "a.png": "o.v2/a.png",
        "sub/b.png": "o.v2/b.png",
    }


def test_a_file_in_place_of_a_folder_is_bad_usage():
    picture("a.png"), picture("b.png")
    for words in (("a.png",), ("a.png", "b.png")):
        with pytest.raises(UsageError, match=r"b\.png is a file, not a folder"):
            planned(*words, out="b.png/", overwrite=True)


@pytest.mark.parametrize("out", ["b.xyz", "b.psd", ""])
def test_an_unknown_suffix_is_bad_usage(out):
    picture("a.png")
    with pytest.raises(UsageError, match="-o"):
        planned("a.png", out=out)


@pytest.mark.parametrize("words", [("a.png", "b.png"), ("sub",), ("*.png",)])
def test_one_file_cannot_take_many(words):
    picture("a.png"), picture("b.png"), picture("sub/c.png")
    Path("notes.txt").touch()
    for out in ("o.png", "notes.txt"):
        with pytest.raises(UsageError, match="names a file, but the input is a folder or several"):
            planned(*words, out=out)


def test_folders_are_mirrored():
    picture("in/a.png"), picture("in/s/t/b.jpeg"), picture("in/.hidden.png"), picture("in/.h/c.png")
    Path("in/notes.txt").write_text("x")
    assert names("in", out="o") == {"in/a.png": "o/a.png", "in/s/t/b.jpeg": "o/s/t/b.jpeg"}
    assert names("in/") == {"in/a.png": "in/a-x4.png", "in/s/t/b.jpeg": "in/s/t/b-x4.jpeg"}
    assert names("in/**/*.jpeg", out="o") == {"in/s/t/b.jpeg": "o/s/t/b.jpeg"}


def test_patterns_are_expanded_and_files_taken_as_they_are():
    picture("a1.png"), picture("a2.png"), picture("a[1].png"), picture("b.png")
    assert list(names("a?.png")) == ["a1.png", "a2.png"]
    assert list(names("a[1].png")) == ["a[1].png"]
    assert "no file fits" in reasons("z*.png")["z*.png"]


def test_an_input_given_twice_is_done_once():
    picture("in/a.png")
    assert names("in/a.png", "./in/a.png", "in", "in/*.png", out="o") == {"in/a.png": "o/a.png"}


def test_own_results_are_passed_over_and_lookalikes_are_not():
    for name in (
        "a.png",
        "a-x4.png",
        "a-x2.jpg",
        "a-x4-x4.png",
        "lonely-x4.png",
        "b-x0.png",
        "x4.png",
    ):
        picture(f"in/{name}")
    kept = ["in/a.png", "in/b-x0.png", "in/lonely-x4.png", "in/x4.png"]
    assert list(names("in", out="o")) == kept
    assert sorted(names("in/*", out="o")) == kept
    assert list(names("in/*-x2.jpg", out="o")) == ["in/a-x2.jpg"]
    assert list(names("in/a-x4.png", out="o")) == ["in/a-x4.png"]


def test_an_output_folder_inside_the_input_is_not_scanned():
    picture("in/a.png"), picture("in/big/a.png")
    with pytest.raises(OutputExists):
        planned("in", out="in/big")
    assert names("in", out="in/big", overwrite=True) == {"in/a.png": "in/big/a.png"}
    assert names("**/*.png", out="in/big/", overwrite=True) == {"in/a.png": "in/big/in/a.png"}


def test_inputs_that_share_an_output_are_refused():
    picture("s/a.png"), picture("t/a.png"), picture("b.jpg", kind="PNG"), picture("b.png")
    for words in (("s/a.png", "t/a.png"), ("s", "t"), ("b.png", "b.jpg")):
        with pytest.raises(UsageError, match="would both become o/"):
            planned(*words, out="o")


def test_case_matters_only_where_the_file_system_says_so(monkeypatch):
    picture("s/a.png"), picture("t/A.PNG")
    monkeypatch.setattr(naming, "ignores_case", lambda folder: False)
    assert len(names("s", "t", out="o")) == 2
    monkeypatch.setattr(naming, "ignores_case", lambda folder: True)
    with pytest.raises(UsageError, match="would both become"):
        planned("s", "t", out="o")


@pytest.mark.skipif(sys.platform != "linux", reason="Linux file systems tell case apart")
def test_this_file_system_tells_case_apart(tmp_path):
    assert not batch.ignores_case(tmp_path / "not" / "there")


def test_existing_outputs_stop_the_whole_command():
    picture("a.png"), picture("b.png"), picture("a-x4.png"), picture("b-x4.png")
    with pytest.raises(
        OutputExists, match=r"a-x4\.png exists \(and 1 more of the results\).*--overwrite"
    ):
        planned("a.png", "b.png")
    assert len(names("a.png", "b.png", overwrite=True)) == 2
    Path("o/a.png").mkdir(parents=True)
    with pytest.raises(UsageError, match="is a folder"):
        planned("a.png", out="o", overwrite=True)


@POSIX
def test_a_link_that_leads_nowhere_counts_as_there():
    picture("a.png")
    os.symlink("nowhere", "a-x4.png")
    with pytest.raises(OutputExists):
        planned("a.png")


@POSIX
def test_an_input_is_never_an_output():
    picture("a.png"), picture("b.png")
    os.symlink("a.png", "a-x4.png")
    os.link("a.png", "hard.png")
    os.symlink(".", "loop")
    tries = [
        (("a.png",), None),
        (("a.png",), "a.png"),
        (("a.png",), "hard.png"),
        (("a.png",), "loop/a.png"),
        (("a.png",), "."),
        (("b.png", "a.png"), "loop"),
        ((".",), "."),
    ]
    for words, out in tries:
        with pytest.raises(UsageError, match="would overwrite the input"):
            planned(*words, out=out, overwrite=True)


def test_an_input_is_not_the_output_of_another():
    picture("a.png"), picture("a-x4.png")
    with pytest.raises(UsageError, match=r"result of a\.png would overwrite the input a-x4\.png"):
        planned("a.png", "a-x4.png", overwrite=True)


def test_unusable_inputs_are_listed_and_the_rest_planned():
    picture("good.png"), picture("in/fine.png"), Path("dir.png").mkdir(), Path("empty").mkdir()
    Path("zero.png").touch(), Path("text.png").write_text("no picture")
    Path("in/broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 not much")
    words = ["gone.png", "good.png", "dir.png", "empty", "zero.png", "text.png", "in", ""]
    plan = planned(*words, out="o")
    assert [job.source.as_posix() for job in plan.jobs] == ["good.png", "in/fine.png"]
    failed = {f.path.as_posix(): f.reason for f in plan.failures}
    assert failed.keys() == {
        "gone.png", "dir.png", "empty", "zero.png", "text.png", "in/broken.jpg", "."
    }  # fmt: skip
    assert failed["gone.png"] == "there is no such file or folder"
    assert failed["dir.png"] == "this is a folder, not an image"
    assert failed["empty"] == "this folder holds no image that can be read"
    assert "empty" in failed["zero.png"] and "unknown content" in failed["text.png"]


def test_folders_named_like_pictures_in_a_scan():
    picture("in/a.png"), picture("in/full.png/b.png"), Path("in/bare.png").mkdir()
    plan = planned("in", out="o")
    assert [job.source.as_posix() for job in plan.jobs] == ["in/a.png", "in/full.png/b.png"]
    assert [f.path.as_posix() for f in plan.failures] == ["in/bare.png"]
    assert not reasons("in/full.png") and reasons("in/bare.png/")


def test_a_folder_that_cannot_be_read_is_told(monkeypatch):
    picture("in/a.png"), picture("in/locked/b.png")
    scandir = os.scandir

    def refuse(path):
        if Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    plan = planned("in", out="o")
    assert [job.source.as_posix() for job in plan.jobs] == ["in/a.png"]
    assert plan.failures[0].reason == "this folder cannot be read: Permission denied"


@POSIX
def test_a_name_that_the_system_refuses_is_one_line(monkeypatch):
    picture("good.png")
    lstat = Path.lstat

    def refuse(path):
        if path.name == "locked.png":
            raise PermissionError(13, "Permission denied")
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", refuse)
    plan = planned("good.png", "locked.png", "n" * 5000)
    assert len(plan.jobs) == 1
    assert [f.reason for f in plan.failures] == ["Permission denied", "File name too long"]


@POSIX
def test_pipes_loops_and_dead_links_are_told():
    os.mkfifo("pipe.png"), os.symlink("loop.png", "loop.png"), os.symlink("gone", "dead.png")
    os.symlink(".", "in")
    failed = reasons("in", out="o")
    assert failed.keys() == {"in/pipe.png", "in/loop.png", "in/dead.png"}
    assert "pipe" in failed["in/pipe.png"]


def test_limits_are_checked_from_the_header():
    picture("a.png", (10, 10)), picture("small.png")
    failed = reasons("a.png", "small.png", limits=Limits(input_pixels=99))
    assert "--max-input-pixels 100" in failed.pop("a.png") and not failed
    failed = reasons("a.png", limits=Limits(output_pixels=1599))
    assert "--max-output-pixels 1600" in failed["a.png"]


def test_what_the_format_cannot_hold_is_told_before_the_work():
    picture("a.png", (5000, 1))
    assert "WebP" in reasons("a.png", out="b.webp")["a.png"]


def test_results_are_known_by_their_name():
    scan = inputs.Scan(frozenset(), ending="-4000px")
    for name in ("s/a-x4.png", "a-x1.7.png", "a-x2-crop.png", "a-4000px.png"):
        assert scan.is_result(Path(name), {"a"})
    assert scan.is_result(Path("a\nb-x12.png"), {"a\nb"})
    assert not scan.is_result(Path("a-150x150.png"), {"a"})
    for name in ("a.png", "a-x.png", "a-x04.png", "-x4.png", "a-x4b.png", "b-x4.png"):
        assert not scan.is_result(Path(name), {"a", ""})

"""`atomic_write` at every point where it can fail or be killed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kill_points import NEW, Points, write
from reslift import files
from reslift.errors import InputError, OutputError, OutputExists
from reslift.files import atomic_write, check_target, recipes_folder, together

OLD = b"old " * 500
posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and links")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_writes_and_leaves_nothing_else(tmp_path):
    write(tmp_path / "a.png")
    assert content(tmp_path) == {"a.png": NEW}


def test_overwrites_when_told(tmp_path):
    (tmp_path / "a.png").write_bytes(OLD)
    write(tmp_path / "a.png", overwrite=True)
    assert content(tmp_path) == {"a.png": NEW}


def test_existing_output_is_refused_before_any_work(tmp_path):
    (tmp_path / "a.png").write_bytes(OLD)
    entered = False
    with pytest.raises(OutputExists, match=r"a\.png exists.*--overwrite"):
        with atomic_write(tmp_path / "a.png"):
            entered = True
    assert not entered
    assert content(tmp_path) == {"a.png": OLD}


def test_temporary_file_is_hidden_beside_the_output_with_its_suffix(tmp_path):
    with atomic_write(tmp_path / "a.tar.png") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".")
        assert temporary.suffix == ".png"
        assert not (tmp_path / "a.tar.png").exists()


def test_longest_name_fits(tmp_path):
    name = "n" * 251 + ".png"
    write(tmp_path / name)
    assert content(tmp_path) == {name: NEW}


@pytest.mark.parametrize("raised", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit])
@pytest.mark.parametrize("overwrite", [False, True])
def test_failure_while_writing_leaves_things_as_they_were(tmp_path, raised, overwrite):
    if overwrite:
        (tmp_path / "a.png").write_bytes(OLD)
    before = content(tmp_path)
    with pytest.raises(raised):
        with atomic_write(tmp_path / "a.png", overwrite=overwrite) as temporary:
            temporary.write_bytes(NEW[:7])
            raise raised
    assert content(tmp_path) == before


def test_several_appear_together_once_all_are_whole(tmp_path):
    with together() as placed:
        for name in ("a.png", "b.png"):
            write(tmp_path / name)
        assert not [name for name in content(tmp_path) if name[0] != "."]
        assert not placed
    assert content(tmp_path) == {"a.png": NEW, "b.png": NEW}
    assert placed == [tmp_path / "a.png", tmp_path / "b.png"]
    write(tmp_path / "c.png")
    assert (tmp_path / "c.png").exists()


@pytest.mark.parametrize("raised", [OutputError, KeyboardInterrupt])
def test_of_several_none_appears_where_one_fails(tmp_path, raised):
    (tmp_path / "a.png").write_bytes(OLD)
    with pytest.raises(raised), together():
        write(tmp_path / "a.png", overwrite=True)
        write(tmp_path / "b.png")
        with atomic_write(tmp_path / "c.png"):
            raise raised("no room")
    assert content(tmp_path) == {"a.png": OLD}


def test_of_several_the_first_stays_where_another_name_was_taken_meanwhile(tmp_path):
    with pytest.raises(OutputExists), together() as placed:
        write(tmp_path / "a.png")
        write(tmp_path / "b.png")
        (tmp_path / "b.png").write_bytes(OLD)
    assert content(tmp_path) == {"a.png": NEW, "b.png": OLD}
    assert placed == [tmp_path / "a.png"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EFBIG])
def test_disk_errors_become_ours_and_name_the_output(tmp_path, number):
    with pytest.raises(OutputError, match=r"a\.png"):
        with atomic_write(tmp_path / "a.png"):
            raise OSError(number, os.strerror(number))
    assert content(tmp_path) == {}


def test_other_errors_of_the_body_stay_what_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a.png"):
        (tmp_path / "no-such-input").read_bytes()


def test_another_process_that_was_faster_is_not_overwritten(tmp_path):
    with pytest.raises(OutputExists):
        with atomic_write(tmp_path / "a.png") as temporary:
            temporary.write_bytes(NEW)
            (tmp_path / "a.png").write_bytes(OLD)
    assert content(tmp_path) == {"a.png": OLD}


@posix
@pytest.mark.parametrize("number", sorted(files.NO_HARD_LINKS))
def test_file_systems_without_hard_links(tmp_path, monkeypatch, number):
    def no_link(source, target):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", no_link)
    write(tmp_path / "a.png")
    assert content(tmp_path) == {"a.png": NEW}
    with pytest.raises(OutputExists):
        with atomic_write(tmp_path / "b.png") as temporary:
            temporary.write_bytes(NEW)
            (tmp_path / "b.png").write_bytes(OLD)
    assert content(tmp_path) == {"a.png": NEW, "b.png": OLD}


def test_a_missing_folder_is_made_and_goes_again_where_nothing_came_of_it(tmp_path):
    check_target(tmp_path / "new" / "deep" / "a.png")
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "new" / "deep" / "a.png"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    write(tmp_path / "new" / "deep" / "a.png")
    assert (tmp_path / "new" / "deep" / "a.png").read_bytes() == NEW
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(OutputError, match="cannot make the folder"):
        check_target(tmp_path / "file" / "deep" / "a.png")


def test_the_target_is_a_folder_or_below_a_file(tmp_path):
    (tmp_path / "a.png").mkdir()
    with pytest.raises(OutputError, match=r"a\.png is a folder"):
        write(tmp_path / "a.png", overwrite=True)
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(OutputError):
        write(tmp_path / "file" / "a.png")


@posix
def test_pipes_and_devices_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(OutputError, match="not a regular file"):
        write(tmp_path / "a.png", overwrite=True)
    (tmp_path / "b.png").symlink_to(os.devnull)
    with pytest.raises(OutputError, match="not a regular file"):
        write(tmp_path / "b.png", overwrite=True)


@posix
def test_overwriting_a_link_replaces_the_link_and_keeps_its_target(tmp_path):
    (tmp_path / "target").write_bytes(OLD)
    (tmp_path / "a.png").symlink_to("target")
    write(tmp_path / "a.png", overwrite=True)
    assert content(tmp_path) == {"target": OLD, "a.png": NEW}
    (tmp_path / "b.png").symlink_to("nowhere")
    with pytest.raises(OutputExists):
        write(tmp_path / "b.png")


@posix
def test_permissions(tmp_path):
    write(tmp_path / "new.png")
    (tmp_path / "plain").touch()
    assert (tmp_path / "new.png").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "a.png").write_bytes(OLD)
    (tmp_path / "a.png").chmod(0o600)
    write(tmp_path / "a.png", overwrite=True)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o600


def call_names(folder: Path, overwrite: bool) -> list[str]:
    with pytest.MonkeyPatch.context() as patch:
        points = Points(-1, None)
        points.install(patch.setattr)
        write(folder / "count.png", overwrite=overwrite)
    (folder / "count.png").unlink()
    return points.passed


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("raised", [OSError(errno.EIO, "broken disk"), KeyboardInterrupt()])
@pytest.mark.parametrize("after", [False, True])
def test_failure_at_each_system_call(tmp_path, overwrite, raised, after):
    names = call_names(tmp_path, overwrite)
    assert {"open", "fsync", "unlink", "replace" if overwrite else "link"} <= set(names)
    flushed = [at for at, name in enumerate(names) if name == "fsync"]
    renamed = names.index("replace" if overwrite else "link")
    assert flushed[0] < renamed < flushed[-1], "the file before, its folder after"
    before = {"a.png": OLD} if overwrite else {}
    for at, name in enumerate(names):
        folder = tmp_path / str(at)
        folder.mkdir()
        for file, data in before.items():
            (folder / file).write_bytes(data)

        def act():
            raise raised

        with pytest.MonkeyPatch.context() as patch:
            Points(at, act, after).install(patch.setattr)
            try:
                write(folder / "a.png", overwrite=overwrite)
            except (OutputError, KeyboardInterrupt):
                pass
        left = content(folder)
        if name != "unlink":
            assert not [file for file in left if file.startswith(".")], (at, name)
        shown = {file: data for file, data in left.items() if not file.startswith(".")}
        assert shown in (before, {"a.png": NEW}), (at, name)


KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from kill_points import Points, write
act = lambda: os.kill(os.getpid(), signal.SIGKILL)
Points(int(sys.argv[3]), act, sys.argv[4] == "after").install(setattr)
write(Path(sys.argv[2]), overwrite=sys.argv[5] == "True")
"""


@posix
@pytest.mark.parametrize("overwrite", [False, True])
def test_kill_at_each_system_call(tmp_path, overwrite):
    names = call_names(tmp_path, overwrite)
    before = {"a.png": OLD} if overwrite else {}
    running = []
    for at in range(len(names)):
        for when in ("before", "after"):
            folder = tmp_path / f"{at}-{when}"
            folder.mkdir()
            for file, data in before.items():
                (folder / file).write_bytes(data)
            here, target = str(Path(__file__).parent), str(folder / "a.png")
            words = [sys.executable, "-c", KILLED, here, target, str(at), when, str(overwrite)]
            running.append((folder, subprocess.Popen(words)))
            if len(running) % 4 == 0:
                running[-1][1].wait()
    seen = set()
    for folder, process in running:
        assert process.wait() == -signal.SIGKILL, folder
        shown = {file: data for file, data in content(folder).items() if file[0] != "."}
        assert shown in (before, {"a.png": NEW}), folder
        seen.add(shown.get("a.png"))
    assert seen == {before.get("a.png"), NEW}, "kills fell on both sides of the rename"


@posix
def test_full_disk_for_real(tmp_path):
    (tmp_path / "a.png").write_bytes(OLD)
    code = (
        "import resource, sys; from pathlib import Path\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from kill_points import write; from reslift.errors import OutputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        f"try: write(Path({str(tmp_path / 'a.png')!r}), overwrite=True)\n"
        "except OutputError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "a.png" in done.stdout
    assert content(tmp_path) == {"a.png": OLD}


def test_recipes_folder_in_a_checkout_and_in_a_package(tmp_path, monkeypatch):
    package = tmp_path / "src" / "reslift"
    package.mkdir(parents=True)
    monkeypatch.setattr(files, "__file__", str(package / "files.py"))
    with pytest.raises(InputError, match="install reslift again"):
        recipes_folder()
    (tmp_path / "recipes").mkdir()
    assert recipes_folder() == tmp_path / "recipes"
    (package / "recipes").mkdir()
    assert recipes_folder() == package / "recipes"

"""Two runs at once never make the same result; where theirs differ, neither disturbs the other."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from reslift.batch.claim import claimed
from reslift.batch.plan import Job
from reslift.cli import main
from reslift.errors import UsageError
from reslift.files import alone
from small_models import saved, small_lift

pytestmark = pytest.mark.skipif(os.name == "nt", reason="locks as POSIX has them")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def job(name, folder="new/out", beside=()):
    return Job(Path(name), Path(folder, name), (1, 1), (2, 2), beside=beside)


def test_one_result_has_one_maker():
    with claimed([job("a.png"), job("b.png"), job("c.png")]):
        with pytest.raises(UsageError, match=r"making new/out/b.png \(and 1 more"):
            with claimed([job("b.png"), job("c.png"), job("d.png")]):
                pass
        with claimed([job("d.png")]), pytest.raises(UsageError):
            with claimed([job("d.png")]):
                pass
    with claimed([job("b.png")]):
        pass
    assert not Path("new").exists()


def test_what_stands_beside_a_result_and_other_ways_to_its_folder_count():
    Path("out").mkdir()
    Path("link").symlink_to("out")
    with claimed([job("a.png", "link", (Path("link/a.png.json"),))]):
        with pytest.raises(UsageError, match=f"process {os.getpid()}, is making out/a.png.json"):
            with claimed([job("a.png.json", "out")]):
                pass


def test_a_folder_that_cannot_be_written_to_is_for_work_to_tell():
    Path("new").write_bytes(b"no folder")
    with claimed([job("a.png")]):
        pass


def test_what_a_killed_run_claimed_is_free():
    code = (
        "import os; from pathlib import Path; from reslift.batch.claim import claimed\n"
        "from reslift.batch.plan import Job\n"
        "job = Job(Path('a.png'), Path('out/a.png'), (1, 1), (2, 2))\n"
        "with claimed([job]): os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    assert len(os.listdir("out")) == 1
    with claimed([job("a.png", "out")]):
        assert len(os.listdir("out")) == 1
    assert not os.listdir("out")


def test_the_command_says_it_before_any_work(tmp_path, capsys):
    model = str(saved(tmp_path / "small.safetensors", small_lift(2)))
    for name in "ab":
        Image.new("RGB", (8, 8)).save(f"{name}.png")
    words = ["upscale", "a.png", "b.png", "-o", "out/", "--model", model, "--backend", "torch"]
    with claimed([job("b.png", "out")]):
        assert main(words) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert main(words) == 0
    assert sorted(os.listdir("out")) == ["a.png", "b.png"]


def test_many_folders_do_not_use_up_the_open_files():
    import resource

    jobs = [job("a.png", f"out/{number}") for number in range(300)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        with claimed(jobs):
            for number in (0, 299):
                with pytest.raises(UsageError), claimed([job("a.png", f"out/{number}")]):
                    pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert not Path("out").exists()


def test_a_training_in_the_folder_keeps_nobody_waiting(monkeypatch):
    monkeypatch.setattr("reslift.batch.claim.TRIES", 2)
    with alone(Path("out"), "training"), claimed([job("a.png", "out")]):
        assert not list(Path("out").iterdir())

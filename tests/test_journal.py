"""The journal of a batch: what counts as done, what does not, and what is left of it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from reslift.batch.journal import NAME, Journal
from reslift.batch.plan import Job
from reslift.errors import OutputError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def job(name="a", folder="out"):
    source, target = Path(f"{name}.png"), Path(folder, f"{name}.png")
    target.parent.mkdir(exist_ok=True)
    if not source.exists():
        source.write_bytes(name.encode())
    return Job(source, target, (1, 1), (2, 2))


def made(journal, job, content=b"result"):
    journal.begin(job)
    job.target.write_bytes(content)
    journal.finish(job)


def test_what_is_finished_is_done_for_the_next_run():
    made(Journal("s"), job())
    assert Journal("s").is_done(job()) and Journal("").is_ours(job())
    assert not Journal("s").is_done(job("b"))


def test_killed_between_the_result_and_its_line():
    Journal("s").begin(job())
    assert not Journal("s").is_ours(job())
    job().target.write_bytes(b"whole")
    assert Journal("s").is_ours(job()) and Journal("s").is_done(job())


def test_killed_between_the_result_and_what_stands_beside_it():
    """The maps, records and world files of a result follow it."""
    with_map = replace(job(), beside=(Path("out/a.png.uncertainty.png"),))
    Journal("s").begin(with_map)
    with_map.target.write_bytes(b"whole")
    assert Journal("s").is_ours(with_map) and not Journal("s").is_done(with_map)
    made(Journal("s"), with_map)
    assert Journal("s").is_done(with_map)


def test_an_old_file_that_was_to_be_replaced_is_not_the_result():
    old = job()
    old.target.write_bytes(b"old")
    Journal("s").begin(old)
    assert not Journal("s").is_ours(old)


def test_what_changes_the_bytes_invalidates():
    made(Journal("s"), job())
    assert not Journal("other settings").is_done(job())
    assert Journal("other settings").is_ours(job())
    job().source.write_bytes(b"another picture")
    assert not Journal("s").is_done(job()) and Journal("s").is_ours(job())


def test_what_the_source_is_read_with_decides_the_bytes_too():
    place = Path("a.pgw")
    placed = replace(job(), known=(place,))
    place.write_text("1")
    made(Journal("s"), placed)
    assert Journal("s").is_done(placed)
    assert not Journal("s").is_done(job())
    place.write_text("2")
    assert not Journal("s").is_done(placed) and Journal("s").is_ours(placed)


def test_killed_while_an_own_result_is_made_again():
    made(Journal("s"), job())
    Journal("other").begin(job())
    assert Journal("other").is_ours(job()) and not Journal("other").is_done(job())
    assert not Journal("s").is_done(job())
    Journal("third").begin(job())
    assert Journal("third").is_ours(job())
    assert Journal("third").close([job()], all_done=False)
    made(Journal("third"), job(), b"new")
    assert Journal("third").is_done(job())


def test_a_result_that_somebody_changed_is_no_longer_ours():
    made(Journal("s"), job())
    job().target.write_bytes(b"painted over")
    assert not Journal("s").is_ours(job())
    job().target.unlink()
    assert not Journal("s").is_ours(job())


def test_a_torn_line_spoils_no_other():
    made(Journal("s"), job("a"))
    with open(f"out/{NAME}", "ab") as file:
        file.write(b'{"name": "b.png", "made')
    made(Journal("s"), job("c"))
    journal = Journal("s")
    assert journal.is_done(job("a")) and journal.is_done(job("c"))
    assert not journal.is_ours(job("b"))


@pytest.mark.parametrize("content", [b"", b"\0\xff", b"[]\n", b'{"name": 1}\n', b'"x"\n'])
def test_foreign_content_is_no_entry(content):
    a = job()
    a.target.write_bytes(b"x")
    Path(f"out/{NAME}").write_bytes(content)
    assert not Journal("s").is_ours(a)
    made(Journal("s"), job("c"))
    assert Journal("s").is_done(job("c"))


def test_it_goes_when_all_is_done_and_keeps_what_others_need():
    journal, jobs = Journal("s"), [job("a"), job("b"), job("c", "elsewhere")]
    for one in jobs:
        made(journal, one)
    made(Journal("s"), job("other"))
    assert not Journal("s").close([job("other")], all_done=True)
    assert Path(f"out/{NAME}").exists()
    assert not Journal("s").close(jobs, all_done=True)
    assert not Path(f"out/{NAME}").exists() and not Path(f"elsewhere/{NAME}").exists()


def test_it_stays_where_something_is_missing_but_not_for_nothing():
    journal = Journal("s")
    made(journal, job("a"))
    journal.begin(job("b"))
    assert journal.close([job("a"), job("b")], all_done=False)
    (line,) = Path(f"out/{NAME}").read_text().splitlines()
    assert json.loads(line)["name"] == "a.png"
    other = Journal("s")
    other.begin(job("x", "new"))
    assert not other.close([job("x", "new")], all_done=False)
    assert not Path(f"new/{NAME}").exists()


@pytest.mark.parametrize("all_done", [True, False])
def test_what_a_run_beside_it_has_begun_stays(all_done):
    first, second = Journal("s"), Journal("s")
    made(first, job("a"))
    made(second, job("b"))
    second.begin(job("c"))
    first.close([job("a")], all_done=all_done)
    job("c").target.write_bytes(b"whole")
    assert Journal("s").is_done(job("b")) and Journal("s").is_done(job("c"))
    assert Journal("s").is_done(job("a")) is not all_done


def test_odd_names():
    odd = Job(Path("a.png"), Path(os.fsdecode(b"n\n\xff.png")), (1, 1), (1, 1))
    odd.source.write_bytes(b"x")
    made(Journal("s"), odd)
    assert Journal("s").is_done(odd)


def test_a_journal_that_cannot_be_written_is_one_line():
    Path("out").mkdir()
    Path(f"out/{NAME}").mkdir()
    with pytest.raises(OutputError, match=r"cannot write out/.reslift-journal"):
        Journal("s").begin(job())

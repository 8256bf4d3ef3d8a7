"""Three stages overlapped: order, one engine thread, bounds, errors, interrupts."""

import threading
import time
from collections import Counter

import pytest

from reslift.batch.overlap import Overlap, Stages, Stop, Stopped


class Recorder:
    """Stages that note which thread did what, and how many items are held."""

    def __init__(self, fails=(), pause=0.0):
        self.calls, self.threads, self.fails, self.pause = [], {}, fails, pause
        self.held, self.most, self.lock = set(), 0, threading.Lock()
        self.stages = Stages(
            *(lambda item, s=stage: self.step(s, item) for stage in ("read", "enlarge", "write")),
            self.close,
        )

    def step(self, stage, item):
        with self.lock:
            self.held.add(item)
            self.most = max(self.most, len(self.held))
            self.calls.append((stage, item))
            self.threads.setdefault(stage, set()).add(threading.get_ident())
        time.sleep(self.pause)
        if (stage, item) in self.fails:
            raise ValueError(f"{stage} {item}")

    def close(self, item):
        with self.lock:
            self.held.discard(item)
            self.calls.append(("close", item))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_all_come_through_in_order_and_errors_stay_with_their_item(workers):
    recorder = Recorder(fails={("read", 2), ("enlarge", 5), ("write", 7)}, pause=0.001)
    found = list(Overlap(recorder.stages, workers).run(range(20)))
    assert [item for item, _ in found] == list(range(20))
    assert {item: str(e) for item, e in found if e} == {2: "read 2", 5: "enlarge 5", 7: "write 7"}
    counts = Counter(stage for stage, _ in recorder.calls)
    assert counts == {"read": 20, "enlarge": 19, "write": 18, "close": 20}
    assert len(recorder.threads["enlarge"]) == 1 and not recorder.held


@pytest.mark.parametrize("workers", [1, 2])
def test_no_more_is_held_than_said(workers):
    recorder = Recorder(pause=0.002)
    list(Overlap(recorder.stages, workers).run(range(30)))
    assert 2 <= recorder.most <= workers + 2


def test_stages_overlap():
    recorder = Recorder(pause=0.03)
    started = time.perf_counter()
    list(Overlap(recorder.stages, 1).run(range(10)))
    assert time.perf_counter() - started < 0.75 * 10 * 3 * 0.03


@pytest.mark.parametrize("workers", [0, 1])
def test_an_interrupt_in_a_thread_is_raised_and_all_is_closed(workers):
    recorder = Recorder(pause=0.002)
    step = recorder.step

    def interrupted(stage, item):
        step(stage, item)
        if (stage, item) == ("enlarge", 3):
            raise KeyboardInterrupt

    recorder.step = interrupted
    overlap = Overlap(recorder.stages, workers)
    with pytest.raises(KeyboardInterrupt):
        list(overlap.run(range(30)))
    assert not overlap.stuck and not recorder.held
    assert max(item for _, item in recorder.calls) < 8


def test_a_caller_that_leaves_stops_the_threads():
    stop, seen = Stop(), []

    def enlarge(item):
        for _ in range(1000):
            stop.check()
            time.sleep(0.01)

    def nothing(item):
        pass

    overlap = Overlap(Stages(nothing, enlarge, nothing, seen.append), 1, stop)
    run = overlap.run(range(5))
    threading.Timer(0.1, stop.ask).start()
    with pytest.raises(Stopped):
        next(run)
    assert not overlap.stuck and seen


def test_a_thread_that_does_not_look_up_is_called_stuck(monkeypatch):
    monkeypatch.setattr("reslift.batch.overlap.GRACE", 0.05)
    begun, done = threading.Event(), threading.Event()

    def nothing(item):
        pass

    def enlarge(item):
        if item == 1:
            begun.set()
            done.wait(5)

    overlap = Overlap(Stages(nothing, enlarge, nothing, nothing), 1)
    run = overlap.run(range(3))
    assert next(run) == (0, None) and begun.wait(5)
    run.close()
    assert overlap.stuck
    done.set()

"""Three steps at once: reading, working and writing, each in a thread, with short queues between.

source ──thread──► queue ──caller's thread: work──► queue ──thread──► sink
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")

DEPTH = 3
PATIENCE = 0.1


class _Stopped(Exception):
    """Another step has failed."""


@dataclass
class Seconds:
    """Time that each step was busy, and the whole took."""

    read: float = 0.0
    work: float = 0.0
    write: float = 0.0
    whole: float = 0.0


class _Line(Generic[T]):
    """A queue that gives up, on both sides, once `stop` is set."""

    END = object()

    def __init__(self, stop: threading.Event) -> None:
        self._items: queue.Queue[object] = queue.Queue(DEPTH)
        self._stop = stop

    def put(self, item: object) -> None:
        while not self._stop.is_set():
            try:
                return self._items.put(item, timeout=PATIENCE)
            except queue.Full:
                continue
        raise _Stopped

    def __iter__(self) -> Iterator[T]:
        while not self._stop.is_set():
            try:
                item = self._items.get(timeout=PATIENCE)
            except queue.Empty:
                continue
            if item is self.END:
                return
            yield item  # type: ignore[misc]
        raise _Stopped


def overlapped(
    source: Iterable[In], work: Callable[[In], Out], sink: Callable[[Iterator[Out]], None]
) -> Seconds:
    """Send everything of `source` through `work` into `sink`, in order.

    Args:
        source: read in a thread of its own. work: called in the caller's thread, where Ctrl-C
            arrives. sink: called once, in a third thread, with all the results.

    Returns:
        How long each step was busy.

    Raises:
        What a step raises, the first of them; the other steps have ended then.
    """
    stop, errors, seconds = threading.Event(), list[BaseException](), Seconds()
    inbound, outbound = _Line[In](stop), _Line[Out](stop)
    began = time.perf_counter()

    def guarded(step: Callable[[], None]) -> None:
        try:
            step()
        except _Stopped:
            pass
        except BaseException as error:
            errors.append(error)
            stop.set()

    steps = (
        lambda: _read(source, inbound, seconds),
        lambda: _write(outbound, sink, seconds),
    )
    threads = [threading.Thread(target=guarded, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    try:
        for item in inbound:
            start = time.perf_counter()
            result = work(item)
            seconds.work += time.perf_counter() - start
            outbound.put(result)
        outbound.put(_Line.END)
        threads[1].join()
    except _Stopped:
        pass
    finally:
        if any(thread.is_alive() for thread in threads):
            stop.set()
        for thread in threads:
            thread.join()
    if errors:
        raise errors[0]
    seconds.whole = time.perf_counter() - began
    return seconds


def _read(source: Iterable[In], into: _Line[In], seconds: Seconds) -> None:
    items = iter(source)
    while True:
        start = time.perf_counter()
        item = next(items, _Line.END)
        seconds.read += time.perf_counter() - start
        into.put(item)
        if item is _Line.END:
            return


def _write(line: _Line[Out], sink: Callable[[Iterator[Out]], None], seconds: Seconds) -> None:
    waited = 0.0

    def timed() -> Iterator[Out]:
        nonlocal waited
        start = time.perf_counter()
        for item in line:
            waited += time.perf_counter() - start
            yield item
            start = time.perf_counter()
        waited += time.perf_counter() - start

    start = time.perf_counter()
    sink(timed())
    seconds.write = time.perf_counter() - start - waited

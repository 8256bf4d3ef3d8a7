"""Reading, enlarging and writing several files at once, one stage a file at a time.

::

    reader   a │ b │ c │ d            At most `workers` + 2 files are held: one is read, one is in
    network      │ a │ b │ c          the network, the others are written. The engine is only ever
    writers          │ a │ b          called by the one thread of the network.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

GRACE = 0.8
T = TypeVar("T")


class Stopped(BaseException):
    """Raised in a thread whose work is no longer wanted."""


class Stop:
    """Asks threads to stop; whoever looks at it in between raises `Stopped`."""

    def __init__(self) -> None:
        self._asked = threading.Event()

    def ask(self) -> None:
        """From now on, `check` raises."""
        self._asked.set()

    def check(self) -> None:
        """Nothing, or `Stopped`."""
        if self._asked.is_set():
            raise Stopped


@dataclass
class Stages(Generic[T]):
    """What is done with each item; `enlarge` runs in one thread only, `close` always comes last."""

    read: Callable[[T], None]
    enlarge: Callable[[T], None]
    write: Callable[[T], None]
    close: Callable[[T], None]


@dataclass
class Overlap(Generic[T]):
    """Takes items through all stages.

    Attributes:
        workers: threads that write; 0 does one thing after the other, in the caller's thread.
        stop: asked when the caller leaves early; stages should look at it.
        stuck: after an early leave, whether a thread is still at work.
    """

    stages: Stages[T]
    workers: int
    stop: Stop = field(default_factory=Stop)
    stuck: bool = False

    def run(self, items: Sequence[T]) -> Iterator[tuple[T, Exception | None]]:
        """Each item when it is through, in the order given, with the error that ended it.

        What is no `Exception` (an interrupt) is raised, here and at once.
        """
        if self.workers == 0:
            yield from self._one_by_one(items)
            return
        pools = [ThreadPoolExecutor(n, "reslift") for n in (1, 1, self.workers)]
        flying: deque[tuple[T, Future[None]]] = deque()
        waiting = deque(items)
        try:
            while waiting or flying:
                while waiting and len(flying) < self.workers + 2:
                    item = waiting.popleft()
                    flying.append((item, self._send(pools, item)))
                item, last = flying[0]
                error = _outcome(last)
                flying.popleft()
                yield item, error
        except BaseException:
            self._leave(pools, [last for _, last in flying])
            raise
        for pool in pools:
            pool.shutdown()

    def _one_by_one(self, items: Sequence[T]) -> Iterator[tuple[T, Exception | None]]:
        for item in items:
            error: Exception | None = None
            try:
                self.stages.read(item)
                self.stages.enlarge(item)
                self.stages.write(item)
            except Exception as caught:
                error = caught
            finally:
                self.stages.close(item)
            yield item, error

    def _send(self, pools: list[ThreadPoolExecutor], item: T) -> Future[None]:
        stages = self.stages
        read = pools[0].submit(self._unless_stopped, stages.read, item)

        def enlarge() -> None:
            read.result()
            self._unless_stopped(stages.enlarge, item)

        enlarged = pools[1].submit(enlarge)

        def write() -> None:
            try:
                enlarged.result()
                self._unless_stopped(stages.write, item)
            finally:
                stages.close(item)

        return pools[2].submit(write)

    def _unless_stopped(self, stage: Callable[[T], None], item: T) -> None:
        self.stop.check()
        stage(item)

    def _leave(self, pools: list[ThreadPoolExecutor], pending: list[Future[None]]) -> None:
        self.stop.ask()
        for pool in pools:
            # Writers run, if only to close what they were to write.
            pool.shutdown(wait=False, cancel_futures=pool is not pools[-1])
        self.stuck = bool(wait(pending, timeout=GRACE).not_done)


def _outcome(last: Future[None]) -> Exception | None:
    """The error of an item that is through; waits in short turns, which an interrupt can end."""
    while not last.done():
        wait([last], timeout=0.2)
    try:
        last.result()
    except CancelledError as error:
        raise Stopped from error
    except Exception as error:
        return error
    return None

"""Ctrl-C and SIGTERM that let the work in hand be finished and saved."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Flag(Protocol):
    """An event of threads or of processes."""

    def is_set(self) -> bool: ...


@contextmanager
def stop_politely() -> Iterator[threading.Event]:
    """Ctrl-C and SIGTERM ask to stop at the next step; a second one stops at once."""
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked
        return

    def ask(*_: object) -> None:
        if asked.is_set():
            raise KeyboardInterrupt
        asked.set()
        # Ctrl-C ends what reads a pipe (`2>&1 | tee`) as well: the work is saved all the same.
        with contextlib.suppress(OSError):
            sys.stderr.write("stopping after this step; once more to stop at once\n")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

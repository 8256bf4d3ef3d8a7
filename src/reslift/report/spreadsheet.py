"""Rows as CSV (RFC 4180) that a spreadsheet opens without running anything in it."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

from reslift.errors import one_line


def as_csv(head: Sequence[str], rows: Iterable[Sequence[str | int | float | None]]) -> str:
    """Lines of cells; floats have eight digits, NaN and None are empty.

    Text is kept on one line; where a spreadsheet would take it for a formula, a quote goes before.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def _cell(value: str | int | float | None) -> str | int:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.8g}"
    if isinstance(value, str):
        line = one_line(value) if value else ""
        return f"'{line}" if line[:1] in ("=", "+", "-", "@") else line
    return "" if value is None else value

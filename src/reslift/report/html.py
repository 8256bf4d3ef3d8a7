"""Markup that cannot be broken by what stands in it, and the page around it.

    body = tag("p", "3 < 4, ", tag("b", file_name), class_="note")
    text = page("Report", tag("h1", "Report"), body)

:func:`tag` escapes every child that is not :class:`Html` already, so a picture called
``<script>.png`` is a name and nothing else. :func:`page` gives one file that asks no network:
style, script and pictures are inside, and its policy forbids any other source.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VOID = frozenset({"br", "hr", "img", "input", "meta"})
FOLDER = Path(__file__).parent


class Html(str):
    """Text that is markup already; any other text is escaped when it enters a page."""

    __slots__ = ()


Child = str | int | float | None | Sequence["Child"]


def escape(text: object) -> Html:
    """Text as markup: special characters become entities, control characters visible escapes."""
    visible = "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii")
        for c in str(text)
    )
    return Html(html.escape(visible, quote=True))


def join(children: Iterable[Child]) -> Html:
    """Children one after the other: Html as it is, None left out, sequences flattened, the rest
    escaped."""
    parts: list[str] = []
    for child in children:
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, (str, int, float)):
            parts.append(escape(child))
        elif child is not None:
            parts.append(join(child))
    return Html("".join(parts))


def tag(name: str, /, *children: Child, **attributes: str | int | float | bool | None) -> Html:
    """One element.

    Attribute names: a trailing underscore is dropped (``class_``), others become hyphens
    (``data_name``). False and None leave an attribute out, True gives it no value.
    """
    words = [name]
    for key, value in attributes.items():
        label = key.removesuffix("_").replace("_", "-")
        if value is True:
            words.append(label)
        elif value is not False and value is not None:
            shown = f"{value:.6g}" if isinstance(value, float) else value
            words.append(f'{label}="{escape(shown)}"')
    head = " ".join(words)
    if name in VOID:
        return Html(f"<{head}>")
    return Html(f"<{head}>{join(children)}</{name}>")


@dataclass(frozen=True)
class Column:
    """A column of :func:`table`: its label, whether it holds numbers, what it means."""

    label: str
    numeric: bool = False
    hint: str = ""


@dataclass(frozen=True)
class Cell:
    """A table cell whose order differs from its text: ``Cell("1.2M", 1_200_000)``."""

    shown: Child
    order: float | None = None
    strong: bool = False


def table(
    columns: Sequence[Column],
    rows: Iterable[Sequence[Child | Cell]],
    *,
    caption: str = "",
    sortable: bool = False,
) -> Html:
    """A table; numbers are aligned right. With ``sortable`` a click on a head sorts by it."""
    head = tag(
        "tr",
        [
            tag("th", c.label, scope="col", class_="n" if c.numeric else None, title=c.hint or None)
            for c in columns
        ],
    )
    body = [tag("tr", [_cell(c, v) for c, v in zip(columns, row, strict=True)]) for row in rows]
    return tag(
        "div",
        tag(
            "table",
            tag("caption", caption) if caption else None,
            tag("thead", head),
            tag("tbody", body),
            class_="sortable" if sortable else None,
        ),
        class_="scroll",
    )


def _cell(column: Column, value: Child | Cell) -> Html:
    cell = value if isinstance(value, Cell) else Cell(value)
    words = [w for w, used in (("n", column.numeric), ("strong", cell.strong)) if used]
    return tag(
        "td",
        cell.shown,
        class_=" ".join(words) or None,
        # JavaScript reads inf as no number.
        data_order=None if cell.order is None else repr(cell.order).replace("inf", "Infinity"),
    )


def data_block(name: str, value: object) -> Html:
    """JSON that scripts of the page read by its id; no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Html(f'<script type="application/json" id="{escape(name)}">{safe}</script>')


def facts(pairs: Mapping[str, Child]) -> Html:
    """A list of names and values."""
    return tag(
        "dl", [[tag("dt", name), tag("dd", value)] for name, value in pairs.items()], class_="facts"
    )


def section(title: str, *children: Child, note: str = "") -> Html:
    """A headed part of a page; ``note`` stands small under the head."""
    return tag(
        "section", tag("h2", title), tag("p", note, class_="note") if note else None, *children
    )


def page(title: str, *children: Child, assets: Sequence[str] = ()) -> str:
    """A whole HTML file, light or dark as the reader's system is, that asks no network.

    ``assets`` names further pairs of files of this folder, ``NAME.css`` and ``NAME.js``, that are
    written into it.
    """
    names = ("page", *assets)
    style = "".join((FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in names)
    scripts = [(FOLDER / f"{name}.js").read_text(encoding="utf-8") for name in names]
    digests = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
    policy = (
        "default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {allowed}; base-uri 'none'; form-action 'none'"
    )
    head = [
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        Html(f"<style>{style}</style>"),
    ]
    code = [Html(f"<script>{script}</script>") for script in scripts]
    body = tag("body", tag("main", *children), code)
    whole = tag("html", tag("head", *head), body, lang="en")
    return f"<!doctype html>\n{whole}\n"

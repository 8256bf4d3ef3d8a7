"""`reslift models`: read from the cards in the checkpoints' headers, without torch."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reslift.errors import CheckpointError, one_line
from reslift.words import signed

if TYPE_CHECKING:
    from reslift.checkpoint import Card

SHOWN_SETS = ("Set5", "BSD100")
FILE_WIDTH = 200


def command(
    name: Annotated[
        str, typer.Argument(help="A bundled model or a checkpoint file; none lists all.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """List the bundled models, or print the card of one.

    PSNR-Y in dB, the gain over bicubic in brackets; `reslift models NAME` gives the protocol.
    """
    from reslift.checkpoint import read_card, resolve, zoo

    bundled = zoo()
    sizes = [path for stem, path in bundled.items() if stem.rsplit("-x", 1)[0] == name]
    one = bool(name) and not sizes
    cards = [read_card(path) for path in ([resolve(name)] if one else sizes or bundled.values())]
    if as_json:
        found = [card.model_dump(mode="json") for card in cards]
        print(json.dumps(found[0] if one else found, indent=2))
    elif one:
        print("\n".join(card_lines(cards[0])))
    elif cards:
        _print_table(cards)
    else:
        raise CheckpointError("no bundled model is installed; `reslift doctor` says how to get one")


def card_lines(card: Card) -> Iterator[str]:
    """The card as lines of text, nested tables indented; every value on one line."""
    yield from _lines(card.model_dump(mode="json"), "")


def _lines(table: Mapping[str, Any], indent: str) -> Iterator[str]:
    width = max((len(key) for key in table), default=0) + 2
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            yield f"{indent}{one_line(key)}"
            yield from _lines(value, indent + "  ")
        elif value not in (None, "", [], {}):
            yield f"{indent}{one_line(key):<{width}}{one_line(value)}"


def score(card: Card, test_set: str) -> str:
    """PSNR-Y of a card on `test_set` with the gain over bicubic, or a dash."""
    entry = card.scores.get(test_set, {})
    if "psnr_y" not in entry:
        return "–"
    text = f"{entry['psnr_y']:.2f}"
    if "bicubic_psnr_y" in entry:
        text += f" ({signed(entry['psnr_y'] - entry['bicubic_psnr_y'])})"
    return text


def _print_table(cards: list[Card]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("model", "scale", "parameters", *SHOWN_SETS, "licence", "data"):
        right = heading in ("scale", "parameters", *SHOWN_SETS)
        table.add_column(heading, justify="right" if right else "left", no_wrap=heading != "data")
    for card in cards:
        scores = (score(card, test_set) for test_set in SHOWN_SETS)
        row = (
            card.name,
            f"x{card.scale}",
            f"{card.parameters:,}",
            *scores,
            card.licence,
            card.data,
        )
        table.add_row(*map(one_line, row))
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else FILE_WIDTH).print(
        table
    )

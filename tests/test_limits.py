from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields

import pytest
from PIL import Image

from reslift.cli import main
from reslift.datacheck.look import look
from reslift.datasets.decode import decode
from reslift.datasets.pairs import PairFiles, read_pair
from reslift.degradations import Bicubic
from reslift.errors import LimitError, UsageError
from reslift.limits import DEFAULT, Limits, parse_amount

NAMES = [limit.name for limit in fields(Limits)]


@pytest.mark.parametrize("name", NAMES)
def test_error_names_the_limit_its_value_and_its_option(name):
    limits = DEFAULT.changed(**{name: 1000})
    limits.check(name, 1000, "a.png")
    with pytest.raises(LimitError) as caught:
        limits.check(name, 1001, "a\n.png")
    text = str(caught.value)
    for wanted in (r"a\n.png", "1,001", "1,000", name, f"{Limits.option(name)} 1001"):
        assert wanted in text


def test_following_the_advice_lifts_the_limit():
    with pytest.raises(LimitError) as caught:
        DEFAULT.check("input_pixels", 3e9, "a.png")
    advised = int(str(caught.value).rsplit(" ", 1)[1])
    DEFAULT.changed(input_pixels=advised).check("input_pixels", 3e9, "a.png")


def test_limits_are_frozen():
    with pytest.raises(FrozenInstanceError):
        DEFAULT.input_pixels = 1  # type: ignore[misc]


def test_changed_keeps_what_is_none_and_refuses_zero():
    assert DEFAULT.changed(frames=None) == DEFAULT
    with pytest.raises(UsageError, match="--max-frames 0"):
        DEFAULT.changed(frames=0)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("1500", 1500),
        ("200M", 200_000_000),
        ("1.5 GB", 1_500_000_000),
        ("4GiB", 4 * 1024**3),
        ("4gi", 4 * 1024**3),
        (" 2 k ", 2000),
    ],
)
def test_parse_amount(text, amount):
    assert parse_amount(text) == amount


@pytest.mark.parametrize("text", ["", "M", "-1", "1e9", "3 pixels", "1,000", "nan"])
def test_parse_amount_refuses(text):
    with pytest.raises(UsageError):
        parse_amount(text)
    with pytest.raises(UsageError, match=r"^--max-memory '"):
        parse_amount(text, "--max-memory")


def test_command_prints_every_limit_with_its_option(capsys):
    assert main(["limits"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(NAMES)
    for name, line in zip(NAMES, lines, strict=True):
        assert line.startswith(name)
        assert f"{getattr(DEFAULT, name):,}" in line
        assert Limits.option(name) in line


def test_command_prints_json(capsys):
    assert main(["limits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {n: getattr(DEFAULT, n) for n in NAMES}


def test_commands_without_an_option_name_none(tmp_path):
    path = tmp_path / "large.png"
    Image.new("1", (10100, 10000)).save(path)
    files = PairFiles("large.png", path)
    ways = (lambda: decode(path), lambda: read_pair(files, Bicubic(2)))
    for read in ways:
        with pytest.raises(LimitError, match="leave it out") as raised:
            read()
        assert "--max" not in str(raised.value)
    (finding,) = look(path, "large.png").findings
    assert "--max" not in finding.text

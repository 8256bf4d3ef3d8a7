from __future__ import annotations

import inspect
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reslift import errors
from reslift.errors import LONGEST_LINE, ResliftError, UnknownName, look_up, one_line

CLASSES = [
    found
    for found in vars(errors).values()
    if inspect.isclass(found) and issubclass(found, ResliftError)
]
CODES = {
    "ResliftError": 1, "UsageError": 2, "RecipeError": 2, "UnknownName": 2, "OutputExists": 2,
    "CannotExport": 2,
    "InputError": 1, "LimitError": 1, "CheckpointError": 1, "OutputError": 1, "DeviceError": 1,
    "VerificationError": 4,
}  # fmt: skip


def test_exit_codes():
    assert {found.__name__: found.exit_code for found in CLASSES} == CODES


def test_tree_in_the_docstring_is_the_tree():
    drawn = {}
    for line in (errors.__doc__ or "").splitlines():
        words = line.replace("├──", "   ").replace("└──", "   ").replace("│", " ").split()
        if words and words[0] in CODES:
            drawn[words[0]] = line.index(words[0])
    assert drawn.keys() == CODES.keys()
    for found in CLASSES[1:]:
        above = found.__mro__[1].__name__
        assert drawn[found.__name__] == drawn[above] + 4


@given(st.text())
def test_one_line_is_one_line_without_controls(text):
    line = one_line(text)
    assert line and len(line.splitlines()) == 1
    assert not {unicodedata.category(char) for char in line} & {"Cc", "Cs", "Zl", "Zp"}


def test_one_line_cuts_before_it_escapes():
    assert len(one_line("x" * 5000)) == LONGEST_LINE
    assert one_line("short") == "short"


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("a\nb\x1b[31m", r"a\nb\x1b[31m"),
        ("\udcff.png", r"\udcff.png"),
        ("‮gnp", r"\u202egnp"),
        (ValueError(), "ValueError"),
        ("", "(empty)"),
        ("größe 2×", "größe 2×"),
        ("at 3.15.22\u202fPM.png", "at 3.15.22\u202fPM.png"),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u200c\u0634\u0648\u062f"),
        ("\U0001f469\u200d\U0001f467\u2028.png", "\U0001f469\u200d\U0001f467\\u2028.png"),
    ],
)
def test_one_line_examples(given, wanted):
    assert one_line(given) == wanted


def test_look_up_finds():
    assert look_up("b", {"a": 1, "b": 2}, "thing") == 2


def test_look_up_suggests_the_near_name_whatever_its_case():
    with pytest.raises(UnknownName, match=r"unknown model 'LIFT-bse'; did you mean lift-base\?"):
        look_up("LIFT-bse", {"lift-base": 1, "other": 2}, "model")


def test_look_up_lists_what_there_is():
    with pytest.raises(UnknownName, match=r"unknown model 'zzz'\. Known: one, two"):
        look_up("zzz", {"one": 1, "two": 2}, "model")
    with pytest.raises(UnknownName, match="Known: none"):
        look_up("zzz", {}, "model")

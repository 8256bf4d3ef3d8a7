"""The documents name files, commands and options that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reslift.cli import COMMANDS, main
from reslift.formats import FORMATS

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
CALL = re.compile(r"\breslift ([a-z]+)\b([^\n`#]*)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_their_options_exist(page, capsys):
    text = page.read_text(encoding="utf-8")
    code = "\n".join([*re.findall(r"`([^`\n]+)`", text), *re.findall(r"(?m)^(?: {4}|)(.*)$", text)])
    lines = [line for line in code.splitlines() if line.startswith("reslift ")]
    for name, rest in (call for line in lines for call in CALL.findall(line)):
        assert name in COMMANDS, f"reslift {name}"
        main([name, "--help"])
        known = set(re.findall(r"--?[a-z][a-z-]*", capsys.readouterr().out)) | {"--debug"}
        used = set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", rest))
        assert used <= known, f"reslift {name}: {sorted(used - known)}"


def test_help_and_page_name_every_format_that_is_written(capsys):
    main(["upscale", "--help"])
    told = capsys.readouterr().out.split("--output-format")[1].split("--strip-metadata")[0]
    page = (ROOT / "docs" / "upscale.md").read_text(encoding="utf-8")
    (row,) = (line for line in page.splitlines() if line.startswith("| `--output-format`"))
    for name in FORMATS:
        assert name in told and f"`{name}`" in row


def test_make_targets_in_the_readme_exist():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"make (\w+)", readme))
    assert {"demo", "test"} <= named
    for target in {"demo", "test"}:
        assert re.search(rf"(?m)^{target}:", makefile)

"""What each format keeps: the claims that docs/formats.md shows and test_formats_matrix.py proves.

python tests/formats_matrix.py     writes the table into docs/formats.md
"""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
BEGIN, END = "<!-- matrix: made by tests/formats_matrix.py -->\n", "<!-- end of matrix -->\n"
YES, NO = "yes", "no"
COLUMNS = ("deep", "gray", "alpha", "icc", "exif", "xmp", "turned", "moving", "dots")
HEADS = ("16 bits", "gray", "alpha", "ICC", "EXIF, GPS", "XMP", "orientation", "animation", "dpi")
AS_RGB, ON_WHITE, TO_8 = "as RGB", "on white", "→ 8"

MATRIX: dict[str, tuple[str, ...]] = {
    "png": (YES, YES, YES, YES, YES, YES, "applied", "APNG", YES),
    "jpeg": (TO_8, YES, ON_WHITE, YES, YES, YES, "applied", "refused", YES),
    "webp": (TO_8, AS_RGB, YES, YES, YES, YES, "applied", YES, "in EXIF"),
    "tiff": (YES, YES, YES, YES, YES, YES, "applied", "refused", YES),
    "bmp": (TO_8, YES, YES, YES, NO, NO, "applied", "refused", YES),
    "gif": (TO_8, AS_RGB, "on or off", "→ sRGB", NO, NO, "applied", YES, NO),
    "avif": ("12", AS_RGB, YES, YES, YES, YES, "applied", "refused", "in EXIF"),
}
READ: dict[str, tuple[str, ...]] = {
    "heic": ("10", YES, YES, YES, YES, YES, "applied", "first", "in EXIF"),
    "jxl": (YES, YES, YES, YES, YES, YES, "applied", "first", "in EXIF"),
}
LABELS = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP", "tiff": "TIFF", "bmp": "BMP"}
LABELS |= {"gif": "GIF", "avif": "AVIF", "heic": "HEIC (read)", "jxl": "JPEG XL (read)"}


def claim(format: str, column: str) -> str:
    """What is said of a format in a column."""
    return {**MATRIX, **READ}[format][COLUMNS.index(column)]


def table() -> str:
    """The table in Markdown."""
    lines = ["| | " + " | ".join(HEADS) + " |", "|---" * (len(HEADS) + 1) + "|"]
    for format, claims in {**MATRIX, **READ}.items():
        lines.append(f"| {LABELS[format]} | " + " | ".join(claims) + " |")
    return "\n".join(lines) + "\n"


def page_with_table(text: str) -> str:
    """The page with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n" + table() + "\n" + END + after


if __name__ == "__main__":
    PAGE.write_text(page_with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

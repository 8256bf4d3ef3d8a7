"""What only a side file, ``.aux.xml``, says of the bands: names of classes, attribute tables.

GDAL keeps them there for every GeoTIFF, and rasterio neither reads nor writes them. Nodata values
that differ from band to band stand there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

ENDING = ".aux.xml"
BAND, NUMBER = "PAMRasterBand", "band"
NAMES, TABLE = "CategoryNames", "GDALRasterAttributeTable"
NODATA = "NoDataValue"
MOST_BYTES = 2**24

Tables = dict[int, dict[str, Element]]


def of(path: Path) -> Tables:
    """Names and tables of each band, by its number; none where the side file cannot be read."""
    root = _root(path)
    found: Tables = {}
    for band in () if root is None else root.findall(BAND):
        number = band.get(NUMBER, "")
        kept = {name: part for name in (NAMES, TABLE) if (part := band.find(name)) is not None}
        if number.isdigit() and kept:
            found[int(number)] = kept
    return found


def name_classes(parts: dict[str, Element]) -> bool:
    """Whether the values of a band with these parts stand for classes."""
    table = parts.get(TABLE)
    return NAMES in parts or (table is not None and table.get("tableType") == "thematic")


def of_nodata(values: Sequence[float | None]) -> Tables:
    """The nodata value of each band, from the first on, where it has one."""
    found: Tables = {}
    for number, value in enumerate(values, 1):
        if value is not None:
            found[number] = {NODATA: Element(NODATA)}
            found[number][NODATA].text = repr(float(value))
    return found


def add(tables: Tables, path: Path) -> None:
    """Write them beside the raster at `path`, into what already lies there."""
    if not tables:
        return
    root = _root(path)
    root = Element("PAMDataset") if root is None else root
    for number, parts in tables.items():
        band = next((b for b in root.findall(BAND) if b.get(NUMBER) == str(number)), None)
        if band is None:
            band = ElementTree.SubElement(root, BAND, {NUMBER: str(number)})
        for name, part in parts.items():
            for old in band.findall(name):
                band.remove(old)
            band.append(part)
    Path(f"{path}{ENDING}").write_bytes(ElementTree.tostring(root, "utf-8"))


def plain(parts: dict[str, Element]) -> dict[str, str]:
    """To compare: the same text for the same contents."""
    return {
        name: ElementTree.canonicalize(ElementTree.tostring(part, "unicode"), strip_text=True)
        for name, part in parts.items()
    }


def _root(path: Path) -> Element | None:
    try:
        with Path(f"{path}{ENDING}").open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        # A document type may make much out of few bytes; GDAL writes none.
        if len(text) > MOST_BYTES or b"<!" in text.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
            return None
        return ElementTree.fromstring(text)
    except (OSError, ElementTree.ParseError, ValueError):
        return None

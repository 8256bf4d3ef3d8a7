"""The colour tables of a DICOM image whose pixels are numbers of colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

KEYWORD = "PaletteColorLookupTable"


def tags_of(elements: Dataset) -> list[BaseTag]:
    """Those of the tables.

    No value is looked at: pydicom would decode it, and a name that is not in the character set that
    the file says could not be written as it was.
    """
    from pydicom.datadict import keyword_for_tag

    return [tag for tag in elements.keys() if KEYWORD in keyword_for_tag(tag)]  # noqa: SIM118


def tables_of(elements: Dataset, syntax: str) -> Dataset:
    """The tables alone, in the byte order of the transfer syntax that `elements` are in."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID

    tables = Dataset()
    tables.update({tag: elements[tag] for tag in tags_of(elements)})
    tables.file_meta = FileMetaDataset()
    tables.file_meta.TransferSyntaxUID = UID(syntax)
    return tables

"""The elements that an enlarged DICOM image should have: those of its source, brought over."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from reslift.media.dicom import geometry, identity, palette
from reslift.media.dicom.refusal import PALETTE
from reslift.media.dicom.source import Image
from reslift.pixels.regrid import Regrid

if TYPE_CHECKING:
    from pydicom import DataElement, Dataset

OF_ITS_OWN = frozenset(
    (
        *identity.STALE,
        *identity.EXTREMES,
        *identity.CONCATENATED,
        *("SOPInstanceUID", "SeriesInstanceUID", "SeriesDescription", "ImageType", "FrameType"),
        *("DerivationDescription", "DerivationCodeSequence", "SourceImageSequence"),
        *("ContributingEquipmentSequence", "LossyImageCompression", "LossyImageCompressionMethod"),
        *("SamplesPerPixel", "PhotometricInterpretation", "PlanarConfiguration", "BitsAllocated"),
        *("BitsStored", "HighBit", "PixelRepresentation", "PixelData", "Rows", "Columns"),
    )
)
"""What a result says of itself, or what says how its pixels are stored."""
POSITIONS = ("ImagePositionPatient", "ImagePositionVolume")
NEAR = 0.1
SINGLE = 1e-6
MOST_NAMED = 6


@dataclass
class Comparison:
    """Names of elements that are not there, or have other values.

    Attributes:
        spacing: part of itself by which a spacing may differ. reach: how far, mm, a position may.
    """

    spacing: float
    reach: float
    lost: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)

    def add(self, wanted: Dataset, found: Dataset) -> None:
        """Look at each element that is wanted, and into sequences; not at lengths of groups."""
        for element in wanted:
            if element.keyword in OF_ITS_OWN or element.is_empty or not element.tag.element:
                continue
            name = element.keyword or str(element.tag)
            if element.tag not in found:
                self.lost.append(name)
            elif element.VR != "SQ" or found[element.tag].VR != "SQ":
                if not self._is_same(element, found[element.tag]):
                    self.changed.append(name)
            elif len(element.value) != len(found[element.tag].value):
                self.changed.append(name)
            else:
                for one, other in zip(element.value, found[element.tag].value, strict=True):
                    self.add(one, other)

    def _is_same(self, wanted: DataElement, found: DataElement) -> bool:
        one, other = _values(wanted.value), _values(found.value)
        if isinstance(wanted.value, bytes) != isinstance(found.value, bytes):
            return True  # A private element whose kind only one of the two files tells.
        if len(one) != len(other):
            return False
        try:
            given, made = (np.array(values, np.float64) for values in (one, other))
        except (TypeError, ValueError):
            return [_text(v) for v in one] == [_text(v) for v in other]
        slack = self.reach if wanted.keyword in POSITIONS else 1e-9
        part = self.spacing if wanted.keyword in geometry.PAIRS else SINGLE
        return np.allclose(given, made, rtol=part, atol=slack, equal_nan=True)


def differences(source: Image, result: Image, grid: Regrid) -> Iterator[str]:
    """Sentences that name what was lost and what has another value than it should have."""
    wanted = copy.deepcopy(source.elements)
    geometry.enlarge_overlays(wanted, source.containers(), grid)
    geometry.enlarge_geometry(wanted, grid)
    if source.photometric == PALETTE:
        for tag in palette.tags_of(wanted):
            del wanted[tag]
    # Where positions can be reckoned with, the corners are compared instead (`check.py`).
    placed = next(geometry.planes_of(source.elements), None) is not None
    seen = Comparison(NEAR / max(source.rows, source.columns), np.inf if placed else SINGLE)
    seen.add(wanted, result.elements)
    if seen.lost:
        yield f"of the source is lost: {_named(seen.lost)}"
    if seen.changed:
        yield f"not as the source and the size make it: {_named(seen.changed)}"


def _named(names: list[str]) -> str:
    once = list(dict.fromkeys(names))
    more = f" and {len(once) - MOST_NAMED} more" if len(once) > MOST_NAMED else ""
    return ", ".join(once[:MOST_NAMED]) + more


def _values(value: Any) -> list[Any]:
    many = not isinstance(value, str | bytes) and hasattr(value, "__len__")
    return list(value) if many else [value]


def _text(value: Any) -> object:
    return value.rstrip(b"\0") if isinstance(value, bytes) else str(value).strip()

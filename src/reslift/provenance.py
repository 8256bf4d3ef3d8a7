"""How a result was made, written into it: enough to make it again, nothing about who or when.

A record goes into the XMP packet of a picture, beside whatever is there, with the IPTC term for
pictures that an algorithm has enhanced. Writers of other kinds of files (video, DICOM, GeoTIFF) put
`Record.as_json()`, one line of ASCII, into a comment of theirs, and `Record.parse` reads it again.

    record = upscaler.record(source)          # which model, weights, options, engine, versions
    tag.text = record.as_json()
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, unescape

from reslift import __version__
from reslift.errors import InputError, UsageError, one_line
from reslift.files import atomic_write
from reslift.sizes import Size

NAMESPACE = "urn:reslift:provenance:1#"
IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
TERMS = "http://cv.iptc.org/newscodes/digitalsourcetype/"
ENHANCED, COMPOSITE = "algorithmicallyEnhanced", "compositeWithTrainedAlgorithmicMedia"
"""A faithful model alters without changing the content; any other adds content of its own."""
PLAIN_SOURCES = {"digitalCapture", "computationalCapture", "negativeFilm", "positiveFilm", "print"}
PLAIN_SOURCES |= {"minorHumanEdits", "humanEdits", "softwareImage", ENHANCED}
PACKAGES = ("numpy", "torch", "openvino", "onnxruntime", "pyvips-binary")
LONGEST = 65_000
SUFFIX = ".provenance.json"
ROOM = 16384
"""Bytes that are taken for a record before it is known; it has about 2,000."""
OPENING = re.compile(rb"<rdf:Description [^<>]*>")
CLOSING = re.compile(rb"</rdf:Description>\s*")
OURS = f'xmlns:reslift="{NAMESPACE}"'.encode()
SOURCE_TYPE = re.compile(  # Looked back from, a long run of letters is passed once, not once each.
    rb"(<(\w+):DigitalSourceType>\s*|(?<=\s)\w+:DigitalSourceType\s*=\s*[\"'])"
    rb"(?:https?://cv\.iptc\.org/newscodes/digitalsourcetype/)?([^\s\"'<]*)"
)
TEXT = (b"<reslift:record>", b"</reslift:record>")
ABOUT = re.compile(rb"<rdf:Description [^<>]*(rdf:about=\"[^\"<>]*\")")
PACKET = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">\n'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
    '</rdf:RDF>\n</x:xmpmeta>\n<?xpacket end="w"?>'
).encode()


@dataclass(frozen=True)
class Record:
    """How one result was made.

    Attributes:
        input_sha256: of the bytes of the input file.
        model: its name; weights: SHA-256 of its checkpoint files, by scale.
        backend, precision, device: the engine that ran it.
        options: what decides the result: size, strength, kernel, format and the like.
        versions: of reslift and of the libraries that decide the bytes.
        faithful: the model was trained for the mean and not for looks.
        consistency: kernel, largest and mean error in levels; empty where it was not sought.
    """

    input_sha256: str
    model: str
    weights: Mapping[str, str]
    backend: str
    precision: str
    device: str
    options: Mapping[str, Any]
    faithful: bool = False
    consistency: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    def as_json(self, indent: int | None = None) -> str:
        """ASCII, keys sorted; one line without `indent`."""
        return json.dumps({"reslift": 1, **asdict(self)}, sort_keys=True, indent=indent)

    @classmethod
    def parse(cls, text: str) -> Record:
        """The record in what `as_json` gave; ValueError where it is none."""
        try:
            found = json.loads(text)
            if found.pop("reslift") != 1:
                raise ValueError("a record of another version")
            record = cls(**found)
        except (TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError("not a record") from error
        texts = (record.input_sha256, record.model, record.backend, record.precision, record.device)
        tables = (record.weights, record.options, record.consistency, record.versions)
        if not all(isinstance(t, str) for t in texts) or not all(
            isinstance(t, dict) for t in tables
        ):
            raise ValueError("not a record")
        return record

    def with_options(self, **options: Any) -> Record:
        """A copy with more options: how it was written."""
        return replace(self, options={**self.options, **options})

    @property
    def size(self) -> Size | None:
        """What was asked for; None where that is not known here."""
        facts = self.options.get("size")
        if not isinstance(facts, dict):
            return None
        wish: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()
        }
        try:
            return Size(**wish)
        except (TypeError, UsageError):
            return None

    @property
    def source_type(self) -> str:
        """The IPTC digital source type."""
        return ENHANCED if self.faithful else COMPOSITE


def versions() -> dict[str, str]:
    """Of reslift and the installed packages that can change a byte; nothing is imported."""
    found = {"reslift": __version__}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def sha256(path: Path) -> str:
    """Of a file; InputError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot use {one_line(path)}: {one_line(error.strerror)}") from error


def into_xmp(xmp: bytes | None, record: Record) -> bytes | None:
    """The packet with the record in place of an earlier one, all else as it was.

    A source type that says more than "captured" or "enhanced" (made by AI, a composite) stays. None
    where the packet cannot be added to: it is not UTF-8 RDF, or would be too long for a JPEG.
    """
    packet = _rest(xmp) if xmp else PACKET
    end = packet.rfind(b"</rdf:RDF>")
    if end < 0 or len(packet) > LONGEST:
        return None
    term = record.source_type
    there = SOURCE_TYPE.search(packet)
    property_ = ""
    if there is None:
        property_ = (
            f"<Iptc4xmpExt:DigitalSourceType>{TERMS}{term}</Iptc4xmpExt:DigitalSourceType>\n"
        )
    elif there[3].decode("latin-1") in PLAIN_SOURCES:
        packet = packet[: there.end(1)] + f"{TERMS}{term}".encode() + packet[there.end() :]
        end = packet.rfind(b"</rdf:RDF>")
    about = ABOUT.search(packet)
    head = about[1].decode("utf-8", "replace") if about else 'rdf:about=""'
    added = (
        f'<rdf:Description {head} xmlns:reslift="{NAMESPACE}" xmlns:Iptc4xmpExt="{IPTC}">\n'
        f"{property_}<reslift:record>{escape(record.as_json())}</reslift:record>\n"
        "</rdf:Description>\n"
    )
    whole = packet[:end] + added.encode() + packet[end:]
    return whole if len(whole) <= LONGEST else None


def without(xmp: bytes | None) -> bytes | None:
    """The packet without a record of ours; None where nothing else is in it."""
    rest = _rest(xmp) if xmp else None
    return None if rest == PACKET else rest


def _rest(xmp: bytes) -> bytes:
    """The packet without descriptions of ours; each byte is looked at a few times, however many."""
    kept, at = [], 0
    while found := OPENING.search(xmp, at):
        end = CLOSING.search(xmp, found.end()) if OURS in found[0] else found
        if end is None:
            break
        kept.append(xmp[at : end.end() if end is found else found.start()])
        at = end.end()
    return b"".join((*kept, xmp[at:]))


def from_xmp(xmp: bytes | None) -> Record | None:
    """The record in a packet; None where there is none, or a damaged one."""
    _, opening, rest = (xmp or b"").partition(TEXT[0])
    text, closing, _ = rest.partition(TEXT[1])
    if not opening or not closing:
        return None
    try:
        return Record.parse(unescape(text.decode("utf-8", "replace")))
    except ValueError:
        return None


def side_file(path: Path) -> Path:
    """Where the record beside a result is: ``large.png.provenance.json``."""
    return path.with_name(path.name + SUFFIX)


def write_beside(path: Path, record: Record, *, overwrite: bool) -> None:
    """Write the record beside a result. Raises OutputExists, OutputError where that cannot be."""
    with room_beside(path, overwrite=overwrite) as told:
        told(record)


@contextmanager
def room_beside(path: Path, *, overwrite: bool) -> Iterator[Callable[[Record], None]]:
    """Room for the record beside a result, taken before that is made; what is told goes there.

    Only where the result fails does nothing stay. Raises as `write_beside`.
    """
    with atomic_write(side_file(path), overwrite=overwrite) as temporary:
        temporary.write_bytes(bytes(ROOM))

        def tell(record: Record) -> None:
            # Written over, not anew: another file might take the room in between.
            with temporary.open("r+b") as file:
                file.write(record.as_json(indent=2).encode("ascii") + b"\n")
                file.truncate()

        yield tell

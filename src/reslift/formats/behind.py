"""What the XMP of a picture says of things behind it that a result does not have.

A motion photo names its film there, a picture for HDR screens its gain map, a long packet its
second part. Such a claim in a file that has none makes viewers look for it in vain. Claims are cut
out of the packet as it stands; nothing else in it is touched.
"""

from __future__ import annotations

import re

ANY = rb"[\w.-]+"
CLAIMS: dict[bytes, bytes] = {
    b"http://ns.google.com/photos/1.0/container/": ANY,
    b"http://ns.google.com/photos/1.0/container/item/": ANY,
    b"http://ns.google.com/photos/1.0/camera/": rb"(?:MotionPhoto|MicroVideo)\w*",
    b"http://ns.adobe.com/hdr-gain-map/1.0/": ANY,
    b"http://ns.adobe.com/xmp/note/": rb"HasExtendedXMP",
}
"""Namespace → names of its properties."""
MOST_BYTES, MOST_PREFIXES = 1 << 18, 4


def unclaimed(xmp: bytes) -> bytes:
    """The packet without such claims."""
    return without(xmp, CLAIMS)


def without(xmp: bytes, properties: dict[bytes, bytes]) -> bytes:
    """The packet without these properties, be they attributes or elements.

    properties: namespace → pattern of names. A namespace that is no longer used goes too. A packet
    over 256 KiB stays as it is.
    """
    if len(xmp) > MOST_BYTES:
        return xmp
    for namespace, names in properties.items():
        told = rb"\sxmlns:(" + ANY + rb")\s*=\s*[\"']" + re.escape(namespace) + rb"[\"']"
        for prefix in list(dict.fromkeys(re.findall(told, xmp)))[:MOST_PREFIXES]:
            name = re.escape(prefix) + b":" + names
            xmp = _without_elements(xmp, name)
            xmp = re.sub(rb"\s" + name + rb"\s*=\s*(?:\"[^\"]*\"|'[^']*')", b"", xmp)
            if not re.search(rb"[<\s]" + re.escape(prefix) + b":", xmp):
                xmp = re.sub(told.replace(b"(" + ANY + b")", re.escape(prefix)), b"", xmp)
    return xmp


def _without_elements(xmp: bytes, name: bytes) -> bytes:
    opening = re.compile(rb"<(" + name + rb")(?:\s[^<>]*)?/?>")
    kept, at = [], 0
    while found := opening.search(xmp, at):
        start, end = found.span()
        if not found[0].endswith(b"/>"):
            closing = b"</" + found[1] + b">"
            place = xmp.find(closing, end)
            start = start if place >= 0 else end
            end = max(end, place + len(closing))
        kept.append(xmp[at:start])
        at = end
    return b"".join(kept) + xmp[at:]

"""Files made without reslift's writers, and pictures to be written: for the tests of formats."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image, ImageCms

from reslift.formats import Picture
from reslift.formats.base import COLOURS

WIDTH, HEIGHT = 13, 7
GPS = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 36.0)}
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6">\xc3\xa4</r></x:xmpmeta>'
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def gray_profile() -> bytes:
    """A gray ICC profile of gamma 2.2, made by hand: header, three tags."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, int(2.2 * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"gray\0" + b"\0" * 78
    body, table = b"", b""
    at = 128 + 4 + 3 * 12
    for name, data in ((b"desc", text), (b"kTRC", curve), (b"wtpt", white)):
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data
    head = struct.pack(
        ">I4sI4s4s4s", at + len(body), b"\0\0\0\0", 0x02100000, b"mntr", b"GRAY", b"XYZ "
    )
    head += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", 3) + table + body


GRAY = gray_profile()


def noise(*shape: int, bits: int = 8, seed: int = 0) -> np.ndarray:
    """Random samples over the whole range."""
    dtype = np.uint8 if bits <= 8 else np.uint16
    return np.random.default_rng(seed).integers(0, 2**bits, shape, dtype=dtype)


def smooth(bands: int, height: int = 48, width: int = 64, bits: int = 8) -> np.ndarray:
    """Gentle gradients, which lossy formats keep well."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = [0.1 + 0.8 * (x * (b + 1) + y * (4 - b)) / 5 for b in range(bands)]
    top = 2**bits - 1
    return np.rint(np.stack(planes, -1) * top).astype(np.uint8 if bits == 8 else np.uint16)


def exif_block(orientation: int = 1, gps: bool = True) -> bytes:
    """EXIF with a camera, a date, an exposure, the size and a position, without prefix."""
    exif = Image.Exif()
    exif[271], exif[272], exif[274], exif[306] = (
        "Maker",
        "Model",
        orientation,
        "2024:01:02 03:04:05",
    )
    below = exif.get_ifd(34665)
    below[33434], below[40962], below[40963], below[37500] = (
        0.01,
        WIDTH,
        HEIGHT,
        b"maker note \0\1\2",
    )
    if gps:
        exif.get_ifd(34853).update(GPS)
    return exif.tobytes().removeprefix(b"Exif\0\0")


def png(
    samples: np.ndarray, colour: int, bits: int, *before: tuple[bytes, bytes], after: bytes = b""
) -> bytes:
    """A PNG made by hand. samples: (height, width, bands); before: chunks before the pixels."""
    height, width = samples.shape[:2]
    rows = b""
    for row in samples:
        if bits < 8:
            text = "".join(f"{int(v):0{bits}b}" for v in row[:, 0])
            text += "0" * (-len(text) % 8)
            raw = bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8))
        else:
            raw = row.astype(">u2" if bits == 16 else "u1").tobytes()
        rows += b"\0" + raw
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *before, (b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*p) for p in parts) + after + chunk(b"IEND", b"")


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def saved(image: Image.Image, format: str, **options: object) -> bytes:
    """What Pillow writes."""
    buffer = BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def with_metadata(format: str, pixels: np.ndarray, orientation: int) -> bytes:
    """A file by Pillow with EXIF, GPS, XMP, ICC and 300×150 dpi (BMP: what it can hold)."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    icc = GRAY if pixels.shape[2] == 1 else SRGB
    block = exif_block(orientation)
    options: dict[str, object] = {"icc_profile": icc, "exif": b"Exif\0\0" + block}
    if format == "png":
        from PIL import PngImagePlugin

        info = PngImagePlugin.PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode(), zip=False)
        info.add_text("Title", "a title")
        options |= {"pnginfo": info, "dpi": (300, 150)}
    elif format == "jpeg":
        options |= {"xmp": XMP, "dpi": (300, 150), "quality": 100, "subsampling": 0}
        options |= {"comment": b"a comment"}
    elif format == "webp":
        options |= {"xmp": XMP, "lossless": True, "exact": True}
    else:
        return tiff_with_metadata(pixels, orientation)
    return saved(image, format.upper(), **options)


def tiff_with_metadata(pixels: np.ndarray, orientation: int, order: str = ">") -> bytes:
    """An uncompressed TIFF made by hand, EXIF and GPS directories included."""
    height, width, bands = pixels.shape
    icc = GRAY if bands == 1 else SRGB

    def entries(items: list[tuple[int, str, tuple[object, ...] | bytes]], at: int) -> bytes:
        kinds = {"B": 1, "A": 2, "H": 3, "I": 4, "R": 5, "U": 7}
        table, values = b"", b""
        data_at = at + 2 + 12 * len(items) + 4
        for tag, kind, value in sorted(items):
            if isinstance(value, bytes):
                data, count = value, len(value)
            elif kind == "R":
                pairs = [v for pair in value for v in pair]
                data, count = struct.pack(f"{order}{len(pairs)}I", *pairs), len(value)
            else:
                data, count = struct.pack(f"{order}{len(value)}{kind}", *value), len(value)
            table += struct.pack(order + "HHI", tag, kinds[kind], count)
            if len(data) <= 4:
                table += data.ljust(4, b"\0")
            else:
                table += struct.pack(order + "I", data_at + len(values))
                values += data + b"\0" * (len(data) % 2)
        return struct.pack(order + "H", len(items)) + table + b"\0\0\0\0" + values

    body = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    body += b"\0" * (len(body) % 2)
    exif_at = 8 + len(body)
    exif = entries([(33434, "R", ((1, 100),)), (37500, "U", b"maker note \0\1\2")], exif_at)
    gps_at = exif_at + len(exif)
    place = [(1, "A", b"N\0"), (2, "R", ((52, 1), (31, 1), (12, 1)))]
    place += [(3, "A", b"E\0"), (4, "R", ((13, 1), (24, 1), (36, 1)))]
    gps = entries(place, gps_at)
    main_at = gps_at + len(gps)
    bits = pixels.dtype.itemsize * 8
    main = entries(
        [
            (256, "H", (width,)),
            (257, "H", (height,)),
            (258, "H", (bits,) * bands),
            (259, "H", (1,)),
            (262, "H", (1 if bands == 1 else 2,)),
            (271, "A", b"Maker\0"),
            (272, "A", b"Model\0"),
            (273, "I", (8,)),
            (274, "H", (orientation,)),
            (277, "H", (bands,)),
            (278, "H", (height,)),
            (279, "I", (pixels.nbytes,)),
            (282, "R", ((300, 1),)),
            (283, "R", ((150, 1),)),
            (296, "H", (2,)),
            (306, "A", b"2024:01:02 03:04:05\0"),
            (700, "B", XMP),
            (34665, "I", (exif_at,)),
            (34675, "U", icc),
            (34853, "I", (gps_at,)),
        ],
        main_at,
    )
    mark = b"MM\0*" if order == ">" else b"II*\0"
    return mark + struct.pack(order + "I", main_at) + body + exif + gps + main


def picture_of(space="rgb", alpha=False, bits=8, pixels=None, **more):
    if pixels is None:
        pixels = noise(HEIGHT, WIDTH, COLOURS[space] + alpha, bits=bits)
    return Picture(pixels, space, alpha, **more)

"""Files that are no still picture and are known all the same, by how they begin."""

from __future__ import annotations

import zlib

AS_MKV = "whose streams have to be put into MKV first"
AS_GEOTIFF = "of which gdal_translate makes a GeoTIFF"
AS_NIFTI = "which has to be put into NIfTI first"
RAW = "a camera raw file, to be developed to TIFF or PNG first"
PAGE = "a web page, as servers send in place of a picture"
TS = b"G@"
FOREIGN = {
    b"%PDF": "a PDF",
    b"%!PS": "PostScript",
    b"<?xm": "XML or SVG",
    b"<svg": "SVG",
    b"8BPS": "a Photoshop file",
    b"\0\0\1\0": "an icon",
    b"\0\0\0\x0cjP  ": "a JPEG 2000",
    b"SIMP": "FITS",
    b"v/1\x01": "OpenEXR",
    b"#?RA": "Radiance HDR",
    b"qoif": "QOI",
    b"DDS ": "a DirectDraw texture",
    b"icns": "an icon of macOS",
    b"II*\0\x10\0\0\0CR": RAW,
    b"FUJIFILMCCD-RAW": RAW,
    b"IIRO": RAW,
    b"IIRS": RAW,
    b"MMOR": RAW,
    b"IIU\0": RAW,
    b"FOVb": RAW,
    b"version https://git-lfs": "a pointer of Git LFS; git lfs pull fetches the file",
    b"PK\3\4": "a zip archive",
    TS: f"MPEG-TS, {AS_MKV}",
    b"\0\0\1\xb3": f"a bare MPEG stream, {AS_MKV}",
    b"\0\0\0\1\0\0": f"a FreeSurfer volume, {AS_NIFTI}",
    b"\0\0\0\1": f"a bare H.264 or H.265 stream, {AS_MKV}",
    b"YUV4MPEG2 ": f"YUV4MPEG2, {AS_MKV}",
    b"\0\0\1\xba": f"an MPEG programme stream, {AS_MKV}",
    b"FLV\1": f"a Flash video, {AS_MKV}",
    b"0&\xb2u": f"Windows Media, {AS_MKV}",
    b"\6\x0e+4": f"MXF, {AS_MKV}",
    b"OggS": f"Ogg, {AS_MKV}",
    b"<VRTDataset": f"a VRT, {AS_GEOTIFF}",
    b"\x89HDF": f"HDF5 or NetCDF, {AS_GEOTIFF}",
    b"CDF": f"NetCDF, {AS_GEOTIFF}",
    b"\x0e\x03\x13\x01": f"HDF4, {AS_GEOTIFF}",
    b"EHFA_HEADER_TAG": f"ERDAS Imagine, {AS_GEOTIFF}",
    b"GRIB": f"GRIB, {AS_GEOTIFF}",
    b"NITF": f"NITF, {AS_GEOTIFF}",
    b"ENVI": f"the header of an ENVI raster, {AS_GEOTIFF}",
    b"NRRD": f"NRRD, {AS_NIFTI}",
    b"ObjectType": f"MetaImage, {AS_NIFTI}",
}
FOREIGN |= {b"P%c\n" % kind: "a Netpbm picture" for kind in b"1234567Ff"}
HEIF_BRANDS = (b"mif1", b"msf1", b"miaf")
HEAD = 512
GZIP = b"\x1f\x8b"
DICOM = slice(128, 132)
NIFTI = {344: (b"n+1\0", b"ni1\0"), 4: (b"n+2\0", b"ni2\0")}
ANALYZE, REGULAR = (b"\x5c\x01\0\0", b"\0\0\x01\x5c"), 38
DIMENSIONS = slice(40, 42)
COUNTS = {n.to_bytes(2, order) for n in range(1, 8) for order in ("little", "big")}
"""Of dimensions, by which the header of a program is known that leaves out the `r`."""
MEASURED = "which `reslift upscale` and the recipe medical take"


def kind_of(head: bytes) -> str | None:
    """What a file is that begins so, for people; None where it is not known.

    head: its first `HEAD` bytes.
    """
    if head[4:8] == b"ftyp":
        if head[8:12] == b"crx ":
            return RAW
        return "HEIF of another kind" if head[8:12] in HEIF_BRANDS else "a video"
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return PAGE
    if head[DICOM] == b"DICM":
        return f"a DICOM file, {MEASURED}"
    plain = _unpacked(head) if head.startswith(GZIP) else head
    if any(plain[at : at + 4] in magics for at, magics in NIFTI.items()):
        return f"a NIfTI volume, {MEASURED}"
    is_regular = plain[REGULAR : REGULAR + 1] == b"r" or plain[DIMENSIONS] in COUNTS
    if plain[:4] in ANALYZE and is_regular:
        return f"the header of an Analyze volume, {AS_NIFTI}"
    named = plain[4:] if plain[4:6] == TS else plain  # .m2ts has a clock before each packet of TS
    return next((name for magic, name in FOREIGN.items() if named.startswith(magic)), None)


def _unpacked(head: bytes) -> bytes:
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD)
    except zlib.error:
        return b""

"""EXIF and XMP tell sizes, subjects and faces in pixels and shares: they follow the picture."""

from __future__ import annotations

import time
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import IFDRational

from reslift import formats
from reslift.formats import exif as exif_blocks
from reslift.formats import packet, previews
from reslift.formats.turn import upright

WIDTH, HEIGHT = 40, 24
BOX = (6, 4, 8, 6)
"""Left, top, width and height of what is marked in the picture."""
AREA, LOCATION, SIZES, FINENESS = 0x9214, 0xA214, (0xA002, 0xA003), (0xA20E, 0xA20F)
EXIF = 0x8769


def faces() -> bytes:
    """A packet that names the marked box thrice: as attributes, elements and by its corner."""
    left, top, width, height = BOX
    x, y, w, h = (
        (left + width / 2) / WIDTH,
        (top + height / 2) / HEIGHT,
        width / WIDTH,
        height / HEIGHT,
    )
    return f"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"
 xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#"
 xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" xmlns:MP="http://ns.microsoft.com/photo/1.2/"
 xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
 tiff:Orientation="6" tiff:ImageWidth="{WIDTH}" exif:PixelYDimension='{HEIGHT}'>
<tiff:ImageLength>{HEIGHT}</tiff:ImageLength>
<mwg-rs:Regions rdf:parseType="Resource">
<mwg-rs:AppliedToDimensions stDim:w="{WIDTH}" stDim:h="{HEIGHT}" stDim:unit="pixel"/>
<mwg-rs:RegionList><rdf:Bag>
<rdf:li><rdf:Description mwg-rs:Name="Ada"><mwg-rs:Area stArea:x="{x}" stArea:y="{y}" stArea:w="{w}" stArea:h="{h}" stArea:unit="normalized"/></rdf:Description></rdf:li>
<rdf:li><mwg-rs:Area rdf:parseType="Resource"><stArea:x>{x}</stArea:x><stArea:y>{y}</stArea:y><stArea:w>{w}</stArea:w><stArea:h>{h}</stArea:h></mwg-rs:Area></rdf:li>
</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>
<MP:RegionInfo rdf:parseType="Resource"><MPReg:Rectangle>{left / WIDTH}, {top / HEIGHT}, {w}, {h}</MPReg:Rectangle></MP:RegionInfo>
<xmpMM:Pantry><rdf:Bag><rdf:li tiff:ImageWidth="77"/></rdf:Bag></xmpMM:Pantry>
</rdf:Description></rdf:RDF></x:xmpmeta>""".encode()  # noqa: E501


def box_of(values: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, width and height of what is white."""
    rows, columns = np.flatnonzero(values.any(1)), np.flatnonzero(values.any(0))
    left, top = int(columns[0]), int(rows[0])
    return left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top


def marked() -> np.ndarray:
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    left, top, width, height = BOX
    pixels[top : top + height, left : left + width] = 255
    return pixels


def photo(orientation: int) -> bytes:
    """A PNG with EXIF as cameras write it, and the packet."""
    left, top, width, height = BOX
    exif = Image.Exif()
    exif[0x0112] = orientation
    below = exif.get_ifd(EXIF)
    below[AREA] = (left + width // 2, top + height // 2, width, height)
    below[LOCATION] = (left, top)
    below[SIZES[0]], below[SIZES[1]] = WIDTH, HEIGHT
    below[FINENESS[0]], below[FINENESS[1]] = IFDRational(100), IFDRational(50)
    file = BytesIO()
    Image.fromarray(marked()).save(file, "TIFF", exif=exif)
    body = BytesIO()
    Image.fromarray(marked()).save(body, "PNG", exif=exif)
    return body.getvalue()


def areas(xmp: bytes, width: int, height: int) -> list[tuple[int, ...]]:
    """The boxes that a packet names, in pixels, by a parser of XML."""
    from xml.etree import ElementTree

    area, region = (
        "{http://ns.adobe.com/xmp/sType/Area#}",
        "{http://ns.microsoft.com/photo/1.2/t/Region#}",
    )
    found = []
    for element in ElementTree.fromstring(xmp).iter():
        if element.tag.endswith("}Area"):
            told = {**element.attrib, **{child.tag: child.text or "" for child in element}}
            x, y, w, h = (float(told[area + name]) for name in "xywh")
            found.append((x - w / 2, y - h / 2, w, h))
        if element.tag == region + "Rectangle":
            found.append(tuple(float(value) for value in (element.text or "").split(",")))
    return [
        tuple(round(v * s) for v, s in zip(one, (width, height) * 2, strict=True)) for one in found
    ]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_faces_turn_with_the_picture(orientation):
    turned = upright(marked(), orientation)
    height, width = turned.shape[:2]
    xmp = packet.upright(faces(), orientation)
    assert areas(xmp, width, height) == [box_of(turned[..., 0])] * 3
    sides = (WIDTH, HEIGHT) if orientation < 5 else (HEIGHT, WIDTH)
    assert b'stDim:w="%d" stDim:h="%d"' % sides in xmp
    assert b'tiff:Orientation="1"' in xmp


@pytest.mark.parametrize("orientation", range(1, 9))
def test_subjects_and_sensors_follow_turns_and_sizes(orientation, tmp_path):
    (tmp_path / "a.png").write_bytes(photo(orientation))
    picture = formats.read(tmp_path / "a.png")
    left, top, width, height = box_of(np.asarray(picture.pixels)[..., 0])
    large = picture.pixels.repeat(3, 0).repeat(3, 1)
    formats.write(tmp_path / "b.png", replace(picture, pixels=large))
    with Image.open(tmp_path / "b.png") as image:
        below = image.getexif().get_ifd(EXIF)
        assert ImageOps.exif_transpose(image).size == image.size == large.shape[1::-1]
    assert (below[SIZES[0]], below[SIZES[1]]) == large.shape[1::-1]
    x, y, *extent = below[AREA]
    assert extent == [3 * width, 3 * height]
    assert abs(x - 3 * (left + width / 2)) <= 3 and abs(y - 3 * (top + height / 2)) <= 3
    shown = np.asarray(Image.open(tmp_path / "b.png"))
    x, y = below[LOCATION]
    assert shown[y, x].all(), "a corner of the marked box"
    wanted = [300, 150] if orientation < 5 else [150, 300]
    assert [float(below[tag]) for tag in FINENESS] == wanted


def test_sizes_in_xmp_are_those_of_the_file_but_not_of_others(tmp_path):
    pixels = np.zeros((48, 80, 3), np.uint8)
    formats.write(tmp_path / "a.png", formats.Picture(pixels, "rgb", False, xmp=faces()))
    xmp = formats.read(tmp_path / "a.png").xmp
    for told in (b'tiff:ImageWidth="80"', b"exif:PixelYDimension='48'", b"Length>48<", b'="77"'):
        assert told in xmp
    assert len(packet.sized(faces(), WIDTH, HEIGHT)) == len(faces())


def test_a_part_has_its_own_subject_and_no_faces(tmp_path):
    (tmp_path / "a.png").write_bytes(photo(1))
    picture = formats.read(tmp_path / "a.png")
    part = (4, 2, 16, 12)
    left, top, width, height = part
    large = picture.pixels[top : top + height, left : left + width].repeat(2, 0).repeat(2, 1)
    found = previews.cut(replace(picture, pixels=large), part)
    formats.write(tmp_path / "b.png", found)
    with Image.open(tmp_path / "b.png") as image:
        below = image.getexif().get_ifd(EXIF)
    assert (below[SIZES[0]], below[SIZES[1]]) == (32, 24)
    x, y = below[LOCATION]
    assert large[y, x].all() and not large[y - 1, x].any()
    assert [float(below[tag]) for tag in FINENESS] == [200, 100]
    xmp = previews.cut(formats.Picture(large, "rgb", False, xmp=faces()), part).xmp
    assert b"Ada" not in xmp and b"Rectangle" not in xmp and b"tiff:ImageWidth" in xmp


@pytest.mark.parametrize(
    "opening", [b"<mwg-rs:Area ", b"<mwg-rs:Area>", b"<xmpMM:Pantry>", b"tiff:ImageWidth  =  "]
)
def test_hostile_packets_take_no_time(opening):
    xmp = opening * (packet.MOST_BYTES // len(opening))
    begun = time.monotonic()
    assert packet.sized(packet.upright(xmp, 6), 8, 8) == xmp
    assert time.monotonic() - begun < 5


def test_damaged_tags_stay(tmp_path):
    """Values beyond the block, texts in place of numbers: nothing is changed, nothing fails."""
    exif = Image.Exif()
    exif[0x0112] = 6
    below = exif.get_ifd(EXIF)
    below[SIZES[0]], below[SIZES[1]] = WIDTH, HEIGHT
    below[AREA] = (1, 2, 3, 4)
    below[FINENESS[0]], below[FINENESS[1]] = IFDRational(100), IFDRational(50)
    block = exif.tobytes()[6:]
    for at in range(8, len(block)):
        damaged = bytearray(block)
        damaged[at] ^= 0xFF
        turned = exif_blocks.upright(bytes(damaged))
        assert len(exif_blocks.sized(turned, 160, 96)) >= len(block) - 4

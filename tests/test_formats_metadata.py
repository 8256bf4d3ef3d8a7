"""Metadata: profiles, EXIF, XMP, orientation and resolution through every format."""

from __future__ import annotations

import dataclasses
from io import BytesIO
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps

import formats_samples as make
import reslift
from formats_samples import GRAY, HEIGHT, SRGB, WIDTH, XMP, noise, picture_of, smooth
from reslift import formats
from reslift.formats import ome
from small_models import bicubic_lift, made


def test_a_cmyk_profile_is_kept_and_used(tmp_path):
    import pyvips

    profile = bytes(pyvips.Image.profile_load("cmyk"))
    picture = picture_of("cmyk", pixels=smooth(4), icc=profile)
    formats.write(tmp_path / "a.jpg", picture)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["icc_profile"] == profile
    formats.write(tmp_path / "a.png", picture)
    ours = formats.read(tmp_path / "a.png")
    assert ours.icc is None
    source = Image.fromarray(picture.pixels, "CMYK")
    theirs = ImageCms.profileToProfile(
        source,
        ImageCms.ImageCmsProfile(BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        outputMode="RGB",
    )
    assert np.abs(ours.pixels.astype(int) - np.asarray(theirs)).max() <= 3

    broken = profile[:132] + bytes(len(profile) - 132)
    formats.write(tmp_path / "b.png", dataclasses.replace(picture, icc=broken))


def test_gray_profile_is_applied_where_there_is_no_gray(tmp_path):
    linear = bytearray(GRAY)
    at = linear.index(b"curv") + 12
    linear[at : at + 2] = (1 << 8).to_bytes(2, "big")
    pixels = np.full((8, 8, 1), 55, np.uint8)
    formats.write(tmp_path / "a.webp", picture_of("gray", pixels=pixels, icc=bytes(linear)))
    back = formats.read(tmp_path / "a.webp")
    assert back.icc is None
    assert np.abs(back.pixels.astype(int) - 128).max() <= 3, "55 of linear light is about 128"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
def test_metadata_and_orientation_survive(tmp_path, format, bands, orientation):
    if format == "webp" and bands == 1:
        pytest.skip("WebP has no gray")
    stored = smooth(bands) if format == "jpeg" else noise(HEIGHT, WIDTH, bands)
    path, icc = tmp_path / "in", GRAY if bands == 1 else SRGB
    path.write_bytes(make.with_metadata(format, stored, orientation))
    header, picture = formats.peek(path), formats.read(path)
    if format != "tiff":
        with Image.open(path) as image:
            expected = np.asarray(ImageOps.exif_transpose(image)).reshape(picture.pixels.shape)
        np.testing.assert_array_equal(picture.pixels, expected)
    assert (header.width, header.height) == (picture.width, picture.height)
    if format != "jpeg":
        np.testing.assert_array_equal(picture.pixels, make_upright(stored, orientation))

    sideways = orientation >= 5
    assert picture.icc == icc
    assert picture.xmp == (XMP if orientation == 1 else XMP.replace(b'"6"', b'"1"'))
    if format != "webp":
        across, down = (150, 300) if sideways else (300, 150)
        found = [
            v * {"inch": 1, "m": 0.0254, "cm": 2.54}[picture.resolution[2]]
            for v in picture.resolution[:2]
        ]
        assert found == pytest.approx([across, down], abs=0.02)
    for target in ("png", "jpeg", "webp", "tiff"):
        if target == "webp" and bands == 1:
            continue
        check_metadata(tmp_path, picture, target, icc)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("target", ["png", "jpeg", "webp", "avif", "tiff"])
def test_the_resolution_in_exif_is_turned_too(tmp_path, target, orientation):
    exif = Image.Exif()
    exif[274], exif[282], exif[283], exif[296] = orientation, 300, 150, 2
    Image.fromarray(smooth(3)).save(tmp_path / "in.jpg", exif=exif)
    formats.write(tmp_path / f"out.{target}", formats.read(tmp_path / "in.jpg"))
    with Image.open(tmp_path / f"out.{target}") as image:
        tags = image.tag_v2 if target == "tiff" else image.getexif()
        found = tags.get(274, 1), float(tags[282]), float(tags[283])
    assert found == ((1, 150, 300) if orientation >= 5 else (1, 300, 150))


def make_upright(pixels, orientation):
    image = Image.fromarray(pixels.squeeze())
    image.getexif()[274] = orientation
    return np.asarray(ImageOps.exif_transpose(image)).reshape(
        *(pixels.shape[1::-1] if orientation >= 5 else pixels.shape[:2]), -1
    )


def check_metadata(tmp_path, picture, target, icc):
    path = tmp_path / f"out.{target}"
    formats.write(path, picture, overwrite=True)
    with Image.open(path) as image:
        assert image.size == (picture.width, picture.height)
        assert image.info.get("icc_profile") == icc
        exif = image.getexif()
        assert exif.get(274, 1) == 1
        assert exif[271].rstrip("\0") == "Maker"
        below, place = exif.get_ifd(34665), exif.get_ifd(34853)
        assert float(below[33434]) == pytest.approx(0.01)
        assert below[37500] == b"maker note \0\1\2"
        assert {
            k: v if isinstance(v, str) else tuple(map(float, v)) for k, v in place.items()
        } == make.GPS
        if 40962 in below:
            assert (below[40962], below[40963]) == (picture.width, picture.height)
        if picture.resolution and target != "webp":
            scale = {"inch": 1, "m": 0.0254, "cm": 2.54}[picture.resolution[2]]
            found = [float(v) for v in image.info["dpi"]]
            assert found == pytest.approx([v * scale for v in picture.resolution[:2]], abs=0.51)
    again = formats.read(path)
    assert (again.icc, again.xmp) == (icc, picture.xmp)
    assert again.pixels.shape == picture.pixels.shape


@pytest.mark.parametrize("unit", ["inch", "cm", "m", "none"])
@pytest.mark.parametrize("format", formats.FORMATS)
def test_resolution_keeps_its_unit(tmp_path, format, unit):
    given = (300.0, 150.0, unit) if unit != "m" else (11811.0, 5906.0, "m")
    formats.write(tmp_path / "a", picture_of(resolution=given), format=format)
    found = formats.read(tmp_path / "a").resolution
    if unit == "none" or not formats.FORMATS[format].holds.resolution:
        assert found is None or found == given
        return
    metres = {"inch": 0.0254, "cm": 0.01, "m": 1.0}
    same = [v / metres[found[2]] for v in found[:2]]
    assert same == pytest.approx([v / metres[unit] for v in given[:2]], rel=0.002)
    again = tmp_path / "b"
    formats.write(again, picture_of(resolution=found), format=format)
    assert formats.read(again).resolution == found


def test_webp_says_where_it_has_no_place_for_the_resolution(tmp_path):
    exif = Image.Exif()
    exif[271] = "maker"
    path = tmp_path / "a.webp"
    picture = picture_of("rgb", resolution=(300.0, 300.0, "inch"))
    assert formats.write(path, picture) == ()
    assert formats.read(path).resolution == (300.0, 300.0, "inch")
    without_tag = dataclasses.replace(picture, exif=exif.tobytes()[6:])
    assert "resolution" in formats.write(path, without_tag, overwrite=True)[0]


def test_bmp_holds_a_profile_and_says_what_it_cannot(tmp_path):
    picture = picture_of(icc=SRGB, exif=make.exif_block(), xmp=XMP)
    notes = formats.write(tmp_path / "a.bmp", picture)
    assert notes == ("BMP has no EXIF: it is dropped", "BMP has no XMP: it is dropped")
    assert formats.read(tmp_path / "a.bmp").icc == SRGB


def test_png_text_and_jpeg_comment_survive_in_their_own_format(tmp_path):
    path = tmp_path / "in"
    path.write_bytes(make.with_metadata("png", noise(HEIGHT, WIDTH, 3), 1))
    picture = formats.read(path)
    formats.write(tmp_path / "a.png", picture)
    with Image.open(tmp_path / "a.png") as image:
        assert image.text["Title"] == "a title"
    assert formats.write(tmp_path / "a.jpg", picture) == ("not kept in JPEG: tEXt",)
    path.write_bytes(make.with_metadata("jpeg", smooth(3), 1))
    formats.write(tmp_path / "b.jpg", formats.read(path))
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["comment"] == b"a comment"


@pytest.mark.parametrize("name", ["eXIf", "tEXt", "zTXt", "iTXt", "iCCP"])
def test_png_metadata_over_the_limit_is_dropped_whole_and_named(tmp_path, name):
    big = make.chunk(name.encode(), b"Big\0" + bytes(17 << 20))
    small = (b"tEXt", b"Title\0a title"), (b"tRNS", bytes(6))
    data = make.png(noise(HEIGHT, WIDTH, 3), 2, 8, *small)
    (tmp_path / "in.png").write_bytes(data[:33] + big + data[33:])
    picture = formats.read(tmp_path / "in.png")
    assert picture.notes == (
        "transparent colour becomes an alpha channel",
        f"PNG metadata over 16 MiB is dropped: {name}",
    )
    assert picture.alpha and picture.icc is picture.exif is picture.xmp is None
    assert picture.extra == (("tEXt", b"Title\0a title"),)
    formats.write(tmp_path / "out.png", picture)
    written = (tmp_path / "out.png").read_bytes()
    assert written.count(name.encode()) == (name == "tEXt")


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff", "bmp"])
def test_a_broken_profile_is_kept_and_noted(tmp_path, format):
    formats.write(tmp_path / "a", picture_of(icc=b"broken profile"), format=format)
    back = formats.read(tmp_path / "a")
    assert back.icc == b"broken profile"
    assert back.notes == ("the ICC profile is damaged; it is kept as it is",)
    formats.write(tmp_path / "b", picture_of("cmyk", icc=b"broken profile"), format=format)


def test_a_profile_for_other_colours_is_kept_and_noted(tmp_path):
    formats.write(tmp_path / "a.png", picture_of("gray", icc=SRGB))
    back = formats.read(tmp_path / "a.png")
    assert back.icc == SRGB
    assert back.notes == ("the ICC profile is for rgb, the picture is gray; it is kept as it is",)


def test_long_metadata(tmp_path):
    icc = SRGB + bytes(200_000)
    formats.write(tmp_path / "a.jpg", picture_of(icc=icc))
    assert formats.read(tmp_path / "a.jpg").icc == icc
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["icc_profile"] == icc
    notes = formats.write(tmp_path / "b.jpg", picture_of(xmp=bytes(70_000)))
    assert notes == ("XMP of 70,029 bytes is too long for JPEG and is dropped",)


def test_profiles_of_the_tests_are_profiles():
    for data in (GRAY, SRGB):
        assert ImageCms.ImageCmsProfile(BytesIO(data)).profile.xcolor_space in ("GRAY", "RGB ")


BEHIND = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:C="http://ns.google.com/photos/1.0/container/" xmlns:hdrgm='http://ns.adobe.com/hdr-gain-map/1.0/'
 xmlns:I="http://ns.google.com/photos/1.0/container/item/" xmlns:n="http://ns.adobe.com/xmp/note/"
 GCamera:MotionPhoto="1" n:HasExtendedXMP="FF" hdrgm:Version='1.0' GCamera:BurstID="7"><C:Directory>
 <rdf:Seq><rdf:li rdf:parseType="Resource"><C:Item I:Semantic="MotionPhoto" I:Length="9"/></rdf:li>
 </rdf:Seq></C:Directory><GCamera:MicroVideoOffset>9</GCamera:MicroVideoOffset>
 <hdrgm:GainMapMax/><dc:title>kept</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"""


def test_xmp_does_not_claim_what_is_left_behind(tmp_path):
    """A film, a gain map or further XMP that the result lacks; all else stays."""
    data = make.saved(Image.fromarray(noise(8, 8, 3)), "JPEG", xmp=BEHIND.encode())
    (tmp_path / "a.jpg").write_bytes(data + bytes(range(1, 255)))
    picture = formats.read(tmp_path / "a.jpg")
    formats.write(tmp_path / "b.jpg", picture)
    with Image.open(tmp_path / "b.jpg") as image:
        packet = image.info["xmp"]
    named = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(packet).iter()}
    assert named == {"xmpmeta", "RDF", "Description", "title"}
    assert b'GCamera:BurstID="7"' in packet
    gone = (b"hdrgm", b"container", b"MotionPhoto", b"MicroVideo", b"HasExtended")
    assert not [word for word in gone if word in packet]
    assert not [note for note in formats.read(tmp_path / "b.jpg").notes if "left" in note]


def test_a_gain_map_of_iso_21496_is_told(tmp_path):
    data = make.saved(Image.fromarray(noise(8, 8, 3)), "JPEG")
    segment = b"\xff\xe2\0\x22urn:iso:std:iso:ts:21496:-1\0" + bytes(4)
    (tmp_path / "a.jpg").write_bytes(data[:2] + segment + data[2:] + data)
    assert "gain map" in formats.read(tmp_path / "a.jpg").notes[0]


MICRONS = {"PhysicalSizeX": 0.65, "PhysicalSizeY": 1.3}
OME_FILE = b'<UUID FileName="a.ome.tif">urn:uuid:1</UUID>'


@pytest.mark.parametrize(
    ("shape", "axes", "size", "sides", "microns"),
    [
        ((12, 16), "YX", reslift.Size(scale=2), (24, 32), (0.325, 0.65)),
        ((12, 16), "YX", reslift.Size(scale=2, crop=(2, 4, 8, 6)), (12, 16), (0.325, 0.65)),
        ((3, 12, 16), "CYX", reslift.Size(sides=(32, 12)), (3, 12, 32), (0.325, 1.3)),
    ],
)
def test_ome_says_the_sizes_of_the_result(tmp_path, shape, axes, size, sides, microns):
    """Readers of microscopes' files go by the XML, and refuse one that is not of these pixels."""
    source, target = tmp_path / "a.ome.tif", tmp_path / "b.ome.tif"
    with tifffile.TiffWriter(source, ome=True) as writer:
        pixels = noise(*shape, bits=16)
        writer.write(pixels, photometric="minisblack", metadata={"axes": axes, **MICRONS})
    made(bicubic_lift(2), size=size).upscale_file(source, target)
    with tifffile.TiffFile(target) as file:
        assert [(one.kind, one.axes, one.shape) for one in file.series] == [("ome", axes, sides)]
        element = ElementTree.fromstring(file.ome_metadata).find(".//{*}Pixels")
    assert [float(element.get(name)) for name in MICRONS] == pytest.approx(microns)


def test_ome_names_no_other_file():
    text = b'<OME><Pixels SizeX="2" SizeY="3"><TiffData>%b</TiffData></Pixels></OME>'
    larger = b'<OME><Pixels SizeX="4" SizeY="6"><TiffData>%b</TiffData></Pixels></OME>'
    assert ome.sized(text % OME_FILE, 4, 6, enlarged=True) == larger % b""
    several = OME_FILE + OME_FILE.replace(b"a.ome", b"c.ome")
    assert ome.sized(text % several, 4, 6, enlarged=True) == larger % several


def test_what_imagej_says_is_told_to_be_lost(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(8, 8, bits=16), imagej=True, metadata={"unit": "um"})
    assert "ImageJ" in formats.read(tmp_path / "a.tif").notes[0]

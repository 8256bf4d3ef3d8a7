"""What a result says about itself: in the file, beside it, and made again from it."""

import json
import time

import numpy as np
import pytest
from PIL import Image
from skimage import data

from medical_samples import dicom, waves
from reslift import checkpoint, formats, provenance
from reslift.cli import main
from reslift.errors import InputError, OutputExists, UsageError
from reslift.formats import Picture
from reslift.media import Wishes
from reslift.media.recorded import in_xmp
from reslift.provenance import COMPOSITE, ENHANCED, Record, from_xmp, into_xmp, without
from reslift.replay import find_record, replay
from reslift.upscale import load
from reslift.work import CHANGED
from small_models import bicubic_lift, made, saved

PACKET = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'xmlns:e="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" dc:format="image/png"%s/>'
    b'</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
TERMS = b"http://cv.iptc.org/newscodes/digitalsourcetype/"

OPENING = f'<rdf:Description xmlns:reslift="{provenance.NAMESPACE}">'


@pytest.fixture
def record(tmp_path):
    (tmp_path / "in").write_bytes(b"input")
    return made(bicubic_lift()).record(tmp_path / "in")


@pytest.fixture
def source(tmp_path):
    small = np.ascontiguousarray(data.astronaut()[40:90:2, 180:240:2])
    formats.write(tmp_path / "in.png", Picture(small, "rgb", False, xmp=PACKET % b""))
    return tmp_path / "in.png"


@pytest.fixture
def model(tmp_path):
    return saved(tmp_path / "small.safetensors", bicubic_lift())


def test_a_record_comes_back_from_text(record):
    assert Record.parse(record.as_json()) == record
    assert record.as_json().isascii()
    assert "\n" not in record.as_json()
    assert record.versions["reslift"]
    for text in ("", "[]", "{}", '{"reslift": 2}', '{"reslift": 1, "model": 3}'):
        with pytest.raises(ValueError, match=r".+"):
            Record.parse(text)


def test_xmp_keeps_what_it_held(record):
    packet = PACKET % b""
    told = into_xmp(packet, record)
    assert from_xmp(told) == record
    assert told.startswith(packet[: packet.index(b"</rdf:RDF>")])
    assert told.endswith(packet[packet.index(b"</rdf:RDF>") :])
    assert told.count(b'rdf:about="uuid:1"') == 2
    assert without(told) == packet
    assert without(into_xmp(None, record)) is None
    again = into_xmp(told, record.with_options(format="png"))
    assert again.count(b"reslift:record>") == 2
    from xml.etree import ElementTree

    ElementTree.fromstring(told[told.index(b"<x:") : told.index(b"<?xpacket end")])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", ENHANCED),
        (b"digitalCapture", ENHANCED),
        (b"trainedAlgorithmicMedia", "trainedAlgorithmicMedia"),
        (b"compositeSynthetic", "compositeSynthetic"),
    ],
)
def test_source_type_is_never_whitewashed(record, before, after):
    given = b' e:DigitalSourceType="' + TERMS + before + b'"' if before else b""
    faithful = Record.parse(record.as_json().replace('"faithful": false', '"faithful": true'))
    told = into_xmp(PACKET % given, faithful)
    assert told.count(b"DigitalSourceType") == (1 if before else 2)
    assert TERMS + after.encode() in told
    assert record.source_type == COMPOSITE


@pytest.mark.parametrize(
    "filling", ["a" * 60_000, "a" * 5_000_000, OPENING * 300, OPENING * 50_000]
)
def test_a_packet_of_any_length_and_shape_takes_no_time(record, filling):
    """Patterns that begin again at every byte took hours for a megabyte, past Ctrl-C."""
    packet = provenance.PACKET.replace(b"</rdf:RDF>", filling.encode() + b"</rdf:RDF>")
    assert without(packet) == packet
    added = into_xmp(packet, record)
    assert (added is None) == (len(packet) > provenance.LONGEST - 2_000)
    if added is not None:
        assert from_xmp(added) == record and filling.encode() in added


def test_a_packet_that_cannot_be_added_to_stays(record):
    assert into_xmp(b"\xff\xfe<\0x\0", record) is None
    assert into_xmp((PACKET % b"").replace(b"image/png", b"x" * 65_000), record) is None


def test_a_result_has_no_record_of_its_input(record):
    """Also where its own has no room in the packet."""
    told = into_xmp(PACKET % b"", record).replace(b"image/png", b"x" * 65_000)
    picture = Picture(np.zeros((2, 2, 3), np.uint8), "rgb", False, xmp=told)
    kept, notes = in_xmp(picture, record, "png")
    assert kept.xmp == (PACKET % b"").replace(b"image/png", b"x" * 65_000)
    assert "cannot be added to" in notes[0]


@pytest.mark.parametrize(
    "piece",
    [
        b"a",
        b" ",
        b"<rdf:Description ",
        b'<rdf:Description xmlns:reslift="urn:reslift:provenance:1#">',
        b'xmlns:reslift="urn:reslift:provenance:1#"',
        b"<reslift:record>",
        b"<e:DigitalSourceType>",
        b'rdf:about="',
    ],
)
def test_a_packet_of_nonsense_takes_no_time(record, piece):
    """What looked at each byte for each byte would take minutes."""
    for size in (60_000, 2_000_000):
        packet = (PACKET % b"").replace(b"<rdf:Description", piece * (size // len(piece)) + b"\n<r")
        start = time.process_time()
        told = into_xmp(packet, record)
        assert (told is None) == (size > 65_000)
        assert from_xmp(packet) is None
        without(packet)
        assert time.process_time() - start < 2


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_every_format_with_xmp_carries_it(source, model, tmp_path, suffix):
    out = tmp_path / f"out.{suffix}"
    load(model, backend="torch").upscale_file(source, out)
    found = find_record(out)
    assert found.options["format"] == {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix)
    assert found.input_sha256 == provenance.sha256(source)
    assert b'dc:format="image/png"' in formats.read(out).xmp


def test_it_can_be_left_out_or_lie_beside(source, model, tmp_path):
    upscaler, out = load(model, backend="torch"), tmp_path / "out.png"
    for wishes in (Wishes(provenance=False), Wishes(strip_metadata=True)):
        upscaler.upscale_file(source, out, wishes)
        with pytest.raises(InputError, match="does not say"):
            find_record(out)
        out.unlink()
    upscaler.upscale_file(source, out)
    plain = tmp_path / "plain.png"
    upscaler.upscale_file(out, plain, Wishes(provenance=False))
    assert from_xmp(formats.read(plain).xmp) is None
    upscaler.upscale_file(source, tmp_path / "b.bmp", Wishes(provenance_file=True))
    beside = json.loads((tmp_path / "b.bmp.provenance.json").read_text())
    assert beside["options"]["format"] == "bmp"


def test_no_record_names_an_input_that_was_not_read(source, tmp_path):
    other = Picture(np.zeros((9, 9, 3), np.uint8), "rgb", False)
    with made(bicubic_lift()).work(source, tmp_path / "out.png") as work:
        work.read()
        work.enlarge()
        formats.write(source, other, overwrite=True)
        with pytest.raises(InputError, match=r"in\.png: the input changed while it was enlarged"):
            work.write()
    assert list(tmp_path.iterdir()) == [source]


def test_a_medium_whose_input_changed_is_told(tmp_path):
    frames = [Image.new("RGB", (9, 8), (60 * n, 9, 9)) for n in range(3)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])

    def change(pixels):
        with open(tmp_path / "a.gif", "ab") as file:
            file.write(b"more")

    words = tmp_path / "a.gif", tmp_path / "b.gif"
    assert CHANGED in made(bicubic_lift()).upscale_file(*words, progress=change)


def test_nothing_in_it_depends_on_time_or_tile(source, model, tmp_path):
    outs = [tmp_path / f"{tile}.png" for tile in (8, 64)]
    for tile, out in zip((8, 64), outs, strict=True):
        load(model, backend="torch", tile=tile, consistent=True).upscale_file(source, out)
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert 0 < find_record(outs[0]).consistency["largest"] < 1.5, "1 level, before it is rounded"


@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("png", []),
        ("jpg", ["--quality", "80", "--strength", "0.5"]),
        ("png", ["--scale", "1.5", "--consistent"]),
        ("bmp", ["--kernel", "box", "--consistent", "--provenance-file"]),
    ],
)
def test_replay_makes_the_same_bytes(source, tmp_path, suffix, options, capsys):
    out = tmp_path / f"out.{suffix}"
    words = ["upscale", str(source), "-o", str(out), "--backend", "torch", *options]
    assert main(words if "--scale" in options else [*words, "--scale", "2"]) == 0
    assert main(["replay", str(out), "--input", str(source)]) == 0
    assert "the same bytes again" in capsys.readouterr().out


def test_a_family_and_its_model_for_that_scale_are_the_same(tmp_path):
    """Names in DICOM are made of it: a replay loads the model, an upscaling its family."""
    family, one = (
        load("lift-small", scale=2, backend="torch"),
        load("lift-small-x2", backend="torch"),
    )
    assert family.identity == one.identity
    assert load("lift-small", scale=3, backend="torch").identity != one.identity


@pytest.mark.parametrize("size", [("--scale", "2"), ("--long-side", "40")])
def test_replay_of_dicom_makes_the_same_bytes(tmp_path, capsys, size):
    source, out = tmp_path / "a.dcm", tmp_path / "large.dcm"
    dicom(source, waves().astype(np.int16))
    words = ["upscale", str(source), "-o", str(out), "--backend", "torch", *size]
    assert main([*words, "--model", "lift-small"]) == 0
    assert main(["replay", str(out), "--input", str(source)]) == 0
    assert "the same bytes again" in capsys.readouterr().out


def test_replay_says_what_differs(source, model, tmp_path, capsys):
    out = tmp_path / "out.png"
    load(model, backend="torch").upscale_file(source, out)
    picture = formats.read(out)
    pixels = picture.pixels.copy()
    pixels[3, 4, 1] ^= 8
    told = find_record(out).as_json().replace('"reslift": "0', '"reslift": "9')
    xmp = into_xmp(picture.xmp, Record.parse(told))
    changed = Picture(pixels, "rgb", False, xmp=xmp)
    formats.write(out, changed, overwrite=True)
    done = replay(out, source, model=model)
    assert not done.same_bytes
    assert done.largest == 8
    assert done.share == pytest.approx(1 / pixels.size)
    assert any("reslift was 9" in reason for reason in done.reasons)
    assert main(["replay", str(out), "--input", str(source), "--model", str(model)]) == 4
    assert "by up to 8 levels" in capsys.readouterr().out
    with pytest.raises(InputError, match="is not what"):
        replay(out, out, model=model)
    with pytest.raises(InputError, match="not bundled"):
        replay(out, source)


def test_a_file_beside_a_result_may_be_of_an_earlier_one(source, model, tmp_path):
    out, upscaler = tmp_path / "out.png", load(model, backend="torch")
    half = load(model, backend="torch", strength=0.5)
    half.upscale_file(source, out, Wishes(provenance_file=True))
    (tmp_path / "out.png.uncertainty.tif").touch()
    notes = upscaler.upscale_file(source, out, Wishes(overwrite=True))
    for name in ("out.png.provenance.json", "out.png.uncertainty.tif"):
        assert f"{name} beside the result is of an earlier one" in notes
    done = replay(out, source, model=model)
    assert done.same_bytes
    assert done.reasons == ("out.png.provenance.json is not of this result, and was left aside",)
    upscaler.upscale_file(source, out, Wishes(overwrite=True, provenance_file=True))
    assert replay(out, source, model=model).reasons == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [("format", 5), ("strength", "much"), ("strength", None), ("quality", []), ("classes", {})],
)
def test_a_damaged_record_is_told_in_one_line(source, model, tmp_path, capsys, name, value):
    out = tmp_path / "out.bmp"
    load(model, backend="torch").upscale_file(source, out, Wishes(provenance_file=True))
    beside = provenance.side_file(out)
    told = json.loads(beside.read_text())
    told["options"][name] = value
    beside.write_text(json.dumps(told))
    words = ["replay", str(out), "--input", str(source), "--model", str(model)]
    assert main(words) == 1
    assert "the record is damaged: " in capsys.readouterr().err


def test_replay_asks_for_the_file_that_goes_by_a_bundled_name(source, tmp_path):
    """As `calibrate` writes one: the record has its name, and that stands for other weights."""
    out, own = tmp_path / "out.png", tmp_path / "own.safetensors"
    network, card = checkpoint.load("lift-small-x2")
    checkpoint.save(own, network, card)
    load(own, backend="torch").upscale_file(source, out)
    assert any("name the file that was used with --model" in r for r in replay(out, source).reasons)
    assert replay(out, source, model=own).same_bytes


def test_replay_keeps_the_repetition_under_a_name_of_its_format(source, model, tmp_path):
    out = tmp_path / "out.png"
    load(model, backend="torch").upscale_file(source, out)
    with pytest.raises(UsageError, match=r"again\.jpg: the repetition is png"):
        replay(out, source, model=model, out=tmp_path / "again.jpg")
    assert not (tmp_path / "again.jpg").exists()
    assert replay(out, source, model=model, out=tmp_path / "again.PNG").same_bytes
    with pytest.raises(OutputExists, match=r"name another output$"):
        replay(out, source, model=model, out=tmp_path / "again.PNG")
    assert (tmp_path / "again.PNG").read_bytes() == out.read_bytes()


def test_a_result_that_is_too_large_names_the_limit_of_results(source, model, tmp_path, capsys):
    out = tmp_path / "out.png"
    load(model, backend="torch").upscale_file(source, out)
    low = ["--max-output-pixels", "50"]
    for words in (
        ["replay", out, "--input", source],
        ["verify", source, out],
        ["audit", source, out],
    ):
        assert main([*map(str, words), *low]) == 1
        assert "limit output_pixels of 50" in capsys.readouterr().err

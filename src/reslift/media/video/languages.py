"""What languages are called: ISO 639-2 has two codes for some, and MOV a list of its own."""

from __future__ import annotations

import re

QUICKTIME = (
    "alb amh ara arm asm aze baq bel ben bul bur cat ces chi dan dut dzo eng epo est fin fra geo "
    "ger gre grn guj heb hin hun ice ind ita jav jpn kan kas kaz khm kin kir kor kur lao lat lav "
    "lit mac mal mar may mlg mlt mon nep nor ori orm per pol por pus que ron run rus san sin slk "
    "slv snd som spa swa tam tat tel tgk tgl tha tib tir tuk tur uig ukr urd uzb vie wel yid"
)
"""What FFmpeg's muxer for MOV knows; it leaves out all else."""

ALSO = {
    "bod": "tib",
    "cym": "wel",
    "cze": "ces",
    "deu": "ger",
    "ell": "gre",
    "eus": "baq",
    "fas": "per",
    "fre": "fra",
    "hye": "arm",
    "isl": "ice",
    "kat": "geo",
    "mao": "mri",
    "mkd": "mac",
    "msa": "may",
    "mya": "bur",
    "nld": "dut",
    "rum": "ron",
    "slo": "slk",
    "sqi": "alb",
    "zho": "chi",
}
"""The other of two codes, and the one of `QUICKTIME` where it is there."""

ODD = {"swe": "sve", "hrv": "hr ", "srp": "sr ", "pan": "pa ", "fao": "fo ", "gle": "iri"}
"""ISO 639-2: what MOV has in its place."""
EVEN = {odd: code for code, odd in ODD.items()}


def written(code: str, muxer: str) -> str | None:
    """What a stream's language is called in a container; None where that has no word for it."""
    code = EVEN.get(code, code)
    if muxer == "mov":
        known = ALSO.get(code, code)
        return known if known in QUICKTIME.split() else ODD.get(code)
    if muxer == "mp4":
        return code if re.fullmatch("[a-z]{3}", code) else None
    return code


def same(code: str) -> str:
    """One code for each language, so that they can be compared."""
    code = EVEN.get(code, code)
    return ALSO.get(code, code)

"""What enlargers that are made up in tests say about how a result was made."""

from reslift.finish import Finish
from reslift.provenance import Record, sha256


class Recording:
    """The part of `Enlarger` that is not about pixels."""

    def finish(self, *, lossless):
        return Finish()

    def record(self, source, finish=None, ratios=()):
        return Record(sha256(source), "made-up", {}, "none", "fp32", "cpu", {"strength": 1.0})

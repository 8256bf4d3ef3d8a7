"""Streams that are copied as they are: sound, subtitles, data, attachments, cover pictures."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from reslift.errors import one_line
from reslift.media.video.probe import COVER

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

MADE_BY_MUXERS = {"major_brand", "minor_version", "compatible_brands", "encoder"}
OF_THE_OLD_PICTURE = ("encoder", "rotate", "BPS", "DURATION", "NUMBER_OF_", "_STATISTICS_")
QUICKTIME_KEY = "com."
COVER_TYPES = {"mjpeg": "image/jpeg", "png": "image/png", "bmp": "image/bmp", "gif": "image/gif"}


def copyable(source: InputContainer, picture: Stream, muxer: str) -> tuple[list[Stream], list[str]]:
    """The streams besides the picture that `muxer` takes, and a note on each that it does not."""
    kept, notes = [], []
    for stream in source.streams:
        if stream.index == picture.index or is_chapter_track(source, stream):
            continue
        why = _refusal(stream, muxer)
        if why is None:
            kept.append(stream)
        else:
            notes.append(f"{described(stream)} is not in the result: {why}")
    return kept, notes


def described(stream: Stream) -> str:
    """ "audio stream 1 (aac, eng)"."""
    name = getattr(stream.codec_context, "name", None) or stream.name or "unknown codec"
    words = [word for word in (name, stream.metadata.get("language")) if word and word != "und"]
    return f"{stream.type} stream {stream.index} ({one_line(', '.join(words))})"


def add(into: OutputContainer, stream: Stream) -> Stream:
    """A stream of `into` that takes the packets of `stream`, with its tags and disposition.

    Raises ValueError or FFmpegError where the container cannot hold it.
    """
    if stream.type == "attachment":
        made: Stream = into.add_attachment(
            stream.metadata.get("filename", "attachment"),
            stream.metadata.get("mimetype", "application/octet-stream"),
            stream.data,  # type: ignore[attr-defined]
        )
    else:
        made = into.add_stream_from_template(stream, opaque=True)
    made.metadata.update(stream.metadata)
    if stream.type != "attachment":
        made.disposition = int(stream.disposition)  # type: ignore[assignment]
    return made


def is_chapter_track(source: InputContainer, stream: Stream) -> bool:
    """MP4 shows its chapters as a data stream too; the muxer makes a new one from the chapters."""
    name = stream.name if stream.type == "data" else None
    return name == "bin_data" and bool(source.chapters())


def is_cover_for(stream: Stream, muxer: str) -> bool:
    """Whether a stream is a cover picture that Matroska keeps as an attachment."""
    return bool(int(stream.disposition) & COVER) and muxer == "matroska"


def add_cover(into: OutputContainer, stream: Stream, data: bytes) -> None:
    """Attach a cover picture as Matroska wants it."""
    kind = COVER_TYPES.get(stream.codec_context.name, "image/jpeg")
    name = stream.metadata.get("filename") or f"cover.{kind.removeprefix('image/')}"
    into.add_attachment(name, stream.metadata.get("mimetype", kind), data)


def picture_tags(stream: Stream) -> dict[str, str]:
    """Tags of the picture stream that still hold for the result."""
    return {
        key: value
        for key, value in stream.metadata.items()
        if not key.startswith(OF_THE_OLD_PICTURE)
    }


def file_tags(source: InputContainer) -> dict[str, str]:
    """Tags of the file, without those that a muxer writes itself."""
    return {
        key: value for key, value in source.metadata.items() if key.lower() not in MADE_BY_MUXERS
    }


def muxer_options(tags: dict[str, str], muxer: str) -> dict[str, str]:
    """Options for the muxer: MP4 and MOV keep QuickTime's own keys only where told to."""
    own = any(key.startswith(QUICKTIME_KEY) for key in tags)
    return {"movflags": "use_metadata_tags"} if own and muxer in ("mp4", "mov") else {}


def _refusal(stream: Stream, muxer: str) -> str | None:
    """Why `muxer` cannot hold a stream; found by trying to write a header with it alone."""
    import av

    if stream.type in ("video", "audio", "subtitle") and stream.codec_context is None:
        return "its codec is not known"
    if stream.type == "attachment" and muxer != "matroska":
        return "only .mkv holds attachments"
    if is_cover_for(stream, muxer):
        return None
    trial: Any = None
    try:
        trial = av.open(io.BytesIO(), "w", format=muxer)
        add(trial, stream)
        trial.start_encoding()
    except (ValueError, av.FFmpegError, TypeError, UnicodeError):
        return f"{muxer} cannot hold it"
    finally:
        if trial is not None:
            _give_up(trial)
    return None


def _give_up(container: OutputContainer) -> None:
    import av

    try:
        container.close()
    except (ValueError, av.FFmpegError):
        return

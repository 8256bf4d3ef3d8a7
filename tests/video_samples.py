"""Small videos made with PyAV: times, streams, tags and layouts as a test needs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np

TICK = Fraction(1, 1000)
FONT = bytes(range(256)) * 3
SUBTITLES = ((40, 200, b"first"), (240, 150, b"second"))
CHAPTERS = [
    {"id": 1, "start": 0, "end": 200, "time_base": TICK, "metadata": {"title": "one"}},
    {"id": 2, "start": 200, "end": 400, "time_base": TICK, "metadata": {"title": "two"}},
]


@dataclass
class Sample:
    """What a video is to be; `times` are milliseconds."""

    size: tuple[int, int] = (48, 32)
    times: tuple[int, ...] = tuple(range(0, 480, 40))
    codec: str = "libx264"
    format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"crf": "12"})
    colors: tuple[int, int, int, int] = (0, 2, 2, 2)
    aspect: Fraction | None = None
    rotation: int | None = None
    sound: str | None = None
    subtitles: str | None = None
    chapters: bool = False
    attachment: bool = False
    tags: dict[str, str] = field(default_factory=dict)
    stills: tuple[int, ...] = ()
    tick: Fraction = TICK


def picture(index, size, bands=3):
    """(H, W, bands) uint8: a gradient under a square that moves with `index`."""
    width, height = size
    rows, columns = np.mgrid[:height, :width]
    image = np.stack([columns * 3 + 40, rows * 4 + 50, (columns + rows) * 2 + 60], -1) % 200
    left = index * 3 % max(1, width - 8)
    image[4 : height // 2, left : left + 8] = (220, 60, 90)
    full = np.full((height, width, 1), 128)
    return np.concatenate((image, full), -1)[..., :bands].astype(np.uint8)


def write(path, sample=None, **changes):
    """Write a video; returns its path."""
    sample = sample or Sample(**changes)
    with av.open(str(path), "w", metadata_errors="surrogateescape") as out:
        out.metadata.update(sample.tags)
        video = out.add_stream(sample.codec, rate=25, options=dict(sample.options))
        video.width, video.height = sample.size
        video.pix_fmt = sample.format
        context = video.codec_context
        context.time_base = sample.tick
        video.time_base = sample.tick
        context.color_range, context.color_primaries, context.color_trc, context.colorspace = (
            sample.colors
        )
        if sample.aspect:
            context.sample_aspect_ratio = sample.aspect
        if sample.rotation is not None:
            video.set_display_rotation(sample.rotation)
        if "yuva" in sample.format:
            video.metadata["alpha_mode"] = "1"
        sound = _sound(out, sample.sound) if sample.sound else None
        words = out.add_mux_stream(sample.subtitles) if sample.subtitles else None
        if words is not None:
            words.time_base = TICK
            words.metadata.update({"language": "fra", "title": "Sous-titres"})
        if sample.attachment:
            out.add_attachment("font.ttf", "font/ttf", FONT)
        if sample.chapters:
            out.set_chapters(CHAPTERS)
        out.start_encoding()
        for place, time in enumerate(sample.times):
            out.mux(video.encode(_frame(place, time, sample)))
        out.mux(video.encode(None))
        if sound is not None:
            _play(out, sound, sample.times[-1])
        if words is not None:
            _speak(out, words, sample.subtitles)
    return path


def noisy_clip(path, frames, sigma=4, repeat=1, size=(64, 48)):
    """A still picture, lossless, with noise that is fresh in every `repeat`-th frame."""
    rng, still = np.random.default_rng(0), picture(0, size).astype(float)
    with av.open(str(path), "w") as out:
        video = out.add_stream("ffv1", rate=25)
        video.width, video.height, video.pix_fmt = *size, "bgr0"
        for place in range(frames):
            if place % repeat == 0:
                noisy = np.clip(still + rng.normal(0, sigma, still.shape), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(noisy, "rgb24").reformat(format="bgr0")
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    return path


def _frame(place, time, sample):
    still = max((s for s in sample.stills if s <= place), default=None)
    first = place if still is None else still
    bands = 4 if "yuva" in sample.format else 3
    image = picture(first, sample.size, bands)
    frame = av.VideoFrame.from_ndarray(image, "rgba" if bands == 4 else "rgb24")
    frame = frame.reformat(format=sample.format)
    frame.pts, frame.time_base = round(Fraction(time, 1000) / sample.tick), sample.tick
    frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace = sample.colors
    return frame


def _sound(out, codec):
    sound = out.add_stream(codec, rate=48000)
    sound.layout = "stereo"
    sound.metadata.update({"language": "deu", "title": "Ton"})
    return sound


def _play(out, sound, until):
    size = sound.codec_context.frame_size or 1024
    count = 48 * (until + 40)
    wave = (np.sin(np.arange(count) / 20) * 9000).astype(np.int16)
    for start in range(0, count - size, size):
        chunk = np.repeat(wave[None, start : start + size], 2, 1).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(chunk, "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
        out.mux(sound.encode(frame))
    out.mux(sound.encode(None))


def _speak(out, words, kind):
    for begin, length, text in SUBTITLES:
        prefix = len(text).to_bytes(2, "big") if kind == "mov_text" else b""
        packet = av.Packet(prefix + text)
        packet.pts = packet.dts = begin
        packet.duration, packet.time_base, packet.stream = length, TICK, words
        packet.is_keyframe = True
        out.mux(packet)


def read(path):
    """(time stamps in seconds, RGB pictures) of all frames."""
    with av.open(str(path)) as source:
        frames = list(source.decode(video=0))
    times = [frame.pts * frame.time_base for frame in frames]
    return times, [frame.to_ndarray(format="rgb24") for frame in frames]


def tags(path):
    """Range, primaries, transfer, matrix, pixel format, aspect, rotation of the first frame."""
    with av.open(str(path)) as source:
        frame = next(source.decode(video=0))
        stream = source.streams.video[0]
        colors = frame.color_range, frame.color_primaries, frame.color_trc, frame.colorspace
        return (
            tuple(int(c) for c in colors),
            frame.format.name,
            stream.sample_aspect_ratio,
            frame.rotation,
        )


def packets(path, kind):
    """(time in seconds, bytes) of every packet of the first stream of a kind."""
    with av.open(str(path), metadata_errors="surrogateescape") as source:
        stream = next(stream for stream in source.streams if stream.type == kind)
        found = [p for p in source.demux(stream) if p.size]
        return [(p.pts * p.time_base, bytes(p)) for p in found], dict(stream.metadata)

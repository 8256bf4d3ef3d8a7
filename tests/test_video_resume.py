"""Work that is cut short goes on, and ends in the same bytes; steps overlap and fail cleanly."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest

from reslift import machine
from reslift.errors import InputError, OutputError, ResliftError
from reslift.media import Wishes
from reslift.media.video import parts
from reslift.media.video.encode import Encoder, choose
from reslift.media.video.overlap import DEPTH, overlapped
from reslift.media.video.parts import segment_length
from reslift.media.video.probe import probe
from reslift.media.video.work import enlarge
from small_models import bicubic_lift, made, small_lift
from video_samples import noisy_clip, read, write

TIMES = tuple(range(0, 30 * 40, 40))
KILLED = """
import sys, time
sys.path.insert(0, {tests!r})
from pathlib import Path
from small_models import made, small_lift
from reslift.media import Wishes
from reslift.media.video import parts, work
parts.FEWEST = parts.MOST = 8
upscaler = made(small_lift(2))
class Slow:
    size, limits, card, identity = upscaler.size, upscaler.limits, upscaler.card, upscaler.identity
    record, finish = upscaler.record, upscaler.finish
    def run(self, *planes, **options):
        time.sleep(0.03)
        upscaler.run(*planes, **options)
work.enlarge(Slow(), Path({source!r}), Path({target!r}), Wishes())
"""


@pytest.fixture(autouse=True)
def short_segments(monkeypatch):
    monkeypatch.setattr(parts, "FEWEST", 8)
    monkeypatch.setattr(parts, "MOST", 8)


@pytest.fixture
def source(tmp_path):
    return write(tmp_path / "a.mp4", times=TIMES, sound="aac", options={"crf": "12", "bf": "3"})


class Failing:
    """An upscaler that fails at a frame."""

    def __init__(self, upscaler, at):
        self.upscaler, self.at, self.calls = upscaler, at, 0
        self.size, self.limits, self.card = upscaler.size, upscaler.limits, upscaler.card
        self.identity = upscaler.identity
        self.record, self.finish = upscaler.record, upscaler.finish

    def run(self, *planes, **options):
        if self.calls == self.at:
            raise ResliftError("the model answered NaN")
        self.calls += 1
        self.upscaler.run(*planes, **options)


def folder_of(target):
    return target.with_name(f".{target.name}.reslift-parts")


@pytest.mark.skipif(os.name == "nt", reason="no SIGKILL")
def test_killed_and_run_again_gives_the_same_bytes(source, tmp_path):
    whole, target = tmp_path / "whole.mp4", tmp_path / "b.mp4"
    enlarge(made(small_lift(2)), source, whole, Wishes())
    code = KILLED.format(tests=str(Path(__file__).parent), source=str(source), target=str(target))
    process = subprocess.Popen([sys.executable, "-c", code])
    deadline = time.monotonic() + 120
    while not list(folder_of(target).glob("0*.json")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not target.exists()
    finished = len(list(folder_of(target).glob("0*.json")))
    counting = Failing(made(small_lift(2)), -1)
    enlarge(counting, source, target, Wishes())
    assert counting.calls == len(TIMES) - 8 * finished
    assert target.read_bytes() == whole.read_bytes()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_failure_keeps_finished_segments_and_nothing_else(source, tmp_path):
    target, upscaler = tmp_path / "b.mp4", made(bicubic_lift(2))
    with pytest.raises(ResliftError, match="NaN"):
        enlarge(Failing(upscaler, 3), source, target, Wishes())
    assert not folder_of(target).exists()
    with pytest.raises(ResliftError, match="NaN"):
        enlarge(Failing(upscaler, 20), source, target, Wishes())
    left = sorted(path.name for path in folder_of(target).iterdir())
    assert left[-1] == "key.json"
    assert left[0] == "00000.json" and len(left) % 2 == 1
    assert not target.exists()


def test_a_full_disk_leaves_no_folder(source, tmp_path, monkeypatch):
    def full(self, text, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="free some space"):
        enlarge(made(bicubic_lift(2)), source, tmp_path / "b.mp4", Wishes())
    assert not folder_of(tmp_path / "b.mp4").exists()


def test_what_changes_the_result_begins_anew(source, tmp_path):
    target, upscaler = tmp_path / "b.mp4", made(bicubic_lift(2))

    def calls(upscaler, wishes):
        with pytest.raises(ResliftError, match="NaN"):
            enlarge(Failing(upscaler, 17), source, target, wishes)
        counting = Failing(upscaler, -1)
        enlarge(counting, source, target, wishes)
        target.unlink()
        return counting.calls

    assert calls(upscaler, Wishes()) < len(TIMES)
    for other, wishes in ((made(small_lift(2)), Wishes()), (upscaler, Wishes(crf=30))):
        with pytest.raises(ResliftError, match="NaN"):
            enlarge(Failing(upscaler, 17), source, target, Wishes())
        counting = Failing(other, -1)
        enlarge(counting, source, target, wishes)
        assert counting.calls == len(TIMES)
        target.unlink()
    with pytest.raises(ResliftError, match="NaN"):
        enlarge(Failing(upscaler, 17), source, target, Wishes())
    write(source, times=TIMES, options={"crf": "13"})
    counting = Failing(upscaler, -1)
    enlarge(counting, source, target, Wishes())
    assert counting.calls == len(TIMES)


def test_a_damaged_part_is_made_again(source, tmp_path):
    target, upscaler = tmp_path / "b.mp4", made(bicubic_lift(2))
    with pytest.raises(ResliftError, match="NaN"):
        enlarge(Failing(upscaler, 17), source, target, Wishes())
    (folder_of(target) / "00000.json").write_text("[[0")
    enlarge(upscaler, source, target, Wishes())
    assert len(read(target)[0]) == len(TIMES)


def test_steady_is_the_same_after_a_stop(tmp_path):
    source = noisy_clip(tmp_path / "a.mkv", len(TIMES))
    upscaler, wishes = made(bicubic_lift(2)), Wishes(codec="ffv1")
    enlarge(upscaler, source, tmp_path / "whole.mkv", wishes)
    with pytest.raises(ResliftError, match="NaN"):
        enlarge(Failing(upscaler, 17), source, tmp_path / "b.mkv", wishes)
    enlarge(upscaler, source, tmp_path / "b.mkv", wishes)
    (times, frames), (wanted_times, wanted) = read(tmp_path / "b.mkv"), read(tmp_path / "whole.mkv")
    assert times == wanted_times
    assert all(np.array_equal(*pair) for pair in zip(frames, wanted, strict=True))
    enlarge(upscaler, source, tmp_path / "c.mkv", Wishes(codec="ffv1", steady=False))
    assert not np.array_equal(read(tmp_path / "c.mkv")[1][5], wanted[5])


def test_segments_hold_fewer_of_larger_pictures(monkeypatch):
    monkeypatch.undo()
    lengths = [segment_length(*size) for size in ((320, 240), (1920, 1080), (3840, 2160))]
    assert lengths == [250, 120, 30]
    assert segment_length(16000, 9000) == 24


def test_steps_keep_the_order_and_bound_what_waits():
    read_ahead, done, results = [], [], []

    def source():
        for number in range(40):
            read_ahead.append(number - len(done))
            yield number

    def work(number):
        done.append(number)
        return number * 2

    seconds = overlapped(source(), work, lambda items: results.extend(items))
    assert results == [number * 2 for number in range(40)]
    assert max(read_ahead) <= DEPTH + 2
    assert seconds.whole >= 0


@pytest.mark.parametrize("step", ["read", "work", "write"])
def test_a_failing_step_ends_all(step):
    def source():
        for number in range(1000):
            if step == "read" and number == 5:
                raise ValueError("read")
            yield number

    def work(number):
        if step == "work" and number == 5:
            raise ValueError("work")
        return number

    def sink(items):
        for number in items:
            if step == "write" and number == 5:
                raise ValueError("write")

    before = threading.active_count()
    with pytest.raises(ValueError, match=step):
        overlapped(source(), work, sink)
    assert threading.active_count() == before


def test_x264_gives_the_same_bytes_each_time(source, tmp_path):
    encoding, _ = choose(probe(source), tmp_path / "b.mp4", (96, 64), None, None)
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:64, :96]
    waves = np.sin(columns / 7) * np.cos(rows / 5) * 90 + 128
    images = [np.clip(waves + rng.normal(0, 4, waves.shape), 0, 255) * 257 for _ in range(8)]
    answers = set()
    for _ in range(40):
        encoder = Encoder(tmp_path / "a.mkv", encoding, (96, 64))
        for image in images:
            encoder.add(np.repeat(image[..., None], 3, -1).astype(np.uint16))
        encoder.close()
        with av.open(str(tmp_path / "a.mkv")) as container:
            packets = b"".join(bytes(packet) for packet in container.demux(video=0))
        answers.add(packets)
    assert len(answers) == 1


def test_segments_take_packets_with_any_decoding_time(source, tmp_path):
    """x265 leaves it unset where a segment is shorter than its lookahead."""
    encoding, _ = choose(probe(source), tmp_path / "b.mp4", (96, 64), None, None)
    encoder = Encoder(tmp_path / "a.mkv", encoding, (96, 64))

    class Unset:
        stream = encoder.stream

        def encode(self, frame):
            packets = self.stream.encode(frame)
            for packet in packets:
                packet.dts = 2**40
            return packets

    encoder.stream = Unset()
    for level in range(0, 60_000, 10_000):
        encoder.add(np.full((64, 96, 3), level, np.uint16))
    encoder.close()
    assert len(read(tmp_path / "a.mkv")[0]) == 6


@pytest.mark.parametrize("known", [True, False])
def test_x264_keeps_from_avx512(source, tmp_path, monkeypatch, known):
    monkeypatch.setattr(machine, "has_avx512", lambda: known)
    encoding, _ = choose(probe(source), tmp_path / "b.mp4", (96, 64), None, None)
    assert ("asm=AVX2" in encoding.options.get("x264-params", "")) is known


@pytest.mark.parametrize("replaced", [False, True], ids=["written", "replaced"])
def test_a_clip_that_changes_meanwhile(replaced, source, tmp_path):
    """Its pictures would stand beside the sound of another."""
    target, old = tmp_path / "b.mp4", source.read_bytes()
    other = write(tmp_path / "new.mp4", times=TIMES, sound="aac", stills=(0,))

    def change(pixels):
        if replaced and other.exists():
            other.replace(source)
        elif not replaced:
            source.write_bytes(old + b"\0\0\0\x0cfreemore")

    with pytest.raises(InputError, match=r"a\.mp4: it changed while it was enlarged"):
        enlarge(made(small_lift(2)), source, target, Wishes(), change)
    assert not target.exists() and not list(tmp_path.glob(".*"))
    source.write_bytes(old)
    enlarge(made(small_lift(2)), source, target, Wishes())
    assert len(read(target)[0]) == len(TIMES)


@pytest.mark.parametrize("length", [200, 251])
def test_names_as_long_as_they_may_be(length, tmp_path):
    short = write(tmp_path / "a.mp4", times=TIMES[:2])
    target = tmp_path / ("ä" * (length // 2) + "n" * (length % 2) + ".mp4")
    failing = Failing(made(small_lift(2)), 0)
    with pytest.raises(ResliftError):
        enlarge(failing, short, target, Wishes())
    assert enlarge(made(small_lift(2)), short, target, Wishes()).tally.shots == 2
    assert sorted(tmp_path.iterdir()) == sorted([short, target])

"""A slice of the damaged files of `fuzz.py`; benchmarks/fuzz.py runs them all."""

from __future__ import annotations

import pytest

import fuzz
from small_models import bicubic_lift, made

SLICE = 60


@pytest.fixture(scope="module")
def upscale():
    upscaler = made(bicubic_lift(2), limits=fuzz.LIMITS)
    return lambda source, target: upscaler.upscale_file(source, target)


@pytest.fixture(scope="module")
def whole():
    return fuzz.seeds()


def test_the_seeds_themselves_are_enlarged(upscale, whole):
    for name, data in whole.items():
        assert fuzz.judge(upscale, data) == "done", name


def test_a_mutant_depends_on_its_number_alone():
    few = list(fuzz.mutants(6, first=10))
    assert few[3:] == list(fuzz.mutants(3, first=13)) and len({data for _, data in few}) == 6


def test_damaged_files_are_enlarged_or_refused(upscale):
    counts = {"done": 0, "refused": 0}
    for name, data in fuzz.mutants(SLICE):
        try:
            counts[fuzz.judge(upscale, data)] += 1
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error
    assert counts["done"] > 5 and counts["refused"] > 20


def test_the_first_bytes_of_a_file_are_refused(upscale, whole):
    for name, data in whole.items():
        for count in range(1, 44):
            assert fuzz.judge(upscale, data[:count]) == "refused", (name, count)


def test_the_judge_sees_a_wrong_success(whole):
    def writes_the_source(source, target):
        target.write_bytes(source.read_bytes())

    with pytest.raises(fuzz.Wrong, match="became"):
        fuzz.judge(writes_the_source, whole["png of 16 bits"])

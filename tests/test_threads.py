"""One `Upscaler` in several threads gives what it gives in one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from skimage import data
from threadpoolctl import threadpool_info

import reslift
from reslift import machine


@pytest.mark.parametrize("backend", ["torch", "openvino", "onnxruntime"])
@pytest.mark.parametrize("consistent", [False, True])
def test_answers_are_not_exchanged(backend: str, consistent: bool) -> None:
    pytest.importorskip(backend)
    upscaler = reslift.load("lift-small", scale=2, backend=backend, consistent=consistent)
    photo = data.astronaut()
    sizes = [(96, 96), (40, 64), (96, 96), (64, 40)]
    pictures = [
        np.ascontiguousarray(photo[60 * k :, 90 * k :][:h, :w]) for k, (h, w) in enumerate(sizes)
    ]
    alone = [upscaler(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(upscaler, pictures * 10))
    for number, answer in enumerate(together):
        assert np.array_equal(answer, alone[number % len(alone)])


def test_blas_has_its_threads_again_once_the_last_is_through() -> None:
    def threads() -> list[int]:
        return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]

    before = threads()
    first, second = machine.one_blas_thread(), machine.one_blas_thread()
    with first:
        second.__enter__()
        assert set(threads()) <= {1}
    assert set(threads()) <= {1}, "the second is still at work"
    second.__exit__(None, None, None)
    assert threads() == before

"""`reslift doctor` must work where the rest does not."""

from __future__ import annotations

import json
import os
import platform
import struct
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from reslift import machine
from reslift.backends import BACKENDS
from reslift.cli import doctor
from reslift.cli.doctor import Finding, check_checkpoint, examine, requirements, within

posix = pytest.mark.skipif(os.name == "nt", reason="POSIX signals")

ROOT = Path(__file__).resolve().parents[1]


def core(monkeypatch, **probes: str) -> dict[str, Finding]:
    monkeypatch.setattr(doctor, "CORE", probes)
    monkeypatch.setattr(doctor, "BACKENDS", {})
    return {found.name: found for found in examine() if found.group == "core"}


def test_states_of_a_core_package(monkeypatch):
    found = core(
        monkeypatch,
        good="print('1.2.3, fine')",
        torch="print('2.5.1')",
        absent="import absent_package",
        faulty="raise OSError('wrong\\nlibrary')",
    )
    assert found["good"].state == "ok"
    assert found["good"].text == "1.2.3, fine"
    assert found["torch"].state == "broken"
    assert ">=2.6" in found["torch"].text and "torch" in found["torch"].cure
    assert found["absent"].state == "missing"
    assert "pip install" in found["absent"].cure
    assert found["faulty"].state == "broken"
    assert "library" in found["faulty"].text
    assert {name for name, one in found.items() if one.fatal} == {"torch", "absent", "faulty"}


def test_a_cure_brings_all_that_is_declared(monkeypatch):
    lines = ["pyvips[binary]>=3", "pylibjpeg[openjpeg]>=2; extra == 'medical'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: lines)
    monkeypatch.setattr(doctor, "_installed", lambda name: "")
    assert core(monkeypatch, pyvips="import absent")["pyvips"].cure.endswith('"pyvips[binary]>=3"')
    assert core(monkeypatch, pyvips="print('2.2')")["pyvips"].text == "2.2; >=3 is needed"
    cures = [found.cure for found in examine() if found.group == "extras"]
    assert cures == ['python -m pip install "pylibjpeg[openjpeg]>=2"']


@posix
def test_package_that_crashes_the_interpreter(monkeypatch):
    found = core(monkeypatch, numpy="import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert found["numpy"].state == "broken"
    assert "crashed" in found["numpy"].text


def test_engines_and_which_auto_takes(monkeypatch):
    assert [*doctor.BACKENDS, "torch"] == [name for name in BACKENDS if "int8" not in name]
    monkeypatch.setattr(doctor, "CORE", {})
    for probe, taken in (("print('2026.4, fp32')", "openvino"), ("import absent", "torch")):
        monkeypatch.setattr(doctor, "BACKENDS", {"openvino": probe})
        found = {one.name: one for one in examine() if one.group == "backends"}
        assert [name for name, one in found.items() if "auto takes it" in one.text] == [taken]
        assert not any(one.fatal for one in found.values())
    assert found["openvino"].state == "missing"
    assert found["openvino"].cure == "python -m pip install onnx openvino"


def test_package_that_hangs(monkeypatch):
    monkeypatch.setattr(doctor, "PROBE_SECONDS", 0.2)
    found = core(monkeypatch, numpy="import time; time.sleep(60)")
    assert found["numpy"].state == "broken"


def run_doctor(folder, *words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, "-m", "reslift", "doctor", *words],
        capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip


def test_without_torch_and_pyvips(tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libtorch.so: cannot open')")
    (tmp_path / "pyvips.py").write_text("raise ModuleNotFoundError(\"No module named 'pyvips'\")")
    done = run_doctor(tmp_path, "--json")
    assert done.returncode == 1
    assert done.stderr == ""
    report = json.loads(done.stdout)
    assert report["usable"] is False
    engines = {found["name"]: found for found in report["findings"] if found["group"] == "backends"}
    assert engines["torch"]["state"] == "broken"
    states = {found["name"]: found for found in report["findings"] if found["group"] == "core"}
    assert states["torch"]["state"] == "broken"
    assert "libtorch.so" in states["torch"]["text"]
    assert states["pyvips"]["state"] == "missing"
    assert states["numpy"]["state"] == "ok"


def test_here(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    done = run_doctor(tmp_path)
    assert "; 1 thread\n" in done.stdout
    assert done.stderr == ""
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1] == "reslift can work here"
    for word in ("python", "memory", "disk", "torch", "pyvips", "dev", "lift-base-x4"):
        assert word in done.stdout


def test_the_package_declares_what_doctor_probes():
    wanted = requirements()
    declared = {name for extra, name in wanted if not extra}
    assert declared == set(doctor.CORE)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {extra for extra, _ in wanted} == {"", *extras["optional-dependencies"]}
    assert within("2.13.0+cpu", wanted["", "torch"])
    assert not within("2.14.0", wanted["", "torch"])


@pytest.mark.parametrize(
    ("version", "wanted", "answer"),
    [
        ("2.6.0", ">=2.6,<2.14", True),
        ("2.10.1+cu128", ">=2.6,<2.14", True),
        ("2.14", ">=2.6,<2.14", False),
        ("2.5.9", "<2.14,>=2.6", False),
        ("3", "", True),
        ("3.1", "[binary]>=3", True),
        ("2.9", "[binary]>=3", False),
    ],
)
def test_within(version, wanted, answer):
    assert within(version, wanted) is answer


def checkpoint(path, *, body: int = 16, promised: int = 16, metadata: object = None) -> None:
    header = {"w": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, promised]}}
    if metadata is not None:
        header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(body))


def test_check_checkpoint(tmp_path):
    path = tmp_path / "a.safetensors"
    checkpoint(path, metadata={"reslift": "{}"})
    assert check_checkpoint(path).startswith("1 tensor,")
    checkpoint(path, metadata={"reslift": "{}"}, body=15)
    with pytest.raises(ValueError, match="bytes"):
        check_checkpoint(path)
    checkpoint(path)
    with pytest.raises(ValueError, match="card"):
        check_checkpoint(path)
    for data in (b"", b"12", bytes(8), b"\xff" * 64, struct.pack("<Q", 4) + b"{]}}"):
        path.write_bytes(data)
        with pytest.raises(ValueError):
            check_checkpoint(path)


@posix
def test_machine_respects_a_container(monkeypatch):
    lines = {
        "/proc/self/cgroup": "0::/slice/unit",
        "/sys/fs/cgroup/slice/cpu.max": "50000 100000",
        "/sys/fs/cgroup/slice/memory.max": str(2**24),
        "/sys/fs/cgroup/slice/memory.current": str(2**24 - 2**10),
        "/sys/fs/cgroup/slice/memory.stat": f"anon 5\nactive_file {2**12}\ninactive_file {2**20}",
        "/sys/fs/cgroup/slice/unit/memory.max": "max",
        "/sys/fs/cgroup/slice/unit/memory.current": "7",
    }
    monkeypatch.setattr(machine, "_text", lambda path: lines.get(path, ""))
    assert machine.usable_cores() == 1
    assert machine.total_memory() == 2**24
    assert machine.available_memory() == 2**10 + 2**12 + 2**20, "cached files can be given back"


def test_machine_outside_a_container(monkeypatch):
    monkeypatch.setattr(machine, "_text", lambda path: "")
    assert 1 <= machine.usable_cores() <= (os.cpu_count() or 1)
    total, free = machine.total_memory(), machine.available_memory()
    assert total is None or free is None or 0 < free <= total


def test_threads_and_arithmetic_of_the_processor(monkeypatch):
    for text, threads in (("3", 3), ("", 5), ("0", 5), ("all", 5)):
        monkeypatch.setenv("OMP_NUM_THREADS", text)
        monkeypatch.setattr(machine, "usable_cores", lambda: 5)
        assert machine.threads() == threads
    for flags, has in (("avx2 avx512f", False), ("avx2 amx_bf16", True), ("avx512_bf16", True)):
        monkeypatch.setattr(machine, "_cpu_flags", flags.split)
        assert machine.has_bf16() is has


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_the_allocator_keeps_large_blocks():
    code = """
import ctypes, resource, sys
from reslift import machine
assert machine.keep_memory()
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
for turn in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(ctypes.c_size_t(80 << 20))
    ctypes.memset(block, 1, 80 << 20)
    libc.free(ctypes.c_void_p(block))
    faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
assert faults < 1000, faults
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_machine_facts_are_single_lines():
    for name, text in machine.facts().items():
        assert text.strip(), name
        assert "\n" not in text

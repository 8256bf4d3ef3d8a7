"""What the machine offers, found without torch: memory, processors, disk, in words."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from threading import Lock
from typing import Any

GIB = 1024**3
LIKELY_RESIDENT = GIB // 2
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
GLIBC_KEEPS = {M_MMAP_MAX: 0, M_TRIM_THRESHOLD: 2**31 - 1, M_TOP_PAD: 64 * 2**20}
PF_AVX512F = 41
GPU_SIGNS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")

CPU_FEATURES: dict[str, str] = {
    "amx_bf16": "AMX bf16 (matrix units: bf16 is several times faster than fp32)",
    "amx_int8": "AMX int8",
    "avx512_bf16": "AVX512-BF16 (bf16 is about twice as fast as fp32)",
    "avx512_vnni": "AVX512-VNNI (fast int8)",
    "avx_vnni": "AVX-VNNI (fast int8)",
    "avx512f": "AVX512",
    "avx2": "AVX2",
}


def facts() -> dict[str, str]:
    """One line of text for each thing worth knowing about this machine."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_version()} {sys.executable}",
        "processor": f"{usable_cores()} usable cores of {os.cpu_count()}; {_cpu_features()}",
        "memory": _memory_text(),
        "disk": _disk_text(),
    }


def usable_cores() -> int:
    """Cores that this process may use: affinity and, on Linux, the container's quota."""
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    for group in _control_groups():
        quota = _text(f"{group}/cpu.max").split()
        if len(quota) == 2 and quota[0].isdigit():
            cores = min(cores, max(1, round(int(quota[0]) / int(quota[1]))))
    return cores


def threads() -> int:
    """Threads for an engine that has its own: ``OMP_NUM_THREADS``, else the usable cores."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdigit() and int(text) else usable_cores()


@functools.cache
def _libraries() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """While it lasts NumPy multiplies matrices on one thread, in this thread and all others.

    The agreement step multiplies small ones, where a second thread of BLAS only gets into the way
    of the engine's: ×1.2 to ×1.9 of the whole time instead of ×1.0 to ×1.2 on two cores.
    """
    with _QUIET.lock:
        if not _QUIET.holders:
            _QUIET.limit = _libraries().limit(limits=1, user_api="blas")
        _QUIET.holders += 1
    try:
        yield
    finally:
        with _QUIET.lock:
            _QUIET.holders -= 1
            if not _QUIET.holders and _QUIET.limit is not None:
                _QUIET.limit.__exit__(None, None, None)


class _Quiet:
    """Who keeps BLAS to one thread; the last of them gives back what was before the first."""

    def __init__(self) -> None:
        self.lock, self.holders = Lock(), 0
        self.limit: AbstractContextManager[object] | None = None


_QUIET = _Quiet()


def keep_memory() -> bool:
    """Have the allocator keep large blocks for the next cell; False where it cannot be told.

    glibc gives blocks over 32 MiB back to the system at each ``free`` and takes them again, page by
    page and cleared, which cost a sixth of the time of an upscaling. This is for a whole process,
    so that it is up to the command line.
    """
    if sys.platform != "linux":
        return False
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        return all(mallopt(parameter, value) for parameter, value in GLIBC_KEEPS.items())
    return False


def has_bf16() -> bool:
    """Whether this processor has bf16 arithmetic, by AMX or AVX512."""
    return bool({"amx_bf16", "avx512_bf16"} & set(_cpu_flags()))


def has_avx512() -> bool:
    """Whether this processor is known to have AVX-512; False where that cannot be found."""
    if sys.platform == "win32":
        return _windows_has(PF_AVX512F)
    return "avx512f" in _cpu_flags()


def may_have_gpu() -> bool:
    """Whether there are signs of a GPU that torch could use; without torch none can be certain."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        return shutil.which("nvidia-smi") is not None
    return any(Path(sign).exists() for sign in GPU_SIGNS)


def total_memory() -> int | None:
    """Bytes of memory that this process may use, or None where it cannot be found."""
    if sys.platform == "win32":
        return _windows_memory()
    sizes = [limit for limit, _ in _group_memory()]
    with contextlib.suppress(ValueError, OSError):
        sizes.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(sizes, default=None)


def available_memory() -> int | None:
    """Bytes free to use now, the container's limit respected; None where it cannot be found."""
    sizes = [limit - used for limit, used in _group_memory()]
    free = _meminfo("MemAvailable")
    if free is not None:
        sizes.append(free)
    return max(0, min(sizes)) if sizes else total_memory()


def _group_memory() -> list[tuple[int, int]]:
    """(limit, used) in bytes of each control group; what only caches files counts as free."""
    found = []
    for group in _control_groups():
        limit, used = _text(f"{group}/memory.max"), _text(f"{group}/memory.current")
        if limit.isdigit() and used.isdigit():
            words = _text(f"{group}/memory.stat").split()
            entries = dict(zip(words[::2], words[1::2], strict=False))
            cached = sum(int(entries.get(key, 0)) for key in ("active_file", "inactive_file"))
            found.append((int(limit), max(0, int(used) - cached)))
    return found


def _control_groups() -> list[str]:
    """Folders of the control group (version 2) of this process and of those around it."""
    line = _text("/proc/self/cgroup").rpartition("0::")[2].splitlines()
    own = Path("/", *(line[:1] or [""]))
    return [f"/sys/fs/cgroup{group}".rstrip("/") for group in map(str, (own, *own.parents))]


def resident_memory() -> int:
    """Bytes that this process holds in memory now (or at most, where only that is known)."""
    if sys.platform == "win32":
        return LIKELY_RESIDENT
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def peak_memory() -> int:
    """Bytes that this process has held at most so far."""
    if sys.platform == "win32":
        return LIKELY_RESIDENT
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def running_seconds() -> float:
    """How long ago this process began; 0 where that cannot be found."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        ticks = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()[19]
        up = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        return max(0.0, up - int(ticks) / os.sysconf("SC_CLK_TCK"))
    return 0.0


def _cpu_features() -> str:
    if platform.system() == "Darwin" and platform.machine() == "arm64":
        return "Apple silicon"
    flags = _cpu_flags()
    found = [words for flag, words in CPU_FEATURES.items() if flag in flags]
    return ", ".join(found) or "instruction sets not known here"


def _cpu_flags() -> list[str]:
    text = ""
    with contextlib.suppress(OSError):
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    return next((line for line in text.splitlines() if line.startswith("flags")), "").split()


def _memory_text() -> str:
    total, free = total_memory(), available_memory()
    if total is None:
        return "size not known here"
    return f"{total / GIB:.1f} GiB, {(free or total) / GIB:.1f} GiB free"


def _disk_text() -> str:
    places = {"here": Path.cwd(), "for temporary files": Path(tempfile.gettempdir())}
    parts = []
    for words, folder in places.items():
        with contextlib.suppress(OSError):
            parts.append(f"{shutil.disk_usage(folder).free / GIB:.1f} GiB free {words}")
    return ", ".join(parts) or "size not known here"


def _windows_memory() -> int | None:
    import ctypes

    class Status(ctypes.Structure):
        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *[(name, ctypes.c_ulonglong) for name in ("total", "free", "a", "b", "c", "d", "e")],
        ]

    status = Status()
    status.length = ctypes.sizeof(Status)
    call = ctypes.windll.kernel32.GlobalMemoryStatusEx  # type: ignore[attr-defined,unused-ignore]
    return int(status.total) if call(ctypes.byref(status)) else None


def _windows_has(feature: int) -> bool:
    import ctypes

    return bool(ctypes.windll.kernel32.IsProcessorFeaturePresent(feature))  # type: ignore[attr-defined,unused-ignore]


def _meminfo(key: str) -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    return None


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""

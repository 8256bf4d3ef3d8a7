"""`scripts/setup_env.py`: what it decides, without installing anything."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = ROOT / "scripts" / "setup_env.py"


@pytest.fixture
def setup():
    spec = importlib.util.spec_from_file_location("setup_env", SCRIPT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PYTHON = Path(sys.executable)
    return module


def test_pip_settings_reach_uv(setup, tmp_path, monkeypatch):
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nfind-links =\n    one/wheels\n    two\n[install]\nno-deps = yes\n")
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    settings = setup.pip_settings()
    assert settings["find-links"][:2] == ["one/wheels", "two"]
    environment = setup.uv_environment(settings)
    assert environment["UV_FIND_LINKS"].startswith("one/wheels,two")
    assert environment["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    monkeypatch.setenv("UV_FIND_LINKS", "mine")
    assert "UV_FIND_LINKS" not in setup.uv_environment(settings)


def test_cpu_torch_is_asked_for_only_where_it_would_not_come_by_itself(
    setup, tmp_path, monkeypatch
):
    class Failed:
        returncode = 1

    monkeypatch.setattr(setup.platform, "system", lambda: "Linux")
    monkeypatch.setattr(setup.shutil, "which", lambda name: None)
    monkeypatch.setattr(setup.subprocess, "run", lambda *words, **options: Failed)
    links = {"find-links": [str(tmp_path)]}
    if not Path("/proc/driver/nvidia").exists():
        assert setup.wants_cpu_torch({})
        assert setup.wants_cpu_torch(links)
    (tmp_path / "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl").touch()
    assert not setup.wants_cpu_torch(links)
    assert not setup.wants_cpu_torch({"index-url": ["https://mirror.example/simple"]})
    monkeypatch.setattr(setup.shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert not setup.wants_cpu_torch({})
    monkeypatch.setattr(setup.shutil, "which", lambda name: None)
    monkeypatch.setattr(setup.platform, "system", lambda: "Darwin")
    assert not setup.wants_cpu_torch({})


def test_pip_takes_over_where_uv_fails(setup, monkeypatch):
    commands = []

    def run(command, **environment):
        commands.append(list(map(str, command)))
        return 1 if "uv" in commands[-1][0] else 0

    monkeypatch.setattr(setup, "run", run)
    assert setup.install("uv", {}, ["-e", "."], [])
    assert [command[0] for command in commands] == ["uv", sys.executable]
    assert all("constraints.txt" in " ".join(command) for command in commands)


def test_unknown_job_prints_the_help():
    done = subprocess.run([sys.executable, SCRIPT, "fly"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "demo [PICTURE]" in done.stdout


def test_constraints_cover_what_is_declared(setup):
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = [*project["dependencies"], *extras["dev"], *extras["track"]]
    assert setup.TORCH in declared
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    for line in declared:
        name = re.split(r"[>=\[]", line)[0]
        assert f"\n{name}==" in pinned or f"\n{name}>=" in pinned, name


def test_scripts_are_executable_and_the_demo_picture_ships():
    if os.name != "nt":
        assert os.access(ROOT / ".ci" / "run", os.X_OK)
    credits = (ROOT / "docs" / "pictures" / "CREDITS.md").read_text(encoding="utf-8")
    pictures = [p for p in (ROOT / "docs" / "pictures").iterdir() if p.suffix != ".md"]
    assert pictures
    for picture in pictures:
        assert f"`{picture.name}`" in credits, f"{picture.name} has no credit"

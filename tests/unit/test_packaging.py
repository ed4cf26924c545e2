"""What is installed: the same versions by uv and by pip, and a wheel that has all it needs."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "standby"


def locked() -> dict[tuple[str, str], set[str]]:
    """Read the hashes of every package of ``uv.lock`` but our own, by name and version."""
    lock = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    return {
        (package["name"], package["version"]): {
            file["hash"] for file in [package.get("sdist"), *package["wheels"]] if file
        }
        for package in lock["package"]
        if package["name"] != "standby"
    }


def required(path: Path) -> dict[tuple[str, str], set[str]]:
    """Read what pip is given in the same form."""
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return {
        match.groups(): set(re.findall(r"--hash=(\S+)", line))
        for line in lines
        if (match := re.match(r"([a-z0-9-]+)==([^ ;]+)", line))
    }


def test_pip_installs_exactly_what_uv_has_locked() -> None:
    assert required(ROOT / "requirements.txt") == locked(), "run tools/export.sh"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-checkov.txt"])
def test_pip_accepts_nothing_without_a_hash(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    packages = required(ROOT / name)
    assert len(packages) == sum(not line.startswith((" ", "#")) for line in lines)
    assert all(packages.values())


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel, and unpack it as an installation does."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (archive,) = folder.glob("*.whl")
    with zipfile.ZipFile(archive) as content:
        content.extractall(folder / "installed")
    return folder / "installed"


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    expected = {
        path.relative_to(SOURCE): path.read_bytes()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    package = wheel / "standby"
    assert expected.keys() >= {Path("py.typed"), Path("blueprint", "cdk.json")}
    assert {
        path.relative_to(package): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file()
    } == expected


def test_an_installed_wheel_synthesizes_a_users_own_workload(wheel: Path, tmp_path: Path) -> None:
    for name in ("main.py", "requirements.txt"):
        (tmp_path / name).touch()
    result = subprocess.run(
        [sys.executable, "-m", "standby.cli", "synth", "--workload-path", "."],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "cdk.out" / "manifest.json").exists()


def test_without_a_workload_the_wheel_says_what_one_is(wheel: Path, tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "standby.cli", "synth"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(wheel)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "workload.path 'workload' has no main.py" in result.stderr

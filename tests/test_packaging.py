"""What is installed: the package with all its data, and dependencies that are declared, used and locked (T40)."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "pixlsrve"
LOCKS = ("runtime", "test", "build")
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)(?: ;[^\\]*)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M)


def _project() -> dict[str, Any]:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))


def _normal(name: str) -> str:
    """A distribution's name as the lock writes it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _names(requirements: list[str]) -> set[str]:
    return {_normal(re.split(r"[<>=!~\[; ]", requirement)[0]) for requirement in requirements}


def _pins(lock: str) -> dict[str, str]:
    return {name: number for name, number, _ in PIN.findall((REPOSITORY / f"requirements/{lock}.txt").read_text())}


def _imported() -> set[str]:
    """The distributions whose modules the package imports; those that it names as text alone count too."""
    distributions = packages_distributions()
    found: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module or ""]
            elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
                modules = [str(node.args[0].value)] if ast.unparse(node.func).endswith("resources.files") else []
            else:
                continue
            for module in modules:
                top = module.split(".")[0]
                if top not in sys.stdlib_module_names and top != "pixlsrve":
                    found.add(_normal(distributions.get(top, [top])[0]))
    return found


def test_imported_libraries_are_declared() -> None:
    """Each library that the package imports is declared, and none comes along by another's grace only."""
    assert _imported() <= _names(_project()["project"]["dependencies"])


def test_everything_is_locked_with_hashes() -> None:
    """The locks hold every declared dependency, each line of them is a pin with hashes, and the locks agree (T40)."""
    project = _project()["project"]
    runtime, test, build = (_pins(lock) for lock in LOCKS)
    assert _names(project["dependencies"]) <= runtime.keys()
    assert _names(project["optional-dependencies"]["test"]) <= test.keys()
    assert runtime.items() <= test.items()
    assert build.keys() == {"setuptools"}
    for lock in LOCKS:
        rest = PIN.sub("", (REPOSITORY / f"requirements/{lock}.txt").read_text())
        assert not re.sub(r"^\s*#.*$", "", rest, flags=re.M).strip(), lock


@pytest.mark.parametrize(
    ("name", "floor"),
    [("aiohttp", (3, 14, 1)), ("pyjwt", (2, 12)), ("pillow-heif", (1, 3)), ("pillow", (12, 2))],
)
def test_locked_versions_are_not_below_security_floors(name: str, floor: tuple[int, ...]) -> None:
    """T40: releases with published holes are not installed, and not allowed by the declared bounds."""
    numbers = tuple(int(part) for part in _pins("runtime")[name].split("."))
    assert numbers >= floor
    declared = next(line for line in _project()["project"]["dependencies"] if _names([line]) == {name})
    lowest = re.search(r">=([0-9.]+)", declared)
    assert lowest is not None
    assert tuple(int(part) for part in lowest[1].split(".")) >= floor


def test_wheel_holds_all_data(tmp_path: Path) -> None:
    """Every file of the package is in the wheel: migrations, tables, place names, the licence and the notice."""
    if int(version("setuptools").split(".")[0]) < 80:
        pytest.skip("setuptools is older than the locked one")
    source = tmp_path / "source"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(PACKAGE, source / "pixlsrve", ignore=ignored)
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(REPOSITORY / name, source / name)
    written = {path.relative_to(source).as_posix() for path in (source / "pixlsrve").rglob("*") if path.is_file()}
    code = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    environment = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=source, env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    (wheel,) = tmp_path.glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("pixlsrve/")}
    assert packed == written | {"pixlsrve/media/places/places.sqlite"}
    licences = [name for name in zipfile.ZipFile(wheel).namelist() if "/licenses/" in name]
    assert {Path(name).name for name in licences} == {"LICENSE", "NOTICE"}

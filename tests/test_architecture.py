"""The layers of the program: who may import whom, and what stays in one place."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PACKAGE = REPOSITORY / "pixlsrve"
LAYERS = (
    {"__main__"},
    {"cli"},
    {"daemon"},
    {"app"},
    {"controls"},
    {"http"},
    {"index", "devices"},
    {"auth", "media", "wg", "mdns", "tls", "doctor", "installation", "settings"},
    {"store"},
    {
        "events",
        "services",
        "config",
        "settings_text",
        "instance",
        "logs",
        "outbound",
        "version",
        "heartbeat",
        "back_off",
        "own_addresses",
    },
    {"notify", "config_words"},
    {"model", "errors", "__init__"},
)
"""Top may import below, never up; those on one line do not import each other."""
AIOHTTP_WEB = ("http/", "devices/agent/")
AIOHTTP_CLIENT = ("outbound.py",)
SQLITE = ("store/", "doctor/parts.py")  # the doctor asks for the library's version
STATEMENT = re.compile(r"\s*(SELECT\s.+\sFROM|INSERT\s.*INTO|UPDATE\s.+\sSET|DELETE\s+FROM|PRAGMA|CREATE)\s", re.S)
REGISTRIES = ("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "npm" + "js.com", "proxy.go" + "lang.org")


def _modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _imports(path: Path) -> Iterator[str]:
    """The dotted names that a module imports, `from a import b` as `a.b`; also those inside functions."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(path)}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _layer_of(part: str) -> int:
    found = [number for number, layer in enumerate(LAYERS) if part in layer]
    assert found, f"{part} has no layer"
    return found[0]


def _parts(path: Path) -> Iterator[str]:
    """The parts of the program that a module imports."""
    existing = {child.stem for child in PACKAGE.iterdir()}
    for name in _imports(path):
        words = name.split(".")
        if words[0] == "pixlsrve":
            yield words[1] if len(words) > 1 and words[1] in existing else "__init__"


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_imports_lead_downwards(path: Path) -> None:
    """No module imports from a layer above its own, or from a neighbour on the same one."""
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for part in _parts(path):
        assert part == own or _layer_of(part) > _layer_of(own), f"{_name(path)} imports {part}"


def test_web_framework_stays_at_the_doors() -> None:
    """aiohttp.web is imported in http/ and by the agent only, its client in one module."""
    for path in _modules():
        names = [name for name in _imports(path) if name.startswith("aiohttp")]
        if _name(path).startswith(AIOHTTP_CLIENT):
            assert not [name for name in names if name.startswith("aiohttp.web")], _name(path)
        elif not _name(path).startswith(AIOHTTP_WEB):
            assert not names, _name(path)


def test_multicast_stays_in_mdns() -> None:
    """zeroconf is imported in mdns/ only."""
    for path in _modules():
        if not _name(path).startswith("mdns/"):
            assert not [name for name in _imports(path) if name.startswith("zeroconf")], _name(path)


def test_sql_stays_in_store() -> None:
    """Neither the SQLite libraries nor an SQL statement is found outside store/."""
    for path in _modules():
        if _name(path).startswith(SQLITE):
            continue
        assert not [name for name in _imports(path) if name.split(".")[0] in {"sqlite3", "aiosqlite"}], _name(path)
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert not STATEMENT.match(node.value), f"{_name(path)}:{node.lineno} holds SQL"


def test_modules_open_with_what_they_own() -> None:
    """Every module that holds code has a docstring."""
    for path in _modules():
        tree = _tree(path)
        assert not tree.body or ast.get_docstring(tree), _name(path)


def _tracked_texts() -> Iterator[tuple[str, str]]:
    """Names and texts of the files under version control."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout")
    for name in listed.stdout.decode().split("\0"):
        path = REPOSITORY / name
        if name and path.is_file():
            yield name, path.read_text("utf-8", "replace")


def test_files_name_no_machine() -> None:
    """No committed file names a folder of the machine that it was written on, or the host of a package registry."""
    machine = {f"{REPOSITORY}/", f"{REPOSITORY.parent}/", f"{Path.home()}/", f"{Path(sys.prefix)}/"}
    too_common = {"/", "//", "/usr/", "/usr/local/", "/tmp/", "/home/", "/var/", "/opt/"}
    for name, text in _tracked_texts():
        for needle in (*(machine - too_common), *REGISTRIES):
            assert needle not in text, f"{name} names {needle}"

"""Writing the settings file: one that is there keeps all that it says beside the keys that are given."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixlsrve.config import SERVICE_CONFIG
from pixlsrve.errors import ConfigError

_HEAD = "# Settings of pixlsrve; every key is explained in docs/configuration.md.\n"


def read(path: Path) -> dict[str, Any]:
    """What the file says; nothing where there is none. Raises ConfigError."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"The settings file {path} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The settings file {path} is not valid TOML: {error}.") from error


def write(path: Path, values: Mapping[str, Any]) -> Path | None:
    """Set these top-level keys in the file, whole or not at all; the copy of the old one, where there was one.

    The file is its user's alone; the service's may be read by everybody. Raises ConfigError, OSError.
    """
    old = path.read_text("utf-8") if read(path) else None
    text = with_values(old or "", values)
    path.parent.mkdir(mode=0o755 if path == SERVICE_CONFIG else 0o700, parents=True, exist_ok=True)
    copy = None
    if old is not None:
        copy = path.with_name(f"{path.name}.before-setup")
        shutil.copy2(path, copy)
    with tempfile.NamedTemporaryFile(
        "w", dir=path.parent, prefix=f".{path.name}.", encoding="utf-8", delete=False
    ) as f:
        try:
            f.write(text)
            f.flush()
            # The service's user may be anybody (`install --run-as`), and secrets are in files of their own.
            os.fchmod(f.fileno(), 0o644 if path == SERVICE_CONFIG else 0o600)
            os.fsync(f.fileno())
            Path(f.name).replace(path)
        except BaseException:
            Path(f.name).unlink(missing_ok=True)
            raise
    return copy


def with_values(old: str, values: Mapping[str, Any]) -> str:
    """The text with these keys at its top, where they belong to no section. Raises ConfigError."""
    for key in values:
        old = _without(old, key)
    lines = "".join(f"{key} = {_toml(value)}\n" for key, value in values.items())
    text = (_HEAD if not old.strip() else "") + lines + old
    tomllib.loads(text)
    return text


def _without(text: str, key: str) -> str:
    """The text without the lines of a top-level key: as few as leave a file that says all the rest as before."""
    before = tomllib.loads(text)
    if key not in before:
        return text
    rest = {name: value for name, value in before.items() if name != key}
    lines = text.splitlines(keepends=True)
    for first, line in enumerate(lines):
        if line.partition("=")[0].strip().strip("\"'") != key:
            continue
        for last in range(first + 1, len(lines) + 1):
            left = "".join(lines[:first] + lines[last:])
            try:
                if tomllib.loads(left) == rest:
                    return left
            except tomllib.TOMLDecodeError:
                continue
    raise ConfigError(f"The setting {key} can't be changed without losing others; edit the file by hand.")


def _toml(value: Any) -> str:
    """A text or a list of texts in TOML, whose basic strings escape as JSON's do."""
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

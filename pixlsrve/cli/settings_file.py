"""Writing the settings file: one that is there keeps all that it says beside the keys that are given."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pixlsrve.config import SERVICE_CONFIG
from pixlsrve.errors import ConfigError
from pixlsrve.settings_text import with_values
from pixlsrve.store.durable import write_whole

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
    text = with_values(old or _HEAD, values)
    is_service = path == SERVICE_CONFIG
    path.parent.mkdir(mode=0o755 if is_service else 0o700, parents=True, exist_ok=True)
    copy = None
    if old is not None:
        copy = path.with_name(f"{path.name}.before-setup")
        shutil.copy2(path, copy)
    # The service's user may be anybody (`install --run-as`), and secrets are in files of their own.
    write_whole(path, text.encode(), mode=0o644 if is_service else 0o600)
    return copy

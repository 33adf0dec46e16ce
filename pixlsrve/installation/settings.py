"""The service's settings file: made with comments where there is none, and told of photo folders."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

from pixlsrve.errors import ConfigError
from pixlsrve.settings_text import with_values
from pixlsrve.store.durable import write_whole

_EXAMPLE = re.compile(r"^# ?photos = .*$", re.M)


def template() -> str:
    """The file as it comes: every setting that a household may want, as a comment."""
    return resources.files("pixlsrve").joinpath("installation/units/pixlsrve.toml").read_text("utf-8")


def with_photos(text: str, folders: list[str]) -> str:
    """The settings with these folders added. Raises ConfigError where the text can't be used."""
    try:
        present: list[str] | None = tomllib.loads(text).get("photos")
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The settings file is not valid TOML: {error}.") from error
    wanted = list(dict.fromkeys([*(present or []), *folders]))
    if wanted == (present or []):
        return text
    if present is None:
        text = _EXAMPLE.sub("photos = []", text, count=1)
    return with_values(text, {"photos": wanted})


def write(path: Path, folders: list[str]) -> None:
    """Have the file, with these folders in it; what stands in it stays. Raises ConfigError."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    before = path.read_text("utf-8") if path.exists() else None
    after = with_photos(before if before is not None else template(), folders)
    if after != before:
        write_whole(path, after.encode(), mode=0o644 if before is None else path.stat().st_mode & 0o777)

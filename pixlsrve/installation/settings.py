"""The service's settings file: made with comments where there is none, and told of photo folders."""

from __future__ import annotations

import json
import re
import tomllib
from importlib import resources
from pathlib import Path

from pixlsrve.errors import ConfigError

_LINE = re.compile(r"^#? ?photos = .*$", re.M)


def template() -> str:
    """The file as it comes: every setting that a household may want, as a comment."""
    return resources.files("pixlsrve").joinpath("installation/units/pixlsrve.toml").read_text("utf-8")


def with_photos(text: str, folders: list[str]) -> str:
    """The settings with these folders added. Raises ConfigError where the text can't be used."""
    try:
        present: list[str] = tomllib.loads(text).get("photos", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The settings file is not valid TOML: {error}.") from error
    wanted = list(dict.fromkeys([*present, *folders]))
    if wanted == present:
        return text
    line = f"photos = [{', '.join(json.dumps(folder, ensure_ascii=False) for folder in wanted)}]"
    own = re.compile(r"^photos = .*$", re.M)
    pattern = own if present else _LINE
    if present and not _stands_alone(own.search(text)):
        raise ConfigError("The setting photos is written over several lines; add the folders there by hand.")
    if pattern.search(text):
        return pattern.sub(lambda _: line, text, count=1)
    return f"{line}\n{text}"


def _stands_alone(found: re.Match[str] | None) -> bool:
    """Whether the line is a whole setting."""
    try:
        return found is not None and bool(tomllib.loads(found[0]))
    except tomllib.TOMLDecodeError:
        return False


def write(path: Path, folders: list[str]) -> None:
    """Have the file, with these folders in it; what stands in it stays. Raises ConfigError."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    before = path.read_text("utf-8") if path.exists() else None
    after = with_photos(before if before is not None else template(), folders)
    if after != before:
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(after, "utf-8")
        beside.chmod(0o644 if before is None else path.stat().st_mode & 0o777)
        beside.replace(path)

"""Which names in a library are passed over: hidden ones, what appliances leave behind, what ignore files say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pathspec

NOMEDIA = ".nomedia"
IGNORE_FILE = ".pixlsrveignore"
IGNORE_FILE_MAX_BYTES = 65_536
# Thumbnail and recycle folders of network storage, which hold copies of the real photos, and the file system's own.
APPLIANCE_FOLDERS = frozenset(
    {"@eadir", "#recycle", "@recycle", "$recycle.bin", "system volume information", "lost+found"}
)


def is_hidden(name: str) -> bool:
    """Whether a name is never listed: leading dot, or an appliance's own folder."""
    return name.startswith(".") or name.casefold() in APPLIANCE_FOLDERS


@dataclass(frozen=True)
class IgnoreRules:
    """What the ignore files from the root down to one folder say, in gitignore's pattern language."""

    specs: tuple[tuple[str, pathspec.PathSpec[Any]], ...] = ()
    """Pairs of the folder that held the file (relative, "" for the root) and its patterns."""
    excluded: frozenset[str] = field(default=frozenset())
    """First-level names that are never listed (the host's own folders in a storage root)."""
    digest: bytes = b""
    """Changes when any rule does; part of every folder's signature."""

    def with_file(self, folder: str, text: str) -> IgnoreRules:
        """These rules and those of an ignore file found in `folder`."""
        import pathspec  # imported late: few libraries have such a file

        lines = [line for line in text.splitlines() if line.strip()]
        spec = pathspec.PathSpec.from_lines("gitignore", _valid(lines))
        digest = hashlib.blake2b(self.digest + text.encode("utf-8", "replace"), digest_size=8).digest()
        return IgnoreRules((*self.specs, (folder, spec)), self.excluded, digest)

    def ignores(self, path: str, *, is_folder: bool) -> bool:
        """Whether the file or folder at `path` (relative to the root) is passed over."""
        if self.excluded and path in self.excluded:
            return True
        for folder, spec in self.specs:
            below = path[len(folder) + 1 :] if folder else path
            if spec.match_file(f"{below}/" if is_folder else below):
                return True
        return False


def _valid(lines: list[str]) -> list[str]:
    """The lines that are patterns; a malformed one is passed over rather than taking the folder down."""
    import pathspec  # as above

    good = []
    for line in lines:
        try:
            pathspec.PathSpec.from_lines("gitignore", [line])
        except ValueError:
            continue
        good.append(line)
    return good

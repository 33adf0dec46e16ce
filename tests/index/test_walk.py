"""What a walk sees of folders with unusual rights."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

_NOBODY = 65_534
_WALK = """
import os, sys
from pathlib import Path
from pixlsrve.index.walk import walk
if os.geteuid() == 0:
    os.setresuid(NOBODY, NOBODY, NOBODY)
for listing in walk(Path(sys.argv[1]), {}):
    print(listing.path.decode() or ".", listing.is_readable, [entry.name.decode() for entry in listing.entries or ()])
""".replace("NOBODY", str(_NOBODY))


def test_folder_that_may_be_listed_and_not_entered_is_unreadable() -> None:
    """Nothing is known of its files: to take it for empty would take them for removed."""
    with tempfile.TemporaryDirectory() as name:
        root, folder = Path(name), Path(name) / "locked"
        root.chmod(0o755)
        folder.mkdir()
        for path in (root / "free.jpg", folder / "held.jpg"):
            path.write_bytes(b"x")
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        folder.chmod(0o644)
        try:
            found = subprocess.run([sys.executable, "-c", _WALK, name], capture_output=True, text=True, check=True)
        finally:
            folder.chmod(0o755)
    assert {". True ['free.jpg']", "locked False []"} <= set(found.stdout.splitlines())

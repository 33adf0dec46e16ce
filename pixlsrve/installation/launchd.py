"""The service under macOS' launchd: a job that starts with the computer and after a crash (launchd.plist(5))."""

from __future__ import annotations

import plistlib
from pathlib import Path

from pixlsrve.installation import place

LABEL = "org.pixlsrve.pixlsrve"
JOB = Path("/Library/LaunchDaemons") / f"{LABEL}.plist"
LOG = Path("/Library/Logs/pixlsrve.log")
_PAUSE_S = 10
_DESCRIPTORS = 8_192


def job(program: Path, user: str, photos: list[str]) -> bytes:
    """The job's file. `user` is whose photos and settings it has; only root's has a tunnel."""
    folders = [word for folder in photos for word in ("--photos", folder)]
    return plistlib.dumps(
        {
            "Label": LABEL,
            "ProgramArguments": [str(program), "serve", *folders],
            "UserName": user,
            "RunAtLoad": True,
            "KeepAlive": {"SuccessfulExit": False},
            "ThrottleInterval": _PAUSE_S,
            "Umask": 0o077,
            "StandardErrorPath": str(LOG),
            "StandardOutPath": "/dev/null",
            "SoftResourceLimits": {"NumberOfFiles": _DESCRIPTORS},
        }
    )


def install(program: Path, user: str, photos: list[str], run: place.Run = place.run, path: Path = JOB) -> None:
    """Have the job, running. Raises StartError."""
    if path.exists():
        run(["launchctl", "bootout", f"system/{LABEL}"])
    path.write_bytes(job(program, user, photos))
    path.chmod(0o644)
    run(["launchctl", "bootstrap", "system", str(path)])


def uninstall(run: place.Run = place.run, path: Path = JOB) -> None:
    """End the job and remove it; fine when there is none. Raises StartError."""
    if path.exists():
        run(["launchctl", "bootout", f"system/{LABEL}"])
        path.unlink()

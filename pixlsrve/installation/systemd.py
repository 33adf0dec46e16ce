"""The service under systemd: the units with the right program and user, switched on; and all of it taken away again.

Where a Debian package has brought the units, only what differs is written, as drop-ins beside them.
"""

from __future__ import annotations

import grp
import pwd
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from pixlsrve.config import SERVICE_CONFIG, SERVICE_DATA_DIR
from pixlsrve.errors import StartError
from pixlsrve.installation import place, settings

SERVICE, TUNNEL, SOCKET = "pixlsrve.service", "pixlsrve-tunnel.service", "pixlsrve-tunnel.socket"
UNITS = (SERVICE, TUNNEL, SOCKET)
OWN_USER = "pixlsrve"
_PACKAGED = ("usr/lib/systemd/system", "lib/systemd/system")
_ETC = Path("etc/systemd/system")
_SYSUSERS = Path("etc/sysusers.d/pixlsrve.conf")
_DROP_IN = "run-as.conf"


@dataclass(kw_only=True)
class Systemd:
    """One system, whose files are below `root`. With another root than `/` files are written and nothing is started."""

    root: Path = Path("/")
    run: place.Run = place.run
    said: list[str] = field(default_factory=list)

    @property
    def is_packaged(self) -> bool:
        """Whether a package has brought the units."""
        return any((self.root / folder / SERVICE).exists() for folder in _PACKAGED)

    def install(self, program: Path, run_as: str, photos: list[str]) -> None:
        """Have the service, running. Raises StartError, ConfigError."""
        self._check()
        group = _group(run_as)
        if run_as == OWN_USER:
            self._put(_SYSUSERS, read("pixlsrve.sysusers"))
        else:
            tunnel_user = read("pixlsrve.sysusers").splitlines()[1]
            self._put(_SYSUSERS, f"{tunnel_user}\n")
        self._do("systemd-sysusers")
        settings.write(self.root / SERVICE_CONFIG.relative_to("/"), photos)
        if self.is_packaged:
            self._write_drop_ins(run_as, group)
        else:
            if self._is_live:
                place.check_reachable(program, run_as)
            for name in UNITS:
                self._put(_ETC / name, unit(name, program, run_as, group))
        self._do("systemctl", "daemon-reload")
        self._do("systemctl", "enable", SOCKET, SERVICE)
        self._do("systemctl", "restart", SOCKET, SERVICE)

    def uninstall(self) -> None:
        """Stop and remove what `install` made; settings and data stay. Raises StartError."""
        self._check()
        if not self.is_packaged and not (self.root / _ETC / SERVICE).exists():
            raise StartError("There is no service that `pixlsrve install` has made.")
        if not self.is_packaged:
            self._do("systemctl", "disable", "--now", SERVICE, SOCKET)
            self._do("systemctl", "stop", TUNNEL)
            for name in UNITS:
                (self.root / _ETC / name).unlink(missing_ok=True)
        self._remove_drop_ins()
        (self.root / _SYSUSERS).unlink(missing_ok=True)
        self._do("systemctl", "daemon-reload")
        if self.is_packaged:
            self._do("systemctl", "restart", SOCKET, SERVICE)
            self.said.append("The package's own service goes on; `apt-get remove pixlsrve` removes it.")
        self.said.append(f"Uploads, accounts and keys stay in {SERVICE_DATA_DIR}, settings in {SERVICE_CONFIG.parent}.")

    @property
    def _is_live(self) -> bool:
        return self.root == Path("/")

    def _check(self) -> None:
        """Raises StartError where no service can be made."""
        if self._is_live and not Path("/run/systemd/system").is_dir():
            raise StartError("This system is not run by systemd; start `pixlsrve serve` by its own means.")

    def _do(self, *command: str) -> None:
        if self._is_live:
            self.run(list(command))

    def _put(self, path: Path, text: str) -> None:
        """A file that others may read."""
        target = self.root / path
        target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        target.write_text(text, "utf-8")
        target.chmod(0o644)

    def _write_drop_ins(self, run_as: str, group: str) -> None:
        """The user, where it is not the package's."""
        if run_as == OWN_USER:
            self._remove_drop_ins()
            (self.root / _SYSUSERS).unlink(missing_ok=True)
            return
        helper = next(line for line in read(TUNNEL).splitlines() if line.startswith("ExecStart="))
        for name, text in (
            (SERVICE, f"[Service]\nUser={run_as}\nGroup={group}\n"),
            (TUNNEL, f"[Service]\nExecStart=\n{_for_user(helper, run_as)}\n"),
            (SOCKET, f"[Socket]\nSocketUser={run_as}\n"),
        ):
            self._put(_ETC / f"{name}.d" / _DROP_IN, text)

    def _remove_drop_ins(self) -> None:
        for name in UNITS:
            folder = self.root / _ETC / f"{name}.d"
            (folder / _DROP_IN).unlink(missing_ok=True)
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def read(name: str) -> str:
    """A file that belongs to the units."""
    return resources.files("pixlsrve").joinpath("installation/units", name).read_text("utf-8")


def unit(name: str, program: Path, run_as: str, group: str) -> str:
    """A unit that starts `program` for the user `run_as`. Raises StartError for a path that a unit can't hold."""
    text = str(program)
    if not text.isprintable() or set(text) & set("\"'\\%$ "):
        raise StartError(f"{program} has characters in its name that a unit can't hold; move it to another place.")
    lines = [line.replace("/usr/bin/pixlsrve", text) for line in read(name).splitlines()]
    replaced = {f"User={OWN_USER}": f"User={run_as}", f"Group={OWN_USER}": f"Group={group}"}
    replaced[f"SocketUser={OWN_USER}"] = f"SocketUser={run_as}"
    return "\n".join(_for_user(replaced.get(line, line), run_as) for line in lines) + "\n"


def _for_user(line: str, run_as: str) -> str:
    """A line of the helper's with the user that it serves."""
    return line.replace(f"--user {OWN_USER}", f"--user {run_as}") if line.startswith("ExecStart=") else line


def _group(user: str) -> str:
    """The main group of a user. Raises StartError where there is no such user."""
    if user == OWN_USER:
        return OWN_USER
    try:
        return grp.getgrgid(pwd.getpwnam(user).pw_gid).gr_name
    except KeyError as error:
        raise StartError(f"There is no user {user} on this system.") from error

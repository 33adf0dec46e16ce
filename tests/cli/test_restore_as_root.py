"""`sudo pixlsrve restore` and `backup` where the service's user has laid traps (T38)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pixlsrve import instance
from pixlsrve.store.backup.making import Source, make
from pixlsrve.store.backup.reading import read_archive
from tests.daemon import is_root
from tests.store.backup.kit import make_host

pytestmark = pytest.mark.skipif(not is_root(), reason="only root has rights to be taken")
USER, GROUP = 1234, 1235


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of root's that everybody may enter, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="pixlsrve-restore-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def _give(tree: Path) -> Path:
    """Let the service's user have a tree."""
    for path in (tree, *tree.rglob("*")):
        os.chown(path, USER, GROUP, follow_symlinks=False)
    return tree


def _backup(place: Path) -> Path:
    """A backup that only root may read."""
    host = make_host(place / "host")
    (host / "storage" / "uploads" / "phone").mkdir(parents=True)
    (host / "storage" / "uploads" / "phone" / "one.jpg").write_bytes(b"one")
    return make(Source(data_dir=host, program="0.1.0", storage=host / "storage"), place / "archive").path


def _restore(archive: Path, data_dir: Path) -> subprocess.CompletedProcess[str]:
    return _run("restore", data_dir, archive)


def _run(name: str, data_dir: Path, file: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pixlsrve", name, "--data-dir", str(data_dir), str(file), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_root_restores_with_the_rights_of_the_owner(place: Path) -> None:
    """T38: all that a restore by root leaves behind is the service user's, though only root may read the archive."""
    data_dir = _give(make_host(place / "data"))
    done = _restore(_backup(place), data_dir)
    assert done.returncode == 0, done.stderr
    assert (data_dir / "storage" / "uploads" / "phone" / "one.jpg").read_bytes() == b"one"
    assert {(path.stat().st_uid, path.stat().st_gid) for path in data_dir.rglob("*")} == {(USER, GROUP)}


def test_forged_restore_does_not_lead_root_elsewhere(place: Path) -> None:
    """T38: a `restoring.json` of the service user's can't have root give him, or fill, folders that are not his."""
    data_dir, roots = make_host(place / "data"), place / "etc"
    (roots / "cron.d").mkdir(parents=True)
    (data_dir / "evil" / ".restoring" / "cron.d").mkdir(parents=True)
    (data_dir / "evil" / ".restoring" / "cron.d" / "job").write_text("* * * * * root true\n")
    (data_dir / "evil" / "cron.d").symlink_to(roots / "cron.d")
    mark = {"phase": 1, "aside": str(roots), "storage": os.fsencode(data_dir / "evil").hex()}
    (data_dir / "restoring.json").write_text(json.dumps(mark))
    done = _restore(_backup(place), _give(data_dir))
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert [path.name for path in roots.rglob("*")] == ["cron.d"]
    assert {path.stat().st_uid for path in (roots, roots / "cron.d")} == {0}


def test_links_do_not_lead_root_elsewhere(place: Path) -> None:
    """T38: neither the lock nor the folders of uploads can be links that have root write to other places."""
    data_dir, roots = make_host(place / "data"), place / "etc"
    (roots / "phone").mkdir(parents=True)
    (roots / "passwd").write_text("root:x:0:0\n")
    (data_dir / "storage").mkdir()
    (data_dir / "storage" / "uploads").symlink_to(roots)
    archive = _backup(place)
    assert _restore(archive, _give(data_dir)).returncode != 0
    (data_dir / "lock").unlink()
    (data_dir / "lock").symlink_to(roots / "passwd")
    assert _restore(archive, _give(data_dir)).returncode != 0
    assert (roots / "passwd").read_text() == "root:x:0:0\n"
    assert list((roots / "phone").iterdir()) == []


def test_storage_is_made_only_where_the_owner_may(place: Path) -> None:
    """T38: a storage directory that a settings file of the service user's names is not made by root."""
    data_dir, elsewhere = make_host(place / "data"), place / "etc" / "systemd.d"
    archive = _backup(place)
    (data_dir / "settings.toml").write_text(f'storage_dir = "{elsewhere}"\n')
    done = _restore(archive, _give(data_dir))
    assert done.returncode != 0
    assert f"install -d -o {USER} -m 0750 {elsewhere}" in done.stderr
    assert not elsewhere.parent.exists()


def test_backup_reads_with_the_rights_of_the_owner(place: Path) -> None:
    """T38: root's backup holds nothing that only root may read, and only root may read the backup."""
    data_dir, secret = make_host(place / "data"), place / "shadow"
    secret.write_text("rescan_interval_s = 700\n")
    secret.chmod(0o600)
    config = place / "pixlsrve.toml"
    config.write_text("rescan_interval_s = 900\n")
    config.chmod(0o600)
    _give(data_dir)
    whole = _run("backup", data_dir, place / "whole", "--config", str(config), "--with-uploads")
    assert whole.returncode == 0, whole.stderr
    facts = (place / "whole").stat()
    assert (facts.st_uid, facts.st_mode & 0o777) == (0, 0o600)
    assert {member.name for member in read_archive(place / "whole").members} >= {"state.db", "pixlsrve.toml"}
    assert not list(data_dir.glob(".backup-*"))
    (data_dir / "settings.toml").unlink()
    (data_dir / "settings.toml").symlink_to(secret)
    assert _run("backup", data_dir, place / "poor").returncode != 0
    assert not (place / "poor").exists()


def test_rights_come_back(place: Path) -> None:
    """T38: the owner's rights end with the block, whatever happens in it."""
    folder = place / "folder"
    folder.mkdir()
    os.chown(folder, USER, GROUP)
    before = os.getgroups()
    inside = []

    def fail() -> None:
        with instance.as_owner(folder):
            inside.append((os.geteuid(), os.getegid(), os.getgroups()))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [(USER, GROUP, [GROUP])]
    assert (os.geteuid(), os.getegid(), os.getgroups()) == (0, 0, before)

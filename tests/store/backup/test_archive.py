"""Archives: made, read back, and refused when they are damaged, foreign, newer or hostile."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import os
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pixlsrve.errors import Conflict, StorageError, StorageFull
from pixlsrve.store.backup import restoring, writing
from pixlsrve.store.backup.layout import HEADER, MANIFEST, BackupRefused, kind_of
from pixlsrve.store.backup.making import Source, check_target, make
from pixlsrve.store.backup.reading import read_archive
from pixlsrve.store.database import DatabaseDamaged
from pixlsrve.store.recovery import INDEX, STATE, prepare
from tests.daemon import is_root
from tests.store.backup.kit import make_host, rows


def _source(data_dir: Path, storage: Path | None = None) -> Source:
    return Source(data_dir=data_dir, program="0.1.0", storage=storage)


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """A data directory with state, index, keys and settings."""
    return make_host(tmp_path / "data")


@pytest.fixture
def backup(host: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    return make(_source(host), tmp_path / "backup").path


def _members(path: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(path) as archive:
        return [(entry, archive.extractfile(entry).read()) for entry in archive]  # type: ignore[union-attr]  # files


def _write(path: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> Path:
    with tarfile.open(path, "w:gz", format=tarfile.GNU_FORMAT) as archive:
        for entry, content in members:
            archive.addfile(entry, io.BytesIO(content))
    return path


def _entry(name: str, content: bytes = b"", **more: object) -> tuple[tarfile.TarInfo, bytes]:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    for key, value in more.items():
        setattr(entry, key, value)
    return entry, content


def test_backup_holds_what_can_not_be_made_again(host: Path, backup: Path) -> None:
    """State, index, keys and settings are in one private file, with a manifest of their hashes."""
    assert backup.stat().st_mode & 0o777 == 0o600
    contents = read_archive(backup)
    assert {member.name for member in contents.members} == {STATE, INDEX, "keys/token.key", "settings.toml"}
    assert contents.header.host_id == "host-1"
    assert [entry.name for entry, _ in _members(backup)][::5] == [HEADER, MANIFEST]


def test_every_flipped_or_missing_byte_is_found(backup: Path, tmp_path: Path) -> None:
    """A backup that lost its end, or one bit anywhere, is not taken for a sound one."""
    content = backup.read_bytes()
    broken = tmp_path / "broken"
    for length in (*range(0, len(content), len(content) // 40), *range(len(content) - 30, len(content))):
        broken.write_bytes(content[:length])
        with pytest.raises(BackupRefused):
            read_archive(broken)
    plain = gzip.decompress(content)
    with tarfile.open(backup) as archive:
        places = [entry.offset_data + entry.size // 2 for entry in archive]
    for place in places:
        broken.write_bytes(plain[:place] + bytes([plain[place] ^ 1]) + plain[place + 1 :])
        with pytest.raises(BackupRefused):
            read_archive(broken)
    padding = plain.index(b"\0" * 512, places[-1]) + 512
    packed = bytearray(gzip.compress(plain[:padding] + b"\1" + plain[padding + 1 :]))
    packed[-8:] = content[-8:]
    broken.write_bytes(packed)
    with pytest.raises(BackupRefused):
        read_archive(broken)


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b but no gzip", b"\0" * 20_000, os.urandom(5_000)])
def test_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """What is no backup is called so."""
    (tmp_path / "foreign").write_bytes(content)
    with pytest.raises(BackupRefused):
        read_archive(tmp_path / "foreign")
    with pytest.raises(BackupRefused):
        read_archive(tmp_path / "missing")
    with pytest.raises(BackupRefused):
        read_archive(tmp_path)


@pytest.mark.parametrize(
    "name",
    [
        "../state.db",
        "/etc/passwd",
        "keys/../../x",
        "keys/.hidden",
        "keys/a/b",
        "storage/../x",
        "storage/uploads/../../x",
        "storage/other/x",
        "storage//uploads/x",
        "storage/uploads/./x",
        "storage/uploads/",
        "anything",
        "storage/uploads",
    ],
)
def test_names_that_no_backup_has_are_refused(backup: Path, tmp_path: Path, name: str) -> None:
    """T19: nothing in an archive says where it is written."""
    members = _members(backup)
    hostile = _write(tmp_path / "hostile", [members[0], _entry(name, b"x"), *members[1:]])
    with pytest.raises(BackupRefused):
        read_archive(hostile)
    with pytest.raises(BackupRefused):
        kind_of(name)


@pytest.mark.parametrize(
    "type_", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.DIRTYPE]
)
def test_links_and_devices_are_refused(backup: Path, tmp_path: Path, type_: bytes) -> None:
    """T19: only ordinary files are taken from an archive."""
    members = _members(backup)
    link = _entry("keys/link", type=type_, linkname="/etc/shadow")
    with pytest.raises(BackupRefused, match="no ordinary file"):
        read_archive(_write(tmp_path / "hostile", [members[0], link, *members[1:]]))


def test_nested_without_end_is_refused(backup: Path, tmp_path: Path) -> None:
    """T19: neither long names of long names nor a header of brackets end in anything but a refusal."""
    names = [_entry("././@LongLink", b"a" * 600, type=tarfile.GNUTYPE_LONGNAME)] * 3000
    with pytest.raises(BackupRefused):
        read_archive(_write(tmp_path / "names", [*names, *_members(backup)]))
    with pytest.raises(BackupRefused):
        read_archive(_write(tmp_path / "brackets", [_entry(HEADER, b"[" * 500_000)]))


def test_bombs_end_early(backup: Path, tmp_path: Path) -> None:
    """T19: a small file that expands without end is refused before it fills a disk or the memory."""
    members = _members(backup)
    bomb = _write(tmp_path / "bomb", [members[0], _entry("index.db", bytes(200 << 20)), *members[1:]])
    assert bomb.stat().st_size < 1 << 20
    with pytest.raises(BackupRefused, match="expands"):
        read_archive(bomb)
    long_name = _write(tmp_path / "long", [members[0], _entry("x" * (8 << 20), b"x")])
    with pytest.raises(BackupRefused):
        read_archive(long_name)
    large_key = _write(tmp_path / "key", [members[0], _entry("keys/token.key", bytes(2 << 20))])
    with pytest.raises(BackupRefused, match="too large"):
        read_archive(large_key)


def _changed(change: Callable[[dict[str, object]], None], content: bytes) -> bytes:
    given = json.loads(content)
    change(given)
    return json.dumps(given).encode()


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.update(format=2),
        lambda header: header.update(schemas={"state.db": 99}),
        lambda header: header.update(schemas={"index.db": 99}),
    ],
)
def test_newer_backup_is_refused(backup: Path, tmp_path: Path, change: Callable[[dict[str, object]], None]) -> None:
    """A backup of a newer program says which way to go on."""
    (entry, content), *rest = _members(backup)
    newer = _write(tmp_path / "newer", [_entry(entry.name, _changed(change, content)), *rest])
    with pytest.raises(BackupRefused, match="newer"):
        read_archive(newer)


def test_manifest_and_contents_must_agree(backup: Path, tmp_path: Path) -> None:
    """What was added, left out, repeated or put behind the end is noticed."""
    header, *middle, manifest = _members(backup)
    extra = _entry("keys/extra", b"x")
    for members in (
        [header, *middle, extra, manifest],
        [header, *middle[1:], manifest],
        [header, *middle, middle[-1], manifest],
        [header, *middle, manifest, extra],
        [header, *middle],
        [*middle, header, manifest],
    ):
        with pytest.raises(BackupRefused):
            read_archive(_write(tmp_path / "other", members))


def _forge(backup: Path, target: Path, name: str, content: bytes) -> Path:
    """A backup with other content, its manifest in order: whoever forges one can do that."""
    members = []
    for entry, old in _members(backup):
        if entry.name == name:
            members.append(_entry(name, content))
        elif entry.name == MANIFEST:
            given = json.loads(old)
            for member in given["members"]:
                if member["name"] == name:
                    member.update(size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
            members.append(_entry(MANIFEST, json.dumps(given).encode()))
        else:
            members.append((entry, old))
    return _write(target, members)


def test_forged_database_is_refused_and_nothing_has_changed(host: Path, backup: Path, tmp_path: Path) -> None:
    """T39: a database with triggers of its own, of another program or without order is not put in place."""
    forged = tmp_path / "forged.db"
    forged.write_bytes(next(content for entry, content in _members(backup) if entry.name == STATE))
    with contextlib.closing(sqlite3.connect(forged)) as connection:
        connection.execute("CREATE TRIGGER evil AFTER INSERT ON meta BEGIN DELETE FROM device; END")
    before = {path.name: path.read_bytes() for path in host.iterdir() if path.is_file()}
    for content in (forged.read_bytes(), b"SQLite format 3\0" + bytes(4_080), b"no database"):
        archive = _forge(backup, tmp_path / "forged", STATE, content)
        read_archive(archive)
        with pytest.raises(BackupRefused):
            restoring.restore(archive, host, host / "storage")
        assert {path.name: path.read_bytes() for path in host.iterdir() if path.is_file()} == before
        assert not (host / restoring.STAGE).exists()


def test_damaged_state_is_not_saved_but_a_damaged_index_is_left_out(host: Path, tmp_path: Path) -> None:
    """A backup is never made of a damaged state; the index can be made again."""
    for name in (INDEX, STATE):
        path = host / name
        path.write_bytes(path.read_bytes()[:100] + b"\xa5" * (path.stat().st_size - 100))
        if name == INDEX:
            made = make(_source(host), tmp_path / "without")
            assert len(made.left_out) == 1
            assert INDEX not in {member.name for member in made.members}
    with pytest.raises(DatabaseDamaged):
        make(_source(host), tmp_path / "damaged")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "without"]


def test_targets_are_checked(host: Path, backup: Path, tmp_path: Path) -> None:
    """A backup overwrites nothing, also when the file appears meanwhile, and links lead nowhere."""
    with pytest.raises(Conflict):
        check_target(backup, [])
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(Conflict):
        check_target(tmp_path / "link", [])
    (tmp_path / "way").symlink_to(host)
    with pytest.raises(StorageError, match="data directory"):
        check_target(tmp_path / "way" / "x", [("data directory", host)])
    before = backup.read_bytes()
    with pytest.raises(Conflict):
        make(_source(host), backup)
    assert backup.read_bytes() == before


def test_full_disk_is_named(host: Path) -> None:
    """A disk without room is called full, and nothing is left on it."""
    with (
        pytest.raises(StorageFull, match="/dev/full"),
        writing.refusals(Path("/dev/full")),
        Path("/dev/full").open("wb") as file,
    ):
        file.write(b"x" * 100_000)


def test_names_that_are_not_utf8_survive(host: Path, tmp_path: Path) -> None:
    """Uploads come back with their names, times and contents, whatever bytes the names are."""
    storage = host / "storage"
    names = [
        b"uploads/2024/" + name for name in (b"plain.jpg", b"caf\xe9.jpg", b"n" * 200 + b".jpg", b"line\nfeed.jpg")
    ]
    for number, name in enumerate(names):
        path = Path(os.fsdecode(os.fsencode(storage) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content %d" % number)
        os.utime(path, ns=(1, 1_700_000_000_123_456_789 + number))
    (storage / "uploads" / ".incoming").mkdir()
    (storage / "uploads" / ".incoming" / "half").write_bytes(b"half")
    made = make(_source(host, storage), tmp_path / "all")
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    plan = restoring.restore(made.path, other, other / "storage")
    assert (plan.uploads, plan.uploads_there) == (4, 0)
    for number, name in enumerate(names):
        path = Path(os.fsdecode(os.fsencode(other / "storage") + b"/" + name))
        assert path.read_bytes() == b"content %d" % number
        assert path.stat().st_mtime_ns == 1_700_000_000_123_456_789 + number
        assert path.stat().st_mode & 0o777 == 0o640
    assert not (other / "storage" / "uploads" / ".incoming" / "half").exists()
    assert rows(other / STATE, "SELECT value FROM meta WHERE key = 'host_id'") == [(b"host-1",)]
    prepare(other)


def test_restored_files_belong_to_whom_the_folder_does(host: Path, tmp_path: Path) -> None:
    """Restored by root, the service's user can still use everything."""
    (host / "storage" / "uploads" / "2024").mkdir(parents=True)
    (host / "storage" / "uploads" / "2024" / "one.jpg").write_bytes(b"one")
    made = make(_source(host, host / "storage"), tmp_path / "all")
    other = make_host(tmp_path / "other", host_id="host-2")
    if is_root():
        for path in (other, *other.rglob("*")):
            os.chown(path, 1234, 1235)
    restoring.make_storage(other / "storage", other)
    restoring.restore(made.path, other, other / "storage")
    owner = other.stat()
    found = list(other.rglob("*"))
    assert len(found) > 10
    for path in found:
        facts = path.stat()
        assert (facts.st_uid, facts.st_gid) == (owner.st_uid, owner.st_gid), path
        assert facts.st_mode & 0o007 == 0 or "before-restore-" in str(path), path


def test_restored_uploads_put_nothing_away_for_good(host: Path, tmp_path: Path) -> None:
    """A file that is there with the same content stays; another one with the name is kept aside."""
    storage = host / "storage"
    (storage / "uploads").mkdir(parents=True)
    for name in ("same.jpg", "other.jpg"):
        (storage / "uploads" / name).write_bytes(b"saved " + name.encode())
    made = make(_source(host, storage), tmp_path / "all")
    (storage / "uploads" / "other.jpg").write_bytes(b"changed since")
    (storage / "uploads" / "later.jpg").write_bytes(b"later")
    plan = restoring.restore(made.path, host, storage)
    assert (plan.uploads, plan.uploads_there) == (2, 1)
    assert (storage / "uploads" / "other.jpg").read_bytes() == b"saved other.jpg"
    assert (storage / "uploads" / "later.jpg").read_bytes() == b"later"
    assert plan.aside is not None
    assert (plan.aside / "storage" / "uploads" / "other.jpg").read_bytes() == b"changed since"


@pytest.mark.parametrize("step", range(14))
def test_interrupted_restore_is_finished(
    host: Path, backup: Path, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill at any rename of a restore leaves a directory that the next start brings to its end."""
    other = make_host(tmp_path / "other", host_id="host-2")
    kept = (other / STATE).read_bytes()
    left = step
    original = restoring._move

    class Killed(BaseException):
        """Stands for the kill."""

    def stumble(path: Path, target: Path) -> None:
        nonlocal left
        if left == 0:
            raise Killed
        left -= 1
        original(path, target)

    monkeypatch.setattr(restoring, "_move", stumble)
    with pytest.raises(Killed):
        restoring.restore(backup, other, other / "storage")
    monkeypatch.undo()
    assert restoring.finish(other)
    assert not restoring.finish(other)
    assert rows(other / STATE, "SELECT value FROM meta WHERE key = 'host_id'") == [(b"host-1",)]
    assert (other / "keys" / "token.key").read_bytes() == (host / "keys" / "token.key").read_bytes()
    (aside,) = other.glob("before-restore-*")
    assert (aside / STATE).read_bytes() == kept
    prepare(other)

"""The gallery's settings: what may be changed there, what is refused and why, and what the file says afterwards."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pixlsrve.config import Config, load
from pixlsrve.errors import ConfigError, Conflict, InvalidInput, NotPermitted
from pixlsrve.settings import CHANGEABLE, Source, Sources, change, differing, entries, source_of, write

DANGEROUS = {
    "data_dir",
    "storage_dir",
    "photos",
    "http.host",
    "http.port",
    "http.tls",
    "http.tls_port",
    "http.tls_cert",
    "http.tls_key",
    "http.trusted_proxies",
    "rate_limits.auth",
    "rate_limits.other",
    "compat.open_media_api",
    "compat.websocket_host",
    "compat.drop_group",
    "wireguard.lan_access",
    "wireguard.network",
    "backup.directory",
    "backup.keep_daily",
    "index.max_pixels",
}


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    """A settings file that says little, and an empty data directory."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "pixlsrve.toml"
    file.write_text('[mdns]\nname = "File"\n')
    return Sources(flags={"data_dir": str(tmp_path / "data")}, file=file, env={"PIXLSRVE_LOG__LEVEL": "debug"})


def save(sources: Sources, **changes: Any) -> Config:
    """Change, write, and load as the daemon does. `__` stands for the dot."""
    named = {key.replace("__", "."): value for key, value in changes.items()}
    write(change(sources.layers(), named, {}))
    return load(flags=sources.flags, file=sources.file, env=sources.env)


def test_change_is_loaded_and_taken_back(sources: Sources, tmp_path: Path) -> None:
    """A change wins over the settings file and is told as the page's; None lets the file or the default speak."""
    config = save(sources, mdns__name="Page", rescan_interval_s=60, http__hosts=["photos.example"], dns__enabled=False)
    assert (config.mdns.name, config.rescan_interval_s, config.http.hosts) == ("Page", 60, ["photos.example"])
    assert config.dns.enabled is False
    file = tmp_path / "data" / "settings.toml"
    assert file.stat().st_mode & 0o777 == 0o600
    layers = sources.layers()
    found = {key: source_of(key, layers) for key in ("mdns.name", "log.level", "data_dir", "dns.upstream")}
    assert found == {
        "mdns.name": Source.PAGE,
        "log.level": Source.ENVIRONMENT,
        "data_dir": Source.OPTIONS,
        "dns.upstream": Source.DEFAULT,
    }
    config = save(sources, mdns__name=None, rescan_interval_s=None, http__public_url=None)
    assert (config.mdns.name, config.rescan_interval_s) == ("File", 3600)
    assert source_of("mdns.name", sources.layers()) is Source.FILE
    assert [path.name for path in file.parent.iterdir()] == ["settings.toml"]


@pytest.mark.parametrize(
    "written",
    [
        '# mine\nmdns.name = "a"\nphotos = []\n',
        '# mine\nmdns = { name = "a" }\nphotos = []\n',
        '# mine\nphotos = []\n[http]\nhosts = [\n  "b",\n  "c"\n]\n[mdns]\nname = "a" # mine\n[log]\nformat = "text"\n',
        "",
    ],
)
def test_what_else_stands_in_the_file_stays(sources: Sources, tmp_path: Path, written: str) -> None:
    """Comments, order and keys that are not for the page outlive changes, however the file is written."""
    file = tmp_path / "data" / "settings.toml"
    file.write_text(written)
    config = save(sources, mdns__name='say "b"', mdns__enabled=False, http__hosts=["d"], rescan_interval_s=5)
    assert (config.mdns.name, config.mdns.enabled, config.http.hosts) == ('say "b"', False, ["d"])
    text = file.read_text()
    said = tomllib.loads(text)
    before = tomllib.loads(written)
    assert text.count("mine") == written.count("mine")
    assert said["rescan_interval_s"] == 5
    assert {key: said[key] for key in ("photos", "log") if key in before} == {
        key: before[key] for key in ("photos", "log") if key in before
    }


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("rescan_interval_s", -1, "from 0 to 31536000"),
        ("rescan_interval_s", "soon", "whole number"),
        ("rescan_interval_s", True, "whole number"),
        ("uploads.quota_mb", 1 << 70, "whole number"),
        ("uploads.reserve_mb", 1.5, "whole number"),
        ("accounts.registration", "anybody", "closed, invite, open"),
        ("rate_limits.search", "fast", "60/minute"),
        ("rate_limits.search", "0/minute", "60/minute"),
        ("mdns.enabled", "perhaps", "true or false"),
        ("mdns.name", ["a"], "text"),
        ("mdns.name", "a\nb", "text"),
        ("mdns.name", "x" * 2_000, "text"),
        ("http.hosts", "one.example", "list"),
        ("http.hosts", [1], "list"),
        ("http.hosts", ["a"] * 101, "list"),
        ("http.hosts", {"a": "b"}, "list"),
        ("log.level", None, ""),
    ],
)
def test_bad_value_is_refused(sources: Sources, key: str, value: Any, allowed: str) -> None:
    """T18: a value that the start would refuse is refused, and the details name key, value and what is allowed."""
    if value is None:
        with pytest.raises(Conflict):
            change(sources.layers(), {key: value}, {})
        return
    with pytest.raises(InvalidInput) as caught:
        change(sources.layers(), {key: value}, {})
    assert caught.value.reason == "invalid_setting"
    assert caught.value.details["key"] == key
    assert allowed in str(caught.value.details["allowed"])
    assert str(caught.value.details["value"])[:3] in str(value)
    assert key in caught.value.message


def test_checks_of_other_parts_count(sources: Sources) -> None:
    """What a part of the program can't use is refused with that part's words."""

    def refuse(config: Config) -> None:
        raise ConfigError(f"Not {config.dns.upstream}.")

    with pytest.raises(InvalidInput, match="Not \\['x'\\]"):
        change(sources.layers(), {"dns.upstream": ["x"]}, {"dns.upstream": refuse})
    change(sources.layers(), {"mdns.name": "x"}, {"dns.upstream": refuse})


@pytest.mark.parametrize("key", sorted(DANGEROUS))
def test_page_can_not_win_the_host(sources: Sources, key: str) -> None:
    """T16: no folder, file, listener, proxy, network or limit of guessing is changed from a browser."""
    with pytest.raises(NotPermitted) as caught:
        change(sources.layers(), {key: None}, {})
    assert caught.value.reason == "not_changeable"


def test_list_of_the_changeable_is_deliberate(sources: Sources) -> None:
    """Each changeable key exists, has a control that fits its type, and names no path and no secret."""
    found = {entry.key: entry.control for entry in entries(sources.load())}
    assert set(found) >= CHANGEABLE
    assert {key for key, control in found.items() if control} == CHANGEABLE
    assert not [key for key in CHANGEABLE if key.endswith(("_dir", "_file", "_cert", "_key", "directory"))]
    assert {key: found[key].kind for key in ("mdns.enabled", "log.level", "rate_limits.browse")} == {  # type: ignore[union-attr]
        "mdns.enabled": "switch",
        "log.level": "choice",
        "rate_limits.browse": "rate",
    }
    for key in CHANGEABLE:
        control = found[key]
        assert control is not None
        assert control.kind != "number" or (control.minimum is not None and control.maximum is not None), key
        assert control.allowed()


def test_what_is_said_elsewhere_is_refused(sources: Sources) -> None:
    """What the environment or an option says is not changed in vain: the refusal names who says it."""
    with pytest.raises(Conflict, match="PIXLSRVE_LOG__LEVEL") as caught:
        change(sources.layers(), {"log.level": "info"}, {})
    assert caught.value.details == {"key": "log.level", "source": Source.ENVIRONMENT}
    options = msgspec.structs.replace(sources, flags={**sources.flags, "mdns": {"enabled": False}})
    with pytest.raises(Conflict, match="options of the start"):
        change(options.layers(), {"mdns.enabled": True}, {})


def test_unknown_key_is_refused(sources: Sources) -> None:
    """A key that is none is refused by its name."""
    for key in ("colour", "http", "http.", "", "social.google.client_id", "mdns.name.x"):
        with pytest.raises(InvalidInput, match="no setting"):
            change(sources.layers(), {key: 1}, {})


def test_bad_file_is_not_made_worse(sources: Sources, tmp_path: Path) -> None:
    """Where the settings can't be used as they are, a change says so and leaves the file alone."""
    file = tmp_path / "data" / "settings.toml"
    file.write_text("[mdns]\nnaem = 1\n")
    with pytest.raises(Conflict, match="naem"):
        change(sources.layers(), {"mdns.name": "x"}, {})
    assert file.read_text() == "[mdns]\nnaem = 1\n"


def test_differences_are_named(sources: Sources) -> None:
    """Two sets of settings differ in the keys that differ."""
    before = sources.load()
    assert differing(before, before) == []
    assert differing(before, save(sources, mdns__name="x", http__hosts=["y"])) == ["http.hosts", "mdns.name"]

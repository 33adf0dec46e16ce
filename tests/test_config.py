"""Settings: where they come from, which wins, and what a wrong one says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pixlsrve import config
from pixlsrve.config import Config, find_data_dir, load
from pixlsrve.errors import ConfigError


@pytest.fixture(autouse=True)
def no_default_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own user may have a settings file."""
    monkeypatch.setattr(config, "default_config_file", lambda: None)


def _load(tmp_path: Path, *, toml: str = "", env: dict[str, str] | None = None, **flags: Any) -> Config:
    file = tmp_path / "pixlsrve.toml"
    file.write_text(toml)
    return load(flags={"data_dir": str(tmp_path / "data"), **flags}, file=file, env=env or {})


def test_defaults_are_those_of_the_contract(tmp_path: Path) -> None:
    """DESIGN section 2: the defaults."""
    settings = _load(tmp_path)
    assert (settings.http.host, settings.http.port, settings.http.tls_port) == ("", 8080, 8443)
    assert settings.rescan_interval_s == 3600
    assert settings.rate_limits.photos == "100/minute"
    assert settings.storage_path == tmp_path / "data" / "storage"
    assert settings.accounts.registration == "closed"


def test_flags_win_over_environment_gallery_and_file(tmp_path: Path) -> None:
    """Flags > environment > gallery settings > file > defaults."""
    (tmp_path / "data").mkdir()
    settings_file = tmp_path / "data" / "settings.toml"
    toml = "rescan_interval_s = 1\n[http]\nport = 1"
    assert _load(tmp_path, toml=toml).http.port == 1
    settings_file.write_text("[http]\nport = 2")
    assert _load(tmp_path, toml=toml).http.port == 2
    env = {"PIXLSRVE_HTTP__PORT": "3"}
    assert _load(tmp_path, toml=toml, env=env).http.port == 3
    both = _load(tmp_path, toml=toml, env=env, http={"port": 4})
    assert (both.http.port, both.rescan_interval_s) == (4, 1)


def test_environment_takes_lists_numbers_and_booleans(tmp_path: Path) -> None:
    """PIXLSRVE_... variables become what the setting is."""
    env = {
        "PIXLSRVE_PHOTOS": f"{tmp_path}/a:{tmp_path}/b",
        "PIXLSRVE_HTTP__HOSTS": "one.example,two.example",
        "PIXLSRVE_HTTP__TLS": "false",
        "PIXLSRVE_INDEX__WORKER_SECONDS": "1.5",
    }
    settings = _load(tmp_path, env=env)
    assert settings.photos == [f"{tmp_path}/a", f"{tmp_path}/b"]
    assert settings.http.hosts == ["one.example", "two.example"]
    assert settings.http.tls is False
    assert settings.index.worker_seconds == 1.5


def test_folders_in_the_environment_are_separated_by_colons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/configuration.md: lists of folders are separated by colons, however their names begin."""
    monkeypatch.chdir(tmp_path)
    settings = _load(tmp_path, env={"PIXLSRVE_PHOTOS": "Pictures:Films, old"})
    assert settings.photos == [f"{tmp_path}/Pictures", f"{tmp_path}/Films, old"]


@pytest.mark.parametrize(
    ("toml", "env", "words"),
    [
        ("colour = 1", {}, ["colour (1)", "photos"]),
        ("[http]\nprot = 9000", {}, ["http.prot (9000)", "port"]),
        ("[nothing]\nx = 1", {}, ["nothing;"]),
        ("[http]\nport = 70000", {}, ["http.port", "70000", "65535"]),
        ('[http]\nport = "many"', {}, ["http.port", "many"]),
        ('[rate_limits]\nphotos = "fast"', {}, ["rate_limits.photos", "fast", '"off"', "60/minute"]),
        ('[accounts]\nregistration = "yes"', {}, ["accounts.registration", "yes", '"closed", "invite", "open"']),
        ("storage_dir = 5", {}, ["storage_dir", "5", "a folder's path"]),
        ('storage_dir = "~nobody-here/x"', {}, ["storage_dir", "~nobody-here/x", "a folder's path"]),
        ('photos = ["~nobody-here/x"]', {}, ["photos", "~nobody-here/x", "a folder's path"]),
        ('photos = [""]', {}, ["photos", "''", "a folder's path"]),
        ('photos = ["a\\u0000"]', {}, ["photos", "a\\x00", "a folder's path"]),
        ('[backup]\ndirectory = "~nobody-here/x"', {}, ["backup.directory", "~nobody-here/x", "a folder's path"]),
        ("photos = 5", {}, ["photos", "5", "a list of texts"]),
        ('photos = ["a", 5]', {}, ["photos", "['a', 5]", "a list of texts"]),
        ("http = 5", {}, ["http", "5", "tls_port"]),
        ('[http]\ntls = "maybe"', {}, ["http.tls", "maybe", "true or false"]),
        ("[index]\nworker_seconds = 0", {}, ["index.worker_seconds", "a number from 1 to 3600"]),
        ('[wireguard]\ninterface = "a b"', {}, ["wireguard.interface", "a b", "1 to 15 letters"]),
        ('[social.good]\nclient_id = "x"\n[social.google]\nid = 1', {}, ["social.google.id (1);", "client_id"]),
        ('[social.google]\nissuer = "x"', {}, ["social.google.client_id is missing", "text"]),
        ("[social.google]\nclient_id = 5", {}, ["social.google.client_id", "5", "text"]),
        ('social = "x"', {}, ["social", "x", "client_id"]),
        ("photos = [", {}, ["not valid TOML"]),
        ("", {"PIXLSRVE_COLOUR": "red"}, ["colour"]),
        ("", {"PIXLSRVE_HTTP": "x"}, ["http"]),
        ("", {"PIXLSRVE_HTTP": "x", "PIXLSRVE_HTTP__PORT": "1"}, ["PIXLSRVE_HTTP"]),
        ("", {"PIXLSRVE_HTTP__PORT": "1", "PIXLSRVE_HTTP": "x"}, ["PIXLSRVE_HTTP"]),
        ("", {"PIXLSRVE_RESCAN_INTERVAL_S": "-1"}, ["rescan_interval_s", "-1"]),
    ],
)
def test_wrong_setting_is_named_with_its_value(
    tmp_path: Path, toml: str, env: dict[str, str], words: list[str]
) -> None:
    """An unknown key or a bad value stops the start with the key, the value, and what is allowed."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, toml=toml, env=env)
    for word in words:
        assert word in caught.value.message


@pytest.mark.parametrize("toml", ["data_dir = 5", 'data_dir = "~nobody-here/x"'])
def test_data_directory_that_is_no_path_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str) -> None:
    """The daemon and the commands that look for it say so in the same words."""
    file = tmp_path / "pixlsrve.toml"
    file.write_text(toml)
    monkeypatch.setattr(config, "default_config_file", lambda: file)
    for find in (lambda: load(env={}), lambda: find_data_dir(env={})):
        with pytest.raises(ConfigError, match="data_dir has the bad value"):
            find()


@pytest.mark.parametrize(
    ("toml", "key"),
    [
        ('[social.google]\nclient_id = "x"\nclient_secret = "canary"', "social.google.client_secret;"),
        ('[socail.google]\nclient_secret = "canary"', "socail;"),
    ],
)
def test_value_that_may_be_a_secret_is_not_told(tmp_path: Path, toml: str, key: str) -> None:
    """Who writes the secret itself where its file is to be named does not find it in the log (THREATS T37)."""
    with pytest.raises(ConfigError) as caught:
        _load(tmp_path, toml=toml)
    assert key in caught.value.message
    assert "canary" not in caught.value.message


@pytest.mark.parametrize(
    ("photos", "storage"),
    [
        (["data"], None),
        (["data/storage"], None),
        (["."], None),
        (["a", "a/b"], None),
        (["a"], "a/uploads"),
        (["a", "link"], None),
        (["x"], "data"),
    ],
)
def test_overlapping_directories_are_refused(tmp_path: Path, photos: list[str], storage: str | None) -> None:
    """Photo, storage and data directories hold one another never, links followed."""
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    flags: dict[str, Any] = {"photos": [str(tmp_path / name) for name in photos]}
    if storage:
        flags["storage_dir"] = str(tmp_path / storage)
    with pytest.raises(ConfigError):
        _load(tmp_path, **flags)


def test_storage_directory_may_be_a_photo_root(tmp_path: Path) -> None:
    """DESIGN section 9: users of the media server keep their photos there."""
    shared = str(tmp_path / "shared")
    assert _load(tmp_path, photos=[shared], storage_dir=shared).photos == [shared]


def test_link_that_leads_in_a_circle_is_no_crash(tmp_path: Path) -> None:
    """A photo folder that can't be resolved is dealt with when it is looked for."""
    (tmp_path / "loop").symlink_to("loop")
    assert _load(tmp_path, photos=[str(tmp_path / "loop")]).photos


def test_port_0_frees_the_port_of_https_too(tmp_path: Path) -> None:
    """DESIGN section 9: with port 0 nothing is at a fixed port."""
    assert _load(tmp_path, http={"port": 0}).http.tls_port == 0


def test_data_directory_of_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command finds the daemon's directory as the daemon does: named, environment, settings file, default."""
    file = tmp_path / "pixlsrve.toml"
    file.write_text(f'data_dir = "{tmp_path}/from-file"')
    monkeypatch.setattr(config, "default_config_file", lambda: file)
    assert find_data_dir(tmp_path / "named", env={"PIXLSRVE_DATA_DIR": "/x"}) == tmp_path / "named"
    assert find_data_dir(env={"PIXLSRVE_DATA_DIR": str(tmp_path / "env")}) == tmp_path / "env"
    assert find_data_dir(env={}) == tmp_path / "from-file"

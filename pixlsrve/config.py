"""Settings: every key with its default once; flags > environment > data directory's TOML > TOML file > defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
import platformdirs
from msgspec import Meta

from pixlsrve.config_words import explain
from pixlsrve.errors import ConfigError

Port = Annotated[int, Meta(ge=0, le=65535)]
Rate = Annotated[str, Meta(pattern=r"^(off|[1-9][0-9]{0,8}/(second|minute|hour|day))$")]
MOST_MB = 1 << 30
SERVICE_DATA_DIR = Path("/var/lib/pixlsrve")
SERVICE_CONFIG = Path("/etc/pixlsrve/pixlsrve.toml")
SETTINGS_FILE = "settings.toml"
NO_SETTINGS = ("PIXLSRVE_TEST_", "PIXLSRVE_TUNNEL_SOCKET")
"""Variables that are for the tests, and for the service's unit (`wg.helper`)."""


class HttpConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[http]: the listeners."""

    host: str = ""
    """Address to listen on; empty for all, IPv4 and IPv6."""
    port: Port = 8080
    """Port of HTTP; 0 picks free ones for HTTPS and the broadcast websocket too."""
    tls: bool = True
    """Serve HTTPS beside HTTP."""
    tls_port: Port = 8443
    """Port of HTTPS."""
    tls_cert: str = ""
    """PEM file with the owner's certificate chain; empty for the host's own."""
    tls_key: str = ""
    """PEM file with the key of tls_cert."""
    hosts: list[str] = []
    """Further host names that are ours."""
    trusted_proxies: list[str] = []
    """Addresses or networks of reverse proxies whose X-Forwarded-For counts."""
    thumbnail_cache: Literal["public", "private"] = "public"
    """Cache-Control of thumbnails on direct connections."""
    discovery: Literal["full", "minimal"] = "full"
    """What `discovery/info` tells whoever has no token; `minimal` leaves out how much there is."""
    public_url: str = ""
    """Base of social-login redirects, such as https://photos.example.org."""


class RateLimitsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[rate_limits]: a number per second, minute, hour or day, or "off"."""

    auth: Rate = "10/minute"
    """Login, pairing, refresh; counted by address."""
    photos: Rate = "100/minute"
    """Photo details and originals; counted by device, else account, else address."""
    browse: Rate = "600/minute"
    """Lists: photos, albums, timeline, map, suggestions."""
    thumbnails: Rate = "6000/minute"
    """Thumbnails."""
    search: Rate = "20/minute"
    """Search."""
    uploads: Rate = "600/minute"
    """Uploads."""
    other: Rate = "60/minute"
    """Everything else."""


class AccountsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[accounts]: who may make one."""

    registration: Literal["closed", "invite", "open"] = "closed"
    """Whether people can register themselves."""


class CompatConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[compat]: what older clients need."""

    open_media_api: bool = False
    """Open the content-addressed door to loopback and the LAN without a token."""
    websocket_host: str = "127.0.0.1"
    """Address of the broadcast websocket."""
    websocket_port: Port = 8765
    """Port of the broadcast websocket; 0 switches it off."""
    drop_group: str = ""
    """Group whose members may put files into the drop directory."""


class MdnsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[mdns]: being found on the LAN."""

    enabled: bool = True
    """Announce the service."""
    name: str = ""
    """Instance name; empty for the host's name."""


class WireguardConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[wireguard]: the tunnel."""

    enabled: bool = True
    """Run the tunnel."""
    interface: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_=+.-]{1,15}$")] = "pixlsrve0"
    """Name of the network interface."""
    port: Port = 51820
    """UDP port."""
    endpoint: str = ""
    """Name or address that phones dial from outside, with or without port; empty for the mapped or LAN address."""
    network: str = "10.100.0.0/24"
    """Addresses inside the tunnel; the host has the first."""
    lan_access: bool = False
    """Let phones reach the LAN through the tunnel."""
    port_mapping: bool = False
    """Ask the router to let the port in."""


class DnsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[dns]: the tunnel's resolver."""

    enabled: bool = True
    """Answer DNS inside the tunnel."""
    upstream: list[str] = []
    """Resolvers to forward to; empty for the system's."""


class IndexConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[index]: how files are read and decoded."""

    workers: Annotated[int, Meta(ge=0, le=64)] = 0
    """Worker processes; 0 for one a core, at most 4."""
    worker_memory_mb: Annotated[int, Meta(ge=64, le=65536)] = 192
    """Memory cap of one worker process, MiB."""
    worker_seconds: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    """Longest time for one file, seconds."""
    max_pixels: Annotated[int, Meta(ge=1_000_000, le=4_000_000_000)] = 300_000_000
    """Larger pictures are not decoded; they stand in the quarantine list."""


class UploadsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[uploads]: room for what phones send."""

    quota_mb: Annotated[int, Meta(ge=0, le=MOST_MB)] = 0
    """Most one device or account may store, MiB; 0 for no limit."""
    reserve_mb: Annotated[int, Meta(ge=-1, le=MOST_MB)] = -1
    """Free space that uploads leave, MiB; -1 for 1 GiB or 5 % of the disk, the smaller."""

    def reserve_bytes(self, disk_bytes: int) -> int:
        """The free space that uploads leave on a disk of this size."""
        return min(1 << 30, disk_bytes // 20) if self.reserve_mb < 0 else self.reserve_mb << 20


class BackupConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[backup]: the backups that the daemon makes by itself, one a day."""

    enabled: bool = True
    """Make them."""
    directory: str = ""
    """A folder on another disk that gets a copy of each; it must exist. Empty for none."""
    keep_daily: Annotated[int, Meta(ge=1, le=365)] = 7
    """Of how many days the newest is kept."""
    keep_weekly: Annotated[int, Meta(ge=0, le=520)] = 4
    """Of how many weeks the newest is kept."""


class LogConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[log]: what goes to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is written."""
    format: Literal["auto", "json", "text"] = "auto"
    """auto: text on a terminal, JSON elsewhere."""


class SocialConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[social.NAME]: one login provider."""

    client_id: str
    """The id that the provider gave."""
    client_secret_file: str = ""
    """File that holds the secret."""
    issuer: str = ""
    """OpenID issuer URL; preset for google."""
    client_ids: list[str] = []
    """Further audiences (native apps)."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings, validated."""

    data_dir: str
    """State, index, thumbnails, keys, control socket."""
    storage_dir: str
    """Uploads; indexed as a root named "Uploads"."""
    photos: list[str] = []
    """Folders of photos, read only."""
    rescan_interval_s: Annotated[int, Meta(ge=0, le=31_536_000)] = 3600
    """Seconds between full walks of the roots; 0 for none."""
    http: HttpConfig = HttpConfig()
    rate_limits: RateLimitsConfig = RateLimitsConfig()
    accounts: AccountsConfig = AccountsConfig()
    compat: CompatConfig = CompatConfig()
    mdns: MdnsConfig = MdnsConfig()
    wireguard: WireguardConfig = WireguardConfig()
    dns: DnsConfig = DnsConfig()
    index: IndexConfig = IndexConfig()
    uploads: UploadsConfig = UploadsConfig()
    backup: BackupConfig = BackupConfig()
    log: LogConfig = LogConfig()
    social: dict[str, SocialConfig] = {}

    @property
    def data_path(self) -> Path:
        """The data directory."""
        return Path(self.data_dir)

    @property
    def storage_path(self) -> Path:
        """The storage directory."""
        return Path(self.storage_dir)


def default_data_dir(env: Mapping[str, str] = os.environ) -> Path:
    """Where state lives unless told otherwise: the service's directory for root when installed, else the user's."""
    if env.get("PIXLSRVE_DATA_DIR"):
        return Path(env["PIXLSRVE_DATA_DIR"])
    if env.get("STATE_DIRECTORY") == str(SERVICE_DATA_DIR):  # systemd's name for our unit's StateDirectory=
        return SERVICE_DATA_DIR
    if os.geteuid() == 0 and SERVICE_CONFIG.exists():
        return SERVICE_DATA_DIR
    return Path(platformdirs.user_data_dir("pixlsrve", appauthor=False))


def default_config_file() -> Path | None:
    """The TOML file that is read without being named, or None."""
    user_file = Path(platformdirs.user_config_dir("pixlsrve", appauthor=False)) / "pixlsrve.toml"
    is_service = os.geteuid() == 0 or os.environ.get("CONFIGURATION_DIRECTORY") == str(SERVICE_CONFIG.parent)
    candidates = [SERVICE_CONFIG] if is_service else [user_file]
    return next((file for file in candidates if file.is_file()), None)


def find_data_dir(given: Path | None = None, *, env: Mapping[str, str] = os.environ) -> Path:
    """The data directory of the daemon that a command is meant for: named, else as the daemon itself would find it.

    Raises ConfigError when the settings file can't be read, or names no folder.
    """
    source = None if given or env.get("PIXLSRVE_DATA_DIR") else default_config_file()
    named = given or (_read_toml(source).get("data_dir") if source else None)
    return _expanded("data_dir", named or default_data_dir(env)).absolute()


class Layers(msgspec.Struct, frozen=True, kw_only=True):
    """What each source says, nested like the TOML file, the weakest first; nothing of it is validated."""

    file: dict[str, Any]
    page: dict[str, Any]
    """The data directory's settings.toml, which the gallery writes."""
    environment: dict[str, Any]
    options: Mapping[str, Any]
    data_dir: Path


def load(
    *, flags: Mapping[str, Any] | None = None, file: Path | None = None, env: Mapping[str, str] = os.environ
) -> Config:
    """The settings in force. `flags` is nested like the TOML file.

    Raises ConfigError naming the key, the value and what is allowed.
    """
    return settle(read_layers(flags=flags, file=file, env=env))


def read_layers(
    *, flags: Mapping[str, Any] | None = None, file: Path | None = None, env: Mapping[str, str] = os.environ
) -> Layers:
    """What each source says. Raises ConfigError for a file or a variable that can't be read."""
    flags = flags or {}
    source = file or default_config_file()
    from_file = _read_toml(source) if source is not None else {}
    from_env = _from_environment(env)
    named = _first("data_dir", flags, from_env, from_file)
    data_dir = _expanded("data_dir", named or default_data_dir(env)).absolute()
    settings = data_dir / SETTINGS_FILE
    from_settings = _read_toml(settings) if settings.is_file() else {}
    return Layers(file=from_file, page=from_settings, environment=from_env, options=flags, data_dir=data_dir)


def settle(layers: Layers) -> Config:
    """The settings that the layers make together. Raises ConfigError like `load`."""
    merged = _merge(_merge(_merge(layers.file, layers.page), layers.environment), layers.options)
    merged["data_dir"] = str(layers.data_dir)
    storage = merged.get("storage_dir") or layers.data_dir / "storage"
    merged["storage_dir"] = str(_expanded("storage_dir", storage).absolute())
    config = _convert(merged)
    photos = list(dict.fromkeys(str(_expanded("photos", root).absolute()) for root in config.photos))
    http = msgspec.structs.replace(config.http, tls_port=0) if config.http.port == 0 else config.http
    config = msgspec.structs.replace(config, photos=photos, http=http)
    _check_overlaps(config)
    return config


def _expanded(key: str, value: Any) -> Path:
    """The path that a setting means. Raises ConfigError for what is none."""
    try:
        if not value or "\0" in os.fspath(value):
            raise ValueError(value)
        return Path(value).expanduser()
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a home directory of nobody
        raise ConfigError(f"The setting {key} has the bad value {value!r}; it takes a folder's path.") from error


def _first(key: str, *layers: Mapping[str, Any]) -> Any:
    """The value of the first layer that has `key`."""
    return next((layer[key] for layer in layers if layer.get(key)), None)


def _read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as nested dictionaries. Raises ConfigError."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"The settings file {path} can't be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The settings file {path} is not valid TOML: {error}.") from error


def _from_environment(env: Mapping[str, str]) -> dict[str, Any]:
    """The PIXLSRVE_… variables, nested; lists of folders are separated by the path separator, others by commas."""
    result: dict[str, Any] = {}
    for name, value in env.items():
        if not name.startswith("PIXLSRVE_") or name.startswith(NO_SETTINGS):
            continue
        keys = name.removeprefix("PIXLSRVE_").lower().split("__")
        target = result
        for key in keys[:-1]:
            target = target.setdefault(key, {})
            if not isinstance(target, dict):
                raise ConfigError(f"{name} can't be used: the setting {key} is not a section.")
        if isinstance(target.get(keys[-1]), dict):
            raise ConfigError(f"{name} can't be used: {keys[-1]} is a section; name one of its settings.")
        separator = os.pathsep if keys == ["photos"] else ","
        target[keys[-1]] = [part for part in value.split(separator) if part] if _is_list(keys) else value
    return result


def _is_list(keys: list[str]) -> bool:
    """Whether the key at this path takes a list."""
    hints: Any = Config
    for key in keys:
        if get_origin(hints) is dict:
            hints = get_args(hints)[1]
            continue
        if not isinstance(hints, type) or not issubclass(hints, msgspec.Struct):
            return False
        hints = get_type_hints(hints, include_extras=False).get(key)
    return get_origin(hints) is list


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """`above` laid over `below`, sections merged key by key."""
    result = dict(below)
    for key, value in above.items():
        old = result.get(key)
        result[key] = _merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return result


def _convert(merged: dict[str, Any]) -> Config:
    """Validate. Raises ConfigError naming key, value and what is allowed."""
    try:
        return msgspec.convert(merged, Config, strict=False)
    except msgspec.ValidationError as error:
        raise ConfigError(explain(str(error), merged, Config)) from error


def _check_overlaps(config: Config) -> None:
    """Photo, storage and data directories must not hold one another, but a photo root may be the storage directory."""
    data, storage = config.data_path, config.storage_path
    inside_data = storage != data and storage.is_relative_to(data)
    pairs = [(data, Path(root), "data_dir", "photos") for root in config.photos]
    pairs += [(storage, Path(root), "storage_dir", "photos") for root in config.photos if Path(root) != storage]
    if not inside_data:
        pairs.append((data, storage, "data_dir", "storage_dir"))
    if config.backup.directory:
        _check_backup(_expanded("backup.directory", config.backup.directory), config)
    roots = [Path(root) for root in config.photos]
    pairs += [(a, b, "photos", "photos") for i, a in enumerate(roots) for b in roots[i + 1 :]]
    for a, b, name_a, name_b in pairs:
        real_a, real_b = _real(a), _real(b)
        if real_a.is_relative_to(real_b) or real_b.is_relative_to(real_a):
            raise ConfigError(
                f"{name_a} ({a}) and {name_b} ({b}) overlap; "
                "each must be a folder of its own, neither inside the other."
            )


def _check_backup(directory: Path, config: Config) -> None:
    """The backups' folder may hold the others, and be in none of them."""
    if not directory.is_absolute():
        raise ConfigError(f"The setting backup.directory must be a whole path such as /mnt/disk/pixlsrve: {directory}")
    others = [("data_dir", config.data_dir), ("storage_dir", config.storage_dir)]
    for name, other in [*others, *(("photos", root) for root in config.photos)]:
        if _real(directory).is_relative_to(_real(Path(other))):
            raise ConfigError(f"backup.directory ({directory}) is inside of {name} ({other}); name a folder elsewhere.")


def _real(path: Path) -> Path:
    """The path with its links followed, as far as they lead somewhere."""
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path

"""Value types and ids that every layer shares. No I/O."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, NewType

import msgspec
from msgspec import Meta

AssetId = NewType("AssetId", str)
"""An asset's public id: a UUID in its canonical lower-case text form."""

AlbumId = NewType("AlbumId", str)
"""An album's (a folder's) public id: a UUID in its canonical lower-case text form."""

Integer = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""What SQLite can hold, for numbers that come from anybody."""


class Kind(StrEnum):
    """What a media file is, by its content."""

    PHOTO = "photo"
    VIDEO = "video"
    AUDIO = "audio"


class RootState(StrEnum):
    """Whether a library root can be read just now."""

    ONLINE = "online"
    OFFLINE = "offline"


class TakenSource(StrEnum):
    """Where a capture time came from, best first (DESIGN section 4)."""

    DATE_TIME_ORIGINAL = "exif:DateTimeOriginal"
    CREATE_DATE = "exif:CreateDate"
    CONTAINER = "container"
    XMP = "xmp"
    IPTC = "iptc"
    GPS = "gps"
    FILE_NAME = "filename"
    MODIFY_DATE = "exif:ModifyDate"


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the header bytes of one media file say. Absent facts are None.

    Strings are cleaned (no NUL, no control characters, NFC, at most 256 characters, captions 2,048); numbers are
    finite.
    """

    kind: Kind
    format: str
    """Lower-case real format by content: jpeg, png, heic, avif, tiff, dng, mp4, mov, mp3, ..."""
    mime: str
    width_px: int | None = None
    """As displayed: orientation and container rotation applied."""
    height_px: int | None = None
    orientation: int = 1
    """Exif orientation still to be applied to the decoded pixels, 1 to 8 (1 where the container already did)."""
    taken_us: int | None = None
    """Capture instant, microseconds since the Unix epoch, UTC."""
    taken_local_us: int | None = None
    """Wall clock at the place of capture, encoded as if it were UTC, microseconds since the epoch."""
    taken_source: TakenSource | None = None
    camera_make: str | None = None
    camera: str | None = None
    """Exif Model, trimmed."""
    lens: str | None = None
    iso: Integer | None = None
    exposure: str | None = None
    """Exposure time in seconds as a photographer writes it: 1/120, 0.6, 4."""
    exposure_s: float | None = None
    f_number: float | None = None
    latitude: float | None = None
    """Signed degrees, south negative."""
    longitude: float | None = None
    """Signed degrees, west negative."""
    altitude_m: float | None = None
    """Signed metres, below sea level negative."""
    duration_s: float | None = None
    codecs: tuple[str, ...] = ()
    title: str | None = None
    caption: str | None = None
    keywords: tuple[str, ...] = ()
    artist: str | None = None
    album: str | None = None
    has_cover: bool = False
    frame_count: int | None = None
    bit_depth: int | None = None
    progressive: bool | None = None
    color_components: int | None = None
    content_identifier: str | None = None
    """Ties the two halves of an Apple Live Photo."""
    motion_offset: int | None = None
    """Byte offset of a video embedded in a motion photo."""
    motion_size_bytes: int | None = None


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a file could not be read or decoded: a row in the quarantine list, not an exception."""

    reason: str
    """A stable word: empty, unrecognised, damaged, too_large, too_slow, out_of_memory, crashed, unsupported,
    unreadable; or one of UNPICTURED."""
    message: str
    """One sentence for a person; no host path in it."""


UNPICTURED = frozenset({"no_preview", "needs_memory"})
"""Reasons that leave a sound photo without a thumbnail: it is shown all the same, and not quarantined."""


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What reading a file's whole content gave."""

    sha256: bytes
    size_bytes: int
    thumbnails: dict[Integer, bytes] = {}
    """JPEG bytes by the length of the bounding box's side in pixels: 200, 400, 800."""
    thumbhash: bytes | None = None
    width_px: int | None = None
    """As displayed, measured by the decoder; None where nothing was decoded."""
    height_px: int | None = None
    refusal: Refusal | None = None
    """Set when the pixels could not be decoded; the hash is still right."""


THUMBNAIL_SIZES_PX = (200, 400, 800)
"""The sides of the boxes that thumbnails fit within (specs/pixlsrve-api-v1.md, thumbnail)."""


class Role(StrEnum):
    """What an account or a household device may do."""

    ADMIN = "admin"
    MEMBER = "member"


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks, as the store knows it now (THREATS T16): an account, a device, or a script's token."""

    id: str
    """The credential's subject; the key of rate limits where neither device nor account is known."""
    role: Role
    device_id: str | None = None
    account_id: str | None = None
    roots: frozenset[int] | None = None
    """The library roots that may be seen; None for all of them."""


class LibraryAccess(StrEnum):
    """How much of the library an account may see."""

    ALL = "all"
    SOME = "some"
    """The roots that an admin has named."""
    NONE = "none"
    """Its own devices only: what people who register themselves get."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A person, without the password. Times in microseconds since the Unix epoch."""

    id: int
    """The small number that /pisync shows."""
    uuid: str
    username: str
    role: Role
    library: LibraryAccess
    roots: frozenset[int] = frozenset()
    """The library roots that may be seen where `library` is SOME."""
    has_password: bool = True
    generation: int = 0
    """Access tokens of an older one are void."""
    created_us: int
    last_login_us: int | None = None
    removed_us: int | None = None


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A paired device. Times in microseconds since the Unix epoch."""

    id: int
    """The small number that /pisync shows."""
    uuid: str
    name: str
    type: str
    role: Role
    """A household device's; where there is an account, its role applies."""
    account_id: int | None = None
    """The owner's `Account.id`; None for the household's."""
    paired_us: int
    last_seen_us: int | None = None
    revoked_us: int | None = None


class SubjectKind(StrEnum):
    """What a credential may belong to; the first half of a token's subject."""

    DEVICE = "device"
    ACCOUNT = "account"


class Subject(msgspec.Struct, frozen=True):
    """Whose a credential is. `id` is the row's number, never the UUID."""

    kind: SubjectKind
    id: int

    @property
    def device_id(self) -> int | None:
        """The device's number, None for an account."""
        return self.id if self.kind is SubjectKind.DEVICE else None

    @property
    def account_id(self) -> int | None:
        """The account's number, None for a device."""
        return self.id if self.kind is SubjectKind.ACCOUNT else None


class HomeReach(msgspec.Struct, frozen=True, kw_only=True):
    """What is known about being reached from outside the home. Endpoints are HOST:PORT."""

    is_on: bool
    """Whether the tunnel is to run at all."""
    is_running: bool = True
    """Whether a daemon runs, which alone asks the router."""
    is_up: bool | None = None
    """Whether it runs just now; None when that is not known."""
    endpoint: str
    """What devices are told."""
    source: Literal["setting", "mapping", "lan"]
    """Where the endpoint comes from."""
    port: int
    """The tunnel's UDP port here."""
    lan_address: str
    own_ipv6: str | None = None
    """An address of ours that the IPv6 internet could reach, if routers let it."""
    asks_router: bool = False
    """Whether the router is asked to let the port in."""
    is_settled: bool = False
    """Whether the router's first answer, or its silence, is known."""
    router: str | None = None
    protocol: str | None = None
    outer_address: str | None = None
    """The router's address outside, as it says."""
    outer_port: int | None = None
    """The port that it lets in; None for none."""
    trouble: str | None = None
    """Why it lets none in: no_router, no_answer, refused, no_outer (refused, and it names no address outside)."""
    detail: str = ""
    setting_addresses: list[str] | None = None
    """Where the name in the setting leads; None when it was not looked up."""
    seen_outside_us: int | None = None
    """When a device last came in from outside at this endpoint; microseconds since the epoch."""
    outdated: list[int] = []
    """The devices whose configuration leads somewhere else."""

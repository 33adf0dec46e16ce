"""What the readers of one file have found so far, and the Facts that come of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import tzinfo

from pixlsrve.index.metadata.dates import Moment, choose
from pixlsrve.index.metadata.names import parse_name
from pixlsrve.model import Facts, Kind, TakenSource

MAX_ISO = 10_000_000
MAX_SIDE_PX = 2**31 - 1
_PLACES = 7
"""Decimals of a degree that are kept: a centimetre, and no noise of the division behind them."""


@dataclass(slots=True)
class Findings:
    """Facts in the making. Readers fill what is still empty, so the better source goes first."""

    width: int | None = None
    height: int | None = None
    """Pixels as stored, before `orientation`; after it where the container has applied its own."""
    orientation: int = 1
    dates: dict[TakenSource, Moment] = field(default_factory=dict)
    camera_make: str | None = None
    camera: str | None = None
    lens: str | None = None
    iso: int | None = None
    exposure_s: float | None = None
    f_number: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    altitude_m: float | None = None
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
    motion_offset: int | None = None
    motion_size_bytes: int | None = None

    def date(self, source: TakenSource, moment: Moment | None) -> None:
        """Note a time, unless there is none or that place has given one already."""
        if moment is not None:
            self.dates.setdefault(source, moment)

    def place(self, latitude: float | None, longitude: float | None, altitude_m: float | None) -> None:
        """Note a position in signed degrees, if none is known and this one exists on Earth and is not exactly 0, 0."""
        if self.latitude is not None or latitude is None or longitude is None:
            return
        if not (abs(latitude) <= 90 and abs(longitude) <= 180) or latitude == longitude == 0:
            return
        self.latitude, self.longitude = round(latitude, _PLACES), round(longitude, _PLACES)
        if altitude_m is not None and abs(altitude_m) < 100_000:
            self.altitude_m = altitude_m

    @property
    def has_size(self) -> bool:
        """Whether a size is known, and one that a picture can have."""
        return 0 < (self.width or 0) <= MAX_SIDE_PX and 0 < (self.height or 0) <= MAX_SIDE_PX

    def facts(self, kind: Kind, form: str, mime: str, name: str, zone: tzinfo) -> Facts:
        """The finished facts of the file called `name`."""
        if not self.dates.keys() - {TakenSource.MODIFY_DATE}:
            self.date(TakenSource.FILE_NAME, parse_name(name))
        taken = choose(self.dates, zone)
        width, height = self.width, self.height
        if self.orientation >= 5:
            width, height = height, width
        return Facts(
            kind=kind,
            format=form,
            mime=mime,
            width_px=width,
            height_px=height,
            orientation=self.orientation,
            taken_us=taken and taken.instant_us,
            taken_local_us=taken and taken.local_us,
            taken_source=taken and taken.source,
            camera_make=self.camera_make,
            camera=self.camera,
            lens=self.lens,
            iso=self.iso if self.iso is not None and 0 <= self.iso <= MAX_ISO else None,
            exposure=None if self.exposure_s is None else exposure_text(self.exposure_s),
            exposure_s=self.exposure_s,
            f_number=self.f_number,
            latitude=self.latitude,
            longitude=self.longitude,
            altitude_m=self.altitude_m,
            duration_s=_sane(self.duration_s),
            codecs=self.codecs,
            title=self.title,
            caption=self.caption,
            keywords=self.keywords,
            artist=self.artist,
            album=self.album,
            has_cover=self.has_cover,
            frame_count=self.frame_count,
            bit_depth=self.bit_depth,
            progressive=self.progressive,
            color_components=self.color_components,
            content_identifier=self.content_identifier,
            motion_offset=self.motion_offset,
            motion_size_bytes=self.motion_size_bytes,
        )


def exposure_text(seconds: float) -> str:
    """An exposure time as photographers write it: a fraction below about a quarter second, else a decimal.

    The bound and the roundings (ten digits first) are ExifTool's, so that both show the same.
    """
    seconds = float(f"{seconds:.10g}")
    if 0 < seconds < 0.25001:
        return f"1/{math.floor(0.5 + 1 / seconds)}"
    return f"{seconds:.1f}".removesuffix(".0")


def _sane(duration_s: float | None) -> float | None:
    """A duration that can be one: finite, not negative, less than ten years."""
    if duration_s is None or not 0 <= duration_s < 315_360_000:
        return None
    return duration_s

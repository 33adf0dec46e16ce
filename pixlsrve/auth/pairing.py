"""Pairing windows: the moments in which a device may join, and the one-time codes that let it (THREATS T1)."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
import unicodedata
from collections.abc import Awaitable, Callable

import msgspec

from pixlsrve.auth.devices import LONGEST_NAME, LONGEST_TYPE, Devices, clean_text
from pixlsrve.auth.directory import Directory
from pixlsrve.auth.refresh import TokenPair
from pixlsrve.errors import InvalidInput, NotFound, NotPermitted, Unavailable
from pixlsrve.model import Account, Device, Role

ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
"""Of typed codes: nothing that looks like something else."""
TYPED_LENGTH = 8
MOST_TRIES = 5
LONGEST_S = 300
SHORTEST_S = 1
MOST_WINDOWS = 16
QUESTION_LIMIT_S = 60.0
MOST_QUESTIONS = 8
_LONGEST_CODE = 100
_QR_BYTES = 16
_CLOSED = "Pairing is closed; run `pixlsrve pair` on the host and try again."
_WRONG = "That code is wrong, used or over; run `pixlsrve pair` on the host for another."
_DECLINED = "Nobody at the host said yes; run `pixlsrve pair` on the host and use its code."


class Applicant(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks to be let in."""

    name: str
    type: str
    public_key: str | None = None
    """WireGuard's, base64; None to have the host make a pair."""
    address: str = ""
    """Where it asks from, for the person at the terminal."""
    is_there: Callable[[], bool] = lambda: True
    """Whether it still waits for the answer."""


Ask = Callable[[Applicant], Awaitable[bool]]
"""Asks the person at a waiting terminal whether this one may join."""


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """What whoever opened a window gets to show. The codes are nowhere else."""

    id: str
    qr_code: str
    """128 random bits, base64url."""
    typed_code: str
    """8 letters and digits, in any case, to type."""
    expires_in: int
    """Seconds."""

    def __repr__(self) -> str:
        return f"Offer(id={self.id!r}, expires_in={self.expires_in})"


class Paired(msgspec.Struct, frozen=True, kw_only=True):
    """Who has joined."""

    device: Device
    tokens: TokenPair


class _Window:
    """One open window. `ends_s` is on the monotonic clock; `joined` gets the device, or None when it closes."""

    def __init__(self, offer: Offer, role: Role, account_id: int | None, ask: Ask | None, ends_s: float) -> None:
        self.id = offer.id
        self.role = role
        self.account_id = account_id
        self.ask = ask
        self.ends_s = ends_s
        self.qr_digest = _digest(offer.qr_code)
        self.typed_digest: bytes | None = _digest(offer.typed_code)
        self.tries = 0
        self.turn = asyncio.Lock()
        self.joined: asyncio.Future[Device | None] = asyncio.get_running_loop().create_future()

    def fits(self, digest: bytes) -> bool:
        """Whether this is the digest of one of the window's codes."""
        typed = self.typed_digest or self.qr_digest
        return hmac.compare_digest(digest, self.qr_digest) | hmac.compare_digest(digest, typed)

    def count_wrong(self) -> None:
        """A wrong code was tried somewhere; the typed one dies of five."""
        self.tries += 1
        if self.tries >= MOST_TRIES:
            self.typed_digest = None


class Pairing:
    """Opens windows and lets devices in through them. Windows live in memory: a restart closes them all."""

    def __init__(
        self, devices: Devices, directory: Directory, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._devices = devices
        self._directory = directory
        self._monotonic = monotonic
        self._windows: dict[str, _Window] = {}
        self._asking = asyncio.Lock()
        self._questions = 0

    def open(
        self,
        *,
        role: Role = Role.MEMBER,
        account: Account | None = None,
        lifetime_s: int = LONGEST_S,
        ask: Ask | None = None,
    ) -> Offer:
        """Open a window for one device; of `account`, else of the household with `role`.

        `ask` is called for a client that has no code. Raises InvalidInput for a bad lifetime, or an admin's window for
        a member; Unavailable when too many are open.
        """
        if not SHORTEST_S <= lifetime_s <= LONGEST_S:
            raise InvalidInput(
                f"A pairing window is open for {SHORTEST_S} to {LONGEST_S} seconds.",
                reason="invalid_field",
                parameter="timeout_s",
            )
        if account is not None and role is Role.ADMIN and account.role is not Role.ADMIN:
            raise InvalidInput("That account is no administrator, and its devices can't be either.", reason="not_admin")
        self._close_expired()
        if len(self._windows) >= MOST_WINDOWS:
            raise Unavailable("Too many pairing windows are open.", reason="too_many_windows", retry_after_s=60)
        offer = Offer(
            id=secrets.token_hex(16),
            qr_code=secrets.token_urlsafe(_QR_BYTES),
            typed_code="".join(secrets.choice(ALPHABET) for _ in range(TYPED_LENGTH)),
            expires_in=lifetime_s,
        )
        account_id = None if account is None else account.id
        self._windows[offer.id] = _Window(offer, role, account_id, ask, self._monotonic() + lifetime_s)
        return offer

    def close(self, window_id: str) -> None:
        """Close a window before its time; one that is closed already is no error."""
        window = self._windows.pop(window_id, None)
        if window is not None and not window.joined.done():
            window.joined.set_result(None)

    async def wait(self, window_id: str) -> Device | None:
        """The device that joined through a window, or None when its time passed. Raises NotFound."""
        window = self._windows.get(window_id)
        if window is None:
            raise NotFound("That pairing window is closed.")
        try:
            async with asyncio.timeout(max(0.0, window.ends_s - self._monotonic())):
                return await asyncio.shield(window.joined)
        except TimeoutError:
            async with window.turn:  # somebody may be joining in this very moment
                self.close(window_id)
            return window.joined.result()

    async def pair(self, applicant: Applicant, code: str | None) -> Paired:
        """Let a device in, with a code or by a person's yes; the window is closed by that.

        Raises NotPermitted (THREATS T1) when neither is there; InvalidInput, Conflict, Unavailable and NotFound leave
        the window and its codes as they were.
        """
        self._close_expired()
        if not self._windows:
            raise NotPermitted(_CLOSED, reason="pairing_closed")
        if code is None:
            return await self._pair_by_question(applicant)
        window = self._find(code)
        async with window.turn:
            if not self._is_open(window):
                raise NotPermitted(_WRONG, reason="wrong_code")
            return await self._join(window, applicant, window.role, window.account_id)

    def _find(self, code: str) -> _Window:
        """The window of a code; a wrong one counts against all. Raises NotPermitted."""
        digest = _digest(code[:_LONGEST_CODE])
        found = [window for window in self._windows.values() if window.fits(digest)]
        if found:
            return found[0]
        for window in self._windows.values():
            window.count_wrong()
        raise NotPermitted(_WRONG, reason="wrong_code")

    async def _pair_by_question(self, applicant: Applicant) -> Paired:
        """Ask the newest terminal that waits, one question at a time. Raises NotPermitted."""
        clean_text(applicant.name, "device_name", LONGEST_NAME)
        clean_text(applicant.type, "device_type", LONGEST_TYPE)
        if self._questions >= MOST_QUESTIONS or not self._terminals():
            raise NotPermitted(_CLOSED, reason="pairing_closed")
        self._questions += 1
        try:
            return await self._ask_in_turn(applicant, asyncio.get_running_loop().time() + QUESTION_LIMIT_S)
        except TimeoutError as error:
            raise NotPermitted(_DECLINED, reason="declined") from error
        finally:
            self._questions -= 1

    async def _ask_in_turn(self, applicant: Applicant, ends_at: float) -> Paired:
        """Ask, and let in, when no other question stands. Raises NotPermitted, and TimeoutError at `ends_at`."""
        async with asyncio.timeout_at(ends_at):
            await self._asking.acquire()
        try:
            window = self._newest_terminal()
            if not applicant.is_there() or window.ask is None:
                raise NotPermitted(_DECLINED, reason="declined")
            async with asyncio.timeout_at(ends_at):
                is_welcome = await window.ask(applicant)
            async with window.turn:
                if not is_welcome or not self._is_open(window) or not applicant.is_there():
                    raise NotPermitted(_DECLINED, reason="declined")
                return await self._join(window, applicant, Role.MEMBER, self._member_account(window))
        finally:
            self._asking.release()

    async def _join(self, window: _Window, applicant: Applicant, role: Role, account_id: int | None) -> Paired:
        """Add the device; the window is used up by that."""
        device, tokens = await self._devices.add(
            name=applicant.name,
            type_=applicant.type,
            role=role,
            account_id=account_id,
            public_key=applicant.public_key,
        )
        self._windows.pop(window.id, None)
        if not window.joined.done():
            window.joined.set_result(device)
        return Paired(device=device, tokens=tokens)

    def _member_account(self, window: _Window) -> int | None:
        """Whose a device without code is: no yes ever makes an admin, so that an admin's goes to the household."""
        if window.account_id is None or self._directory.account(window.account_id).role is Role.ADMIN:
            return None
        return window.account_id

    def _terminals(self) -> list[_Window]:
        """The open windows with a person in front, the newest last."""
        return [window for window in self._windows.values() if window.ask is not None]

    def _newest_terminal(self) -> _Window:
        """The newest window with a person in front. Raises NotPermitted."""
        self._close_expired()
        terminals = self._terminals()
        if not terminals:
            raise NotPermitted(_CLOSED, reason="pairing_closed")
        return terminals[-1]

    def _is_open(self, window: _Window) -> bool:
        return window.id in self._windows and window.ends_s > self._monotonic()

    def _close_expired(self) -> None:
        for window in list(self._windows.values()):
            if not self._is_open(window) and not window.turn.locked():
                self.close(window.id)


def _digest(code: str) -> bytes:
    """The digest of a code; a typed one may be in any case, with spaces and dashes."""
    text = unicodedata.normalize("NFKC", code).strip()
    typed = "".join(letter for letter in text.upper() if letter not in " -")
    if len(typed) == TYPED_LENGTH:
        text = typed
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

"""A model of pairing, refreshing, revoking and dying, compared with the real thing step by step.

    python -m tests.campaigns.identity --steps 100000 [--seed N]

prints one JSON object: steps, seed, how often each kind of step was taken, deaths, divergences (the run stops at the
first one and says which). The real part is identity over SQLite; what is made up is time. A death leaves everything as
it is at a random moment, in the middle of whatever is being written, and opens the database anew.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from pixlsrve.auth.pairing import Applicant
from pixlsrve.auth.refresh import ACCESS_LIFETIME_S, GRACE_S, REFRESH_LIFETIME_S, TokenPair
from pixlsrve.errors import Conflict, DeviceRevoked, NotAuthenticated, NotFound, NotPermitted, PixlsrveError
from pixlsrve.store.database import Database
from tests.auth.kit import FakeTime, Kit, new_key, open_kit

WORLD_STEPS = 1_000
"""Then a new, empty database, so that the steps stay quick."""
MOST_LIVE = 12
_PAUSES_S = (0.4, 1.0, 5.0, 14.0, GRACE_S - 1.0, GRACE_S + 1.0, 600.0, ACCESS_LIFETIME_S + 1.0, 40 * 86_400.0)


class Divergence(AssertionError):
    """The real thing did what the model rules out."""


@dataclass
class Access:
    """An access token and when it was made."""

    token: str
    made_s: float


@dataclass(eq=False)
class Phone:
    """What the model knows of a device: the chain of its refresh tokens and what became of it."""

    uuid: str
    number: int
    key: str | None
    chain: list[str]
    used_s: float
    exchanged_s: dict[int, float] = field(default_factory=dict)
    access: list[Access] = field(default_factory=list)
    is_revoked: bool = False
    has_ended: bool = False


class Campaign:
    """One run: the world, the model of it, and the dice."""

    def __init__(self, seed: int, folder: Path) -> None:
        self._dice = random.Random(seed)
        self._folder = folder
        self._time = FakeTime()
        self._world = 0
        self._phones: list[Phone] = []
        self._stack = AsyncExitStack()
        self._kit: Kit
        self.taken: Counter[str] = Counter()

    async def run(self, steps: int) -> None:
        """Take so many steps. Raises Divergence."""
        actions = self._actions()
        names, weights = list(actions), [weight for weight, _ in actions.values()]
        try:
            for step in range(steps):
                if step % WORLD_STEPS == 0:
                    await self._new_world()
                name = self._dice.choices(names, weights)[0]
                self.taken[name] += 1
                await actions[name][1]()
        finally:
            await self._stack.aclose()

    def _actions(self) -> dict[str, tuple[int, Callable[[], Awaitable[None]]]]:
        """Each step with how often it is taken."""
        return {
            "pair": (8, self._pair),
            "pair in vain": (5, self._pair_in_vain),
            "refresh": (22, self._refresh),
            "refresh, answer lost": (8, self._refresh_lost),
            "refresh with an old token": (6, self._refresh_old),
            "refresh in parallel": (5, self._refresh_parallel),
            "refresh with what is not ours": (5, self._refresh_forged),
            "use": (22, self._use),
            "revoke": (3, self._revoke),
            "revoke against refresh": (3, self._race),
            "wait": (9, self._wait),
            "die": (2, self._die),
            "die in the middle": (2, self._die_amid),
        }

    async def _new_world(self) -> None:
        await self._stack.aclose()
        self._world += 1
        self._phones = []
        (self._folder / str(self._world)).mkdir()
        await self._open()

    async def _open(self) -> None:
        self._stack = AsyncExitStack()
        folder = self._folder / str(self._world)
        self._kit = await self._stack.enter_async_context(open_kit(folder, self._time, durability="OFF"))

    # What is expected ------------------------------------------------------------------------------------------------

    def _now(self) -> float:
        return self._time.wall_s

    def _is_over(self, phone: Phone) -> bool:
        """Whether none of its refresh tokens is good."""
        return phone.is_revoked or phone.has_ended or self._now() - phone.used_s >= REFRESH_LIFETIME_S

    def _accept(self, phone: Phone, number: int, tokens: TokenPair) -> None:
        """Token `number` was exchanged for these: the known successor, or a new one."""
        if number + 1 < len(phone.chain):
            self._expect(phone.chain[number + 1] == tokens.refresh_token, "another successor for the same token")
        else:
            self._expect(tokens.refresh_token not in phone.chain, "a token came back that had been used")
            phone.chain.append(tokens.refresh_token)
            phone.exchanged_s[number] = phone.used_s = self._now()
        phone.access = [*phone.access[-4:], Access(tokens.access_token, self._now())]

    def _expect(self, holds: bool, what: str) -> None:
        if not holds:
            raise Divergence(what)

    async def _rotate(self, phone: Phone, number: int) -> None:
        """Exchange a token and compare with what must come of it."""
        is_newest = number == len(phone.chain) - 1
        in_grace = not is_newest and self._now() - phone.exchanged_s[number] <= GRACE_S
        try:
            tokens = await self._kit.identity.refresh.rotate(phone.chain[number], phone.uuid)
        except DeviceRevoked:
            self._expect(phone.is_revoked, "a live device was called revoked")
        except NotAuthenticated:
            # A family that is over by age is forgotten, and with it whose it was.
            is_aged = self._now() - phone.used_s >= REFRESH_LIFETIME_S
            self._expect(not phone.is_revoked or is_aged, "a revoked device was not called so")
            self._expect(self._is_over(phone) or not (is_newest or in_grace), "a good refresh token was refused")
            if not self._is_over(phone):
                phone.has_ended = True
        else:
            self._expect(not self._is_over(phone), "a refresh token worked that was over")
            self._expect(is_newest or in_grace, "an old refresh token worked after its grace")
            self._accept(phone, number, tokens)

    async def _check_access(self, phone: Phone, access: Access) -> None:
        is_good = (
            not phone.is_revoked and not self._is_over(phone) and self._now() - access.made_s < ACCESS_LIFETIME_S - 1
        )
        is_old = self._now() - access.made_s >= ACCESS_LIFETIME_S
        try:
            principal = await self._kit.who(access.token)
        except DeviceRevoked:
            self._expect(phone.is_revoked, "a live device's access token was called revoked")
        except NotAuthenticated:
            self._expect(not is_good, "a good access token was refused")
            self._expect(not phone.is_revoked or is_old, "a revoked device's access token was not called so")
        else:
            self._expect(not self._is_over(phone) and not is_old, "an access token worked that was over")
            self._expect(principal.device_id == phone.uuid, "an access token spoke for another device")

    # Steps -----------------------------------------------------------------------------------------------------------

    def _any(self) -> Phone | None:
        """Some device; live ones more often."""
        live = [phone for phone in self._phones if not self._is_over(phone)]
        pool = live if live and self._dice.random() < 0.85 else self._phones
        return self._dice.choice(pool) if pool else None

    async def _pair(self) -> None:
        if sum(not phone.is_revoked for phone in self._phones) >= MOST_LIVE:
            return await self._revoke()
        key = new_key() if self._dice.random() < 0.5 else None
        offer = self._kit.windows.open()
        code = self._dice.choice((offer.qr_code, offer.typed_code, offer.typed_code.lower()))
        paired = await self._kit.windows.pair(Applicant(name="Phone", type="ios", public_key=key), code)
        self._phones.append(self._phone(paired.device.uuid, paired.device.id, key, paired.tokens))
        return None

    def _phone(self, uuid: str, number: int, key: str | None, tokens: TokenPair) -> Phone:
        self._expect(uuid not in {phone.uuid for phone in self._phones}, "an id was given again")
        access = [Access(tokens.access_token, self._now())]
        return Phone(uuid, number, key, [tokens.refresh_token], self._now(), access=access)

    async def _pair_in_vain(self) -> None:
        """A used code, a wrong one, no window, a key that is taken."""
        before = await self._counts()
        held = [phone.key for phone in self._phones if phone.key is not None and not phone.is_revoked]
        offer = self._kit.windows.open()
        applicant = Applicant(name="Phone", type="ios", public_key=self._dice.choice(held) if held else None)
        code, expected = (offer.qr_code, Conflict) if held else ("WRONGCOD", NotPermitted)
        if self._dice.random() < 0.5:
            self._kit.windows.close(offer.id)
            expected = NotPermitted
        try:
            await self._kit.windows.pair(applicant, code)
        except expected:
            self._kit.windows.close(offer.id)
        else:
            raise Divergence("somebody was let in")
        self._expect(await self._counts() == before, "a refused pairing left something behind")

    async def _counts(self) -> Any:
        sql = "SELECT (SELECT count(*) FROM device), (SELECT count(*) FROM peer), (SELECT count(*) FROM refresh_family)"
        return await self._kit.state.fetch_one(sql)

    async def _refresh(self) -> None:
        phone = self._any()
        if phone is not None:
            await self._rotate(phone, len(phone.chain) - 1)

    async def _refresh_lost(self) -> None:
        """The answer is lost: the same token is sent again before its grace is over."""
        phone = self._any()
        if phone is None:
            return
        number = len(phone.chain) - 1
        await self._rotate(phone, number)
        self._time.pass_s(self._dice.uniform(0, 9))
        await self._rotate(phone, number)

    async def _refresh_old(self) -> None:
        phone = self._any()
        if phone is not None:
            await self._rotate(phone, self._dice.randrange(len(phone.chain)))

    async def _refresh_parallel(self) -> None:
        phone = self._any()
        if phone is None or self._is_over(phone):
            return
        number = len(phone.chain) - 1
        calls = (self._kit.identity.refresh.rotate(phone.chain[number], phone.uuid) for _ in range(3))
        for tokens in await asyncio.gather(*calls):
            self._accept(phone, number, tokens)

    async def _refresh_forged(self) -> None:
        """Damaged, of another device, or an access token: nothing changes."""
        phone, other = self._any(), self._any()
        if phone is None or other is None:
            return
        token = phone.chain[-1]
        forged = [(token[:-3], phone.uuid), (phone.access[-1].token, phone.uuid), (token[::-1], phone.uuid)]
        if other is not phone:
            forged.append((token, other.uuid))
        for text, uuid in forged:
            with contextlib.suppress(NotAuthenticated):
                await self._kit.identity.refresh.rotate(text, uuid)
                raise Divergence("a forged refresh token worked")

    async def _use(self) -> None:
        phone = self._any()
        if phone is not None:
            await self._check_access(phone, self._dice.choice(phone.access))

    async def _revoke(self) -> None:
        phone = self._any()
        if phone is None:
            return
        await self._kit.identity.revocation.revoke_device(phone.number)
        phone.is_revoked = True
        await self._check_access(phone, phone.access[-1])

    async def _race(self) -> None:
        """A refresh that races a revocation loses."""
        phone = self._any()
        if phone is None:
            return
        number = len(phone.chain) - 1
        refreshing = asyncio.ensure_future(self._rotate(phone, number))
        for _ in range(self._dice.randrange(12)):
            await asyncio.sleep(0)
        revoking = asyncio.ensure_future(self._kit.identity.revocation.revoke_device(phone.number))
        results = await asyncio.gather(refreshing, revoking, return_exceptions=True)
        phone.is_revoked = True
        if isinstance(results[0], Divergence) and "called revoked" not in str(results[0]):
            raise results[0]
        for access in phone.access:
            await self._check_access(phone, access)
        await self._rotate(phone, len(phone.chain) - 1)

    async def _wait(self) -> None:
        pause_s = self._dice.choice(_PAUSES_S)
        if pause_s > ACCESS_LIFETIME_S and self._dice.random() < 0.7:
            pause_s = 20.0
        self._time.pass_s(pause_s)

    async def _die(self) -> None:
        """Die at rest, and look at everything afterwards."""
        await self._stack.aclose()
        await self._open()
        await self._check_all()

    async def _die_amid(self) -> None:
        """Die while something is being written: afterwards it has happened as a whole, or not at all."""
        phone = self._any()
        if phone is None:
            return
        key = new_key()
        number = len(phone.chain) - 1
        jobs: list[asyncio.Task[Any]] = [
            asyncio.ensure_future(self._kit.identity.refresh.rotate(phone.chain[number], phone.uuid)),
            asyncio.ensure_future(self._pair_blindly(key)),
        ]
        is_revoking = self._dice.random() < 0.5
        if is_revoking:
            jobs.append(asyncio.ensure_future(self._kit.identity.revocation.revoke_device(phone.number)))
        for _ in range(self._dice.randrange(200)):
            await asyncio.sleep(0)
        done = [job.done() and job.exception() is None for job in jobs]
        await _tear(self._kit.state)
        await asyncio.gather(*jobs, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self._stack.aclose()
        await self._open()
        await self._settle(phone, number, jobs, done, is_revoking=is_revoking)
        await self._check_pairs(key, has_answered=done[1])
        await self._check_all()

    async def _pair_blindly(self, key: str) -> None:
        offer = self._kit.windows.open()
        await self._kit.windows.pair(Applicant(name="Phone", type="ios", public_key=key), offer.qr_code)

    async def _settle(
        self, phone: Phone, number: int, jobs: list[asyncio.Task[Any]], done: list[bool], *, is_revoking: bool
    ) -> None:
        """What was answered has happened; what wasn't may have: ask the database, then hold it to that."""
        was_revoked = phone.is_revoked
        row = await self._kit.state.fetch_one("SELECT revoked_us FROM device WHERE id = ?", (phone.number,))
        phone.is_revoked = row is None or row[0] is not None
        self._expect(phone.is_revoked or not was_revoked, "a revocation was forgotten")
        if is_revoking:
            self._expect(phone.is_revoked or not done[2], "a revocation that was answered was forgotten")
        else:
            self._expect(phone.is_revoked == was_revoked, "somebody was revoked by nobody")
        if done[0] and not self._is_over(phone):
            self._accept(phone, number, jobs[0].result())
            phone.access.pop()
        newest = await self._kit.state.fetch_one(
            "SELECT max(newest) FROM refresh_family WHERE device_id = ?", (phone.number,)
        )
        if newest is not None and newest[0] == len(phone.chain) and not self._is_over(phone):
            # It was exchanged, and the answer is lost: who asks again at once gets it.
            self._expect(not done[0], "an exchange that was answered happened twice")
            phone.exchanged_s[number] = phone.used_s = self._now()
            tokens = await self._kit.identity.refresh.rotate(phone.chain[number], phone.uuid)
            phone.chain.append(tokens.refresh_token)
            phone.access.append(Access(tokens.access_token, self._now()))

    async def _check_pairs(self, key: str, *, has_answered: bool) -> None:
        """The device that was being paired is there as a whole, or not at all; it goes again either way."""
        known = {phone.uuid for phone in self._phones}
        new = [device for device in self._kit.identity.devices.list_all() if device.uuid not in known]
        self._expect(len(new) <= 1, "devices came from nowhere")
        self._expect(bool(new) or not has_answered, "a pairing that was answered was forgotten")
        for device in new:
            self._expect((await self._kit.peers.config_for(device.id)).private_key is None, "a private key appeared")
            try:
                await self._pair_blindly(key)
            except Conflict:
                await self._kit.identity.devices.revoke(device)
            else:
                raise Divergence("a key was given to two devices")

    async def _check_all(self) -> None:
        """Every device is as the model says, and so is the database."""
        live = {phone.number for phone in self._phones if not phone.is_revoked}
        found = {device.id for device in self._kit.identity.devices.list_all()}
        self._expect(found == live, "other devices than expected are live")
        peers = {row.device_id for row in await self._kit.peers.all_rows()}
        self._expect(peers == live, "other peers than expected are left")
        for phone in self._phones[-20:]:
            for access in phone.access:
                await self._check_access(phone, access)
            if phone.is_revoked:
                await self._rotate(phone, len(phone.chain) - 1)
                with contextlib.suppress(NotFound):
                    await self._kit.peers.config_for(phone.number)
                    raise Divergence("a revoked device has a tunnel")


async def _tear(state: Database) -> None:
    """Take the database's writing connection away as a dying process would: what is not committed is gone."""
    writer = state._writer
    with contextlib.suppress(Exception):
        await writer.interrupt()
    with contextlib.suppress(Exception):
        await writer.close()


async def campaign(steps: int, seed: int) -> dict[str, Any]:
    """Run, and say how it went."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = Campaign(seed, Path(folder))
        divergence = None
        try:
            await run.run(steps)
        except (Divergence, PixlsrveError) as error:
            divergence = f"{type(error).__name__}: {error}"
    taken = dict(run.taken)
    return {
        "steps": sum(taken.values()),
        "seed": seed,
        "kinds": taken,
        "deaths": taken.get("die", 0) + taken.get("die in the middle", 0),
        "divergences": 0 if divergence is None else 1,
        "divergence": divergence,
        "seconds": round(time.monotonic() - begun, 1),
    }


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    result = asyncio.run(campaign(options.steps, options.seed))
    print(json.dumps(result))
    return 1 if result["divergences"] else 0


if __name__ == "__main__":
    sys.exit(main())

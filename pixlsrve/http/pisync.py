"""PiSync's door: registering and signing in, in that specification's own words (specs/pisync-api.md)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec
from aiohttp import web

from pixlsrve.errors import Conflict, InvalidInput, NotAuthenticated, StorageError
from pixlsrve.http import doors, identity, routing
from pixlsrve.http.routing import Access, Rate, Route
from pixlsrve.model import Account, Subject, SubjectKind

_MISSING = "Username and password are required"


class CredentialsBody(msgspec.Struct, frozen=True):
    """Body of POST /pisync/auth/login; what is missing is refused in the specification's words."""

    username: str | None = None
    password: str | None = None

    def __repr__(self) -> str:
        return "CredentialsBody(...)"


class RegisterBody(CredentialsBody, frozen=True):
    """Body of POST /pisync/auth/register; `invite` is the code of `pixlsrve user invite`."""

    invite: str | None = None

    def __repr__(self) -> str:
        return "RegisterBody(...)"


class AccountTokenAnswer(msgspec.Struct, frozen=True):
    """What happened, and a token of one hour; its claims name the account: userId and username."""

    message: str
    token: str


async def register(request: web.Request) -> web.Response:
    """POST /pisync/auth/register: an account of one's own, as far as the settings let people make one."""
    body = routing.body(request, RegisterBody)
    username, password = _given(body)
    with _in_its_words("registration"):
        account = await request.app[doors.DOORS].registration.register(username, password, body.invite)
    return _answer(request, account, "User registered successfully.", status=201)


async def login(request: web.Request) -> web.Response:
    """POST /pisync/auth/login: a token for a name and a password."""
    username, password = _given(routing.body(request, CredentialsBody))
    with _in_its_words("login"):
        account = await request.app[identity.IDENTITY].accounts.check_password(username, password)
    return _answer(request, account, "Login successful.", status=200)


def _given(body: CredentialsBody) -> tuple[str, str]:
    """Both fields. Raises InvalidInput."""
    if not body.username or not body.password:
        raise InvalidInput(_MISSING, reason="invalid_field")
    return body.username, body.password


def _answer(request: web.Request, account: Account, message: str, *, status: int) -> web.Response:
    """A token, unless the password that was checked has been changed since (THREATS T7)."""
    services, subject = request.app[identity.IDENTITY], Subject(SubjectKind.ACCOUNT, account.id)
    services.directory.check_current(subject, account.generation)
    token = services.refresh.mint_access(subject)
    return routing.answer(AccountTokenAnswer(message, token), status=status, headers=routing.NO_STORE)


@contextlib.contextmanager
def _in_its_words(what: str) -> Iterator[None]:
    """The errors that the specification words, worded so, with its statuses."""
    try:
        yield
    except NotAuthenticated as error:
        raise NotAuthenticated("Invalid username or password.", reason=error.reason) from error
    except Conflict as error:
        raise InvalidInput("Username already exists", reason=error.reason) from error
    except StorageError as error:
        raise StorageError(f"Server error during {what}", reason=error.reason) from error


ROUTES: tuple[Route, ...] = (
    Route(
        method="POST",
        path="/pisync/auth/register",
        handler=register,
        access=Access.PUBLIC,
        rate=Rate.AUTH,
        summary="Register an account, where the setting accounts.registration allows it.",
        body=RegisterBody,
        answer=AccountTokenAnswer,
        errors=(403,),
    ),
    Route(
        method="POST",
        path="/pisync/auth/login",
        handler=login,
        access=Access.PUBLIC,
        rate=Rate.AUTH,
        summary="A token for a user name and a password.",
        body=CredentialsBody,
        answer=AccountTokenAnswer,
        errors=(401,),
    ),
)

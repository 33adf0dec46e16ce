"""What a request brings, checked against what its route declares (THREATS T18); the words of a refusal."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any, Generic, TypeVar

import msgspec
from aiohttp import web
from msgspec import inspect

from pixlsrve.errors import InvalidInput, PathTraversal

StructT = TypeVar("StructT", bound=msgspec.Struct)
_SHOWN = 100
_PLAIN_SEGMENT = re.compile(r"[0-9A-Za-z_~-]+")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\]|^\.{1,2}$|^[A-Za-z]:")
_PATH = re.compile(r" - at `\$\.?(.*)`$", re.DOTALL)


class UnsupportedBody(InvalidInput):
    """A body in a form that the route does not read: HTTP 415."""

    reason = "unsupported_media_type"


class QueryCheck:
    """Turns query parameters into a Struct of type `struct`; unknown parameters are ignored."""

    def __init__(self, struct: type[msgspec.Struct]) -> None:
        self._struct = struct
        self._fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
        self._allowed = {name: describe(inspect.type_info(field.type)) for name, field in self._fields.items()}

    def __call__(self, request: web.Request) -> msgspec.Struct:
        """The checked parameters. Raises InvalidInput whose details name the parameter and what is allowed."""
        given: dict[str, str] = {}
        for name, value in request.query.items():
            if name not in self._fields:
                continue
            if name in given:
                raise self._refusal(name, value, "is given twice")
            given[name] = value
        try:
            result = msgspec.convert(given, self._struct, strict=False)
        except msgspec.ValidationError as error:
            raise self._explain(error, given) from error
        for name, value in given.items():
            self._check_words(name, value, getattr(result, self._fields[name].name))
        return result

    def _check_words(self, name: str, value: str, result: object) -> None:
        """Refuse the words that mean nothing in a URL but that the conversion lets through: null, nan, inf."""
        if result is None or (isinstance(result, float) and not math.isfinite(result)):
            raise self._refusal(name, value)

    def _explain(self, error: msgspec.ValidationError, given: dict[str, str]) -> InvalidInput:
        missing = re.search(r"missing required field `(.+?)`", str(error))
        if missing:
            name = missing[1]
            return InvalidInput(
                f"The parameter {name} is missing.", reason="invalid_parameter", parameter=name, **self._hint(name)
            )
        where = _PATH.search(str(error))
        name = where[1] if where else ""
        return self._refusal(name, given.get(name, ""))

    def _refusal(self, name: str, value: str, problem: str = "") -> InvalidInput:
        allowed = self._allowed.get(name, "")
        text = problem or (f"must be {allowed}" if allowed else "has a value that is not allowed")
        return InvalidInput(
            f"The parameter {name} {text}.",
            reason="invalid_parameter",
            parameter=name,
            value=value[:_SHOWN],
            **self._hint(name),
        )

    def _hint(self, name: str) -> dict[str, str]:
        return {"allowed": self._allowed[name]} if self._allowed.get(name) else {}


class BodyCheck(Generic[StructT]):
    """Reads a JSON body into a Struct of type `struct`; unknown fields are ignored, wrong types refused."""

    def __init__(self, struct: type[StructT]) -> None:
        self._decode = msgspec.json.Decoder(struct).decode
        self._is_optional = not any(field.required for field in msgspec.structs.fields(struct))

    async def __call__(self, request: web.Request) -> StructT:
        """The checked body. Raises UnsupportedBody, or InvalidInput whose details name the field."""
        raw = await request.read()
        if not raw and self._is_optional:
            return self._decode(b"{}")
        if (
            request.content_type != "application/json"
            or request.headers.get("Content-Encoding", "identity") != "identity"
        ):
            raise UnsupportedBody("The body must be JSON: send `Content-Type: application/json`, uncompressed.")
        try:
            return self._decode(raw)
        except msgspec.ValidationError as error:
            raise _bad_field(str(error)) from error
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput("The body is not valid JSON.", reason="invalid_json") from error


def _bad_field(text: str) -> InvalidInput:
    """msgspec's sentence about a body, as a refusal that names the field."""
    where = _PATH.search(text)
    what = _PATH.sub("", text)
    missing = re.search(r"missing required field `(.+?)`", what)
    names = [where[1] if where else "", missing[1] if missing else ""]
    name = ".".join(filter(None, names))
    sentence = (
        f"The field {name} is missing." if missing else f"The field {name} is wrong: {what[:1].lower()}{what[1:]}."
    )
    if not name:
        sentence = f"The body is wrong: {what[:1].lower()}{what[1:]}."
    return InvalidInput(sentence, reason="invalid_field", parameter=name)


def check_segments(values: Iterable[str]) -> None:
    """Refuse what could be a path where a name or an id is meant. Raises PathTraversal (THREATS T19)."""
    for value in values:
        if not _PLAIN_SEGMENT.fullmatch(value) and _UNSAFE.search(value):
            raise PathTraversal("The address holds a path where an id is expected.")


def has_traversal(path: str) -> bool:
    """Whether a decoded request path climbs, or holds what no path of ours holds."""
    return "\\" in path or "\0" in path or ".." in path.split("/")


def describe(type_: inspect.Type) -> str:
    """What a parameter of this type may be, in words; empty for any text."""
    if isinstance(type_, inspect.UnionType):
        return " or ".join(
            filter(None, (describe(part) for part in type_.types if not isinstance(part, inspect.NoneType)))
        )
    if isinstance(type_, inspect.IntType | inspect.FloatType):
        return _describe_number(type_)
    if isinstance(type_, inspect.LiteralType):
        return "one of " + ", ".join(map(str, type_.values))
    if isinstance(type_, inspect.EnumType):
        return "one of " + ", ".join(str(choice.value) for choice in type_.cls)
    if isinstance(type_, inspect.StrType):
        return _describe_text(type_)
    if isinstance(type_, inspect.Metadata):
        return describe(type_.type)
    return _NAMED.get(type(type_), "")


def _describe_number(type_: inspect.IntType | inspect.FloatType) -> str:
    kind = "a whole number" if isinstance(type_, inspect.IntType) else "a number"
    low: Any = type_.ge if type_.ge is not None else type_.gt
    high: Any = type_.le if type_.le is not None else type_.lt
    if low is not None and high is not None:
        return f"{kind} from {low} to {high}"
    if low is not None:
        return f"{kind}, {low} or more"
    return kind if high is None else f"{kind} up to {high}"


def _describe_text(type_: inspect.StrType) -> str:
    if type_.pattern is not None:
        return f"text like {type_.pattern}"
    if type_.max_length is not None:
        return f"text of {type_.min_length or 0} to {type_.max_length} characters"
    return f"text of at least {type_.min_length} characters" if type_.min_length else ""


_NAMED: dict[type[inspect.Type], str] = {
    inspect.BoolType: "true or false",
    inspect.DateType: "a date such as 2024-05-31",
    inspect.DateTimeType: "a time such as 2024-05-31T12:00:00Z",
    inspect.UUIDType: "a UUID",
}

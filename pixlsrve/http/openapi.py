"""The API's description (OpenAPI 3.1), made from the routes and the very types that check their inputs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from pixlsrve import __version__
from pixlsrve.http import failures, keys
from pixlsrve.http.routing import JSON, Access, Rate, Route

Document = dict[str, Any]
_REF = "#/components/schemas/{name}"
_PHRASES = {460: "Checksum Mismatch"}
"""Statuses that HTTP itself does not know (tus 1.0)."""
_VARIABLE = re.compile(r"\{(\w+)(?::[^{}]*(?:\{[^{}]*\}[^{}]*)*)?\}")
_WHO = {
    Access.PUBLIC: "Needs no token.",
    Access.LAN: "Needs no token from the LAN, the VPN or the host itself.",
    Access.MEMBER: "Needs a token.",
    Access.ADMIN: "Needs an administrator's token.",
    Access.HOST: "Needs an administrator's token, but none from the host itself.",
}


class ErrorFacts(msgspec.Struct):
    """What went wrong. `details.reason` is a stable word; for a bad parameter `details.parameter` names it."""

    code: str
    message: str
    details: dict[str, Any]


class Error(msgspec.Struct):
    """How every error of the main API looks."""

    error: ErrorFacts


def document(routes: Sequence[Route]) -> Document:
    """The description of all `routes`."""
    types = _json_types(routes)
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = {id(type_): schema for type_, schema in zip(types, schemas, strict=True)}
    paths: Document = {}
    for route in routes:
        paths.setdefault(_VARIABLE.sub(r"{\1}", route.path), {})[route.method.lower()] = _operation(route, by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pixlsrve",
            "version": __version__,
            "description": "The photo appliance's API. Times are RFC 3339 in UTC; ids are UUIDs.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An access token."},
                "ticket": {"type": "apiKey", "in": "query", "name": "ticket", "description": "A one-time ticket."},
            },
        },
    }


def encode(description: Document) -> bytes:
    """The description as JSON."""
    return msgspec.json.encode(description)


def _json_types(routes: Iterable[Route]) -> list[Any]:
    """The types of all bodies and answers, once each."""
    types = [Error, *(type_ for route in routes for type_ in (route.body, route.answer) if type_ is not None)]
    return list({id(type_): type_ for type_ in types}.values())


def _operation(route: Route, schemas: dict[int, Document]) -> Document:
    """One method of one path."""
    operation: Document = {
        "summary": route.summary,
        "description": _WHO[route.access],
        "operationId": _operation_id(route),
        "tags": [_tag(route.path)],
        "parameters": [*_path_parameters(route), *_query_parameters(route)],
        "responses": _responses(route, schemas),
        "security": _security(route),
    }
    if route.rate is not Rate.FREE:
        operation["x-rate-limit"] = route.rate.value
    if route.body is not None:
        is_required = any(field.required for field in msgspec.structs.fields(route.body))
        operation["requestBody"] = {"required": is_required, "content": {JSON: {"schema": schemas[id(route.body)]}}}
    elif route.takes:
        content = {route.takes: {"schema": {"type": "string", "format": "binary"}}}
        operation["requestBody"] = {"required": False, "content": content}
    return operation


def _operation_id(route: Route) -> str:
    words = re.findall(r"\w+", _VARIABLE.sub(r"\1", route.path.removeprefix("/api/v1")))
    verb = "show" if route.content_type == "text/html" else route.method.lower()
    # The same address with a slash at its end is another operation.
    return "_".join([verb, *words]) + ("_" if route.path.endswith("/") and words else "")


def _tag(path: str) -> str:
    """The first word of a path behind the version, by which a reader looks things up."""
    words = path.removeprefix("/api/v1").strip("/").split("/")
    return words[0].partition(".")[0] or "api"


def _path_parameters(route: Route) -> list[Document]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "format": "uuid"} if name == "id" else {"type": "string"},
        }
        for name in _VARIABLE.findall(route.path)
    ]


def _query_parameters(route: Route) -> list[Document]:
    if route.query is None:
        return []
    _, components = msgspec.json.schema_components([route.query], ref_template=_REF)
    schema = components[route.query.__name__]
    required = schema.get("required", [])
    return [_query_parameter(name, part, components, name in required) for name, part in schema["properties"].items()]


def _query_parameter(name: str, schema: Document, components: dict[str, Document], is_required: bool) -> Document:
    """One parameter. What may be left out is not null on the wire, so that the null is dropped."""
    schema = _inline(schema, components)
    if "anyOf" in schema:
        options = [_inline(option, components) for option in schema["anyOf"] if option.get("type") != "null"]
        rest = {key: value for key, value in schema.items() if key != "anyOf"}
        schema = {**options[0], **rest} if len(options) == 1 else {**rest, "anyOf": options}
    if schema.get("default", 0) is None:
        schema = {key: value for key, value in schema.items() if key != "default"}
    parameter: Document = {"name": name, "in": "query", "required": is_required, "schema": schema}
    if "description" in schema:
        parameter["description"] = schema["description"]
    return parameter


def _inline(schema: Document, components: dict[str, Document]) -> Document:
    """The schema itself in place of a reference to a query parameter's own component (an enumeration)."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if not name:
        return schema
    return {**components[name], **{key: value for key, value in schema.items() if key != "$ref"}}


def _responses(route: Route, schemas: dict[int, Document]) -> Document:
    """The good answer and the errors: the declared ones and those that access, limit and inputs imply."""
    content: Document = {} if route.answer is None else {"schema": schemas[id(route.answer)]}
    good: Document = {"description": "As asked."}
    if route.content_type:
        good["content"] = {route.content_type: content}
    responses: Document = {str(route.status): good}
    for status in sorted(_error_statuses(route)):
        error: Document = {"description": _PHRASES.get(status) or HTTPStatus(status).phrase}
        if failures.is_api(route.path):
            error["content"] = {JSON: {"schema": schemas[id(Error)]}}
        responses[str(status)] = error
    return responses


def _error_statuses(route: Route) -> set[int]:
    statuses = set(route.errors)
    if route.access is not Access.PUBLIC:
        statuses.add(401)
    if route.access in {Access.ADMIN, Access.HOST}:
        statuses.add(403)
    if route.rate is not Rate.FREE:
        statuses.add(429)
    if route.query is not None or route.body is not None:
        statuses.add(400)
    if route.body is not None:
        statuses |= {413, 415}
    if "{" in route.path:
        statuses |= {400, 404}
    return statuses


def _security(route: Route) -> list[Document]:
    if route.access is Access.PUBLIC:
        return []
    ways: list[Document] = [{"bearer": []}]
    if route.has_ticket:
        ways.append({"ticket": []})
    if route.access in {Access.LAN, Access.HOST}:
        ways.append({})
    return ways


async def get_openapi(request: web.Request) -> web.Response:
    """GET /api/v1/openapi.json."""
    headers = {"Content-Type": JSON, "Cache-Control": "private, no-cache"}
    return web.Response(body=await request.app[keys.OPENAPI].body(), headers=headers)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/openapi.json",
        handler=get_openapi,
        access=Access.PUBLIC,
        rate=Rate.OTHER,
        summary="This description.",
        answer=dict[str, Any],
    ),
)

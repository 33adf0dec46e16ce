"""The API's description as a page for people, `GET /api/docs`: plain HTML without scripts or foreign assets."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import defaultdict
from html import escape
from typing import Any

from aiohttp import web

from pixlsrve.http import keys
from pixlsrve.http.openapi import Document
from pixlsrve.http.routing import Access, Rate, Route

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #2563eb; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
nav a { margin-right: 1rem; } a { color: var(--accent); }
details { border: 1px solid var(--line); border-radius: .5rem; margin: .6rem 0; padding: .5rem .8rem; }
details[open] > summary { margin-bottom: .6rem; }
summary { cursor: pointer; } summary span { opacity: .75; }
code, pre { font: .9em/1.45 ui-monospace, monospace; }
pre { background: var(--soft); border-radius: .4rem; padding: .6rem; overflow-x: auto; }
b.method { display: inline-block; min-width: 4.2rem; font: 700 .8rem ui-monospace, monospace; color: var(--accent); }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid var(--line); }
h3 { font-size: 1rem; margin: .8rem 0 .2rem; }
"""
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def render(document: Document) -> bytes:
    """The page that shows an OpenAPI document."""
    groups: dict[str, list[str]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append(_operation(path, method, operation))
    schemas = document["components"]["schemas"]
    info = document["info"]
    links = "".join(f'<a href="#{escape(tag)}">{escape(tag)}</a>' for tag in [*groups, "types"])
    sections = "".join(f'<h2 id="{escape(tag)}">{escape(tag)}</h2>{"".join(parts)}' for tag, parts in groups.items())
    types = "".join(_type(name, schema) for name, schema in schemas.items())
    page = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(info['title'])} API</h1><p>Version {escape(info['version'])}. {escape(info['description'])} "
        f'For programs: <a href="/api/v1/openapi.json">openapi.json</a>.</p>'
        f'<nav>{links}</nav>{sections}<h2 id="types">types</h2>{types}</body></html>'
    )
    return page.encode()


def _operation(path: str, method: str, operation: Document) -> str:
    """One method of one path, folded until it is wanted."""
    rate = operation.get("x-rate-limit")
    limit = f" Counted as <code>{escape(rate)}</code>." if rate else ""
    body = operation.get("requestBody")
    schema = next(iter(body["content"].values()))["schema"] if body else None
    return (
        f'<details><summary><b class="method">{escape(method.upper())}</b> <code>{escape(path)}</code> '
        f"<span>{escape(operation['summary'])}</span></summary><p>{escape(operation['description'])}{limit}</p>"
        f"{_parameters(operation['parameters'])}{f'<h3>Body</h3><p>{_schema(schema)}</p>' if schema else ''}"
        f"<h3>Answers</h3>{_answers(operation['responses'])}</details>"
    )


def _parameters(parameters: list[Document]) -> str:
    """A table of the parameters; nothing without any."""
    rows = "".join(
        f"<tr><td><code>{escape(item['name'])}</code></td><td>{escape(item['in'])}</td>"
        f"<td>{_schema(item['schema'])}</td><td>{escape(item.get('description', ''))}</td></tr>"
        for item in parameters
    )
    return f"<h3>Parameters</h3><table>{rows}</table>" if rows else ""


def _answers(responses: Document) -> str:
    rows = ""
    for status, response in responses.items():
        for type_, content in response.get("content", {"": {}}).items():
            what = _schema(content["schema"]) if "schema" in content else ""
            rows += (
                f"<tr><td>{escape(status)}</td><td>{escape(response['description'])}</td>"
                f"<td><code>{escape(type_)}</code></td><td>{what}</td></tr>"
            )
    return f"<table>{rows}</table>"


def _type(name: str, schema: Document) -> str:
    """A named type, with its fields."""
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{_schema(part)}</td>"
        f"<td>{escape(part.get('description', ''))}</td></tr>"
        for field, part in schema.get("properties", {}).items()
    )
    table = f"<table>{rows}</table>" if rows else f"<p>{_schema(schema)}</p>"
    text = f"<p>{escape(schema.get('description', ''))}</p>"
    return f'<details id="type-{escape(name)}"><summary><code>{escape(name)}</code></summary>{text}{table}</details>'


def _schema(schema: Document) -> str:
    """A type in a few words: a link for a named one."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#type-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_schema, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(choice))}</code>" for choice in schema["enum"]) + _default(schema)
    if schema.get("type") == "array":
        items: Any = schema.get("items")
        return f"list of {_schema(items)}" if isinstance(items, dict) and items else "list"
    return escape(str(schema.get("format", schema.get("type", "anything")))) + _bounds(schema) + _default(schema)


def _bounds(schema: Document) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f", {low} to {high}"
    return f", {low} or more" if low is not None else f", up to {high}" if high is not None else ""


def _default(schema: Document) -> str:
    default = schema.get("default")
    return "" if default is None else f" (default {escape(json.dumps(default))})"


async def get_docs(request: web.Request) -> web.Response:
    """GET /api/docs."""
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "private, no-cache",
        "Content-Security-Policy": POLICY,
    }
    return web.Response(body=await request.app[keys.DOCS].body(), headers=headers)


ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/docs",
        handler=get_docs,
        access=Access.PUBLIC,
        rate=Rate.FREE,
        summary="The API's description as a page.",
        content_type="text/html",
    ),
)

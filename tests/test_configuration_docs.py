"""docs/configuration.md has every setting, with its default and its meaning, and no other."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import msgspec

from pixlsrve import config
from pixlsrve.config import Config, SocialConfig

DOCUMENT = Path(__file__).parent.parent / "docs" / "configuration.md"


def _meanings() -> dict[str, dict[str, str]]:
    """The sentence below each field, by class and field."""
    tree = ast.parse(Path(config.__file__).read_text("utf-8"))
    result: dict[str, dict[str, str]] = {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            fields = result.setdefault(node.name, {})
            for field, text in zip(node.body, node.body[1:], strict=False):
                is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
                    fields[field.target.id] = str(text.value.value)  # type: ignore[attr-defined]  # checked above
    return result


def expected_rows() -> list[str]:
    """One row of a table for each setting."""
    meanings = _meanings()
    sections: list[tuple[str, type[msgspec.Struct]]] = [("", Config), ("social.NAME", SocialConfig)]
    for field in msgspec.structs.fields(Config):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            sections.append((field.name, field.type))
    rows = []
    for name, struct in sections:
        for field in msgspec.structs.fields(struct):
            is_section = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
            if is_section or field.name == "social":
                continue
            key = f"{name}.{field.name}" if name else field.name
            rows.append(f"| `{key}` | {_default(field)} | {meanings[struct.__name__][field.name]} |")
    return rows


def _default(field: Any) -> str:
    """The default as it is written in TOML."""
    if field.default_factory is not msgspec.NODEFAULT:
        return "`[]`"
    if field.default is msgspec.NODEFAULT:
        return "(see above)" if field.name.endswith("_dir") else "(needed)"
    value = field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def test_every_setting_is_documented() -> None:
    """Each key stands in the document with its default and meaning; none stands there that doesn't exist."""
    documented = [line for line in DOCUMENT.read_text("utf-8").splitlines() if re.match(r"\| `[a-zA-Z_.]+` \|", line)]
    assert sorted(documented) == sorted(expected_rows())

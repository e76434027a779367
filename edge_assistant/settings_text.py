"""Settings as TOML text, explained by their own docs.

The standard library reads TOML and does not write it; settings need only the plain part of it:
tables of booleans, numbers, strings and lists of these.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import json
import textwrap
import typing
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

_WIDTH = 96


def to_toml(settings: msgspec.Struct, *, to_edit: bool = False) -> str:
    """`settings` as TOML; nested structs become tables, a None is left out.

    With `to_edit`, every key comes with what it means and accepts, switched off by a `#`: who
    edits the text sets only what he wants different.
    """
    return "\n".join(_table(settings, (), to_edit)).strip("\n") + "\n"


def field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The string under each field, in one line; empty where the source is not at hand."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(struct)))
    except (OSError, TypeError, SyntaxError):
        return {}
    (body,) = (node.body for node in tree.body if isinstance(node, ast.ClassDef))
    docs = {}
    for field, below in itertools.pairwise(body):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            docs[field.target.id] = " ".join(str(below.value.value).split())
    return docs


def field_range(kind: Any) -> str:
    """What a field accepts, as `0 to 5000` or `open | push | wake`; empty where anything goes."""
    if get_origin(kind) is Literal:
        return " | ".join(str(each) for each in get_args(kind))
    for meta in getattr(kind, "__metadata__", ()):
        low, high = getattr(meta, "ge", None), getattr(meta, "le", None)
        if low is not None and high is not None:
            return f"{low:g} to {high:g}"
        if low is not None:
            return f"from {low:g}"
        if high is not None:
            return f"up to {high:g}"
    return ""


def _table(settings: msgspec.Struct, path: tuple[str, ...], to_edit: bool) -> list[str]:
    docs = field_docs(type(settings)) if to_edit else {}
    hints = get_type_hints(type(settings), include_extras=True)
    lines: list[str] = []
    tables: list[str] = []
    for name, kind in hints.items():
        value = getattr(settings, name)
        if isinstance(value, msgspec.Struct):
            tables += ["", f"[{'.'.join((*path, name))}]", *_table(value, (*path, name), to_edit)]
            continue
        if to_edit:
            lines += ["", *_comment(docs.get(name, ""), kind)]
            lines.append(f"#{name} = {'' if value is None else _value(value)}".rstrip())
        elif value is not None:
            lines.append(f"{name} = {_value(value)}")
    return lines + tables


def _comment(doc: str, kind: Any) -> list[str]:
    accepted = field_range(kind)
    if not accepted and typing.get_origin(kind) is not None:
        accepted = next((found for found in map(field_range, get_args(kind)) if found), "")
    text = f"{doc} ({accepted})" if accepted else doc
    return textwrap.wrap(text, _WIDTH, initial_indent="# ", subsequent_indent="# ")


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            # A JSON string is a TOML basic string, but for DEL, which TOML wants escaped.
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list() | tuple():
            return f"[{', '.join(_value(each) for each in value)}]"
        case dict():
            pairs = (f"{json.dumps(key)} = {_value(each)}" for key, each in value.items())
            return f"{{ {', '.join(pairs)} }}" if value else "{}"
    raise TypeError(f"{type(value).__name__} has no TOML form here")

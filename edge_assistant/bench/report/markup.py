"""HTML that cannot be injected into: text is escaped unless it was built here."""

from __future__ import annotations

from html import escape

VOID = frozenset({"br", "hr", "img", "input", "meta", "path", "line", "rect", "circle", "polygon"})


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = str | float | None
"""A child: `Markup` as it is, everything else escaped, None nothing."""


def tag(name: str, *children: Content, **attributes: str | float | bool | None) -> Markup:
    """An element. In a name of an attribute `_` stands for `-`; a trailing one is dropped."""
    parts = [name]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        parts.append(key if value is True else f'{key}="{escape(_text(value))}"')
    head = " ".join(parts)
    if name in VOID and not children:
        return Markup(f"<{head}/>")
    return Markup(f"<{head}>{join(*children)}</{name}>")


def join(*children: Content) -> Markup:
    """Children one after another."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else escape(_text(child))
            for child in children
            if child is not None
        )
    )


def section(id_: str, title: str, about: str, *content: Content) -> Markup:
    """A part of the page with its heading and what it is about."""
    return tag(
        "section",
        tag("h2", title, id=f"{id_}-title"),
        tag("p", about, class_="about"),
        *content,
        id=id_,
        aria_labelledby=f"{id_}-title",
    )


def nothing(why: str) -> Markup:
    """What stands where there is nothing to show."""
    return tag("p", why, class_="nothing")


def table(label: str, head: tuple[str, ...], rows: list[Markup], **more: str) -> Markup:
    """A table that scrolls by itself where it is too wide."""
    columns = tag("tr", *(tag("th", name, scope="col") for name in head))
    whole = tag("table", tag("thead", columns), tag("tbody", *rows), **more)
    return tag("div", whole, class_="scroll", tabindex=0, role="region", aria_label=label)


def _text(value: str | float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)

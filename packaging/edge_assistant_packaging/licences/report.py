"""The licence report: a page for people, JSON for programs, and all texts beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from edge_assistant_packaging.licences import known
from edge_assistant_packaging.licences.component import Component

WITHOUT: Final = "came without one"


def warnings_of(components: Sequence[Component]) -> list[str]:
    """All warnings, each with the part that it is about."""
    return [
        f"{each.kind} {each.name}: {each.licence}: {said}"
        for each in components
        for said in known.warnings(each.licence, each.notes)
    ]


def write(folder: Path, components: Sequence[Component], *, permissive_only: bool) -> None:
    """Write `report.md`, `report.json` and the texts into the folder `licences`."""
    folder.mkdir(parents=True, exist_ok=True)
    for each in components:
        for given in each.texts:
            place = folder / each.folder / given.name
            place.parent.mkdir(exist_ok=True)
            place.write_bytes(given.data)
    rows = [_row(each, components) for each in components]
    document = {
        "schema": 1,
        "is_permissive_only": permissive_only,
        "warnings": warnings_of(components),
        "components": rows,
    }
    text = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    (folder / "report.json").write_text(text, "utf-8")
    page = _page(rows, document["warnings"], permissive_only)
    (folder / "report.md").write_text(page, "utf-8")


def texts_of(component: Component, all_of_them: Sequence[Component]) -> tuple[list[str], str]:
    """Paths of its texts, and what is to be said of them."""
    own = [f"{component.folder}/{text.name}" for text in component.texts]
    if own:
        return own, ""
    if words := known.VERBATIM.get(component.licence):
        for other in all_of_them:
            for text in other.texts if other.licence == component.licence else ():
                if words in text.data:
                    path = f"{other.folder}/{text.name}"
                    return [path], f"the same text, as it came with {other.name}"
    return [], WITHOUT


def _row(component: Component, all_of_them: Sequence[Component]) -> dict[str, Any]:
    texts, note = texts_of(component, all_of_them)
    return {
        "kind": component.kind,
        "name": component.name,
        "version": component.version,
        "licence": component.licence,
        "is_spdx": known.is_spdx(component.licence),
        "found_in": component.found_in,
        "inside": component.inside,
        "notes": component.notes,
        "texts": texts,
        "texts_note": note,
        "warnings": list(known.warnings(component.licence, component.notes)),
        "files": [{"path": path, "sha256": sha256} for path, sha256 in component.hashes],
    }


def _page(rows: Sequence[dict[str, Any]], warnings: Any, permissive_only: bool) -> str:
    lines = ["# Licences of what is in this bundle", ""]
    if permissive_only:
        lines += [
            "Made with `--permissive-only`: no GPL part is in it. It speaks through the program",
            "`espeak-ng` of the system that it is installed on, as a child process. That program",
            "is under the GPL-3 too, and comes from that system.",
            "",
        ]
    lines += ["## Warnings", ""]
    lines += [f"- {each}" for each in warnings] or ["None."]
    lines += ["", "## Parts", "", "| kind | name | version | licence | said by | texts |"]
    lines += ["|---|---|---|---|---|---|"]
    for row in rows:
        texts = ", ".join(f"`{path}`" for path in row["texts"][:3])
        more = len(row["texts"]) - 3
        said = "; ".join(filter(None, (texts, f"and {more} more" if more > 0 else "")))
        said = "; ".join(filter(None, (said, row["texts_note"])))
        cells = [row["kind"], row["name"], row["version"], row["licence"], row["found_in"], said]
        lines.append(f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    bare = [f"- {row['name']} ({row['licence']})" for row in rows if row["texts_note"] == WITHOUT]
    if bare:
        lines += ["", "## Without a text", ""]
        lines += ["Most licences want theirs passed on: take it from the maker.", "", *bare]
    inside = [f"- {row['name']}: {row['inside']}" for row in rows if row["inside"]]
    notes = [f"- {row['name']}: {row['notes']}" for row in rows if row["notes"]]
    if inside:
        lines += ["", "## Inside the wheels", "", *inside]
    if notes:
        lines += ["", "## Notes of the catalog", "", *notes]
    lines += ["", "What we understand, not legal advice."]
    return "\n".join(lines) + "\n"

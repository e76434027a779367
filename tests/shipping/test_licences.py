"""What a licence means for who ships it, and the bill of materials."""

from __future__ import annotations

import json

import pytest
from edge_assistant_packaging.licences import known, sbom
from edge_assistant_packaging.licences.component import Component


@pytest.mark.parametrize(
    ("licence", "is_gpl"),
    [
        ("GPL-3.0-or-later", True),
        ("GPL-2.0-only", True),
        ("GPLv3", True),
        ("GNU General Public License v3", True),
        ("LGPL-2.1-or-later", False),
        ("GNU Lesser General Public License v3 or later (LGPLv3+)", False),
        ("GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("BSD-3-Clause AND GPL-3.0-or-later WITH GCC-exception-3.1", False),
        ("GPL-3.0-or-later AND GPL-3.0-or-later WITH GCC-exception-3.1", True),
        ("MIT AND (GPL-2.0-only OR Apache-2.0)", True),
        ("GPL", True),
        ("AGPL-3.0-or-later", True),
        ("GNU Affero General Public License v3", True),
        ("MIT", False),
    ],
)
def test_gpl(licence: str, is_gpl: bool) -> None:
    assert known.is_gpl(licence) is is_gpl


@pytest.mark.parametrize(
    ("licence", "notes"),
    [
        ("CC-BY-NC-SA-4.0", ""),
        ("Qwen Research License", ""),
        ("Blizzard 2013 research licence", ""),
        ("Own", "No commercial use, unlike its smaller sisters."),
    ],
)
def test_non_commercial_parts_are_warned_of(licence: str, notes: str) -> None:
    assert "no commercial use" in known.warnings(licence, notes)


@pytest.mark.parametrize("licence", ["CC-BY-4.0", "MIT", "Apache-2.0 OR BSD-3-Clause"])
def test_others_are_not(licence: str) -> None:
    assert known.warnings(licence) == ()


def part(name: str, licence: str, *files: str, kind: str = "wheel") -> Component:
    return Component(
        kind=kind,  # type: ignore[arg-type]
        name=name,
        version="1.0",
        licence=licence,
        found_in="a test",
        hashes=tuple((file, "a" * 64) for file in files),
    )


PARTS = (
    part("plain", "MIT", "wheels/plain.whl"),
    part("both", "Apache-2.0 OR BSD-3-Clause", "wheels/both.whl"),
    part("own", "Gemma Terms of Use", "models/own/a.onnx", "models/own/b.bin", kind="model"),
)


def bill(made_at_s: int = 1_700_000_000, parts: tuple[Component, ...] = PARTS) -> bytes:
    return sbom.make(
        parts, name="edge-assistant", version="0.1.0", platform="linux-x86_64", made_at_s=made_at_s
    )


def test_the_bill_names_parts_hashes_and_licences() -> None:
    told = json.loads(bill())
    assert (told["bomFormat"], told["specVersion"]) == ("CycloneDX", "1.6")
    assert told["metadata"]["timestamp"] == "2023-11-14T22:13:20+00:00"
    rows = {row["name"]: row for row in told["components"]}
    assert rows["plain"]["licenses"] == [{"license": {"id": "MIT"}}]
    assert rows["both"]["licenses"] == [{"expression": "Apache-2.0 OR BSD-3-Clause"}]
    assert rows["own"]["licenses"] == [{"license": {"name": "Gemma Terms of Use"}}]
    assert rows["own"]["type"] == "machine-learning-model"
    assert [inner["name"] for inner in rows["own"]["components"]] == [
        "models/own/a.onnx",
        "models/own/b.bin",
    ]
    assert rows["plain"]["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert rows["plain"]["purl"] == "pkg:pypi/plain@1.0"


def test_the_bill_is_the_same_for_the_same_parts_only() -> None:
    assert bill() == bill()
    assert bill(1_700_000_001) != bill()
    fewer = json.loads(bill(parts=PARTS[:2]))
    assert fewer["serialNumber"] != json.loads(bill())["serialNumber"]

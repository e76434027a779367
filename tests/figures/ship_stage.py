"""Stages a profile for real, twice, and prints sizes, times, warnings and what differs.

The second staging takes everything from the cache. The models have to be in the store. With
`--validator`, a `check-jsonschema` from anywhere checks the SBOM against CycloneDX's own schema:

    python -m venv /tmp/v && /tmp/v/bin/pip install check-jsonschema
    python -m tests.figures.ship_stage /tmp/staged --validator /tmp/v/bin/check-jsonschema

Exits with 1 if the two differ or the SBOM is not valid.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

from edge_assistant_packaging.staging import SBOM, StagedFacts, stage


def main() -> int:
    asked = _arguments()
    first, first_s = _staged(asked, asked.folder / "first")
    second, second_s = _staged(asked, asked.folder / "second")
    print(f"{first.version} for {first.platform}, Python {first.python}")
    print(f"llama.cpp: {first.cpu_flags}")
    print(f"models: {', '.join(first.models)}")
    print(f"first {first_s:.1f} s, second {second_s:.1f} s, {first.size_bytes / 1e6:.1f} MB")
    for place in sorted(each for each in first.folder.iterdir()):
        files = [place] if place.is_file() else [p for p in place.rglob("*") if p.is_file()]
        size_bytes = sum(each.stat().st_size for each in files)
        print(f"  {place.name:14} {len(files):4} files {size_bytes / 1e6:8.1f} MB")
    for said in first.warnings:
        print(f"warning: {said}")
    for said in first.missing_sources:
        print(f"missing source: {said}")
    different = _different(first.folder, second.folder)
    print(f"different: {', '.join(different) or 'nothing'}")
    is_valid = asked.validator is None or _is_valid(asked.validator, first.folder / SBOM)
    return 1 if different or not is_valid else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="for the two stagings; emptied first")
    parser.add_argument("--profile", default="starter")
    parser.add_argument("--platform", default="linux-x86_64")
    parser.add_argument("--wheels-from", type=Path)
    parser.add_argument("--with-sources", action="store_true")
    parser.add_argument("--permissive-only", action="store_true")
    parser.add_argument("--validator", type=Path, help="a check-jsonschema")
    return parser.parse_args()


def _staged(asked: argparse.Namespace, folder: Path) -> tuple[StagedFacts, float]:
    shutil.rmtree(folder, ignore_errors=True)
    begun_s = time.monotonic()
    facts = stage(
        asked.profile,
        asked.platform,
        None,
        with_sources=asked.with_sources,
        permissive_only=asked.permissive_only,
        wheels_from=asked.wheels_from,
        folder=folder,
    )
    return facts, time.monotonic() - begun_s


def _different(first: Path, second: Path) -> list[str]:
    one, two = _sums(first), _sums(second)
    return sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))


def _sums(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _is_valid(validator: Path, bill: Path) -> bool:
    """Check with the official schema, which comes with cyclonedx-python-lib."""
    import cyclonedx.schema

    schemas = Path(cyclonedx.schema.__file__).parent / "_res"
    place = bill.parent.parent / "schemas"
    place.mkdir(exist_ok=True)
    for name in ("bom-1.6", "spdx", "jsf-0.82"):
        # The schema names the others without the word that the library puts into their names.
        shutil.copyfile(
            schemas / f"{name}.SNAPSHOT.schema.json", place / f"{name}.SNAPSHOT.schema.json"
        )
        shutil.copyfile(schemas / f"{name}.SNAPSHOT.schema.json", place / f"{name}.schema.json")
    schema = place / "bom-1.6.schema.json"
    command = [str(validator), "--schemafile", str(schema), "--base-uri", schema.as_uri()]
    done = subprocess.run([*command, str(bill)], capture_output=True, text=True, check=False)
    print(f"{validator.name}: {(done.stdout + done.stderr).strip()[:2000]}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())

#!/bin/sh
# The one-folder build: build.sh [WHEELS]. WHEELS is a folder with the assistant's own wheel and all of its engines
# (`make deb` leaves one in build/deb/wheels).
set -eu
unset PYTHONPATH PYTHONHOME # what is collected is what the wheels have
here=$(cd "$(dirname "$0")/../.." && pwd)
wheels=${1:-$here/build/deb/wheels}
ls "$wheels"/edge_assistant-*.whl >/dev/null 2>&1 || {
    echo "no wheels in $wheels: make deb makes them, or name the folder" >&2
    exit 1
}
venv=$here/build/onefolder/venv
"${PYTHON:-python3}" -m venv "$venv"
"$venv/bin/pip" install --quiet pyinstaller
"$venv/bin/pip" install --quiet --no-index --no-deps --force-reinstall "$wheels"/*.whl
cd "$here/build/onefolder"
"$venv/bin/pyinstaller" --noconfirm --log-level WARN --distpath "$here/dist" --workpath work \
    "$here/packaging/desktop/edge-assistant.spec"
# It starts, and has its catalog.
"$here/dist/edge-assistant/edge-assistant" models list >/dev/null
du -sh "$here/dist/edge-assistant"

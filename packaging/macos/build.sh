#!/bin/sh
# UNTESTED: nobody has run this on a Mac yet. An app around the one-folder build, with permission for the microphone:
#   build.sh WHEELS [IDENTITY]
# WHEELS: a folder of wheels for this Mac (pip wheel . -w WHEELS). IDENTITY: of `security find-identity -p codesigning`;
# without one the app is signed ad hoc, which is enough for the Mac that made it.
set -eu
[ "$(uname -s)" = Darwin ] || { echo "this makes an app for macOS, on macOS" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
wheels=${1:?usage: build.sh WHEELS [IDENTITY]}
identity=${2:--}
sh "$root/packaging/desktop/build.sh" "$wheels"
app="$root/dist/Edge Assistant.app"
rm -rf "$app"
mkdir -p "$app/Contents/MacOS" "$app/Contents/Resources"
cp -R "$root/dist/edge-assistant" "$app/Contents/Resources/engine"
version=$("$app/Contents/Resources/engine/edge-assistant" --version | awk '{print $NF}')
sed -e "s/@VERSION@/$version/" -e "s/@IDENTIFIER@/${IDENTIFIER:-org.example.edge-assistant}/" \
    "$here/Info.plist.in" >"$app/Contents/Info.plist"
cat >"$app/Contents/MacOS/start" <<'START'
#!/bin/sh
exec "$(dirname "$0")/../Resources/engine/edge-assistant" run
START
chmod +x "$app/Contents/MacOS/start"
plutil -lint "$app/Contents/Info.plist"
# Apple notarizes nothing without its time stamp; a signature of no identity cannot have one.
stamp=--timestamp
[ "$identity" != - ] || stamp=--timestamp=none
# From the inside out: what is signed last seals what is in it. A Python of python.org is a file without an ending.
find "$app/Contents/Resources" -type f \( -name '*.dylib' -o -name '*.so' -o -name Python \) \
    -exec codesign --force --options runtime "$stamp" --sign "$identity" {} +
codesign --force --options runtime "$stamp" --entitlements "$here/entitlements.plist" --sign "$identity" \
    "$app/Contents/Resources/engine/edge-assistant"
codesign --force --options runtime "$stamp" --entitlements "$here/entitlements.plist" --sign "$identity" "$app"
codesign --verify --deep --strict "$app"
hdiutil create -volname "Edge Assistant" -srcfolder "$app" -ov -format UDZO \
    "$root/dist/edge-assistant-$version.dmg"

#!/bin/sh
# 64-bit Raspberry Pi OS (bookworm), from packages that were made for arm64 (make deb ARGS="--platform linux-aarch64 ..."):
#   sudo sh install.sh FOLDER
# FOLDER holds edge-assistant_*_arm64.deb and edge-assistant-models-*_all.deb, and, for a Pi without a network, the
# packages of Debian that they depend on.
set -eu
folder=${1:?usage: sudo sh install.sh FOLDER}
[ "$(dpkg --print-architecture)" = arm64 ] || {
    echo "this is not a 64-bit Raspberry Pi OS; flash the 64-bit image" >&2
    exit 1
}
[ "$(id -u)" = 0 ] || {
    echo "run it with sudo" >&2
    exit 1
}
folder=$(cd "$folder" && pwd)
apt-get install -y --no-install-recommends "$folder"/*.deb
systemctl enable --now edge-assistant
echo "It listens now and after every start; journalctl -u edge-assistant -f shows what it does."

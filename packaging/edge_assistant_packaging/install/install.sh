#!/bin/sh
# Installs the assistant from the unpacked bundle that this file lies in. No network, no root.
#
# A version is built in PREFIX/versions/ID, where it stays (a virtual environment has absolute paths
# in it) and which nothing points at. When all of it is on the disk it gets the file `complete`; then
# the link PREFIX/current is renamed over. Whatever ends this program, and when, `current` is the old
# version or the new one. A version without `complete` is an interrupted run's; the next removes it.
#
#   PREFIX/current          -> versions/ID
#   PREFIX/previous         -> current/previous, so that one rename changes both
#   PREFIX/versions/ID/previous -> ../ID of the version before
#   PREFIX/command          -> the link that we made on the PATH, to remove it again
#   PREFIX/.edge-assistant.lock   held while something is changed; says that PREFIX is ours, and
#                           which folders above were made for it, to remove them again if empty
set -eu
LC_ALL=C
export LC_ALL
unset PYTHONHOME PYTHONPATH
umask go-w # nobody else changes what this user will run

usage() {
    cat <<'END'
usage: ./install.sh [--check | --rollback | --uninstall [--purge]] [options]

  (nothing)         install this bundle, or make it the version in use
  --check           only compare every file with the bundle's own list
  --rollback        go back to the version that was in use before
  --uninstall       remove every version; your configuration and state stay
  --purge           with --uninstall: remove these too

  --system          for all users, in /opt/edge-assistant; takes root
  --prefix DIR      instead of ~/.local/share/edge-assistant-app
  --bin-dir DIR     where the command is linked, instead of ~/.local/bin or /usr/local/bin
  --python PROGRAM  the interpreter to use
  --key FILE        check the manifest's signature too, with minisign and this public key
END
}

told='' unfinished='' holds_lock='' step='starting'

say() { printf '%s\n' "$*"; }

tell() { # error|warning code message hint
    printf '%s [%s]: %s\nhint: %s\n' "$1" "$2" "$3" "$4" >&2
}

die() { # code message hint
    tell error "$1" "$2" "$3"
    told=yes
    [ "$1" != usage ] || exit 2
    exit 1
}

# shellcheck disable=SC2317,SC2329  # the trap calls it
on_exit() {
    status=$?
    trap - EXIT
    trap '' HUP INT TERM
    if [ "$status" -ne 0 ] && [ -z "$told" ]; then explain_failure; fi
    if [ -n "$unfinished" ]; then erase "$unfinished" || :; fi
    if [ -n "$holds_lock" ]; then remove_empty_prefix || :; fi
    exit "$status"
}

# shellcheck disable=SC2317,SC2329,SC2004  # `free` is a product, which dash takes only as text
explain_failure() {
    [ "$status" -lt 129 ] || step="$step (stopped by a signal)"
    if [ -n "$unfinished" ] && [ -s "$unfinished/tmp/log" ]; then
        tail -n 5 "$unfinished/tmp/log" >&2
    fi
    free=$(stat -f -c '%a * %S' "$prefix" 2>/dev/null || echo 1048576)
    if [ $(($free)) -lt 1048576 ]; then
        tell error disk-full "no room is left in $prefix; failed at: $step" \
            "make room, then: ./install.sh"
    else
        tell error install-failed "failed at: $step; the version in use still is" \
            "see the lines above; then: ./install.sh"
    fi
}

# ---- what was asked for

read_arguments() {
    verb=install scope=user is_purge='' prefix='' bin_dir='' python='' key=''
    while [ $# -gt 0 ]; do
        case $1 in
            --check | --rollback | --uninstall)
                [ "$verb" = install ] || die usage "--$verb and $1 together" "./install.sh --help"
                verb=${1#--} ;;
            --purge) is_purge=yes ;;
            --system) scope=system ;;
            --prefix | --bin-dir | --python | --key)
                [ -n "${2:-}" ] || die usage "$1 needs a value" "./install.sh --help"
                case $1 in
                    --prefix) prefix=$2 ;;
                    --bin-dir) bin_dir=$2 ;;
                    --python) python=$2 ;;
                    --key) key=$2 ;;
                esac
                shift ;;
            -h | --help) usage; exit 0 ;;
            *) die usage "unknown argument: $1" "./install.sh --help" ;;
        esac
        shift
    done
    [ -z "$is_purge" ] || [ "$verb" = uninstall ] ||
        die usage "--purge goes with --uninstall" "./install.sh --help"
}

find_places() {
    here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
    case $key in '' | /*) ;; *) key=$PWD/$key ;; esac
    [ "$verb" != check ] || return 0
    if [ -z "$prefix" ] && [ -f "$here/complete" ] && [ "$(id -u)" -eq 0 ] &&
        [ "${here%/versions/*}" = /opt/edge-assistant ]; then scope=system; fi
    if [ "$scope" = system ]; then
        [ "$(id -u)" -eq 0 ] || die needs-root "--system installs for all users" \
            "sudo ./install.sh --system, or without --system for you alone"
        umask 022
        prefix=${prefix:-/opt/edge-assistant} bin_dir=${bin_dir:-/usr/local/bin}
    elif [ -z "${HOME:-}" ] && needs_home; then
        die home-missing "HOME is not set" "./install.sh --prefix DIR --bin-dir DIR"
    fi
    if [ -z "$prefix" ]; then
        # From an installed version's own copy of this file: that installation is meant.
        if [ -f "$here/complete" ]; then prefix=${here%/versions/*}
        else prefix=${XDG_DATA_HOME:-$HOME/.local/share}/edge-assistant-app; fi
    fi
    bin_dir=${bin_dir:-${HOME:-/nonexistent}/.local/bin}
    case $prefix$bin_dir in
        *[[:cntrl:]]*) die usage "a control character in a folder's name" "./install.sh --help" ;;
    esac
    case $prefix in /*) ;; *) prefix=$PWD/$prefix ;; esac
    case $bin_dir in /*) ;; *) bin_dir=$PWD/$bin_dir ;; esac
    case $python in /*) ;; */*) python=$PWD/$python ;; esac
}

needs_home() { # some place that nobody named, and that this file does not tell by where it lies
    if [ "$verb" = install ] && [ -z "$bin_dir" ]; then return 0; fi
    [ -z "$prefix" ] && [ ! -f "$here/complete" ]
}

# ---- is the bundle what it says

check_bundle() {
    step="checking the bundle"
    cd "$here"
    for each in manifest.json SHA256SUMS; do
        [ -f "$each" ] || die bundle-incomplete "there is no $each in $here" \
            "run install.sh in the folder that the bundle was unpacked into"
    done
    [ -z "$key" ] || check_signature
    odd=$(find . ! -type f ! -type d | head -n 1)
    [ -z "$odd" ] || refuse "$odd is neither a file nor a folder"
    sums=$(sha256sum SHA256SUMS | cut -c 1-64)
    grep -q -F "\"path\":\"SHA256SUMS\",\"sha256\":\"$sums\"" manifest.json ||
        refuse "SHA256SUMS is not the one that the manifest names"
    odd=$(grep -v -E '^[0-9a-f]{64}  [A-Za-z0-9_.][A-Za-z0-9._+@=,~!/-]*$' SHA256SUMS | head -n 1)
    [ -z "$odd" ] || refuse "SHA256SUMS has a line that cannot be: $odd"
    listed=$(cut -c 67- SHA256SUMS | sort)
    found=$(find . -type f | sed 's|^\./||' |
        grep -v -x -F -e SHA256SUMS -e manifest.json -e manifest.json.minisig | sort)
    if [ "$listed" != "$found" ]; then
        for each in $listed; do [ -f "$each" ] || refuse "$each is missing"; done
        odd=$(first_unlisted)
        [ -z "$odd" ] || refuse "$odd is not in the bundle's list"
        refuse "SHA256SUMS names a file twice"
    fi
    results=$(sha256sum -c SHA256SUMS 2>/dev/null) ||
        refuse "$(printf '%s\n' "$results" | grep -v ': OK$' | head -n 1 | sed 's/: FAILED.*//') \
is not what it was when the bundle was made"
    read_manifest
    say "checked $(printf '%s\n' "$listed" | wc -l) files: $id"
}

refuse() {
    die bundle-changed "$1" "do not install it; unpack the bundle again, or get it again"
}

first_unlisted() {
    printf '%s\n' "$found" | while IFS= read -r each; do
        printf '%s\n' "$listed" | grep -q -x -F -e "$each" || { printf '%s' "$each"; break; }
    done
}

check_signature() {
    command -v minisign >/dev/null || die minisign-missing "--key needs minisign" \
        "apt install minisign, or check the bundle with: edge-assistant bundle verify"
    grep -q '^RW' "$key" 2>/dev/null || die key-invalid \
        "$key is not there, or is no public key of minisign" "name the vendor's public key: --key FILE"
    minisign -V -q -p "$key" -x manifest.json.minisig -m manifest.json >&2 ||
        die signature-wrong "the manifest is not signed with the key of $key" \
            "do not install it; ask the vendor for the bundle and the key again"
}

read_manifest() {
    version=$(field '"version":"\([^"]*\)"')
    build=$(field '"build":\([0-9]*\)')
    platform=$(field '"platform":"\([^"]*\)"')
    wanted=$(field '"python":"\([^"]*\)"')
    printf '%s\n' "$version $build $platform $wanted" | grep -q -x -E \
        '[0-9A-Za-z][0-9A-Za-z.+!_-]* [0-9]+ linux-(x86_64|aarch64) [0-9]+[.][0-9]+' ||
        refuse "manifest.json does not say version, build, platform and Python"
    features=$(field '"cpu_features":"\([a-z0-9_ ]*\)"')
    id=$version-$build-$(sha256sum manifest.json | cut -c 1-12)
}

field() { sed -n "s/.*[{,]$1[,}].*/\\1/p" manifest.json; }

# ---- can it be installed here

PROBE='
import platform, struct, sys
bits = struct.calcsize("P") * 8
print(f"{sys.version_info[0]}.{sys.version_info[1]} linux-{platform.machine()} {bits}")
'

find_python() {
    step="looking for Python"
    asked=$python said=''
    for python in "${asked:-python$wanted}" "${asked:-python3}"; do
        said=$("$python" -I -c "$PROBE" 2>/dev/null) || continue
        [ "${said%% *}" != "$wanted" ] || break
    done
    [ -n "$said" ] || die python-missing \
        "the bundle's wheels are for Python $wanted, and there is no ${asked:-python3} here" \
        "apt install python$wanted python$wanted-venv"
    [ "${said%% *}" = "$wanted" ] || die python-version \
        "the bundle's wheels are for Python $wanted; $python here is ${said%% *}" \
        "get a bundle for Python ${said%% *}, or: ./install.sh --python /path/to/python$wanted"
    [ "${said#* }" = "$platform 64" ] || die platform-wrong \
        "the bundle is for $platform; Python here is of ${said#* } bit" \
        "get a bundle for this machine"
    pip=''
    for each in "$here"/wheels/pip-[0-9]*.whl; do [ ! -f "$each" ] || pip=$each; done
    modules=venv
    [ -n "$pip" ] || modules='venv, ensurepip'
    "$python" -I -c "import $modules" 2>/dev/null || die python-venv-missing \
        "Python $wanted here cannot make a virtual environment: the Debian package is not there" \
        "apt install python$wanted-venv"
}

check_processor() { # or the first reply would end with an illegal instruction
    step="looking at the processor"
    cores=$(grep -E '^(flags|Features)[[:space:]]*:' /proc/cpuinfo 2>/dev/null) || return 0
    lacks=''
    for each in $features; do
        if printf '%s\n' "$cores" | grep -q -v -w -e "$each"; then lacks="$lacks $each"; fi
    done
    [ -z "$lacks" ] || die processor-wrong \
        "llama.cpp in this bundle is compiled for processors with $features; this one lacks$lacks" \
        "get a bundle that is built for this processor (its maker chooses: bundle build --cpu)"
}

SPACE='
import os, sys, zipfile
bundle, place, pip = sys.argv[1:]
blocks = lambda size: size + 8191 >> 12
copied = [os.path.join(top, name) for part in ("models", "config", "services", "licences")
          for top, _, names in os.walk(os.path.join(bundle, part)) for name in names]
wheels = os.path.join(bundle, "wheels")
need = sum(blocks(os.path.getsize(each)) for each in copied)
for name in set(os.listdir(wheels)) - {os.path.basename(pip)}:
    if not name.endswith(".whl"):
        continue
    for member in zipfile.ZipFile(os.path.join(wheels, name)).infolist():
        need += blocks(member.file_size) * (2 if member.filename.endswith(".py") else 1)
disk = os.statvfs(place)
spare_kib = (8 if pip else 32) << 10
print(need * 4 * 21 // 20 + spare_kib, disk.f_bavail * disk.f_frsize // 1024)
'

check_space() {
    step="measuring the room that it needs"
    figures=$("$python" -I -c "$SPACE" "$here" "$prefix" "$pip")
    need_kib=${figures% *} free_kib=${figures#* }
    [ "$need_kib" -le "$free_kib" ] || die disk-full \
        "$prefix has room for $((free_kib / 1024)) MiB, and this takes $((need_kib / 1024)) MiB" \
        "make room, or choose another disk: ./install.sh --prefix DIR"
}

# ---- the prefix

open_prefix() { # with `make`, it need not be there
    step="opening $prefix"
    command -v flock >/dev/null || die flock-missing "there is no program flock" \
        "apt install util-linux"
    made=''
    if [ "${1:-}" = make ]; then
        made=$(absent_above "$prefix")
        mkdir -p -- "$prefix" 2>/dev/null || unwritable "$prefix"
    elif [ ! -d "$prefix" ]; then
        die not-installed "there is no installation in $prefix" \
            "./install.sh, or name its folder: --prefix DIR"
    fi
    prefix=$(CDPATH='' cd -- "$prefix" && pwd -P) lock=$prefix/.edge-assistant.lock
    if [ ! -f "$lock" ] && [ -n "$(ls -A -- "$prefix")" ]; then
        die prefix-in-use "$prefix has other things in it, and is no installation of ours" \
            "choose a folder of its own: --prefix DIR"
    fi
    ( : >>"$lock" ) 2>/dev/null || unwritable "$prefix"
    exec 9>>"$lock"
    flock -n 9 || busy
    # Who uninstalls removes the lock while holding it: is this file still the one of that name?
    echo $$ >&9
    grep -q -x $$ "$lock" 2>/dev/null || busy
    holds_lock=yes
    note_made
    sweep
}

absent_above() { # the folders above this one that are not there
    each=${1%/*}
    while [ -n "$each" ] && [ ! -d "$each" ]; do
        printf '%s\n' "$each"
        each=${each%/*}
    done
}

note_made() { [ -z "$made" ] || printf '%s\n' "$made" >>"$lock"; }

unwritable() {
    die prefix-not-writable "cannot write to $1" \
        "choose another place: --prefix DIR; or for all users: sudo ./install.sh --system"
}

busy() {
    die install-running "another install.sh is at work in $prefix" "wait until it is done"
}

remove_empty_prefix() {
    [ ! -L "$prefix/current" ] || return 0
    rmdir "$prefix/versions" 2>/dev/null || [ ! -d "$prefix/versions" ] || return 0
    made=$(grep '^/' "$lock" | sort -r) || made=''
    rm -f "$prefix/previous" "$prefix/command" "$lock"
    rmdir "$prefix" 2>/dev/null || :
    printf '%s\n' "$made" | while IFS= read -r each; do
        [ -z "$each" ] || rmdir "$each" 2>/dev/null || :
    done
}

current_id() { id_of "$prefix/current"; }
previous_id() { id_of "$prefix/current/previous"; }

id_of() { # of the complete version that a link points at, or nothing
    target=$(readlink "$1" 2>/dev/null) || return 0
    target=${target##*/}
    if [ -f "$prefix/versions/$target/complete" ]; then printf '%s' "$target"; fi
}

sweep() { # what interrupted runs left
    step="removing what an interrupted run left"
    rm -f "$prefix"/*.new "$prefix"/versions/*/previous.new
    in_use=$(readlink "$prefix/current" 2>/dev/null) || in_use=''
    for each in "$prefix"/versions/*; do
        if [ -d "$each" ] && [ ! -f "$each/complete" ] && [ "$in_use" != "versions/${each##*/}" ]
        then erase "$each"; fi
    done
}

prune() { # all but the version in use and the one before
    step="removing old versions"
    used=$(current_id) before=$(previous_id)
    for each in "$prefix"/versions/*; do
        case ${each##*/} in "$used" | "$before") ;; *) remove_version "$each" ;; esac
    done
}

remove_version() { # a half removed one must not look complete
    [ -d "$1" ] || return 0
    rm -f "$1/complete"
    settle "$1"
    erase "$1"
}

erase() { # also what came from a read-only disk
    rm -rf "$1" 2>/dev/null || { chmod -R u+rwX "$1" && rm -rf "$1"; }
}

settle() { # these, or else all that was written, are on the disk before what follows
    if ! sync --version >/dev/null 2>&1; then
        sync
    elif [ $# -gt 0 ]; then
        sync "$@"
    else
        sync -f "$prefix"
    fi
}

point() { # link target: a reader finds the old link or the new one
    rm -f "$1.new"
    ln -s -- "$2" "$1.new"
    mv -T -f -- "$1.new" "$1"
}

# ---- installing

install() {
    check_bundle
    find_python
    check_processor
    open_prefix make
    folder=$prefix/versions/$id
    if [ -f "$folder/complete" ]; then
        starts "$folder" || die version-broken "$id is installed, and does not start" \
            "./install.sh --rollback or --uninstall, then: ./install.sh"
    elif [ -d "$folder" ]; then
        die version-broken "$id is in use, and is not complete" \
            "./install.sh --uninstall, then: ./install.sh"
    else
        check_space
        make_version
    fi
    activate "$id"
    link_command
    prune
    look_for_libraries
    say "installed $id"
    case ":$PATH:" in
        *:"$bin_dir":*) say "next: edge-assistant doctor" ;;
        *) say "next: $bin_dir/edge-assistant doctor ($bin_dir is not on your PATH)" ;;
    esac
}

make_version() {
    step="making $folder"
    mkdir -p "$prefix/versions" 2>/dev/null || unwritable "$prefix"
    unfinished=$folder
    mkdir "$folder" "$folder/bin" "$folder/tmp"
    log=$folder/tmp/log
    make_environment
    step="copying models and configuration"
    for each in models config services licences manifest.json manifest.json.minisig \
        sbom.cdx.json install.sh; do
        if [ -e "$here/$each" ]; then
            cp -R -- "$here/$each" "$folder/" 2>>"$log"
            chmod -R u+rwX "$folder/$each"
        fi
    done
    write_wrapper
    step="trying whether it starts"
    starts "$folder" || { printf '%s\n' "$said" >&2; false; }
    case " $said " in
        *" $version "*) ;;
        *) die version-wrong "the manifest says version $version, and the program says: $said" \
            "do not use this bundle; ask the vendor for another" ;;
    esac
    step="writing it to the disk"
    rm -rf "$folder/tmp"
    [ "$scope" != system ] || chmod -R a+rX "$folder"
    settle
    : >"$folder/complete"
    settle "$folder/complete" "$folder" "$prefix/versions"
    unfinished=''
}

make_environment() {
    step="making the virtual environment"
    say "installing the wheels"
    TMPDIR=$folder/tmp
    PIP_CONFIG_FILE=/dev/null
    export TMPDIR PIP_CONFIG_FILE
    set -- --isolated --disable-pip-version-check --no-input --no-cache-dir \
        install --quiet --no-index --no-deps --no-compile --no-warn-script-location
    for each in "$here"/wheels/*.whl; do
        [ "$each" = "$pip" ] || set -- "$@" "$each"
    done
    if [ -n "$pip" ]; then
        "$python" -I -m venv --without-pip "$folder/venv" >>"$log" 2>&1
        step="installing the wheels"
        "$folder/venv/bin/python" -I "$pip/pip" "$@" >>"$log" 2>&1
    else
        "$python" -I -m venv "$folder/venv" >>"$log" 2>&1
        step="installing the wheels"
        "$folder/venv/bin/python" -I -m pip "$@" >>"$log" 2>&1
    fi
    # Whoever may not write here would compile everything at each start. Some packages carry files
    # for other Pythons, which do not compile and are not missed.
    "$folder/venv/bin/python" -I -m compileall -q --invalidation-mode unchecked-hash \
        "$folder/venv/lib" >/dev/null 2>&1 || :
    unset TMPDIR PIP_CONFIG_FILE
}

write_wrapper() {
    step="writing the program"
    quoted=$(printf '%s' "$folder" | sed "s/'/'\\\\''/g")
    cat >"$folder/bin/edge-assistant" <<END
#!/bin/sh
# Written by install.sh: this version's program with this version's models and configuration.
version='$quoted'
END
    cat >>"$folder/bin/edge-assistant" <<'END'
unset PYTHONHOME PYTHONPATH
EDGE_ASSISTANT_MODELS_DIR=${EDGE_ASSISTANT_MODELS_DIR:-$version/models}
EDGE_ASSISTANT_OFFLINE=${EDGE_ASSISTANT_OFFLINE:-1}
EDGE_ASSISTANT_BUNDLE_CONFIG=$version/config/config.toml
export EDGE_ASSISTANT_MODELS_DIR EDGE_ASSISTANT_OFFLINE EDGE_ASSISTANT_BUNDLE_CONFIG
exec "$version/venv/bin/python" "$version/venv/bin/edge-assistant" "$@"
END
    chmod 755 "$folder/bin/edge-assistant"
}

starts() { said=$("$1/bin/edge-assistant" --version 2>&1 9>&- </dev/null); }

activate() { # one rename of `current` changes what is in use and what was before
    step="changing to $1"
    old=$(current_id)
    [ "$old" != "$1" ] || return 0
    if [ -n "$old" ]; then
        point "$prefix/versions/$1/previous" "../$old"
        [ -L "$prefix/previous" ] || point "$prefix/previous" current/previous
    fi
    settle "$prefix" "$prefix/versions/$1"
    point "$prefix/current" "versions/$1"
    settle "$prefix"
}

link_command() {
    step="linking the command"
    link=$bin_dir/edge-assistant target=$prefix/current/bin/edge-assistant
    recorded=$(readlink "$prefix/command" 2>/dev/null) || recorded=''
    if [ -n "$recorded" ] && [ "$recorded" != "$link" ]; then unlink_command; fi
    if [ "$(readlink "$link" 2>/dev/null)" = "$target" ]; then
        [ "$recorded" = "$link" ] || point "$prefix/command" "$link"
    elif [ -e "$link" ] || [ -L "$link" ]; then
        tell warning command-taken "$link is there already and not ours: it is left as it is" \
            "start $target, or install with --bin-dir DIR"
    else
        point "$prefix/command" "$link"
        made=$(absent_above "$link")
        { mkdir -p -- "$bin_dir" && note_made && ln -s -- "$target" "$link"; } 2>/dev/null ||
            tell warning command-not-linked "cannot write to $bin_dir" \
                "start $target, or install with --bin-dir DIR"
    fi
}

unlink_command() { # only if it is still ours
    link=$(readlink "$prefix/command" 2>/dev/null) || return 0
    if [ "$(readlink "$link" 2>/dev/null)" = "$prefix/current/bin/edge-assistant" ]; then
        rm -f -- "$link"
    fi
    rm -f "$prefix/command"
}

look_for_libraries() { # those of Debian that the wheels need and do not bring along
    step="looking for libraries of the system"
    packages=''
    if find "$folder/venv/lib" -name '*.so*' -type f -exec ldd {} + 2>/dev/null |
        grep -q 'libgomp[.]so[.]1 => not found'; then packages=' libgomp1'; fi
    for each in "$here"/wheels/sounddevice-*; do
        [ ! -f "$each" ] || "$python" -I -c "$PORTAUDIO" 2>/dev/null ||
            packages="$packages libportaudio2"
    done
    [ -z "$packages" ] || tell warning library-missing \
        "it cannot talk yet; this system lacks:$packages" "apt install$packages"
}

PORTAUDIO='import ctypes; ctypes.CDLL("libportaudio.so.2")'

# ---- going back, removing

rollback() {
    open_prefix
    used=$(current_id) before=$(previous_id)
    [ -n "$used" ] || die not-installed "there is no installation in $prefix" "./install.sh"
    [ -n "$before" ] || die no-previous "no version before $used is kept" \
        "unpack the bundle of the version that you want, and run its install.sh"
    starts "$prefix/versions/$before" ||
        die version-broken "$before does not start: $said" "unpack its bundle and install it again"
    activate "$before"
    say "in use: $before"
    say "kept: $used (--rollback again goes back to it)"
}

uninstall() {
    if [ -d "$prefix" ] || [ -z "$is_purge" ]; then
        open_prefix
        step="removing $prefix"
        unlink_units
        unlink_command
        rm -f "$prefix/current" "$prefix/previous"
        for each in "$prefix"/versions/*; do remove_version "$each"; done
        remove_empty_prefix
        holds_lock=''
        if [ -d "$prefix" ]; then say "kept $prefix: there is something in it that is not ours"
        else say "removed $prefix"; fi
    fi
    step="removing configuration and state"
    own_folders | while IFS= read -r each; do
        [ -e "$each" ] || [ -L "$each" ] || continue
        if [ -n "$is_purge" ]; then
            rm -rf -- "$each"
            say "removed $each"
        else
            say "kept $each (--uninstall --purge removes it)"
        fi
    done
    [ -n "$is_purge" ] && [ "$scope" = user ] && [ -n "${HOME:-}" ] || return 0
    # The program makes these where there are none. `-p`: the empty ones above, but not the home.
    for each in .config .cache .local/share; do
        (cd -- "$HOME" && rmdir -p -- "$each") 2>/dev/null || :
    done
}

own_folders() {
    if [ "$scope" = system ]; then
        printf '%s\n' /etc/edge-assistant
        for each in lib cache; do # systemd's, of its own users too
            printf '%s\n' /var/$each/edge-assistant /var/$each/private/edge-assistant
        done
    elif [ -n "${HOME:-}" ]; then
        printf '%s\n' "${XDG_CONFIG_HOME:-$HOME/.config}/edge-assistant" \
            "${XDG_DATA_HOME:-$HOME/.local/share}/edge-assistant" \
            "${XDG_CACHE_HOME:-$HOME/.cache}/edge-assistant"
    fi
}

unlink_units() { # systemd's links to our services, which `systemctl enable` made
    if [ "$scope" = system ]; then
        set -- /etc/systemd/system /etc/systemd/user
    else
        set -- "${XDG_CONFIG_HOME:-${HOME:-/nonexistent}/.config}/systemd/user"
    fi
    for each in "$@"; do
        [ -d "$each" ] || continue
        find "$each" -type l | while IFS= read -r unit; do
            case $(readlink "$unit") in "$prefix"/*) ;; *) continue ;; esac
            manager=--system
            [ "${each##*/}" = system ] || manager=--user
            systemctl "$manager" stop "${unit##*/}" >/dev/null 2>&1 </dev/null || :
            rm -f -- "$unit"
        done
    done
}

main() {
    read_arguments "$@"
    find_places
    case $verb in
        check) check_bundle ;;
        install) install ;;
        rollback) rollback ;;
        uninstall) uninstall ;;
    esac
}

prefix=/
trap on_exit EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
main "$@"
exit

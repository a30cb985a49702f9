#!/usr/bin/env bash
# This package beside the Caffe that a distribution packages, Debian 11's: installed in each way that a user has, and tried.
# As root, from a checkout, on a machine that may be thrown away. docs/machines.md has what it prints.
#
#   scripts/machines/packaged_caffe.sh [venv] [user] [system] [make]     without a word, all of them
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# Caffe; what installs; the images of the quickstart; what opencv-python loads and a minimal system lacks.
PACKAGES=(make caffe python3-caffe python3-pip python3-venv python3-sklearn libgl1 libglib2.0-0)
# What a Caffe environment has already: no way to install may move one of them.
THEIRS='^(numpy|protobuf|h5py|lmdb|matplotlib|opencv[a-z-]*)=='
USER_NAME=newcomer

# versions command ...: the packages of a Python, by its pip.
versions() {
    "$@" -m pip list --format=freeze 2>/dev/null | tr '[:upper:]' '[:lower:]' | sort
}

# moved before after: what was there and is not there any more, as it was; fails if it is one of theirs.
moved() {
    local gone
    gone=$(comm -23 <(echo "$1") <(echo "$2"))
    echo "| pip moves | $(echo "$gone" | xargs | sed 's/^$/nothing/') | |"
    ! grep -E "$THEIRS" <<<"$gone"
}

# attempt "way" command ...: what `pip install` moves, then the tries. command: starts the Python of that way.
attempt() {
    local way=$1 before after status=0
    shift
    before=$(versions "$@")
    echo
    echo "**$way**, before: $(grep -E "$THEIRS" <<<"$before" | xargs)"
    echo
    echo "| what | result | time |"
    echo "| --- | --- | --- |"
    "$@" -m pip install --quiet $pip_option "$wheel" >"$work/log" 2>&1 || { cat "$work/log" && return 1; }
    after=$(versions "$@")
    moved "$before" "$after" || status=1
    "$@" "$work/checkout/scripts/machines/tries.py" || status=1
    return $status
}

way_venv() {
    python3 -m venv --system-site-packages "$work/venv"
    PATH=$work/venv/bin:$PATH attempt "a venv with system packages" "$work/venv/bin/python"
}

way_user() {
    id "$USER_NAME" >/dev/null 2>&1 || useradd --create-home "$USER_NAME"
    pip_option=--user attempt "pip install --user" as_user python3
}

as_user() {
    setpriv --reuid="$USER_NAME" --regid="$USER_NAME" --init-groups env HOME="/home/$USER_NAME" \
        PATH="/home/$USER_NAME/.local/bin:$PATH" "$@"
}

way_system() {
    attempt "pip of the system, as root" python3
}

way_make() {
    local status=0
    echo
    echo "**CAFFE_ROOT=/usr make setup**"
    echo
    echo "| what | result | time |"
    echo "| --- | --- | --- |"
    CAFFE_ROOT=/usr make -s -C "$root" setup >"$work/log" 2>&1 || { cat "$work/log" && return 1; }
    echo "| make setup | $(tail -n 1 "$work/log") | |"
    PATH=$root/.venv/bin:$PATH python "$root/scripts/machines/tries.py" || status=1
    return $status
}

main() {
    local way failed=0
    work=$(mktemp -d)
    chmod 755 "$work"
    trap 'rm -rf "$work"' EXIT
    pip_option=""
    export GLOG_minloglevel=2 PIP_DISABLE_PIP_VERSION_CHECK=1 DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
    apt-get install -y --no-install-recommends "${PACKAGES[@]}" >"$work/log" 2>&1 || { cat "$work/log" && return 1; }
    python3 -m pip wheel --quiet --no-deps --wheel-dir "$work" "$root" >"$work/log" 2>&1 || { cat "$work/log" && return 1; }
    wheel=$(echo "$work"/*.whl)
    mkdir "$work/checkout" # which any user may read
    cp -r "$root"/{README.md,docs,scripts,tests} "$work/checkout"
    if [ $# = 0 ]; then set -- venv user system make; fi
    for way in "$@"; do
        "way_$way" || failed=1
    done
    return $failed
}

main "$@"

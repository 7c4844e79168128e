#!/bin/sh
# Print the path of uv. When the machine has none, put one into the project's own folder .uv.
set -eu

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
own="$root/.uv/bin/uv"

say() { printf '%s\n' "$*" >&2; }

find_uv() {
    for candidate in "${UV:-}" uv "${HOME:-/nonexistent}/.local/bin/uv" "${HOME:-/nonexistent}/.cargo/bin/uv" "$own"; do
        if [ -n "$candidate" ] && path=$(command -v "$candidate") && "$path" --version >/dev/null 2>&1; then
            printf '%s\n' "$path"
            return 0
        fi
    done
    return 1
}

# An environment of its own: Debian's Python refuses pip outside of one.
install_in_venv() {
    rm -rf "$root/.uv"
    python3 -m venv "$root/.uv" >/dev/null 2>&1 && "$root/.uv/bin/python" -m pip install --quiet uv >&2
}

# Debian ships Python without ensurepip, and so without a working venv, until python3-venv is installed.
install_python_venv() {
    command -v apt-get >/dev/null 2>&1 || return 1
    if [ "$(id -u)" = 0 ]; then as_root=''; elif sudo -n true 2>/dev/null; then as_root='sudo -n'; else return 1; fi
    say 'Python has no venv module here: installing python3-venv with apt-get ...'
    { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends python3-venv; } >&2
}

install_with_pipx() {
    command -v pipx >/dev/null 2>&1 && pipx install uv >&2
}

find_uv && exit 0
if ! command -v python3 >/dev/null 2>&1; then
    say 'python3 is not on the PATH: install Python 3.11 or newer and try again.'
    exit 1
fi
say 'uv is not here: installing it into .uv ...'
if install_in_venv || { install_python_venv && install_in_venv; } || install_with_pipx; then
    find_uv && exit 0
fi
say 'uv could not be installed. Install it yourself (or the package python3-venv) and try again.'
exit 1

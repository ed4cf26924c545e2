#!/bin/sh
# Makes the virtual environment $1 with exactly the packages that $2 names, by uv where there is
# one, else by venv and pip. `.ready` is written when all of it is there, and says where it is.
set -eu
venv=$1 requirements=$2

say() { echo "$*" >&2; }

# Print the first Python that is new enough: $PYTHON, else one of PATH.
find_python() {
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11 python3.14}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    found=$("${PYTHON:-python3}" --version 2>&1) || found="no ${PYTHON:-python3}"
    say "standby needs Python 3.11 or newer, and here is $found;" \
        "install one, or name it: make PYTHON=/path/to/python3.12"
    exit 3
}

with_uv() {
    { test "$kept" || uv venv --clear --python "$python" "$venv"; } &&
        if test "$venv" = .venv; then
            UV_PROJECT_ENVIRONMENT=$venv uv sync --locked --all-groups
        else
            uv pip sync --require-hashes --python "$venv/bin/python" "$requirements"
        fi
}

with_pip() {
    "$python" -m venv --clear "$venv" || {
        say "cannot make $venv with $python: its venv or ensurepip is missing or broken" \
            "(Debian, Ubuntu: apt install python3-venv)"
        exit 3
    }
    pip="$venv/bin/python -m pip --disable-pip-version-check -qq"
    $pip install --no-compile --no-deps --require-hashes --requirement "$requirements"
    test "$venv" != .venv || $pip install --no-deps --no-index --no-build-isolation --editable .
}

python=$(find_python)
kept=$(test ! -e "$venv/.ready" || echo kept)
rm -f "$venv/.ready"
say "setting up $venv: $(grep -c == "$requirements") packages (once, a minute or two)"
if ! command -v uv >/dev/null; then
    with_pip
elif ! told=$(with_uv 2>&1); then
    say "$told"
    say "uv could not, so pip does it"
    with_pip
fi
# Where Python is told to write no bytecode, every start would compile anew: a synthesis, which
# runs with -O, takes twice as long. Some packages have files for other Pythons: no harm.
"$venv/bin/python" -m compileall -qq -j 0 -o 0 -o 1 "$venv/lib" || true
pwd >"$venv/.ready"

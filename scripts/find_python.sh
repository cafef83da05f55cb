#!/bin/sh
# Print the path of a Python 3.12 or 3.13 that can make a virtual environment; without one, say what to do and exit 1.
# PYTHON=name-or-path is taken instead of searching, and refused if it will not do.

# A candidate is run before it is believed: a version manager's shim may exist and fail,
# and some systems ship Python without the modules that make an environment.
working() {
    "$1" -c '
import ensurepip, sys, venv
if not (3, 12) <= sys.version_info[:2] <= (3, 13):
    sys.exit(1)
print(sys.executable)
' 2>/dev/null </dev/null
}

# Every place worth a look, one path a line, the preferred first.
candidates() {
    home=${HOME:-/nonexistent}
    for name in python3.12 python3.13 python3 python; do
        printf '%s\n' "$PATH" | tr ':' '\n' | while IFS= read -r folder; do
            printf '%s\n' "$folder/$name"
        done
    done
    printf '%s\n' \
        "${PYENV_ROOT:-$home/.pyenv}"/versions/3.1[23].*/bin/python \
        "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$home/.local/share}/uv/python}"/cpython-3.1[23]*/bin/python3 \
        "$home"/miniforge3/bin/python "$home"/miniforge3/envs/*/bin/python \
        "$home"/miniconda3/bin/python "$home"/miniconda3/envs/*/bin/python \
        /opt/homebrew/bin/python3.1[23] /opt/python*/bin/python3.1[23]
}

if [ -n "${PYTHON:-}" ]; then
    working "$PYTHON" && exit 0
    echo "error: PYTHON=$PYTHON is not a working Python 3.12 or 3.13 with venv and ensurepip; name another, or leave PYTHON unset to search" >&2
    exit 1
fi

found=$(candidates | while IFS= read -r path; do
    if [ -x "$path" ] && working "$path"; then break; fi
done)
if [ -n "$found" ]; then
    printf '%s\n' "$found"
    exit 0
fi
echo "error: no working Python 3.12 or 3.13 with venv found; install one (apt install python3.12-venv, brew install python@3.12, uv python install 3.12, or conda: see environment.yml) or name it: make setup PYTHON=/path/to/python3.12" >&2
exit 1

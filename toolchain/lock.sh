#!/bin/sh
# Writes toolchain/requirements/*.lock from pyproject.toml and the *.in files: every version pinned, every file hashed,
# for all platforms. Keeps the versions that still fit; with --upgrade, takes the latest.
set -eu
cd "$(dirname "$0")/requirements"
python3 -m venv ../../.toolchain/venv-lock
../../.toolchain/venv-lock/bin/pip install --quiet --disable-pip-version-check 'uv==0.13.*'
trap 'rm -f pins.txt' EXIT
# The SDKs have the versions of the CLI and the plugins.
PYTHONPATH=../.. python3 -c '
from strata import pins
for name in ("", "_DOCKER", "_AWS", "_KUBERNETES"):
    version = pins.PULUMI if not name else getattr(pins, f"{name[1:]}_PLUGIN")
    print(f"pulumi{name.lower()}=={version}".replace("_", "-"))
' >pins.txt
# No address of a registry and no path of this machine may get into a lock.
compile() {
    ../../.toolchain/venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links --constraint pins.txt "$@"
}
project=../../pyproject.toml
compile "$@" $project --extra docker --output-file docker.lock
# The other environments have the versions that the dev stack runs with.
compile "$@" $project --extra docker --extra eks --constraint docker.lock --output-file eks.lock
compile "$@" $project test.in --extra docker --extra eks --constraint eks.lock --output-file test.lock
# Only the data files of this package are used; it depends on a whole training stack.
compile "$@" weights.in --no-deps --output-file weights.lock
grep -c '==' docker.lock eks.lock test.lock weights.lock

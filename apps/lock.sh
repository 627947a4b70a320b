#!/bin/bash
# Makes every requirements lock of the images anew from the .in file beside it. The images install by these hashes.
# Needs `uv` on the PATH. Packages are resolved for the images' Python, whatever runs this.
set -euo pipefail
cd "$(dirname "$0")"
lock() {
  uv pip compile --quiet --upgrade --generate-hashes --python-version 3.13 --python-platform x86_64-manylinux_2_28 \
    --only-binary :all: --no-emit-index-url --no-annotate --no-header "${@:2}" --output-file "$1.lock" "$1.in"
}
lock application/requirements
lock intelligence/requirements
lock project88/requirements
lock inference/requirements --no-deps
lock inference/requirements-cuda --no-deps
lock dredge/requirements --no-deps
lock inference/model/requirements --no-deps
lock ../strata/images/recipes/debugger/requirements --no-deps
lock ../strata/images/recipes/gpu-exporter/requirements --no-deps
lock ../strata/images/recipes/ray/requirements
# Two of its dependencies have no wheels.
lock ../strata/images/recipes/pgadmin/requirements --no-binary jsonformatter --no-binary flask-principal
# In the versions that Ray has too, whose image it starts from.
lock jimbot/requirements --constraints ../strata/images/recipes/ray/requirements.lock

#!/bin/sh
# The command `strata` of this clone, in any folder: the clone isn't installed in its Python environment.
here=$(cd "$(dirname "$0")" && pwd)
PYTHONPATH=$(cd "$here/../.." && pwd)${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
exec "$here/../venv/bin/python" -m strata "$@"

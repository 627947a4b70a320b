#!/bin/sh
# The Pulumi CLI. Repairs the local state first if a run was killed: Pulumi reads the state before it starts anything
# that could do so.
here=$(cd "$(dirname "$0")" && pwd)
case "${PULUMI_BACKEND_URL-}" in
file://*) state=${PULUMI_BACKEND_URL#file://}/.pulumi ;;
*) state=$here/../state/.pulumi ;;
esac

repair=
for lock in "$state"/locks/*/*/*/*.json; do
    [ -f "$lock" ] && repair=--no-leftovers
done
for attributes in "$state"/stacks/*/*.attrs; do
    [ -f "$attributes" ] && [ ! -s "$attributes" ] && repair=--no-leftovers
done
# A destroy doesn't run the program, which would remove what a killed run created and didn't record.
case " $* " in
*" destroy "*) grep -qs '"pending_operations"' "$state"/stacks/*/*.json && repair=--leftovers ;;
esac
if [ -n "$repair" ]; then
    (cd "$here/../.." && "$here/../venv/bin/python" -m toolchain repair "$repair") || exit
fi

# Pulumi trusts its state: that it can be read, is of this seed, and that what it records still exists in Docker.
more=
for command; do
    case $command in
    -*) continue ;;
    up | update | preview | destroy | refresh)
        more=$("$here/../venv/bin/python" -S "$here/../../toolchain/preflight.py" "$@") || exit
        ;;
    esac
    break
done

# The SDK's messages for --debug are four calls per resource to the engine, which drops them without --debug.
case " $* " in
*" --debug "* | *" -d "*) export STRATA_DEBUG=true ;;
esac

# The engine runs for seconds: collecting garbage less often saves a tenth of a second per run.
export GOGC="${GOGC:-400}"
# shellcheck disable=SC2086 # no argument or one
exec "$here/../lib/pulumi/pulumi" "$@" $more

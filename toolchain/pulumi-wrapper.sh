#!/bin/sh
# The Pulumi CLI. Repairs the local state first if a run was killed: Pulumi reads the state before it starts anything
# that could do so.
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../..

# Where the state is: PULUMI_BACKEND_URL, else the backend of Pulumi.yaml or of `pulumi login`, else this clone. The same
# rules are in toolchain/layout.py.
local=file://$(dirname "$here")/state
backend=${PULUMI_BACKEND_URL-}
[ -n "$backend" ] || backend=$(sed -n '/^backend:/,/^[^b ]/s/^ *url: *//p' "$root/Pulumi.yaml" 2>/dev/null)
[ -n "$backend" ] ||
    backend=$(sed -n 's/.*"current": *"\([^"]*\)".*/\1/p' "$here/../pulumi-home/credentials.json" 2>/dev/null)
if [ -z "$backend" ] || [ "$backend" = "$local" ]; then
    backend=$local
    export PULUMI_BACKEND_URL="$local"
    # Those of another project or clone don't fit.
    unset PULUMI_CONFIG_PASSPHRASE
    export PULUMI_CONFIG_PASSPHRASE_FILE="$here/../passphrase"
fi
case $backend in
file://*) state=${backend#file://}/.pulumi ;;
*) state=/dev/null ;;
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
    (cd "$root" && PULUMI_BACKEND_URL="$backend" "$here/../venv/bin/python" -m toolchain repair "$repair" -- "$@") || exit
fi

# Pulumi trusts its state: that it can be read, is of this seed, and that what it records still exists in Docker.
more=
for command; do
    case $command in
    -*) continue ;;
    up | update | preview | destroy | refresh)
        more=$(PULUMI_BACKEND_URL="$backend" "$here/../venv/bin/python" -S "$root/toolchain/preflight.py" "$@") || exit
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

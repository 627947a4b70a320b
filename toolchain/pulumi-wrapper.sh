#!/bin/sh
# The Pulumi CLI, with one repair before it: the local state has a lock with no lease, so a `pulumi up` that was killed
# (SIGKILL, out of memory, power) leaves it behind and every later run fails. A lock is removed here only when it was
# made on this host and its process is gone or is no Pulumi.
set -u
here=$(cd "$(dirname "$0")" && pwd)
case "${PULUMI_BACKEND_URL-}" in
file://*) state=${PULUMI_BACKEND_URL#file://} ;;
*) state=$here/../state ;;
esac
locked=

is_pulumi() { # pid
    if [ -d /proc/self ]; then
        # A killed process that nobody has waited for yet has a name but no command line any more.
        [ "$(cat "/proc/$1/comm" 2>/dev/null)" = pulumi ] && [ -n "$(tr -d '\0' <"/proc/$1/cmdline" 2>/dev/null)" ]
    else
        ps -p "$1" -o comm= 2>/dev/null | grep -q 'pulumi$'
    fi
}

for lock in "$state"/.pulumi/locks/*/*/*/*.json; do
    [ -f "$lock" ] || continue
    pid=$(sed -n 's/.*"pid":\([0-9][0-9]*\).*/\1/p' "$lock")
    host=$(sed -n 's/.*"hostname":"\([^"]*\)".*/\1/p' "$lock")
    if [ -n "$pid" ] && [ "$host" = "$(uname -n)" ] && ! is_pulumi "$pid"; then
        rm -f "$lock" "$lock.attrs" && echo "Removed the lock of a pulumi run that was killed (process $pid)." >&2
    else
        locked=yes
    fi
done

# Beside the state of a stack lies a file with its content type, which is not written at one go: a kill can leave it empty,
# and then the state cannot be read. Without it, it can.
if [ -z "$locked" ]; then
    for attributes in "$state"/.pulumi/stacks/*/*.attrs; do
        [ -f "$attributes" ] && [ ! -s "$attributes" ] && rm -f "$attributes"
    done
fi

# A destroy does not run the program, so it would not find what a killed run made and did not record.
case " $* " in
*" destroy "*)
    if [ -z "$locked" ] && grep -qs '"pending_operations"' "$state"/.pulumi/stacks/*/*.json; then
        (cd "$here/../.." && "$here/../venv/bin/python" -m toolchain repair) || exit
    fi
    ;;
esac

# The engine lives for seconds: collecting garbage less often saves a tenth of a second a run.
export GOGC="${GOGC:-400}"
exec "$here/../lib/pulumi/pulumi" "$@"

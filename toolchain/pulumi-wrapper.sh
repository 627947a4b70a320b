#!/bin/sh
# The Pulumi CLI, with two things before it.
#
# The Python environment is chosen by the stack: one on Docker runs without the SDKs of AWS and Kubernetes, whose plugins
# the engine would want at every run.
#
# What a killed run left is repaired: the local state has a lock with no lease, so a `pulumi up` that was killed
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

# Nothing below starts a process, but for a command that names no stack: it is run at each of them.
stack=${PULUMI_STACK-}
folder=$PWD
before=
command=
for argument in "$@"; do
    case $before in
    --stack | -s) stack=$argument ;;
    --cwd | -C) folder=$argument ;;
    esac
    case $argument in
    --stack=*) stack=${argument#*=} ;;
    --cwd=*) folder=${argument#*=} ;;
    --*) ;;
    -s?*) stack=${argument#-s} ;;
    up | update | preview | pre | refresh | destroy | down | watch) command=${command:-$argument} ;;
    esac
    before=$argument
done
case $folder in
/*) ;;
*) folder=$PWD/$folder ;;
esac
while [ "$folder" != / ] && [ -n "$folder" ] && [ ! -f "$folder/Pulumi.yaml" ]; do
    folder=${folder%/*}
done

# The stack that is selected, which Pulumi keeps in a file named by the path of the project.
if [ -z "$stack" ] && [ -f "$folder/Pulumi.yaml" ]; then
    hash=$(printf %s "$folder/Pulumi.yaml" | { sha1sum 2>/dev/null || shasum; })
    for workspace in "${PULUMI_HOME:-$HOME/.pulumi}"/workspaces/*-"${hash%% *}"-workspace.json; do
        [ -f "$workspace" ] && stack=$(sed -n 's/.*"stack": *"\([^"]*\)".*/\1/p' "$workspace")
    done
fi

environment=
if [ -n "$stack" ] && [ -f "$folder/Pulumi.${stack##*/}.yaml" ]; then
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
        *#*strata:*) ;;
        *strata:platform*eks* | *strata:platform*kubernetes*) environment=venv-clouds ;;
        *strata:*) environment=${environment:-venv} ;;
        esac
    done <"$folder/Pulumi.${stack##*/}.yaml"
fi
if [ "$environment" = venv-clouds ] && [ -n "$command" ]; then
    if [ ! -f "$here/../venv-clouds/strata-installed" ] || [ ! -f "$here/../stamps/aws-plugin" ]; then
        echo "error: the stack ${stack##*/} needs the SDKs of AWS and Kubernetes, which are not set up" >&2
        echo "  What to do: run \`make setup STACK=${stack##*/}\`, then the same command again" >&2
        exit 1
    fi
    for planner in "${PULUMI_HOME-}"/plugins/resource-aws-v*/provider.py; do
        [ -f "$planner" ] &&
            echo "Plan only: what AWS and Kubernetes would check of it themselves is not checked." >&2
    done
fi
[ -n "$environment" ] && PATH=$here/../$environment/bin:$PATH

# The engine lives for seconds: collecting garbage less often saves a tenth of a second a run.
export GOGC="${GOGC:-400}"
exec "$here/../lib/pulumi/pulumi" "$@"

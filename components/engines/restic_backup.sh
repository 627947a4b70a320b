# Continuous backups of a datastore, by restic. Run it in the container of the datastore:
#
#     bash /run/secrets/backups list
#     bash /run/secrets/backups create [full|incr]     full: deletes expired backups, too
#     bash /run/secrets/backups mark NAME
#     bash /run/secrets/backups verify
#     bash /run/secrets/backups restore time '2026-11-29 10:20:00'
#     bash /run/secrets/backups restore name NAME
#     bash /run/secrets/backups accept
#     bash /run/secrets/backups reverted
#
# `restore` changes nothing that is served. After `accept`, the next start of the container replaces the data. `serve` and
# `schedule` are the container's own.
#
# In the volume with the data:
#     .restoring   a backup that isn't restored completely, or isn't checked
#     .rehearsed   one that is
#     .restored    one that takes effect at the next start
#     .entering    the same, while its files take their places
#     .replacing   the data before it, while its files leave theirs
#     .replaced    all of it, until the next backup
# In the volume with the backups:
#     repository   unless it is in a bucket
#     cache        what restic needs to know of the repository
#     copy         the data as a backup reads it
#     scratch      the restored data of a verification
#     location     of the repository
#     times        the last success of each task, as the time of a file
#     metrics      the same for node-exporter
#
# The engine's own part defines
#     snapshot FOLDER   writes a consistent copy of the data there, while the server serves
#     check FOLDER      fails unless the server could start with these files
# and may define
#     copies            of the data that a restored backup takes until it is checked
#     size              of the data, in KiB
#     is_lost           whether a start restores the newest backup, if there is one
#     load              takes restored data over, before the server starts
set -euo pipefail

volume=/var/lib/backups
times=$volume/times

copies=1

fail() {
    echo "backups: $*" >&2
    exit 1
}

data() { # The files of the server, without what this script and the file system have beside them.
    find "$1" -mindepth 1 -maxdepth 1 ! -name '.re*' ! -name .entering ! -name lost+found "${@:2}"
}

size() {
    du -sk --exclude='.re*' "$BACKUP_DATA" | cut -f1
}

is_lost() {
    [ -z "$(data "$BACKUP_DATA" -print -quit)" ]
}

load() {
    true
}

source /run/secrets/backups-engine

repository() { # repository COMMAND...
    restic --quiet --option="s3.bucket-lookup=${BACKUP_BUCKET_LOOKUP:-auto}" "$@" 8>&-
}

exists() { # Whether there is a repository. Fails unless that is certain.
    local status=0
    timeout 60 bash "$0" repository --no-lock cat config > /dev/null 2> /tmp/repository.log || status=$?
    case $status in
        0) return 0 ;;
        10) return 1 ;; # restic documentation, "Exit codes".
        *) cat /tmp/repository.log >&2 && fail "the repository can't be used" ;;
    esac
}

backups() { # Lines of the backups, oldest first: the ID, the time in UTC, and the name.
    repository --no-lock snapshots "$@" | grep -E '^[0-9a-f]{8} ' || true
}

yield_memory() { # If there isn't enough, the kernel ends these processes, and not the server.
    echo 1000 > /proc/self/oom_score_adj
}

alone() { # After another task that runs. A lock in the repository is of one that was killed.
    yield_memory
    exec 8> "$volume/running"
    flock 8
    exists || fail "the repository doesn't exist yet: the first backup creates it within two minutes"
    repository unlock --remove-all
}

room_in() { # room_in FOLDER COPIES: fails unless so many copies of the data fit.
    local needed available
    needed=$(($(size) * $2 * 11 / 10))
    available=$(df -k --output=avail "$1" | tail -1)
    [ "$needed" -lt "$available" ] \
        || fail "$1 has $((available / 1024)) MiB free, and $2 copies of the data need $((needed / 1024))"
}

save() { # save TAG...: creates a backup.
    local options=()
    for tag in "$@"; do options+=("--tag=$tag"); done
    trap 'rm -rf "$volume/copy"' EXIT
    room_in "$volume" 1
    rm -rf "$volume/copy"
    mkdir -m 0700 "$volume/copy"
    snapshot "$volume/copy" 8>&-
    # The next full second, because times have no fractions: no backup has what was written after its time.
    repository backup --time="$(date --date='1 second' '+%F %T')" --host="$BACKUP_NAME" "${options[@]}" "$volume/copy"
    rm -rf "$BACKUP_DATA/.replaced"
}

succeeded() { # succeeded TASK
    touch "$times/$1"
    publish
}

publish() {
    local task
    mkdir -p "$volume/metrics"
    {
        echo "# HELP datastore_backup_success_timestamp_seconds When a backup or a verification last succeeded."
        echo "# TYPE datastore_backup_success_timestamp_seconds gauge"
        for task in $(ls "$times"); do
            echo "datastore_backup_success_timestamp_seconds{kind=\"$task\"} $(stat --format=%Y "$times/$task")"
        done
    } > "$volume/metrics/new"
    mv "$volume/metrics/new" "$volume/metrics/backups.prom"
}

create() { # create [full|incr]
    alone
    save
    [ "${1:-incr}" != full ] || repository forget --keep-within="${BACKUP_KEEP_DAYS}d" --group-by= --prune
    succeeded "${1:-incr}"
}

mark() { # mark NAME
    alone
    save "$1"
    succeeded incr
}

fetch() { # fetch ID FOLDER: restores a backup to the folder, and compares what it wrote.
    rm -rf "$2"
    mkdir -m 0700 "$2"
    repository restore --verify --target="$2" "$1:$volume/copy"
    check "$2" 8>&-
}

verify() {
    alone
    trap 'rm -rf "$volume/scratch"' EXIT
    room_in "$volume" "$copies"
    fetch latest "$volume/scratch"
    repository check
    succeeded verify
}

restore() { # restore time|name TARGET
    local id target=${2%%[.+]*}
    case $1 in
        time)
            id=$(backups | awk -v target="$target" '$2 " " $3 <= target { id = $1 } END { print id }')
            [ -n "$id" ] || fail "there is no backup from $target or before"
            ;;
        name)
            id=$(backups --tag="$2" | awk '{ id = $1 } END { print id }')
            [ -n "$id" ] || fail "there is no backup named $2"
            ;;
    esac
    alone
    trap 'rm -rf "$BACKUP_DATA/.restoring"' EXIT
    rm -rf "$BACKUP_DATA/".{restoring,rehearsed}
    room_in "$BACKUP_DATA" "$copies"
    backups | grep "^$id"
    fetch "$id" "$BACKUP_DATA/.restoring"
    mv "$BACKUP_DATA/.restoring" "$BACKUP_DATA/.rehearsed"
}

accept() {
    [ -e "$BACKUP_DATA/.rehearsed" ] || fail "there is no complete restore"
    mv "$BACKUP_DATA/.rehearsed" "$BACKUP_DATA/.restored"
}

reverted() { # Whether the server didn't start with restored data, and runs with that before.
    false
}

# Before the server starts. Every step can be interrupted and begins again.
prepare() {
    cd "$BACKUP_DATA"
    mkdir -p "$times" "$volume/temporary"
    # The successes of another repository don't count.
    [ "$(cat "$volume/location" 2> /dev/null)" = "$RESTIC_REPOSITORY" ] || rm -f "$times"/*
    echo "$RESTIC_REPOSITORY" > "$volume/location"
    if [ ! -e .restored ] && [ ! -e .entering ] && is_lost && exists && [ -n "$(backups)" ]; then
        # Not an empty datastore, whose backups would replace those that there are.
        echo "there is no data, and there are backups: restoring the newest one"
        fetch latest .restoring
        mv .restoring .restored
    fi
    if [ -e .restored ]; then
        mkdir -p .replacing
        data . -exec mv --target-directory=.replacing {} +
        mv .restored .entering
    fi
    if [ -e .entering ]; then
        data .entering -exec mv --target-directory=. {} +
        rmdir .entering
    fi
    if [ -e .replacing ]; then
        rm -rf .replaced
        mv .replacing .replaced
    fi
    load
}

serve() { # serve COMMAND...: the command of the container.
    (prepare)
    publish
    # A child of the init process: the server, which this process becomes, would take it for one of its own.
    (run &)
    exec "$@"
}

run() {
    yield_memory
    renice --priority 10 $BASHPID > /dev/null
    prometheus-node-exporter --web.listen-address="$BACKUP_LISTEN" --web.disable-exporter-metrics --log.level=error \
        --collector.disable-defaults --collector.textfile --collector.textfile.directory="$volume/metrics" &
    until bash "$0" enroll; do sleep 60; done
    while sleep 2; do
        # It has printed why it failed.
        bash "$0" schedule || true
        sleep 60
    done
}

enroll() { # Prepares the repository.
    exists || repository init
    # Nor do those of one that was deleted.
    [ -n "$(backups)" ] || { rm -f "$times"/* && publish; }
}

schedule() {
    if older full "$((BACKUP_FULL_DAYS * 1440))"; then
        create full
    elif [ -e "$BACKUP_DATA/.replaced" ] || older '[fi]*' "$((BACKUP_INCREMENTAL_HOURS * 60))"; then
        create incr
    elif older verify "$((BACKUP_VERIFICATION_DAYS * 1440))"; then
        verify
    fi
}

older() { # older TASKS MINUTES: whether none of them succeeded in the last minutes.
    [ -z "$(find "$times" -name "$1" -mmin "-$2")" ]
}

list() {
    repository --no-lock snapshots --compact
}

"$@"

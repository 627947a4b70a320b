# Continuous backups of the cluster in $PGDATA, by pgBackRest. Run it in the container of the database:
#
#     bash /run/secrets/backups list
#     bash /run/secrets/backups create [full|incr]
#     bash /run/secrets/backups mark NAME
#     bash /run/secrets/backups verify
#     bash /run/secrets/backups restore time '2026-11-29 10:20:00+00'
#     bash /run/secrets/backups restore name NAME
#     bash /run/secrets/backups accept
#     bash /run/secrets/backups reverted
#
# `restore` changes nothing that is served. After `accept`, the next start of the container replaces the cluster. `prepare`,
# `begin`, `enroll`, `renew` and `schedule` are the container's own.
#
# In the volume with the data:
#     cluster
#     cluster.restoring   a restore that isn't complete
#     cluster.rehearsed   one that is, and reached its target
#     cluster.restored    one that takes effect at the next start
#     cluster.replaced    the cluster before it, until the next backup
#     cluster.failed      a restored one that didn't start
# In the volume with the backups:
#     repository          unless it is in a bucket
#     times               the last success of each task, as the time of a file. PostgreSQL lists them for its exporter
#     points              the positions of the named restore points, which the newest backup has, too
#     scratch             the restored cluster of a verification
set -euo pipefail

volume=/var/lib/pgbackrest
times=$volume/times
points=$volume/points
scratch=$volume/scratch

fail() {
    echo "backups: $*" >&2
    exit 1
}

# With PGBACKREST_CONFIG_INCLUDE_PATH, the bucket has no key, and the pod has a role. Each start of pgBackRest reads the
# credentials from this folder. They are valid for six hours, and EKS's agent replaces them after three.
renew() {
    local url=${AWS_CONTAINER_CREDENTIALS_FULL_URI#http://} answer option value
    local server=${url%%/*}
    [[ $server == *:* ]] || server+=:80
    exec 3<> "/dev/tcp/${server/:/\/}"
    # With HTTP 1.0, the answer has no chunks.
    printf '%s\r\n' "GET /${url#*/} HTTP/1.0" "Authorization: $(cat "$AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")" "" >&3
    answer=$(cat <&3)
    umask 0077
    {
        echo "[global]"
        for option in key=AccessKeyId key-secret=SecretAccessKey token=Token; do
            value=$(grep -oP "\"${option#*=}\": *\"\K[^\"]+" <<< "$answer") \
                || fail "the pod has no credentials: ${answer%%$'\r'*}"
            echo "repo1-s3-${option%=*}=$value"
        done
    } > "$PGBACKREST_CONFIG_INCLUDE_PATH/new"
    mv "$PGBACKREST_CONFIG_INCLUDE_PATH"/{new,credentials.conf}
}

renewing() {
    while sleep 300; do
        until timeout 20 bash "$0" renew; do sleep 10; done
    done
}

sql() { # The statement is on stdin. Arguments are variables of psql.
    psql --no-psqlrc --quiet --tuples-only --no-align --dbname=postgres --set=ON_ERROR_STOP=1 "$@"
}

log_of() { # log_of COMMAND...: prints what a server logged, if it fails.
    "$@" > /tmp/recovery.log 2>&1 && return
    grep -E 'FATAL|ERROR|PANIC' /tmp/recovery.log | tail -5 >&2 || tail -20 /tmp/recovery.log >&2
    return 1
}

# The working folder of a server is that of its data, which may be any of them.
recover() { # recover FOLDER OPTION...: restores a backup to the folder, or continues to.
    [ ! -e "$1/backup.manifest" ] || set -- "$@" --delta
    [ -e "$1/backup.manifest" ] || rm -rf "$1"
    mkdir -p -m 0700 "$1"
    pgbackrest --pg1-path="$1" "${@:2}" \
        --recovery-option=restore_command='pgbackrest --pg1-path="$(pwd)" archive-get %f "%p"' restore
}

recover_to_name() { # recover_to_name FOLDER NAME
    # pgBackRest knows which backup is before a position, and PostgreSQL which history has the name.
    recover "$1" --type=lsn --target="$(cat "$points/$2")" --target-action=promote
    printf "recovery_target_lsn = ''\nrecovery_target_name = '%s'\n" "$2" >> "$1/postgresql.auto.conf"
}

rehearse() { # rehearse FOLDER: replays the log up to the target, and ends there. Fails if it isn't reached.
    log_of postgres -D "$1" -c recovery_target_action=shutdown -c hot_standby=off -c archive_mode=off \
        -c listen_addresses= -c unix_socket_directories=/tmp -c shared_buffers=16MB \
        || fail "the target can't be reached"
}

point() { # point NAME
    local position
    mkdir -p "$points"
    position=$(sql --set=name="$1" <<< "SELECT pg_create_restore_point(:'name')")
    echo "$position" > "$points/$1"
    archive
}

mark() {
    point "$1"
    # A backup that runs would drop it, and adds it at its end.
    exec 8> "$volume/creating"
    ! flock --nonblock 8 || annotate
}

backups() { # The labels of the complete ones. Fails unless the repository can be read.
    local info
    info=$(pgbackrest --output=json info)
    if [[ $info == *'"code":99'* ]]; then
        printf '%b\n' "$(grep -oP '"message":"\K\[[^"]*' <<< "$info")" >&2
        return 1
    fi
    grep -oP '"label":"\K\d{8}-[^"]*' <<< "$info" || true
}

annotate() { # Adds the restore points to the newest backup, for a host that has only the repository.
    local newest each options=()
    newest=$(backups | tail -1)
    for each in $(ls --hide=verification "$points" 2> /dev/null); do
        options+=("--annotation=$each=$(cat "$points/$each")")
    done
    [ -z "$newest" ] || [ ${#options[@]} -eq 0 ] || pgbackrest --set="$newest" "${options[@]}" annotate
}

recall() { # Reads the restore points of the newest backup.
    local name position
    mkdir -p "$points"
    pgbackrest --output=json info | grep -oP '"annotation":{\K[^}]*' | tail -1 | tr -d '"' | tr , '\n' \
        | while IFS=: read -r name position; do echo "$position" > "$points/$name"; done || true
}

archive() { # Waits until all that was committed is in the repository.
    # A commit after everything else: a recovery ends at the first one after its target.
    sql <<< "SELECT pg_current_xact_id()" > /dev/null
    pgbackrest check
}

create() {
    # After one that runs. pgBackRest would fail, also while it has a child whose parent was killed: so children inherit this.
    exec 8> "$volume/creating"
    flock 8
    pgbackrest --type="$1" backup
    touch "$times/$1"
    rm -rf "$PGDATA.replaced"
    annotate
}

alone() { # After a restore or a verification that runs.
    exec 9> "$volume/restoring"
    flock 9
}

verify() {
    alone
    trap 'rm -rf "$scratch" "$points/verification"' EXIT
    room_in "$volume"
    # The end of the log, as of now: all of it must be in the repository.
    point verification
    rm -rf "$scratch"
    recover_to_name "$scratch" verification
    rehearse "$scratch"
    pg_checksums --check --pgdata="$scratch"
    touch "$times/verify"
}

room_in() { # room_in VOLUME: fails unless another copy of the cluster fits.
    local needed available
    needed=$(du -sk "$PGDATA" | cut -f1)
    available=$(df -k --output=avail "$1" | tail -1)
    [ "$((needed * 11 / 10))" -lt "$available" ] \
        || fail "$1 has $((available / 1024)) MiB free, and a copy of the database needs $((needed * 11 / 10240))"
}

restore() {
    [ ! -e "$PGDATA.dump" ] && [ ! -e "$PGDATA.next" ] || fail "an upgrade is prepared: cancel it first"
    alone
    trap 'rm -rf "$PGDATA.restoring"' EXIT
    rm -rf "$PGDATA".{restoring,rehearsed,failed}
    room_in "${PGDATA%/*}"
    archive
    case $1 in
        time) recover "$PGDATA.restoring" --type=time --target="$2" --target-action=promote ;;
        name)
            [ -e "$points/$2" ] || fail "there is no restore point $2"
            recover_to_name "$PGDATA.restoring" "$2"
            ;;
    esac
    rehearse "$PGDATA.restoring"
    mv "$PGDATA.restoring" "$PGDATA.rehearsed"
}

accept() {
    [ -e "$PGDATA.rehearsed" ] || fail "there is no complete restore"
    mv "$PGDATA.rehearsed" "$PGDATA.restored"
}

reverted() { # Whether the server didn't start with restored data, and runs with that before.
    [ -e "$PGDATA.failed" ]
}

promote() { # Recovers the cluster, and archives the history that begins there from its first record.
    pg_ctl -D "$PGDATA" --silent --wait --timeout=86400 start -o "-c listen_addresses= \
        -c archive_mode=on -c archive_command='pgbackrest archive-push %p'" || return
    until pg_controldata "$PGDATA" | grep -q 'cluster state: *in production'; do
        pg_ctl -D "$PGDATA" status > /dev/null || return
        sleep 0.2
    done
    pg_ctl -D "$PGDATA" --silent --wait stop
}

# Before the server starts. Every step can be interrupted and begins again.
prepare() {
    local existing=
    mkdir -p "$times"
    if [ -n "${PGBACKREST_CONFIG_INCLUDE_PATH:-}" ]; then
        mkdir -p "$PGBACKREST_CONFIG_INCLUDE_PATH"
        timeout 20 bash "$0" renew || true
        (renewing &)
    fi
    if [ ! -e "$PGDATA" ] && [ ! -e "$PGDATA.restored" ]; then
        # Not an empty database, which would be archived to the same place.
        existing=$(backups) || fail "there is no data, and the repository can't be read"
    fi
    if [ -n "$existing" ]; then
        echo "there is no data, and there are backups: restoring the newest one, and all that was archived since"
        recover "$PGDATA.restoring"
        recall
        mv "$PGDATA.restoring" "$PGDATA.restored"
    fi
    if [ -e "$PGDATA.restored" ]; then
        [ ! -e "$PGDATA" ] || { rm -rf "$PGDATA.replaced" && mv "$PGDATA" "$PGDATA.replaced"; }
        # Roles and passwords are set up again. Without the file, the cluster would be taken for one that isn't complete.
        echo restored > "${PGDATA%/*}/set-up-digest"
        mv "$PGDATA.restored" "$PGDATA"
    fi
    # A backup may be of another version.
    bash "${0%/*}/upgrade" start
    [ -e "$PGDATA/recovery.signal" ] || return 0
    echo "recovering to the target of the restore"
    log_of promote && return
    [ -e "$PGDATA.replaced" ] || fail "the backup can't be recovered"
    echo "the restored cluster can't start: keeping the one before"
    rm -rf "$PGDATA.failed"
    mv "$PGDATA" "$PGDATA.failed"
    mv "$PGDATA.replaced" "$PGDATA"
}

# The server starts without a repository, too: the alerts report that.
begin() {
    # A child of the init process: PostgreSQL, which this process becomes, would take it for one of its own.
    (run &)
}

run() {
    until bash "$0" enroll; do sleep 600; done
    while sleep 2; do
        until pg_isready --quiet; do sleep 2; done
        bash "$0" schedule || sleep 600
        sleep 60
    done
}

enroll() { # Prepares the repository.
    # After an upgrade, the next backup is a full one.
    pgbackrest --no-online stanza-create || { pgbackrest --no-online stanza-upgrade && rm -f "$times"/{full,incr}; } \
        || fail "the repository can't be used"
    local existing
    existing=$(backups)
    # The successes of another repository don't count.
    [ -n "$existing" ] || rm -f "$times"/*
}

schedule() {
    if older full "$((BACKUP_FULL_DAYS * 1440))"; then
        create full
    elif [ -e "$PGDATA.replaced" ] || older '[fi]*' "$((BACKUP_INCREMENTAL_HOURS * 60))"; then
        create incr
    elif older verify "$((BACKUP_VERIFICATION_DAYS * 1440))"; then
        verify
    fi
}

older() { # older TASKS MINUTES: whether none of them succeeded in the last minutes.
    [ -z "$(find "$times" -name "$1" -mmin "-$2")" ]
}

list() {
    pgbackrest info
    [ -z "$(ls "$points" 2> /dev/null)" ] || echo "restore points: $(ls "$points" | tr '\n' ' ')"
}

"$@"

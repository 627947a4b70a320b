# Moves the cluster in $PGDATA to a later major version of PostgreSQL. Run it in the container of the database:
#
#     bash /run/secrets/upgrade prepare
#     bash /run/secrets/upgrade cancel
#     bash /run/secrets/upgrade revert
#     bash /run/secrets/upgrade confirm
#
# `prepare` ends the sessions of the application, which can't log in again, and writes a dump. The next start by a later
# version loads the dump into a new cluster, and keeps the one before until `confirm`. `cancel` undoes `prepare` or `revert`.
# `start` and `initialize` are the container's own.
#
# In the volume with the data:
#     cluster
#     cluster.dumping    a dump that isn't complete
#     cluster.dump       one that is. While it or cluster.next is there, the application can't log in
#     cluster.loading    a new cluster that isn't complete
#     cluster.next       a cluster that takes effect at the next start of its own version
#     cluster.previous   the one before it
#     cluster.removing   what is no longer needed
set -euo pipefail

# `cancel` ends the sessions of this name. `prepare` then fails, and undoes its steps.
export PGAPPNAME=strata-upgrade
# Settings of the roles and databases must not stop it.
export PGOPTIONS='-c default_transaction_read_only=off -c statement_timeout=0'

fail() {
    echo "upgrade: $*" >&2
    exit 1
}

sql() { # The statement is on stdin.
    psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --username=postgres --dbname="${1:-postgres}"
}

major_of() { # major_of FOLDER: the version of a cluster; empty if it's none.
    cat "$1/PG_VERSION" 2> /dev/null || true
}

image_major() {
    local version
    version=$(postgres --version)
    version=${version#*) }
    echo "${version%%[!0-9]*}"
}

remove() { # A folder that is half removed has another name.
    rm -rf "$PGDATA.removing"
    [ ! -e "$1" ] || { mv "$1" "$PGDATA.removing" && rm -rf "$PGDATA.removing"; }
}

alone() {
    exec 9> /tmp/upgrade.lock
    flock 9
}

log_in() {
    sql <<< 'ALTER ROLE strata LOGIN'
}

close() {
    local sessions quiet=0
    sql <<< 'ALTER ROLE strata NOLOGIN'
    # A session that logged in just before isn't listed yet.
    while [ "$quiet" -lt 5 ]; do
        sessions=$(sql <<< "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'strata'")
        [ "$sessions" = 0 ] && quiet=$((quiet + 1)) || quiet=0
        sleep 0.1
    done
}

databases() { # Id and name of each.
    sql <<< "SELECT oid, datname FROM pg_database WHERE NOT datistemplate ORDER BY oid"
}

counts() { # counts DATABASE: the rows of each table and the position of each sequence.
    sql "$1" <<'EOS'
SELECT CASE relkind
    WHEN 'S' THEN format('SELECT %L, last_value FROM %I.%I', format('%I.%I', nspname, relname), nspname, relname)
    ELSE format('SELECT %L, count(*) FROM ONLY %I.%I', format('%I.%I', nspname, relname), nspname, relname) END
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'm', 'S') AND relispopulated AND relpersistence <> 't'
    AND nspname NOT IN ('pg_catalog', 'information_schema') AND NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
ORDER BY nspname, relname \gexec
SELECT 'large objects', count(*) FROM pg_largeobject_metadata;
EOS
}

not_prepared() {
    log_in
    remove "$PGDATA.dumping"
}

prepare() {
    local needed available oid name begin=$SECONDS
    alone
    if [ -e "$PGDATA.dump" ]; then
        echo "the dump is complete: update to a later version, or cancel"
        return
    fi
    [ ! -e "$PGDATA.next" ] || fail "the data before the upgrade takes effect at the next start: cancel that first"
    [ ! -e "$PGDATA.previous" ] || fail "data of PostgreSQL $(major_of "$PGDATA.previous") is still kept: confirm the last upgrade first"
    [ ! -e "$PGDATA.restored" ] || fail "a restore takes effect at the next start"
    needed=$(sql <<< "SELECT ceil(sum(pg_database_size(oid)) * 2.2 / 1024 / 1024) FROM pg_database")
    available=$(($(df -k --output=avail "$PGDATA" | tail -1) / 1024))
    [ "$needed" -lt "$available" ] \
        || fail "a dump and a new cluster need up to $needed MiB, and ${PGDATA%/*} has $available MiB free"
    trap not_prepared EXIT
    remove "$PGDATA.dumping"
    mkdir -m 0700 "$PGDATA.dumping"
    close
    # Passwords are set up at each start of another version.
    pg_dumpall --username=postgres --roles-only --no-role-passwords | sed '/^CREATE ROLE postgres;$/d' \
        > "$PGDATA.dumping/roles.sql"
    databases > "$PGDATA.dumping/databases"
    while IFS='|' read -r oid name; do
        pg_dump --username=postgres --format=directory --compress=1 --file="$PGDATA.dumping/$oid" --dbname="$name"
        counts "$name" > "$PGDATA.dumping/$oid.counts"
        sql "$name" <<< "SELECT extname FROM pg_extension WHERE extowner = (SELECT oid FROM pg_roles WHERE rolname = 'strata')" \
            > "$PGDATA.dumping/$oid.extensions"
    done < "$PGDATA.dumping/databases"
    sync --file-system "$PGDATA.dumping"
    mv "$PGDATA.dumping" "$PGDATA.dump"
    trap - EXIT
    echo "the dump of PostgreSQL $(major_of "$PGDATA") is complete:" \
        "$(du -sm "$PGDATA.dump" | cut -f1) MiB in $((SECONDS - begin)) s"
}

cancel() {
    exec 9> /tmp/upgrade.lock
    until flock --nonblock 9; do
        sql <<< "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = '$PGAPPNAME' AND pid <> pg_backend_pid()" > /dev/null
        sleep 0.2
    done
    [ ! -e "$PGDATA.next" ] || mv "$PGDATA.next" "$PGDATA.previous"
    remove "$PGDATA.dump"
    not_prepared
}

revert() {
    alone
    if [ ! -e "$PGDATA.next" ]; then
        [ -e "$PGDATA.previous" ] || fail "there is no data of an earlier version"
        mv "$PGDATA.previous" "$PGDATA.next"
    fi
    close
    echo "the next start of PostgreSQL $(major_of "$PGDATA.next") has the data before the upgrade"
}

confirm() {
    alone
    [ -e "$PGDATA.previous" ] || fail "there is no data of another version"
    remove "$PGDATA.previous"
}

initialize() { # initialize FOLDER OPTION...
    initdb -D "$1" --username=postgres --auth=reject --locale=C.UTF-8 --data-checksums "${@:2}" > /dev/null
}

# What the application owns is loaded as the application, so that none of its functions runs as the superuser.
load_application() { # load_application DUMP
    local work=$PGHOST section
    pg_restore --create --list "$1" > "$work/all"
    sed 's/.*/ EXTENSION - & $/' "$1.extensions" > "$work/extensions"
    grep -E '^[0-9]+; [0-9]+ [0-9]+ ((DATABASE( PROPERTIES)?|EXTENSION|SCHEMA) - |(ACL|COMMENT) - (DATABASE|SCHEMA) )' "$work/all" \
        | grep -v -f "$work/extensions" > "$work/first"
    grep -vxF -f "$work/first" "$work/all" | grep -f "$work/extensions" -e ' strata$' > "$work/own" || true
    grep -vxF -f "$work/first" -f "$work/own" "$work/all" > "$work/rest" || true
    restore --username=postgres --dbname=postgres --create --section=pre-data --use-list="$work/first" "$1"
    for section in pre-data data post-data; do
        restore --username=strata --dbname=strata --section="$section" --use-list="$work/own" "$1"
        restore --username=postgres --dbname=strata --section="$section" --use-list="$work/rest" "$1"
    done
}

restore() {
    pg_restore --exit-on-error --no-tablespaces "$@"
}

not_loaded() {
    echo "upgrade: the dump wasn't loaded. The data is unchanged: use PostgreSQL $(major_of "$PGDATA") again, and run" \
        "\`strata upgrade cancel\`" >&2
}

load() { # Loads the dump into a new cluster. Nothing reaches its socket but this script, so it isn't healthy meanwhile.
    local oid name begin=$SECONDS
    echo "loading the dump of PostgreSQL $(major_of "$PGDATA") into a new cluster"
    trap not_loaded EXIT
    export PGHOST=/tmp/upgrade
    rm -rf "$PGHOST"
    mkdir -m 0700 "$PGHOST"
    echo 'local all postgres,strata peer map=upgrade' > "$PGHOST/pg_hba.conf"
    printf 'upgrade postgres %s\n' postgres strata > "$PGHOST/pg_ident.conf"
    initialize "$PGDATA.loading" --no-sync
    pg_ctl -D "$PGDATA.loading" --silent --wait --log="$PGHOST/log" start -o "-c listen_addresses= \
        -c unix_socket_directories=$PGHOST -c hba_file=$PGHOST/pg_hba.conf -c ident_file=$PGHOST/pg_ident.conf \
        -c shared_buffers=32MB -c max_wal_size=256MB -c fsync=off -c full_page_writes=off -c autovacuum=off" > /dev/null
    # Roles exist from here on, except for the superuser.
    sql < "$PGDATA.dump/roles.sql" > /dev/null
    log_in
    while IFS='|' read -r oid name; do
        case $name in
            strata) load_application "$PGDATA.dump/$oid" ;;
            postgres) restore --username=postgres --dbname=postgres "$PGDATA.dump/$oid" ;;
            *) restore --username=postgres --dbname=postgres --create "$PGDATA.dump/$oid" ;;
        esac
        diff "$PGDATA.dump/$oid.counts" <(counts "$name") >&2 || fail "the new cluster has other rows than the dump"
    done < "$PGDATA.dump/databases"
    vacuumdb --username=postgres --all --analyze-only --quiet
    pg_ctl -D "$PGDATA.loading" --silent --wait --timeout=86400 stop
    unset PGHOST
    initdb -D "$PGDATA.loading" --sync-only > /dev/null
    mv "$PGDATA.loading" "$PGDATA.next"
    trap - EXIT
    echo "loaded the dump in $((SECONDS - begin)) s"
}

set_up_again() { # At this start, with the roles and passwords. Without the file, a cluster would be taken for an incomplete one.
    echo "$1" > "${PGDATA%/*}/set-up-digest"
}

# Before anything else of a start. Every step can be interrupted and begins again.
start() {
    local image data
    image=$(image_major)
    if [ -e "$PGDATA.loading" ]; then
        echo "the load before was interrupted. If it needs more time, raise strata:services.NAME.readyWithinSeconds"
        remove "$PGDATA.loading"
    fi
    rm -rf "$PGDATA.removing"
    if [ -e "$PGDATA.dumping" ]; then
        set_up_again "interrupted dump"
        remove "$PGDATA.dumping"
    fi
    if [ "$(major_of "$PGDATA.next")" = "$image" ]; then
        [ ! -e "$PGDATA" ] || mv "$PGDATA" "$PGDATA.previous"
        set_up_again "PostgreSQL $image"
        mv "$PGDATA.next" "$PGDATA"
        echo "the data is now of PostgreSQL $image. That of $(major_of "$PGDATA.previous") is kept until \`strata upgrade confirm\`"
    elif [ ! -e "$PGDATA" ] && [ -e "$PGDATA.previous" ]; then
        mv "$PGDATA.previous" "$PGDATA"
    fi
    data=$(major_of "$PGDATA")
    # An incomplete cluster, without its digest, never had data.
    if [ -z "$data" ] || ! compgen -G "${PGDATA%/*}/*-digest" > /dev/null; then
        return
    elif [ "$data" = "$image" ]; then
        [ ! -e "$PGDATA.previous" ] || remove "$PGDATA.dump"
    elif [ "$data" -lt "$image" ] && [ -e "$PGDATA.dump" ]; then
        load
        start
    else
        echo "upgrade: the data is of PostgreSQL $data, and this image has PostgreSQL $image. Nothing was changed" >&2
        if [ "$(major_of "$PGDATA.previous")" = "$image" ]; then
            fail "to return to the data before the upgrade, use PostgreSQL $data, run \`strata upgrade revert\`, and update again"
        elif [ "$data" -gt "$image" ]; then
            fail "use an image of PostgreSQL $data"
        fi
        fail "use an image of PostgreSQL $data, run \`strata upgrade prepare\`, and update again: see docs/upgrading.md"
    fi
}

"$@"

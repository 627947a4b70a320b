# How restic_backup.sh backs up QuestDB (QuestDB documentation, "Backup and restore").
#
# A server whose folder has the file _restore recovers the checkpoint there when it starts. The check is such a start, on
# the files themselves: they are then those of a server that was stopped.

sql() ( # sql PORT exec|exp STATEMENT: prints what it returns; exp, for queries: as CSV.
    login=$(printf 'strata:%s' "$(sed -n 's/^http.password=//p' /run/secrets/server.conf)" | base64 --wrap=0)
    statement=$(printf %s "$3" | od -An -v -t x1 | tr -d '\n' | tr ' ' %)
    exec 9<> "/dev/tcp/127.0.0.1/$1"
    printf 'GET /%s?nm=true&query=%s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic %s\r\n\r\n' \
        "$2" "$statement" "$login" >&9
    read -r _ status _ <&9
    [ "$status" = 200 ] || exec >&2
    until read -r line <&9; [ -z "${line%$'\r'}" ]; do :; done
    # The body comes in chunks, each after its size.
    while read -r size <&9 && size=$((16#${size%$'\r'})) && [ "$size" -gt 0 ]; do
        head --bytes="$size" <&9 | tr -d '\r'
        read -r _ <&9
    done
    [ "$status" = 200 ] && [ "$size" = 0 ]
)

snapshot() (
    release() { sql 9000 exec "CHECKPOINT RELEASE" > /dev/null; }
    # It may have just been started.
    for _ in {1..200}; do
        (: <> /dev/tcp/127.0.0.1/9000) 2> /dev/null && break
        sleep 0.3
    done
    # That of a backup that was killed.
    release
    trap release EXIT
    sql 9000 exec "CHECKPOINT CREATE" > /dev/null
    cd "$BACKUP_DATA"
    # Files change meanwhile, and some disappear (status 1), but none that the checkpoint needs.
    {
        data . -print0 | tar --create --null --files-from=- --warning=no-file-{changed,removed,shrank} || [ $? = 1 ]
    } | tar --extract --directory="$1"
    touch "$1/_restore"
)

check() (
    fails() {
        cat /tmp/check.log >&2
        fail "QuestDB can't use the restored files: $*"
    }
    query() { sql 9010 exp "$1" || fails "$1"; }

    rm -rf /tmp/check
    mkdir /tmp/check
    export QDB_HTTP_NET_BIND_TO=127.0.0.1:9010 QDB_HTTP_MIN_ENABLED=false QDB_PG_ENABLED=false
    export QDB_QUERY_TIMEOUT=86400000 QDB_LOG_W_STDOUT_LEVEL=ERROR
    # An index can have rows that were written after the checkpoint.
    export QDB_CAIRO_CHECKPOINT_RECOVERY_REBUILD_COLUMN_INDEXES=true
    # 98 MiB of the heap are in use after a start.
    setpriv --pdeathsig TERM java -Xmx160m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir=/tmp/check \
        --module-path /usr/share/questdb -m io.questdb/io.questdb.ServerMain -d "$1" > /tmp/check.log 2>&1 &
    server=$!
    trap '{ kill $server && wait $server; } 2> /dev/null || true; rm -rf /tmp/check' EXIT
    until sql 9010 exp "SELECT 1" > /dev/null 2>&1; do
        kill -0 $server 2> /dev/null || fails "it doesn't start"
        sleep 0.2
    done
    # The rows that are only in the WAL (write-ahead log) of a table.
    behind=
    until [ "$behind" = 0 ]; do
        sleep 0.2
        behind=$(query "SELECT count() FROM wal_tables() WHERE NOT suspended AND writerTxn < sequencerTxn")
    done
    suspended=$(query "SELECT name, errorMessage FROM wal_tables() WHERE suspended")
    [ -z "$suspended" ] || fails "suspended tables: $suspended"
    # For each table, a query that reads its columns. count() doesn't know every type.
    query "
        SELECT 'SELECT ' || string_agg(
            CASE data_type
                WHEN 'boolean' THEN 'count(\"' || column_name || '\"::int)'
                WHEN 'bytea' THEN 'count(length(\"' || column_name || '\"))'
                WHEN 'unknown' THEN 'count(\"' || column_name || '\"::varchar)'
                ELSE 'count(\"' || column_name || '\")'
            END,
            ','
        ) || ' FROM \"' || t.table_name || '\"'
        FROM tables() t JOIN information_schema.columns() c ON c.table_name = t.table_name
        WHERE table_type <> 'V'
    " > /tmp/check/queries
    while read -r line; do
        line=${line#\"}
        line=${line%\"}
        query "${line//\"\"/\"}" > /dev/null
    done < /tmp/check/queries
    echo "$(wc -l < /tmp/check/queries) tables read"
)

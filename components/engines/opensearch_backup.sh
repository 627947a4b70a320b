# How restic_backup.sh backs up OpenSearch (OpenSearch documentation, "Take and restore snapshots").
#
# A backup is a snapshot, in a repository of OpenSearch's own (path.repo). The check restores it in a second server, whose
# data folder then takes its place.

copies=2

REPOSITORY=/_snapshot/strata-backup
SNAPSHOT=$REPOSITORY/backup

request() ( # request PORT METHOD PATH [BODY]: prints the body of the response.
    body=${4:-}
    exec 9<> "/dev/tcp/127.0.0.1/$1"
    printf '%s %s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' "$2" "$3" "${#body}" "$body" >&9
    read -r _ status _ <&9
    [[ $status == 20[01] ]] || exec >&2
    until read -r line <&9; [ -z "${line%$'\r'}" ]; do :; done
    cat <&9
    [[ $status == 20[01] ]]
)

snapshot() (
    unregister() { # Also what a backup that was killed left. A snapshot that isn't complete is aborted before.
        for _ in {1..100}; do
            request 9200 DELETE "$REPOSITORY" > /tmp/unregister.log 2>&1 && return
            ! grep --quiet repository_missing_exception /tmp/unregister.log || return 0
            request 9200 DELETE "$SNAPSHOT" > /dev/null 2>&1 || true
            sleep 0.3
        done
        cat /tmp/unregister.log >&2
        return 1
    }
    # It may have just been started.
    for _ in {1..200}; do
        request 9200 GET / > /dev/null 2>&1 && break
        sleep 0.5
    done
    request 9200 GET '/_cluster/health?wait_for_status=yellow&timeout=120s' > /dev/null || fail "an index has lost a shard"
    unregister
    trap unregister EXIT
    rm -rf "$volume/opensearch"
    mkdir -m 0700 "$volume/opensearch"
    # A restore opens them.
    request 9200 GET '/_cat/indices?expand_wildcards=closed&h=index' > "$1/closed"
    request 9200 PUT "$REPOSITORY" "{\"type\": \"fs\", \"settings\": {\"location\": \"$volume/opensearch\"}}" > /dev/null
    created=$(request 9200 PUT "$SNAPSHOT?wait_for_completion=true&filter_path=snapshot.state,snapshot.failures" \
        '{"indices": "*", "expand_wildcards": "all"}')
    [[ $created == *'"state":"SUCCESS"'* ]] || fail "the snapshot isn't complete: $created"
    mv "$volume/opensearch" "$1/snapshot"
)

check() (
    fails() {
        grep --invert-match '^[[:space:]]*at ' /tmp/check.log | tail --lines=20 | cut --characters=-500 >&2
        fail "OpenSearch can't use the restored files: $*"
    }
    query() { request 9210 "$@" || fails "$1 $2"; }
    restore() {
        # Plugins of upstream's image create indices when they start.
        request 9210 DELETE '/*?expand_wildcards=all' > /dev/null
        # Without the pattern, it leaves out indices if there is a data stream.
        request 9210 POST "$SNAPSHOT/_restore?wait_for_completion=true&filter_path=snapshot.shards" \
            '{"indices": "*", "include_global_state": true}'
    }

    set -- "$(realpath "$1")"
    # Without this file, a repository is empty.
    [ -e "$1/snapshot/index.latest" ] || fail "there is no snapshot of OpenSearch"
    OPENSEARCH_JAVA_OPTS="-Xms64m -Xmx256m -XX:-UseG1GC -XX:+UseSerialGC -XX:TieredStopAtLevel=1" \
        setpriv --pdeathsig TERM bash /etc/opensearch/start /tmp/check -Epath.data="$1/data" -Epath.repo="$1" \
        -Ehttp.host=127.0.0.1 -Ehttp.port=9210 -Etransport.port=9310 \
        -Ecluster.routing.allocation.disk.threshold_enabled=false > /tmp/check.log 2>&1 &
    server=$!
    trap '{ kill $server && wait $server; } 2> /dev/null || true; rm -rf /tmp/check' EXIT
    until request 9210 GET '/_cluster/health?wait_for_status=yellow&timeout=1s' > /dev/null 2>&1; do
        kill -0 $server 2> /dev/null || fails "it doesn't start"
        sleep 0.2
    done
    query PUT "$REPOSITORY" "{\"type\": \"fs\", \"settings\": {\"location\": \"$1/snapshot\", \"readonly\": true}}" > /dev/null
    shards=$(query GET "$SNAPSHOT?filter_path=snapshots.shards" | tr -cd 0-9,)
    # It compares the checksum of every file.
    restored=$(restore 2> /dev/null || restore 2> /dev/null || restore || fails "no restore")
    # Of both: all, failed, successful.
    [ "$(tr -cd 0-9, <<< "$restored")" = "$shards" ] || fails "shards are missing: $restored"
    while read -r index; do
        query POST "/$(printf %s "$index" | od -An -v -t x1 | tr -d '\n' | tr ' ' %)/_close?ignore_unavailable=true" > /dev/null
    done < "$1/closed"
    query GET '/_count?expand_wildcards=open,hidden'
    query DELETE "$REPOSITORY" > /dev/null
    kill $server
    # It ends by the signal (143).
    wait $server || [ $? = 143 ] || fails "it doesn't stop"
    rm -r "$1/snapshot" "$1/closed"
    mv "$1/data"/* "$1"
    rmdir "$1/data"
)

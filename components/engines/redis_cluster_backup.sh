# How restic_backup.sh backs up a Redis Cluster, from a container beside its nodes.
#
# A backup has an RDB of each primary. A restore copies their keys to the nodes, so the data volume is empty but for
#     nodes             the IDs of the nodes that this container knows
#     primaries, *.rdb  a backup whose keys aren't copied completely
#     saved             the keys before it are in a backup of their own

known=$BACKUP_DATA/nodes
SOCKET=/tmp/backup.sock

node() { # node HOST COMMAND...: runs redis-cli.
    REDISCLI_AUTH=$(< @password@) timeout "${seconds:-60}" @cli@ -e --user @admin@ -h "$@"
}

nodes() { # HOST ID of all nodes that respond. Fails unless their host names are known.
    node "$CLUSTER" cluster nodes | awk '
        $3 ~ /fail|noaddr|handshake/ { next }
        $2 !~ /,./ { failed = 1 }
        { split($2, address, ","); print address[2], $1 }
        END { exit failed }
    '
}

primaries() { # HOST ID SLOTS... in the order of the slots. Fails unless they serve all slots, and none is being moved.
    [[ $(node "$CLUSTER" cluster info) == *cluster_state:ok* ]] || return 1
    node "$CLUSTER" cluster nodes | sort --key=9,9n | awk '
        $3 !~ /master/ || NF < 9 { next }
        $3 ~ /fail/ || /\[/ || $2 !~ /,./ { failed = 1 }
        { split($2, address, ","); printf "%s %s", address[2], $1; for (i = 9; i <= NF; i++) printf " %s", $i; print "" }
        END { exit failed }
    '
}

await_cluster() {
    until primaries > /tmp/primaries && nodes > /tmp/nodes; do sleep 1; done 2> /tmp/await.log
}

on() { # on primaries|nodes COMMAND...: prints the replies. Fails unless all succeed.
    local host
    "$1" | while read -r host _; do node "$host" "${@:2}" < /dev/null || return 1; done
}

total() { # Of the numbers that begin a line.
    awk '/^[0-9]/ { sum += $1 } END { printf "%.0f\n", sum }'
}

keys() {
    on primaries dbsize | total
}

used_memory() { # Of replies to INFO.
    sed --quiet 's/^used_memory://p' | total
}

size() {
    echo $(($(on primaries info memory | used_memory) / 1024))
}

snapshot() {
    local host
    { primaries > "$1/primaries" && nodes > /tmp/nodes; } || fail "the cluster doesn't serve all slots, or is moving some"
    [ ! -e "$known" ] || is_known || fail "this isn't the cluster of the backups before: restart this container"
    while read -r host _; do
        seconds=3600 node "$host" --rdb "$1/$host.rdb" < /dev/null > /tmp/snapshot.log 2>&1 \
            || { cat /tmp/snapshot.log >&2; return 1; }
    done < "$1/primaries"
    # Not the keys of a slot twice, or not at all.
    primaries | cmp --quiet - "$1/primaries" || fail "another node became a primary"
    [ ! -e "$known" ] || remember
}

is_known() { # Whether one of the nodes was there before.
    cut --delimiter=' ' --fields=2 /tmp/nodes | grep --quiet --fixed-strings --file=- "$known"
}

remember() {
    cut --delimiter=' ' --fields=2 /tmp/nodes > "$known.new"
    mv "$known.new" "$known"
}

copy_of() { redis-cli -e -s "$SOCKET" "$@"; }

# with_copy FILE COMMAND...: runs it while a Redis of its own has the keys in the file.
with_copy() (
    [ -s "$1" ] || fail "the backup has no $(basename "$1")"
    setpriv --pdeathsig KILL redis-server --port 0 --unixsocket "$SOCKET" --unixsocketperm 700 @tls@ \
        --dir "$(dirname "$1")" --dbfilename "$(basename "$1")" --save '' --appendonly no > /tmp/copy.log 2>&1 &
    server=$!
    trap '{ kill -KILL $server && wait $server; } 2> /dev/null || true' EXIT
    until [ "$(copy_of ping 2> /dev/null)" = PONG ]; do
        kill -0 $server 2> /dev/null || { tail --lines=20 /tmp/copy.log >&2; fail "Redis can't read $1"; }
        sleep 0.1
    done
    "${@:2}"
)

# Another Redis reads every key and the checksum.
check() (
    fits() {
        local used
        used=$(copy_of info memory | used_memory)
        [ "$used" -le "$MAXMEMORY" ] || fail "the keys of $host take $used bytes, and the nodes' maxmemory is $MAXMEMORY"
        echo "$host: $(copy_of dbsize) keys"
    }
    [ -s "$1/primaries" ] || fail "the backup isn't one of a Redis Cluster"
    while read -r host _; do
        with_copy "$1/$host.rdb" fits < /dev/null
    done < "$1/primaries"
)

# Whether it is another cluster than before, and has no keys. Those of one that is known have expired.
is_lost() {
    local count
    [ ! -e "$BACKUP_DATA/primaries" ] || return 1
    await_cluster
    if [ -e "$known" ] && is_known; then return 1; fi
    until count=$(keys); do sleep 1; done
    [ "$count" = 0 ] || return 1
    rm -f "$known"
}

# Every step can be interrupted and begins again.
load() (
    cd "$BACKUP_DATA"
    await_cluster
    # After a command of this script that runs in the container, and before another one.
    exec 8> "$volume/running"
    flock 8
    if [ -e primaries ]; then
        replace_keys 8>&-
        # The next backup, which comes soon, has the restored keys.
        mkdir -p .replaced
        rm primaries
    fi
    on nodes config set maxmemory "$MAXMEMORY" > /dev/null
    on nodes acl setuser @user@ on > /dev/null
    rm -f ./*.rdb saved
    remember
)

replace_keys() {
    local host slots
    echo "replacing all keys of $CLUSTER by those of the backup"
    # Clients see no part of it.
    on nodes acl setuser @user@ off > /dev/null
    on nodes client kill user @user@ > /dev/null
    if [ ! -e saved ]; then
        if [ "$(keys)" != 0 ]; then
            yield_memory
            repository unlock --remove-all
            (save before-restore)
        fi
        touch saved
    fi
    # While a key is copied, its node has it twice.
    on primaries config set maxmemory 0 > /dev/null
    seconds=3600 on primaries flushall sync > /dev/null
    on primaries function flush > /dev/null
    while read -r host _ slots; do
        with_copy "$PWD/$host.rdb" copy_keys "$slots" < /dev/null
    done < primaries
    primaries | cmp --quiet - /tmp/primaries || fail "another node became a primary"
    on nodes acl list > /tmp/users
    ! grep --quiet '^user @user@ on' /tmp/users || fail "a node was restarted"
}

copy_keys() { # copy_keys SLOTS: to the node that has the same slots, or else to all that have some of them.
    local target targets reply copied=0
    targets=$(awk -v slots="$1" '{ host = $1; $1 = $2 = ""; if ($0 == "  " slots) print host }' /tmp/primaries)
    for target in ${targets:-$(cut --delimiter=' ' --fields=1 /tmp/primaries)}; do
        reply=$(printf %s "$(< @password@)" | copy_of -x eval "$COPY" 0 "$target" @port@ @admin@)
        copied=$((copied + reply))
        # A library that is on several nodes is in each backup.
        copy_of function dump | head --bytes=-1 | node "$target" -X libraries function restore libraries replace > /dev/null
    done
    echo "$host: copied $copied keys"
    [ "$copied" -ge "$(copy_of dbsize)" ] || fail "keys are missing"
}

# Prints how many keys it copied. A node rejects those of slots that it doesn't have.
COPY='
local function copy(keys)
    return redis.pcall("MIGRATE", ARGV[1], ARGV[2], "", "0", "600000", "COPY", "REPLACE", "AUTH2", ARGV[3], ARGV[4],
        "KEYS", unpack(keys))
end

local cursor, copied = "0", 0
repeat
    local scanned = redis.call("SCAN", cursor, "COUNT", "20")
    cursor = scanned[1]
    local batches = {scanned[2]}
    for number, keys in ipairs(batches) do
        local reply = #keys > 0 and copy(keys) or {}
        if not reply.err then
            copied = copied + #keys
        elseif not reply.err:find("MOVED") then
            return reply
        elseif #keys > 1 then
            for _, key in ipairs(keys) do table.insert(batches, {key}) end
        end
    end
until cursor == "0"
return copied
'

# RabbitMQ's part of `restic_backup.sh`.
#
# RabbitMQ documents no way to copy messages while it runs, but it recovers from a crash with everything that it
# confirmed. So a backup has the files of one moment. RabbitMQ is paused for the copy of what changed since another copy.

PAUSE_SECONDS=5

snapshot() {
    # Before the first start has created it, rabbitmqctl would create another one.
    for _ in {1..60}; do
        [ ! -s ~/.erlang.cookie ] || break
        sleep 1
    done
    rabbitmqctl --silent await_startup --timeout 180 > /dev/null
    # Quorum queues share a log. This moves its messages to the files of each queue. Otherwise the pause has to copy the
    # log, and a start reads it into memory.
    rabbitmqctl --silent eval 'rabbit_quorum_queue:wal_force_roll_over(node()).' > /dev/null
    for _ in {1..30}; do
        [ "$(find "$BACKUP_DATA/mnesia/$RABBITMQ_NODENAME/quorum" -name '*.wal' | wc -l)" -gt 1 ] || break
        sleep 1
    done
    # Each copy has what changed during the one before, which can take long.
    for _ in {1..3}; do copy_unchanged "$1"; done
    paused copy_changes "$1"
    find "$1" -mindepth 1 -printf '%P\0' | sort --zero-terminated > /tmp/copied
    sort --zero-terminated /tmp/existing | comm --zero-terminated -13 - /tmp/copied \
        | (cd "$1" && xargs --null --no-run-if-empty rm -rf)
}

copy_unchanged() {
    # Two writes within a tick of the file system's clock leave the same time.
    touch --date='2 seconds ago' /tmp/started
    # Files are deleted meanwhile, which is an error of cp.
    data "$BACKUP_DATA" -exec cp --archive --update --target-directory="$1" {} + 2> /tmp/copy.log || true
    find "$1" -type f -newer /tmp/started -delete
}

copy_changes() {
    data "$BACKUP_DATA" -exec timeout "$PAUSE_SECONDS" cp --archive --update --target-directory="$1" {} +
    find "$BACKUP_DATA" -mindepth 1 -printf '%P\0' > /tmp/existing
}

paused() ( # paused COMMAND...: runs it while RabbitMQ is paused.
    server=$(< "$BACKUP_DATA/mnesia/$RABBITMQ_NODENAME.pid")
    [[ $(readlink "/proc/$server/exe") == */beam.smp ]] || fail "RabbitMQ isn't running"
    # It ends the pause even if this script is killed, and it isn't killed first if the memory isn't enough.
    setsid bash -c 'echo 0 > /proc/self/oom_score_adj; sleep "$0"; kill -CONT "$1"' "$PAUSE_SECONDS" "$server" &
    trap "kill -CONT $server; kill -- -$! 2> /dev/null || true" EXIT
    kill -STOP "$server"
    for _ in {1..100}; do
        ! is_paused || break
        sleep 0.01
    done
    is_paused || fail "RabbitMQ can't be paused"
    status=0
    "$@" || status=$?
    is_paused || fail "RabbitMQ writes too much: what changed can't be copied in $PAUSE_SECONDS seconds"
    exit "$status"
)

is_paused() { # Whether every thread of the server is.
    [ "$(grep --no-filename ^State: "/proc/$server/task/"*/status | sort --unique)" = $'State:\tT (stopped)' ]
}

# A second server starts with the files, and stops again.
check() (
    # It would start without them, too.
    [ -d "$1/mnesia/$RABBITMQ_NODENAME" ] || fail "there are no files of RabbitMQ"
    # If the memory isn't enough, the kernel ends it, and not the first one.
    echo 1000 > /proc/self/oom_score_adj
    HOME=$(mktemp -d)
    export HOME ERL_EPMD_PORT=4370
    trap 'epmd -kill > /dev/null 2>&1; rm -rf "$HOME"' EXIT
    echo 'listeners.tcp = none' > "$HOME/rabbitmq.conf"
    echo '[].' > "$HOME/enabled_plugins"
    # It has another cookie, in HOME, and other ports than the first server, and knows nothing of it.
    RABBITMQ_MNESIA_BASE=$(realpath "$1")/mnesia RABBITMQ_DIST_PORT=25673 RABBITMQ_CONFIG_FILE=$HOME/rabbitmq.conf \
        RABBITMQ_ENABLED_PLUGINS_FILE=$HOME/enabled_plugins \
        timeout 600 rabbitmq-server -eval "$CHECK" > "$HOME/log" 2>&1 \
        || { tail -n 20 "$HOME/log" | cut --characters=-200 >&2; fail "RabbitMQ can't start with these files"; }
    cat "$HOME/messages"
)

# Stops the server once all queues run, or after 60 seconds in which one neither ran nor recovered. The query returns
# when a quorum queue has read the end of its log.
CHECK='
Check = fun Check(Tries) ->
    timer:sleep(200),
    IsBooted = rabbit:is_booted(),
    Queues = if IsBooted -> rabbit_amqqueue:list(); true -> [] end,
    States = [rabbit_amqqueue:info(Queue, [state, name]) || Queue <- Queues],
    Others = [State || [{state, Is} | _] = State <- States, Is =/= running],
    IsRecovering = lists:any(fun([{state, Is} | _]) -> Is =:= recovering end, Others),
    if
        not IsBooted; IsRecovering -> Check(Tries);
        Others =:= [] ->
            Leaders = [Leader || Queue <- Queues, {_, _} = Leader <- [amqqueue:get_pid(Queue)]],
            [{ok, _, _} = ra:consistent_query(Leader, fun(_) -> read end, 60000) || Leader <- Leaders],
            Messages = [Count || Queue <- Queues, {ok, Count, _} <- [rabbit_amqqueue:stat(Queue)]],
            Text = io_lib:format("queues: ~b, messages: ~b~n", [length(Queues), lists:sum(Messages)]),
            ok = file:write_file(filename:join(os:getenv("HOME"), "messages"), Text),
            init:stop();
        Tries =:= 300 -> io:format("these queues are not running: ~p~n", [Others]), init:stop(1);
        true -> Check(Tries + 1)
    end
end, spawn(fun() -> Check(0) end).'

#!/bin/bash
# Makes the database cluster when the data folder has none, then becomes the server.
#
# The environment is that of the upstream image: POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB, POSTGRES_INITDB_ARGS, each
# also as NAME_FILE, and POSTGRES_HOST_AUTH_METHOD. Unlike upstream, a container that is killed half way through leaves
# nothing behind that looks finished: the cluster is made in a folder of its own and moved into place when it is whole.
set -Eeuo pipefail

fail() {
  echo "postgres: $*" >&2
  exit 1
}

# value NAME [DEFAULT]: the content of the file in NAME_FILE, else NAME, else the default.
value() {
  local name="$1" file_name="$1_FILE" file
  file="${!file_name:-}"
  if [ -n "$file" ]; then
    [ -z "${!name:-}" ] || fail "both $name and $file_name are set; keep one of them"
    [ -r "$file" ] || fail "$file_name is $file, which cannot be read by uid $(id -u)"
    # The shell drops the newline at the end, as upstream does.
    printf '%s' "$(< "$file")"
  else
    printf '%s' "${!name:-${2:-}}"
  fi
}

run_scripts() {
  local script
  for script in /docker-entrypoint-initdb.d/*; do
    case "$script" in
      *.sh)
        echo "postgres: running $script"
        # As upstream: one that can be executed is, another is read into this shell.
        if [ -x "$script" ]; then "$script"; else . "$script"; fi ;;
      *.sql) echo "postgres: running $script"; "${client[@]}" --dbname "$database" --file "$script" ;;
      *.sql.gz) echo "postgres: running $script"; gunzip -c "$script" | "${client[@]}" --dbname "$database" ;;
      *'/*') ;;
      *) echo "postgres: $script is left out: neither .sh, .sql nor .sql.gz" ;;
    esac
  done
}

make_cluster() {
  local target="$PGDATA" password method arguments
  user="$(value POSTGRES_USER postgres)"
  database="$(value POSTGRES_DB "$user")"
  password="$(value POSTGRES_PASSWORD)"
  arguments="$(value POSTGRES_INITDB_ARGS)"
  method="${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}"
  if [ -z "$password" ] && [ "$method" != trust ]; then
    fail "no password for the superuser: set POSTGRES_PASSWORD_FILE to a file that holds one"
  fi

  rm -rf "$target/.making"
  [ -z "$(ls -A "$target" | grep -vx 'lost+found' || true)" ] \
    || fail "$target is not empty and holds no database cluster; nothing was changed"
  export PGDATA="$target/.making"
  mkdir -m 0700 "$PGDATA"
  # A password file on a descriptor: it never touches a disk or a command line.
  eval "initdb --username=\"\$user\" --pwfile=<(printf '%s\n' \"\$password\") $arguments" > /dev/null
  printf '\nhost all all all %s\n' "$method" >> "$PGDATA/pg_hba.conf"

  # This server listens on a socket alone: no client can meet a half-made database.
  pg_ctl --pgdata "$PGDATA" --silent --wait -o "-c listen_addresses='' -p 5432" start
  client=(psql --no-psqlrc --quiet --set ON_ERROR_STOP=1 --username "$user" --no-password)
  export PGHOST=/var/run/postgresql PGPASSWORD="$password" POSTGRES_USER="$user" POSTGRES_DB="$database"
  if [ "$database" != postgres ]; then
    "${client[@]}" --dbname postgres --set name="$database" <<< 'CREATE DATABASE :"name";'
  fi
  run_scripts
  pg_ctl --pgdata "$PGDATA" --silent --wait --mode fast stop
  sync --file-system "$PGDATA"
  touch "$PGDATA/.complete"
  unset PGHOST PGPASSWORD
  export PGDATA="$target"
}

# Moves a whole cluster up into the data folder. PG_VERSION, which says that there is one, goes last; a move that was broken
# off goes on here.
place_cluster() {
  local entry
  for entry in "$PGDATA"/.making/*; do
    [ "${entry##*/}" = PG_VERSION ] || mv "$entry" "$PGDATA/"
  done
  mv "$PGDATA/.making/PG_VERSION" "$PGDATA/"
  rm -rf "$PGDATA/.making"
}

if [ "${1#-}" != "${1:-}" ]; then
  set -- postgres "$@"
fi
if [ "${1:-}" = postgres ]; then
  [ "$(id -u)" != 0 ] || fail "PostgreSQL does not run as root; run this container as uid 999"
  [ -w "$PGDATA" ] || fail "$PGDATA cannot be written by uid $(id -u); give the volume to that uid"
  umask 0077
  if [ ! -s "$PGDATA/PG_VERSION" ]; then
    [ -e "$PGDATA/.making/.complete" ] || make_cluster
    place_cluster
  fi
fi
exec "$@"

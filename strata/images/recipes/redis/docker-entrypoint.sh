#!/bin/bash
# As upstream: `docker run redis --appendonly yes` and `docker run redis /etc/redis.conf` both start the server.
set -eu
if [ "${1#-}" != "${1:-}" ] || [ "${1%.conf}" != "${1:-}" ]; then
  set -- redis-server "$@"
fi
# What Redis writes is for Redis alone.
umask 0077
exec "$@"

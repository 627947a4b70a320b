#!/bin/bash
# What RabbitMQ writes (its Erlang cookie above all) is for RabbitMQ alone.
set -eu
umask 0077
exec "$@"

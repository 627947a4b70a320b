#!/bin/bash
# Runs vlagent on the logs of the containers of one stack: STACK, by their label strata.stack.
#
# vlagent selects files by their names, and Docker's have only the ids of containers. So /tmp/containers gets a link for each
# container of the stack; it is mounted at /containers, read-only, with all others of the engine.
set -euo pipefail
shopt -s nullglob
readonly links=/tmp/containers

link() {
  local file folder
  for folder in "$links"/*; do
    [ -e "$folder/config.v2.json" ] || rm -f "$folder"
  done
  while read -r file; do
    folder="${file%/config.v2.json}"
    [ -e "$links/${folder##*/}" ] || ln -sfn "$folder" "$links/"
  done < <(grep -lF "\"strata.stack\":\"$STACK\"" /dev/null /containers/*/config.v2.json || true)
}

mkdir -p "$links"
link
while sleep 5; do link; done &
exec vlagent "$@"

#!/usr/bin/env bash
# Listens with curl: `curl.sh <url> <token>`. curl does not come back by itself; the loop does.
last=
while true; do
  id= event= data=
  while IFS= read -r line; do
    case $line in
      'id: '*) id=${line#id: } ;;
      'event: '*) event=${line#event: } ;;
      'data: '*) data=${line#data: } ;;
      '')
        # A block counts when its empty line is there. All data of Tidemark is JSON.
        if [ -n "$data" ]; then printf '{"id":"%s","event":"%s","data":%s}\n' "$id" "$event" "$data"; fi
        last=${id:-$last} event= data=
        ;;
    esac
  done < <(curl --silent --no-buffer --fail --header "Authorization: Bearer $2" \
    ${last:+--header "Last-Event-ID: $last"} "$1")
  sleep 0.1
done

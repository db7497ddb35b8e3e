#!/bin/bash
# A tour against the simulator, laid out for a person to read.  Started by
# "make demo" with the cluster and the simulator running.
set -eu -o pipefail
cd "$(dirname "$0")"
export PGOPTIONS='-c client_min_messages=warning'
psql -X -q -v ON_ERROR_STOP=1 -c 'DROP DATABASE IF EXISTS demo' -c 'CREATE DATABASE demo'
unset PGOPTIONS

# Somebody who is told by webhooks what happens.
inbox=$(mktemp -d)
gcc -std=gnu11 -O2 -I../../src -o "$inbox/receiver" ../sim/receiver/receiver.c ../../src/webhook/sign.c -lssl -lcrypto
"$inbox/receiver" "$inbox" &
receiver=$!
trap 'kill $receiver; rm -rf "$inbox"' EXIT
until [ -s "$inbox/receiver.json" ]; do sleep 0.05; done
number() { grep -o "\"$1\": *[0-9]*" "$inbox/receiver.json" | grep -o '[0-9]*$'; }
DEMO_INBOX_URL=http://127.0.0.1:$(number port)/inbox
DEMO_INBOX_LOG=http://127.0.0.1:$(number control_port)/log/inbox
DEMO_INBOX_RIGHT=$inbox/right
export DEMO_INBOX_URL DEMO_INBOX_LOG DEMO_INBOX_RIGHT

psql -X -e -v ON_ERROR_STOP=1 -P pager=off -d demo <demo.sql 2>&1 | awk -v width=112 -f wrap.awk
[ -e "$DEMO_INBOX_RIGHT" ] || { echo "Not all of that arrived with a right signature." >&2; exit 1; }
echo
echo "That was it. The cluster and the simulator of this tour are gone in a moment; test/dev start"
echo "gives you both to play with, and docs/netsuite.md leads to a real account."

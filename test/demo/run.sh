#!/bin/bash
# A tour against the simulator, laid out for a person to read.  Started by
# "make demo" with the cluster and the simulator running.
set -eu -o pipefail
cd "$(dirname "$0")"
export PGOPTIONS='-c client_min_messages=warning'
psql -X -q -v ON_ERROR_STOP=1 -c 'DROP DATABASE IF EXISTS demo' -c 'CREATE DATABASE demo'
unset PGOPTIONS
psql -X -e -v ON_ERROR_STOP=1 -P pager=off -d demo <demo.sql 2>&1 | awk -v width=112 -f wrap.awk
echo
echo "That was it. The cluster and the simulator of this tour are gone in a moment; test/dev start"
echo "gives you both to play with, and docs/netsuite.md leads to a real account."

#!/bin/bash
# A tour against the simulator, laid out for a person to read.  Started by
# "make demo" with the cluster and the simulator running.
set -eu -o pipefail
cd "$(dirname "$0")"
psql -X -q -v ON_ERROR_STOP=1 -c 'DROP DATABASE IF EXISTS demo' -c 'CREATE DATABASE demo'
psql -X -e -v ON_ERROR_STOP=1 -P pager=off -d demo <demo.sql 2>&1 | awk -v width=112 -f wrap.awk

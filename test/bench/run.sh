#!/bin/bash
# "make bench": every figure as a ratio within one run, on this machine, against
# the simulator.  Started by test/lib/suite.sh with the servers running.
set -eu
here=$(dirname "$0")
exec "${MAKINI_PYTHON:-/usr/bin/python3}" "$here/scan.py" "$@"

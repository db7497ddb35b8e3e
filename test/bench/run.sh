#!/bin/bash
# "make bench": every figure as a ratio within one run, on this machine, against
# the simulator.  Started by test/lib/suite.sh with the servers running; names
# pick what is measured.
set -eu
here=$(dirname "$0")
for name in "${@:-all}"; do
	if [ "$name" = all ]; then set -- scan sync event webhook; fi
done
for name in "$@"; do
	"${MAKINI_PYTHON:-/usr/bin/python3}" "$here/$name.py"
done

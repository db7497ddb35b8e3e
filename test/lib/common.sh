# Functions that every test script shares: a private copy of the PostgreSQL
# installation, a private cluster, the simulator.  Sourced, never run.
#
# Nothing here writes into the system's PostgreSQL directories or touches a
# cluster of the system.  PostgreSQL finds its files relative to its own
# binary, so a tree with copied binaries and linked libraries is a full
# installation into which the extension can be put.

set -u
# LANG too: PostgreSQL's TAP modules drop LC_ALL.
export LC_ALL=C.UTF-8 LANG=C.UTF-8
MAKINI_PYTHON=/usr/bin/python3

say() { printf '# %s\n' "$*" >&2; }
die() { printf 'makini: %s\n' "$*" >&2; exit 1; }
am_root() { [ "$(id -u)" = 0 ]; }

# The checkout that these scripts stand in.
checkout() { (cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P); }

cache_dir() {
	if [ -n "${MAKINI_CACHE:-}" ]; then echo "$MAKINI_CACHE"
	elif am_root; then echo /var/cache/makini
	else echo "${XDG_CACHE_HOME:-$HOME/.cache}/makini"
	fi
}

# PostgreSQL refuses to run as root: there everything that runs it, and what is
# built for it, belongs to the user postgres.
unprivileged() {
	if am_root; then
		setpriv --reuid=postgres --regid="$(id -g postgres)" --init-groups -- env HOME=/tmp "$@"
	else
		"$@"
	fi
}

# stage_files DIR: the checkout as it is on disk, without what git ignores,
# copied to DIR.  Times are kept and objects left there, so that a second build
# is short.  Research notes lying beside the checkout go beside the copy.
stage_files() {
	local to=$1 from notes
	from=$(checkout)
	mkdir -p "$to"
	find "$to" -type f ! -name '*.o' ! -name '*.d' ! -name '*.so' -delete
	tar -C "$from" --exclude=./.git --exclude='*.o' --exclude='*.d' --exclude='*.so' \
		--exclude='*.bc' --exclude=__pycache__ --exclude=./tmp_check --exclude=./results \
		-cf - . | tar -C "$to" -xf - || return 1
	(cd "$to" && find . -name '*.o' | while read -r object; do
		[ -e "${object%.o}.c" ] || rm -f "$object" "${object%.o}.d"
	done)
	notes=$from/../shared/research
	if [ -d "$notes" ] && [ ! -d "$to/../shared/research" ]; then
		mkdir -p "$to/../shared" && cp -R "$notes" "$to/../shared/" && chmod -R u+w "$to/../shared"
	fi
	return 0
}

# stage DIR: the same, belonging to whom builds and runs it.
stage() {
	stage_files "$1" || return 1
	am_root || return 0
	chown -R postgres: "$1"
	[ ! -d "$1/../shared" ] || chown -R postgres: "$1/../shared"
}

# private_installation MAJOR DIR: links and copies of the system's PostgreSQL
# in DIR; prints nothing.  Its pg_config is DIR/lib/postgresql/MAJOR/bin/pg_config.
private_installation() {
	local major=$1 to=$2 system=/usr/lib/postgresql/$1 share=/usr/share/postgresql/$1 name
	local bin=$to/lib/postgresql/$major/bin lib=$to/lib/postgresql/$major/lib
	local wanted
	wanted=$(stat -c '%Y %s' "$system/bin/postgres") || die "PostgreSQL $major is not installed"
	[ "$(cat "$to/.made" 2>/dev/null)" != "$wanted" ] || return 0
	rm -rf "$to"
	mkdir -p "$bin" "$lib" "$to/share/postgresql/$major/extension"
	cp -L "$system"/bin/* "$bin/"
	for name in "$system"/lib/*; do ln -s "$name" "$lib/"; done
	for name in "$share"/*; do
		[ "${name##*/}" = extension ] || ln -s "$name" "$to/share/postgresql/$major/"
	done
	for name in "$share"/extension/*; do
		ln -s "$name" "$to/share/postgresql/$major/extension/"
	done
	ln -s /usr/include "$to/include"
	for name in /usr/lib/*-linux-gnu*; do [ ! -d "$name" ] || ln -s "$name" "$to/lib/"; done
	rm -f "$lib"/makini* "$to/share/postgresql/$major/extension"/makini*
	if am_root; then chown -R -h postgres: "$to"; fi
	echo "$wanted" >"$to/.made"
}

free_port() {
	"$MAKINI_PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# cluster_start BIN DIR: a cluster in DIR/data listening on the socket in
# DIR/socket only; writes DIR/port.  Lines of DIR/extra.conf are its settings.
cluster_start() {
	local bin=$1 dir=$2
	unset PGHOST PGPORT PGUSER PGDATABASE PGPASSWORD PGSERVICE PGOPTIONS PGDATA
	unprivileged mkdir -p "$dir/socket"
	if [ ! -d "$dir/data" ]; then
		unprivileged "$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C \
			--no-sync >"$dir/initdb.log" 2>&1 || { cat "$dir/initdb.log" >&2; return 1; }
		echo "include_if_exists = '$dir/extra.conf'" >>"$dir/data/postgresql.conf"
	fi
	free_port >"$dir/port"
	unprivileged "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -s -o "-p $(cat "$dir/port") \
		-c listen_addresses='' -c unix_socket_directories='$dir/socket' -c fsync=off" start ||
		{ tail -20 "$dir/log" >&2; return 1; }
}

cluster_stop() {
	[ ! -f "$2/data/postmaster.pid" ] || unprivileged "$1/pg_ctl" -D "$2/data" -m fast -w -s stop
}

# simulator_start SOURCE DIR [OPTION...]: the simulators from the copy in SOURCE,
# NetSuite's in DIR, which the options are for, and ASCTrac's in DIR/asctrac;
# returns when both have written their sim.json.
simulator_start() {
	local source=$1 dir=$2
	shift 2
	one_simulator_start "$source/test/sim/netsuite" "$dir" "$@" &&
		one_simulator_start "$source/test/sim/asctrac" "$dir/asctrac"
}

one_simulator_start() {
	local program=$1/sim.py dir=$2 starter
	shift 2
	unprivileged mkdir -p "$dir"
	rm -f "$dir/sim.json"
	unprivileged "$MAKINI_PYTHON" "$program" --dir "$dir" "$@" >"$dir/log" 2>&1 </dev/null &
	starter=$!
	until [ -s "$dir/sim.json" ]; do
		if ! kill -0 $starter 2>/dev/null; then
			say "$program did not start:"
			tail -20 "$dir/log" >&2
			return 1
		fi
		sleep 0.05
	done
	"$MAKINI_PYTHON" -c 'import json, sys; print(json.load(open(sys.argv[1]))["pid"])' "$dir/sim.json" >"$dir/pid"
}

simulator_stop() {
	local dir pid
	for dir in "$1" "$1/asctrac"; do
		[ -f "$dir/pid" ] || continue
		pid=$(cat "$dir/pid")
		rm -f "$dir/pid"
		kill "$pid" 2>/dev/null || continue
		while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
	done
}

# simulator_environment DIR: what each sim.json says as shell assignments,
# MAKINI_SIM_<KEY> for NetSuite's, MAKINI_ASC_<KEY> for ASCTrac's.
simulator_environment() {
	"$MAKINI_PYTHON" - "MAKINI_SIM=$1/sim.json" "MAKINI_ASC=$1/asctrac/sim.json" <<'PYTHON'
import json, shlex, sys

def walk(prefix, value):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from walk(prefix + "_" + key.upper().replace("-", "_"), inner)
    elif not isinstance(value, list):
        yield prefix, "" if value is None else str(value)

for word in sys.argv[1:]:
    prefix, _, path = word.partition("=")
    for name, value in walk(prefix, json.load(open(path))):
        print("export %s=%s" % (name, shlex.quote(value)))
PYTHON
}

#!/bin/bash
# The tests themselves: builds the copy of the checkout it stands in, installs
# it into the private installation, runs the groups asked for and says at the
# end how many passed.  Started by test/run as an ordinary user:
#
#   suite.sh WORK MAJOR WHAT [NAME ...]
set -u
. "$(dirname "$0")/common.sh"

work=$1 major=$2 what=$3
shift 3
src=$work/src
bin=$work/pg/lib/postgresql/$major/bin
pgxs=$work/pg/lib/postgresql/$major/lib/pgxs
logs=$work/logs
jobs=$(nproc)
passed=0 failed=0
mkdir -p "$logs" "$work/cluster"
export PG_CONFIG=$bin/pg_config PATH=$bin:$PATH

# ---- counting ----

# group NAME COMMAND...: runs a command that prints TAP or speaks as pg_regress
# does, counts what it says, and shows its log when something failed.  A command
# that fails without naming a test counts as one failure.
group() {
	local name=$1 log=$logs/$1.log status=0 started=$SECONDS counts ok bad
	shift
	printf '%-28s ' "$name"
	"$@" >"$log" 2>&1 || status=$?
	counts=$(awk '
		/^not ok / { bad++; next }
		/^ok / { ok++; next }
		/^(test)? *[-_a-z0-9A-Z]+( \(.*\))? +\.\.\. (ok|skipped)/ { ok++; next }
		/^(test)? *[-_a-z0-9A-Z]+( \(.*\))? +\.\.\. (FAIL|ERROR)/ { bad++; next }
		END { print ok + 0, bad + 0 }' "$log")
	ok=${counts% *} bad=${counts#* }
	[ $status = 0 ] || [ "$bad" != 0 ] || bad=1
	[ "$ok" != 0 ] || [ "$bad" != 0 ] || bad=1
	passed=$((passed + ok)) failed=$((failed + bad))
	if [ "$bad" = 0 ]; then
		printf 'ok      %4d  %4d s\n' "$ok" $((SECONDS - started))
		return 0
	fi
	printf 'FAILED  %4d of %d  %d s\n' "$bad" $((ok + bad)) $((SECONDS - started))
	report_failure "$name" "$log"
	return 1
}

report_failure() {
	local diffs=$work/$1/regression.diffs
	echo "---- $1: end of $2"
	if [ -s "$diffs" ]; then head -300 "$diffs"; else
		grep -E '^not ok |^#|error:|warning:' "$2" | head -60
		tail -40 "$2"
	fi
	echo "----"
}

finish() {
	cluster_stop "$bin" "$work/cluster"
	simulator_stop "$work/sim"
}
trap finish EXIT
trap 'exit 143' TERM

# ---- building ----

# A build without warnings is a test by itself.
build_with() {
	local cc=$1 dir=$2
	make -s -C "$dir" -k -j"$jobs" CC="$cc" WERROR=-Werror MAKINI_TEST=1 "${@:3}" &&
		echo "ok 1 - $cc builds without warnings"
}

build() {
	group "build-gcc" build_with gcc "$src" install && return
	say "trying again without -Werror, for the sake of the tests"
	make -s -C "$src" -j"$jobs" MAKINI_TEST=1 install >"$logs/build.log" 2>&1 || {
		tail -40 "$logs/build.log"
		summary
		exit 1
	}
}

build_clang() {
	command -v clang >/dev/null || return 0
	mkdir -p "$work/clang"
	(cd "$src" && find . -name '*.[cho]' -o -name '*.sql' -o -name '*.def' -o -name Makefile -o -name '*.control') |
		grep -v '\.o$' | tar -C "$src" -cf - -T - | tar -C "$work/clang" -xf -
	group "build-clang" build_with clang "$work/clang"
}

# ---- the groups ----

# Each test/unit/NAME.c is a program that prints TAP.  Its first comment names
# the files under src/ that it is linked with.
unit_programs() {
	local file
	mkdir -p "$work/unit"
	for file in "$src"/test/unit/*.c; do
		sanitized "$work/unit/$(basename "$file" .c).t" "$file" || return 1
	done
}

# sanitized PROGRAM FILE [MORE...]: builds a program outside the server.
sanitized() {
	local program=$1 links
	shift
	links=$(sed '/\*\//q' "$1" | grep -oE 'src/[a-z0-9_/]+\.c' | sort -u)
	(cd "$src" && ${SANITIZED_CC:-gcc} -std=gnu11 -g -O1 -fwrapv -fno-strict-aliasing -Wall -Wextra \
		-Wno-sign-compare -Wno-unused-parameter -fno-omit-frame-pointer \
		-fsanitize=address,undefined${SANITIZED_CC:+,fuzzer} -fno-sanitize-recover=undefined \
		-Isrc -Itest/unit $(pkg-config --cflags libcurl jansson openssl) -o "$program" "$@" $links \
		$(pkg-config --libs libcurl jansson openssl) -lm)
}

# Each test/fuzz/fuzz_NAME.c is a libFuzzer target built the same way; "make
# test" runs it over test/fuzz/corpus/NAME, "make test-long" lets it invent.
fuzz_replay() {
	local file name
	for file in "$src"/test/fuzz/fuzz_*.c; do
		name=$(basename "$file" .c)
		sanitized "$work/$name" "$file" test/fuzz/replay.c &&
			(cd "$src" && "$work/$name" "test/fuzz/corpus/${name#fuzz_}"/*) || return 1
	done
}

fuzz_long() {
	local file name
	for file in "$src"/test/fuzz/fuzz_*.c; do
		name=$(basename "$file" .c)
		mkdir -p "$work/found-$name"
		SANITIZED_CC=clang sanitized "$work/$name" "$file" &&
			(cd "$work/found-$name" && "$work/$name" -max_total_time="${FUZZ_SECONDS:-180}" \
				-artifact_prefix="$work/found-$name/" \
				$([ ! -f "$src/test/fuzz/${name#fuzz_}.dict" ] || echo "-dict=$src/test/fuzz/${name#fuzz_}.dict") \
				"$work/found-$name" "$src/test/fuzz/corpus/${name#fuzz_}") && echo "ok - $name" || return 1
	done
}

unit() {
	unit_programs && cd "$src" && prove -v -j"$jobs" $(picked "$work/unit" .t "$@")
}

# picked DIR SUFFIX [NAME...]: the files named, or all.
picked() {
	local dir=$1 suffix=$2 name
	shift 2
	if [ $# = 0 ]; then ls "$dir"/*"$suffix"; else
		for name in "$@"; do echo "$dir/$(basename "$name" "$suffix")$suffix"; done
	fi
}

has_files() { compgen -G "$1" >/dev/null; }

# Python programs that test the simulators and the catalogue, written with unittest.
python_tests() {
	local file status=0
	cd "$src"
	for file in $(find test/sim test/unit -name 'test_*.py' | sort); do
		"$MAKINI_PYTHON" "$file" -v || { echo "# $file failed"; status=1; }
	done
	return $status
}

# Workers run, and webhooks may go to this machine.
preload_makini() {
	unprivileged mkdir -p "$work/cluster"
	cat >"$work/cluster/extra.conf" <<END
shared_preload_libraries = 'makini'
max_worker_processes = 16
makini.allow_http = on
makini.allowed_private_hosts = '127.0.0.0/8'
END
}

start_servers() {
	[ -f "$work/cluster/port" ] || {
		[ ! -f "$src/test/sim/netsuite/sim.py" ] || simulator_start "$src" "$work/sim" || exit 1
		cluster_start "$bin" "$work/cluster" || exit 1
	}
	[ ! -s "$work/sim/sim.json" ] || eval "$(simulator_environment "$work/sim")"
	export PGHOST=$work/cluster/socket PGUSER=postgres PGDATABASE=postgres
	PGPORT=$(cat "$work/cluster/port")
	export PGPORT
}

regress() {
	local names
	names=$(picked "$src/sql" .sql "$@" | xargs -n1 basename | sed 's/\.sql$//')
	mkdir -p "$work/regress"
	"$pgxs/src/test/regress/pg_regress" --bindir="$bin" --inputdir="$src" \
		--outputdir="$work/regress" --host="$PGHOST" --port="$PGPORT" --user=postgres \
		--dbname=makini_regress --load-extension=makini $names
}

isolation() {
	local names
	names=$(picked "$src/test/specs" .spec "$@" | xargs -n1 basename | sed 's/\.spec$//')
	mkdir -p "$work/isolation"
	cd "$pgxs/src/test/isolation" &&
		./pg_isolation_regress --bindir="$bin" --inputdir="$src/test" \
			--outputdir="$work/isolation" --host="$PGHOST" --port="$PGPORT" --user=postgres \
			--dbname=makini_isolation --load-extension=makini $names
}

# prove_in DIR FILE...: TAP tests with room for their nodes in DIR.
prove_in() {
	local dir=$1
	shift
	mkdir -p "$dir/tmp_check"
	cd "$src" && TESTDIR=$dir TESTDATADIR=$dir/tmp_check TESTLOGDIR=$dir/tmp_check/log \
		PG_REGRESS=$pgxs/src/test/regress/pg_regress \
		prove -v -j"$jobs" -I "$pgxs/src/test/perl" -I test/lib "$@"
}

tap() { prove_in "$work/tap" $(picked "$src/test/t" .pl "$@"); }

# The tests that have more to do where there is time.
long_tests() {
	MAKINI_LONG=1 prove_in "$work/long" $(grep -l MAKINI_LONG $(picked "$src/test/t" .pl "$@"))
}

summary() { printf '%d passed, %d failed\n' "$passed" "$failed"; }

# run_group NAME [TEST...]: a group where it has files.
run_group() {
	local name=$1
	shift
	case $name in
		unit) ! has_files "$src/test/unit/*.c" || group unit unit "$@" ;;
		fuzz) ! has_files "$src/test/fuzz/fuzz_*.c" || group fuzz-replay fuzz_replay ;;
		python) [ -z "$(find "$src/test" -name 'test_*.py')" ] || group python python_tests ;;
		regress) ! has_files "$src/sql/*.sql" || { start_servers && group regress regress "$@"; } ;;
		isolation) ! has_files "$src/test/specs/*.spec" || { start_servers && group isolation isolation "$@"; } ;;
		tap) ! has_files "$src/test/t/*.pl" || group tap tap "$@" ;;
		long) group long long_tests "$@" ;;
	esac
}

case $what in
	test | test-long)
		echo "makini on PostgreSQL $("$bin/postgres" --version | grep -o '[0-9].*')"
		build
		build_clang
		for name in unit fuzz python regress isolation tap; do run_group $name; done
		if [ "$what" = test-long ]; then
			! has_files "$src/test/fuzz/fuzz_*.c" || group fuzz fuzz_long
			run_group long
		fi
		;;
	unit | fuzz | python) run_group "$what" "$@" ;;
	regress | isolation | tap) build; run_group "$what" "$@" ;;
	warnings)
		group build-gcc build_with gcc "$src"
		build_clang
		;;
	lint)
		build_clang
		group lint bash "$src/test/lib/lint.sh" "$src"
		;;
	demo | bench)
		say "building makini, starting a cluster and a simulated NetSuite"
		make -s -C "$src" -j"$jobs" MAKINI_TEST=1 install >"$logs/build.log" 2>&1 ||
			{ tail -40 "$logs/build.log" >&2; die "could not build makini"; }
		[ "$what" != demo ] || preload_makini
		start_servers
		bash "$src/test/$what/run.sh" "$@"
		exit
		;;
	*) die "there is no \"make $what\"" ;;
esac
summary
[ "$failed" = 0 ]

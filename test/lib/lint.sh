#!/bin/bash
# Static checks; prints TAP.  lint.sh CHECKOUT
set -u
cd "$1"
number=0 status=0

# check DESCRIPTION COMMAND...: ok when the command succeeds; shows what it says.
check() {
	local description=$1 output
	shift
	number=$((number + 1))
	if output=$("$@" 2>&1); then echo "ok $number - $description"; else
		echo "not ok $number - $description"
		printf '%s\n' "$output" | sed 's/^/# /'
		status=1
	fi
}

# nothing COMMAND...: succeeds when the command prints nothing.
nothing() {
	local output
	output=$("$@")
	[ -z "$output" ] || { printf '%s\n' "$output"; return 1; }
}

c_files() { find src test -name '*.[ch]' | sort; }

formatted() { c_files | xargs clang-format-14 --style=file --dry-run --Werror; }
versions_elsewhere() { grep -rln PG_VERSION_NUM src | grep -v '^src/compat\.h$'; }
long_files() { find src -name '*.[ch]' | xargs wc -l | awk '$2 != "total" && $1 > 1000'; }
without_comment() { c_files | while read -r file; do head -1 "$file" | grep -q '^/\*' || echo "$file"; done; }
left_over() { grep -rnE "\\b(TODO|FIXME)\\b|\\bXXX\\b([^'\"]|\$)" Makefile src test sql docs README.md 2>/dev/null | grep -v test/lib/lint.sh; }
machine_paths() { grep -rnE '(^|[^A-Za-z.])/(root|mnt)/' . 2>/dev/null | grep -v test/lib/lint.sh; }
internal_errors() { grep -rnE 'elog\((ERROR|FATAL|WARNING|NOTICE)' src; }
shell_scripts() { for file in test/run test/dev .ci/run $(find test -name '*.sh'); do bash -n "$file" || return 1; done; }

static_analysis() {
	cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 -j "$(nproc)" \
		--enable=warning,portability --suppress=missingInclude --suppress=unknownMacro \
		--suppress=nullPointerRedundantCheck --suppress=missingReturn \
		--suppress=returnDanglingLifetime --suppress=readdirCalled --library=posix -D__GNUC__ -DUINT64_FORMAT='"%lu"' \
		-DLIBCURL_VERSION_NUM=0x075800 -Isrc src
}

check "formatted as .clang-format says (make format does it)" formatted
check "cppcheck finds nothing" static_analysis
check "PG_VERSION_NUM stands in compat.h only" nothing versions_elsewhere
check "no file over 1000 lines" nothing long_files
check "every C file begins with a comment" nothing without_comment
check "nothing is left to do" nothing left_over
check "no path of somebody's machine" nothing machine_paths
check "every error has an SQLSTATE" nothing internal_errors
check "shell scripts parse" shell_scripts
echo "1..$number"
exit $status

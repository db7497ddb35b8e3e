# What has to be on the machine before anything can be built: packages, and for
# PostgreSQL majors of newer Debians a private root.  Sourced by test/run.

has_command() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: as root, through sudo where there is one.
as_root() {
	if am_root; then "$@"
	elif has_command sudo; then sudo -- "$@"
	else die "this needs root; please run as root: $*"
	fi
}

# The machine has this major, or its own Debian offers it.
has_postgresql() {
	[ -x "/usr/lib/postgresql/$1/bin/postgres" ] || [ -n "${MAKINI_IN_ROOT:-}" ] || {
		has_command apt-cache && [ "$(debian_codename)" = "$(codename_of_major "$1")" ]
	}
}

debian_codename() { (. /etc/os-release && echo "${VERSION_CODENAME:-}"); }

# The Debian that carries a major.
codename_of_major() {
	case $1 in
		15) echo bookworm ;;
		17) echo trixie ;;
		18) echo forky ;;
		*) die "PostgreSQL $1 is not among the majors that are tested: 15, 17, 18" ;;
	esac
}

packages_for() {
	local major=$1 what=$2
	echo make gcc libc6-dev pkg-config "postgresql-$major" "postgresql-server-dev-$major" \
		libcurl4-openssl-dev libjansson-dev libssl-dev openssl perl libipc-run-perl python3 \
		python3-jwt python3-cryptography python3-psycopg2 python3-aiosmtpd
	# what verifies webhooks like a receiver that is not ours comes by npm
	case $what in
		test | test-long | tap | setup) [ "$major" != 15 ] || has_command npm || echo npm ;;
	esac
	case $what in
		test | lint | warnings | setup) echo clang ;;
		test-long) echo clang libclang-rt-dev ;;
	esac
	case $what in
		lint | setup) [ "$major" != 15 ] || echo clang-format-14 cppcheck ;;
		bench) echo curl ;;
	esac
}

# install_packages NAME...: those that are missing.  Installing PostgreSQL on a
# Debian without it would make and start a cluster: that is switched off for the
# time of the installation.
install_packages() {
	local name missing=() switch=/etc/postgresql-common/createcluster.d/makini.conf
	for name in "$@"; do
		[ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || missing+=("$name")
	done
	[ ${#missing[@]} != 0 ] || return 0
	has_command apt-get || die "please install: ${missing[*]}"
	if ! am_root && ! has_command sudo; then
		die "packages are missing; please run as root: apt-get install ${missing[*]}"
	fi
	say "installing ${missing[*]}"
	export DEBIAN_FRONTEND=noninteractive
	as_root apt-get -qq update >/dev/null || die "apt-get update failed"
	case " ${missing[*]} " in
		*" postgresql-1"*)
			apt_install postgresql-common
			as_root mkdir -p "${switch%/*}"
			echo 'create_main_cluster = false' | as_root tee "$switch" >/dev/null
			apt_install "${missing[@]}"
			as_root rm -f "$switch"
			;;
		*) apt_install "${missing[@]}" ;;
	esac
}

apt_install() {
	local log
	log=$(mktemp)
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -qq -y --no-install-recommends install "$@" >"$log" 2>&1 </dev/null || {
		tail -20 "$log" >&2
		rm -f "$log"
		die "apt-get could not install $*"
	}
	rm -f "$log"
}

# The mirror that this machine itself uses.
debian_mirror() {
	local codename
	if [ -n "${MAKINI_MIRROR:-}" ]; then echo "$MAKINI_MIRROR"; return; fi
	codename=$(debian_codename)
	apt-get indextargets --format '$(REPO_URI) $(LABEL) $(CODENAME)' 'Created-By: Packages' 2>/dev/null |
		awk -v name="$codename" '$2 == "Debian" && $3 == name { print $1; exit }' | grep . ||
		cat /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list 2>/dev/null |
		sed -nE 's/^(URIs:|deb( \[[^]]*\])?) +(https?:[^ ]*debian\/?)( .*)?$/\3/p' | head -1 | grep . ||
		die "no Debian mirror in apt's sources; please name one in MAKINI_MIRROR"
}

# private_root CODENAME: makes it when there is none, prints where it is.
private_root() {
	local codename=$1 roots root mirror script
	roots=$(cache_dir)/roots
	root=$roots/$codename
	mkdir -p "$roots"
	exec 9>"$roots/.lock"
	flock 9
	if [ ! -e "$root/.complete" ]; then
		install_packages debootstrap debian-archive-keyring >&2
		mirror=$(debian_mirror)
		script=/usr/share/debootstrap/scripts/$codename
		[ -e "$script" ] || script=/usr/share/debootstrap/scripts/sid
		say "making a private root of Debian $codename in $root"
		rm -rf "$root"
		debootstrap --variant=minbase "$codename" "$root" "$mirror" "$script" >"$roots/$codename.log" 2>&1 ||
			{ tail -20 "$roots/$codename.log" >&2; die "debootstrap failed, see $roots/$codename.log"; }
		{
			apt-config dump | grep -E '^Acquire::(http|https|ftp)::' || true
			# Signatures are checked all the same; a mirror may lag behind.
			echo 'Acquire::Check-Valid-Until "false";'
		} >"$root/etc/apt/apt.conf.d/01machine"
		touch "$root/.complete"
	fi
	echo "$root"
}

# run_in_private_root MAJOR WHAT [NAME...]: the same script, in a Debian that
# has the major.  Its mounts live in a mount namespace of their own and go with
# it; where mounting is not allowed it is tried without.
run_in_private_root() {
	local major=$1 codename root checkout
	shift
	codename=$(codename_of_major "$major") || exit 1
	if ! am_root; then
		has_command sudo || die "PostgreSQL $major needs a private root; please run as root: make $1 PG=$major"
		exec sudo env ${MAKINI_CACHE:+MAKINI_CACHE="$MAKINI_CACHE"} ${MAKINI_MIRROR:+MAKINI_MIRROR="$MAKINI_MIRROR"} \
			"$(checkout)/test/run" --pg "$major" "$@"
	fi
	root=$(private_root "$codename") || exit 1
	checkout=$(mktemp -d "$root/tmp/makini-checkout.XXXXXX")
	stage_files "$checkout/makini"
	cp -L /etc/resolv.conf "$root/etc/resolv.conf" 2>/dev/null || true
	cp -L /etc/hosts "$root/etc/hosts" 2>/dev/null || true
	say "PostgreSQL $major in $root"
	exec unshare --mount --propagation private bash -c '
		root=$1 checkout=$2 major=$3
		shift 3
		mount -t proc proc "$root/proc" 2>/dev/null
		mount --rbind /dev "$root/dev" 2>/dev/null || {
			mkdir -p "$root/dev/shm"
			mount -t tmpfs tmpfs "$root/dev/shm" 2>/dev/null
		}
		exec chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
			MAKINI_IN_ROOT="$checkout" ${CI:+CI=$CI} ${http_proxy:+http_proxy=$http_proxy} \
			bash "$checkout/makini/test/run" --pg "$major" "$@"
	' run "$root" "${checkout#"$root"}" "$major" "$@"
}

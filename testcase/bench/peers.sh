# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=bash disable=SC2154 # variables of who reads it
#
# criu and memcr beside the tracer and restart, read by bench.sh, bench_attach.sh and bench_ckpt.sh.
# Both save a sleeping process (bench_peer) with the same number of bytes, from outside, to files in
# memory. The whole command is timed, because its user waits for all of it. After the restore the
# process checks its bytes. Neither is needed: without them the bench says so, and leaves the
# columns out.

peers=()
dumps=
control=   # a folder of control files
started=() # what has to be ended if this is interrupted

# For the trap: ends what was started, and removes the folders.
clean_up()
{
	local pid

	for pid in "${started[@]}"; do
		kill "$pid" 2>/dev/null || true
		wait "$pid" 2>/dev/null || true
	done
	rm -rf "$work" "$control" "$dumps"
}

clean_up_at_exit()
{
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
}

find_peers()
{
	[[ $with_peers ]] || return 0
	if ! command -v criu >/dev/null; then
		say 'criu is not compared; to have it: apt-get install criu'
	elif ! criu check >"$work/criu.check" 2>&1; then
		say 'criu is not compared, for it does not work here:'
		sed 's/^/	/' "$work/criu.check" >&2
	else
		peers+=(criu)
	fi
	if command -v memcr >/dev/null && command -v memcr-client >/dev/null; then
		peers+=(memcr)
	else
		say 'memcr is not compared; to have it, build github.com/LibertyGlobal/memcr with make' \
			'and put memcr and memcr-client into the PATH'
	fi
	((${#peers[@]} == 0)) || dumps=$(mktemp -d -p /dev/shm tracer-bench.XXXXXX)
}

# From 1 MiB, because smaller sizes cost the same; large sizes once. The dump needs memory too.
measure_peers()
{
	local pass=$1 bytes=$2 peer

	if ((bytes < MiB || bytes > GiB || (bytes > 16 * MiB && pass > 1))); then
		return
	fi
	for peer in "${peers[@]}"; do
		start_peer "$bytes"
		"measure_$peer" "$work/$peer-$pass-$bytes.samples" "$bytes"
		check_peer "$peer"
	done
}

# In a session of its own and without files of ours, as criu wants it.
start_peer()
{
	local i

	rm -f "$work/peer.ready" "$work/peer.right"
	setsid "$bench/bench_peer" "$1" "$work/peer.ready" "$work/peer.right" \
		</dev/null >/dev/null 2>&1 &
	peer_pid=$!
	started=("$peer_pid")
	disown "$peer_pid" # the dump kills it, which is no news
	for ((i = 0; i < 600; i++)); do
		[[ ! -e $work/peer.ready ]] || return 0
		sleep 0.1
	done
	die 'bench_peer did not start'
}

check_peer()
{
	local i

	kill -USR1 "$peer_pid" || die "$1 has not brought its process back"
	for ((i = 0; i < 600; i++)); do
		[[ ! -e $work/peer.right ]] || break
		sleep 0.1
	done
	[[ -e $work/peer.right ]] || die "what $1 has restored is wrong"
	started=()
}

# timed LOG COMMAND...: sets took_ns
timed()
{
	local log=$1 start

	shift
	start=${EPOCHREALTIME/[.,]/}
	"$@" >"$log" 2>&1 || die "$* failed: $(tail -n 3 "$log")"
	took_ns=$(((${EPOCHREALTIME/[.,]/} - start) * 1000))
}

measure_criu()
{
	local samples=$1 bytes=$2 images=$dumps/criu

	mkdir "$images"
	timed "$work/criu.log" criu dump -t "$peer_pid" -D "$images" -o dump.log
	printf 'criu_dump,-,-,%d,0,%d\n' "$bytes" "$took_ns" >>"$samples"
	timed "$work/criu.log" criu restore -d -D "$images" -o restore.log
	printf 'criu_restore,-,-,%d,0,%d\n' "$bytes" "$took_ns" >>"$samples"
	rm -rf "$images"
}

# With its service, so that checkpoint and restore are apart.
measure_memcr()
{
	local samples=$1 bytes=$2 service i

	memcr -l "$dumps/memcr.sock" -d "$dumps" >"$work/memcr.log" 2>&1 &
	service=$!
	started+=("$service")
	for ((i = 0; i < 100; i++)); do
		[[ ! -S $dumps/memcr.sock ]] || break
		sleep 0.1
	done
	timed "$work/memcr.out" memcr-client -l "$dumps/memcr.sock" -p "$peer_pid" --checkpoint
	printf 'memcr_checkpoint,-,-,%d,0,%d\n' "$bytes" "$took_ns" >>"$samples"
	timed "$work/memcr.out" memcr-client -l "$dumps/memcr.sock" -p "$peer_pid" --restore
	printf 'memcr_restore,-,-,%d,0,%d\n' "$bytes" "$took_ns" >>"$samples"
	kill "$service"
	wait "$service" 2>/dev/null || true # ended by that signal
	rm -f "$dumps"/*
}

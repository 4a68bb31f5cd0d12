# SPDX-License-Identifier: BSD-2-Clause
# Threads at work during the copy, a tracer that stands still, one that has no memory, and a long
# random sequence of calls. After that, exactly what is mapped is tracked.

load common

@test 'threads that write: a snapshot is one instant' {
	page_options=(--pages-per-poll 64) # one by one they take a minute, for the client naps
	play threads instant
}

@test 'threads that map and unmap, that end, that fork, that have arenas of malloc' {
	page_options=(--pages-per-poll 64)
	play threads mapper ending forking arenas
}

# fuzz SEED [CASE]: in the end, the tracked ranges must be those that are mapped
fuzz()
{
	local engine case=${2:-steps}

	export FUZZ_MAPS=$dir/maps WORKLOAD_SEED=$1
	options=(--map-log "$dir/map-log")
	for engine in $ENGINES; do
		rm -f "$dir/maps"
		ENGINES=$engine play fuzz "$case"
		expect_text "$out" '^[0-9]* random numbers'
		run_limited "$WORKLOADS/fuzz" compare "$dir/map-log" "$dir/maps"
		expect_status 0
		expect_text "$out" ' 0 missing, 0 extra'
	done
}

@test 'five thousand random calls: the ranges are those of /proc/PID/maps' {
	fuzz 23
}

# mremap(2) has left the protection of pages that were not registered any more.
@test 'five thousand random calls: memory that is armed for the second time' {
	ENGINES=slab WAYS='scan faults' fuzz 300
}

@test 'five thousand random calls that also pin pages' {
	ENGINES=slab WAYS=scan fuzz 23 pinned-steps
}

@test 'five thousand other random calls: a range that fits only partly into the chunk store' {
	[ -z "${TRACER_VM:-}" ] || skip 'one sequence is enough for an emulated machine'
	ENGINES=chunk fuzz 1049957293
}

@test 'a tracer that is stopped again and again loses nothing' {
	for engine in $ENGINES; do
		rm -f "$csv"
		start_tracer -e "$engine" "$TESTCASE" -t "$LIMIT_SECONDS" --case scramble -n 17
		wait_until 'the first operations' says "$csv" ,restore,
		for _ in 1 2 3 4 5 6 7; do
			kill -STOP "$tracer_pid"
			sleep 0.1
			kill -CONT "$tracer_pid"
			sleep 0.05
		done
		kill -INT "$(column pid | head -n 1)"
		finish_tracer
		expect_status 0
		expect_each status ok
		expect_text "$out" 'every byte is right'
	done
}

# ---- no memory ----

# make_group BYTES: a memory cgroup with that limit, or skip
make_group()
{
	group=/sys/fs/cgroup/memory/tracer-test-$$
	limit=memory.limit_in_bytes
	if [ ! -e /sys/fs/cgroup/memory/cgroup.procs ]; then
		group=/sys/fs/cgroup/tracer-test-$$
		limit=memory.max
		echo +memory 2>/dev/null >/sys/fs/cgroup/cgroup.subtree_control || true
	fi
	mkdir "$group" 2>/dev/null || skip 'no memory cgroup can be made'
	if ! echo "$1" 2>/dev/null >"$group/$limit"; then
		rmdir "$group"
		skip 'there is no memory controller'
	fi
}

@test 'no memory for extents: the failure is told, the program is unharmed' {
	cp "$BUILD/e2e/steps" "$dir/$waited"
	make_group $((64 << 20))
	sh -c "echo \$\$ >$group/cgroup.procs; exec \"\$@\"" sh "$TRACER" -e slab \
		--control-dir "$control" -o "$csv" --wait "$waited" \
		>"$out" 2>"$err" </dev/null 3>&- &
	tracer_pid=$!
	started+=("$tracer_pid")
	wait_until 'the tracer' says "$err" 'waiting for a program named'
	TRACER_CONTROL_DIR=$control timeout "$LIMIT_SECONDS" "$dir/$waited" \
		bytes=1048576 save scramble restore verify unmap \
		bytes=134217728 save verify restore verify unmap \
		bytes=1048576 save scramble restore verify >"$dir/steps" 3>&-
	finish_tracer
	tracer_pid=
	wait_until 'the end of the helper that takes the hooks away' rmdir "$group" 2>/dev/null
	grep -v -e '^pid' -e '^buffer' "$dir/steps" >"$dir/said"
	diff "$dir/said" - <<-'END'
		save: 0
		restore: 0
		verify: ok
		save: -5
		verify: ok
		restore: 0
		verify: ok
		save: 0
		restore: 0
		verify: ok
	END
	expect_status 125
	expect_column status ok ok failed ok ok ok
	expect_text "$err" 'checkpoint 3 .*Cannot allocate memory.*; the snapshot before it is kept'
	expect_text "$err" 'restore 4: .*were not restored'
}

# trace_without_memory STEP...: the slab engine, where the machine seems to have little memory left
trace_without_memory()
{
	printf 'MemTotal: 500000 kB\nMemAvailable: 100000 kB\n' >"$dir/meminfo"
	# shellcheck disable=SC2016 # for that shell
	run_limited unshare --mount sh -c 'mount --bind "$1" /proc/meminfo; shift; exec "$@"' sh \
		"$dir/meminfo" "$TRACER" -e slab --control-dir "$control" -o "$csv" \
		"$BUILD/e2e/steps" "$@"
}

# The kernel would end processes to make room, so the tracer looks at the free memory first.
@test 'less memory than the snapshot needs: refused before any is taken' {
	trace_without_memory bytes=67108864 save verify unmap \
		bytes=1048576 save scramble restore verify
	expect_status 125
	expect_column status failed ok ok
	expect_text "$out" 'save: -5'
	expect_text "$out" 'verify: ok'
	expect_text "$err" 'checkpoint 1 .*Cannot allocate memory: a snapshot takes as much'
}

# Room for the snapshot is made while the program runs, for a few pages at a time here.
@test 'less memory than a snapshot needs that grows bit by bit: refused as well' {
	local steps=() i

	for i in 1 2 3 4; do
		steps+=(bytes=3145728 "touch=$dir/at-$i" "await=$dir/go-$i")
	done
	for i in 1 2 3 4; do
		until [ -e "$dir/at-$i" ]; do sleep 0.05; done
		sleep 0.5
		touch "$dir/go-$i"
	done 3>&- &
	started+=("$!")
	trace_without_memory "${steps[@]}" save verify
	expect_status 125
	expect_column status failed
	expect_text "$out" 'save: -5'
	expect_text "$err" 'checkpoint 1 .*Cannot allocate memory: a snapshot takes as much'
}

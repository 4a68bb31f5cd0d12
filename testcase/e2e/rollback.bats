# SPDX-License-Identifier: BSD-2-Clause
# Checkpoints and rollbacks from outside, on a program that knows nothing of them: its whole state
# is compared with that of the checkpoint.

load common

# play SCENE: of rollback.c
play()
{
	run_limited "$E2E/rollback" "$E2E/attached" "$1"
	expect_status 0
}

@test 'one thread that maps, unmaps and writes' {
	play small
}

@test 'the same without the list of faults' {
	play scan
}

@test 'one that also changes 22 MiB, whose page tables come and go' {
	play large
}

@test 'the same without the list of faults, by scans that pass over what is clean' {
	play scan-large
}

@test '31 threads that compute together, wait in system calls, handle a signal, come and go' {
	play threads
}

@test 'the same without write tracking' {
	play compare
}

@test 'calls in which threads wait do not end' {
	play calls
}

@test 'a rollback that fails, half-way or before, and a tracer that is killed' {
	play faults
}

@test 'nothing remains after the tracer' {
	play detach
}

@test '10,001 rollbacks: neither memory nor files grow' {
	play soak
}

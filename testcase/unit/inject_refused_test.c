/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of inject: several calls of a child, and children that it must not, or cannot, let make
 * any. A refused child runs on.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "injected_child.h"
#include "target/inject.h"
#include "target/reason.h"
#include "valgrind.h"

static void use_userfaultfd(void)
{
	(void)syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY);
	count_for_ever();
}

static void allow_little(void)
{
	struct sock_filter kill_or_allow[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_userfaultfd, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {4, kill_or_allow};

	prepare();
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	     prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
	shared->begun++;
	for (;;)
		shared->counts[0]++;
}

static void wait_in_vfork(void)
{
	prepare();
	shared->begun++;
	if (vfork() == 0) {                             /* NOLINT */
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* NOLINT */
		while (!shared->stop)
			(void)usleep(1000);
		_exit(0);
	}
	for (;;)
		shared->counts[0]++;
}

static void dispatch_calls(void)
{
	static volatile char selector; /* calls are allowed now */

	prepare();
	if (prctl(59 /* PR_SET_SYSCALL_USER_DISPATCH */, 1, 0, 0, &selector))
		shared->error = errno;
	shared->begun++;
	for (;;)
		shared->counts[0]++;
}

static void test_own(void)
{
	pid_t child = start(use_userfaultfd);

	tap__equal(inject__userfaultfd(child), -REASON_OWN_USERFAULT,
		   "a userfaultfd of its own: refused");
	tap__ok(runs(), "and it runs on");
	child__end(child);
}

/* Refused, if the kernel says that there is a filter; or the filter is suspended, or allows it. */
static void test_filtered(const char *name, void (*work)(void))
{
	pid_t child = start(work);
	int uffd = inject__userfaultfd(child);

	tap__ok(is_of_child(uffd) || uffd == -REASON_CALLS_FILTERED, "%s: %s", name,
		uffd < 0 ? "refused" : "it sees nothing");
	tap__ok(runs() && waitpid(child, NULL, WNOHANG) == 0, "and the process runs on");
	if (uffd >= 0)
		(void)close(uffd);
	child__end(child);
}

static void test_vfork(void)
{
	pid_t child = start(wait_in_vfork);

	child__wait_state(child, 'D');
	tap__equal(inject__userfaultfd(child), -REASON_NOT_STOPPED, "inside of vfork: refused");
	shared->stop = 1;
	tap__ok(runs(), "and it goes on when its child has ended");
	child__end(child);
}

static void test_traced(void)
{
	pid_t child = start(count_for_ever), tracer = fork();

	if (tracer == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		shared->other = ptrace(PTRACE_SEIZE, child, NULL, NULL) == 0 ? 23 : 1;
		for (;;)
			(void)pause();
	}
	for (unsigned int i = 0; i < CHILD_LOOKS && !shared->other; i++)
		(void)usleep(1000);
	tap__equal(inject__userfaultfd(child), -REASON_TRACED, "another process traces it");
	tap__ok(runs(), "and it runs on");
	child__end(tracer);
	child__end(child);
	tap__equal(inject__userfaultfd(child), -ESRCH, "it has ended");
}

static void test_calls(void)
{
	pid_t child = start(count_for_ever);
	struct inject *inject = NULL;
	int64_t result = 0, closed = 0;
	unsigned int wrong = 0;

	tap__equal(inject__open(child, &inject), 0, "opened for several calls");
	for (unsigned int i = 0; i < ROUNDS; i++)
		wrong += inject__call(inject, SYS_getpid, (const uint64_t[6]){0}, &result) ||
			 result != child;
	wrong += inject__call(inject, SYS_close, (const uint64_t[6]){UINT32_MAX}, &closed) ||
		 closed != -EBADF;
	wrong += inject__call(inject, SYS_mmap,
			      (const uint64_t[6]){0, PAGE_BYTES, PROT_READ,
						  MAP_PRIVATE | MAP_ANONYMOUS, UINT64_MAX, 0},
			      &result) ||
		 result <= 0;
	wrong += inject__call(inject, SYS_munmap, (const uint64_t[6]){(uint64_t)result, PAGE_BYTES},
			      &closed) ||
		 closed != 0;
	tap__equal(wrong, 0, "results, errors and six arguments");
	tap__ok(inject__close(inject) == 0 && runs(), "closed, it runs on");
	tap__equal(inject__close(NULL), 0, "nothing to close");
	inject = NULL;
	must(inject__open(child, &inject));
	must(kill(child, SIGKILL));
	child__wait_state(child, 'Z');
	wrong = inject__call(inject, SYS_getpid, (const uint64_t[6]){0}, &result) != -ESRCH;
	wrong += inject__close(inject) != -ESRCH;
	tap__equal(wrong, 0, "killed meanwhile");
	(void)waitpid(child, NULL, 0);
}

int main(void)
{
	enum { TESTS = 16 };

	tap__plan(TESTS);
	if (under_valgrind()) {
		tap__skip(TESTS, "valgrind runs the children, and makes calls of its own");
		return tap__done();
	}
	share();
	test_own();
	test_filtered("calls that are dispatched", dispatch_calls);
	test_filtered("a filter that would kill for it", allow_little);
	test_vfork();
	test_traced();
	test_calls();
	return tap__done();
}

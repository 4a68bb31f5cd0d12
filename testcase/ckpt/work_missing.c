/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Scenes about state in the kernel that no image holds, or that only newer kernels tell: restart
 * names what it cannot bring back.
 */
#include "work.h"

#include <asm/ldt.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <linux/membarrier.h>
#include <linux/rseq.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef RSEQ_CPU_ID_UNINITIALIZED
#define RSEQ_CPU_ID_UNINITIALIZED (-1)
#endif

/* The descriptor gets the number. */
static void put_at(int fd, int number)
{
	must(fd >= 0 && dup2(fd, number) == number && close(fd) == 0);
}

/* A file in the folder of a process that is gone when the image is taken. */
static void open_of(pid_t pid, const char *name, int number)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	put_at(open(path, O_RDONLY), number);
}

static void open_files_of_a_child(void)
{
	int gate[2];
	char byte;
	pid_t pid;

	must(pipe(gate) == 0);
	pid = fork();
	must(pid >= 0);
	if (pid == 0) {
		(void)close(gate[1]);
		_exit(read(gate[0], &byte, 1) == 0 ? 0 : BROKEN);
	}
	open_of(pid, "stat", 45);
	open_of(pid, "mountinfo", 46);
	must(close(gate[0]) == 0 && close(gate[1]) == 0 && waitpid(pid, NULL, 0) == pid);
}

/* More is in it than a page of /proc/self/fdinfo has room for: each copy of fd stays in it, as long
 * as fd is open. */
static void make_epoll(int fd, int number)
{
	struct epoll_event event = {.events = EPOLLIN};
	int copies[60];

	put_at(epoll_create1(0), number);
	for (size_t i = 0; i < 60; i++) {
		copies[i] = dup(fd);
		must(copies[i] >= 0 && epoll_ctl(number, EPOLL_CTL_ADD, copies[i], &event) == 0);
	}
	for (size_t i = 0; i < 60; i++)
		must(close(copies[i]) == 0);
}

/* Descriptors of all kinds: 40 to 48 cannot come back, 50 to 53 do. */
static void descriptors(void)
{
	int both[2];
	char byte;

	must(pipe(both) == 0 && close(both[1]) == 0);
	put_at(both[0], 40);
	must(pipe(both) == 0 && close(both[0]) == 0);
	put_at(both[1], 41);
	must(dup2(41, 42) == 42);
	put_at((int)syscall(SYS_pidfd_open, getpid(), 0), 43);
	put_at(socket(AF_UNIX, SOCK_STREAM, 0), 44);
	open_files_of_a_child();
	put_at(open("unlinked", O_CREAT | O_RDWR, 0600), 47);
	must(unlink("unlinked") == 0);
	put_at(inotify_init1(0), 48);
	put_at(eventfd(0, 0), 52);
	make_epoll(52, 53);
	put_at(open("/dev/zero", O_RDONLY), 50);
	put_at(open("/proc/self/ns/uts", O_RDONLY), 51);
	say("ready");
	wait_for_finish();
	for (int fd = 40; fd <= 48; fd++)
		check(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
	check(read(50, &byte, 1) == 1 && byte == 0);
	for (int fd = 51; fd <= 53; fd++)
		check(fcntl(fd, F_GETFD) == 0);
}

/* With something in it; empty, it comes back. */
static void packets(void)
{
	int both[2], empty[2];

	must(pipe2(both, O_DIRECT) == 0 && pipe2(empty, O_DIRECT) == 0);
	must(write(both[1], "one", 3) == 3 && write(both[1], "two", 3) == 3);
	put_at(both[0], 40);
	put_at(both[1], 41);
	say("ready");
	wait_for_finish();
	check(fcntl(40, F_GETFD) == -1 && fcntl(41, F_GETFD) == -1);
	check(fcntl(empty[1], F_GETFL) & O_DIRECT);
}

/* A descriptor is on its way. */
static void send_descriptor(int fd)
{
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = {.head = {.cmsg_len = CMSG_LEN(sizeof(int)),
			      .cmsg_level = SOL_SOCKET,
			      .cmsg_type = SCM_RIGHTS}};
	struct iovec part = {"x", 1};
	const struct msghdr message = {.msg_iov = &part,
				       .msg_iovlen = 1,
				       .msg_control = &control,
				       .msg_controllen = sizeof(control)};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	must(sendmsg(fd, &message, 0) == 1);
}

static void make_pair(int type, int number)
{
	int both[2];

	must(socketpair(AF_UNIX, type, 0, both) == 0);
	put_at(both[0], number);
	put_at(both[1], number + 1);
}

/* Pairs of sockets with a descriptor in them, and one that a child has, too. */
static void unpaired(void)
{
	const pid_t self = getpid();
	const int one = 1;
	pid_t child;

	make_pair(SOCK_STREAM, 40);
	send_descriptor(40);
	make_pair(SOCK_DGRAM, 42);
	must(setsockopt(42, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) == 0);
	send_descriptor(43);
	make_pair(SOCK_STREAM, 44);
	child = fork();
	must(child >= 0);
	if (child == 0) {
		must(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
		for (int fd = 40; fd <= 43; fd++)
			must(close(fd) == 0);
		while (getppid() == self)
			(void)pause();
		_exit(0);
	}
	say("ready");
	wait_for_finish();
	for (int fd = 40; fd <= 45; fd++)
		check(fcntl(fd, F_GETFD) == -1 && errno == EBADF);
}

/* More than a line has room for. */
static void pipes(void)
{
	int both[2];

	must(pipe(both) == 0);
	for (int i = 0; i < (int)work_number; i++)
		must(dup2(both[0], 40 + i) == 40 + i);
	must(close(both[0]) == 0 && close(both[1]) == 0);
	say("ready");
	wait_for_finish();
}

/* What is lost besides: a lock, a lease, a segment of System V, a context of io_setup(2). */
static void holdings(void)
{
	int locked = open("locked", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	int leased = open("leased", O_CREAT | O_RDONLY | O_CLOEXEC, 0600);
	int id = shmget(IPC_PRIVATE, PAGE, IPC_CREAT | 0600);
	int *segment = shmat(id, NULL, 0);
	aio_context_t asynchronous = 0;

	must(id >= 0 && segment != (void *)-1 && shmctl(id, IPC_RMID, NULL) == 0);
	(void)syscall(SYS_io_setup, 8, &asynchronous); /* not of every kernel */
	must(locked >= 0 && flock(locked, LOCK_EX) == 0);
	must(leased >= 0 && fcntl(leased, F_SETLEASE, F_RDLCK) == 0);
	*segment = 23;
	say("ready");
	wait_for_finish();
	check(*segment == 23);
}

/* ---- what is held in other ways ---- */

static int make_ready(void)
{
	int fd = eventfd(1, EFD_NONBLOCK);

	must(fd >= 0);
	return fd;
}

/* Two files that are watched under numbers which are closed now, or are files that nobody watches.
 * Another one is watched as it should be. */
static void watched(void)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = 1}, events[4];
	int epoll = epoll_create1(0), stays = make_ready();

	put_at(make_ready(), 50);
	must(epoll >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, 50, &event) == 0 && dup2(50, 51) == 51);
	put_at(make_ready(), 50);
	event.data.u64 = 2;
	put_at(make_ready(), 52);
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, 52, &event) == 0 && dup2(52, 53) == 53);
	must(close(52) == 0);
	event.data.u64 = 3;
	must(epoll_ctl(epoll, EPOLL_CTL_ADD, stays, &event) == 0);
	must(epoll_wait(epoll, events, 4, 0) == 3);
	say("ready");
	wait_for_finish();
	check(epoll_wait(epoll, events, 4, 0) == 1 && events[0].data.u64 == 3);
}

static void asynchronous(void)
{
	int ends[2];

	must(signal(SIGIO, SIG_IGN) != SIG_ERR && pipe(ends) == 0);
	must(fcntl(ends[0], F_SETOWN, getpid()) == 0 && fcntl(ends[0], F_SETFL, O_ASYNC) == 0);
	say("ready");
	wait_for_finish();
	check(!(fcntl(ends[0], F_GETFL) & O_ASYNC));
}

static void own_segments(void)
{
	struct user_desc segment = {.entry_number = 3, .limit = 0xfff, .useable = 1};

	if (syscall(SYS_modify_ldt, 1, &segment, sizeof(segment)) < 0)
		say("none");
	say("ready");
	wait_for_finish();
}

/* Root that gives up a capability, but not all of it. */
static void lowered(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (work_number == 1) {
		must(prctl(PR_CAPBSET_DROP, CAP_SYS_TIME, 0, 0, 0) == 0);
	} else if (work_number == 3) {
		must(setresuid(65534, 0, 0) == 0);
	} else {
		must(syscall(SYS_capget, &head, data) == 0);
		data[0].effective &= ~(1U << CAP_SYS_TIME);
		must(syscall(SYS_capset, &head, data) == 0);
	}
	say("ready");
	wait_for_finish();
}

static int read_oom(void)
{
	int value = -1;
	FILE *f = fopen("/proc/self/oom_score_adj", "re");

	must(f && fscanf(f, "%d", &value) == 1 && fclose(f) == 0); /* NOLINT: the kernel's text */
	return value;
}

/* Limits, oom_score_adj and membarrier(2), changed in ways that no rights are needed for. */
static void attributes(void)
{
	struct rlimit files, core, back;
	FILE *f = fopen("/proc/self/oom_score_adj", "we");
	int oom = read_oom() + 23;

	must(getrlimit(RLIMIT_NOFILE, &files) == 0 && getrlimit(RLIMIT_CORE, &core) == 0);
	files.rlim_cur = 230;
	core.rlim_cur = core.rlim_max = 0;
	must(setrlimit(RLIMIT_NOFILE, &files) == 0 && setrlimit(RLIMIT_CORE, &core) == 0);
	must(f && fprintf(f, "%d", oom) > 0 && fclose(f) == 0);
	must(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
	say("ready");
	wait_for_finish();
	must(getrlimit(RLIMIT_NOFILE, &back) == 0);
	check(back.rlim_cur == files.rlim_cur && back.rlim_max == files.rlim_max);
	must(getrlimit(RLIMIT_CORE, &back) == 0);
	check(back.rlim_cur == 0 && back.rlim_max == 0);
	check(read_oom() == oom);
	check(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
}

/* ---- rseq(2) of the program's own: GLIBC_TUNABLES=glibc.pthread.rseq=0 ---- */

enum { SIGNATURE = 0x23232323 };

static __thread struct rseq area __attribute__((aligned(32)));

/* The kernel writes it when the thread has moved. */
static bool is_written(void)
{
	for (int turn = 0; turn < 23; turn++) {
		area.cpu_id = (uint32_t)RSEQ_CPU_ID_UNINITIALIZED;
		(void)usleep(1000);
		if (area.cpu_id != (uint32_t)RSEQ_CPU_ID_UNINITIALIZED)
			return true;
	}
	return false;
}

static void register_area(void)
{
	must(syscall(SYS_rseq, &area, sizeof(area), 0, SIGNATURE) == 0);
}

static pthread_barrier_t are_registered;

static void check_area(void)
{
	check(is_written());
	check(syscall(SYS_rseq, &area, sizeof(area), RSEQ_FLAG_UNREGISTER, SIGNATURE) == 0);
}

static void *with_rseq(void *argument)
{
	register_area();
	(void)pthread_barrier_wait(&are_registered);
	wait_for_finish();
	check_area();
	return argument;
}

/* Two threads, each with its own. */
static void own_rseq(void)
{
	pthread_t with;

	must(pthread_barrier_init(&are_registered, NULL, 2) == 0);
	must(pthread_create(&with, NULL, with_rseq, NULL) == 0);
	register_area();
	(void)pthread_barrier_wait(&are_registered);
	say("ready");
	wait_for_finish();
	check_area();
	check(pthread_join(with, NULL) == 0);
}

/* What the scene before has, without a look at it afterwards. */
static void lost_rseq(void)
{
	register_area();
	say("ready");
	wait_for_finish();
}

/* Since glibc 2.35; sys/rseq.h. */
extern const ptrdiff_t __rseq_offset __attribute__((weak));  /* NOLINT: the library's name */
extern const unsigned int __rseq_size __attribute__((weak)); /* NOLINT */

/* As a thread that has just begun, before the C library registers its area. */
static void no_rseq(void)
{
	enum { BYTES = 32, GLIBC_SIGNATURE = 0x53053053 };
	char *of_thread;

	if (!&__rseq_offset || __rseq_size == 0)
		end(0, "ready\nnone\nok\n");
	of_thread = (char *)__builtin_thread_pointer() + __rseq_offset;
	must(syscall(SYS_rseq, of_thread, BYTES, RSEQ_FLAG_UNREGISTER, GLIBC_SIGNATURE) == 0);
	say("ready");
	wait_for_finish();
	check(syscall(SYS_rseq, of_thread, BYTES, 0, GLIBC_SIGNATURE) == 0);
}

/* ---- what a thread has that is not the process's ---- */

static pthread_barrier_t is_apart;

static void *apart(void *does)
{
	((void (*)(void))does)(); /* NOLINT: the pointer is of a function */
	(void)pthread_barrier_wait(&is_apart);
	wait_for_finish();
	return NULL;
}

static void play_with(void (*does)(void))
{
	pthread_t thread;

	must(pthread_barrier_init(&is_apart, NULL, 2) == 0);
	must(pthread_create(&thread, NULL, apart, (void *)does) == 0);
	(void)pthread_barrier_wait(&is_apart);
	say("ready");
	wait_for_finish();
	must(pthread_join(thread, NULL) == 0);
}

static void leave_folder(void)
{
	must(syscall(SYS_unshare, CLONE_FS) == 0);
}

static void leave_files(void)
{
	must(syscall(SYS_unshare, CLONE_FILES) == 0);
}

static void leave_user(void)
{
	must(setfsuid(65534) >= 0 && setfsuid((uid_t)-1) == 65534);
}

static void own_user(void)
{
	must(chmod(".", 0777) == 0);
	play_with(leave_user);
}

static void own_folder(void)
{
	play_with(leave_folder);
}

static void own_files(void)
{
	play_with(leave_files);
}

static void leave_host_name(void)
{
	must(syscall(SYS_unshare, CLONE_NEWUTS) == 0);
}

static void own_host_name(void)
{
	play_with(leave_host_name);
}

/* The child ends with its parent, for the pipe is closed then. */
static void make_child(void)
{
	int gate[2];
	char byte;

	must(pipe(gate) == 0);
	if (fork() == 0) {
		(void)close(gate[1]);
		_exit(read(gate[0], &byte, 1) == 0 ? 0 : BROKEN);
	}
}

static void child_of_thread(void)
{
	play_with(make_child);
}

static void signal_itself(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGUSR1);
	must(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	must(pthread_kill(pthread_self(), SIGUSR1) == 0);
}

static void pending_in_thread(void)
{
	play_with(signal_itself);
}

const struct work_scene work_missing[] = {
	{"own-user", own_user},
	{"own-host-name", own_host_name},
	{"own-folder", own_folder},
	{"own-files", own_files},
	{"child-of-thread", child_of_thread},
	{"pending-in-thread", pending_in_thread},
	{"descriptors", descriptors},
	{"packets", packets},
	{"unpaired", unpaired},
	{"pipes", pipes},
	{"holdings", holdings},
	{"watched", watched},
	{"asynchronous", asynchronous},
	{"own-segments", own_segments},
	{"lowered", lowered},
	{"attributes", attributes},
	{"rseq", own_rseq},
	{"lost-rseq", lost_rseq},
	{"no-rseq", no_rseq},
	{NULL, NULL},
};

/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See listed_pages.h.
 */
#include "rollback/listed_pages.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>

#include "base/page.h"
#include "base/raw_syscall.h"
#include "rollback/bytes.h"

enum {
	ANSWER_BYTES = 512,
	WAIT_SECONDS = 60, /* for an answer; the tracer may be busy with an operation */
};

#define ASK "fault-list\n"
#define END "fault-list end\n"

/* ---- asking ---- */

static long get_pid(void)
{
	return raw_syscall__call(SYS_getpid, 0, 0, 0, 0);
}

/* The path of the control socket of root's tracer: /run/tracer/PID.sock. */
static void put_path(char *at)
{
	static const char folder[] = "/run/tracer/", ending[] = ".sock";
	long pid = get_pid(), unit = 1;

	bytes__copy((uintptr_t)at, (uintptr_t)folder, sizeof(folder) - 1);
	at += sizeof(folder) - 1;
	while (pid / unit >= 10)
		unit *= 10;
	for (; unit > 0; unit /= 10)
		*at++ = (char)('0' + pid / unit % 10);
	bytes__copy((uintptr_t)at, (uintptr_t)ending, sizeof(ending));
}

/* Returns the socket or -errno. */
static int connect_tracer(void)
{
	const struct timeval wait = {.tv_sec = WAIT_SECONDS};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	long fd = raw_syscall__call(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, 0), err;

	if (fd < 0)
		return (int)fd;
	put_path(address.sun_path);
	(void)raw_syscall__call6(SYS_setsockopt, (uint64_t)fd, SOL_SOCKET, SO_RCVTIMEO,
				 (uintptr_t)&wait, sizeof(wait), 0);
	err = raw_syscall__call(SYS_connect, (uint64_t)fd, (uintptr_t)&address, sizeof(address), 0);
	if (err == 0)
		return (int)fd;
	(void)raw_syscall__call(SYS_close, (uint64_t)fd, 0, 0, 0);
	return (int)err;
}

/* Sends a request, and waits for the answer. Returns the descriptor that comes with it, or -errno;
 * -ENODATA for an answer without one. */
static int ask(const char *request, size_t length)
{
	char answer[ANSWER_BYTES];
	struct iovec text = {answer, sizeof(answer)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct msghdr message = {.msg_iov = &text,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	const int fd = connect_tracer();
	long result;

	if (fd < 0)
		return fd;
	result = raw_syscall__call6(SYS_sendto, (uint64_t)fd, (uintptr_t)request, length,
				    MSG_NOSIGNAL, 0, 0);
	/* If a tracer stops this process meanwhile, a wait with a timeout ends with EINTR. */
	while (result > 0 || result == -EINTR) {
		result = raw_syscall__call(SYS_recvmsg, (uint64_t)fd, (uintptr_t)&message,
					   MSG_CMSG_CLOEXEC, 0);
		if (result > 0)
			break;
	}
	(void)raw_syscall__call(SYS_close, (uint64_t)fd, 0, 0, 0);
	if (result <= 0)
		return result < 0 ? (int)result : -ENODATA;
	if (message.msg_controllen < CMSG_LEN(sizeof(int)) ||
	    control.header.cmsg_type != SCM_RIGHTS)
		return -ENODATA;
	return *(const int *)(const void *)CMSG_DATA(&control.header);
}

/* ---- trying ---- */

static const struct shared_list *map_list(int fd, uint64_t room)
{
	const long mapped = raw_syscall__call6(SYS_mmap, room, sizeof(struct shared_list),
					       PROT_READ, MAP_SHARED | MAP_FIXED, (uint64_t)fd, 0);

	return mapped < 0 ? NULL : bytes__at((uint64_t)mapped);
}

static uint64_t load(const __u64 *number)
{
	return __atomic_load_n(number, __ATOMIC_ACQUIRE);
}

/* Is a page listed in an entry from number since on? */
static bool has(const struct shared_list *list, uint64_t since, uint64_t page)
{
	for (uint64_t number = since; number != load(&list->writes); number++)
		if (load(&list->entries[number % SHARED_LIST_PAGES]) ==
		    (page | SHARED_LIST_LAP(number)))
			return true;
	return false;
}

/* The process writes the first page. The kernel writes the second one for it, and then the first
 * one without a fault. Then the first one is discarded. */
static bool lists_all(const struct shared_list *list, volatile unsigned char *pages)
{
	const uint64_t first = (uintptr_t)pages, second = first + PAGE_BYTES;
	const struct iovec from = {bytes__at(second), 1}, to = {bytes__at(first), 1};
	uint64_t writes = load(&list->writes), calls;

	*pages = 1;
	if (!has(list, writes, first))
		return false;
	writes = load(&list->writes);
	if (raw_syscall__call(SYS_uname, second, 0, 0, 0) < 0 || !has(list, writes, second))
		return false;
	calls = load(&list->calls);
	if (raw_syscall__call6(SYS_process_vm_writev, (uint64_t)get_pid(), (uintptr_t)&to, 1,
			       (uintptr_t)&from, 1, 0) != 1 ||
	    load(&list->calls) == calls)
		return false;
	calls = load(&list->calls);
	return raw_syscall__call(SYS_madvise, first, PAGE_BYTES, MADV_DONTNEED, 0) == 0 &&
	       load(&list->calls) != calls;
}

static bool works(const struct shared_list *list)
{
	const long mapped = raw_syscall__call6(SYS_mmap, 0, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
					       MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0);
	bool result;

	if (mapped < 0)
		return false;
	result = lists_all(list, bytes__at((uint64_t)mapped));
	(void)raw_syscall__call(SYS_munmap, (uint64_t)mapped, 2 * PAGE_BYTES, 0, 0);
	return result;
}

int listed_pages__open(struct listed_pages *listed, uint64_t room)
{
	const int fd = ask(ASK, sizeof(ASK) - 1);
	const struct shared_list *list;
	uint64_t ends;

	if (fd < 0)
		return fd;
	list = map_list(fd, room);
	(void)raw_syscall__call(SYS_close, (uint64_t)fd, 0, 0, 0);
	ends = list ? load(&list->ends) : 0;
	if (!list || !works(list)) {
		(void)ask(END, sizeof(END) - 1);
		return -EOPNOTSUPP;
	}
	*listed = (struct listed_pages){.list = list, .ends = ends};
	return 0;
}

void listed_pages__close(struct listed_pages *listed)
{
	if (listed->list && !listed_pages__is_over(listed))
		(void)ask(END, sizeof(END) - 1);
	listed->list = NULL;
}

/* ---- reading ---- */

bool listed_pages__is_over(const struct listed_pages *listed)
{
	return load(&listed->list->ends) != listed->ends;
}

bool listed_pages__look(struct listed_pages *l)
{
	const uint64_t calls = load(&l->list->calls);

	l->end = load(&l->list->writes);
	l->end_signs = load(&l->list->signs);
	return calls == l->calls && l->end_signs == l->signs &&
	       l->end - l->writes <= SHARED_LIST_PAGES && !listed_pages__is_over(l);
}

/* Moves a value down to its place in a heap of count values, the largest first. */
static void sift(uint64_t *values, size_t at, size_t count)
{
	const uint64_t value = values[at];

	for (size_t child; (child = 2 * at + 1) < count; at = child) {
		if (child + 1 < count && values[child + 1] > values[child])
			child++;
		if (values[child] <= value)
			break;
		values[at] = values[child];
	}
	values[at] = value;
}

static void sort(uint64_t *values, size_t count)
{
	for (size_t i = count / 2; i-- > 0;)
		sift(values, i, count);
	for (size_t left = count; left > 1; left--) {
		const uint64_t largest = values[0];

		values[0] = values[left - 1];
		values[left - 1] = largest;
		sift(values, 0, left - 1);
	}
}

int listed_pages__read(const struct listed_pages *l, uint64_t *pages, size_t *ret_count)
{
	const size_t count = (size_t)(l->end - l->writes);
	size_t left = 0;

	for (size_t i = 0; i < count; i++) {
		const uint64_t number = l->writes + i;
		const uint64_t entry = load(&l->list->entries[number % SHARED_LIST_PAGES]);
		const uint64_t page = page__start(entry);

		if (entry - page != SHARED_LIST_LAP(number))
			return -EOVERFLOW;
		pages[i] = page | (number < l->unsure);
	}
	sort(pages, count);
	for (size_t i = 0; i < count; i++)
		if (left == 0 || page__start(pages[left - 1]) != page__start(pages[i]))
			pages[left++] = pages[i];
	*ret_count = left;
	return 0;
}

void listed_pages__settle(struct listed_pages *l)
{
	if (!l->list)
		return;
	l->writes = l->end;
	l->signs = l->end_signs;
	l->unsure = load(&l->list->writes);
	l->calls = load(&l->list->calls);
}

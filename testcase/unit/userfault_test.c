/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of userfault on this process: one of three areas that lie side by side is registered.
 */
#include <errno.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "target/reason.h"
#include "target/userfault.h"
#include "tap.h"

#define AREA (23 * 4096UL)

static uint64_t base; /* of the areas; the second one is registered */

/* A userfaultfd with the second area, or -1 where there can be none. */
static int register_area(void)
{
	struct uffdio_register area = {.range = {.start = base + AREA, .len = AREA},
				       .mode = UFFDIO_REGISTER_MODE_MISSING};
	struct uffdio_api api = {.api = UFFD_API};
	int fd = (int)syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY);

	if (fd < 0)
		return -1;
	must(ioctl(fd, UFFDIO_API, &api) || ioctl(fd, UFFDIO_REGISTER, &area));
	return fd;
}

/* What is said of [base + start, base + end). */
static int check(uint64_t start, uint64_t end)
{
	struct interval range = {base + start, base + end};
	const struct intervals ranges = {.items = &range, .count = 1};

	return userfault__check(getpid(), &ranges);
}

int main(void)
{
	void *areas =
		mmap(NULL, 3 * AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd;

	must(areas == MAP_FAILED);
	base = (uintptr_t)areas;
	tap__plan(7);
	tap__ok(userfault__is_open(getpid()) == 0 && check(0, 3 * AREA) == 0, "there is none");
	fd = register_area();
	if (fd < 0) {
		tap__skip(6, "no userfaultfd: %s", strerror(errno));
		return tap__done();
	}
	tap__equal(userfault__is_open(getpid()), 1, "one is open");
	tap__equal(check(AREA, 2 * AREA), -REASON_USERFAULT, "the registered area");
	tap__equal(check(2 * AREA - 1, 3 * AREA), -REASON_USERFAULT, "its last byte");
	tap__equal(check(0, AREA), 0, "the area below it");
	tap__equal(check(2 * AREA, 3 * AREA), 0, "the area above it");
	(void)close(fd);
	tap__ok(userfault__is_open(getpid()) == 0 && check(AREA, 2 * AREA) == 0, "it is closed");
	return tap__done();
}

/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See check.h. Each ability is tried, never told from the version of the kernel. A line says what
 * it is for or, after "no", what is done without it and what helps.
 */
#include "check.h"

#include <argp.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "ask/socket_file.h"
#include "base/help.h"
#include "kernel/bcc.h"
#include "kernel/kernel_check.h"
#include "pages/write_tracking.h"

#define EXIT_TRACER  125
#define EXIT_USAGE   2
#define LOCKDOWN     "/sys/kernel/security/lockdown"
#define PTRACE_SCOPE "/proc/sys/kernel/yama/ptrace_scope"

/* Prints a line; what: what the ability is for; otherwise: what to know without it. */
static bool tell(const char *name, bool is_there, const char *what, const char *otherwise)
{
	(void)printf("%-18s %-3s  %s\n", name, is_there ? "yes" : "no",
		     is_there ? what : otherwise);
	return is_there;
}

static void tell_unknown(const char *name, const char *why)
{
	(void)printf("%-18s ?    %s\n", name, why);
}

/* The first line of a small file; "" if it cannot be read. */
static void read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t bytes = fd < 0 ? -1 : read(fd, line, size - 1);

	if (fd >= 0)
		close(fd);
	line[bytes > 0 ? bytes : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
}

static bool has_tracefs(void)
{
	struct statfs filesystem;

	return !statfs(TRACEFS, &filesystem) && filesystem.f_type == TRACEFS_MAGIC;
}

/* Tracepoints are found in tracefs, where only root may look. Returns false if one is missing that
 * tracer PROGRAM needs. */
static bool check_tracepoints(bool is_root)
{
	const char *why =
		is_root ? "not known before tracefs is mounted" : "not known without root";
	bool has_calls;

	tell("tracefs", has_tracefs(), TRACEFS, "not mounted; tracer PROGRAM mounts it");
	if (!is_root || !has_tracefs()) {
		tell_unknown("call tracepoints", why);
		tell_unknown("fault tracepoints", why);
		return true;
	}
	has_calls = tell("call tracepoints",
			 !access(TRACEFS "/events/syscalls/sys_enter_mmap/id", F_OK),
			 "tracer PROGRAM follows the mappings with them",
			 "a kernel with CONFIG_FTRACE_SYSCALLS is needed for tracer PROGRAM");
	tell("fault tracepoints", !access(TRACEFS "/events/exceptions/page_fault_user/id", F_OK),
	     "writes can be listed as they happen", "this kernel has none");
	return has_calls;
}

/* All that tracer PROGRAM cannot do without. */
static bool check_bpf(bool is_root)
{
	struct kernel_facts facts = {0};
	char lockdown[64], text[192];
	bool has_all = is_root;
	int err;

	has_all &= tell("type information", !access(KERNEL_BTF, R_OK), KERNEL_BTF,
			"a kernel with CONFIG_DEBUG_INFO_BTF is needed for tracer PROGRAM");
	has_all &= check_tracepoints(is_root);
	err = kernel_check__load(false);
	(void)snprintf(text, sizeof(text), "bpf(2): %s%s", strerror(-err),
		       is_root ? "; needed for tracer PROGRAM" : "; try as root");
	has_all &= tell("BPF", !err, "programs can be loaded", text);
	read_line(LOCKDOWN, lockdown, sizeof(lockdown));
	(void)snprintf(text, sizeof(text), "restores go through process_vm_writev (lockdown: %s)",
		       *lockdown ? lockdown : LOCKDOWN " cannot be read");
	if (err)
		tell_unknown("BPF writes", "not known without BPF");
	else
		tell("BPF writes", !kernel_check__load(true), "restores are written by BPF", text);
	kernel_check__types(&facts);
	if (err)
		tell_unknown("map iterators", "not known without BPF");
	else
		tell("map iterators", facts.iterates_maps, "saved chunks are read as a stream",
		     "saved chunks are read by bpf(2)");
	return has_all;
}

/* How tracer -p finds written pages. */
static const char *check_tracking(void)
{
	static struct pagemap pagemap;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	bool protects = false, soft = false, scans = false;

	if (fd >= 0) {
		pagemap__init(&pagemap, fd);
		scans = pagemap.can_scan;
		protects = write_tracking__works(WRITE_TRACKING_PROTECT, &pagemap);
		soft = write_tracking__works(WRITE_TRACKING_SOFT_DIRTY, &pagemap);
		close(fd);
	}
	tell("PAGEMAP_SCAN", scans, "unused pages are skipped",
	     "Linux 6.7 has it; each page of each mapping is looked at");
	tell("WP_ASYNC", protects, "written pages are found by userfaultfd",
	     "Linux 6.7 has it (CONFIG_PTE_MARKER_UFFD_WP)");
	tell("soft-dirty", soft, "written pages are found by /proc/PID/clear_refs",
	     "this kernel has no CONFIG_MEM_SOFT_DIRTY");
	return protects ? "userfaultfd" : soft ? "soft-dirty bits" : "comparing all of it";
}

/* May other processes be traced? */
static bool check_ptrace(bool is_root)
{
	char scope[16], text[160];
	int level;

	read_line(PTRACE_SCOPE, scope, sizeof(scope));
	level = *scope ? atoi(scope) : 0; /* NOLINT(cert-err34-c): the kernel's own number */
	(void)snprintf(text, sizeof(text), "%s is %s; %s", PTRACE_SCOPE, scope,
		       level > 2 ? "nobody may until the next boot"
				 : "only root may, or a parent; 0 allows processes of this user");
	return tell("ptrace", is_root ? level <= 2 : level < 1,
		    is_root ? "all processes" : "processes of this user", text);
}

static bool check_pidfd(void)
{
	int pidfd = pidfd_open(getpid(), 0);
	int fd = pidfd < 0 ? -1 : (int)syscall(SYS_pidfd_getfd, pidfd, pidfd, 0);
	bool works = fd >= 0;

	if (fd >= 0)
		close(fd);
	if (pidfd >= 0)
		close(pidfd);
	return tell("pidfd", works, "a process is never taken for another",
		    "Linux 5.6 has it; a seccomp filter may forbid it");
}

static bool check_bcc(void)
{
	void *library = dlopen(BCC_LIBRARY, RTLD_LAZY | RTLD_LOCAL);

	if (library)
		(void)dlclose(library);
	return tell("BCC", library, BCC_LIBRARY " compiles the page engine",
		    BCC_LIBRARY " is missing: install libbpfcc for --engine page");
}

/* Where tracer ctl finds a tracer. What killed tracers have left there is removed. */
static void check_socket(void)
{
	char folder[sizeof(((struct sockaddr_un *)NULL)->sun_path)], text[192], removed[64] = "";
	const bool has_folder = !socket_file__default_folder(folder, sizeof(folder));
	const unsigned int count = has_folder ? socket_file__sweep(folder) : 0;

	if (count)
		(void)snprintf(removed, sizeof(removed), " (removed %u of killed tracers)", count);
	(void)snprintf(text, sizeof(text), "%s/PID.sock%s", has_folder ? folder : "", removed);
	tell("control socket", has_folder, text,
	     "XDG_RUNTIME_DIR is not set: tracer -p needs --control-socket PATH");
}

static int check_all(void)
{
	bool is_root = !kernel_check__privileges(), runs, attaches;
	struct utsname name;
	const char *tracking;
	char text[128];

	if (uname(&name))
		return EXIT_TRACER;
	(void)printf("%-18s %s %s\n", "kernel", name.sysname, name.release);
	tell("root", is_root, "with CAP_SYS_ADMIN and CAP_SYS_PTRACE",
	     "tracer PROGRAM needs it; tracer -p works for processes of this user");
	runs = check_bpf(is_root);
	tracking = check_tracking();
	attaches = check_ptrace(is_root);
	attaches &= check_pidfd();
	check_socket();
	check_bcc();
	(void)snprintf(text, sizeof(text), "it finds written memory by %s", tracking);
	tell("tracer PROGRAM", runs, "a program can ask for its own checkpoints",
	     "see the lines above");
	tell("tracer -p PID", attaches, text, "see the lines above");
	return fflush(stdout) || ferror(stdout) ? EXIT_TRACER : 0;
}

static error_t read_option(int key, char *text, struct argp_state *state)
{
	if (key != ARGP_KEY_ARG)
		return ARGP_ERR_UNKNOWN;
	argp_error(state, "unknown argument '%s'; there are none", text);
	return EINVAL; /* not reached */
}

int check__main(int argc, char **argv)
{
	static const struct argp argp = {
		.parser = read_option,
		.children = help__options,
		.doc = "Tell what this machine can do, one line each, and why not.",
	};

	argp_err_exit_status = EXIT_USAGE;
	argp_parse(&argp, argc, argv, ARGP_NO_HELP, NULL, NULL);
	return check_all();
}

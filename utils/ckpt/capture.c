/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Describing the calling process, see capture.h: what the kernel says in /proc and in answer to
 * system calls. No malloc, no stdio, no locale: numbers are read and written by hand.
 * Source: proc(5); fs/proc/array.c for the fields of stat.
 */
#include "ckpt/capture.h"

#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/prctl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "ckpt/thread.h"

enum {
	SMALL_BYTES = 4096,
	STRINGS_EXTRA = 1 << 16,  /* for everything but mappings and files */
	KEPT_ROOM = 2 * PATH_MAX, /* of it, for capture__keep */
};

/* What is being filled in. */
struct capture {
	struct image *image;
	struct workspace *workspace;
	char *strings;
	size_t strings_room;
};

/* ---- text ---- */

ssize_t capture__read(const char *path, char *buffer, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t n = 0;

	if (fd < 0)
		return -errno;
	while (length < bytes) {
		n = read(fd, buffer + length, bytes - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		length += (size_t)n;
	}
	if (n < 0)
		n = -errno;
	else if (length == bytes)
		n = -EFBIG;
	(void)close(fd);
	if (n < 0)
		return n;
	buffer[length] = '\0';
	return (ssize_t)length;
}

/* Moves *p over a number; 0 if there is none. */
static uint64_t take_number(const char **p, unsigned int base)
{
	uint64_t value = 0;

	for (;; ++*p) {
		char c = **p;

		if (c >= '0' && c <= '9')
			value = value * base + (uint64_t)(c - '0');
		else if (base == 16 && c >= 'a' && c <= 'f')
			value = value * base + (uint64_t)(c - 'a') + 10;
		else
			return value;
	}
}

/* The number after a word such as "flags:", or 0. */
static uint64_t find_number(const char *text, const char *word, unsigned int base)
{
	const char *p = strstr(text, word);

	if (!p)
		return 0;
	p += strlen(word);
	while (*p == ' ' || *p == '\t')
		p++;
	return take_number(&p, base);
}

/* Writes "PREFIX NUMBER SUFFIX" without the blanks. */
static void make_path(char *path, const char *prefix, uint64_t number, const char *suffix)
{
	char digits[24];
	size_t i = sizeof(digits);

	do {
		digits[--i] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	memcpy(path, prefix, strlen(prefix));
	path += strlen(prefix);
	memcpy(path, digits + i, sizeof(digits) - i);
	path += sizeof(digits) - i;
	memcpy(path, suffix, strlen(suffix) + 1);
}

/* Keeps a string; 0, which is the empty string, if there is no room. */
static uint32_t keep(struct capture *c, const char *text, size_t length)
{
	struct image *image = c->image;
	size_t at = image->string_bytes;

	if (length == 0 || at + length + 1 + KEPT_ROOM > c->strings_room)
		return 0;
	memcpy(c->strings + at, text, length);
	c->strings[at + length] = '\0';
	image->string_bytes += length + 1;
	return (uint32_t)at;
}

uint32_t capture__keep(struct image *image, const char *text)
{
	size_t at = image->string_bytes, bytes = strlen(text) + 1;

	/* The strings are ours, in the workspace. */
	memcpy((char *)image->strings + at, text, bytes);
	image->string_bytes += bytes;
	return (uint32_t)at;
}

/* ---- threads ---- */

ssize_t capture__threads(pid_t *tids, size_t max)
{
	int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct dirent64) char entries[1024];
	size_t count = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = syscall(SYS_getdents64, fd, entries, sizeof(entries))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const void *)(entries + at);
			const char *name = entry->d_name;

			at += entry->d_reclen;
			if (*name < '0' || *name > '9')
				continue;
			if (count < max)
				tids[count] = (pid_t)take_number(&name, 10);
			count++;
		}
	}
	if (n < 0)
		n = -errno;
	(void)close(fd);
	return n < 0 ? n : (ssize_t)count;
}

void capture__thread(struct visitor *visitor)
{
	struct image_thread *t = &visitor->thread;
	size_t length = 0;
	void *head = NULL;
	stack_t stack = {0};

	memset(t, 0, sizeof(*t));
	t->tid = (int32_t)syscall(SYS_gettid);
	(void)syscall(SYS_arch_prctl, THREAD_GET_FS, &t->fs_base);
	(void)syscall(SYS_arch_prctl, THREAD_GET_GS, &t->gs_base);
	memcpy(&t->signal_mask, &visitor->interrupted->uc_sigmask, sizeof(t->signal_mask));
	if (syscall(SYS_sigaltstack, NULL, &stack) == 0) {
		t->altstack = (uintptr_t)stack.ss_sp;
		t->altstack_bytes = stack.ss_size;
		t->altstack_flags = (uint32_t)stack.ss_flags & ~(uint32_t)SS_ONSTACK;
	}
	if (syscall(SYS_get_robust_list, 0, &head, &length) == 0) {
		t->robust_list = (uintptr_t)head;
		t->robust_bytes = length;
	}
	thread__find_tid(t);
	thread__find_rseq(t);
	(void)prctl(PR_GET_NAME, t->name);
}

static void fill_registers(struct user_regs_struct *user, const struct visitor *visitor)
{
	const greg_t *g = visitor->interrupted->uc_mcontext.gregs;
	uint64_t segments = (uint64_t)g[REG_CSGSFS];

	*user = (struct user_regs_struct){
		.r15 = (uint64_t)g[REG_R15],
		.r14 = (uint64_t)g[REG_R14],
		.r13 = (uint64_t)g[REG_R13],
		.r12 = (uint64_t)g[REG_R12],
		.rbp = (uint64_t)g[REG_RBP],
		.rbx = (uint64_t)g[REG_RBX],
		.r11 = (uint64_t)g[REG_R11],
		.r10 = (uint64_t)g[REG_R10],
		.r9 = (uint64_t)g[REG_R9],
		.r8 = (uint64_t)g[REG_R8],
		.rax = (uint64_t)g[REG_RAX],
		.rcx = (uint64_t)g[REG_RCX],
		.rdx = (uint64_t)g[REG_RDX],
		.rsi = (uint64_t)g[REG_RSI],
		.rdi = (uint64_t)g[REG_RDI],
		.orig_rax = UINT64_MAX,
		.rip = (uint64_t)g[REG_RIP],
		.cs = segments & 0xffff,
		.eflags = (uint64_t)g[REG_EFL],
		.rsp = (uint64_t)g[REG_RSP],
		.ss = segments >> 48,
		.fs_base = visitor->thread.fs_base,
		.gs_base = visitor->thread.gs_base,
	};
}

/*
 * The kernel's signal frame has the extended state in the form of XSAVE. Bytes 464 to 511 of it are
 * for software: in a signal frame they say how long it is, in a core file they begin with XCR0.
 * Source: struct _fpx_sw_bytes in asm/sigcontext.h; fpu/regset.c.
 */
static int fill_xstate(struct capture *c, const struct visitor *visitor,
		       struct image_registers *registers)
{
	enum { LEGACY = 512, SOFTWARE = 464, MAGIC = 0x46505853 };
	const unsigned char *frame = (const void *)visitor->interrupted->uc_mcontext.fpregs;
	uint32_t magic, bytes;
	uint64_t xcr0 = thread__xcr0();
	unsigned char *copy;

	if (!frame)
		return 0;
	memcpy(&magic, frame + SOFTWARE, sizeof(magic));
	memcpy(&bytes, frame + SOFTWARE + 16, sizeof(bytes));
	if (magic != MAGIC || bytes <= LEGACY || bytes > IMAGE_XSTATE_MAX)
		return 0;
	copy = workspace__take(c->workspace, bytes);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, frame, bytes);
	memset(copy + SOFTWARE, 0, LEGACY - SOFTWARE);
	memcpy(copy + SOFTWARE, &xcr0, sizeof(xcr0));
	registers->xstate = copy;
	registers->xstate_bytes = bytes;
	return 0;
}

/* Where getcontext has left the thread. */
static void fill_resume(struct image_thread *thread, const ucontext_t *resume)
{
	const greg_t *g = resume->uc_mcontext.gregs;

	thread->rip = (uint64_t)g[REG_RIP];
	thread->rsp = (uint64_t)g[REG_RSP];
	thread->rbp = (uint64_t)g[REG_RBP];
	thread->rbx = (uint64_t)g[REG_RBX];
	thread->r12 = (uint64_t)g[REG_R12];
	thread->r13 = (uint64_t)g[REG_R13];
	thread->r14 = (uint64_t)g[REG_R14];
	thread->r15 = (uint64_t)g[REG_R15];
	thread->mxcsr = resume->uc_mcontext.fpregs->mxcsr;
	thread->fpu_control = resume->uc_mcontext.fpregs->cwd;
}

static int capture_threads(struct capture *c, struct visitor *visitors)
{
	struct image *image = c->image;
	size_t count = 0;
	int err = 0;

	for (struct visitor *v = visitors; v; v = v->next)
		count++;
	image->threads = workspace__take(c->workspace, count * sizeof(*image->threads));
	image->registers = workspace__take(c->workspace, count * sizeof(*image->registers));
	if (!image->threads || !image->registers)
		return -ENOMEM;
	for (struct visitor *v = visitors; v && !err; v = v->next) {
		size_t i = image->thread_count++;

		fill_resume(&v->thread, &v->resume);
		image->threads[i] = v->thread;
		fill_registers(&image->registers[i].user, v);
		err = fill_xstate(c, v, &image->registers[i]);
	}
	return err;
}

/* ---- mappings ---- */

static uint32_t kind_of(const char *path, const struct image_mapping *m)
{
	if (strcmp(path, "[stack]") == 0)
		return IMAGE_STACK;
	if (strcmp(path, "[heap]") == 0)
		return IMAGE_HEAP;
	if (strcmp(path, "[vdso]") == 0)
		return IMAGE_VDSO;
	if (strncmp(path, "[vvar", 5) == 0)
		return IMAGE_VVAR;
	if (strcmp(path, "[vsyscall]") == 0)
		return IMAGE_VSYSCALL;
	return m->inode && path[0] == '/' ? IMAGE_FILE : 0;
}

/* The mappings of one file follow each other: they share the string of the one before. */
static uint32_t keep_again(struct capture *c, uint32_t before, const char *text, size_t length)
{
	if (strlen(c->strings + before) == length && memcmp(c->strings + before, text, length) == 0)
		return before;
	return keep(c, text, length);
}

/* One line: "START-END rwxp OFFSET MAJOR:MINOR INODE      PATH". Returns the next one. */
static const char *take_mapping(struct capture *c, const char *line, uint32_t before,
				struct image_mapping *m)
{
	static const char deleted[] = " (deleted)";
	const char *p = line, *end;
	size_t length;

	m->start = take_number(&p, 16);
	p++;
	m->end = take_number(&p, 16);
	m->flags = (p[1] == 'r' ? IMAGE_READ : 0) | (p[2] == 'w' ? IMAGE_WRITE : 0) |
		   (p[3] == 'x' ? IMAGE_EXEC : 0) | (p[4] == 's' ? IMAGE_SHARED : 0);
	p += 6;
	m->offset = take_number(&p, 16);
	p++;
	m->dev_major = (uint32_t)take_number(&p, 16);
	p++;
	m->dev_minor = (uint32_t)take_number(&p, 16);
	p++;
	m->inode = take_number(&p, 10);
	while (*p == ' ')
		p++;
	end = strchr(p, '\n');
	length = end ? (size_t)(end - p) : strlen(p);
	if (length > sizeof(deleted) - 1 &&
	    memcmp(p + length - (sizeof(deleted) - 1), deleted, sizeof(deleted) - 1) == 0) {
		length -= sizeof(deleted) - 1;
		m->flags |= IMAGE_DELETED;
	}
	m->path = keep_again(c, before, p, length);
	m->flags |= kind_of(c->strings + m->path, m);
	return end ? end + 1 : p + length;
}

static int overlaps(const struct image_mapping *m, const struct image_run *run)
{
	return m->start < run->end && run->start < m->end;
}

/* A mapping that is ours in part is cut in up to three: neighbours of the same kind are one line of
 * the maps. */
static size_t mark_own(struct image_mapping *items, size_t i, const struct image_run *run)
{
	struct image_mapping whole = items[i];
	size_t count = 0;

	if (whole.start < run->start) {
		items[i + count] = whole;
		items[i + count++].end = run->start;
	}
	items[i + count] = whole;
	items[i + count].flags |= IMAGE_SCRATCH;
	if (items[i + count].start < run->start)
		items[i + count].start = run->start;
	if (items[i + count].end > run->end)
		items[i + count].end = run->end;
	count++;
	if (whole.end > run->end) {
		items[i + count] = whole;
		items[i + count++].start = run->end;
	}
	return count;
}

static int capture_mappings(struct capture *c, const char *text, const struct image_run *own,
			    size_t own_count)
{
	struct image *image = c->image;
	size_t lines = 0;

	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	image->mappings = workspace__take(c->workspace,
					  (lines + 2 * own_count + 1) * sizeof(*image->mappings));
	if (!image->mappings)
		return -ENOMEM;
	while (*text) {
		size_t i = image->mapping_count, count = 1;
		uint64_t shared;

		memset(&image->mappings[i], 0, sizeof(image->mappings[i]));
		text = take_mapping(c, text, i ? image->mappings[i - 1].path : 0,
				    &image->mappings[i]);
		shared = image->mappings[i].flags & IMAGE_SHARED;
		image->info.missing |= shared ? IMAGE_MISSING_SHARING : 0;
		for (size_t k = 0; k < own_count; k++) {
			size_t last = i + count - 1; /* what is behind the ranges before */

			if (overlaps(&image->mappings[last], &own[k]))
				count += mark_own(image->mappings, last, &own[k]) - 1;
		}
		image->mapping_count += count;
	}
	return 0;
}

/* ---- open files ---- */

static int is_hidden(int fd, const int *hidden)
{
	for (; *hidden >= 0; hidden++) {
		if (*hidden == fd)
			return 1;
	}
	return 0;
}

/* The lower fd that shares this open file, or -1. Without kcmp(2) nothing is known. */
static int32_t find_twin(const struct image *image, const struct image_file *file)
{
	pid_t pid = getpid();

	for (size_t i = 0; i < image->file_count; i++) {
		const struct image_file *other = &image->files[i];

		if (other->inode == file->inode && other->offset == file->offset &&
		    other->dev_major == file->dev_major && other->dev_minor == file->dev_minor &&
		    syscall(SYS_kcmp, pid, pid, KCMP_FILE, other->fd, file->fd) == 0)
			return other->fd;
	}
	return -1;
}

static void capture_file(struct capture *c, int fd)
{
	struct image *image = c->image;
	struct image_file *file = &image->files[image->file_count];
	char path[64], text[SMALL_BYTES];
	struct stat st;
	ssize_t n;

	memset(file, 0, sizeof(*file));
	make_path(path, "/proc/self/fdinfo/", (uint64_t)fd, "");
	if (fstat(fd, &st) < 0 || capture__read(path, text, sizeof(text)) < 0)
		return; /* closed meanwhile: the folder of /proc was ours */
	file->fd = fd;
	file->offset = find_number(text, "pos:", 10);
	file->flags = (uint32_t)find_number(text, "flags:", 8);
	file->mode = st.st_mode;
	file->inode = st.st_ino;
	file->dev_major = (uint32_t)(st.st_dev >> 8 & 0xfff);
	file->dev_minor = (uint32_t)((st.st_dev & 0xff) | (st.st_dev >> 12 & 0xfff00));
	make_path(path, "/proc/self/fd/", (uint64_t)fd, "");
	n = readlink(path, text, sizeof(text));
	if (n > 0 && (size_t)n < sizeof(text))
		file->path = keep(c, text, (size_t)n);
	file->same_as = find_twin(image, file);
	image->file_count++;
	if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
		image->info.missing |= IMAGE_MISSING_FILES;
	else if (st.st_nlink == 0)
		image->info.missing |= IMAGE_MISSING_DELETED;
}

/* Calls capture_file for each, or only counts them. The order of /proc is that of the numbers. */
static ssize_t walk_files(struct capture *c, const int *hidden)
{
	int folder = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_Alignas(struct dirent64) char entries[1024];
	ssize_t n, count = 0;

	if (folder < 0)
		return -errno;
	while ((n = syscall(SYS_getdents64, folder, entries, sizeof(entries))) > 0) {
		for (ssize_t at = 0; at < n;) {
			const struct dirent64 *entry = (const void *)(entries + at);
			const char *name = entry->d_name;
			int fd;

			at += entry->d_reclen;
			if (*name < '0' || *name > '9')
				continue;
			fd = (int)take_number(&name, 10);
			if (fd == folder || is_hidden(fd, hidden))
				continue;
			count++;
			if (c)
				capture_file(c, fd);
		}
	}
	if (n < 0)
		count = -errno;
	(void)close(folder);
	return count;
}

/* ---- the process ---- */

/* Field number n (as proc(5) counts, from 1) of /proc/self/stat; the name may hold anything. */
static uint64_t stat_field(const char *stat, unsigned int n)
{
	const char *p = strrchr(stat, ')');

	for (unsigned int field = 2; p && *p && field < n; p++)
		field += *p == ' ';
	return p ? take_number(&p, 10) : 0;
}

static void capture_numbers(struct image_process *process, const char *stat)
{
	process->start_code = stat_field(stat, 26);
	process->end_code = stat_field(stat, 27);
	process->start_stack = stat_field(stat, 28);
	process->start_data = stat_field(stat, 45);
	process->end_data = stat_field(stat, 46);
	process->start_brk = stat_field(stat, 47);
	process->arg_start = stat_field(stat, 48);
	process->arg_end = stat_field(stat, 49);
	process->env_start = stat_field(stat, 50);
	process->env_end = stat_field(stat, 51);
	process->brk = (uint64_t)syscall(SYS_brk, 0);
	process->xcr0 = thread__xcr0();
	process->ppid = getppid();
	process->pgrp = getpgrp();
	process->sid = getsid(0);
	process->uid = getuid();
	process->gid = getgid();
	process->personality = (uint32_t)personality(0xffffffff);
	process->umask = umask(0);
	(void)umask((mode_t)process->umask);
}

static uint32_t keep_link(struct capture *c, const char *path)
{
	char text[SMALL_BYTES];
	ssize_t n = readlink(path, text, sizeof(text));

	return n > 0 && (size_t)n < sizeof(text) ? keep(c, text, (size_t)n) : 0;
}

static int capture_process(struct capture *c)
{
	struct image_process *process = &c->image->process;
	char text[SMALL_BYTES];
	struct utsname name;
	ssize_t n;

	n = capture__read("/proc/self/stat", text, sizeof(text));
	if (n < 0)
		return (int)n;
	capture_numbers(process, text);
	process->cwd = keep_link(c, "/proc/self/cwd");
	process->exe = keep_link(c, "/proc/self/exe");
	if (capture__read("/proc/self/comm", text, sizeof(text)) > 0)
		memcpy(process->name, text, strcspn(text, "\n") % sizeof(process->name));
	n = capture__read("/proc/self/cmdline", text, sizeof(text));
	if (n == -EFBIG)
		n = sizeof(text);
	for (ssize_t i = 0; i < n - 1 && i < (ssize_t)sizeof(process->arguments) - 1; i++)
		process->arguments[i] = (char)(text[i] ? text[i] : ' ');
	if (uname(&name) == 0)
		c->image->info.kernel = keep(c, name.release, strlen(name.release));
	return 0;
}

static int capture_auxv(struct capture *c)
{
	char *auxv = workspace__take(c->workspace, SMALL_BYTES);
	ssize_t n = auxv ? capture__read("/proc/self/auxv", auxv, SMALL_BYTES) : -ENOMEM;

	if (n < 0)
		return (int)n;
	c->image->auxv = auxv;
	c->image->auxv_bytes = (size_t)n / sizeof(Elf64_auxv_t) * sizeof(Elf64_auxv_t);
	return 0;
}

/* What a process can have that no image holds. */
static void capture_missing(struct capture *c)
{
	uint64_t *missing = &c->image->info.missing;
	char text[SMALL_BYTES];
	struct itimerval timer;
	sigset_t pending;

	if (capture__read("/proc/thread-self/children", text, sizeof(text)) > 0)
		*missing |= IMAGE_MISSING_CHILDREN;
	(void)sigemptyset(&pending);
	if (sigpending(&pending) == 0 && !sigisemptyset(&pending))
		*missing |= IMAGE_MISSING_PENDING;
	for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++) {
		if (getitimer((__itimer_which_t)which, &timer) == 0 &&
		    (timer.it_value.tv_sec || timer.it_value.tv_usec))
			*missing |= IMAGE_MISSING_TIMERS;
	}
}

static void capture_signals(struct image *image)
{
	for (int i = 0; i < IMAGE_SIGNALS; i++)
		(void)syscall(SYS_rt_sigaction, i + 1, NULL, &image->signals[i], sizeof(uint64_t));
}

/* /proc/self/maps as text, which may be long. */
static int read_maps(struct workspace *workspace, char **ret_text, size_t *ret_bytes)
{
	enum { MAPS_BYTES = 16 << 20 }; /* some 200000 lines */
	char *text = workspace__take(workspace, MAPS_BYTES);
	ssize_t n = text ? capture__read("/proc/self/maps", text, MAPS_BYTES) : -ENOMEM;

	if (n < 0)
		return (int)n;
	*ret_text = text;
	*ret_bytes = (size_t)n;
	return 0;
}

int capture__process(struct image *image, struct workspace *workspace, struct visitor *visitors,
		     const struct image_run *own, size_t own_count, const int *hidden_fds,
		     const char **step)
{
	struct capture c = {.image = image, .workspace = workspace};
	size_t maps_bytes = 0;
	char *maps = NULL;
	ssize_t files;
	int err;

	*step = "cannot read /proc/self/fd";
	files = walk_files(NULL, hidden_fds);
	if (files < 0)
		return (int)files;
	*step = "cannot read /proc/self/maps";
	err = read_maps(workspace, &maps, &maps_bytes);
	if (err)
		return err;
	*step = "cannot describe this process";
	c.strings_room = maps_bytes + (size_t)files * PATH_MAX + STRINGS_EXTRA;
	c.strings = workspace__take(workspace, c.strings_room);
	image->files = workspace__take(workspace, ((size_t)files + 1) * sizeof(*image->files));
	if (!c.strings || !image->files)
		return -ENOMEM;
	image->strings = c.strings;
	image->string_bytes = 1; /* the empty one */
	err = capture_mappings(&c, maps, own, own_count);
	if (!err)
		err = capture_threads(&c, visitors);
	if (!err)
		err = capture_process(&c);
	if (!err)
		err = capture_auxv(&c);
	if (err)
		return err;
	files = walk_files(&c, hidden_fds);
	capture_signals(image);
	capture_missing(&c);
	return files < 0 ? (int)files : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause
 *
 * libbcc.so.0, opened at run time. Its C API is declared here (bcc_common.h of BCC 0.26), so that
 * building does not need its headers. Later versions of bcc_func_load() have one argument more at
 * the end; both of the last two are zero.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "kernel/bcc.h"

#define HEADERS "BCC_KERNEL_SOURCE"
#define LICENSE "Dual BSD/GPL"

struct bcc {
	void *library;
	void *module;
	void *(*create)(const char *text, unsigned int flags, const char *const *compiler_flags,
			int count, bool raise_memlock, const char *device);
	void (*destroy)(void *module);
	void *(*function_start)(void *module, const char *name);
	size_t (*function_size)(void *module, const char *name);
	int (*table_fd)(void *module, const char *name);
	int (*load)(void *module, int type, const char *name, const void *instructions, int bytes,
		    const char *license, unsigned int kernel_version, int log_level, char *log,
		    unsigned int log_bytes, const char *device, int zero, int other_zero);
};

/* Our headers are next to the tracer in a build tree, and under lib/ where it is installed. */
static int find_headers(char *ret_path, size_t size)
{
	static const char *const places[] = {"bcc", "../lib/tracer/bcc"};
	char program[PATH_MAX], *slash;
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);

	program[length > 0 ? length : 0] = '\0';
	slash = strrchr(program, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++) {
		if (snprintf(ret_path, size, "%s/%s", program, places[i]) < (int)size &&
		    !access(ret_path, X_OK))
			return 0;
	}
	log__error("the page engine needs headers for BCC, and there are none in %s/%s and %s/%s; "
		   "install the tracer with make install, or name a folder with kernel headers in "
		   "the environment variable " HEADERS,
		   program, places[0], program, places[1]);
	return -ENOENT;
}

/* POSIX lets dlsym() return a function, but ISO C has no conversion for that. */
static int find(const struct bcc *bcc, const char *name, void *ret_function)
{
	void *symbol = dlsym(bcc->library, name);

	if (!symbol) {
		log__error(BCC_LIBRARY
			   " has no %s: it is another version than the tracer knows (0.26)",
			   name);
		return -ENOENT;
	}
	memcpy(ret_function, &symbol, sizeof(symbol));
	return 0;
}

static int open_library(struct bcc *bcc)
{
	int err;

	bcc->library = dlopen(BCC_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!bcc->library) {
		log__error("the page engine needs BCC, and it cannot be opened (%s); install the "
			   "package libbpfcc, or take another --engine",
			   dlerror());
		return -ENOENT;
	}
	if ((err = find(bcc, "bpf_module_create_c_from_string", &bcc->create)) ||
	    (err = find(bcc, "bpf_module_destroy", &bcc->destroy)) ||
	    (err = find(bcc, "bpf_function_start", &bcc->function_start)) ||
	    (err = find(bcc, "bpf_function_size", &bcc->function_size)) ||
	    (err = find(bcc, "bpf_table_fd", &bcc->table_fd)) ||
	    (err = find(bcc, "bcc_func_load", &bcc->load)))
		return err;
	return 0;
}

/* The library reads the variable only now. The target must not see it unless the user has set
 * it. */
static int compile(struct bcc *bcc, const char *text, const char *const *flags, int count)
{
	const char *given = getenv(HEADERS);
	char headers[PATH_MAX];
	int err = 0;

	if (given && !*given)
		given = NULL;
	if (given)
		snprintf(headers, sizeof(headers), "%s", given);
	else
		err = find_headers(headers, sizeof(headers));
	if (!err && setenv(HEADERS, headers, 1))
		err = -errno;
	if (err)
		return err;
	bcc->module = bcc->create(text, 0, flags, count, false, NULL);
	if (!given)
		unsetenv(HEADERS);
	if (bcc->module)
		return 0;
	log__error("BCC cannot compile the page engine with headers in %s; its messages are above",
		   headers);
	return -EINVAL;
}

int bcc__compile(const char *text, const char *const *flags, int count, struct bcc **ret_bcc)
{
	struct bcc *bcc = calloc(1, sizeof(*bcc));
	int err;

	if (!bcc)
		return -ENOMEM;
	err = open_library(bcc);
	if (err)
		goto out;
	err = compile(bcc, text, flags, count);
out:
	if (err) {
		bcc__free(bcc);
		return err;
	}
	*ret_bcc = bcc;
	return 0;
}

int bcc__load(const struct bcc *bcc, const char *function)
{
	void *start = bcc->function_start(bcc->module, function);
	int fd;

	if (!start) {
		log__error("BCC has compiled no function %s", function);
		return -ENOENT;
	}
	fd = bcc->load(bcc->module, BPF_PROG_TYPE_TRACEPOINT, function, start,
		       (int)bcc->function_size(bcc->module, function), LICENSE, 0, 0, NULL, 0, NULL,
		       0, 0);
	if (fd >= 0)
		return fd;
	log__error("the kernel refuses BCC's program %s; its messages are above", function);
	return -EINVAL;
}

int bcc__map(const struct bcc *bcc, const char *name)
{
	int fd = bcc->table_fd(bcc->module, name);
	int copy = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy >= 0)
		return copy;
	copy = fd < 0 ? -ENOENT : -errno;
	log__error("cannot get BCC's map %s: %s", name, strerror(-copy));
	return copy;
}

void bcc__free(struct bcc *bcc)
{
	if (!bcc)
		return;
	if (bcc->module)
		bcc->destroy(bcc->module);
	if (bcc->library)
		dlclose(bcc->library);
	free(bcc);
}

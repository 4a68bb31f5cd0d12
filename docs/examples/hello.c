/* SPDX-License-Identifier: BSD-2-Clause
 *
 * A whole loader: opens the object file, loads it into the kernel, attaches its program, starts
 * /bin/true three times, and reads the map. At the end the kernel takes everything away.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int watch(struct bpf_object *object)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object, "on_start");
	struct bpf_map *counts = bpf_object__find_map_by_name(object, "counts");
	struct bpf_link *link;
	uint64_t count, sum = 0;

	if (!program || !counts)
		return -ENOENT;
	if (bpf_object__load(object))
		return -errno;
	link = bpf_program__attach(program);
	if (!link)
		return -errno;
	for (int i = 0; i < 3; i++)
		if (system("/bin/true"))
			fputs("hello: cannot run /bin/true\n", stderr);
	bpf_link__destroy(link);
	for (uint32_t i = 0; i < bpf_map__max_entries(counts); i++) {
		if (bpf_map_lookup_elem(bpf_map__fd(counts), &i, &count))
			return -errno;
		sum += count;
	}
	printf("programs started: %llu\n", (unsigned long long)sum);
	return 0;
}

int main(int argc, char **argv)
{
	struct bpf_object *object = argc == 2 ? bpf_object__open_file(argv[1], NULL) : NULL;
	int err = object ? watch(object) : -EINVAL;

	if (err)
		fprintf(stderr, "hello: %s; usage: hello OBJECT, as root\n", strerror(-err));
	bpf_object__close(object);
	return err ? 1 : 0;
}

/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Maps for maps: the kernel takes one into an outer map only if it is like the template.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <unistd.h>
#include "base/procfs.h"
#include "kernel/inner_map.h"

#define RESERVE_BYTES (256ULL << 20) /* of memory, for all others */

/* The new map has the type information of the other one, which 6.1 compares as well. */
int inner_map__create_like(int fd, uint32_t entries)
{
	struct bpf_map_info info = {0};
	uint32_t length = sizeof(info);
	/* cppcheck-suppress unknownMacro */
	LIBBPF_OPTS(bpf_map_create_opts, options);
	int made;

	if (bpf_obj_get_info_by_fd(fd, &info, &length))
		return -errno;
	options.map_flags = info.map_flags;
	if (info.btf_id) {
		int btf = bpf_btf_get_fd_by_id(info.btf_id);

		if (btf < 0)
			return btf;
		options.btf_fd = (uint32_t)btf;
		options.btf_key_type_id = info.btf_key_type_id;
		options.btf_value_type_id = info.btf_value_type_id;
	}
	made = bpf_map_create(info.type, info.name, info.key_size, info.value_size, entries,
			      &options);
	if (info.btf_id)
		close((int)options.btf_fd);
	return made;
}

bool inner_map__has_memory(uint64_t bytes)
{
	return bytes + RESERVE_BYTES < procfs__available_memory();
}

/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See same_root.h. Source: proc(5), namespaces(7).
 */
#include "reopen/same_root.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/proc_text.h"

bool same_root__is_same_boot(const struct image *image)
{
	char boot[sizeof(image->place.boot)] = "";
	FILE *file;

	if (!(image->place.flags & IMAGE_HAS_PLACE) || !image->place.boot[0])
		return false;
	file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!file)
		return false;
	if (!fgets(boot, sizeof(boot), file))
		boot[0] = '\0';
	(void)fclose(file);
	boot[strcspn(boot, "\n")] = '\0';
	return strcmp(boot, image->place.boot) == 0;
}

/* The number of the caller's; 0 if it is not known. */
static uint64_t find_namespace(const char *name)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/self/ns/%s", name);
	return proc_text__find_namespace(path);
}

bool same_root__is(const struct image *image, const char **ret_difference)
{
	const struct image_place *place = &image->place;
	const bool is_same_boot = same_root__is_same_boot(image);
	const uint64_t namespace = find_namespace("mnt");
	struct stat st;

	*ret_difference = NULL;
	if (!(place->flags & IMAGE_HAS_PLACE))
		return true;
	if (stat("/", &st) == 0 &&
	    (st.st_ino != place->root_inode || (is_same_boot && st.st_dev != place->root_device)))
		*ret_difference = "another root folder (it was in a chroot, or in a container)";
	else if (is_same_boot && namespace && place->mount_namespace &&
		 namespace != place->mount_namespace)
		*ret_difference = "another mount namespace (nsenter --mount enters it)";
	return !*ret_difference;
}

void same_root__add_missing(const struct image *image, struct missing *missing)
{
	static const char *const names[IMAGE_NAMESPACES] = {"net", "uts",  "ipc",
							    "pid", "user", "cgroup"};
	char list[64] = "";

	if (!same_root__is_same_boot(image))
		return;
	for (size_t i = 0; i < IMAGE_NAMESPACES; i++) {
		const uint64_t then = image->surroundings.namespaces[i];
		const size_t length = strlen(list);

		if (then && then != find_namespace(names[i]))
			(void)snprintf(list + length, sizeof(list) - length, "%s%s",
				       length ? ", " : "", names[i]);
	}
	if (*list)
		missing__add(missing, "its namespaces (%s)", list);
}

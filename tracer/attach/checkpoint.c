/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See checkpoint.h.
 */
#include "attach/checkpoint.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/page.h"

struct checkpoint *checkpoint__create(struct page_store *store)
{
	struct checkpoint *checkpoint = calloc(1, sizeof(*checkpoint));

	if (checkpoint)
		checkpoint->tree.store = store;
	return checkpoint;
}

int checkpoint__find_own(struct checkpoint *checkpoint)
{
	const struct intervals *files = &checkpoint->ranges.files;
	uint64_t address = 0;
	int err = 0;

	if (checkpoint->knows_own)
		return 0;
	for (size_t i = 0; i < files->count && !err; i++)
		for (uint64_t at = files->items[i].start;
		     !err && page_tree__next(&checkpoint->tree, at, files->items[i].end, &address);
		     at = address + PAGE_BYTES)
			err = intervals__add(&checkpoint->own, address, address + PAGE_BYTES);
	if (err)
		intervals__clear(&checkpoint->own);
	checkpoint->knows_own = !err;
	return err;
}

int checkpoint__find_dense(struct checkpoint *checkpoint)
{
	int err;

	if (checkpoint->knows_dense)
		return 0;
	err = dense_blocks__choose(&checkpoint->dense, &checkpoint->tree,
				   &checkpoint->ranges.anonymous);
	checkpoint->knows_dense = !err;
	return err;
}

void checkpoint__free(struct checkpoint *checkpoint)
{
	if (!checkpoint)
		return;
	for (size_t i = 0; checkpoint->registers && i < checkpoint->threads.count; i++)
		registers__clear(&checkpoint->registers[i]);
	free(checkpoint->registers);
	free(checkpoint->registered);
	threads__clear(&checkpoint->threads);
	procfs__free_mappings(&checkpoint->mappings);
	layout__clear_ranges(&checkpoint->ranges);
	intervals__clear(&checkpoint->own);
	dense_blocks__clear(&checkpoint->dense);
	open_files__clear(&checkpoint->files);
	intervals__clear(&checkpoint->guards);
	page_tree__clear(&checkpoint->tree);
	free(checkpoint);
}

bool checkpoints__is_name(const char *name)
{
	size_t length = 0;

	for (; name[length]; length++)
		if (!isalnum((unsigned char)name[length]) && !strchr("._-", name[length]))
			return false;
	return length > 0 && length < ATTACH_NAME_BYTES && *name != '-';
}

void checkpoints__next_name(const struct checkpoints *list, char name[ATTACH_NAME_BYTES])
{
	unsigned int number = 0;

	do {
		(void)snprintf(name, ATTACH_NAME_BYTES, "%u", ++number);
	} while (checkpoints__find(list, name));
}

struct checkpoint *checkpoints__find(const struct checkpoints *list, const char *name)
{
	struct checkpoint *found = list->first;

	while (found && (name ? strcmp(found->name, name) != 0 : found->next != NULL))
		found = found->next;
	return found;
}

void checkpoints__add(struct checkpoints *list, struct checkpoint *checkpoint)
{
	struct checkpoint **end = &list->first;

	while (*end)
		end = &(*end)->next;
	checkpoint->next = NULL;
	*end = checkpoint;
	list->count++;
}

void checkpoints__remove(struct checkpoints *list, struct checkpoint *checkpoint)
{
	for (struct checkpoint **at = &list->first; *at; at = &(*at)->next) {
		if (*at != checkpoint)
			continue;
		*at = checkpoint->next;
		list->count--;
		return;
	}
}

void checkpoints__clear(struct checkpoints *list)
{
	while (list->first) {
		struct checkpoint *next = list->first->next;

		checkpoint__free(list->first);
		list->first = next;
	}
	list->count = 0;
}

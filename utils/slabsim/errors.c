/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Errors of a slab cache, see errors.h. Each scene damages only memory of a small cache of its own,
 * so the program itself is never in danger.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include "errors.h"
#include "slab/slab.h"

enum { OBJECT_BYTES = 100 };

struct scene {
	const char *name;
	int wanted;
	int (*play)(struct slab_cache *cache); /* returns the cache's error */
	const char *deed, *meaning;
};

/* ---- scenes ---- */

/* Changes one byte that does not belong to the user of the object. */
__attribute__((no_sanitize("address"), noinline)) static void write_byte(void *object, long offset)
{
	((volatile unsigned char *)object)[offset] ^= 1;
}

static int free_foreign(struct slab_cache *cache)
{
	int local;

	return slab_cache__free(cache, &local);
}

static int free_inside(struct slab_cache *cache)
{
	unsigned char *object = slab_cache__alloc(cache);

	return slab_cache__free(cache, object + 4);
}

static int free_twice(struct slab_cache *cache)
{
	void *object = slab_cache__alloc(cache);
	int err = slab_cache__free(cache, object);

	return err ? err : slab_cache__free(cache, object);
}

static int write_behind(struct slab_cache *cache)
{
	void *object = slab_cache__alloc(cache);

	write_byte(object, OBJECT_BYTES);
	return slab_cache__free(cache, object);
}

static int write_before(struct slab_cache *cache)
{
	void *object = slab_cache__alloc(cache);

	write_byte(object, -1);
	return slab_cache__free(cache, object);
}

static int write_after_free(struct slab_cache *cache)
{
	void *object = slab_cache__alloc(cache);
	int err = slab_cache__free(cache, object);

	write_byte(object, 7);
	return err ? err : slab_cache__check(cache, NULL);
}

static int run_dry(struct slab_cache *cache)
{
	struct slab_stats stats;

	while (slab_cache__alloc(cache))
		;
	slab_cache__stats(cache, &stats);
	return stats.failed ? -ENOMEM : 0;
}

struct interruption {
	struct slab_cache *cache;
	int err;
};

/* Called in the middle of an alloc, as a signal handler would be. */
static void interrupt(void *object, void *argument)
{
	struct interruption *interruption = argument;

	interruption->err = slab_cache__free(interruption->cache, object);
}

static int enter_twice(struct slab_cache *unused)
{
	struct interruption interruption = {0};
	const struct slab_options options = {
		.object_bytes = OBJECT_BYTES,
		.construct = interrupt,
		.construct_argument = &interruption,
	};

	(void)unused;
	if (slab_cache__create(&options, &interruption.cache))
		return -ENOMEM;
	(void)slab_cache__alloc(interruption.cache);
	slab_cache__destroy(interruption.cache);
	return interruption.err;
}

static const struct scene scenes[] = {
	{"foreign", -SLAB_NO_OBJECT, free_foreign, "a pointer to a variable on the stack is freed",
	 "A pointer that is not the start of an object of this cache: of somebody else, of another "
	 "cache, or of a slab that was given back. The cache looks each pointer up in its table of "
	 "slabs before it reads anything there, so nothing is harmed. Free with the cache that the "
	 "object came from."},
	{"inside", -SLAB_NO_OBJECT, free_inside, "a pointer 4 bytes into an object is freed",
	 "The address is in a slab of this cache, but no object starts there. Free the pointer "
	 "that alloc returned, not one that has moved on."},
	{"double-free", -SLAB_FREE_ALREADY, free_twice, "an object is freed, and freed again",
	 "This object is free. Whoever freed it the second time believes to own what may soon be "
	 "somebody else's: after the next alloc nobody could tell any more. Set pointers to NULL "
	 "when you free."},
	{"overflow", -SLAB_WRITTEN_BEHIND, write_behind,
	 "in debug mode a byte is written behind the end of an object, which is then freed",
	 "The red zone behind the object was changed, which is found when the object is freed. "
	 "Without debug mode the next object would have been hit, and nobody would know. The "
	 "object is out of use from now on and stays as it is, for a debugger to look at."},
	{"underflow", -SLAB_WRITTEN_BEFORE, write_before,
	 "in debug mode a byte is written before an object, which is then freed",
	 "The red zone before the object was changed: mostly an index below 0, or an overflow of "
	 "the object before it that jumped over its own red zone."},
	{"write-after-free", -SLAB_WRITTEN_FREE, write_after_free,
	 "in debug mode an object is freed, and a byte of it is written after that",
	 "Free objects are filled with a pattern in debug mode, the poison, which has changed. It "
	 "is found by a check, or when the object is to be handed out again: then it is passed "
	 "over and put out of use."},
	{"no-memory", -ENOMEM, run_dry,
	 "objects are allocated until the memory callback has no more",
	 "A new slab was needed, and the source of memory gave none: alloc returns NULL, and the "
	 "cache is as before. Objects that are freed can be allocated again."},
	{"interrupted", -SLAB_INTERRUPTED, enter_twice,
	 "a call for a cache is interrupted by code that calls for the same cache",
	 "A signal handler has interrupted a call for this very cache, and must not see it half "
	 "changed. Nothing was done. Give the handler a cache of its own, or block the signal."},
};

enum { SCENES = sizeof(scenes) / sizeof(*scenes) };

/* ---- playing ---- */

struct limited { /* a small source of memory */
	size_t left_bytes;
};

static void *get_limited(size_t bytes, size_t alignment, void *argument)
{
	struct limited *limited = argument;
	void *start;

	if (bytes > limited->left_bytes || posix_memalign(&start, alignment, bytes))
		return NULL;
	limited->left_bytes -= bytes;
	return start;
}

static int put_limited(void *start, size_t bytes, void *argument)
{
	struct limited *limited = argument;

	limited->left_bytes += bytes;
	free(start);
	return 0;
}

enum { INDENT = 2, COLUMNS = 78 };

/* Wraps lines for a terminal. */
static void print_wrapped(FILE *file, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t word = strcspn(text, " ");

		if (column && column + 1 + word > COLUMNS) {
			(void)fputc('\n', file);
			column = 0;
		}
		(void)fprintf(file, "%*s%.*s", column ? 1 : INDENT, "", (int)word, text);
		column += word + (column ? 1 : INDENT);
		text += word + strspn(text + word, " ");
	}
	(void)fputc('\n', file);
}

static void print_code(FILE *file, int err)
{
	if (err)
		(void)fprintf(file, "%*s-%s: %s.\n", INDENT, "", slab_error__name(err),
			      slab_error__text(err));
	else
		(void)fprintf(file, "%*s0: all is well.\n", INDENT, "");
}

static int explain(FILE *file, const struct scene *scene)
{
	struct limited limited = {.left_bytes = (size_t)1 << 16};
	const struct slab_options options = {
		.object_bytes = OBJECT_BYTES,
		.slab_bytes = SLAB_MIN_BYTES,
		.flags = SLAB_DEBUG,
		.memory = {get_limited, put_limited, &limited},
	};
	struct slab_cache *cache;
	int said = slab_cache__create(&options, &cache);

	if (!said) {
		said = scene->play(cache);
		slab_cache__destroy(cache);
	}
	(void)fprintf(file, "%s: %s.\n", scene->name, scene->deed);
	print_code(file, said);
	print_wrapped(file, scene->meaning);
	if (said == scene->wanted)
		return 0;
	print_wrapped(file, "This is not right. It should have been:");
	print_code(file, scene->wanted);
	return -EPROTO;
}

void errors__print_names(FILE *file, const char *separator)
{
	for (unsigned int i = 0; i < SCENES; i++)
		(void)fprintf(file, "%s%s", i ? separator : "", scenes[i].name);
}

bool errors__is_name(const char *name)
{
	for (unsigned int i = 0; i < SCENES; i++)
		if (!strcmp(scenes[i].name, name))
			return true;
	return !strcmp(name, "all");
}

int errors__explain(FILE *file, const char *name)
{
	bool all = !strcmp(name, "all");
	int err = 0;

	for (unsigned int i = 0; i < SCENES; i++) {
		if (!all && strcmp(scenes[i].name, name) != 0)
			continue;
		if (all && i)
			(void)fputc('\n', file);
		if (explain(file, &scenes[i]))
			err = -EPROTO;
	}
	return err;
}

void errors__print_meaning(FILE *file, int err)
{
	print_code(file, err);
	for (unsigned int i = 0; i < SCENES; i++) {
		if (scenes[i].wanted == err) {
			print_wrapped(file, scenes[i].meaning);
			return;
		}
	}
}

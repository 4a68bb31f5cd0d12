/* SPDX-License-Identifier: BSD-2-Clause
 *
 * The frame of a program of the end-to-end tests that plays scenes: `PROGRAM SCENE...` plays them
 * in that order in one process and says "SCENE: ok" for each; the first that is not right ends it.
 * `PROGRAM list` names all of them. Exit status: that of check.h.
 */
#ifndef E2E_SCENE_H
#define E2E_SCENE_H

#include <string.h>

#include "../limit.h"
#include "check.h"
#include "client/client.h"

struct scene {
	const char *name;
	void (*play)(void);
};

static inline void save(void)
{
	int err = client__save(0);

	if (err)
		finish(CHECK_BROKEN, "save: %s\n", client__strerror(err));
}

static inline void restore(void)
{
	int err = client__restore(0);

	if (err)
		finish(CHECK_BROKEN, "restore: %s\n", client__strerror(err));
}

static inline void play_scene(const struct scene *scenes, const char *name)
{
	while (scenes->name && strcmp(scenes->name, name) != 0)
		scenes++;
	if (!scenes->name)
		finish(CHECK_BROKEN, "there is no scene %s\n", name);
	(void)alarm(LIMIT_SECONDS);
	scenes->play();
	say("%s: ok\n", name);
}

/* The whole of main. The array scenes ends with one without a name. */
static inline int play_scenes(const struct scene *scenes, int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "list")) {
		for (; scenes->name; scenes++)
			say("%s\n", scenes->name);
		return CHECK_OK;
	}
	for (int i = 1; i < argc; i++)
		play_scene(scenes, argv[i]);
	finish(argc > 1 ? CHECK_OK : CHECK_BROKEN, "%d scenes\n", argc - 1);
}

#endif

/* SPDX-License-Identifier: BSD-2-Clause
 *
 * work SCENE [NUMBER]: programs whose image is taken and which are brought back, played by
 * scene.sh. Each builds a state, says "ready", goes on until a file "finish" is there, checks
 * everything it had, and says "ok". While it waits it makes a file "alive". `work list` names the
 * scenes. Exit status: 0 right, 1 the state is wrong, 2 it could not run.
 */
#include "work.h"

unsigned long work_number;

static const struct work_scene *find(const char *name, const struct work_scene *list)
{
	for (; list->name; list++)
		if (strcmp(list->name, name) == 0)
			return list;
	return NULL;
}

static void print_names(const struct work_scene *list)
{
	for (; list->name; list++)
		printf("%s\n", list->name);
}

int main(int argc, char **argv)
{
	static const struct work_scene *const lists[] = {
		work_alone, work_kernel,  work_threads, work_missing, work_daemon,
		work_again, work_shuffle, work_objects, work_prctl,   NULL};
	static char buffer[BUFSIZ]; /* else stdio calls malloc, which moves brk */
	const struct work_scene *scene = NULL;

	must(setvbuf(stdout, buffer, _IOFBF, sizeof(buffer)) == 0);
	if (argc > 2)
		work_number = strtoul(argv[2], NULL, 10);
	for (size_t i = 0; lists[i] && argc > 1 && !scene; i++) {
		if (strcmp(argv[1], "list") == 0)
			print_names(lists[i]);
		scene = find(argv[1], lists[i]);
	}
	if (!scene)
		return argc > 1 && strcmp(argv[1], "list") == 0 ? 0 : BROKEN;
	scene->play();
	say("ok");
	return 0;
}

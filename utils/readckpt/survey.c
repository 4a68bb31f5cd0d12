/* SPDX-License-Identifier: BSD-2-Clause
 *
 * See survey.h.
 */
#include "readckpt/survey.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/progress.h"

struct counting {
	const struct image *image;
	struct survey *survey;
	bool is_first;  /* pages are counted in the first image of a chain alone */
	size_t mapping; /* pages come in address order: no search */
	struct progress progress;
	uint64_t done, total; /* bytes; done: of the segments before */
	uint64_t start;       /* address of the segment */
};

/* A message that there is no memory for is counted all the same. */
static void add_fault(struct survey *survey, const char *message)
{
	if (survey->fault_count < SURVEY_FAULTS)
		survey->faults[survey->fault_count] = strdup(message);
	survey->fault_count++;
}

static void count_page(uint64_t address, const void *page, void *argument)
{
	struct counting *counting = argument;

	(void)page;
	progress__step(&counting->progress, "verifying the image",
		       counting->done + (address - counting->start), counting->total);
	if (!counting->is_first)
		return;
	while (counting->image->mappings[counting->mapping].end <= address)
		counting->mapping++;
	counting->survey->mappings[counting->mapping].resident++;
}

static void scan(struct counting *counting)
{
	const struct image *image = counting->image;
	struct survey *survey = counting->survey;
	char message[IMAGE_MESSAGE_BYTES];

	for (size_t i = 0; i < image->segment_count; i++) {
		int err;

		counting->start = image->segments[i].start;
		err = image__scan_segment(image, i, count_page, counting, message);
		counting->done += image->segments[i].bytes;
		if (err) {
			add_fault(survey, message);
		} else {
			survey->segments++;
			survey->bytes += image->segments[i].bytes;
		}
		if (counting->is_first)
			survey->segment_ok[i] = err == 0;
	}
}

static void scan_all(const struct image_chain *chain, struct survey *survey)
{
	struct counting counting = {.survey = survey};

	for (size_t i = 0; i < chain->count; i++) {
		for (size_t k = 0; k < chain->images[i]->segment_count; k++)
			counting.total += chain->images[i]->segments[k].bytes;
	}
	for (size_t i = 0; i < chain->count; i++) {
		counting.image = chain->images[i];
		counting.is_first = i == 0;
		scan(&counting);
	}
	progress__end(&counting.progress);
}

/* Adds the pages of runs to what their mappings have. which: offset of the field that counts. */
static void count_runs(const struct image *image, const struct image_run *runs, size_t count,
		       struct survey *survey, size_t which)
{
	size_t mapping = 0;

	for (size_t i = 0; i < count; i++) {
		unsigned char *pages;

		while (image->mappings[mapping].end <= runs[i].start)
			mapping++;
		pages = (unsigned char *)&survey->mappings[mapping] + which;
		*(uint64_t *)(void *)pages += (runs[i].end - runs[i].start) / PAGE_BYTES;
	}
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

static void sum_up(const struct image *image, struct survey *survey)
{
	struct survey_pages *total = &survey->total;

	for (size_t i = 0; i < image->mapping_count; i++) {
		struct survey_pages *pages = &survey->mappings[i];

		pages->all = (image->mappings[i].end - image->mappings[i].start) / PAGE_BYTES;
		/* A foreign writer may call pages missing that the file has. */
		pages->missing =
			at_most(pages->missing, pages->all - pages->resident - pages->parent);
		pages->zero = pages->all - pages->resident - pages->parent - pages->missing;
		total->all += pages->all;
		total->resident += pages->resident;
		total->parent += pages->parent;
		total->missing += pages->missing;
		total->zero += pages->zero;
	}
}

int survey__make(const struct image_chain *chain, const char *broken, struct survey *ret)
{
	const struct image *image = chain->images[0];

	*ret = (struct survey){0};
	ret->mappings = calloc(image->mapping_count + 1, sizeof(*ret->mappings));
	ret->segment_ok = calloc(image->segment_count + 1, sizeof(*ret->segment_ok));
	if (!ret->mappings || !ret->segment_ok) {
		survey__free(ret);
		return -ENOMEM;
	}
	ret->is_broken = broken != NULL;
	if (broken)
		add_fault(ret, broken);
	scan_all(chain, ret);
	count_runs(image, image->unchanged, image->unchanged_count, ret,
		   offsetof(struct survey_pages, parent));
	count_runs(image, image->missing, image->missing_count, ret,
		   offsetof(struct survey_pages, missing));
	sum_up(image, ret);
	return 0;
}

void survey__free(struct survey *survey)
{
	for (size_t i = 0; i < SURVEY_FAULTS; i++)
		free(survey->faults[i]);
	free(survey->mappings);
	free(survey->segment_ok);
	*survey = (struct survey){0};
}

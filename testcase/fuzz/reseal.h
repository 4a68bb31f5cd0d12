/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Repairs the checksums of an image after its headers or notes were changed, so that a test or the
 * fuzzer gets past them. An attacker would do the same. docs/image-format.md draws the file.
 */
#ifndef FUZZ_RESEAL_H
#define FUZZ_RESEAL_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "image/image.h"

/* The offset of the notes; 0 if the file is too short, or its header is impossible. */
static inline int reseal__notes(const unsigned char *bytes, size_t count, size_t *ret_start,
				size_t *ret_end)
{
	Elf64_Ehdr header;
	Elf64_Phdr notes;

	if (count < sizeof(header) + 2 * sizeof(notes))
		return 0;
	memcpy(&header, bytes, sizeof(header));
	memcpy(&notes, bytes + sizeof(header), sizeof(notes));
	*ret_start = sizeof(header) + header.e_phnum * sizeof(notes);
	if (header.e_phnum < 2 || *ret_start > count || notes.p_filesz > count - *ret_start)
		return 0;
	*ret_end = *ret_start + notes.p_filesz;
	return 1;
}

/* bytes: count of an image, uncompressed. Does nothing if there is no place for checksums. */
static inline void reseal(unsigned char *bytes, size_t count)
{
	const size_t name = sizeof(Elf64_Nhdr), note = name + 8;
	struct image_checksums sums;
	size_t start, end, head, bytes_left;
	Elf64_Phdr last;

	if (!reseal__notes(bytes, count, &start, &end))
		return;
	memcpy(&last, bytes + start - sizeof(last), sizeof(last));
	head = page__round_up(end);
	if (head > count || last.p_offset < head || last.p_offset > count ||
	    count - last.p_offset < note + sizeof(sums))
		return;
	bytes += last.p_offset + note;
	bytes_left = count - last.p_offset - note;
	memcpy(&sums, bytes, sizeof(sums));
	sums.header = (uint32_t)crc32(0, bytes - note - last.p_offset, (unsigned int)head);
	sums.self = 0;
	memcpy(bytes, &sums, sizeof(sums));
	sums.self = (uint32_t)crc32(0, bytes, (unsigned int)bytes_left);
	memcpy(bytes, &sums, sizeof(sums));
}

#endif

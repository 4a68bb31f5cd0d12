/* SPDX-License-Identifier: BSD-2-Clause
 *
 * An image: the state of a process in a file, an ELF core file (ET_CORE, x86-64) that can run
 * again. libckpt, restart, readckpt and tracer --save all write and read it through this module;
 * image_format.h has its records.
 *
 *	ELF header | program headers | state notes | 0 | memory of segment 1 | 2 | ... | checksums
 *
 * Always holds, in each image that image__open accepts: mappings and segments are in address order,
 * page-aligned and do not overlap. Each segment lies in one mapping. Segments lie in the file in
 * the same order and do not overlap there either. Each reference to a string is inside the strings.
 *
 * A page of a mapping is, in this order:
 *	what the file has, if a segment with bytes covers it (zeros are a hole in the file);
 *	what it was in the parent image, if a run of `unchanged` covers it;
 *	zeros.
 * Pages that a run of `missing` covers could not be read when the image was written.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "base/page.h"
#include "image/image_format.h"
#include "image/image_output.h"

enum { IMAGE_MESSAGE_BYTES = PATH_MAX + 256 }; /* why a function of this module has failed */

/* ---- in memory ---- */

/* A program header of type PT_LOAD. */
struct image_segment {
	uint64_t start, end; /* addresses */
	uint64_t offset;     /* into the file, of the first byte; page-aligned */
	uint64_t bytes;      /* in the file: end - start, or 0 */
	uint32_t flags;      /* IMAGE_READ, IMAGE_WRITE, IMAGE_EXEC */
	uint32_t crc;        /* image__sum of these bytes */
};

/* The registers of a thread where it was interrupted: NT_PRSTATUS and NT_X86_XSTATE. */
struct image_registers {
	struct user_regs_struct user;
	/* As XSAVE of x86 writes it, standard form; its first 512 bytes are NT_FPREGSET. NULL if
	 * not known. */
	const unsigned char *xstate;
	size_t xstate_bytes;
};

struct slab_heap;

/* An image without its memory. A writer fills it in with arrays of its own; image__open makes one,
 * which image__free frees. */
struct image {
	struct image_info info;
	struct image_process process;
	struct image_attributes attributes;
	struct image_signal signals[IMAGE_SIGNALS];
	struct image_mapping *mappings;
	struct image_thread *threads;
	struct image_registers *registers; /* thread_count of them */
	struct image_file *files;
	struct image_run *unchanged; /* in address order, inside mappings, outside of segments */
	struct image_run *missing;   /* in address order, inside segments */
	struct image_segment *segments;
	uint32_t *groups; /* supplementary groups */
	struct image_place place;
	struct image_surroundings surroundings;
	struct image_rights rights;
	uint64_t *sizes;                     /* of the files, or NULL */
	uint64_t *births;                    /* of the files, or NULL: ns since 1970; 0: unknown */
	uint32_t *advice;                    /* of the mappings, or NULL */
	struct image_scheduling *scheduling; /* of the threads, or NULL */
	struct image_object *objects;        /* in the order of their fd */
	struct image_watch *watches;
	struct image_setting *settings;
	struct image_policy *policies;
	const unsigned char *contents;
	const void *auxv;    /* NT_AUXV */
	const char *strings; /* begins and ends with a NUL */
	size_t mapping_count, thread_count, file_count, unchanged_count, missing_count,
		segment_count, group_count, auxv_bytes, string_bytes, object_count, watch_count,
		contents_bytes, setting_count, policy_count;

	/* Only of an image that was opened: */
	struct slab_heap
		*heap; /* holds all that is allocated for the image, and the image itself */
	char *path;    /* absolute */
	void *notes; /* headers and notes of the file; auxv, strings, contents, xstate are in it */
	size_t notes_bytes;
	uint32_t *filled; /* for each segment: the first from it on that has bytes, or the count */
	uint64_t file_bytes; /* uncompressed */
	int fd;              /* the uncompressed file */
	bool compressed;     /* was it compressed with gzip? */
};

/* ---- reading ---- */

/*
 * Opens an image and reads everything but the memory. All of that is checked, so a hostile file
 * does no harm. The checksum of the headers is verified; image__check verifies those of the memory.
 * A compressed image is unpacked into memory; pages of zeros take none.
 * path: of a plain file; anything else is refused.
 * message: IMAGE_MESSAGE_BYTES; on failure a line without newline that names the file and says what
 * is wrong with it.
 * Returns 0 and the image in *ret_image, owned by the caller; -ENOEXEC: not an image of ours;
 * -EBADMSG: damaged; -EPROTONOSUPPORT: of another version or machine; -EFBIG: beyond the limits of
 * image_format.h, or too large to unpack; -IMAGE_CUT_OFF (image_reason.h); -ENOMEM; or the -errno
 * of a system call. *ret_image is untouched on failure.
 */
int image__open(const char *path, struct image **ret_image, char *message);

/* Frees what image__open made; image__free(NULL) is harmless. */
void image__free(struct image *image);

/* The string at an offset, never NULL; "" if there is none. */
const char *image__string(const struct image *image, uint32_t at);

/* Where the bytes of some memory are. */
enum image_kind {
	IMAGE_UNMAPPED,  /* in no mapping */
	IMAGE_DATA,      /* in the file, at `offset`; may be zeros */
	IMAGE_ZERO,      /* nowhere: zeros, or the kernel's (vvar), or the writer's (IMAGE_ARENA) */
	IMAGE_UNCHANGED, /* in the parent */
};

/* Memory that is all of one kind. */
struct image_stretch {
	enum image_kind kind;
	uint64_t start, end;                 /* addresses */
	uint64_t offset;                     /* for IMAGE_DATA: of start, in the file */
	const struct image_mapping *mapping; /* NULL if unmapped */
};

/* Fills in *ret_stretch with the longest stretch that begins at address, which need not be
 * page-aligned. */
void image__locate(const struct image *image, uint64_t address, struct image_stretch *ret_stretch);

/* Is the page at address in a run of `missing`? The answer holds up to *ret_end. */
bool image__is_missing(const struct image *image, uint64_t address, uint64_t *ret_end);

/*
 * Reads memory.
 * Returns 0; -ENXIO if some of it is unmapped; -ENODATA if some of it is in the parent (see
 * image_chain__read); or the -errno of the read. buffer is undefined on failure.
 */
int image__read(const struct image *image, uint64_t address, void *buffer, size_t bytes);

/* Returns the offset in the file of the first byte from offset on that is not in a hole; limit if
 * there is none before it. Some file systems know no holes. */
uint64_t image__skip_hole(const struct image *image, uint64_t offset, uint64_t limit);
/* The same for the first byte that is in a hole. There must be data at offset. */
uint64_t image__skip_data(const struct image *image, uint64_t offset, uint64_t limit);

/*
 * Reads one segment: calls each, unless it is NULL, for every page of it that is not all zeros, in
 * address order, and verifies the checksum. page: PAGE_BYTES bytes, aligned, valid during the call.
 * Returns 0; or, with a message, -EBADMSG, -IMAGE_CUT_OFF or a read's -errno.
 */
int image__scan_segment(const struct image *image, size_t index,
			void (*each)(uint64_t address, const void *page, void *argument),
			void *argument, char *message);

/* Verifies the checksum of one segment. Returns the same. */
int image__check_segment(const struct image *image, size_t index, char *message);

/* The same for all segments; stops at the first that is wrong. */
int image__check(const struct image *image, char *message);

/* An image, and the images that it adds to if it is an increment. */
struct image_chain {
	struct image *images[IMAGE_CHAIN_MAX]; /* from the one asked for to the full one */
	size_t count;
};

/*
 * Opens an image with its parents. A parent is looked for at the path that the image names, and
 * then under the same name in the folder of the image.
 * Returns 0, or as image__open does; -EBADMSG also if a parent is the wrong image (it has another
 * id, or a depth that is not lower, so that the chain might have no end); -EFBIG also if the chain
 * is too long or has too many notes. *ret_chain is untouched on failure.
 */
int image_chain__open(const char *path, struct image_chain *ret_chain, char *message);
void image_chain__free(struct image_chain *chain);

/* As image__locate, through all parents. *ret_image: whose file has the bytes of IMAGE_DATA. The
 * kind is never IMAGE_UNCHANGED. */
void image_chain__locate(const struct image_chain *chain, uint64_t address,
			 struct image_stretch *ret_stretch, const struct image **ret_image);

/* As image__check, for all images of the chain. Shows progress, see base/progress.h. */
int image_chain__check(const struct image_chain *chain, char *message);

/* As image__read, through all parents; never -ENODATA. */
int image_chain__read(const struct image_chain *chain, uint64_t address, void *buffer,
		      size_t bytes);

/* ---- checksums ---- */

/* Are all bytes zero? bytes is a multiple of 64, and from is aligned to 8. */
bool image__is_zero(const void *from, size_t bytes);

/* The checksum of consecutive pages. Zero-initialised: of no pages. */
struct image_sum {
	uint32_t crc;
	uint64_t bytes; /* that the CRC covers */
};

/*
 * Continues the checksum of a segment over whole pages. It is zlib's CRC-32. For each page that is
 * not all zeros it covers the address (8 bytes, little endian) and the page. So a page of zeros may
 * be in the file or a hole.
 */
void image__sum(struct image_sum *sum, uint64_t address, const void *pages, size_t bytes);
/* Makes *sum the checksum of its pages and of the pages of next, which follow them. */
void image__add_sum(struct image_sum *sum, const struct image_sum *next);
/* Continues such a CRC over one page that is not all zeros. */
uint32_t image__crc_page(uint32_t crc, uint64_t address, const void *page);

/* ---- writing ---- */

enum { IMAGE_OUT_BYTES = 1 << 16 };

/*
 * Writes one image. Usable inside a signal handler: zlib's memory is a part of it. About 460 KiB:
 * allocate it with mmap. The fields are the writer's own, but for `failure` and
 * `output.compressed`.
 */
struct image_writer {
	struct image_failure failure; /* of the last call that failed */
	struct image *image;
	uint64_t address; /* of the next byte of memory */
	size_t segment;   /* that is being written */
	uint64_t counted; /* bytes of notes */
	uint64_t head_bytes, notes_bytes;
	uint64_t end; /* of the last segment, in the file */
	uint32_t header_crc;
	bool counting; /* the notes are only counted */
	int err;       /* of the first byte of headers and notes that could not be added */
	size_t out_bytes;
	struct image_output output;
	_Alignas(16) unsigned char out[IMAGE_OUT_BYTES]; /* headers and notes on their way */
};

/*
 * Begins an image: opens its file, a temporary one beside path.
 * writer: all of it is set; it must not be moved until commit or abort. path: where the image will
 * be in the end; compressed if it ends in ".gz".
 * Returns 0 or -errno as image_output__open does. On failure nothing is left behind.
 */
int image_writer__open(struct image_writer *writer, const char *path);

/*
 * Writes headers and notes. image: complete but for offset and crc of the segments, which are set
 * here and by what follows; borrowed until commit or abort. All that is said above must hold for
 * it. Returns 0, -IMAGE_MANY_SEGMENTS or -errno; on failure the caller calls image_writer__abort.
 */
int image_writer__begin(struct image_writer *writer, struct image *image);

/* Adds the next whole pages of the segments that have bytes, in address order. All pages of a call
 * belong to one segment. Pages of zeros become holes. Returns 0; -EPROTO if no segment has room for
 * them; or -errno; on failure the caller calls image_writer__abort. */
int image_writer__pages(struct image_writer *writer, const void *pages, size_t bytes);
/* The same for pages that are all zeros. */
int image_writer__zeros(struct image_writer *writer, uint64_t bytes);

/*
 * Ends the image: checksums, fsync, rename to its path, fsync of the folder. Returns 0, -EPROTO if
 * pages are missing, or -errno. On failure path is as it was, and the temporary file is gone. But
 * if only the fsync of the folder failed, the new image is there.
 */
int image_writer__commit(struct image_writer *writer);

/* Gives up: removes the temporary file. Harmless after a failure, and after a commit. */
void image_writer__abort(struct image_writer *writer);

#endif

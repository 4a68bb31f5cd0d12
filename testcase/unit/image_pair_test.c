/* SPDX-License-Identifier: BSD-2-Clause
 *
 * Tests of the pairs of sockets of an image: their packets are found, and pairs that cannot be are
 * refused, whatever is in them.
 */
#include <string.h>
#include <sys/socket.h>

#include "image/image_pair.h"
#include "random.h"
#include "tap.h"

enum { FIRST = 5, SECOND = 23, LONE = 42, ROUNDS = 23000 };

/* The packets "one", "" and "seven", behind a byte of something else; and a stream. */
static const unsigned char contents[] = "x\3\0\0\0one\0\0\0\0\5\0\0\0seven"
					"stream";

struct sample {
	struct image image;
	struct image_object objects[3];
};

static void make_sample(struct sample *s)
{
	*s = (struct sample){
		.image = {.object_count = 3,
			  .contents = contents,
			  .contents_bytes = sizeof(contents)},
		.objects = {{.fd = FIRST,
			     .kind = IMAGE_PAIR,
			     .values = {SECOND, SOCK_SEQPACKET, 1 << 16 | 1ULL << 48, 1},
			     .contents = 1,
			     .bytes = 20},
			    {.fd = SECOND,
			     .kind = IMAGE_PAIR,
			     .values = {FIRST, SOCK_SEQPACKET | (uint64_t)IMAGE_SHUT_WRITE << 32}},
			    {.fd = LONE,
			     .kind = IMAGE_PAIR,
			     .values = {IMAGE_CLOSED_END, SOCK_STREAM | 3ULL << 32},
			     .contents = 21,
			     .bytes = 6}},
	};
	s->image.objects = s->objects;
}

static void expect_packet(const struct sample *s, const struct image_object *pair, size_t *at,
			  const char *wanted)
{
	struct image_packet packet = {0};

	tap__ok(image_pair__next(&s->image, pair, at, &packet) && packet.length == strlen(wanted) &&
			memcmp(packet.bytes, wanted, packet.length) == 0,
		"the packet '%s'", wanted);
}

static void test_packets(void)
{
	struct image_packet packet;
	struct sample s;
	size_t at = 0;

	make_sample(&s);
	tap__ok(image_pair__check(&s.image), "pairs as they are");
	tap__ok(image_pair__other(&s.image, &s.objects[0]) == &s.objects[1] &&
			image_pair__other(&s.image, &s.objects[1]) == &s.objects[0] &&
			!image_pair__other(&s.image, &s.objects[2]),
		"the other ends");
	expect_packet(&s, &s.objects[0], &at, "one");
	expect_packet(&s, &s.objects[0], &at, "");
	expect_packet(&s, &s.objects[0], &at, "seven");
	tap__ok(!image_pair__next(&s.image, &s.objects[0], &at, &packet), "no more");
	at = 0;
	expect_packet(&s, &s.objects[2], &at, "stream");
	tap__ok(!image_pair__next(&s.image, &s.objects[2], &at, &packet), "no more of a stream");
	at = 0;
	tap__ok(!image_pair__next(&s.image, &s.objects[1], &at, &packet), "nothing");
}

static const struct {
	const char *what;
	size_t object, value; /* which is changed */
	uint64_t to;
} values[] = {
	{"a type that is not known", 2, 1, SOCK_RAW},
	{"no type", 2, 1, 0},
	{"two types", 0, 1, SOCK_DGRAM},
	{"an end that is shut down for what is not known", 2, 1, SOCK_STREAM | 4ULL << 32},
	{"a buffer of 2 GiB", 0, 2, 1ULL << 31},
	{"another buffer of 2 GiB", 0, 2, 1ULL << 63},
	{"an option that is not known", 0, 3, 2},
	{"another end that is not there", 0, 0, 24},
	{"another end that has another one", 2, 0, FIRST},
	{"itself as the other end", 0, 0, FIRST},
	{"a negative descriptor", 0, 0, UINT64_MAX - 1},
	{"a descriptor of 64 bits", 0, 0, 1ULL << 32 | SECOND},
};

static void test_values(void)
{
	struct sample s;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		make_sample(&s);
		s.objects[values[i].object].values[values[i].value] = values[i].to;
		tap__ok(!image_pair__check(&s.image), "%s", values[i].what);
	}
	make_sample(&s);
	s.objects[1].kind = IMAGE_PIPE;
	tap__ok(!image_pair__check(&s.image), "a pipe as the other end");
}

static void test_lengths(void)
{
	bool is_refused = true;
	struct sample s;

	for (uint32_t bytes = 1; bytes < 20; bytes++) {
		make_sample(&s);
		s.objects[0].bytes = bytes;
		is_refused =
			is_refused && image_pair__check(&s.image) == (bytes == 7 || bytes == 11);
	}
	tap__ok(is_refused, "packets that are cut off");
	make_sample(&s);
	s.objects[0].contents = 0;
	tap__ok(!image_pair__check(&s.image), "a packet that is longer than all");
}

/* Whatever a pair is, its packets lie inside its contents if it is accepted. */
static void test_garbage(uint64_t seed)
{
	unsigned char bytes[64];
	size_t accepted = 0, outside = 0;
	struct sample s;

	random__seed(seed);
	for (size_t i = 0; i < ROUNDS; i++) {
		struct image_object *pair = &s.objects[2];
		struct image_packet packet;
		size_t at = 0;

		make_sample(&s);
		for (size_t k = 0; k < sizeof(bytes); k++)
			bytes[k] = random__below(3) ? 0 : (unsigned char)random__below(8);
		s.image.contents = bytes;
		s.image.contents_bytes = sizeof(bytes);
		s.image.objects = pair;
		s.image.object_count = 1;
		pair->values[1] = random__below(7);
		pair->contents = (uint32_t)random__below(sizeof(bytes));
		pair->bytes = (uint32_t)random__below(sizeof(bytes) - pair->contents + 1);
		if (!image_pair__check(&s.image))
			continue;
		accepted++;
		while (image_pair__next(&s.image, pair, &at, &packet))
			outside +=
				packet.bytes < bytes + pair->contents ||
				packet.bytes + packet.length > bytes + pair->contents + pair->bytes;
		outside += at != pair->bytes;
	}
	tap__ok(accepted > 0 && accepted < ROUNDS && outside == 0,
		"garbage with seed %" PRIu64 ": some is accepted, nothing outside", seed);
}

int main(int argc, char **argv)
{
	const uint64_t seed = random__seed_of(argc, argv, 23);

	tap__plan(9 + sizeof(values) / sizeof(values[0]) + 1 + 2 + 1);
	test_packets();
	test_values();
	test_lengths();
	test_garbage(seed);
	return tap__done();
}

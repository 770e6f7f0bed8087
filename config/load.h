/* SPDX-License-Identifier: ISC */
/*
 * From a file to an image under construction: inih reads lines through our own
 * reader, the table of schema.c turns them into fields, check.c resolves names
 * and applies rules that concern several keys.
 */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include <stdio.h>

#include "config/config.h"

/*
 * An image under construction: grows, so pointers into it die with the next
 * call; hold offsets. Owned by the caller, released by builder_free().
 */
struct builder {
	uint8_t *data; /* struct config first */
	size_t len;
	size_t cap;
	const char *path;	  /* of the file, borrowed */
	struct place_line *lines; /* heap: where its keys stand */
	uint32_t n_lines;
};

/*
 * All errors and warnings of one run, one message a line: what single lines
 * say in file order, then what concerns several. Zeroed is empty. The counts
 * go on when the text has reached PROBLEMS_TEXT_MAX.
 */
#define PROBLEMS_TEXT_MAX (1u << 20)
struct problems {
	char *errors; /* heap, NUL-terminated; NULL: none */
	char *warnings;
	uint32_t n_errors;
	uint32_t n_warnings;
};

__attribute__((format(printf, 2, 3))) void problems_error(
    struct problems *problems, const char *format, ...);
__attribute__((format(printf, 2, 3))) void problems_warn(
    struct problems *problems, const char *format, ...);
void problems_free(struct problems *problems);

/* The next message of errors or warnings, without its LF, and *lines behind it.
 * False: there is none (left); *lines may be NULL. */
bool problems_next(const char **lines, struct span *out_line);

/*
 * Reads and checks the text of a file; messages begin "PATH:LINE: ". Returns a
 * builder with every default filled in and every name resolved, or NULL with at
 * least one error. No other file is looked at.
 */
struct builder *config_load_text(
    const char *path, struct span text, struct problems *problems);

static inline struct config *
builder_config(struct builder *builder)
{
	return (struct config *)(void *)builder->data;
}

/* The sections, to be written to; pointers into the image, as above. */
#define BUILDER_ACCESSOR(name, member)                                         \
	static inline struct config_##name *builder_##name##_at(               \
	    struct builder *builder, uint32_t index)                           \
	{                                                                      \
		uint32_t off = builder_config(builder)->member.off;            \
		return (struct config_##name *)(void *)(builder->data + off) + \
		       index;                                                  \
	}
BUILDER_ACCESSOR(listen, listens)
BUILDER_ACCESSOR(tls, tls)
BUILDER_ACCESSOR(certificate, certificates)
BUILDER_ACCESSOR(pool, pools)
BUILDER_ACCESSOR(backend, backends)
#undef BUILDER_ACCESSOR

/* "PATH:LINE" of a key in the section that begins in section_line ([gateway]
 * and [limits]: whichever it is), or of the section where the key is not given.
 * PATH alone: it is in no line. */
#define PLACE_MAX 4128
const char *builder_place(const struct builder *builder, const char *section,
    uint32_t section_line, const char *key, char out[PLACE_MAX]);

/* An image with nothing in it but a zeroed struct config. */
struct builder *builder_new(void);

/*
 * Appends len octets (data NULL: zeros) at an offset that is a multiple of
 * align (a power of two up to 16) and returns the offset. Out of memory is
 * fatal, as at every start. The image is limited to 1 GB.
 */
uint32_t builder_append(
    struct builder *builder, const void *data, size_t len, size_t align);

/* The same for the n elements of an array of size octets each. */
struct items builder_items(struct builder *builder, const void *data, size_t n,
    size_t size, size_t align);

/* Appends the octets and a NUL. An empty span gives {0, 0}. */
struct text builder_text(struct builder *builder, struct span bytes);

/*
 * A list of texts, zeroed at first: the texts go to the image one by one, the
 * array of them behind the last. text_list_end() frees what it holds.
 */
struct text_list {
	struct text *texts; /* heap */
	uint32_t n;
};
void text_list_add(
    struct builder *builder, struct text_list *list, struct span bytes);
struct items text_list_end(struct builder *builder, struct text_list *list);

/* A copy of such a list in another image. */
struct items builder_copy_texts(
    struct builder *builder, const struct config *from, struct items items);

void builder_free(struct builder *builder);

/* Writes the effective configuration as a file that loads to the same (-T). */
void config_print(const struct config *config, FILE *file);

/*
 * The names of the RESTART keys whose values differ, "[gateway] workers" one
 * a line, into out; false: none differ.
 */
bool config_restart_differs(const struct config *running,
    const struct config *wanted, struct outbuf *out);

/*
 * Gives the listeners the order that they have in `running`: sockets and
 * sessions know theirs by its index, wherever the file puts it now.
 */
void config_keep_order(struct builder *builder, const struct config *running);

#endif

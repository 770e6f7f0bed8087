/* SPDX-License-Identifier: ISC */
/* needs: backends/probe.c backends/reply.c backends/proxyhdr.c */
/* needs: proxy/base/addr.c proxy/base/parse.c proxy/base/imaplex.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/*
 * A backend that says anything. First octet: how the client is told; second:
 * where reads split. The dialogue is the same for every split, what is kept is
 * printable and bounded, and we never say more than our few commands.
 */
#include <stdlib.h>
#include <string.h>

#include "backends/probe.h"
#include "proxy/base/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct talk {
	struct probe probe;
	enum probe_status status;
	uint8_t said[PROBE_OUT_MAX];
	struct outbuf out;
};

static void
feed(struct talk *talk, const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + 1);
	ENSURE(copy != NULL);
	if (size > 0)
		memcpy(copy + 1, data, size);
	enum probe_status status =
	    probe_feed(&talk->probe, span_of(copy + 1, size), &talk->out);
	ENSURE(talk->status == PROBE_WAIT || status == PROBE_DONE);
	talk->status = status;
	free(copy);
}

static void
run(struct talk *talk, uint32_t client_ip, const uint8_t *data, size_t size,
    size_t step)
{
	struct backend backend = {.client_ip = client_ip,
	    .endpoint = {.addr = {.family = ADDR_IPV4, .port = 143}}};
	struct addr local = {.family = ADDR_IPV6, .port = 50000};

	outbuf_init(&talk->out, talk->said, sizeof(talk->said));
	probe_init(&talk->probe, &backend);
	talk->status = probe_connected(&talk->probe, &local, &talk->out);
	for (size_t at = 0; at < size; at += step)
		feed(talk, data + at, size - at < step ? size - at : step);
	talk->status = probe_eof(&talk->probe);
	ENSURE(talk->status == PROBE_DONE);
	ENSURE(!talk->out.overflow);
}

static void
check_printable(const char *text, size_t max)
{
	size_t len = strnlen(text, max);
	ENSURE(len < max);
	for (size_t i = 0; i < len; i++)
		ENSURE(text[i] >= 0x20 && text[i] <= 0x7e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct talk whole, split;

	if (size < 2)
		return 0;
	run(&whole, data[0] % 4, data + 2, size - 2, SIZE_MAX / 2);
	run(&split, data[0] % 4, data + 2, size - 2, 1 + data[1] % 16);
	check_printable(whole.probe.text, sizeof(whole.probe.text));
	check_printable(
	    whole.probe.capabilities, sizeof(whole.probe.capabilities));
	ENSURE(whole.probe.verdict == split.probe.verdict);
	ENSURE(strcmp(whole.probe.text, split.probe.text) == 0);
	ENSURE(strcmp(whole.probe.capabilities, split.probe.capabilities) == 0);
	ENSURE(span_equal(outbuf_span(&whole.out), outbuf_span(&split.out)));
	/* Good is only who answered what we asked: both commands were sent. */
	ENSURE(whole.probe.verdict != PROBE_GOOD ||
	       memmem(whole.said, whole.out.len, " LOGOUT\r\n", 9) != NULL);
	probe_fini(&whole.probe);
	probe_fini(&split.probe);
	return 0;
}

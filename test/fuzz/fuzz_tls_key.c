/* SPDX-License-Identifier: ISC */
/* needs: tls/key.c tls/key_client.c proxy/base/span.c proxy/base/ensure.c */
/* libs: boringssl */
/*
 * The keeper's two parsers and that of its answers. What passes as a handshake
 * must have one of the four forms, and one octet more or less must not pass; a
 * set of keys is made of the same octets, and a request of them is always
 * answered.
 */
#include <string.h>

#include "proxy/base/ensure.h"
#include "tls/key_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_form(struct span input)
{
	static const uint8_t spaces[64] =
	    "                                                               ";
	bool is_tls13 = input.len >= 98 && memcmp(input.data, spaces, 63) == 0;

	switch (key_form_of(input)) {
	case KEY_FORM_NONE:
		return;
	case KEY_FORM_SERVER_12:
		ENSURE(input.len <= 64 + 4 + 133);
		ENSURE(input.len >= 64 + 4 + 32);
		ENSURE(input.data[64] == 3);
		break;
	case KEY_FORM_SERVER_13:
	case KEY_FORM_CLIENT_13:
		ENSURE(is_tls13);
		break;
	case KEY_FORM_CLIENT_12:
		ENSURE(input.len >= 8 * 4 + 2 * 34 && input.data[0] == 1);
		break;
	}
	ENSURE(key_form_of(span_of(input.data, input.len - 1)) !=
	       key_form_of(input));
}

static void
check_request(struct span input, const struct key_set *set)
{
	struct key_request request = {.id = 1};
	struct key_reply reply;

	if (input.len >= sizeof(request.spki) + 2) {
		memcpy(request.spki, input.data, sizeof(request.spki));
		request.algorithm =
		    (uint16_t)(input.data[32] << 8 | input.data[33]);
		span_advance(&input, 34);
	}
	request.len = (uint16_t)input.len; /* may lie */
	memcpy(request.input, input.data,
	    input.len < KEY_INPUT_MAX ? input.len : KEY_INPUT_MAX);
	key_sign(set, set, &request, &reply);
	ENSURE(reply.id == 1 && reply.len <= KEY_SIGNATURE_MAX);
	ENSURE((reply.status == KEY_OK) == (reply.len > 0));
}

static void
check_replies(struct span message)
{
	struct key_reply reply;
	size_t len = message.len;

	while (key_next_reply(&message, &reply)) {
		ENSURE(reply.len <= KEY_SIGNATURE_MAX);
		len -= key_reply_size(&reply);
		ENSURE(message.len == len);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span input = span_of(data, size);
	struct key_set *set;

	if (size == 0)
		return 0;
	check_form(input);
	check_replies(input);
	set = key_set_new(input);
	check_request(input, set);
	key_set_free(set);
	return 0;
}

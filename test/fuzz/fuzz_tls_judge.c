/* SPDX-License-Identifier: ISC */
/* needs: tls/judge.c tls/x509.c tls/names.c */
/* needs: proxy/base/span.c proxy/base/ensure.c */
/* libs: boringssl */
/*
 * A chain and a key in PEM, in one file. Every verdict has a reason, and a name
 * that a certificate is served for is in normal form and matches itself.
 */
#include <string.h>

#include "proxy/base/ensure.h"
#include "tls/judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_names(const struct judged *judged)
{
	char name[254], again[254];

	for (size_t i = 0; i < judged_n_names(judged); i++) {
		if (!judged_name(judged, i, name)) {
			ENSURE(name[0] == '\0');
			continue;
		}
		ENSURE(strlen(name) > 0 && strlen(name) < sizeof(name));
		ENSURE(judge_normalise(span_str(name), again));
		ENSURE(strcmp(name, again) == 0);
		ENSURE(judge_matches(name, name));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct judged judged;
	struct fault fault;
	struct span pem = span_of(data, size);

	if (size == 0 || size > 65536)
		return 0;
	memset(&judged, 0, sizeof(judged));
	memset(&fault, 0, sizeof(fault));
	if (judged_read_chain(&judged, pem, &fault)) {
		ENSURE(judged.n_chain > 0 && judged.n_chain <= JUDGE_CHAIN_MAX);
		check_names(&judged);
		(void)judged_is_self_signed(&judged);
		if (judged_read_key(&judged, pem, &fault) &&
		    judged_check(
			&judged, judged.not_before, span_of("", 0), &fault))
			ENSURE(!judged_check(&judged, judged.not_before - 1,
			    span_of("", 0), &fault));
		else
			ENSURE(fault.why[0] != '\0');
	} else {
		ENSURE(fault.why[0] != '\0');
	}
	judged_fini(&judged);
	return 0;
}

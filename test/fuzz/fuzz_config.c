/* SPDX-License-Identifier: ISC */
/* needs: config/builder.c config/check.c config/draft.c config/load.c */
/* needs: config/print.c config/schema.c config/value.c */
/* needs: config/value_format.c config/value_list.c */
/* needs: proxy/base/addr.c proxy/base/ensure.c proxy/base/parse.c */
/* needs: proxy/base/span.c */
/* libs: inih */
/*
 * Any octets either load or have an error; what loads is printed to something
 * that loads and prints to the same, and differs in no RESTART key.
 */
#include <stdlib.h>
#include <string.h>

#include "config/load.h"
#include "proxy/base/ensure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct span
print(struct builder *builder)
{
	char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);

	ENSURE(file != NULL);
	config_print(builder_config(builder), file);
	fclose(file);
	return span_of(text, len);
}

static void
check_round_trip(struct builder *builder)
{
	struct problems problems = {0};
	uint8_t buf[256];
	struct outbuf differences;
	struct span printed = print(builder);
	struct builder *second = config_load_text("2", printed, &problems);

	ENSURE(second != NULL && problems.n_errors == 0);
	struct span again = print(second);
	ENSURE(span_equal(printed, again));
	outbuf_init(&differences, buf, sizeof(buf));
	ENSURE(!config_restart_differs(
	    builder_config(builder), builder_config(second), &differences));
	free((void *)(uintptr_t)printed.data);
	free((void *)(uintptr_t)again.data);
	builder_free(second);
	problems_free(&problems);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct problems problems = {0};
	struct builder *builder =
	    config_load_text("1", span_of(data, len), &problems);

	ENSURE((builder == NULL) == (problems.n_errors > 0));
	ENSURE((problems.errors == NULL) == (problems.n_errors == 0));
	if (builder != NULL)
		check_round_trip(builder);
	builder_free(builder);
	problems_free(&problems);
	return 0;
}

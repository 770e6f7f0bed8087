/* SPDX-License-Identifier: ISC */
/*
 * Writes values by their type, so that value_parse() reads the same. Called by
 * print.c for -T and for comparing, by load.c to know what would be too long.
 */
#include "config/value.h"

#include <string.h>

#include "proxy/base/ensure.h"

/* A field, its row, the struct it is in, and the image its texts are in. */
struct view {
	const struct config *image;
	const struct row *row;
	const void *fields;
	const void *field;
};

static uint32_t
fetch(const struct row *row, const void *field)
{
	if (row->width == 1)
		return *(const bool *)field;
	if (row->width == 2)
		return *(const uint16_t *)field;
	return *(const uint32_t *)field;
}

void
value_put_duration(struct outbuf *out, uint64_t ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000},
	    {"ms", 1}};
	size_t i = 0;

	if (ms == 0)
		i = 3;
	else
		while (ms % units[i].ms != 0)
			i++;
	outbuf_printf(out, "%llu%s", (unsigned long long)(ms / units[i].ms),
	    units[i].name);
}

static void
format_text(const struct view *view, struct outbuf *out)
{
	outbuf_put(
	    out, config_span(view->image, *(const struct text *)view->field));
}

static void
format_text_or(const struct view *view, const char *empty, struct outbuf *out)
{
	if (((const struct text *)view->field)->len == 0)
		outbuf_puts(out, empty);
	else
		format_text(view, out);
}

static void
format_path_off(const struct view *view, struct outbuf *out)
{
	format_text_or(view, "off", out);
}

static void
format_capabilities(const struct view *view, struct outbuf *out)
{
	format_text_or(view, "auto", out);
}

static void
format_number(const struct view *view, struct outbuf *out)
{
	outbuf_printf(out, "%u", fetch(view->row, view->field));
}

static void
format_auto_number(const struct view *view, struct outbuf *out)
{
	if (fetch(view->row, view->field) == 0)
		outbuf_puts(out, "auto");
	else
		format_number(view, out);
}

static void
format_time(const struct view *view, struct outbuf *out)
{
	value_put_duration(out, *(const uint64_t *)view->field);
}

static void
format_rate(const struct view *view, struct outbuf *out)
{
	const struct config_rate *rate = view->field;

	if (rate->count == 0) {
		outbuf_puts(out, "auto");
		return;
	}
	outbuf_printf(out, "%llu/", (unsigned long long)rate->count);
	if (rate->period_ms == 1000)
		outbuf_puts(out, "s");
	else
		value_put_duration(out, rate->period_ms);
}

static void
format_choice(const struct view *view, struct outbuf *out)
{
	const struct word *word = view->row->words;

	while (
	    word->text != NULL && word->value != fetch(view->row, view->field))
		word++;
	ENSURE(word->text != NULL);
	outbuf_puts(out, word->text);
}

static void
format_flags(const struct view *view, struct outbuf *out)
{
	const char *separator = "";

	for (const struct word *word = view->row->words; word->text != NULL;
	     word++) {
		if (!(fetch(view->row, view->field) & word->value))
			continue;
		outbuf_puts(out, separator);
		outbuf_puts(out, word->text);
		separator = " ";
	}
}

static void
format_log(const struct view *view, struct outbuf *out)
{
	const struct config_gateway *gateway = view->fields;

	if (gateway->log == LOG_TO_FILE)
		outbuf_put(out, config_span(view->image, gateway->log_path));
	else
		outbuf_puts(
		    out, gateway->log == LOG_TO_SYSLOG ? "syslog" : "stderr");
}

static void
format_audit(const struct view *view, struct outbuf *out)
{
	const struct config_gateway *gateway = view->fields;

	if (gateway->audit == LOG_TO_SYSLOG)
		outbuf_puts(out, "syslog");
	else
		outbuf_put(out, config_span(view->image, gateway->audit_log));
}

static void
format_endpoint_off(const struct view *view, struct outbuf *out)
{
	const struct addr *addr = view->field;
	char buf[ADDR_TEXT_MAX];

	if (addr->family == ADDR_NONE)
		outbuf_puts(out, "off");
	else
		outbuf_puts(out, addr_text(addr, buf));
}

static void
format_backend(const struct view *view, struct outbuf *out)
{
	const struct config_backend *backend = view->fields;
	struct span host = config_span(view->image, backend->host);

	if (host.len == 0) {
		outbuf_puts(out, "unix:");
		outbuf_put(out, config_span(view->image, backend->unix_path));
		return;
	}
	bool is_v6 = memchr(host.data, ':', host.len) != NULL;
	outbuf_puts(out, is_v6 ? "[" : "");
	outbuf_put(out, host);
	outbuf_printf(out, "%s:%u", is_v6 ? "]" : "", backend->port);
}

static void
format_list(const struct view *view, struct outbuf *out)
{
	value_list_format(
	    view->image, view->row, *(const struct items *)view->field, out);
}

static void (*const writers[])(const struct view *view, struct outbuf *out) = {
    [VALUE_TEXT] = format_text,
    [VALUE_PATH] = format_text,
    [VALUE_PATH_OFF] = format_path_off,
    [VALUE_NUMBER] = format_number,
    [VALUE_AUTO_NUMBER] = format_auto_number,
    [VALUE_DURATION] = format_time,
    [VALUE_RATE] = format_rate,
    [VALUE_AUTO_RATE] = format_rate,
    [VALUE_CHOICE] = format_choice,
    [VALUE_FLAGS] = format_flags,
    [VALUE_LOG] = format_log,
    [VALUE_AUDIT] = format_audit,
    [VALUE_ENDPOINT_OFF] = format_endpoint_off,
    [VALUE_BACKEND] = format_backend,
    [VALUE_SECTION] = format_text,
    [VALUE_PIN] = format_text,
    [VALUE_CAPABILITIES] = format_capabilities,
    [VALUE_ENDPOINTS] = format_list,
    [VALUE_ADDRESSES] = format_list,
    [VALUE_NETWORKS] = format_list,
    [VALUE_SECTIONS] = format_list,
    [VALUE_HOSTS] = format_list,
    [VALUE_PINS] = format_list,
    [VALUE_LADDER] = format_list,
};

void
value_format(const struct config *image, const struct row *row,
    const void *fields, struct outbuf *out)
{
	struct view view = {
	    image, row, fields, (const char *)fields + row->off};

	writers[row->type](&view, out);
}

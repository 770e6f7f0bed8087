/* SPDX-License-Identifier: ISC */
/*
 * Reads values by their type. Called by load.c for what a file and the
 * defaults say. Invariant: what value_format() writes is read as the same.
 */
#include "config/value.h"

#include <stdio.h>
#include <string.h>

#include "proxy/base/ensure.h"
#include "proxy/base/parse.h"

struct job {
	struct builder *builder;
	const struct row *row;
	struct span text;
	void *fields; /* the struct of the section */
	void *field;  /* the member of the row in it */
};

static bool
is_word(struct span text, const char *word)
{
	return span_equal(text, span_str(word));
}

static void
store(const struct job *job, uint32_t value)
{
	ENSURE(job->row->width == 1 || job->row->width == 2 ||
	       job->row->width == 4);
	if (job->row->width == 1)
		*(bool *)job->field = value != 0;
	else if (job->row->width == 2)
		*(uint16_t *)job->field = (uint16_t)value;
	else
		*(uint32_t *)job->field = value;
}

static void
store_text(const struct job *job, struct span text)
{
	*(struct text *)job->field = builder_text(job->builder, text);
}

bool
value_is_pin(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') ||
			(c >= 'A' && c <= 'F')))
			return false;
	}
	return text.len == 64;
}

/* Letters, digits, "-", "_" and dots, no empty label (RFC 1123, 2.1). */
bool
value_is_host(struct span text)
{
	uint8_t previous = '.';

	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];
		if (!schema_is_name(span_of(&c, 1)))
			return false;
		if (c == '.' && previous == '.')
			return false;
		previous = c;
	}
	return text.len >= 1 && text.len <= 253;
}

static bool
parse_text(const struct job *job)
{
	if (job->text.len < job->row->min)
		return false;
	store_text(job, job->text);
	return true;
}

#define PATH_LEN_MAX 4000

static bool
parse_path(const struct job *job)
{
	uint64_t max = job->row->max > 0 ? job->row->max : PATH_LEN_MAX;

	if (job->text.len < job->row->min || job->text.len > max)
		return false;
	if (job->text.len > 0 && job->text.data[0] != '/')
		return false;
	store_text(job, job->text);
	return true;
}

static bool
parse_path_off(const struct job *job)
{
	if (!is_word(job->text, "off"))
		return job->text.len > 0 && parse_path(job);
	*(struct text *)job->field = (struct text){0, 0};
	return true;
}

static bool
parse_number(const struct job *job)
{
	uint64_t number;

	if (!parse_u64(job->text, job->row->min, job->row->max, &number))
		return false;
	store(job, (uint32_t)number);
	return true;
}

static bool
parse_auto_number(const struct job *job)
{
	if (!is_word(job->text, "auto"))
		return parse_number(job);
	store(job, 0);
	return true;
}

static bool
parse_time(const struct job *job)
{
	uint64_t ms;

	if (!parse_duration(job->text, &ms) || ms < job->row->min ||
	    ms > job->row->max)
		return false;
	*(uint64_t *)job->field = ms;
	return true;
}

static bool
parse_config_rate(const struct job *job)
{
	struct config_rate rate;

	if (!parse_rate(job->text, &rate.count, &rate.period_ms))
		return false;
	*(struct config_rate *)job->field = rate;
	return true;
}

static bool
parse_auto_rate(const struct job *job)
{
	if (!is_word(job->text, "auto"))
		return parse_config_rate(job);
	*(struct config_rate *)job->field = (struct config_rate){0, 0};
	return true;
}

static const struct word *
find_word(const struct row *row, struct span text)
{
	const struct word *word = row->words;

	while (word->text != NULL && !is_word(text, word->text))
		word++;
	return word->text == NULL ? NULL : word;
}

static bool
parse_choice(const struct job *job)
{
	const struct word *word = find_word(job->row, job->text);

	if (word == NULL)
		return false;
	store(job, word->value);
	return true;
}

static bool
parse_flags(const struct job *job)
{
	struct span rest = job->text, item;
	uint32_t flags = 0;

	while (parse_next_item(&rest, &item)) {
		const struct word *word = find_word(job->row, item);
		if (word == NULL)
			return false;
		flags |= word->value;
	}
	store(job, flags);
	return true;
}

static bool
parse_log(const struct job *job)
{
	struct config_gateway *gateway = job->fields;
	bool is_path = job->text.len > 0 && job->text.data[0] == '/';

	if (is_word(job->text, "stderr"))
		gateway->log = LOG_TO_STDERR;
	else if (is_word(job->text, "syslog"))
		gateway->log = LOG_TO_SYSLOG;
	else if (is_path)
		gateway->log = LOG_TO_FILE;
	else
		return false;
	gateway->log_path = (struct text){0, 0};
	if (is_path)
		gateway->log_path = builder_text(job->builder, job->text);
	return true;
}

static bool
parse_audit(const struct job *job)
{
	struct config_gateway *gateway = job->fields;

	gateway->audit = job->text.len == 0 ? LOG_TO_STDERR : LOG_TO_FILE;
	if (!is_word(job->text, "syslog"))
		return parse_path(job);
	gateway->audit = LOG_TO_SYSLOG;
	gateway->audit_log = (struct text){0, 0};
	return true;
}

static bool
parse_endpoint_off(const struct job *job)
{
	struct addr addr = {.family = ADDR_NONE};

	if (!is_word(job->text, "off") && !addr_parse(job->text, &addr))
		return false;
	*(struct addr *)job->field = addr;
	return true;
}

static bool
parse_unix(const struct job *job, struct span path)
{
	struct config_backend *backend = job->fields;

	if (path.len < 2 || path.len > job->row->max || path.data[0] != '/')
		return false;
	backend->unix_path = builder_text(job->builder, path);
	backend->host = (struct text){0, 0};
	backend->port = 0;
	return true;
}

static bool
is_bracketed(struct span host)
{
	return host.len > 2 && host.data[0] == '[' &&
	       host.data[host.len - 1] == ']';
}

static bool
parse_host_port(const struct job *job)
{
	struct config_backend *backend = job->fields;
	const uint8_t *colon = memrchr(job->text.data, ':', job->text.len);
	if (colon == NULL)
		return false;
	size_t n = (size_t)(colon - job->text.data);
	struct span host = span_of(job->text.data, n);
	struct span port = span_of(colon + 1, job->text.len - n - 1);
	struct addr addr;
	uint64_t number;

	bool is_v6 = is_bracketed(host);
	if (is_v6)
		host = span_of(host.data + 1, host.len - 2);
	bool is_good =
	    is_v6 ? addr_parse_ip(host, &addr) && addr.family == ADDR_IPV6
		  : value_is_host(host);
	if (!is_good || !parse_u64(port, 1, 65535, &number))
		return false;
	backend->unix_path = (struct text){0, 0};
	backend->host = builder_text(job->builder, host);
	backend->port = (uint32_t)number;
	return true;
}

static bool
parse_backend(const struct job *job)
{
	struct span path = job->text;

	if (path.len == 0)
		return false;
	if (path.len < 5 || memcmp(path.data, "unix:", 5) != 0)
		return parse_host_port(job);
	span_advance(&path, 5);
	return parse_unix(job, path);
}

static bool
parse_section_name(const struct job *job)
{
	if (job->text.len > 0 && !schema_is_name(job->text))
		return false;
	store_text(job, job->text);
	return true;
}

static bool
parse_pin(const struct job *job)
{
	if (job->text.len > 0 && !value_is_pin(job->text))
		return false;
	store_text(job, job->text);
	return true;
}

/* ATOM-CHAR of RFC 9051, less the semicolon, which may begin a comment. */
static bool
is_capability(struct span word)
{
	for (size_t i = 0; i < word.len; i++) {
		uint8_t c = word.data[i];
		if (c <= 0x20 || c >= 0x7f || strchr("(){%*\"\\];", c) != NULL)
			return false;
	}
	return word.len > 0;
}

#define CAPABILITIES_LEN_MAX 1000 /* learned lists are bounded alike */

static bool
parse_capabilities(const struct job *job)
{
	uint8_t buf[CAPABILITIES_LEN_MAX];
	struct outbuf list;
	struct span rest = job->text, word;

	outbuf_init(&list, buf, sizeof(buf));
	if (is_word(job->text, "auto"))
		rest = span_of(NULL, 0);
	else if (rest.len == 0)
		return false;
	while (parse_next_item(&rest, &word)) {
		if (!is_capability(word) || is_word(word, "auto"))
			return false;
		if (list.len > 0)
			outbuf_putc(&list, ' ');
		outbuf_put(&list, word);
	}
	if (list.overflow)
		return false;
	store_text(job, outbuf_span(&list));
	return true;
}

static bool
parse_list(const struct job *job)
{
	return value_list_parse(job->builder, job->row, job->text, job->field);
}

/* What "expected" says; the bounds or the words of the row are added. */
static const struct {
	bool (*parse)(const struct job *job);
	const char *expected;
} types[] = {
    [VALUE_TEXT] = {parse_text, "a text"},
    [VALUE_PATH] = {parse_path, "an absolute path such as /etc/sallyport/file"},
    [VALUE_PATH_OFF] = {parse_path_off,
	"off or an absolute path of at most 107 octets"},
    [VALUE_NUMBER] = {parse_number, "a number"},
    [VALUE_AUTO_NUMBER] = {parse_auto_number, "auto or a number"},
    [VALUE_DURATION] = {parse_time, "a duration such as 30s"},
    [VALUE_RATE] = {parse_config_rate, "a rate such as 50/s or 20/10m"},
    [VALUE_AUTO_RATE] = {parse_auto_rate, "auto or a rate such as 50/s"},
    [VALUE_CHOICE] = {parse_choice, "one of"},
    [VALUE_FLAGS] = {parse_flags, "some of"},
    [VALUE_LOG] = {parse_log, "stderr, syslog or an absolute path"},
    [VALUE_AUDIT] = {parse_audit, "syslog or an absolute path"},
    [VALUE_ENDPOINT_OFF] = {parse_endpoint_off,
	"off or an address such as 127.0.0.1:9930 or [::1]:9930"},
    [VALUE_BACKEND] = {parse_backend, "host:port, [IPv6]:port or unix:/path"},
    [VALUE_SECTION] = {parse_section_name, "the name of a section"},
    [VALUE_PIN] = {parse_pin, "64 hexadecimal digits (SHA-256)"},
    [VALUE_CAPABILITIES] = {parse_capabilities,
	"auto or a list of capabilities such as IMAP4rev1 IDLE"},
    [VALUE_ENDPOINTS] = {parse_list, "addresses such as 0.0.0.0:993, [::]:993"},
    [VALUE_ADDRESSES] = {parse_list,
	"addresses such as 192.0.2.1, 2001:db8::1"},
    [VALUE_NETWORKS] = {parse_list,
	"networks such as 192.0.2.0/24, 2001:db8::/32 (no bits set behind "
	"the prefix)"},
    [VALUE_SECTIONS] = {parse_list, "names of sections"},
    [VALUE_HOSTS] = {parse_list,
	"host names such as mail.example.org, *.example.org"},
    [VALUE_PINS] = {parse_list, "lists of 64 hexadecimal digits (SHA-256)"},
    [VALUE_LADDER] = {parse_list,
	"prefixes and factors such as 64, 56:4, 48:16"},
};

static void
put_words(struct outbuf *out, const struct word *word)
{
	const char *separator = " ";

	for (; word->text != NULL; word++) {
		if (word->text[0] == '\0')
			continue;
		outbuf_puts(out, separator);
		outbuf_puts(out, word->text);
		separator = ", ";
	}
}

static void
explain(const struct row *row, struct outbuf *why)
{
	outbuf_printf(why, "expected %s", types[row->type].expected);
	if (row->words != NULL)
		put_words(why, row->words);
	if (row->type == VALUE_NUMBER || row->type == VALUE_AUTO_NUMBER)
		outbuf_printf(why, " from %llu to %llu",
		    (unsigned long long)row->min, (unsigned long long)row->max);
	if (row->type != VALUE_DURATION)
		return;
	outbuf_puts(why, ", from ");
	value_put_duration(why, row->min);
	outbuf_puts(why, " to ");
	value_put_duration(why, row->max);
}

bool
value_parse(struct builder *builder, const struct row *row, struct span text,
    void *fields, struct outbuf *why)
{
	struct job job = {
	    builder, row, text, fields, (char *)fields + row->off};

	/* The next reader would take it for a comment. */
	if (text.len > 0 && text.data[0] == ';') {
		outbuf_puts(why, "a value can't begin with a semicolon");
		return false;
	}
	if (types[row->type].parse(&job))
		return true;
	explain(row, why);
	return false;
}

/* SPDX-License-Identifier: ISC */
/* needs: config/builder.c config/check.c config/draft.c config/load.c */
/* needs: config/print.c config/schema.c config/value.c */
/* needs: config/value_format.c config/value_list.c config/snapshot.c */
/* needs: proxy/base/addr.c proxy/base/ensure.c proxy/base/parse.c */
/* needs: proxy/base/span.c */
/* libs: inih */
/*
 * A configuration as a whole: what loads, what it then says, printing it and
 * reading that, what differs, sealing. Errors are in test_config_errors.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "config/snapshot.h"

#define MINIMAL                                           \
	"[listen a]\n"                                    \
	"[pool p]\n"                                      \
	"[certificate c]\nchain = /c.pem\nkey = /c.key\n" \
	"[backend b]\naddress = mail.example.org:143\n"   \
	"client_ip = proxy_v2\n"

static struct builder *
load_span(struct span text)
{
	struct problems problems = {0};
	struct builder *builder = config_load_text("f", text, &problems);

	if (builder == NULL)
		print_error("%s", problems.errors);
	assert_non_null(builder);
	problems_free(&problems);
	return builder;
}

static struct builder *
load(const char *text)
{
	return load_span(span_str(text));
}

static char *
print(const struct builder *builder)
{
	char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	assert_non_null(file);
	config_print((const struct config *)(const void *)builder->data, file);
	fclose(file);
	return text;
}

static void
assert_text(const struct config *config, struct text text, const char *want)
{
	assert_string_equal(config_text(config, text), want);
	assert_int_equal(text.len, strlen(want));
}

static void
test_minimal_takes_defaults(void **state)
{
	(void)state;
	struct builder *builder = load(MINIMAL);
	const struct config *config = builder_config(builder);

	assert_text(config, config->gateway.user, "sallyport");
	assert_true(config->gateway.workers >= 1);
	assert_true(config->gateway.workers <= 64);
	assert_int_equal(config->gateway.max_connections, 0);
	assert_int_equal(config->gateway.log_facility, LOG_MAIL);
	assert_int_equal(config->gateway.metrics.family, ADDR_IPV4);
	assert_int_equal(config->gateway.metrics.port, 9930);
	assert_int_equal(config->limits.login_attempts, 5);
	assert_int_equal(config->limits.exempt.n, 2);
	assert_int_equal(config->listens.n, 1);
	const struct config_listen *listen = config_listen_at(config, 0);
	assert_text(config, listen->name, "a");
	assert_int_equal(listen->line, 1);
	assert_int_equal(listen->addresses.n, 2);
	assert_int_equal(listen->mechanisms, 31);
	assert_true(listen->login_command);
	assert_int_equal(config->tls.n, 1);
	assert_text(config, config_tls_at(config, 0)->name, "public");
	assert_int_equal(config_tls_at(config, 0)->min_version, 0);
	assert_true(config_tls_at(config, 0)->tickets);
	assert_true(config_pool_at(config, 0)->when_down_bye);
	assert_int_equal(config_pool_at(config, 0)->idle_timeout_ms, 2100000);
	builder_free(builder);
}

static void
test_names_are_resolved(void **state)
{
	(void)state;
	struct builder *builder =
	    load("[backend b1]\npool = q\naddress = unix:/run/b\n"
		 "[backend b2]\npool = p\naddress = [2001:db8::1]:143\n"
		 "[certificate c1]\nchain = /c\nkey = /k\n"
		 "[certificate c2]\nchain = /c\nkey = /k\n"
		 "[pool p]\n[pool q]\n[tls s]\n[tls t]\n"
		 "[listen a]\naddress = 127.0.0.1:1\ntls = t\npool = q\n"
		 "certificates = c2, c1\n"
		 "[listen b]\naddress = 127.0.0.1:2\ntls = s\npool = p\n");
	const struct config *config = builder_config(builder);
	const struct config_listen *a = config_listen_at(config, 0);
	const struct config_listen *b = config_listen_at(config, 1);

	assert_int_equal(a->tls, 1);
	assert_int_equal(a->pool, 1);
	assert_int_equal(b->tls, 0);
	assert_int_equal(b->pool, 0);
	const uint32_t *chosen = config_items(config, a->certificates);
	assert_int_equal(a->certificates.n, 2);
	assert_int_equal(chosen[0], 1);
	assert_int_equal(chosen[1], 0);
	assert_int_equal(b->certificates.n, 2);
	const struct config_backend *unix_one = config_backend_at(config, 0);
	assert_int_equal(unix_one->pool, 1);
	assert_text(config, unix_one->unix_path, "/run/b");
	assert_int_equal(unix_one->host.len, 0);
	const struct config_backend *v6 = config_backend_at(config, 1);
	assert_text(config, v6->host, "2001:db8::1");
	assert_int_equal(v6->port, 143);
	builder_free(builder);
}

static void
test_every_spelling(void **state)
{
	(void)state;
	/* BOM, CRLF, no blanks, many blanks, comments, no newline at the end */
	struct builder *builder = load(
	    "\xef\xbb\xbf; comment\r\n# another\r\n  ; indented\r\n\r\n"
	    "[gateway] ; one\r\nuser=u\r\n  \r\nlog\t =  /var/log/x ; y\r\n"
	    "log_level = debug\r\nworkers = 3\r\ncontrol = off\r\n"
	    "[\tlisten   a ]\r\nmechanisms = plain,xoauth2\r\n"
	    "login_command = off\r\nallow = 10.0.0.0/8 192.0.2.1\r\n"
	    "[tls t]\r\nmin_version = 1.2\r\nmax_version = TLSv1.3\r\n"
	    "[pool p]\r\ncapabilities = IMAP4rev1  IDLE,ID\r\n"
	    "wait_for_backend = 0\r\ncheck_interval = 1500ms\r\n"
	    "[certificate c]\r\nchain = /a;b\r\nkey = /k\r\n"
	    "[backend b]\r\naddress = 192.0.2.1:143");
	const struct config *config = builder_config(builder);

	assert_text(config, config->gateway.user, "u");
	assert_int_equal(config->gateway.log, LOG_TO_FILE);
	assert_text(config, config->gateway.log_path, "/var/log/x");
	assert_int_equal(config->gateway.log_level, LEVEL_DEBUG);
	assert_int_equal(config->gateway.workers, 3);
	assert_int_equal(config->gateway.control.len, 0);
	const struct config_listen *listen = config_listen_at(config, 0);
	assert_int_equal(
	    listen->mechanisms, MECHANISM_PLAIN | MECHANISM_XOAUTH2);
	assert_false(listen->login_command);
	assert_int_equal(listen->allow.n, 2);
	const struct prefix *allow = config_items(config, listen->allow);
	assert_int_equal(allow[0].bits, 8);
	assert_int_equal(allow[1].bits, 32);
	assert_int_equal(config_tls_at(config, 0)->min_version, 0x0303);
	assert_int_equal(config_tls_at(config, 0)->max_version, 0x0304);
	const struct config_pool *pool = config_pool_at(config, 0);
	assert_text(config, pool->capabilities, "IMAP4rev1 IDLE ID");
	assert_int_equal(pool->wait_for_backend_ms, 0);
	assert_int_equal(pool->check_interval_ms, 1500);
	assert_text(config, config_certificate_at(config, 0)->chain, "/a;b");
	builder_free(builder);
}

static void
test_long_line(void **state)
{
	(void)state;
	char text[8192];
	char path[3900];

	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	int n = snprintf(text, sizeof(text),
	    MINIMAL "[certificate %.63s]\nchain = /%s\nkey = /k\n", path, path);
	assert_true(n > 0 && (size_t)n < sizeof(text));
	struct builder *builder = load(text);
	const struct config_certificate *certificate =
	    config_certificate_at(builder_config(builder), 1);
	assert_int_equal(certificate->name.len, 63);
	assert_int_equal(certificate->chain.len, 3900);
	builder_free(builder);
}

static void
test_print_round_trip(void **state)
{
	(void)state;
	static const char *const texts[] = {MINIMAL,
	    "[gateway]\nlog = syslog\nmax_connections = 7\nstop_timeout = 90s\n"
	    "keeper_user =\ncontrol = off\n[limits]\nexempt =\ndeny = ::/0\n"
	    "[listen a]\naddress = [::1]:1, 127.0.0.1:1\nmechanisms =\n"
	    "proxy_protocol = required\nproxy_from = 10.0.0.0/8\n"
	    "[pool p]\ncapabilities = IMAP4rev1\nwhen_down = no\n"
	    "wait_for_backend = 0\nbalance = round_robin\n"
	    "[tls t]\nmin_version = 1.3\nciphers = A:B\n"
	    "[certificate c]\nchain = /c\nkey = /k\nnames = *.a.b c_d.e\n"
	    "pin = 0123456789abcdef0123456789abcdef0123456789abcdef0123456789"
	    "ABCDEF\n"
	    "[backend b]\naddress = [::1]:9\nsource_ip = ::1, 127.0.0.2\n"
	    "[backend c]\naddress = unix:/x y/z\nclient_ip = id\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct builder *first = load(texts[i]);
		char *printed = print(first);
		struct builder *second = load(printed);
		char *again = print(second);
		assert_string_equal(printed, again);
		free(printed);
		free(again);
		builder_free(first);
		builder_free(second);
	}
}

/* What config_restart_differs() says of two files. */
static void
assert_differs(const char *running, const char *wanted, const char *want)
{
	char buf[1024];
	struct outbuf out;
	struct builder *a = load(running), *b = load(wanted);

	outbuf_init(&out, buf, sizeof(buf) - 1);
	bool differs =
	    config_restart_differs(builder_config(a), builder_config(b), &out);
	buf[out.len] = '\0';
	assert_string_equal(buf, want);
	assert_int_equal(differs, want[0] != '\0');
	builder_free(a);
	builder_free(b);
}

static void
test_restart_differs(void **state)
{
	(void)state;
	assert_differs(MINIMAL, MINIMAL, "");
	assert_differs(MINIMAL, MINIMAL "[limits]\nlogin_attempts = 9\n", "");
	assert_differs(MINIMAL "[gateway]\nworkers = 2\n",
	    MINIMAL "[gateway]\nworkers = 3\nmax_backends = 7\n",
	    "[gateway] workers\n[gateway] max_backends\n");
	assert_differs(MINIMAL, MINIMAL "[listen n]\naddress = 127.0.0.1:9\n",
	    "[listen n] address\n");
	assert_differs(MINIMAL "[listen n]\naddress = 127.0.0.1:9\n",
	    MINIMAL "[listen n]\naddress = 127.0.0.1:8\n",
	    "[listen n] address\n");
	assert_differs(MINIMAL "[listen n]\naddress = 127.0.0.1:9\n", MINIMAL,
	    "[listen n] address\n");
}

/* Sockets keep the index that their listener had at the start. */
static void
test_listeners_keep_their_index(void **state)
{
	static const char b[] = "[listen b]\naddress = 127.0.0.1:9\n";
	char ab[1024], ba[1024];
	(void)state;

	snprintf(ab, sizeof(ab), "%s%s", MINIMAL, b);
	snprintf(ba, sizeof(ba), "%s%s", b, MINIMAL);
	assert_differs(ab, ba, "");
	struct builder *first = load(ab), *second = load(ba);
	config_keep_order(second, builder_config(first));
	const struct config *from = builder_config(first);
	const struct config *to = builder_config(second);
	assert_int_equal(to->listens.n, from->listens.n);
	for (uint32_t i = 0; i < from->listens.n; i++)
		assert_string_equal(
		    config_text(from, config_listen_at(from, i)->name),
		    config_text(to, config_listen_at(to, i)->name));
	builder_free(first);
	builder_free(second);
}

static void
test_snapshot(void **state)
{
	(void)state;
	struct builder *builder = load(MINIMAL);
	int fd = snapshot_seal(builder, 7);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, "x", 1), -1);
	assert_int_equal(ftruncate(fd, 1), -1);
	assert_int_not_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
	const struct config *config = snapshot_map(fd);
	assert_non_null(config);
	assert_int_equal(config->generation, 7);
	assert_int_equal(config->size, builder->len);
	assert_memory_equal(config, builder->data, builder->len);
	snapshot_unmap(config);
	close(fd);
	builder_free(builder);
}

/* A memfd with these octets, with all seals or with none. */
static int
make_memfd(const void *data, size_t len, bool is_sealed)
{
	int fd = memfd_create("t", MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	if (is_sealed)
		assert_int_equal(fcntl(fd, F_ADD_SEALS,
				     F_SEAL_SHRINK | F_SEAL_GROW |
					 F_SEAL_WRITE | F_SEAL_SEAL),
		    0);
	return fd;
}

static void
assert_refused(const void *data, size_t len, bool is_sealed)
{
	int fd = make_memfd(data, len, is_sealed);

	errno = 0;
	assert_null(snapshot_map(fd));
	assert_int_equal(errno, EPROTO);
	close(fd);
}

static void
test_snapshot_refuses(void **state)
{
	(void)state;
	struct builder *builder = load(MINIMAL);
	close(snapshot_seal(builder, 1));
	struct config *config = builder_config(builder);

	int fd = make_memfd(builder->data, builder->len, true);
	const struct config *good = snapshot_map(fd);
	assert_non_null(good);
	snapshot_unmap(good);
	close(fd);
	assert_refused(builder->data, builder->len, false);
	assert_refused(builder->data, 16, true);
	assert_refused(builder->data, builder->len - 1, true);
	config->layout++;
	assert_refused(builder->data, builder->len, true);
	builder_free(builder);
}

static void
test_builder_aligns(void **state)
{
	(void)state;
	struct builder *builder = builder_new();

	builder_append(builder, "x", 1, 1);
	uint32_t off = builder_append(builder, NULL, 40000, 16);
	assert_int_equal(off % 16, 0);
	assert_int_equal(builder->data[off + 39999], 0);
	assert_int_equal(builder->len, off + 40000);
	struct text text = builder_text(builder, span_str("abc"));
	assert_text(builder_config(builder), text, "abc");
	text = builder_text(builder, span_of(NULL, 0));
	assert_int_equal(text.off, 0);
	builder_free(builder);
	builder_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_minimal_takes_defaults),
	    cmocka_unit_test(test_names_are_resolved),
	    cmocka_unit_test(test_every_spelling),
	    cmocka_unit_test(test_long_line),
	    cmocka_unit_test(test_print_round_trip),
	    cmocka_unit_test(test_restart_differs),
	    cmocka_unit_test(test_listeners_keep_their_index),
	    cmocka_unit_test(test_snapshot),
	    cmocka_unit_test(test_snapshot_refuses),
	    cmocka_unit_test(test_builder_aligns),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

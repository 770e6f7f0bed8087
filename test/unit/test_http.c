/* SPDX-License-Identifier: ISC */
/* Which names a request may ask us by: addresses and localhost, so that no page
 * elsewhere can have its own name resolved to us. */
/* needs: proxy/observer/http.c proxy/observer/metrics.c */
/* needs: proxy/observer/sheet.c proxy/observer/page.c proxy/ipc/reason.c */
/* needs: proxy/observer/command.c */
/* needs: proxy/observer/command_view.c proxy/observer/command_sessions.c */
/* needs: proxy/observer/command_client.c proxy/observer/command_change.c */
/* needs: proxy/observer/journal.c proxy/observer/sink.c */
/* needs: proxy/observer/view.c proxy/observer/reply.c proxy/observer/ledger.c
 */
/* needs: proxy/observer/dryrun.c */
/* needs: proxy/observer/trace.c proxy/observer/alarm.c proxy/observer/plot.c */
/* needs: proxy/observer/history.c proxy/limits/admission.c */
/* needs: proxy/observer/command_limits.c */
/* needs: proxy/limits/networks.c proxy/limits/limiter.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/limits/decide.c proxy/limits/ladder.c */
/* needs: proxy/limits/logins.c proxy/base/siphash.c */
/* needs: proxy/observer/json.c proxy/observer/log.c */
/* needs: proxy/ipc/area.c proxy/ipc/slot.c proxy/ipc/tally.c */
/* needs: proxy/ipc/event.c backends/pool.c backends/health.c */
/* needs: proxy/base/addr.c proxy/base/ensure.c proxy/base/parse.c */
/* needs: proxy/base/span.c */
/* libs: uv microhttpd */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy/observer/http.h"

static void
hosts(void **state)
{
	static const char *const good[] = {"127.0.0.1", "127.0.0.1:9930",
	    "[::1]", "[::1]:9930", "localhost", "LOCALHOST:80", "192.0.2.1"};
	static const char *const bad[] = {"", "evil.example",
	    "127.0.0.1.nip.io", "localhost.evil.example", "[::1", "[]",
	    "[evil]:9930", ":9930", "127.0.0.1 ", "0x7f.1", "127.1"};
	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(http_is_good_host(span_str(good[i])));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(http_is_good_host(span_str(bad[i])));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(hosts)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

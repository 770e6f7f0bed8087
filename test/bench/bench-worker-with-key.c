/* SPDX-License-Identifier: ISC */
/*
 * An experiment, never installed: a worker that signs by itself, to measure
 * what the keeper costs. It is the real worker but for keys.c, whose functions
 * are here; the key is beside the executable, as key.der (PKCS #8).
 * scripts/bench-handshake puts the other roles beside it.
 */
/* needs: proxy/worker/main.c proxy/worker/accept.c proxy/worker/conn.c */
/* needs: proxy/worker/dial.c proxy/worker/choose.c tls/backend.c */
/* needs: tls/backends.c proxy/worker/pools.c proxy/worker/wheel.c */
/* needs: proxy/worker/shed.c proxy/worker/drain.c proxy/worker/events.c
 * proxy/worker/shakes.c */
/* needs: proxy/session/ proxy/imap/ proxy/ipc/ */
/* needs: proxy/limits/admission.c proxy/limits/networks.c */
/* needs: proxy/limits/limiter.c proxy/limits/decide.c */
/* needs: proxy/limits/victim.c */
/* needs: proxy/limits/logins.c proxy/limits/ladder.c */
/* needs: proxy/base/ config/snapshot.c backends/pool.c backends/balance.c
 * backends/view.c */
/* needs: backends/reply.c backends/hash.c backends/live.c config/route.c */
/* needs: backends/proxyhdr.c tls/stream.c tls/hello.c tls/sign.c tls/failure.c
 */
/* needs: tls/policy.c tls/names.c tls/ticket.c tls/random.c tls/section.c */
/* needs: tls/client_check.c tls/x509.c tls/key.c */
/* libs: boringssl uv */
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/ensure.h"
#include "proxy/worker/conn.h"

static const struct key_set *
own_key(void)
{
	static struct key_set *set;
	static uint8_t image[8192];
	char path[PATH_MAX], name[PATH_MAX + 16];
	ssize_t n;
	uint32_t len;
	FILE *file;

	if (set != NULL)
		return set;
	n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	ENSURE(n > 0);
	path[n] = '\0';
	snprintf(name, sizeof(name), "%s/key.der", dirname(path));
	file = fopen(name, "rb");
	ENSURE(file != NULL);
	len = (uint32_t)fread(
	    image + sizeof(len), 1, sizeof(image) - sizeof(len), file);
	fclose(file);
	memcpy(image, &len, sizeof(len));
	set = key_set_new(span_of(image, len + sizeof(len)));
	ENSURE(set != NULL);
	return set;
}

void
keys_init(struct keys *keys, struct worker *worker)
{
	(void)keys;
	(void)worker;
	(void)own_key();
}

void
keys_connect(struct keys *keys, int fd)
{
	(void)keys;
	close(fd);
}

bool
keys_submit(void *arg, uint64_t session_id, struct key_request *request)
{
	struct worker *worker = arg;
	struct conn *conn = conn_by_id(worker, session_id);
	struct key_reply reply;

	ENSURE(conn != NULL);
	key_sign(own_key(), NULL, request, &reply);
	tls_stream_key_done(conn->session.ends[SIDE_CLIENT].tls, &reply);
	return true;
}

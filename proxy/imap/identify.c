/* SPDX-License-Identifier: ISC */
/*
 * See identify.h. Called by the login dialogue. A client has no way to one of
 * the x- fields: only its name, version and os are ever kept.
 */
#include "proxy/imap/identify.h"

#include "proxy/base/imaplex.h"

static void
put_field(struct outbuf *out, const char *key, struct span value)
{
	if (value.len == 0 || !imap_is_quotable(value))
		return;
	outbuf_printf(out, " \"%s\" ", key);
	imap_put_quoted(out, value);
}

static void
put_address(struct outbuf *out, const char *ip_key, const char *port_key,
    const struct addr *addr)
{
	char ip[ADDR_TEXT_MAX];
	if (addr->family == ADDR_NONE)
		return;
	put_field(out, ip_key, span_str(addr_text_ip(addr, ip)));
	outbuf_printf(out, " \"%s\" \"%u\"", port_key, addr->port);
}

void
identify_write(const struct login_params *params, struct outbuf *out)
{
	const struct client_id *id = params->client_id;
	struct span name = span_str(id->name);
	bool has_name = name.len > 0 && imap_is_quotable(name);
	outbuf_puts(out, "(\"name\" ");
	imap_put_quoted(out, has_name ? name : span_str("Sallyport"));
	put_field(out, "version", span_str(id->version));
	put_field(out, "os", span_str(id->os));
	put_address(
	    out, "x-originating-ip", "x-originating-port", &params->client);
	put_address(out, "x-connected-ip", "x-connected-port", &params->local);
	put_field(out, "x-session-id", span_str(params->session_id));
	put_field(out, "x-proxy-ttl", span_str("5"));
	outbuf_putc(out, ')');
}

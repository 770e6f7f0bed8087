/* SPDX-License-Identifier: ISC */
/*
 * The metrics, once: name (behind "sallyport_"), type, labels, what it is.
 * The table drives the output; sallyport-metrics(7) has the same rows in the
 * same order, which scripts/check-docs compares. A new metric is a row here, a
 * write_ID() in metrics.c, and an item in the manual page.
 *
 * Label sets are bounded: names of the configuration and words of our own.
 * Counters of workers survive the process that counted, renewals live in the
 * master; what the observer counts itself (restarts, reloads, faults of
 * certificates) begins again with it.
 */
#ifndef OBSERVER_METRICS_H
#define OBSERVER_METRICS_H

#include "proxy/observer/reply.h"
#include "proxy/observer/view.h"

/* clang-format off */
#define METRICS(X) \
X(build_info, gauge, "version", "Always 1; the version that runs.") \
X(start_time_seconds, gauge, "", "When the gateway started, since 1970.") \
X(ready, gauge, "", "1 when /readyz says so.") \
X(config_generation, gauge, "", "Number of the configuration in use.") \
X(reloads_total, counter, "verdict", "Reloads, by how they ended.") \
X(connections, gauge, "state", "Client connections now.") \
X(connections_max, gauge, "", "Client connections that are possible.") \
X(connections_accepted_total, counter, "", "Connections accepted.") \
X(connections_refused_total, counter, "reason", \
  "Connections refused before TLS, or closed to make room.") \
X(connections_ended_total, counter, "reason", "Connections that ended.") \
X(connections_delayed_total, counter, "", \
  "Connections that waited for others of their prefix to log in.") \
X(refusals_observed_total, counter, "", \
  "Refusals and delays that observe = on left out.") \
X(proxy_checks_total, counter, "kind", \
  "Connections of a balancer itself: bare, or with a header LOCAL.") \
X(accept_errors_total, counter, "", "accept(2) calls that failed.") \
X(limiter_entries, gauge, "kind", \
  "Prefixes and users in the limiter's table, as counted a moment ago.") \
X(limiter_entries_max, gauge, "", "Room in the limiter's table.") \
X(limiter_evictions_total, counter, "", \
  "Prefixes and users that were forgotten to make room for others.") \
X(limiter_overflows_total, counter, "", \
  "Prefixes not counted as there was no room for them.") \
X(bans, gauge, "", "Prefixes banned, as counted a moment ago.") \
X(bans_total, counter, "", "Bans after failed logins.") \
X(handshakes_total, counter, "resumed", "TLS handshakes finished.") \
X(handshake_versions_total, counter, "version", \
  "TLS handshakes finished, by version.") \
X(handshake_ciphers_total, counter, "cipher", \
  "TLS handshakes finished, by cipher suite.") \
X(handshake_groups_total, counter, "group", \
  "TLS handshakes finished, by key exchange; none: resumed TLS 1.2.") \
X(handshake_failures_total, counter, "reason", "TLS handshakes that failed.") \
X(handshakes_observed_total, counter, "rule", \
  "TLS handshakes that observe_min_version, observe_ciphers would refuse.") \
X(client_certificates_total, counter, "", \
  "TLS handshakes with a client certificate that was verified.") \
X(handshake_seconds, histogram, "", \
  "From accept or PROXY header to the end of the handshake.") \
X(logins_total, counter, "verdict, mechanism", "Logins.") \
X(logins_limited_total, counter, "action", \
  "Logins delayed or refused after failed ones.") \
X(logins_new_prefix_total, counter, "", \
  "Logins of users from prefixes that they are not known from.") \
X(login_seconds, histogram, "", "From the credentials to the verdict.") \
X(traffic_bytes_total, counter, "direction", \
  "Plaintext octets from (in) and to (out) clients.") \
X(backend_connect_seconds, histogram, "", "Connecting to a backend.") \
X(backend_connects_total, counter, "", "Connections made to backends.") \
X(backend_state, gauge, "backend, pool, address, state", \
  "1 for the state that the backend is in.") \
X(backend_sessions, gauge, "backend, pool, address", \
  "Sessions at the backend now.") \
X(backend_weight, gauge, "backend, pool, address", "Its configured weight.") \
X(backend_latency_seconds, gauge, "backend, pool, address", \
  "Duration of its last good check.") \
X(backend_failures_total, counter, "backend, pool, address", \
  "Logins that it could not take: connect, greeting or dialogue failed.") \
X(certificate_usable, gauge, "certificate", "1 when it can be served.") \
X(certificate_left_seconds, gauge, "certificate", \
  "Time until it expires; negative when it has.") \
X(certificate_loaded_timestamp_seconds, gauge, "certificate", \
  "Since when it is served.") \
X(certificate_renewals_total, counter, "certificate", \
  "Times that another certificate took its place.") \
X(certificate_faults_total, counter, "", \
  "Certificates that were refused when files were read.") \
X(ticket_key_age_seconds, gauge, "tls", \
  "Age of the ticket key in use, by tls section.") \
X(keeper_requests_total, counter, "", "Signatures asked of the keeper.") \
X(keeper_failures_total, counter, "", "Signatures that the keeper refused.") \
X(keeper_seconds, histogram, "", "From asking for a signature to having it.") \
X(role_restarts_total, counter, "role", "Processes that were replaced.") \
X(loop_lag_seconds, histogram, "", \
  "How late timers of workers fired: how long an event had to wait.") \
X(events_dropped_total, counter, "cause", \
  "Log lines lost: the observer was slow, the disk full, the event bad.") \
X(events_summed_total, counter, "", \
  "Events that stand in a summary and not in a line of their own.") \
X(descriptors, gauge, "worker", "Sockets of a worker in use.") \
X(descriptors_max, gauge, "", "Descriptors that a process may use.")
/* clang-format on */

/* Everything in the Prometheus text format, version 0.0.4. */
void metrics_write(const struct view *view, struct reply *reply);

#endif

/* SPDX-License-Identifier: ISC */
/* A configuration image with nothing but [limits], and an area on the heap. */
#ifndef SUPPORT_LIMITS_IMAGE_H
#define SUPPORT_LIMITS_IMAGE_H

#include <stdlib.h>
#include <string.h>

#include "config/config.h"
#include "proxy/base/ensure.h"
#include "proxy/limits/table.h"

struct limits_image {
	struct config config;
	struct config_rung ladder[3];
};

static inline void
limits_image_init(struct limits_image *image)
{
	memset(image, 0, sizeof(*image));
	struct config_limits *limits = &image->config.limits;
	limits->connections_per_ip = 1000;
	limits->preauth_per_ip = 64;
	limits->connect_rate_per_ip = (struct config_rate){50, 1000};
	limits->connect_burst_per_ip = 500;
	limits->ipv4_prefix = 32;
	limits->handshakes_in_flight = 1000;
	limits->auth_failures_per_ip = (struct config_rate){20, 600000};
	limits->auth_failures_per_user = (struct config_rate){20, 600000};
	limits->auth_ban_ms = 600000;
	image->ladder[0] = (struct config_rung){64, 1};
	image->ladder[1] = (struct config_rung){56, 4};
	image->ladder[2] = (struct config_rung){48, 16};
	limits->ipv6_ladder =
	    (struct items){offsetof(struct limits_image, ladder), 3};
}

/* Freed with free(). */
static inline void *
limits_area_new(uint32_t table_entries, uint32_t n_slots, size_t *out_size)
{
	static const uint8_t key[SIPHASH_KEY_LEN] = "0123456789abcde";
	size_t size = (limiter_area_size(table_entries, n_slots) + 63) & ~63ul;
	void *area = aligned_alloc(64, size);
	ENSURE(area != NULL);
	memset(area, 0, size);
	limiter_area_init(area, table_entries, n_slots, key);
	*out_size = size;
	return area;
}

#endif

/* SPDX-License-Identifier: ISC */
/* See plot.h. Called by page.c. A plot is 360 by 80 units, a step one unit. */
#include "proxy/observer/plot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEIGHT 80

void
plot_text(struct reply *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
			reply_printf(out, "&#%u;", c);
		else if (c < 0x20 || c > 0x7e)
			reply_puts(out, "?");
		else
			reply_put(out, span_of(&c, 1));
	}
}

const char *
plot_count(uint64_t value, char buf[PLOT_NUMBER_MAX])
{
	char digits[PLOT_NUMBER_MAX];
	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	size_t len = strlen(digits);
	size_t to = 0;
	for (size_t i = 0; i < len && to + 2 < PLOT_NUMBER_MAX; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf[to++] = ',';
		buf[to++] = digits[i];
	}
	buf[to] = '\0';
	return buf;
}

const char *
plot_octets(uint64_t value, char buf[PLOT_NUMBER_MAX])
{
	static const char *const units[] = {
	    "B", "kB", "MB", "GB", "TB", "PB", "EB"};
	unsigned int unit = 0;
	double scaled = (double)value;
	while (scaled >= 999.5 && unit < 6) {
		scaled /= 1000;
		unit++;
	}
	int decimals = unit == 0 || scaled >= 99.5 ? 0 : 1;
	snprintf(
	    buf, PLOT_NUMBER_MAX, "%.*f %s", decimals, scaled, units[unit]);
	return buf;
}

const char *
plot_age(uint64_t seconds, char buf[PLOT_NUMBER_MAX])
{
	uint64_t minutes = seconds / 60;
	uint64_t hours = minutes / 60;
	uint64_t days = hours / 24;
	if (days > 0)
		snprintf(buf, PLOT_NUMBER_MAX, "%" PRIu64 " d %u h", days,
		    (unsigned int)(hours % 24));
	else if (hours > 0)
		snprintf(buf, PLOT_NUMBER_MAX, "%u h %u min",
		    (unsigned int)hours, (unsigned int)(minutes % 60));
	else if (minutes > 0)
		snprintf(buf, PLOT_NUMBER_MAX, "%u min %u s",
		    (unsigned int)minutes, (unsigned int)(seconds % 60));
	else
		snprintf(buf, PLOT_NUMBER_MAX, "%u s", (unsigned int)seconds);
	return buf;
}

static uint64_t
maximum(const struct history *history, const struct plot *plot)
{
	uint64_t most = 0;
	for (int i = 0; i < 2; i++)
		for (uint32_t age = 0; age < history->n; age++) {
			uint64_t v = history_at(history, plot->series[i], age);
			most = v > most ? v : most;
		}
	return most;
}

/* From the oldest at the left; closed along the bottom for the first. */
static void
line(const struct history *history, enum history_series series, uint64_t most,
    int number, struct reply *out)
{
	reply_printf(out, "<path class=\"s%d\" d=\"", number);
	uint32_t first = HISTORY_STEPS - history->n;
	if (number == 1)
		reply_printf(out, "M%u %d", first, HEIGHT);
	for (uint32_t age = history->n; age-- > 0;) {
		uint64_t value = history_at(history, series, age);
		double part = most == 0 ? 0 : (double)value / (double)most;
		bool begins = number != 1 && age + 1 == history->n;
		reply_printf(out, "%c%u %.1f", begins ? 'M' : 'L',
		    HISTORY_STEPS - 1 - age, HEIGHT - 1 - part * (HEIGHT - 4));
	}
	if (number == 1)
		reply_printf(out, "L%d %dZ", HISTORY_STEPS - 1, HEIGHT);
	reply_puts(out, "\"/>");
}

/* Of one step, as the legend and the scale say it. */
static const char *
rate(const struct plot *plot, uint64_t value, char buf[PLOT_NUMBER_MAX])
{
	if (plot->octets)
		return plot_octets(value / HISTORY_STEP_S, buf);
	return plot_count(value * 60 / HISTORY_STEP_S, buf);
}

static void
legend(
    const struct view *view, const struct plot *plot, int i, struct reply *out)
{
	static const char *const names[] = {
#define X(id, name) name,
	    HISTORY_SERIES(X)
#undef X
	};
	char buf[PLOT_NUMBER_MAX];
	uint64_t sum = history_sum(view->history, view, plot->series[i]);
	reply_printf(out, "<span class=\"k%d\">%s <b>%s</b></span>", i + 1,
	    names[plot->series[i]],
	    plot->octets ? plot_octets(sum, buf) : plot_count(sum, buf));
}

void
plot_write(const struct view *view, const struct plot *plot, struct reply *out)
{
	const struct history *history = view->history;
	char buf[PLOT_NUMBER_MAX];
	uint64_t most = maximum(history, plot);
	reply_printf(out, "<figure><figcaption><h2>%s</h2>", plot->title);
	for (int i = 0; i < 2; i++)
		legend(view, plot, i, out);
	reply_printf(out,
	    "</figcaption><svg viewBox=\"0 0 %d %d\" "
	    "preserveAspectRatio=\"none\" role=\"img\" aria-label=\"%s in the "
	    "last hour\">",
	    HISTORY_STEPS, HEIGHT, plot->title);
	for (int x = 60; x < HISTORY_STEPS; x += 60)
		reply_printf(
		    out, "<path class=\"g\" d=\"M%d 0V%d\"/>", x, HEIGHT);
	if (history->n > 1)
		for (int i = 0; i < 2; i++)
			line(history, plot->series[i], most, i + 1, out);
	reply_printf(out,
	    "</svg><p class=\"scale\"><span>-60 min</span><span>peak %s%s"
	    "</span><span>now</span></p></figure>",
	    rate(plot, most, buf), plot->octets ? "/s" : " per minute");
}

/* SPDX-License-Identifier: MIT */
/*
 * See plot.h. All plots have one size, small enough to stay readable on a phone.
 */
#include "plot.h"

#include <math.h>
#include <stdio.h>

#include "base/assert.h"

enum {
    WIDTH = 480,
    HEIGHT = 270,
    LEFT = 62,
    RIGHT = WIDTH - 16,
    TOP = 30,
    BOTTOM = HEIGHT - 26,
    KEY_WIDTH = 76,
    LINES_MAX = 12, /* of a grid */
};

static double to_x(const struct load_plot *plot, double x)
{
    return LEFT + (x - plot->x_low) / (plot->x_high - plot->x_low) * (RIGHT - LEFT);
}

static double to_y(const struct load_plot *plot, double y)
{
    double share = (y - plot->y_low) / (plot->y_high - plot->y_low);
    if (plot->y_is_log)
        share = y > 0 ? log(y / plot->y_low) / log(plot->y_high / plot->y_low) : 0;
    return BOTTOM - fmin(fmax(share, 0), 1) * (BOTTOM - TOP);
}

/* The greatest of 1, 2, 5, 10, 20 … that does not exceed the value. */
static double round_down(double value)
{
    ASSERT(value > 0);
    const double decade = pow(10, floor(log10(value) + 1e-9));
    const double lead = value / decade * (1 + 1e-9);
    return decade * (lead >= 5 ? 5 : lead >= 2 ? 2 : 1);
}

/* The one above a round value. */
static double next_round(double value)
{
    return round_down(value * 2.5);
}

void load_plot_fit_log(struct load_plot *plot, double low, double high)
{
    ASSERT(low <= high);
    plot->y_is_log = true;
    plot->y_low = round_down(fmax(low, 1));
    plot->y_high = next_round(plot->y_low);
    while (plot->y_high < high)
        plot->y_high = next_round(plot->y_high);
}

/* The distance of a few lines that fill the range. */
static double distance_for(double range)
{
    const double below = round_down(range / 5);
    return range / 5 > below * (1 + 1e-9) ? next_round(below) : below;
}

void load_plot_fit_linear(struct load_plot *plot, double high)
{
    plot->y_is_log = false;
    plot->y_low = 0;
    plot->y_high = high > 0 ? high : 1;
    const double distance = distance_for(plot->y_high);
    plot->y_high = distance * ceil(plot->y_high / distance - 1e-9);
}

void load_plot_begin(const struct load_plot *plot, const char *title, const char *description)
{
    ASSERT(plot->x_low < plot->x_high);
    ASSERT(plot->y_low < plot->y_high);
    text_add_format(plot->page,
                    "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"%s-t %s-d\">\n"
                    "<title id=\"%s-t\">%s</title>\n<desc id=\"%s-d\">%s</desc>\n"
                    "<text class=\"name\" x=\"0\" y=\"14\">%s</text>\n",
                    WIDTH, HEIGHT, plot->id, plot->id, plot->id, title, plot->id, description,
                    title);
}

void load_plot_end(const struct load_plot *plot)
{
    text_add_literal(plot->page, "</svg>\n");
}

static void add_level(const struct load_plot *plot, double y, const char *label)
{
    const double at = to_y(plot, y);
    text_add_format(plot->page,
                    "<path class=\"grid\" d=\"M%d %.1fH%d\"/>"
                    "<text class=\"tick\" text-anchor=\"end\" x=\"%d\" y=\"%.1f\">%s</text>\n",
                    LEFT, at, RIGHT, LEFT - 6, at + 4, label);
}

void load_plot_add_times(const struct load_plot *plot)
{
    ASSERT(plot->y_is_log);
    /* Over more than two decades the powers of ten are enough. */
    const bool by_decades = plot->y_high / plot->y_low > 150;
    double y = plot->y_low;
    for (unsigned line = 0; line < 3 * LINES_MAX && y <= plot->y_high * (1 + 1e-9); line++) {
        const double lead = y / pow(10, floor(log10(y) + 1e-9));
        if (!by_decades || lead < 1.5)
            add_level(plot, y, load_figure_short_time(y).text);
        y = next_round(y);
    }
}

void load_plot_add_amounts(const struct load_plot *plot, const char *unit)
{
    const double distance = distance_for(plot->y_high);
    for (unsigned line = 0; line < LINES_MAX && distance * line <= plot->y_high * 1.001; line++) {
        char label[48];
        snprintf(label, sizeof label, "%.6g%s", distance * line, line > 0 ? unit : "");
        add_level(plot, distance * line, label);
    }
}

void load_plot_add_tick(const struct load_plot *plot, double x, const char *label)
{
    const double at = to_x(plot, x);
    text_add_format(plot->page,
                    "<path class=\"grid\" d=\"M%.1f %dV%d\"/>"
                    "<text class=\"tick\" text-anchor=\"middle\" x=\"%.1f\" y=\"%d\">%s</text>\n",
                    at, TOP, BOTTOM, at, BOTTOM + 18, label);
}

void load_plot_add_seconds(const struct load_plot *plot)
{
    const double distance = distance_for(plot->x_high);
    for (unsigned line = 0; line < LINES_MAX && distance * line <= plot->x_high; line++) {
        char label[32];
        snprintf(label, sizeof label, "%g s", distance * line);
        load_plot_add_tick(plot, distance * line, label);
    }
}

void load_plot_add_steps(const struct load_plot *plot, const char *class,
                         const struct load_step *steps, size_t count, double x_end)
{
    double last_x = -1, last_y = -1; /* in pixels; nothing is drawn yet */
    bool is_open = false;
    text_add_format(plot->page, "<path class=\"%s\" d=\"", class);
    for (size_t index = 0; index < count; index++) {
        if (isnan(steps[index].y)) {
            is_open = false;
            continue;
        }
        const double x = to_x(plot, steps[index].x), y = to_y(plot, steps[index].y);
        const double end = to_x(plot, index + 1 < count ? steps[index + 1].x : x_end);
        if (!is_open)
            text_add_format(plot->page, "M%.1f %.1f", x, y);
        else if (fabs(y - last_y) >= 0.05)
            text_add_format(plot->page, "V%.1f", y);
        if (!is_open || end - last_x >= 0.05) {
            text_add_format(plot->page, "H%.1f", end);
            last_x = end;
        }
        is_open = true;
        last_y = y;
    }
    text_add_literal(plot->page, "\"/>\n");
}

void load_plot_add_mark(const struct load_plot *plot, double x, double y, const char *label)
{
    const double at_x = to_x(plot, x), at_y = to_y(plot, y);
    text_add_format(plot->page,
                    "<circle class=\"mark\" cx=\"%.1f\" cy=\"%.1f\" r=\"3\"/>"
                    "<text class=\"mark\" text-anchor=\"middle\" x=\"%.1f\" y=\"%.1f\">%s</text>\n",
                    at_x, at_y, at_x, at_y - 9, label);
}

void load_plot_add_key(const struct load_plot *plot, unsigned place, const char *class,
                       const char *name)
{
    const int x = RIGHT - KEY_WIDTH * ((int)place + 1);
    text_add_format(plot->page,
                    "<path class=\"%s\" d=\"M%d 10H%d\"/>"
                    "<text class=\"tick\" x=\"%d\" y=\"14\">%s</text>\n",
                    class, x, x + 16, x + 21, name);
}

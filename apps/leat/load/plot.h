/* SPDX-License-Identifier: MIT */
/*
 * Plots as SVG within a page: a frame, a logarithmic or linear axis, lines of steps. What it looks
 * like is the page's style sheet's business, by classes: "grid", "tick", "mark", and those that
 * lines are given. Coordinates are the data's.
 */
#ifndef LOAD_PLOT_H
#define LOAD_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "figure.h"
#include "text.h"

struct load_plot {
    struct text *page;
    const char *id; /* unique in the page */
    double x_low, x_high, y_low, y_high;
    bool y_is_log;
};

/* The value y holds from x to the next step's x. NAN: there is none. */
struct load_step {
    double x, y;
};

/* Opens the plot once its limits are known. Title and description are for those who can not see it
 * as well; they are texts of ours and not escaped. */
void load_plot_begin(const struct load_plot *plot, const char *title, const char *description);
void load_plot_end(const struct load_plot *plot);

/* Sets y_low and y_high to round values around those given. */
void load_plot_fit_log(struct load_plot *plot, double low, double high);
void load_plot_fit_linear(struct load_plot *plot, double high);

/* Axes: times in ns on a logarithmic one; amounts on a linear one, with what stands behind each
 * ("", " k", " MiB"); seconds at the bottom. */
void load_plot_add_times(const struct load_plot *plot);
void load_plot_add_amounts(const struct load_plot *plot, const char *unit);
void load_plot_add_seconds(const struct load_plot *plot);
/* A mark of the bottom's axis, with a line upwards. */
void load_plot_add_tick(const struct load_plot *plot, double x, const char *label);

/* The last step lasts until x_end. */
void load_plot_add_steps(const struct load_plot *plot, const char *class,
                         const struct load_step *steps, size_t count, double x_end);
/* A dot with its value above. */
void load_plot_add_mark(const struct load_plot *plot, double x, double y, const char *label);
/* What a line's colour means; `place` 0 is the rightmost. */
void load_plot_add_key(const struct load_plot *plot, unsigned place, const char *class,
                       const char *name);

#endif

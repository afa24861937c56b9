/* SPDX-License-Identifier: MIT */
/*
 * The table of scenarios. A new one is a file scenario_NAME.c, a line here, and a name in
 * meson.build.
 */
#include "harness.h"

extern const struct scenario scenario_ops, scenario_timers, scenario_fibers, scenario_echo,
    scenario_relay, scenario_gather, scenario_disk, scenario_http, scenario_upload,
    scenario_handover, scenario_lots, scenario_datagrams, scenario_dial, scenario_feed,
    scenario_pool, scenario_fetch, scenario_proxy, scenario_compress;

const struct scenario *const scenarios[] = {
    &scenario_ops,
    &scenario_timers,
    &scenario_fibers,
    &scenario_echo,
    &scenario_relay,
    &scenario_gather,
    &scenario_disk,
    &scenario_http,
    &scenario_upload,
    &scenario_handover,
    &scenario_lots,
    &scenario_datagrams,
    &scenario_dial,
    &scenario_feed,
    &scenario_pool,
    &scenario_fetch,
    &scenario_proxy,
    &scenario_compress,
    NULL,
};

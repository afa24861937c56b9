/* SPDX-License-Identifier: MIT */
/*
 * No bundle: a build without Node, or without what npm brings. See site_assets.h.
 */
#include "site_assets.h"

const struct site_asset site_assets[] = {{0}};
const unsigned site_asset_count = 0;

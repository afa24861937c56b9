/* SPDX-License-Identifier: MIT */
/*
 * All of leat.
 */
#ifndef LEAT_LEAT_H
#define LEAT_LEAT_H

#include "leat/access_log.h"
#include "leat/address.h"
#include "leat/clock.h"
#include "leat/coded_files.h"
#include "leat/compress.h"
#include "leat/dial.h"
#include "leat/error.h"
#include "leat/events.h"
#include "leat/feed.h"
#include "leat/fetch.h"
#include "leat/fiber.h"
#include "leat/file.h"
#include "leat/form.h"
#include "leat/http.h"
#include "leat/itch.h"
#include "leat/listener.h"
#include "leat/log.h"
#include "leat/loop.h"
#include "leat/proxy.h"
#include "leat/relay.h"
#include "leat/router.h"
#include "leat/slice.h"
#include "leat/stream.h"
#include "leat/tuning.h"
#include "leat/version.h"

#endif

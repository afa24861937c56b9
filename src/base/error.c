/* SPDX-License-Identifier: MIT */
/*
 * Texts for results. strerrordesc_np and not strerror: it is static and safe in every thread.
 */
#include "leat/error.h"

#include <string.h>

const char *leat_error_text(int error)
{
    static const char *const texts[] = {
        [LEAT_E_CLOSED - LEAT_E_BASE] = "closed",
        [LEAT_E_TRUNCATED - LEAT_E_BASE] = "it ended too early",
        [LEAT_E_MALFORMED - LEAT_E_BASE] = "malformed input",
        [LEAT_E_LIMIT - LEAT_E_BASE] = "a limit was reached",
        [LEAT_E_NO_HOST - LEAT_E_BASE] = "no host of that name",
        [LEAT_E_RESOLVER - LEAT_E_BASE] = "the name could not be looked up",
    };
    if (error == 0)
        return "success";
    const int code = error < 0 ? -error : error;
    if (code > LEAT_E_BASE && code < LEAT_E_END)
        return texts[code - LEAT_E_BASE];
    const char *text = strerrordesc_np(code);
    return text ? text : "unknown error";
}

/* SPDX-License-Identifier: MIT */
/*
 * Errors of leat. Every call that can fail returns 0 (or a count) on success and a negative number
 * on failure: -errno where the kernel has a word for it, one of the codes below where it has none.
 * On failure the `ret_...` outputs are left as they were.
 */
#ifndef LEAT_ERROR_H
#define LEAT_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

/* Codes of our own start far above any errno of Linux (which end at 4095). */
enum leat_error {
    LEAT_E_BASE = 5000,
    LEAT_E_CLOSED,    /* the channel, listener or loop was closed */
    LEAT_E_TRUNCATED, /* a file became shorter while it was sent, a message ended before its end */
    LEAT_E_MALFORMED, /* what the peer sent is not what the standard allows */
    LEAT_E_LIMIT,     /* a named limit was reached; the newcomer is refused */
    LEAT_E_NO_HOST,   /* there is no host of that name */
    LEAT_E_RESOLVER,  /* nobody could say whether there is */
    LEAT_E_END,
};

/* A static, thread-safe text for a result (negative or positive error number). Never NULL. */
const char *leat_error_text(int error);

#ifdef __cplusplus
}
#endif
#endif

/* SPDX-License-Identifier: MIT */
/*
 * Tells the service manager how the process is (sd_notify(3), without its library): a datagram to
 * the socket that $NOTIFY_SOCKET names. Without one nothing happens. Main thread.
 */
#ifndef LEAT_NOTIFY_H
#define LEAT_NOTIFY_H

/* Lines such as "READY=1\nSTATUS=...". What cannot be sent is lost: nobody was listening. */
void notify_manager(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif

/* SPDX-License-Identifier: MIT */
/*
 * See notify.h. The protocol is fixed and small (sd_notify(3)): a library for it would be a
 * dependency for thirty lines.
 */
#include "notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/assert.h"

enum { NOTIFY_SIZE = 512 };

void notify_manager(const char *format, ...)
{
    const char *name = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const size_t name_size = name ? strlen(name) : 0;
    if (name_size < 2 || name_size >= sizeof address.sun_path || (name[0] != '/' && name[0] != '@'))
        return;
    memcpy(address.sun_path, name, name_size);
    if (name[0] == '@')
        address.sun_path[0] = '\0'; /* an abstract name, which is as long as it is */

    char text[NOTIFY_SIZE];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ASSERT(size > 0 && size < NOTIFY_SIZE);

    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    const socklen_t address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_size);
    (void)sendto(fd, text, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT,
                 (const struct sockaddr *)&address, address_size);
    close(fd);
}

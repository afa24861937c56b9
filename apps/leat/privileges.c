/* SPDX-License-Identifier: MIT */
/*
 * See privileges.h.
 */
#include "privileges.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/assert.h"
#include "leat/error.h"

enum { NAME_SIZE = 64, ID_MAX = 0x7ffffffe };

struct identity {
    char name[NAME_SIZE];
    uid_t uid;
    gid_t gid;
    bool has_name;  /* the system knows the user, and so the groups */
    bool has_group; /* GROUP was given */
};

static bool parse_id(const char *text, unsigned *ret_id)
{
    char *end;
    errno = 0;
    const unsigned long value = strtoul(text, &end, 10);
    if (errno || !isdigit((unsigned char)text[0]) || *end || value > ID_MAX)
        return false;
    *ret_id = (unsigned)value;
    return true;
}

static bool find_user(const char *text, struct identity *identity)
{
    unsigned id;
    const bool is_number = parse_id(text, &id);
    const struct passwd *entry = is_number ? getpwuid(id) : getpwnam(text);
    if (entry) {
        snprintf(identity->name, sizeof identity->name, "%s", entry->pw_name);
        identity->has_name = true;
        identity->uid = entry->pw_uid;
        identity->gid = entry->pw_gid;
    } else if (is_number) {
        identity->uid = id;
        identity->gid = id;
    }
    return entry || is_number;
}

static bool find_group(const char *text, struct identity *identity)
{
    unsigned id;
    identity->has_group = true;
    if (parse_id(text, &id)) {
        identity->gid = id;
        return true;
    }
    const struct group *entry = getgrnam(text);
    if (entry)
        identity->gid = entry->gr_gid;
    return entry != NULL;
}

static int become(const struct identity *identity)
{
    const bool has_groups_of_name = identity->has_name && !identity->has_group;
    const int error = has_groups_of_name ? initgroups(identity->name, identity->gid)
                                         : setgroups(1, &identity->gid);
    if (error || setresgid(identity->gid, identity->gid, identity->gid) != 0 ||
        setresuid(identity->uid, identity->uid, identity->uid) != 0)
        return -errno;
    ASSERT(setuid(0) != 0); /* or nothing was dropped */
    return 0;
}

int privileges_drop(const char *user, char *ret_error, size_t ret_error_size)
{
    struct identity identity = {0};
    char name[NAME_SIZE];
    const char *colon = strchr(user, ':');
    const size_t size = colon ? (size_t)(colon - user) : strlen(user);
    int error;
    snprintf(name, sizeof name, "%.*s", (int)(size < sizeof name ? size : sizeof name - 1), user);
    if (!find_user(name, &identity)) {
        snprintf(ret_error, ret_error_size, "--user '%s': there is no such user", user);
        return -1;
    }
    if (colon && !find_group(colon + 1, &identity)) {
        snprintf(ret_error, ret_error_size, "--user '%s': there is no such group", user);
        return -1;
    }
    if (identity.uid == 0) {
        snprintf(ret_error, ret_error_size, "--user '%s' is root, who drops nothing", user);
        return -1;
    }
    if (geteuid() != 0 && (geteuid() != identity.uid || getegid() != identity.gid)) {
        snprintf(ret_error, ret_error_size,
                 "--user '%s': only root may become somebody else; start it as root", user);
        return -1;
    }
    error = geteuid() == 0 ? become(&identity) : 0;
    if (!error && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        error = -errno;
    if (error)
        snprintf(ret_error, ret_error_size, "--user '%s': %s", user, leat_error_text(error));
    return error ? -1 : 0;
}

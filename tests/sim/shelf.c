/* SPDX-License-Identifier: MIT */
/*
 * See shelf.h.
 */
#include "shelf.h"

#include <stdio.h>

static uint64_t draw_size(struct sim_run *run, uint64_t size_max)
{
    const uint64_t kind = draw(run, 0, 99);
    uint64_t most = kind < 50 ? 5000 : kind < 85 ? 20000 : size_max;
    if (most > size_max)
        most = size_max;
    return draw(run, kind < 5 ? 0 : 1, most);
}

/* Notes what the file is from now on. */
static void note(struct shelf *shelf, struct shelf_file *file, bool exists, uint64_t content,
                 uint64_t size)
{
    const int64_t now_ns = sim_now_ns(shelf->run->sim);
    CHECK(shelf->run, file->count < SHELF_VERSIONS);
    if (file->count > 0)
        file->versions[file->count - 1].until_ns = now_ns;
    /* Not always a whole second apart: the tag must tell them apart, the date need not. */
    shelf->mtime_ns += (int64_t)draw(shelf->run, 1, 1500) * LEAT_NS_PER_MS;
    file->versions[file->count++] = (struct shelf_version){
        .exists = exists,
        .content = content,
        .size = size,
        .mtime_ns = shelf->mtime_ns,
        .since_ns = now_ns,
        .until_ns = LEAT_FOREVER,
    };
    if (exists)
        CHECK(shelf->run, sim_file_touch(shelf->run->sim, file->path, shelf->mtime_ns) == 0);
}

static void put(struct shelf *shelf, struct shelf_file *file, uint64_t size)
{
    const uint64_t content = shelf->content_next++;
    CHECK(shelf->run, sim_file_add(shelf->run->sim, file->path, content, size) == 0);
    note(shelf, file, true, content, size);
}

void shelf_init(struct shelf *shelf, struct sim_run *run, uint64_t size_max)
{
    *shelf = (struct shelf){
        .run = run, .content_next = 100, .mtime_ns = INT64_C(900000000) * LEAT_NS_PER_S};
    for (unsigned index = 0; index < SHELF_FILES; index++) {
        struct shelf_file *file = &shelf->files[index];
        snprintf(file->path, sizeof file->path, "%sf%u", index % 3 == 2 ? "d/" : "", index);
        put(shelf, file, draw_size(run, size_max));
    }
}

void shelf_change(struct shelf *shelf)
{
    struct sim_run *run = shelf->run;
    struct shelf_file *file = &shelf->files[draw(run, 0, SHELF_FILES - 1)];
    const struct shelf_version now = file->versions[file->count - 1];
    if (file->count + 2 > SHELF_VERSIONS)
        return;
    if (!now.exists) {
        put(shelf, file, draw_size(run, 20000));
        return;
    }
    const uint64_t what = draw(run, 0, 9);
    if (what < 4 && now.size > 0) { /* in place */
        const uint64_t size = what < 3 ? draw(run, 0, now.size - 1) : now.size + draw(run, 1, 9000);
        CHECK(run, sim_file_resize(run->sim, file->path, size) == 0);
        note(shelf, file, true, now.content, size);
        return;
    }
    CHECK(run, sim_file_remove(run->sim, file->path) == 0);
    if (what < 6)
        note(shelf, file, false, 0, 0);
    else /* now and then to the same size: only its time tells */
        put(shelf, file, what == 9 ? now.size : draw_size(run, 20000));
}

const struct shelf_version *shelf_find(const struct shelf *shelf, unsigned file, uint64_t size,
                                       int64_t mtime_ns, int64_t since_ns)
{
    for (unsigned index = 0; index < shelf->files[file].count; index++) {
        const struct shelf_version *version = &shelf->files[file].versions[index];
        if (version->exists && version->size == size && version->mtime_ns == mtime_ns)
            return version->until_ns >= since_ns ? version : NULL;
    }
    return NULL;
}

bool shelf_was_absent(const struct shelf *shelf, unsigned file, int64_t since_ns)
{
    for (unsigned index = 0; index < shelf->files[file].count; index++) {
        const struct shelf_version *version = &shelf->files[file].versions[index];
        if (!version->exists && version->until_ns >= since_ns)
            return true;
    }
    return false;
}

bool shelf_has_shrunk(const struct shelf *shelf, unsigned file, const struct shelf_version *version)
{
    for (unsigned index = 0; index < shelf->files[file].count; index++) {
        const struct shelf_version *other = &shelf->files[file].versions[index];
        if (other->exists && other->content == version->content && other->size < version->size &&
            other->since_ns >= version->since_ns)
            return true;
    }
    return false;
}

bool shelf_shrank_since(const struct shelf *shelf, unsigned file, int64_t since_ns)
{
    for (unsigned index = 1; index < shelf->files[file].count; index++) {
        const struct shelf_version *version = &shelf->files[file].versions[index];
        if (version->exists && version[-1].exists && version->content == version[-1].content &&
            version->size < version[-1].size && version->since_ns >= since_ns)
            return true;
    }
    return false;
}

const struct shelf_version *shelf_now(const struct shelf *shelf, unsigned file)
{
    return &shelf->files[file].versions[shelf->files[file].count - 1];
}

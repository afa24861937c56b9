/* SPDX-License-Identifier: MIT */
/*
 * Residency: how much of a file may be sent now without waiting for the disk, for a non-blocking
 * socket does not save sendfile from it.
 *
 * A window (1 MiB) is asked about once, and the verdict believed for a second: cachestat(2) counts
 * its pages, those in flight included, so that what is being filled for others is left out; a read
 * with RWF_NOWAIT of the first and the last byte tells whether they have arrived. Where there is no
 * cachestat that must do.
 */
#ifndef NET_RESIDENCY_H
#define NET_RESIDENCY_H

#include <stdbool.h>
#include <stdint.h>

struct leat_file;
struct file_fill;

/* What is read ahead at once when a file is cold: on a disk of 2 MB/s an eighth of a second. */
enum { RESIDENCY_FILL_SIZE = 256 * 1024 };

/* The first bytes of [offset, offset + size) that are resident: as many as one look can tell, at
 * least 1, at most `size`. 0: they are cold, and an OP_FILL of RESIDENCY_FILL_SIZE is due.
 * Never blocks. */
uint64_t residency_ready(struct leat_file *file, uint64_t offset, uint64_t size);

/* Is the whole window around `offset`, which is in the file? False also where the kernel has no
 * cachestat. Who wants much of a file soon asks this first: the verdict on a window is believed,
 * that on a part of one is not. */
bool residency_window_ready(struct leat_file *file, uint64_t offset);

/* A cheap guess for who can bear a wrong one: both its ends are there. False: they may be asked for
 * now, so what is between must be filled. */
bool residency_seems(struct leat_file *file, uint64_t offset, uint64_t size);

/* Somebody has found a byte near `offset` missing: what was believed of it is not any more. */
void residency_doubt(struct leat_file *file, uint64_t offset);

/* An OP_FILL of this range is submitted, and has completed. In between its pages count as cold
 * until they can be read: for the kernel they are there from the moment it is asked for them.
 * `fill` is the file's meanwhile. */
void residency_fill_begins(struct leat_file *file, struct file_fill *fill, uint64_t offset,
                           uint64_t size);
void residency_fill_ends(struct leat_file *file, struct file_fill *fill);

/* After an OP_FILL of this range has completed: is it there? Two probes, no cachestat (which counts
 * pages in flight, and these were). */
bool residency_arrived(struct leat_file *file, uint64_t offset, uint64_t size);

#endif

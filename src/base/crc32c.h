/* SPDX-License-Identifier: MIT */
/*
 * CRC-32C (Castagnoli; as in iSCSI, RFC 3720, section 12.1): the sum of records on a disk, which a
 * torn page or a flipped bit does not pass. No protection against who means harm.
 *
 * x86 has an instruction for it, which takes 8 bytes a cycle when three sums are made side by side;
 * their lanes are joined by multiplications without carry. Chosen at run time; elsewhere tables.
 */
#ifndef BASE_CRC32C_H
#define BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The sum of what `crc` is the sum of (0: of nothing; or any seed) with `size` bytes behind it. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The same by tables alone: for tests, and what the other is compared with. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif

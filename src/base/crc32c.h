/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BASE_CRC32C_H
#define EL_BASE_CRC32C_H

/*
 * CRC-32C (Castagnoli), the checksum of TFRecord files and of variables.index. Pure; any thread.
 */

#include <stddef.h>
#include <stdint.h>

uint32_t el_crc32c(const void *bytes, size_t size);

/* As LevelDB and TFRecord store it: rotated and moved, so that the checksum of bytes that hold one is no special case. */
uint32_t el_crc32c_masked(const void *bytes, size_t size);

#endif

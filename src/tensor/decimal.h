/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_DECIMAL_H
#define EL_TENSOR_DECIMAL_H

/* Powers for the exact conversions between decimal and binary (json_number.c, json_format.c). */

#include <stdint.h>

#define EL_FIVE_MAX 27   /* 5^27 < 2^63 */
#define EL_TEN_MAX 19    /* 10^19 < 2^64 */
#define EL_DOUBLE_MAX 22 /* 10^22 is a double without error, 10^23 is not */

extern const uint64_t el_five_to[EL_FIVE_MAX + 1];
extern const uint64_t el_ten_to[EL_TEN_MAX + 1];
extern const double el_double_ten_to[EL_DOUBLE_MAX + 1];

__extension__ typedef unsigned __int128 el_wide;

#endif

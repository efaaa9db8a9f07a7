/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_TENSOR_JSON_RARE_H
#define EL_TENSOR_JSON_RARE_H

/*
 * What few JSON texts hold, for json_scan.c, which calls it when it meets one: escapes, NaN and Infinity, numbers near the limits
 * of a double. Nothing is kept, any thread; `at` stays below `end`, and stops where the text goes wrong.
 */

#include <stdbool.h>
#include <stddef.h>

#define EL_JSON_BAD_ESCAPE "Invalid escape character in string."

/* Passes over the escape of a string that begins at the backslash at *at. NULL, or RapidJSON's text of what is wrong with it. */
const char *el_json_escape(const char **at, const char *end);

/* Passes over NaN, Inf or Infinity. */
bool el_json_not_finite(const char **at, const char *end);

/* True for a number, of valid form from at to end, that RapidJSON refuses for its size. */
bool el_json_number_too_big(const char *at, const char *end);

#endif

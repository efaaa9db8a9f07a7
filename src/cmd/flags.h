/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_FLAGS_H
#define EL_CMD_FLAGS_H

/*
 * Command-line flags as a table: name, type, where the value goes, help.
 *
 * `--name=value` and `--name value`; a boolean may stand alone, or be followed by
 * `=true` or `=false`. The last one wins; `--` ends the flags. Main thread only.
 */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum el_flag_type { EL_FLAG_BOOL, EL_FLAG_INT32, EL_FLAG_INT64, EL_FLAG_DOUBLE, EL_FLAG_STRING };

struct el_flag {
    const char *group; /* heading in --help; the same text for neighbours */
    const char *name;
    enum el_flag_type type;
    void *value;                /* bool, int32_t, int64_t, double or const char * ; holds the default before parsing */
    const char *help;           /* wrapped by el_flags_print() */
    const char *without_effect; /* NULL, or why its value is read and changes nothing */
    bool given;                 /* set by el_flags_parse() */
};

/* Arguments that are no flag of the table, the first so many. */
#define EL_UNKNOWN_KEPT 8
struct el_unknown_argument {
    const char *text;    /* as given */
    const char *nearest; /* name of the flag that may be meant; NULL: none is near */
};
struct el_unknown {
    struct el_unknown_argument arguments[EL_UNKNOWN_KEPT];
    size_t count;
};

/*
 * Sets the values from arguments[1..count). An argument that is no flag is passed over and put into *unknown, as TensorFlow
 * Serving's parser does; a value that cannot be read is INVALID_ARGUMENT in its words. Strings point into arguments.
 */
struct el_status *el_flags_parse(struct el_flag *flags, size_t flag_count, int count, char **arguments,
                                 struct el_unknown *unknown) EL_MUST_USE;

/* All flags with defaults and help, grouped, in 80 columns. */
void el_flags_print(const struct el_flag *flags, size_t flag_count, FILE *out);

#endif

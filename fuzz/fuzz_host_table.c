/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as the file of a table, read in several ways: refused with the file's name, or each key has the value that stands beside it. */
#include "engine/host_table.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct host_text_table ways[] = {
        { EL_STRING, EL_INT64, -2, -1, -1, 0, '\t' },
        { EL_INT64, EL_STRING, -1, -2, 3, 1, '\t' },
        { EL_STRING, EL_FLOAT, 0, 1, -1, 0, ',' },
        { EL_INT32, EL_DOUBLE, 1, 0, -1, 0, '\t' },
    };
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        struct host_table table = { 0 };
        struct host_value found = { 0 };
        struct el_status *status = host_table_read_text("fuzz.txt", data, size, &ways[i], &table);
        if (status != NULL && strncmp(el_status_text(status), "fuzz.txt: ", 10) != 0)
            abort();
        if (status == NULL)
            status = host_table_find(&table, &table.keys, &table.values, &found);
        if (found.owned != NULL &&
            (found.tensor.size != table.values.tensor.size ||
             (found.tensor.size > 0 && memcmp(found.tensor.data, table.values.tensor.data, found.tensor.size) != 0)))
            abort();
        host_value_free(&found);
        host_table_free(&table);
        el_status_free(status);
    }
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a .npy file: refused with the file's name, or an array that lies inside the bytes and can be written as JSON. */
#include "cmd/npy.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct el_npy array;
    struct el_status *status = el_npy_read("fuzz.npy", data, size, &array);
    if (status != NULL) {
        if (strncmp(el_status_text(status), "fuzz.npy: ", 10) != 0)
            abort();
        el_status_free(status);
        return 0;
    }
    struct el_buf out = { 0 };
    el_npy_put_json(&array, &out);
    if (out.size == 0)
        abort();
    el_buf_free(&out);
    return 0;
}

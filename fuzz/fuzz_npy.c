/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a .npy file: refused with the file's name, or an array that lies inside the bytes and can be written as JSON and as a file. */
#include "cmd/npy_json.h"

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
    status = el_npy_put_json("fuzz.npy", &array, &out);
    if (status == NULL && out.size == 0)
        abort();
    el_status_free(status);
    el_buf_clear(&out);
    const struct el_tensor tensor = { array.dtype, array.shape, array.data,
                                      array.elements * el_dtype_size(array.dtype) };
    struct el_npy again;
    if (el_npy_write(&out, "fuzz", &tensor) != NULL || el_npy_read("again", out.data, out.size, &again) != NULL ||
        again.elements != array.elements || (tensor.size > 0 && memcmp(again.data, array.data, tensor.size) != 0))
        abort();
    el_buf_free(&out);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a model that is no saved_model.pb: the first says which form, the rest is the file. No crash, no leak, errors
 * name the file, and signatures that are taken survive their way to the front.
 */
#include "bundle/model_file.h"
#include "bundle/onnx.h"
#include "bundle/saved_model_text.h"
#include "bundle/tflite.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char name[] = "file";
    if (size == 0)
        return 0;
    const int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
        abort();
    struct el_saved_model model;
    struct el_status *status = data[0] == 't'   ? el_tflite_read_fd(fd, name, &model)
                               : data[0] == 'o' ? el_onnx_read_fd(fd, name, &model)
                                                : el_saved_model_text_read_fd(fd, name, &model);
    close(fd);
    if (status == NULL) {
        for (uint32_t i = 0; i < model.graph_count; i++) {
            struct el_buf bytes = { 0 };
            struct el_signatures read;
            if (el_signatures_encode(&model.graphs[i].signatures, &bytes) != NULL ||
                el_signatures_decode(bytes.data, bytes.size, &read) != NULL)
                abort();
            el_signatures_free(&read);
            el_buf_free(&bytes);
        }
        el_saved_model_free(&model);
    } else if (strncmp(el_status_text(status), name, sizeof name - 1) != 0) {
        abort(); /* an error without its place */
    }
    el_status_free(status);
    return 0;
}

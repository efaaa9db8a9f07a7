/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as a saved_model.pb: no crash, no leak, errors name the file; the
 * signatures that are taken must survive their way to the front and back, and
 * the signatures' own parser gets the bytes too.
 */
#include "bundle/saved_model.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_survive(const struct el_signatures *signatures)
{
    struct el_buf first = { 0 }, second = { 0 };
    struct el_signatures read = { 0 };
    if (el_signatures_encode(signatures, &first) != NULL ||
        el_signatures_decode(first.data, first.size, &read) != NULL || el_signatures_encode(&read, &second) != NULL ||
        first.size != second.size || (first.size > 0 && memcmp(first.data, second.data, first.size) != 0))
        abort();
    for (uint32_t i = 0; i < read.count; i++)
        if (read.list[i].name[0] != '\0' &&
            el_signatures_find(&read, read.list[i].name, strlen(read.list[i].name), NULL) != &read.list[i])
            abort();
    el_signatures_free(&read);
    el_buf_free(&first);
    el_buf_free(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const int fd = memfd_create("saved_model.pb", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size)
        abort();
    struct el_saved_model model;
    struct el_status *status = el_saved_model_read_fd(fd, "saved_model.pb", &model);
    close(fd);
    if (status == NULL) {
        for (uint32_t i = 0; i < model.graph_count; i++)
            must_survive(&model.graphs[i].signatures);
        el_saved_model_free(&model);
    } else if (strncmp(el_status_text(status), "saved_model.pb: ", 16) != 0) {
        abort(); /* an error without its place */
    }
    el_status_free(status);

    struct el_signatures signatures;
    status = el_signatures_decode(data, size, &signatures);
    if (status == NULL) {
        must_survive(&signatures);
        el_signatures_free(&signatures);
    }
    el_status_free(status);
    return 0;
}

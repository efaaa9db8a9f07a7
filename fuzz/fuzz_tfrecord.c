/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TFRecord file: whatever it holds, the reader ends, and what it gives out written again is what was read. A first byte that is
 * odd has the checksums put right, so that what lies behind them is reached.
 */
#include "base/crc32c.h"
#include "bundle/tfrecord.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_right(uint8_t *bytes, size_t size)
{
    size_t at = 0;
    while (size - at >= EL_TFRECORD_HEADER + EL_TFRECORD_FOOTER) {
        uint64_t length;
        memset(bytes + at + 2, 0, 6);
        memcpy(&length, bytes + at, sizeof length);
        uint32_t crc = el_crc32c_masked(bytes + at, 8);
        memcpy(bytes + at + 8, &crc, sizeof crc);
        if (length > size - at - EL_TFRECORD_HEADER - EL_TFRECORD_FOOTER)
            return;
        crc = el_crc32c_masked(bytes + at + EL_TFRECORD_HEADER, (size_t)length);
        memcpy(bytes + at + EL_TFRECORD_HEADER + length, &crc, sizeof crc);
        at += EL_TFRECORD_HEADER + (size_t)length + EL_TFRECORD_FOOTER;
    }
}

static void check_again(const struct el_buf *record, const uint8_t *bytes, uint64_t from)
{
    uint8_t header[EL_TFRECORD_HEADER], footer[EL_TFRECORD_FOOTER];
    el_tfrecord_frame(record->data, record->size, header, footer);
    if (memcmp(bytes + from, header, sizeof header) != 0 ||
        (record->size > 0 && memcmp(bytes + from + sizeof header, record->data, record->size) != 0) ||
        memcmp(bytes + from + sizeof header + record->size, footer, sizeof footer) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    uint8_t *bytes = malloc(size - 1);
    if (bytes == NULL)
        abort();
    memcpy(bytes, data + 1, size - 1);
    if (data[0] % 2 == 1)
        put_right(bytes, size - 1);
    const int fd = memfd_create("tfrecord", 0);
    if (fd < 0 || write(fd, bytes, size - 1) != (ssize_t)(size - 1))
        abort();
    struct el_tfrecord_reader reader = { .fd = fd, .size = size - 1 };
    struct el_buf record = { 0 };
    for (;;) {
        const uint64_t from = reader.offset;
        bool end;
        el_buf_clear(&record);
        struct el_status *status = el_tfrecord_read(&reader, &record, &end);
        if (status != NULL || end) {
            el_status_free(status);
            break;
        }
        check_again(&record, bytes, from);
    }
    el_buf_free(&record);
    el_tfrecord_close(&reader);
    free(bytes);
    return 0;
}

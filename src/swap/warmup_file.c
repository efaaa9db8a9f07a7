/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/warmup_file.h"

#include <stdlib.h>

#define PIECE_BYTES ((size_t)8 << 20)

static void read_piece(uv_work_t *work)
{
    struct el_warmup_file *file = work->data;
    if (!file->opened) {
        file->failed = el_tfrecord_open(file->path, &file->reader);
        if (file->failed != NULL)
            return;
        file->opened = true;
    }
    while (file->count < EL_WARMUP_PIECE && file->bytes.size < PIECE_BYTES) {
        const size_t before = file->bytes.size;
        file->failed = el_tfrecord_read(&file->reader, &file->bytes, &file->end);
        if (file->failed != NULL || file->end)
            return;
        file->sizes[file->count++] = file->bytes.size - before;
    }
}

static void piece_read(uv_work_t *work, int error)
{
    (void)error; /* never cancelled */
    struct el_warmup_file *file = work->data;
    file->reading = false;
    file->done(file->argument);
}

void el_warmup_file_read(struct el_warmup_file *file, uv_loop_t *uv_loop, void (*done)(void *argument), void *argument)
{
    el_buf_clear(&file->bytes);
    file->count = 0;
    file->next = file->next_offset = 0;
    file->done = done;
    file->argument = argument;
    file->work.data = file;
    file->reading = true;
    if (uv_queue_work(uv_loop, &file->work, read_piece, piece_read) != 0) {
        file->reading = false;
        file->failed = el_status_new(EL_INTERNAL, "%s: no thread to read it on", file->path);
    }
}

bool el_warmup_file_has_next(const struct el_warmup_file *file)
{
    return file->next < file->count;
}

const uint8_t *el_warmup_file_next(struct el_warmup_file *file, size_t *size)
{
    const uint8_t *record = file->bytes.data + file->next_offset;
    *size = file->sizes[file->next++];
    file->next_offset += *size;
    return record;
}

struct el_status *el_warmup_file_failed(struct el_warmup_file *file)
{
    struct el_status *failed = file->failed;
    file->failed = NULL;
    if (el_status_code(failed) != EL_DATA_LOSS)
        return failed;
    struct el_status *told = el_status_new(EL_DATA_LOSS, "%s. Please verify your warmup data is in TFRecord format.",
                                           el_status_text(failed));
    el_status_free(failed);
    return told;
}

void el_warmup_file_close(struct el_warmup_file *file)
{
    el_tfrecord_close(&file->reader);
    el_buf_free(&file->bytes);
    el_status_free(file->failed);
    free(file->path);
}

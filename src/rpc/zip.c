/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/zip.h"

#include <limits.h>
#include <stdlib.h>
#define ZLIB_CONST
#include <zlib.h>

#define STEP_BYTES ((size_t)256 * 1024) /* taken or made in a turn: well below a millisecond to decompress */
#define FIRST_ROOM ((size_t)16 * 1024)
#define FREE_BYTES ((size_t)64 * 1024 * 1024)
#define MOST_RATIO 200
#define FAST 1 /* zlib's level: the network is rarely so slow that more pays */

struct el_zip {
    struct cds_list_head link; /* in the loop's zips */
    struct el_loop *loop;
    enum el_zip_kind kind;
    z_stream stream;
    const uint8_t *from;
    size_t size, taken;
    size_t limit;
    struct el_buf whole;
    size_t charged;
    const struct el_zip_owner *owner;
    void *argument;
};

size_t el_zip_limit(size_t size, size_t limit)
{
    size_t most = size > SIZE_MAX / MOST_RATIO ? SIZE_MAX : size * MOST_RATIO;
    if (most < FREE_BYTES)
        most = FREE_BYTES;
    return most < limit ? most : limit;
}

static bool open_stream(struct el_zip *zip)
{
    switch (zip->kind) {
    case EL_ZIP_INFLATE:
        return inflateInit2(&zip->stream, MAX_WBITS + 32) == Z_OK;
    case EL_ZIP_GZIP:
        return deflateInit2(&zip->stream, FAST, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    case EL_ZIP_ZLIB:
        return deflateInit2(&zip->stream, FAST, Z_DEFLATED, MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    }
    return false;
}

static void close_stream(struct el_zip *zip)
{
    if (zip->kind == EL_ZIP_INFLATE)
        inflateEnd(&zip->stream);
    else
        deflateEnd(&zip->stream);
}

/* Room for more output: as much as there is already, within a step and the limit; one byte beyond it tells too much. */
static size_t next_room(const struct el_zip *zip, size_t made)
{
    size_t room = zip->whole.size < FIRST_ROOM ? FIRST_ROOM : zip->whole.size;
    if (room > STEP_BYTES - made)
        room = STEP_BYTES - made;
    const size_t left = zip->limit - zip->whole.size;
    return left < room ? left + 1 : room;
}

static enum el_zipped charge(struct el_zip *zip)
{
    const size_t more = zip->whole.size - zip->charged;
    if (zip->owner == NULL || zip->owner->charge == NULL || more == 0)
        return EL_ZIP_GOES_ON;
    if (!zip->owner->charge(zip->argument, more))
        return EL_ZIP_NO_MEMORY;
    zip->charged += more;
    return EL_ZIP_GOES_ON;
}

/* Takes and makes at most STEP_BYTES. */
static enum el_zipped step(struct el_zip *zip)
{
    size_t took = 0, made = 0;
    while (took < STEP_BYTES && made < STEP_BYTES) {
        if (zip->whole.size > zip->limit)
            return EL_ZIP_TOO_BIG;
        const size_t room = next_room(zip, made);
        const size_t rest = zip->size - zip->taken, most = STEP_BYTES - took;
        uint8_t *out = el_buf_reserve(&zip->whole, room);
        if (out == NULL)
            return EL_ZIP_NO_MEMORY;
        z_stream *stream = &zip->stream;
        stream->next_out = out;
        stream->avail_out = (uInt)room;
        stream->next_in = zip->size == 0 ? zip->from : zip->from + zip->taken; /* from may be NULL then */
        stream->avail_in = (uInt)(rest < most ? rest : most);
        const uInt had_in = stream->avail_in, had_out = stream->avail_out;
        const int status = zip->kind == EL_ZIP_INFLATE ? inflate(stream, Z_NO_FLUSH)
                                                       : deflate(stream, rest <= most ? Z_FINISH : Z_NO_FLUSH);
        took += had_in - stream->avail_in;
        made += had_out - stream->avail_out;
        zip->taken += had_in - stream->avail_in;
        zip->whole.size += had_out - stream->avail_out;
        if (status == Z_STREAM_END)
            return zip->whole.size > zip->limit ? EL_ZIP_TOO_BIG : EL_ZIPPED;
        if (status != Z_OK) /* Z_BUF_ERROR too: the input is over and the end was not seen */
            return status == Z_MEM_ERROR ? EL_ZIP_NO_MEMORY : EL_ZIP_CORRUPT;
    }
    return EL_ZIP_GOES_ON;
}

static enum el_zipped charged_step(struct el_zip *zip)
{
    const enum el_zipped result = step(zip);
    const enum el_zipped allowed = result == EL_ZIPPED || result == EL_ZIP_GOES_ON ? charge(zip) : EL_ZIP_GOES_ON;
    return allowed == EL_ZIP_GOES_ON ? result : allowed;
}

/* What came out, if it is whole, goes to the owner; else what was charged goes back. */
static void finish(struct el_zip *zip, enum el_zipped result, struct el_buf *whole)
{
    close_stream(zip);
    *whole = (struct el_buf){ 0 };
    if (result == EL_ZIPPED) {
        *whole = zip->whole;
        return;
    }
    el_buf_free(&zip->whole);
    if (zip->charged > 0)
        zip->owner->uncharge(zip->argument, zip->charged);
}

enum el_zipped el_zip_begin(struct el_loop *loop, enum el_zip_kind kind, const uint8_t *from, size_t size, size_t limit,
                            const struct el_zip_owner *owner, void *argument, struct el_buf *whole, struct el_zip **zip)
{
    struct el_zip first = {
        .loop = loop, .kind = kind, .from = from, .size = size, .limit = limit, .owner = owner, .argument = argument
    };
    struct el_zip *work = malloc(sizeof(*work)); /* zlib's stream cannot move */
    if (work == NULL)
        return EL_ZIP_NO_MEMORY;
    *work = first;
    *whole = (struct el_buf){ 0 };
    if (!open_stream(work)) {
        free(work);
        return EL_ZIP_NO_MEMORY;
    }
    const enum el_zipped result = charged_step(work);
    if (result != EL_ZIP_GOES_ON) {
        finish(work, result, whole);
        free(work);
        return result;
    }
    cds_list_add_tail(&work->link, &loop->zips);
    el_loop_keep_turning(loop);
    *zip = work;
    return EL_ZIP_GOES_ON;
}

void el_zip_cancel(struct el_zip *zip)
{
    if (zip == NULL)
        return;
    close_stream(zip);
    cds_list_del(&zip->link);
    el_buf_free(&zip->whole);
    free(zip);
}

void el_zip_turn(struct el_loop *loop)
{
    struct el_zip *zip = el_list_first(&loop->zips, struct el_zip, link);
    cds_list_del(&zip->link);
    const enum el_zipped result = charged_step(zip);
    if (result == EL_ZIP_GOES_ON) {
        cds_list_add_tail(&zip->link, &loop->zips); /* the others' turn */
        return;
    }
    struct el_buf whole;
    finish(zip, result, &whole);
    const struct el_zip_owner *owner = zip->owner;
    void *argument = zip->argument;
    free(zip);
    owner->done(argument, result, &whole);
}

enum el_zipped el_zip_whole(enum el_zip_kind kind, const uint8_t *from, size_t size, size_t limit, struct el_buf *whole)
{
    struct el_zip work = { .kind = kind, .from = from, .size = size, .limit = limit };
    *whole = (struct el_buf){ 0 };
    if (!open_stream(&work))
        return EL_ZIP_NO_MEMORY;
    enum el_zipped result;
    do {
        result = step(&work);
    } while (result == EL_ZIP_GOES_ON);
    finish(&work, result, whole);
    return result;
}

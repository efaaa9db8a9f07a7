/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/inflate.h"

#include <limits.h>
#define ZLIB_CONST
#include <zlib.h>

#define FIRST_ROOM ((size_t)64 * 1024)
#define GZIP_OR_ZLIB (MAX_WBITS + 32)
#define GZIP (MAX_WBITS + 16)

static uInt at_most_uint(size_t size)
{
    return size > UINT_MAX ? UINT_MAX : (uInt)size;
}

enum el_inflated el_inflate(const uint8_t *from, size_t size, size_t limit, struct el_buf *to)
{
    z_stream stream = { 0 };
    if (inflateInit2(&stream, GZIP_OR_ZLIB) != Z_OK)
        return EL_INFLATE_NO_MEMORY;
    enum el_inflated result = EL_INFLATED;
    size_t start = to->size, taken = 0, room = FIRST_ROOM;
    for (;;) {
        size_t done = to->size - start;
        if (done > limit) {
            result = EL_INFLATE_TOO_BIG;
            break;
        }
        /* One byte more than allowed: that it comes out tells that there is too much. */
        if (room > limit - done + 1)
            room = limit - done + 1;
        uint8_t *out = el_buf_reserve(to, room);
        if (out == NULL) {
            result = EL_INFLATE_NO_MEMORY;
            break;
        }
        stream.next_out = out;
        stream.avail_out = at_most_uint(room);
        stream.next_in = size == 0 ? from : from + taken; /* from may be NULL then */
        stream.avail_in = at_most_uint(size - taken);
        uInt had_in = stream.avail_in, had_out = stream.avail_out;
        int status = inflate(&stream, Z_NO_FLUSH);
        taken += had_in - stream.avail_in;
        to->size += had_out - stream.avail_out;
        if (status == Z_STREAM_END) {
            if (to->size - start > limit)
                result = EL_INFLATE_TOO_BIG;
            break;
        }
        if (status != Z_OK) { /* Z_BUF_ERROR too: the input is over and the end was not seen */
            result = status == Z_MEM_ERROR ? EL_INFLATE_NO_MEMORY : EL_INFLATE_CORRUPT;
            break;
        }
        room = to->size - start < FIRST_ROOM ? FIRST_ROOM : to->size - start;
    }
    inflateEnd(&stream);
    return result;
}

bool el_gzip(const uint8_t *from, size_t size, struct el_buf *to)
{
    z_stream stream = { 0 };
    if (size > UINT_MAX || deflateInit2(&stream, 1, Z_DEFLATED, GZIP, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    uLong bound = deflateBound(&stream, size);
    uint8_t *out = bound > UINT_MAX ? NULL : el_buf_reserve(to, bound);
    bool ok = false;
    if (out != NULL) {
        stream.next_in = from;
        stream.avail_in = (uInt)size;
        stream.next_out = out;
        stream.avail_out = (uInt)bound;
        ok = deflate(&stream, Z_FINISH) == Z_STREAM_END;
        if (ok)
            to->size += stream.total_out;
    }
    deflateEnd(&stream);
    return ok;
}

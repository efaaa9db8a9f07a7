/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as gzip or zlib, and as what is compressed: byte 0 says which. In steps of the event loop and at once the same must come
 * out, within the limit; what was compressed must come back.
 */
#include "rpc/zip.h"

#include <stdlib.h>
#include <string.h>

#define LIMIT ((size_t)4 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct el_loop loop;
static struct el_rpc_settings settings;
static _Atomic uint32_t connections;

struct part {
    size_t held;
    enum el_zipped result;
    struct el_buf whole;
};

static void check(bool fine)
{
    if (!fine)
        abort();
}

static bool charge(void *argument, size_t bytes)
{
    struct part *part = argument;
    part->held += bytes;
    return true;
}

static void uncharge(void *argument, size_t bytes)
{
    struct part *part = argument;
    part->held -= bytes;
}

static void done(void *argument, enum el_zipped result, struct el_buf *whole)
{
    struct part *part = argument;
    part->result = result;
    part->whole = *whole;
}

static struct part in_steps(enum el_zip_kind kind, const uint8_t *data, size_t size)
{
    static const struct el_zip_owner owner = { charge, uncharge, done };
    struct part part = { 0 };
    struct el_buf whole;
    struct el_zip *zip;
    part.result = el_zip_begin(&loop, kind, data, size, LIMIT, &owner, &part, &whole, &zip);
    if (part.result != EL_ZIP_GOES_ON)
        part.whole = whole;
    while (part.result == EL_ZIP_GOES_ON)
        uv_run(&loop.open.uv, UV_RUN_NOWAIT);
    check(part.held == part.whole.size && part.whole.size <= LIMIT);
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (loop.read_buffer == NULL && el_loop_init(&loop, 0, &settings, &connections) != NULL)
        abort();
    if (size == 0)
        return 0;
    const enum el_zip_kind kind = data[0] % 3;
    struct part part = in_steps(kind, data + 1, size - 1);
    struct el_buf at_once;
    check(el_zip_whole(kind, data + 1, size - 1, LIMIT, &at_once) == part.result);
    check(at_once.size == part.whole.size &&
          (at_once.size == 0 || memcmp(at_once.data, part.whole.data, at_once.size) == 0));
    if (kind != EL_ZIP_INFLATE) {
        check(part.result == EL_ZIPPED);
        struct part back = in_steps(EL_ZIP_INFLATE, part.whole.data, part.whole.size);
        check(back.result == EL_ZIPPED && back.whole.size == size - 1 &&
              (size == 1 || memcmp(back.whole.data, data + 1, size - 1) == 0));
        el_buf_free(&back.whole);
    }
    el_buf_free(&at_once);
    el_buf_free(&part.whole);
    return 0;
}

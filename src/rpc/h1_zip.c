/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed bodies of HTTP/1.1, in and out. */
#include "rpc/h1.h"
#include "rpc/texts.h"
#include "rpc/zip.h"

#include <string.h>

#define MIN_GZIPPED ((size_t)1024)

static bool charge(void *h1, size_t bytes)
{
    return el_conn_charge(&((struct el_h1 *)h1)->conn, bytes);
}

static void uncharge(void *h1, size_t bytes)
{
    el_conn_uncharge(&((struct el_h1 *)h1)->conn, bytes);
}

/*
 * True if the request is ready for its handler. TensorFlow Serving takes a body that it cannot decompress for an empty one, and
 * knows only gzip, in small letters: what is merely said to be deflated it reads as it is.
 */
static bool take_unzipped(struct el_h1 *h1, enum el_zipped result, const struct el_buf *whole)
{
    if (result == EL_ZIP_CORRUPT && strstr(el_http_header(h1->request, "content-encoding"), "gzip") == NULL)
        return true;
    el_h1_forget_body(h1);
    if (result == EL_ZIP_TOO_BIG) {
        el_h1_refuse(h1, 413, "The request's body decompresses to more than this server accepts");
        return false;
    }
    if (result == EL_ZIP_NO_MEMORY) {
        el_h1_refuse(h1, 503, "Too many request bytes are in memory already");
        return false;
    }
    el_buf_free(&h1->request->body);
    h1->request->body = *whole;
    return true;
}

static void unzipped(void *argument, enum el_zipped result, struct el_buf *whole)
{
    struct el_h1 *h1 = argument;
    h1->zip = NULL;
    if (take_unzipped(h1, result, whole))
        el_h1_call_handler(h1);
}

bool el_h1_unzip(struct el_h1 *h1)
{
    static const struct el_zip_owner owner = { charge, uncharge, unzipped };
    const struct el_buf *body = &h1->request->body;
    const char *encoding = el_http_header(h1->request, "content-encoding");
    if (encoding == NULL || (strstr(encoding, "gzip") == NULL && strstr(encoding, "deflate") == NULL))
        return false;
    struct el_buf whole;
    const size_t limit = el_zip_limit(body->size, h1->conn.loop->settings->max_inflated_bytes);
    const enum el_zipped result = el_zip_begin(h1->conn.loop, EL_ZIP_INFLATE, body->data, body->size, limit, &owner, h1,
                                               &whole, &h1->zip);
    if (result == EL_ZIP_GOES_ON) {
        h1->state = EL_H1_ZIPPING;
        return true;
    }
    return !take_unzipped(h1, result, &whole);
}

static void take_zipped(struct el_h1 *h1, enum el_zipped result, const struct el_buf *whole)
{
    if (result != EL_ZIPPED)
        return; /* it does not become smaller: it goes as it is */
    el_buf_free(&h1->request->reply);
    h1->request->reply = *whole;
    el_http_add_header(h1->request, "Content-Encoding", "gzip");
    el_http_add_header(h1->request, "Vary", "Accept-Encoding");
}

static void zipped(void *argument, enum el_zipped result, struct el_buf *whole)
{
    struct el_h1 *h1 = argument;
    h1->zip = NULL;
    take_zipped(h1, result, whole);
    el_h1_send_reply(h1);
}

bool el_h1_zip(struct el_h1 *h1)
{
    static const struct el_zip_owner owner = { .done = zipped };
    const struct el_buf *reply = &h1->request->reply;
    if (!h1->conn.listener->compress || reply->size < MIN_GZIPPED)
        return false;
    const char *accepted = el_http_header(h1->request, "accept-encoding");
    if (accepted == NULL || !el_rpc_text_lists(accepted, "gzip"))
        return false;
    struct el_buf whole;
    const enum el_zipped result = el_zip_begin(h1->conn.loop, EL_ZIP_GZIP, reply->data, reply->size, reply->size - 1,
                                               &owner, h1, &whole, &h1->zip);
    if (result == EL_ZIP_GOES_ON) {
        h1->state = EL_H1_ZIPPING;
        return true;
    }
    take_zipped(h1, result, &whole);
    return false;
}

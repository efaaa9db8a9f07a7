/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed bodies of HTTP, in and out. */
#include "rpc/http.h"
#include "rpc/texts.h"
#include "rpc/zip.h"

#include <string.h>

#define MIN_GZIPPED ((size_t)1024)

/*
 * True if the request is ready for its handler. TensorFlow Serving takes a body that it cannot decompress for an empty one, and
 * knows only gzip, in small letters: what is merely said to be deflated it reads as it is.
 */
static bool take_unzipped(struct el_http_request *request, enum el_zipped result, const struct el_buf *whole)
{
    if (result == EL_ZIP_CORRUPT && strstr(el_http_header(request, "content-encoding"), "gzip") == NULL)
        return true;
    el_http_forget_body(request);
    if (result == EL_ZIP_TOO_BIG) {
        request->carrier->refuse(request, 413, "The request's body decompresses to more than this server accepts");
        return false;
    }
    if (result == EL_ZIP_NO_MEMORY) {
        request->carrier->refuse(request, 503, "Too many request bytes are in memory already");
        return false;
    }
    el_buf_free(&request->body);
    request->body = *whole;
    return true;
}

static bool charge(void *argument, size_t bytes)
{
    struct el_http_request *request = argument;
    return request->carrier->charge(request, bytes);
}

static void uncharge(void *argument, size_t bytes)
{
    struct el_http_request *request = argument;
    request->carrier->uncharge(request, bytes);
}

static void unzipped(void *argument, enum el_zipped result, struct el_buf *whole)
{
    struct el_http_request *request = argument;
    request->zip = NULL;
    if (take_unzipped(request, result, whole))
        request->carrier->ready(request);
}

bool el_http_unzip(struct el_http_request *request)
{
    static const struct el_zip_owner owner = { charge, uncharge, unzipped };
    const struct el_buf *body = &request->body;
    const char *encoding = el_http_header(request, "content-encoding");
    if (encoding == NULL || (strstr(encoding, "gzip") == NULL && strstr(encoding, "deflate") == NULL))
        return false;
    struct el_buf whole;
    const size_t limit = el_zip_limit(body->size, request->loop->settings->max_inflated_bytes);
    const enum el_zipped result = el_zip_begin(request->loop, EL_ZIP_INFLATE, body->data, body->size, limit, &owner,
                                               request, &whole, &request->zip);
    return result == EL_ZIP_GOES_ON || !take_unzipped(request, result, &whole);
}

static void take_zipped(struct el_http_request *request, enum el_zipped result, const struct el_buf *whole)
{
    if (result != EL_ZIPPED)
        return; /* it does not become smaller: it goes as it is */
    el_buf_free(&request->reply);
    request->reply = *whole;
    el_http_add_header(request, "Content-Encoding", "gzip");
    el_http_add_header(request, "Vary", "Accept-Encoding");
}

static void zipped(void *argument, enum el_zipped result, struct el_buf *whole)
{
    struct el_http_request *request = argument;
    request->zip = NULL;
    take_zipped(request, result, whole);
    request->carrier->send(request);
}

bool el_http_zip(struct el_http_request *request)
{
    static const struct el_zip_owner owner = { .done = zipped };
    const struct el_buf *reply = &request->reply;
    if (!request->conn->listener->compress || reply->size < MIN_GZIPPED)
        return false;
    const char *accepted = el_http_header(request, "accept-encoding");
    if (accepted == NULL || !el_rpc_text_lists(accepted, "gzip"))
        return false;
    struct el_buf whole;
    const enum el_zipped result = el_zip_begin(request->loop, EL_ZIP_GZIP, reply->data, reply->size, reply->size - 1,
                                               &owner, request, &whole, &request->zip);
    if (result == EL_ZIP_GOES_ON)
        return true;
    take_zipped(request, result, &whole);
    return false;
}

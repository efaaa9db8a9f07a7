/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers do with a request, and what both versions of HTTP say in the same words. */
#include "rpc/http.h"
#include "rpc/texts.h"
#include "rpc/zip.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void el_http_request_free(struct el_http_request *request)
{
    el_zip_cancel(request->zip);
    el_buf_free(&request->target);
    el_buf_free(&request->headers);
    el_buf_free(&request->body);
    el_buf_free(&request->reply);
    el_buf_free(&request->reply_headers);
    free(request);
}

void el_http_forget_body(struct el_http_request *request)
{
    request->carrier->uncharge(request, request->body.size);
    el_http_trim(&request->body);
}

bool el_http_is_served(unsigned method)
{
    switch (method) {
    case HTTP_GET:
    case HTTP_POST:
    case HTTP_HEAD:
    case HTTP_PUT:
    case HTTP_DELETE:
    case HTTP_OPTIONS:
    case HTTP_PATCH:
        return true;
    default:
        return false;
    }
}

const char *el_http_reason(unsigned code)
{
    switch (code) {
    case 200:
        return "OK";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 413:
        return "Request Entity Too Large";
    case 414:
        return "Request-URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 504:
        return "Gateway Timeout";
    case 505:
        return "HTTP Version Not Supported";
    default: /* by the name of its class */
        return code < 300 ? "Success" : code < 400 ? "Redirection" : code < 500 ? "Client Error" : "Server Error";
    }
}

/* What the HTTP library of TensorFlow Serving answers by itself, with a page; for the other codes it has no limits. */
static bool has_page(unsigned code)
{
    return code == 400 || code == 417 || code == 501;
}

const char *el_http_refusal(struct el_buf *to, unsigned code, const char *text)
{
    const char *reason = el_http_reason(code);
    el_buf_clear(to);
    if (!has_page(code)) {
        el_buf_printf(to, "{\n    \"error\": \"%s\"\n}", text);
        return "application/json";
    }
    el_buf_printf(to, "<HTML><HEAD>\n<TITLE>%u %s</TITLE>\n</HEAD><BODY>\n<H1>%s</H1>\n</BODY></HTML>\n", code, reason,
                  reason);
    return "text/html";
}

const char *el_http_expectation(const struct el_http_request *request, bool *wants_continue, unsigned *code)
{
    const char *expect = el_http_header(request, "expect");
    *wants_continue = expect != NULL && strcasecmp(expect, "100-continue") == 0;
    if (!el_http_is_served(request->method)) {
        *code = 501;
        return "The request's method is not implemented";
    }
    if (expect != NULL && !*wants_continue) {
        *code = 417;
        return "The only expectation that this server knows is 100-continue";
    }
    return NULL;
}

/* ---- the handler's answer ---- */

/* The connection was lost before the handler answered: then the request was left to it. */
static bool is_lost(struct el_http_request *request)
{
    if (request->conn != NULL)
        return false;
    el_http_request_free(request);
    return true;
}

void el_http_reply(struct el_http_request *request, unsigned code, const char *content_type)
{
    if (is_lost(request))
        return;
    request->on_cancel = NULL;
    if (request->reply.failed || request->reply_headers.failed) {
        el_buf_free(&request->reply);
        el_buf_free(&request->reply_headers);
        request->carrier->refuse(request, 503, "Out of memory for the answer");
        return;
    }
    request->code = code;
    request->type = content_type;
    request->carrier->reply(request);
}

void el_http_stream(struct el_http_request *request, unsigned code, const char *content_type)
{
    if (request->conn == NULL)
        return; /* el_http_stream_end() frees it */
    request->code = code;
    request->type = content_type;
    request->carrier->stream(request);
    if (request->reply.size > 0)
        el_http_stream_send(request);
}

void el_http_stream_send(struct el_http_request *request)
{
    if (request->conn != NULL && request->reply.size > 0 && request->method != HTTP_HEAD)
        request->carrier->stream_send(request);
    el_buf_clear(&request->reply);
}

void el_http_stream_end(struct el_http_request *request)
{
    if (is_lost(request))
        return;
    request->on_cancel = NULL;
    if (request->reply.size > 0)
        el_http_stream_send(request);
    request->carrier->stream_end(request);
}

void el_http_add_header(struct el_http_request *request, const char *name, const char *value)
{
    el_buf_append(&request->reply_headers, name, strlen(name) + 1);
    el_buf_append(&request->reply_headers, value, strlen(value) + 1);
}

struct el_buf *el_http_reply_buf(struct el_http_request *request)
{
    return &request->reply;
}

/* ---- the handler's view of the request ---- */

struct el_rpc_loop *el_http_loop(struct el_http_request *request)
{
    return &request->loop->open;
}

const char *el_http_method(const struct el_http_request *request)
{
    return http_method_str((enum http_method)request->method);
}

const char *el_http_target(const struct el_http_request *request)
{
    return (const char *)request->target.data;
}

const char *el_http_header(const struct el_http_request *request, const char *name)
{
    return el_rpc_text_header(request->headers.data, request->headers.size, name);
}

const uint8_t *el_http_body(const struct el_http_request *request, size_t *size)
{
    *size = request->body.size;
    return request->body.data;
}

void el_http_set_user(struct el_http_request *request, void *user)
{
    request->user = user;
}

void *el_http_user(const struct el_http_request *request)
{
    return request->user;
}

void el_http_on_cancel(struct el_http_request *request, void (*on_cancel)(struct el_http_request *request, void *user))
{
    request->on_cancel = on_cancel;
}

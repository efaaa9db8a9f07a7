/* SPDX-License-Identifier: Apache-2.0 */
#include "load/internal.h"

#include <string.h>

static struct load_request *current(struct load_conn *conn)
{
    return cds_list_empty(&conn->requests) ? NULL : el_list_first(&conn->requests, struct load_request, link);
}

static int on_body(http_parser *parser, const char *at, size_t size)
{
    struct load_request *request = current(parser->data);
    if (request != NULL)
        el_buf_append(&request->answer, at, size);
    return 0;
}

static int on_headers_complete(http_parser *parser)
{
    struct load_conn *conn = parser->data;
    struct load_request *request = current(conn);
    if (request == NULL)
        return -1; /* an answer that nobody asked for */
    request->code = (int)parser->status_code;
    request->has_code = true;
    conn->keep_alive = http_should_keep_alive(parser) != 0;
    return 0;
}

static int on_message_complete(http_parser *parser)
{
    struct load_conn *conn = parser->data;
    struct load_request *request = current(conn);
    if (request == NULL)
        return -1;
    if (parser->status_code == 100)
        return 0;
    conn->begun = true;
    load_finish(request, NULL);
    if (!conn->keep_alive)
        load_conn_leave(conn);
    return 0;
}

static const http_parser_settings settings = {
    .on_body = on_body,
    .on_headers_complete = on_headers_complete,
    .on_message_complete = on_message_complete,
};

void load_http_begin(struct load_conn *conn)
{
    http_parser_init(&conn->parser, HTTP_RESPONSE);
    conn->parser.data = conn;
}

bool load_http_send(struct load_conn *conn, struct load_request *request)
{
    const struct el_load_options *options = &conn->load->options;
    const struct el_load_message *message = &options->messages[request->message];
    if (message->size == 0)
        el_buf_printf(&conn->out, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", options->path, conn->load->authority);
    else
        el_buf_printf(&conn->out, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
                      options->path, conn->load->authority,
                      options->content_type == NULL ? "application/json" : options->content_type, message->size);
    el_buf_append(&conn->out, message->bytes, message->size);
    load_conn_dirty(conn);
    return !conn->out.failed;
}

void load_http_received(struct load_conn *conn, const uint8_t *bytes, size_t size)
{
    size_t taken = http_parser_execute(&conn->parser, &settings, (const char *)bytes, size);
    if (conn->state != CONN_CLOSED && taken != size && conn->keep_alive)
        load_conn_close(conn, http_errno_description(HTTP_PARSER_ERRNO(&conn->parser)));
}

/* An answer without a length ends with its connection. */
void load_http_ended(struct load_conn *conn)
{
    if (current(conn) != NULL && current(conn)->has_code)
        http_parser_execute(&conn->parser, &settings, NULL, 0);
}

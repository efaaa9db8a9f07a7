/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 with keep-alive: one request at a time on a connection. */
#include "internal.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>

struct session {
    http_parser parser;
    bool first_byte; /* of the present answer has come */
    bool broken;
};

static struct el_load_slot *slot_of(http_parser *parser)
{
    struct el_load_link *link = parser->data;
    return &link->slots[0];
}

static int on_body(http_parser *parser, const char *bytes, size_t size)
{
    el_buf_append(&slot_of(parser)->answer, bytes, size);
    return 0;
}

static int on_complete(http_parser *parser)
{
    struct el_load_link *link = parser->data;
    struct session *session = link->session;
    struct el_load_slot *slot = slot_of(parser);
    if (!slot->busy) {
        session->broken = true;
        return -1;
    }
    slot->http_status = parser->status_code;
    if (!http_should_keep_alive(parser))
        link->draining = true;
    session->first_byte = false;
    el_load_done(slot, slot->answer.failed ? "out of memory for the answer" : NULL);
    return 0;
}

static const http_parser_settings settings = {.on_body = on_body, .on_message_complete = on_complete};

static struct el_status *http_open(struct el_load_link *link)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return el_status_no_memory();
    http_parser_init(&session->parser, HTTP_RESPONSE);
    session->parser.data = link;
    link->session = session;
    return NULL;
}

static void http_close(struct el_load_link *link)
{
    free(link->session);
    link->session = NULL;
}

static bool http_send(struct el_load_link *link, struct el_load_slot *slot)
{
    if (slot->body->size == 0)
        el_buf_printf(&link->out, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", link->load->options.path);
    else
        el_buf_printf(&link->out,
                      "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                      link->load->options.path, slot->body->size);
    el_buf_append(&link->out, slot->body->data, slot->body->size);
    return true;
}

static bool http_received(struct el_load_link *link, const uint8_t *bytes, size_t size)
{
    struct session *session = link->session;
    session->first_byte = true;
    const size_t n = http_parser_execute(&session->parser, &settings, (const char *)bytes, size);
    return n == size && !session->broken;
}

static bool http_retries(const struct el_load_slot *slot)
{
    const struct session *session = slot->link->session;
    return session != NULL && !session->first_byte && slot->link->served > 0;
}

const struct el_load_wire el_load_http = {
    .open = http_open,
    .close = http_close,
    .send = http_send,
    .received = http_received,
    .flush = el_load_link_write,
    .retries = http_retries,
};

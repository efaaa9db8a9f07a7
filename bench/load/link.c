/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection: connects, connects again, reads, writes. What a connection's
 * end means for its requests is asked of the protocol.
 */
#include "internal.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AGAIN_MS 20 /* after a connection that could not be made */

struct el_status *el_load_link_init(struct el_load *load, struct el_load_link *link)
{
    link->load = load;
    link->slots = calloc(load->options.streams, sizeof *link->slots);
    if (link->slots == NULL)
        return el_status_no_memory();
    link->slot_count = load->options.streams;
    for (uint32_t i = 0; i < link->slot_count; i++)
        link->slots[i].link = link;
    return NULL;
}

void el_load_link_free(struct el_load_link *link)
{
    for (uint32_t i = 0; link->slots != NULL && i < link->slot_count; i++)
        el_buf_free(&link->slots[i].answer);
    free(link->slots);
    link->slots = NULL;
    el_buf_free(&link->out);
    el_buf_free(&link->writing);
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct el_load_link *link = handle->data;
    *buf = uv_buf_init((char *)link->load->input, sizeof link->load->input);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buf)
{
    struct el_load_link *link = stream->data;
    if (size == 0)
        return;
    if (size < 0) {
        el_load_link_lost(link, size == UV_EOF ? "connection closed by the server" : "connection lost");
        return;
    }
    link->load->stats.bytes_in += (uint64_t)size;
    if (!link->load->wire->received(link, (const uint8_t *)buf->base, (size_t)size)) {
        el_load_link_lost(link, "connection broken");
        return;
    }
    el_load_feed(link);
    link->load->wire->flush(link);
    if (link->draining && link->busy == 0)
        el_load_link_lost(link, "connection ended");
    el_load_maybe_ended(link->load);
}

static void on_written(uv_write_t *request, int status)
{
    struct el_load_link *link = request->data;
    if (status == UV_ECANCELED || link->closing)
        return;
    link->writes = false;
    el_buf_clear(&link->writing);
    if (status < 0)
        el_load_link_lost(link, "connection lost while sending");
    else
        link->load->wire->flush(link);
}

void el_load_link_write(struct el_load_link *link)
{
    if (link->out.size == 0 || link->writes || !link->connected)
        return;
    uv_buf_t buf = uv_buf_init((char *)link->out.data, (unsigned)link->out.size);
    const int n = uv_try_write(&link->socket.stream, &buf, 1);
    const size_t written = n > 0 ? (size_t)n : 0;
    link->load->stats.bytes_out += link->out.size;
    if (written == link->out.size) {
        el_buf_clear(&link->out);
        return;
    }
    if (n < 0 && n != UV_EAGAIN)
        return; /* the reader is told too, and deals with it */
    el_buf_clear(&link->writing);
    el_buf_append(&link->writing, link->out.data + written, link->out.size - written);
    el_buf_clear(&link->out);
    buf = uv_buf_init((char *)link->writing.data, (unsigned)link->writing.size);
    link->request.write.data = link;
    link->writes = uv_write(&link->request.write, &link->socket.stream, &buf, 1, on_written) == 0;
}

static void on_again(uv_timer_t *timer)
{
    el_load_link_connect(timer->data);
}

static void on_closed(uv_handle_t *handle)
{
    struct el_load_link *link = handle->data;
    link->has_socket = false;
    link->closing = false;
    link->writes = false;
    el_buf_clear(&link->out);
    el_buf_clear(&link->writing);
    if (link->load->freeing) {
        el_load_closed(link->load);
        return;
    }
    if (link->load->has_ended)
        return;
    if (link->served > 0) {
        link->served = 0;
        el_load_link_connect(link);
    } else {
        uv_timer_start(&link->again, on_again, AGAIN_MS, 0);
    }
}

bool el_load_link_end(struct el_load_link *link)
{
    if (!link->has_socket)
        return false;
    if (link->session != NULL)
        link->load->wire->close(link);
    link->connected = false;
    if (!link->closing)
        uv_close(&link->socket.handle, on_closed);
    link->closing = true;
    return true;
}

void el_load_link_lost(struct el_load_link *link, const char *why)
{
    if (link->closing)
        return;
    struct el_load *load = link->load;
    link->closing = true;
    link->connected = false;
    link->draining = false;
    for (uint32_t i = 0; i < link->slot_count; i++) {
        struct el_load_slot *slot = &link->slots[i];
        if (!slot->busy || slot->retry)
            continue;
        if (load->wire->retries(slot)) {
            slot->retry = true;
            load->stats.retried++;
        } else {
            el_load_done(slot, why);
        }
    }
    if (link->session != NULL)
        load->wire->close(link);
    uv_close(&link->socket.handle, on_closed);
    el_load_maybe_ended(load);
}

static void on_connected(uv_connect_t *request, int status)
{
    struct el_load_link *link = request->data;
    if (status == UV_ECANCELED || link->closing)
        return;
    if (status < 0) {
        char why[100];
        snprintf(why, sizeof why, "cannot connect: %s", uv_strerror(status));
        if (!link->load->stopping)
            el_load_fail(link->load, why);
        link->served = 0;
        for (uint32_t i = 0; i < link->slot_count; i++) {
            if (link->slots[i].busy)
                el_load_done(&link->slots[i], why); /* it waited for this connection */
        }
        el_load_link_lost(link, why);
        return;
    }
    link->connected = true;
    link->load->stats.connects++;
    if (link->load->options.unix_path == NULL)
        uv_tcp_nodelay(&link->socket.tcp, 1);
    struct el_status *failure = link->load->wire->open(link);
    if (failure != NULL) {
        el_load_link_lost(link, el_status_text(failure));
        el_status_free(failure);
        return;
    }
    uv_read_start(&link->socket.stream, allocate, on_read);
    el_load_feed(link);
    link->load->wire->flush(link);
}

void el_load_link_connect(struct el_load_link *link)
{
    const struct el_load_options *options = &link->load->options;
    int error;
    link->request.connect.data = link;
    if (options->unix_path != NULL) {
        uv_pipe_init(options->loop, &link->socket.pipe, 0);
        uv_pipe_connect(&link->request.connect, &link->socket.pipe, options->unix_path, on_connected);
        error = 0;
    } else {
        struct sockaddr_storage address;
        uv_tcp_init(options->loop, &link->socket.tcp);
        error = uv_ip4_addr(options->host, options->port, (struct sockaddr_in *)&address);
        if (error != 0)
            error = uv_ip6_addr(options->host, options->port, (struct sockaddr_in6 *)&address);
        if (error == 0)
            error = uv_tcp_connect(&link->request.connect, &link->socket.tcp, (const struct sockaddr *)&address,
                                   on_connected);
    }
    link->socket.handle.data = link;
    link->has_socket = true;
    if (error != 0) {
        el_load_fail(link->load, uv_strerror(error));
        el_load_link_lost(link, uv_strerror(error));
    }
}

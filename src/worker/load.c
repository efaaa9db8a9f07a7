/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What a worker says on its control socket while it loads: signatures in parts, then LOADED, or FAILED. Each message is
 * checked; one that does not belong there is a lie.
 */

#include "worker/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct el_status *on_signatures(struct el_worker *worker, struct el_packet *packet)
{
    const uint32_t whole = el_packet_read_u32(packet);
    if (packet->failed || worker->loaded || whole > EL_SIGNATURES_MAX || packet->left == 0 ||
        worker->signature_bytes.size > whole || packet->left > whole - worker->signature_bytes.size)
        return el_status_new(EL_INTERNAL, "it sent signatures of a wrong size");
    el_buf_append(&worker->signature_bytes, packet->at, packet->left);
    return el_buf_status(&worker->signature_bytes);
}

static struct el_status *on_loaded(struct el_worker *worker, struct el_packet *packet)
{
    const uint32_t can_cancel = el_packet_read_u32(packet);
    char *engine = el_packet_read_text(packet);
    char *version = el_packet_read_text(packet);
    if (!el_packet_read_done(packet) || worker->loaded) {
        free(engine);
        free(version);
        return el_status_new(EL_INTERNAL, "it sent a broken message when it had loaded");
    }
    struct el_status *status = el_signatures_decode(worker->signature_bytes.data, worker->signature_bytes.size,
                                                    &worker->signatures);
    el_buf_free(&worker->signature_bytes);
    struct el_learned *learned = NULL;
    if (status == NULL) {
        const size_t count = worker->signatures.count == 0 ? 1 : worker->signatures.count;
        learned = calloc(count, sizeof *learned);
        if (learned == NULL) {
            el_signatures_free(&worker->signatures);
            status = el_status_no_memory();
        }
    }
    if (status != NULL) {
        free(engine);
        free(version);
        return el_status_prefix(status, "it sent broken signatures");
    }
    worker->learned = learned;
    worker->engine = engine;
    worker->engine_version = version;
    worker->can_cancel = can_cancel != 0;
    el_worker_ready(worker);
    return NULL;
}

static struct el_status *on_failed(struct el_worker *worker, struct el_packet *packet)
{
    const uint32_t code = el_packet_read_u32(packet);
    char *text = el_packet_read_text(packet);
    if (!el_packet_read_done(packet) || worker->loaded || code == 0 || code >= EL_CODES) {
        free(text);
        return el_status_new(EL_INTERNAL, "it sent a broken message when it had failed");
    }
    el_worker_fail(worker, el_status_new((enum el_code)code, "%s", text));
    free(text);
    return NULL;
}

struct el_status *el_worker_message(struct el_worker *worker, const uint8_t *bytes, size_t size)
{
    struct el_packet packet = el_packet_open(bytes, size);
    switch (el_packet_read_u32(&packet)) {
    case EL_MESSAGE_SIGNATURES:
        return on_signatures(worker, &packet);
    case EL_MESSAGE_LOADED:
        return on_loaded(worker, &packet);
    case EL_MESSAGE_FAILED:
        return on_failed(worker, &packet);
    default:
        return el_status_new(EL_INTERNAL, "it sent a message of no known kind");
    }
}

void el_worker_read_control(struct el_worker *worker)
{
    uint8_t *bytes = worker->workers->packet;
    /* As many as a model's signatures can have parts, and a few: whatever is left comes in the next turn. */
    for (unsigned i = 0; i < EL_SIGNATURES_MAX / 32768 + 4; i++) {
        size_t no_fds = 0;
        const long size = el_receive(worker->control, bytes, NULL, &no_fds, false);
        if (size < 0 && errno == EAGAIN)
            return;
        if (size <= 0) {
            el_worker_hung_up(worker);
            return;
        }
        struct el_status *lie = el_worker_message(worker, bytes, (size_t)size);
        if (lie != NULL) {
            el_worker_kill(worker, lie);
            return;
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_WIRE_H
#define EL_WORKER_WIRE_H

/*
 * The messages on the sockets between front, zygote and worker.
 *
 * Each is one packet of a Unix SOCK_SEQPACKET socket, at most EL_PACKET_MAX bytes: a number that says which, then its
 * fields in the machine's byte order (both ends run on one machine), texts as length and bytes. Descriptors travel
 * beside it. Reading is checked: what is too short, too long or unknown is a status, never a crash;
 * el_packet_read_done() makes sure that nothing was left over.
 *
 *     front → zygote    SPAWN
 *     zygote → front    READY or BROKEN; SPAWNED or SPAWN_FAILED; EXITED
 *     front → worker    START, CANCEL, BATCHING; the end of the stream means: end
 *     worker → front    SIGNATURES..., then LOADED; or FAILED
 */

#include "base/buf.h"
#include "base/status.h"
#include "worker/batching.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EL_PACKET_MAX 65536
#define EL_PACKET_FDS 80              /* descriptors in one message: control, memory, an eventfd for each lane */
#define EL_SIGNATURES_MAX (16u << 20) /* bytes of all signatures of a model */

enum el_message_type {
    EL_MESSAGE_SPAWN = 1,    /* u64 id; text name. Descriptors: control socket, memory, eventfds */
    EL_MESSAGE_READY,        /* */
    EL_MESSAGE_BROKEN,       /* u32 code; text why */
    EL_MESSAGE_SPAWNED,      /* u64 id; u32 pid. Descriptor: pidfd */
    EL_MESSAGE_SPAWN_FAILED, /* u64 id; u32 errno */
    EL_MESSAGE_EXITED,       /* u32 pid; u32 wait status */
    EL_MESSAGE_START,        /* struct el_start */
    EL_MESSAGE_CANCEL,       /* u32 slot; u32 generation */
    EL_MESSAGE_BATCHING,     /* struct el_batching */
    EL_MESSAGE_SIGNATURES,   /* u32 bytes in all; bytes: the next part of them */
    EL_MESSAGE_LOADED,       /* u32 1 if runs can be cancelled; text engine, text its version */
    EL_MESSAGE_FAILED,       /* u32 code; text why */
};

/* What a worker is told to host. Texts are borrowed. */
struct el_start {
    uint32_t slots;
    uint32_t lanes;
    uint64_t arena_bytes;
    uint64_t memory_limit_bytes;
    uint32_t concurrency;
    uint32_t intra_op_threads;
    uint32_t inter_op_threads;
    uint32_t idle_priority;
    uint32_t prefer_tflite;
    uint32_t alone;
    struct el_batching batching;
    const char *model; /* for messages */
    int64_t version;
    const char *path;
    const char *tags;
    const char *precision;
    const char *scratch_path;
};

/* A packet being read: bytes that the caller keeps. */
struct el_packet {
    const uint8_t *at;
    size_t left;
    bool failed; /* something was missing; everything read since is 0 or "" */
};

void el_packet_u32(struct el_buf *buf, uint32_t number);
void el_packet_u64(struct el_buf *buf, uint64_t number);
void el_packet_text(struct el_buf *buf, const char *text); /* cut to 16 KiB */
void el_packet_start(struct el_buf *buf, const struct el_start *start);
void el_packet_batching(struct el_buf *buf, const struct el_batching *batching);

struct el_packet el_packet_open(const uint8_t *bytes, size_t size);
uint32_t el_packet_read_u32(struct el_packet *packet);
uint64_t el_packet_read_u64(struct el_packet *packet);
/* A copy of the next text in *text, to free(); NULL after failure. Texts with a zero byte inside count as broken. */
char *el_packet_read_text(struct el_packet *packet);
/* True if all was there and nothing is left. */
bool el_packet_read_done(const struct el_packet *packet);

/* Reads START's fields into start; its texts are copies: el_start_free(). False: the packet is broken. */
bool el_packet_read_start(struct el_packet *packet, struct el_start *start);
void el_start_free(struct el_start *start);

/* Reads the fields of el_packet_batching(). False: the packet is broken, or they make no sense. */
bool el_packet_read_batching(struct el_packet *packet, struct el_batching *batching);

/* Sends one packet with descriptors. EAGAIN is UNAVAILABLE. Never raises SIGPIPE. */
struct el_status *el_send(int socket, const struct el_buf *packet, const int *fds, size_t fd_count) EL_MUST_USE;

/*
 * Receives one packet into bytes (EL_PACKET_MAX). Descriptors that came with it are close-on-exec and belong to the
 * caller; those beyond *fd_count's initial value are closed. Returns the size; 0 at the end of the stream; -1 with
 * errno. A packet that was cut off is -1 with EMSGSIZE.
 */
long el_receive(int socket, uint8_t *bytes, int *fds, size_t *fd_count, bool wait);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEXT_MAX 16384

void el_packet_u32(struct el_buf *buf, uint32_t number)
{
    el_buf_append(buf, &number, sizeof number);
}

void el_packet_u64(struct el_buf *buf, uint64_t number)
{
    el_buf_append(buf, &number, sizeof number);
}

void el_packet_text(struct el_buf *buf, const char *text)
{
    const size_t size = text == NULL ? 0 : strnlen(text, TEXT_MAX);
    el_packet_u32(buf, (uint32_t)size);
    el_buf_append(buf, text == NULL ? "" : text, size);
}

void el_packet_start(struct el_buf *buf, const struct el_start *start)
{
    el_packet_u32(buf, EL_MESSAGE_START);
    el_packet_u32(buf, start->slots);
    el_packet_u32(buf, start->lanes);
    el_packet_u64(buf, start->arena_bytes);
    el_packet_u64(buf, start->memory_limit_bytes);
    el_packet_u32(buf, start->concurrency);
    el_packet_u32(buf, start->intra_op_threads);
    el_packet_u32(buf, start->inter_op_threads);
    el_packet_u32(buf, start->idle_priority);
    el_packet_u32(buf, start->prefer_tflite);
    el_packet_u32(buf, start->alone);
    el_packet_batching(buf, &start->batching);
    el_packet_text(buf, start->model);
    el_packet_u64(buf, (uint64_t)start->version);
    el_packet_text(buf, start->path);
    el_packet_text(buf, start->tags);
    el_packet_text(buf, start->precision);
    el_packet_text(buf, start->scratch_path);
}

void el_packet_batching(struct el_buf *buf, const struct el_batching *batching)
{
    el_packet_u32(buf, batching->on);
    el_packet_u32(buf, batching->split);
    el_packet_u32(buf, batching->pad_inputs);
    el_packet_u64(buf, batching->max_rows);
    el_packet_u64(buf, batching->execution_rows);
    el_packet_u64(buf, batching->timeout_us);
    el_packet_u64(buf, batching->max_enqueued);
    el_packet_u32(buf, batching->allowed_count);
    for (uint32_t i = 0; i < batching->allowed_count; i++)
        el_packet_u32(buf, batching->allowed[i]);
}

struct el_packet el_packet_open(const uint8_t *bytes, size_t size)
{
    return (struct el_packet){ .at = bytes, .left = size };
}

static bool take(struct el_packet *packet, void *to, size_t size)
{
    if (packet->failed || packet->left < size) {
        packet->failed = true;
        return false;
    }
    memcpy(to, packet->at, size);
    packet->at += size;
    packet->left -= size;
    return true;
}

uint32_t el_packet_read_u32(struct el_packet *packet)
{
    uint32_t number;
    return take(packet, &number, sizeof number) ? number : 0;
}

uint64_t el_packet_read_u64(struct el_packet *packet)
{
    uint64_t number;
    return take(packet, &number, sizeof number) ? number : 0;
}

char *el_packet_read_text(struct el_packet *packet)
{
    const uint32_t size = el_packet_read_u32(packet);
    if (packet->failed || size > TEXT_MAX || size > packet->left || memchr(packet->at, 0, size) != NULL) {
        packet->failed = true;
        return NULL;
    }
    char *text = malloc((size_t)size + 1);
    if (text == NULL) {
        packet->failed = true;
        return NULL;
    }
    take(packet, text, size);
    text[size] = '\0';
    return text;
}

bool el_packet_read_done(const struct el_packet *packet)
{
    return !packet->failed && packet->left == 0;
}

/* The owner of texts in struct el_start frees them through pointers to non-const. */
static void free_text(const char *text)
{
    union {
        const char *borrowed;
        char *owned;
    } same = { .borrowed = text };
    free(same.owned);
}

bool el_packet_read_batching(struct el_packet *packet, struct el_batching *batching)
{
    memset(batching, 0, sizeof *batching);
    batching->on = el_packet_read_u32(packet) != 0;
    batching->split = el_packet_read_u32(packet) != 0;
    batching->pad_inputs = el_packet_read_u32(packet) != 0;
    batching->max_rows = el_packet_read_u64(packet);
    batching->execution_rows = el_packet_read_u64(packet);
    batching->timeout_us = el_packet_read_u64(packet);
    batching->max_enqueued = el_packet_read_u64(packet);
    const uint32_t count = el_packet_read_u32(packet);
    if (count > EL_ALLOWED_BATCH_SIZES || (batching->on && batching->execution_rows == 0))
        packet->failed = true;
    for (uint32_t i = 0; i < count && !packet->failed; i++)
        batching->allowed[i] = el_packet_read_u32(packet);
    batching->allowed_count = packet->failed ? 0 : count;
    return !packet->failed;
}

bool el_packet_read_start(struct el_packet *packet, struct el_start *start)
{
    memset(start, 0, sizeof *start);
    start->slots = el_packet_read_u32(packet);
    start->lanes = el_packet_read_u32(packet);
    start->arena_bytes = el_packet_read_u64(packet);
    start->memory_limit_bytes = el_packet_read_u64(packet);
    start->concurrency = el_packet_read_u32(packet);
    start->intra_op_threads = el_packet_read_u32(packet);
    start->inter_op_threads = el_packet_read_u32(packet);
    start->idle_priority = el_packet_read_u32(packet);
    start->prefer_tflite = el_packet_read_u32(packet);
    start->alone = el_packet_read_u32(packet);
    el_packet_read_batching(packet, &start->batching);
    start->model = el_packet_read_text(packet);
    start->version = (int64_t)el_packet_read_u64(packet);
    start->path = el_packet_read_text(packet);
    start->tags = el_packet_read_text(packet);
    start->precision = el_packet_read_text(packet);
    start->scratch_path = el_packet_read_text(packet);
    if (el_packet_read_done(packet))
        return true;
    el_start_free(start);
    return false;
}

void el_start_free(struct el_start *start)
{
    free_text(start->model);
    free_text(start->path);
    free_text(start->tags);
    free_text(start->precision);
    free_text(start->scratch_path);
    memset(start, 0, sizeof *start);
}

/* Room for the descriptors of one message. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(EL_PACKET_FDS * sizeof(int))];
};

struct el_status *el_send(int socket, const struct el_buf *packet, const int *fds, size_t fd_count)
{
    EL_TRY(el_buf_status(packet));
    if (packet->size > EL_PACKET_MAX || fd_count > EL_PACKET_FDS)
        return el_status_new(EL_INVALID_ARGUMENT, "a message of %zu bytes with %zu descriptors: at most %d and %d",
                             packet->size, fd_count, EL_PACKET_MAX, EL_PACKET_FDS);
    struct iovec bytes = { .iov_base = packet->data, .iov_len = packet->size };
    struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1 };
    union control control;
    if (fd_count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof *fds);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fd_count * sizeof *fds);
        memcpy(CMSG_DATA(header), fds, fd_count * sizeof *fds);
    }
    for (;;) {
        if (sendmsg(socket, &message, MSG_NOSIGNAL) >= 0)
            return NULL;
        if (errno == EAGAIN)
            return el_status_new(EL_UNAVAILABLE, "the other side does not read its messages");
        if (errno != EINTR)
            return el_status_errno(errno, "a message cannot be sent");
    }
}

long el_receive(int socket, uint8_t *bytes, int *fds, size_t *fd_count, bool wait)
{
    struct iovec room = { .iov_base = bytes, .iov_len = EL_PACKET_MAX };
    union control control;
    struct msghdr message = {
        .msg_iov = &room, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes
    };
    ssize_t size;
    do {
        size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
        /* ECONNRESET: the other side ended with messages of ours unread. It comes once, and before what it still had sent. */
    } while (size < 0 && (errno == EINTR || errno == ECONNRESET));
    const size_t room_for = fd_count == NULL ? 0 : *fd_count;
    size_t taken = 0;
    if (fd_count != NULL)
        *fd_count = 0;
    if (size < 0)
        return -1;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            if (taken < room_for)
                fds[taken++] = fd;
            else
                close(fd);
        }
    }
    if (fd_count != NULL)
        *fd_count = taken;
    if ((message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
        for (size_t i = 0; i < taken; i++)
            close(fds[i]);
        if (fd_count != NULL)
            *fd_count = 0;
        errno = EMSGSIZE;
        return -1;
    }
    return (long)size;
}

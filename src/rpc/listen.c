/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/listen.h"

#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096

static uint16_t port_of(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

static int option(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value));
}

/*
 * The first socket is bound without SO_REUSEPORT, so that an address in use is found out, and gets the option
 * afterwards, so that our other sockets may join it. Returns a socket or -1 with errno.
 */
static int bind_one(const struct sockaddr_storage *address, socklen_t size, bool first)
{
    int fd = socket(address->ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    bool ok = option(fd, SOL_SOCKET, SO_REUSEADDR, 1) == 0;
    if (address->ss_family == AF_INET6)
        ok = ok && option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 0) == 0;
    ok = ok && (first || option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0);
    ok = ok && bind(fd, (const struct sockaddr *)address, size) == 0;
    ok = ok && (!first || option(fd, SOL_SOCKET, SO_REUSEPORT, 1) == 0);
    ok = ok && listen(fd, BACKLOG) == 0;
    if (!ok) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int bind_all(struct sockaddr_storage *address, socklen_t size, int *sockets, size_t count, uint16_t *port)
{
    for (size_t i = 0; i < count; i++) {
        sockets[i] = bind_one(address, size, i == 0);
        if (sockets[i] >= 0 && i == 0 && getsockname(sockets[i], (struct sockaddr *)address, &size) == 0)
            *port = port_of(address); /* the others take the same */
        if (sockets[i] < 0) {
            int error = errno;
            while (i > 0)
                close(sockets[--i]);
            return error;
        }
    }
    return 0;
}

static struct el_status *bind_failed(int error, const char *address, unsigned port)
{
    if (error == EADDRINUSE)
        return el_status_new(EL_ALREADY_EXISTS, "listening on %s port %u: the port is in use by another process",
                             address, port);
    return el_status_errno(error, "listening on %s port %u", address, port);
}

static struct el_status *listen_tcp(const struct el_listener *listener, int *sockets, size_t count, uint16_t *port)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM }, *found = NULL;
    char service[8];
    snprintf(service, sizeof(service), "%u", (unsigned)listener->port);
    int error = getaddrinfo(listener->address, service, &hints, &found);
    if (error != 0)
        return el_status_new(EL_INVALID_ARGUMENT, "listening on %s port %s: %s", listener->address, service,
                             gai_strerror(error));
    struct sockaddr_storage address = { 0 };
    socklen_t size = found->ai_addrlen;
    memcpy(&address, found->ai_addr, size);
    freeaddrinfo(found);
    error = bind_all(&address, size, sockets, count, port);
    bool no_ipv6 = error == EAFNOSUPPORT || error == EADDRNOTAVAIL;
    if (no_ipv6 && strcmp(listener->address, "::") == 0) {
        /* A machine without IPv6: every address means 0.0.0.0 there. */
        struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(listener->port) };
        address = (struct sockaddr_storage){ 0 };
        memcpy(&address, &any, sizeof(any));
        error = bind_all(&address, sizeof(any), sockets, count, port);
    }
    return error == 0 ? NULL : bind_failed(error, listener->address, listener->port);
}

/* True if nobody answers on the socket file any more. */
static bool is_stale(const struct sockaddr_un *address)
{
    struct stat info;
    if (lstat(address->sun_path, &info) != 0 || !S_ISSOCK(info.st_mode))
        return false;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

static struct el_status *listen_unix(const struct el_listener *listener, int *socket_out)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const char *path = listener->unix_path;
    if (strlen(path) >= sizeof(address.sun_path))
        return el_status_new(EL_INVALID_ARGUMENT,
                             "listening on the Unix socket %s: the path has %zu bytes, at most %zu "
                             "are possible",
                             path, strlen(path), sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    if (is_stale(&address))
        unlink(path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return el_status_errno(errno, "listening on the Unix socket %s", path);
    /* Linux gives the file the mode of the socket: there is no moment at which others could connect. */
    if ((listener->private_mode && fchmod(fd, 0600) != 0) ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, BACKLOG) != 0) {
        int error = errno;
        close(fd);
        if (error == EADDRINUSE)
            return el_status_new(EL_ALREADY_EXISTS, "listening on the Unix socket %s: another process listens on it",
                                 path);
        return el_status_errno(error, "listening on the Unix socket %s", path);
    }
    *socket_out = fd;
    return NULL;
}

struct el_status *el_listen(const struct el_listener *listener, int *sockets, size_t count, uint16_t *port)
{
    for (size_t i = 0; i < count; i++)
        sockets[i] = -1;
    *port = 0;
    if (listener->unix_path != NULL)
        return listen_unix(listener, &sockets[0]);
    return listen_tcp(listener, sockets, count, port);
}

bool el_listen_close_door(int fd)
{
    /* Byte 13 of the TCP header holds the flags: 0x02 SYN, 0x10 ACK. */
    struct sock_filter ignore_syn[] = {
        BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),          BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x02, 0, 1), BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
    const struct sock_fprog program = { .len = sizeof(ignore_syn) / sizeof(ignore_syn[0]), .filter = ignore_syn };
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0;
}

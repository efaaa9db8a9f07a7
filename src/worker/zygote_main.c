/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The program everlit-worker: the zygote of one engine.
 *
 *     everlit-worker --zygote ENGINE --engine-dir DIR      (the front's socket is descriptor 3)
 *
 * Loads the engine's library once, which takes up to a second, and then forks a worker for each request in a few
 * milliseconds, with the library's pages shared. It stays single-threaded, so that a fork copies all there is. It
 * tells the front each worker's pid and pidfd (taken before the worker can be reaped, so it is never somebody
 * else's), and how each ended. When the front closes its end, it ends; the workers see the end of their own sockets.
 * Workers outlive a zygote that dies: the front starts another one when it needs it.
 *
 * SIGINT, SIGTERM and SIGHUP are ignored here and in the workers: a terminal or a service manager sends them to all
 * processes, but the front answers what is in flight first and ends us by closing the sockets.
 */

#include "base/status.h"
#include "worker/host.h"
#include "worker/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define FRONT 3
#define FDS_BEFORE_LANES 2 /* control socket, memory */

struct zygote {
    struct el_engine *engine;
    int deaths;    /* signalfd for SIGCHLD */
    sigset_t mask; /* of signals, as it was before SIGCHLD was blocked */
    uint8_t bytes[EL_PACKET_MAX];
};

/* True if the front is still there. */
static bool tell(struct el_buf *packet, const int *fd)
{
    struct el_status *status = el_send(FRONT, packet, fd, fd == NULL ? 0 : 1);
    const bool sent = status == NULL;
    el_status_free(status);
    el_buf_free(packet);
    return sent;
}

static void tell_broken(struct el_status *status)
{
    struct el_buf packet = { 0 };
    el_packet_u32(&packet, EL_MESSAGE_BROKEN);
    el_packet_u32(&packet, el_status_code(status));
    el_packet_text(&packet, el_status_text(status));
    tell(&packet, NULL);
    el_status_free(status);
}

/* The kernel's out-of-memory killer should take a worker, which is replaced, rather than the front. */
static void volunteer_for_oom(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, "300", 3) < 0 && errno != EACCES && errno != EPERM)
        perror("everlit-worker: oom_score_adj");
    close(fd);
}

_Noreturn static void be_worker(struct zygote *zygote, const char *name, const int *fds, size_t fd_count)
{
    close(FRONT);
    close(zygote->deaths);
    sigprocmask(SIG_SETMASK, &zygote->mask, NULL);
    prctl(PR_SET_NAME, name);
    volunteer_for_oom();
    struct el_host_setup setup = {
        .engine = zygote->engine,
        .control = fds[0],
        .memory = fds[1],
        .lanes = (uint32_t)(fd_count - FDS_BEFORE_LANES),
        .own_process = true,
    };
    setup.eventfds = calloc(setup.lanes, sizeof *setup.eventfds);
    if (setup.eventfds == NULL)
        _exit(1);
    memcpy(setup.eventfds, fds + FDS_BEFORE_LANES, setup.lanes * sizeof *fds);
    el_host_run(&setup);
    _exit(0);
}

static bool answer_spawn(uint64_t id, pid_t pid, int error)
{
    struct el_buf packet = { 0 };
    int pidfd = pid < 0 ? -1 : (int)syscall(SYS_pidfd_open, pid, 0);
    if (pid >= 0 && pidfd < 0) {
        error = errno;
        kill(pid, SIGKILL);
    }
    el_packet_u32(&packet, pidfd < 0 ? EL_MESSAGE_SPAWN_FAILED : EL_MESSAGE_SPAWNED);
    el_packet_u64(&packet, id);
    el_packet_u32(&packet, pidfd < 0 ? (uint32_t)error : (uint32_t)pid);
    const bool there = tell(&packet, pidfd < 0 ? NULL : &pidfd);
    if (pidfd >= 0)
        close(pidfd);
    return there;
}

static bool spawn(struct zygote *zygote, struct el_packet *packet, const int *fds, size_t fd_count)
{
    const uint64_t id = el_packet_read_u64(packet);
    char *name = el_packet_read_text(packet);
    bool there = true;
    if (!el_packet_read_done(packet) || fd_count <= FDS_BEFORE_LANES) {
        there = answer_spawn(id, -1, EBADMSG);
    } else {
        const pid_t pid = fork();
        if (pid == 0)
            be_worker(zygote, name, fds, fd_count);
        there = answer_spawn(id, pid, errno);
    }
    free(name);
    return there;
}

/* True if the front is still there. */
static bool serve_front(struct zygote *zygote)
{
    int fds[EL_PACKET_FDS];
    size_t fd_count = EL_PACKET_FDS;
    const long size = el_receive(FRONT, zygote->bytes, fds, &fd_count, false);
    if (size < 0)
        return errno == EAGAIN || errno == EMSGSIZE;
    if (size == 0)
        return false;
    struct el_packet packet = el_packet_open(zygote->bytes, (size_t)size);
    bool there = true;
    if (el_packet_read_u32(&packet) == EL_MESSAGE_SPAWN)
        there = spawn(zygote, &packet, fds, fd_count);
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
    return there;
}

static bool reap(struct zygote *zygote)
{
    struct signalfd_siginfo info;
    while (read(zygote->deaths, &info, sizeof info) > 0)
        continue;
    for (;;) {
        int status;
        const pid_t pid = waitpid(-1, &status, WNOHANG);
        if (pid <= 0)
            return true;
        struct el_buf packet = { 0 };
        el_packet_u32(&packet, EL_MESSAGE_EXITED);
        el_packet_u32(&packet, (uint32_t)pid);
        el_packet_u32(&packet, (uint32_t)status);
        if (!tell(&packet, NULL))
            return false;
    }
}

static void serve(struct zygote *zygote)
{
    struct pollfd polled[] = { { .fd = FRONT, .events = POLLIN }, { .fd = zygote->deaths, .events = POLLIN } };
    for (;;) {
        if (poll(polled, 2, -1) < 0 && errno != EINTR)
            return;
        if (polled[1].revents != 0 && !reap(zygote))
            return;
        if (polled[0].revents != 0 && !serve_front(zygote))
            return;
    }
}

static bool watch_deaths(struct zygote *zygote)
{
    sigset_t deaths;
    sigemptyset(&deaths);
    sigaddset(&deaths, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &deaths, &zygote->mask) != 0)
        return false;
    zygote->deaths = signalfd(-1, &deaths, SFD_CLOEXEC | SFD_NONBLOCK);
    return zygote->deaths >= 0;
}

static int run(const char *engine, const char *dir)
{
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL); /* ignored by the front's parent, children would vanish unreported */
    fcntl(FRONT, F_SETFD, FD_CLOEXEC);
    /* What the front did not mark close-on-exec is none of ours. */
    syscall(SYS_close_range, FRONT + 1, ~0u, 0);
    prctl(PR_SET_NAME, "el-zygote");
    struct zygote *zygote = calloc(1, sizeof *zygote);
    if (zygote == NULL) {
        tell_broken(el_status_no_memory());
        return 1;
    }
    struct el_status *status = el_engine_open(dir, engine, &zygote->engine);
    if (status != NULL) {
        tell_broken(status);
        free(zygote);
        return 1;
    }
    if (!watch_deaths(zygote)) {
        tell_broken(el_status_errno(errno, "the zygote of engine %s cannot watch its workers", engine));
        el_engine_release(zygote->engine);
        free(zygote);
        return 1;
    }
    struct el_buf packet = { 0 };
    el_packet_u32(&packet, EL_MESSAGE_READY);
    if (tell(&packet, NULL))
        serve(zygote);
    close(zygote->deaths);
    el_engine_release(zygote->engine);
    free(zygote);
    return 0;
}

int main(int argc, char **argv)
{
    const char *engine = NULL;
    const char *dir = NULL;
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--zygote") == 0)
            engine = argv[i + 1];
        else if (strcmp(argv[i], "--engine-dir") == 0)
            dir = argv[i + 1];
    }
    if (engine == NULL || dir == NULL || fcntl(FRONT, F_GETFD) < 0) {
        fprintf(stderr, "everlit-worker: started by everlitd, not by hand: "
                        "everlit-worker --zygote ENGINE --engine-dir DIR with a socket as descriptor 3\n");
        return 2;
    }
    return run(engine, dir);
}

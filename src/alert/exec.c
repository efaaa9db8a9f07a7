/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program of the operator's: argv as it stands in the config, no shell, the document on its standard input. It leads a process
 * group, all of which is killed when it has ended or its time is over, so that nothing of it stays.
 */
#include "alert/send.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIPE_BYTES (256 * 1024) /* an alert is far smaller: writing it waits for nobody */

static int spawn(char **argv, int input, pid_t *pid)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
    posix_spawn_file_actions_adddup2(&files, input, STDIN_FILENO);
    /* Not ours: the log is made of lines of one form. */
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addclosefrom_np(&files, 3);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    const int error = posix_spawn(pid, argv[0], &files, &attributes, argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return error;
}

static struct el_status *judge(const char *program, int how)
{
    if (WIFEXITED(how) && WEXITSTATUS(how) == 0)
        return NULL;
    if (WIFEXITED(how))
        return el_status_new(EL_UNAVAILABLE, "%s: it exited with status %d", program, WEXITSTATUS(how));
    return el_status_new(EL_UNAVAILABLE, "%s: it was ended by signal %d", program, WTERMSIG(how));
}

/* Until it has ended, its time is over, or the server ends. It is not reaped here: its number is still its own. */
static struct el_status *wait_for(const struct el_alert_try *try, pid_t pid)
{
    const char *program = try->receiver->argv[0];
    const uint64_t end_ns = el_after_ns(el_now_ns(), try->receiver->timeout_ms * EL_NS_PER_MS);
    const int pidfd = pidfd_open(pid, 0);
    if (pidfd < 0)
        return el_status_errno(errno, "%s: it cannot be waited for", program);
    struct el_status *status = NULL;
    for (;;) {
        struct pollfd fds[2] = { { .fd = pidfd, .events = POLLIN }, { .fd = try->stop_fd, .events = POLLIN } };
        const uint64_t now_ns = el_now_ns();
        const int ms = now_ns >= end_ns ? 0 : (int)((end_ns - now_ns) / EL_NS_PER_MS) + 1;
        const int n = poll(fds, 2, ms);
        if (n < 0 && errno == EINTR)
            continue;
        if (n > 0 && fds[0].revents != 0)
            break;
        if (n > 0)
            status = el_status_new(EL_CANCELLED, "%s: the server ends", program);
        else
            status = el_status_new(EL_DEADLINE_EXCEEDED, "%s: it had not ended after %u ms and was killed", program,
                                   try->receiver->timeout_ms);
        break;
    }
    close(pidfd);
    return status;
}

struct el_status *el_alert_exec(const struct el_alert_try *try)
{
    const char *program = try->receiver->argv[0];
    const size_t size = strlen(try->document);
    int pipe_fds[2];
    pid_t pid;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return el_status_errno(errno, "%s: no pipe", program);
    fcntl(pipe_fds[1], F_SETPIPE_SZ, PIPE_BYTES); /* refused: the 64 kB that it has do as well */
    fcntl(pipe_fds[1], F_SETFL, O_NONBLOCK);
    const int error = spawn(try->receiver->argv, pipe_fds[0], &pid);
    close(pipe_fds[0]);
    if (error != 0) {
        close(pipe_fds[1]);
        return el_status_errno(error, "%s: it cannot be started", program);
    }
    /* One that closes its input without reading needs no document: what counts is how it ends. */
    const bool whole = write(pipe_fds[1], try->document, size) == (ssize_t)size || errno == EPIPE;
    close(pipe_fds[1]);
    struct el_status *status = whole ? wait_for(try, pid)
                                     : el_status_new(EL_UNAVAILABLE, "%s: its input takes no %zu bytes", program, size);
    int how = 0;
    kill(-pid, SIGKILL);
    while (waitpid(pid, &how, 0) < 0 && errno == EINTR)
        continue;
    return status != NULL ? status : judge(program, how);
}

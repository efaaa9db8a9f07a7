/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/zygote_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int el_zygote_process_start(const struct el_workers *workers, const char *engine, int socket, pid_t *pid)
{
    const char *const arguments[] = { workers->helper_path, "--zygote",          engine,
                                      "--engine-dir",       workers->engine_dir, NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none;
    sigemptyset(&none);
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0)
        return error;
    error = posix_spawnattr_init(&attributes);
    if (error != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return error;
    }
    error = posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, 2, 1); /* what engines print is no answer of ours */
    if (error == 0)
        error = posix_spawn_file_actions_adddup2(&actions, socket, 3);
    if (error == 0)
        error = posix_spawnattr_setpgroup(&attributes, 0);
    if (error == 0)
        error = posix_spawnattr_setsigmask(&attributes, &none);
    if (error == 0)
        error = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK);
    union {
        const char *const *constant;
        char *const *argv;
    } same = { .constant = arguments }; /* posix_spawn does not change them, but its type does not say so */
    if (error == 0)
        error = posix_spawn(pid, workers->helper_path, &actions, &attributes, same.argv, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int el_zygote_process_kill(pid_t *pid)
{
    int status = 0;
    if (*pid <= 0)
        return status;
    /* It has nothing to lose, and we must not wait for one that hangs. */
    kill(*pid, SIGKILL);
    while (waitpid(*pid, &status, 0) < 0 && errno == EINTR)
        continue;
    *pid = 0;
    return status;
}

int el_zygote_process_ended(pid_t *pid)
{
    int status = 0;
    for (int i = 0; i < 100; i++) {
        const pid_t reaped = waitpid(*pid, &status, WNOHANG);
        if (reaped == 0) {
            usleep(1000);
            continue;
        }
        if (reaped != *pid)
            break;
        *pid = 0;
        return status;
    }
    return el_zygote_process_kill(pid);
}

struct el_status *el_zygote_process_cause(const struct el_workers *workers, const char *engine, int status, bool ready)
{
    const char *when = ready ? "" : " while it opened the engine";
    if (WIFSIGNALED(status))
        return el_status_new(EL_FAILED_PRECONDITION,
                             "the zygote of engine %s was killed by signal %d (%s)%s; its library is %s/engine_%s.so",
                             engine, WTERMSIG(status), strsignal(WTERMSIG(status)), when, workers->engine_dir, engine);
    if (WEXITSTATUS(status) == 127)
        return el_status_new(EL_FAILED_PRECONDITION,
                             "%s cannot be started; type `make` in Everlit's source to build "
                             "it, or install the package again",
                             workers->helper_path);
    return el_status_new(EL_FAILED_PRECONDITION, "the zygote of engine %s (%s) ended with exit status %d%s", engine,
                         workers->helper_path, WEXITSTATUS(status), when);
}

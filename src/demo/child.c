/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* Between fork and exec, of a program with threads: calls that are safe in a signal handler, and nothing else. */
static void become(const char *const *arguments, const char *log, pid_t parent)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    signal(SIGPIPE, SIG_DFL);
    const int in = open("/dev/null", O_RDONLY);
    const int out = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (getppid() != parent || in < 0 || out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(127);
    union {
        const char *const *constant;
        char *const *plain; /* execve() changes nothing; its type is older than const */
    } same = { .constant = arguments };
    execve(arguments[0], same.plain, environ);
    static const char text[] = "cannot be executed\n";
    (void)!write(2, text, sizeof text - 1);
    _exit(127);
}

struct el_status *child_start(struct child *child, const char *const *arguments, const char *log)
{
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid < 0)
        return el_status_errno(errno, "start %s", arguments[0]);
    if (pid == 0)
        become(arguments, log, parent);
    setpgid(pid, pid); /* on both sides: whoever comes first */
    *child = (struct child){ .pid = pid };
    return NULL;
}

static bool reap(struct child *child, int options)
{
    int wait_status = 0;
    pid_t pid;
    do {
        pid = waitpid(child->pid, &wait_status, options);
    } while (pid < 0 && errno == EINTR);
    if (pid == 0)
        return false;
    child->pid = 0;
    child->wait_status = wait_status;
    return true;
}

bool child_runs(struct child *child)
{
    return child->pid > 0 && !reap(child, WNOHANG);
}

void child_kill(struct child *child)
{
    if (child->pid <= 0)
        return;
    kill(-child->pid, SIGKILL);
    reap(child, 0);
}

void child_end_text(const struct child *child, char *text, size_t size)
{
    const int status = child->wait_status;
    if (WIFSIGNALED(status))
        snprintf(text, size, "was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
}

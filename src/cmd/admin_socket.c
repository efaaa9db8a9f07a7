/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/admin_socket.h"

#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define RUN_DIRECTORY "/run/everlit"

struct el_status *el_admin_socket_path(const char *flag, char **path)
{
    *path = NULL;
    struct el_buf text = { 0 };
    const char *environment = getenv("EVERLIT_SOCKET");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    if (flag != NULL && *flag != 0) {
        if (strcmp(flag, "none") == 0)
            return NULL;
        el_buf_text(&text, flag);
    } else if (environment != NULL && *environment != 0) {
        el_buf_text(&text, environment);
    } else if (access(RUN_DIRECTORY, W_OK) == 0 || access(RUN_DIRECTORY "/everlit.sock", F_OK) == 0) {
        el_buf_text(&text, RUN_DIRECTORY "/everlit.sock");
    } else if (runtime != NULL && *runtime != 0) {
        el_buf_printf(&text, "%s/everlit.sock", runtime);
    } else {
        el_buf_printf(&text, "/tmp/everlit-%u.sock", (unsigned)getuid());
    }
    *path = el_buf_take_text(&text);
    if (*path == NULL)
        return el_status_no_memory();
    if (strlen(*path) >= sizeof((struct sockaddr_un *)NULL)->sun_path) {
        struct el_status *status = el_status_new(EL_INVALID_ARGUMENT,
                                                 "admin socket %s: a path of at most %zu bytes is possible", *path,
                                                 sizeof((struct sockaddr_un *)NULL)->sun_path - 1);
        free(*path);
        *path = NULL;
        return status;
    }
    return NULL;
}

struct el_status *el_admin_socket_take(const char *path)
{
    struct stat info;
    if (lstat(path, &info) != 0)
        return errno == ENOENT ? NULL : el_status_errno(errno, "admin socket %s", path);
    if (!S_ISSOCK(info.st_mode))
        return el_status_new(EL_ALREADY_EXISTS, "admin socket %s: there is something else of that name", path);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    memcpy(address.sun_path, path, strnlen(path, sizeof address.sun_path - 1));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return el_status_errno(errno, "admin socket %s", path);
    const int answered = connect(fd, (const struct sockaddr *)&address, sizeof address);
    const int error = errno;
    close(fd);
    if (answered == 0)
        return el_status_new(EL_ALREADY_EXISTS,
                             "admin socket %s: another server answers there; give this one its own with "
                             "--admin_socket",
                             path);
    if (error != ECONNREFUSED)
        return el_status_errno(error, "admin socket %s", path);
    return unlink(path) == 0
               ? NULL
               : el_status_errno(errno, "admin socket %s: left by a server that ended, and cannot be removed", path);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* To the socket of syslog or journald, in the form of syslog(3), whose own function keeps one connection for the whole process and may wait. */
#include "alert/message.h"
#include "alert/send.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static struct el_status *send_line(const struct el_alert_receiver *receiver, const char *line, size_t size)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    const size_t length = strlen(receiver->socket);
    if (length >= sizeof address.sun_path)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: the path is too long for a socket", receiver->socket);
    memcpy(address.sun_path, receiver->socket, length);
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return el_status_errno(errno, "no socket");
    const struct timeval limit = { .tv_sec = receiver->timeout_ms / 1000,
                                   .tv_usec = receiver->timeout_ms % 1000 * 1000 };
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    struct el_status *status = NULL;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 || send(fd, line, size, MSG_NOSIGNAL) < 0)
        status = el_status_errno(errno, "%s: it cannot be written to", receiver->socket);
    close(fd);
    /* Whoever is not there today may be tomorrow: no errno means that he will never take it. */
    if (status == NULL || el_status_code(status) == EL_UNAVAILABLE)
        return status;
    struct el_status *again = el_status_new(EL_UNAVAILABLE, "%s", el_status_text(status));
    el_status_free(status);
    return again;
}

struct el_status *el_alert_syslog(const struct el_alert_try *try)
{
    static const int priorities[EL_ALERT_SEVERITIES] = { LOG_NOTICE, LOG_WARNING, LOG_CRIT };
    enum el_alert_severity severity;
    char *text, *line = NULL, stamp[32] = "";
    EL_TRY(el_alert_line(try->document, &text, &severity));
    const time_t now = time(NULL);
    struct tm local;
    if (localtime_r(&now, &local) != NULL)
        strftime(stamp, sizeof stamp, "%h %e %T", &local);
    const int size = asprintf(&line, "<%d>%s everlitd[%d]: %s", LOG_DAEMON | priorities[severity], stamp, (int)getpid(),
                              text);
    struct el_status *status = size < 0 ? el_status_no_memory() : send_line(try->receiver, line, (size_t)size);
    if (size >= 0)
        free(line);
    free(text);
    return status;
}

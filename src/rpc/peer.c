/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/http.h"

#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

bool el_http_peer(const struct el_http_request *request, struct el_http_peer *peer)
{
    *peer = (struct el_http_peer){ .uid = (uid_t)-1 };
    if (request->conn == NULL)
        return false;
    const int fd = request->conn->fd;
    struct sockaddr_storage address = { 0 };
    socklen_t size = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0)
        return false;
    if (address.ss_family == AF_UNIX) {
        struct ucred who;
        socklen_t who_size = sizeof who;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_size) != 0)
            return false;
        peer->is_local = true;
        peer->uid = who.uid;
        return true;
    }
    return getnameinfo((const struct sockaddr *)&address, size, peer->address, sizeof peer->address, NULL, 0,
                       NI_NUMERICHOST) == 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_SSL_H
#define EL_CONFIG_SSL_H

/*
 * TensorFlow Serving's SSLConfig (--ssl_config_file), read from text format.
 *
 * Any thread that may block on the disk; nothing is kept. The fields hold PEM text, as TensorFlow Serving's do, and not paths;
 * that they are PEM of the right kind is checked here, what is in them where they are used. Errors never quote a key. On failure
 * *config is empty; on success end it with el_ssl_config_free().
 */

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

struct el_ssl_config {
    char *server_key;   /* owned, terminated PEM; never NULL nor empty */
    char *server_cert;  /* likewise: the server's certificate, then those that lead to its authority */
    char *custom_ca;    /* likewise: whose certificates clients may have; NULL: not given */
    bool client_verify; /* a client must show a certificate that custom_ca vouches for */
};

/* Parses text (size bytes, not necessarily terminated); name stands for the file in errors. */
struct el_status *el_ssl_config_parse(const char *name, const char *text, size_t size,
                                      struct el_ssl_config *config) EL_MUST_USE;

/* Reads and parses the file at path. */
struct el_status *el_ssl_config_read(const char *path, struct el_ssl_config *config) EL_MUST_USE;

void el_ssl_config_free(struct el_ssl_config *config);

#endif

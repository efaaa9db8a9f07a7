/* SPDX-License-Identifier: Apache-2.0 */
#include "config/ssl.h"

#include "config/server_types.h"
#include "config/text.h"
#include "config/text_file.h"

#include <stdlib.h>
#include <string.h>

/*
 * A copy of a PEM field. The most common mistakes are a path in place of the text, and key and certificate in each other's
 * place; what is found is told only where it can be no key.
 */
static struct el_status *copy_pem(const char *name, const struct el_text_value *value, const char *what, char **copy)
{
    const struct el_text_string *text = &value->as.string;
    const char *field = value->field->name;
    if (strlen(text->data) != text->size)
        return el_text_error_at(name, value, EL_INVALID_ARGUMENT, "%s holds a zero byte, which no PEM text can have",
                                field);
    if (text->data[0] == '/' && strchr(text->data, '\n') == NULL)
        return el_text_error_at(name, value, EL_INVALID_ARGUMENT,
                                "%s is the PEM text itself, not a path; found \"%.200s\"", field, text->data);
    if (strstr(text->data, "-----BEGIN ") == NULL || strstr(text->data, what) == NULL)
        return el_text_error_at(name, value, EL_INVALID_ARGUMENT,
                                "%s holds no PEM of the kind \"%s\"; expected -----BEGIN ...%s-----, the lines joined "
                                "by \\n",
                                field, what, what);
    *copy = strdup(text->data);
    return *copy == NULL ? el_status_no_memory() : NULL;
}

static struct el_status *missing(const char *name, const char *field)
{
    return el_status_new(EL_INVALID_ARGUMENT, "%s: %s is missing; expected server_key and server_cert, as PEM text",
                         name, field);
}

static struct el_status *fill(const char *name, const struct el_text_message *message, struct el_ssl_config *config)
{
    const struct el_text_value *key = el_text_get(message, EL_SSL_SERVER_KEY);
    const struct el_text_value *cert = el_text_get(message, EL_SSL_SERVER_CERT);
    const struct el_text_value *ca = el_text_get(message, EL_SSL_CUSTOM_CA);
    const struct el_text_value *verify = el_text_get(message, EL_SSL_CLIENT_VERIFY);
    if (key == NULL || key->as.string.size == 0)
        return missing(name, "server_key");
    if (cert == NULL || cert->as.string.size == 0)
        return missing(name, "server_cert");
    EL_TRY(copy_pem(name, key, "PRIVATE KEY", &config->server_key));
    EL_TRY(copy_pem(name, cert, "CERTIFICATE", &config->server_cert));
    if (ca != NULL && ca->as.string.size > 0)
        EL_TRY(copy_pem(name, ca, "CERTIFICATE", &config->custom_ca));
    config->client_verify = verify != NULL && verify->as.boolean;
    if (config->client_verify && config->custom_ca == NULL)
        return el_text_error_at(name, verify, EL_INVALID_ARGUMENT,
                                "client_verify needs custom_ca: no client's certificate could be accepted without it");
    return NULL;
}

/* document is taken over. */
static struct el_status *finish(const char *name, struct el_text *document, struct el_ssl_config *config)
{
    struct el_status *status = fill(name, document->root, config);
    el_text_free(document);
    if (status != NULL)
        el_ssl_config_free(config);
    return status;
}

struct el_status *el_ssl_config_parse(const char *name, const char *text, size_t size, struct el_ssl_config *config)
{
    *config = (struct el_ssl_config){ 0 };
    struct el_text document;
    EL_TRY(el_text_parse(name, text, size, &el_type_ssl_config, &document));
    return finish(name, &document, config);
}

struct el_status *el_ssl_config_read(const char *path, struct el_ssl_config *config)
{
    *config = (struct el_ssl_config){ 0 };
    struct el_text document;
    EL_TRY(el_text_read_file(path, &el_type_ssl_config, &document));
    return finish(path, &document, config);
}

void el_ssl_config_free(struct el_ssl_config *config)
{
    free(config->server_key);
    free(config->server_cert);
    free(config->custom_ca);
    *config = (struct el_ssl_config){ 0 };
}

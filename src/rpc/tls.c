/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES ((size_t)16 * 1024) /* the most that one TLS record holds */

struct el_tls {
    pthread_mutex_t lock; /* guards the pointer: taken for a few instructions per connection */
    SSL_CTX *context;
};

/* ---- certificates ---- */

static struct el_status *bad(const struct el_tls_options *options, const char *field, const char *what)
{
    const unsigned long error = ERR_peek_last_error();
    const char *reason = error == 0 ? NULL : ERR_reason_error_string(error);
    struct el_status *status = el_status_new(EL_INVALID_ARGUMENT, "%s: %s: %s%s%s%s", options->origin, field, what,
                                             reason == NULL ? "" : " (OpenSSL: ", reason == NULL ? "" : reason,
                                             reason == NULL ? "" : ")");
    ERR_clear_error();
    return status;
}

/* Never asks a terminal for the key's password. */
static int no_password(char *to, int room, int writing, void *user)
{
    (void)to;
    (void)room;
    (void)writing;
    (void)user;
    return -1;
}

static BIO *reader(const char *pem)
{
    return BIO_new_mem_buf(pem, -1);
}

/* True if what stopped the reading of certificates is only that there are no more. */
static bool no_more(void)
{
    const unsigned long error = ERR_peek_last_error();
    const bool end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
    if (end)
        ERR_clear_error();
    return end;
}

static struct el_status *use_chain(SSL_CTX *context, const struct el_tls_options *options)
{
    BIO *bio = reader(options->cert);
    if (bio == NULL)
        return el_status_no_memory();
    struct el_status *status = NULL;
    X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, no_password, NULL);
    if (cert == NULL || SSL_CTX_use_certificate(context, cert) != 1)
        status = bad(options, "server_cert", "no certificate could be read from it");
    X509_free(cert);
    while (status == NULL && (cert = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        if (SSL_CTX_add0_chain_cert(context, cert) != 1) {
            X509_free(cert);
            status = bad(options, "server_cert", "a certificate after the first cannot be used");
        }
    }
    if (status == NULL && !no_more())
        status = bad(options, "server_cert", "a certificate after the first could not be read");
    BIO_free(bio);
    return status;
}

static struct el_status *use_key(SSL_CTX *context, const struct el_tls_options *options)
{
    BIO *bio = reader(options->key);
    if (bio == NULL)
        return el_status_no_memory();
    struct el_status *status = NULL;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
    if (key == NULL)
        status = bad(options, "server_key", "no private key without a password could be read from it");
    else if (SSL_CTX_use_PrivateKey(context, key) != 1 || SSL_CTX_check_private_key(context) != 1)
        status = bad(options, "server_key", "it is not the key of server_cert");
    EVP_PKEY_free(key);
    BIO_free(bio);
    return status;
}

static struct el_status *use_authorities(SSL_CTX *context, const struct el_tls_options *options)
{
    BIO *bio = reader(options->ca == NULL ? "" : options->ca);
    if (bio == NULL)
        return el_status_no_memory();
    struct el_status *status = NULL;
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    X509 *cert;
    int count = 0;
    while (status == NULL && (cert = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
        if (X509_STORE_add_cert(store, cert) != 1 || SSL_CTX_add_client_CA(context, cert) != 1)
            status = bad(options, "custom_ca", "a certificate cannot be used");
        X509_free(cert);
        count++;
    }
    if (status == NULL && (!no_more() || count == 0))
        status = bad(options, "custom_ca", "no certificate could be read from it");
    BIO_free(bio);
    if (status == NULL)
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return status;
}

/* The first of ours that the client also speaks. None: the alert "no application protocol". */
static int choose_protocol(SSL *session, const unsigned char **chosen, unsigned char *size,
                           const unsigned char *offered, unsigned offered_size, void *argument)
{
    static const unsigned char both[] = "\2h2\10http/1.1", h1[] = "\10http/1.1", h2[] = "\2h2";
    const unsigned protocols = (unsigned)(uintptr_t)SSL_get_app_data(session);
    const unsigned char *ours = protocols == EL_TLS_H1 ? h1 : protocols == EL_TLS_H2 ? h2 : both;
    unsigned char *found;
    (void)argument;
    if (SSL_select_next_proto(&found, size, ours, (unsigned)strlen((const char *)ours), offered, offered_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *chosen = found;
    return SSL_TLSEXT_ERR_OK;
}

static struct el_status *make_context(const struct el_tls_options *options, SSL_CTX **made)
{
    static const unsigned char name[] = "everlit";
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (context == NULL)
        return el_status_no_memory();
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    /* A short write may be repeated from another place; an idle connection holds no buffers. */
    SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* tickets are enough */
    SSL_CTX_set_session_id_context(context, name, sizeof(name) - 1);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    struct el_status *status = use_chain(context, options);
    if (status == NULL)
        status = use_key(context, options);
    if (status == NULL && options->verify_client)
        status = use_authorities(context, options);
    if (status != NULL) {
        SSL_CTX_free(context);
        return status;
    }
    *made = context;
    return NULL;
}

struct el_status *el_tls_new(const struct el_tls_options *options, struct el_tls **tls)
{
    struct el_tls *new = calloc(1, sizeof(*new));
    if (new == NULL)
        return el_status_no_memory();
    struct el_status *status = make_context(options, &new->context);
    if (status != NULL) {
        free(new);
        return status;
    }
    pthread_mutex_init(&new->lock, NULL);
    *tls = new;
    return NULL;
}

struct el_status *el_tls_replace(struct el_tls *tls, const struct el_tls_options *options)
{
    SSL_CTX *context;
    EL_TRY(make_context(options, &context));
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *before = tls->context;
    tls->context = context;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(before); /* its connections hold it, too */
    return NULL;
}

void el_tls_free(struct el_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

/* ---- sessions ---- */

SSL *el_tls_session_new(struct el_tls *tls, int fd, unsigned protocols)
{
    pthread_mutex_lock(&tls->lock);
    SSL *session = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    if (session == NULL || SSL_set_fd(session, fd) != 1 ||
        SSL_set_app_data(session, (void *)(uintptr_t)protocols) != 1) {
        SSL_free(session);
        ERR_clear_error();
        return NULL;
    }
    SSL_set_accept_state(session);
    return session;
}

void el_tls_session_free(SSL *session)
{
    SSL_free(session);
}

/* What the last call of OpenSSL wants; its errors are taken off the thread's queue. */
static enum el_tls_step step_of(SSL *session, int result, char *why, size_t room)
{
    const int saved = errno;
    const int error = SSL_get_error(session, result);
    if (error == SSL_ERROR_WANT_READ)
        return EL_TLS_WANTS_READ;
    if (error == SSL_ERROR_WANT_WRITE)
        return EL_TLS_WANTS_WRITE;
    if (why != NULL && room > 0) {
        const unsigned long number = ERR_peek_last_error();
        const char *reason = number != 0 ? ERR_reason_error_string(number) : NULL;
        if (reason == NULL)
            reason = error == SSL_ERROR_SYSCALL && saved != 0 ? strerror(saved) : "the client went away";
        const size_t size = strlen(reason) < room - 1 ? strlen(reason) : room - 1;
        memcpy(why, reason, size);
        why[size] = 0;
    }
    ERR_clear_error();
    errno = saved;
    return EL_TLS_FAILED;
}

enum el_tls_step el_tls_handshake(SSL *session, char *why, size_t room)
{
    ERR_clear_error();
    errno = 0;
    const int result = SSL_do_handshake(session);
    return result == 1 ? EL_TLS_DONE : step_of(session, result, why, room);
}

static ssize_t read_some(SSL *session, uint8_t *to, size_t room, bool *wants_write)
{
    size_t got = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(session, to, room, &got);
    if (result == 1)
        return (ssize_t)got;
    if (SSL_get_error(session, result) == SSL_ERROR_ZERO_RETURN)
        return 0;
    switch (step_of(session, result, NULL, 0)) {
    case EL_TLS_WANTS_WRITE:
        *wants_write = true;
        errno = EAGAIN;
        return -1;
    case EL_TLS_WANTS_READ:
        errno = EAGAIN;
        return -1;
    default:
        errno = ECONNRESET;
        return -1;
    }
}

ssize_t el_tls_read(SSL *session, uint8_t *to, size_t room, bool *wants_write)
{
    size_t got = 0;
    while (room - got >= RECORD_BYTES) {
        const ssize_t more = read_some(session, to + got, room - got, wants_write);
        if (more <= 0) /* what came before an end or an error is read first; it comes up again */
            return got > 0 ? (ssize_t)got : more;
        got += (size_t)more;
    }
    return (ssize_t)got;
}

size_t el_tls_pending(SSL *session)
{
    return (size_t)SSL_pending(session);
}

ssize_t el_tls_write(SSL *session, const uint8_t *bytes, size_t size)
{
    size_t sent = 0;
    while (sent < size) { /* a record at a time */
        size_t more = 0;
        ERR_clear_error();
        const int result = SSL_write_ex(session, bytes + sent, size - sent, &more);
        if (result != 1) {
            if (sent > 0)
                break;
            errno = step_of(session, result, NULL, 0) == EL_TLS_FAILED ? ECONNRESET : EAGAIN;
            return -1;
        }
        sent += more;
    }
    return (ssize_t)sent;
}

void el_tls_close(SSL *session)
{
    ERR_clear_error();
    SSL_shutdown(session);
    ERR_clear_error();
}

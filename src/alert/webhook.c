/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Over HTTP, with libcurl's multi interface: of it, not of the easy one, because a wait for somebody who hangs must end when the server does.
 * Redirections are not followed: what is signed for one place is for no other.
 */
#include "alert/message.h"
#include "alert/send.h"

#include "base/clock.h"

#include <curl/curl.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS 5000
#define SAID_SIZE 160

struct said {
    char text[SAID_SIZE + 1]; /* the beginning of the answer, for the log */
    size_t size;
};

bool el_alert_sign(const uint8_t *secret, size_t secret_size, const char *body, char to[EL_ALERT_SIGNATURE_SIZE])
{
    uint8_t mac[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (HMAC(EVP_sha256(), secret, (int)secret_size, (const uint8_t *)body, strlen(body), mac, &size) == NULL ||
        size != 32)
        return false;
    memcpy(to, "sha256=", 8);
    for (unsigned i = 0; i < size; i++)
        snprintf(to + 7 + 2 * (size_t)i, 3, "%02x", mac[i]);
    return true;
}

static size_t on_answer(char *bytes, size_t one, size_t size, void *argument)
{
    (void)one; /* always 1 */
    struct said *said = argument;
    for (size_t i = 0; i < size && said->size < SAID_SIZE; i++)
        said->text[said->size++] = bytes[i] >= ' ' && bytes[i] <= '~' ? bytes[i] : ' ';
    return size;
}

/* "http://host:9093" and "http://host:9093/api/v2/alerts" name the same Alertmanager. */
static char *url_of(const struct el_alert_receiver *receiver)
{
    static const char path[] = "/api/v2/alerts";
    size_t size = strlen(receiver->url);
    char *url = NULL;
    while (size > 0 && receiver->url[size - 1] == '/')
        size--;
    const size_t tail = sizeof path - 1;
    const bool whole = size >= tail && strncmp(receiver->url + size - tail, path, tail) == 0;
    if (receiver->template != EL_ALERT_ALERTMANAGER || whole)
        return strdup(receiver->url);
    return asprintf(&url, "%.*s%s", (int)size, receiver->url, path) < 0 ? NULL : url;
}

static struct curl_slist *headers_of(const struct el_alert_receiver *receiver, const char *body)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json"), *more;
    char line[EL_ALERT_SIGNATURE_SIZE + 32], signature[EL_ALERT_SIGNATURE_SIZE];
    if (headers == NULL || receiver->secret == NULL)
        return headers;
    more = NULL;
    if (el_alert_sign(receiver->secret, receiver->secret_size, body, signature)) {
        snprintf(line, sizeof line, "X-Everlit-Signature: %s", signature);
        more = curl_slist_append(headers, line);
    }
    if (more == NULL)
        curl_slist_free_all(headers); /* rather untold for now than unsigned */
    return more;
}

/* Runs it until it ends or stop_fd can be read. */
static struct el_status *perform(const struct el_alert_try *try, CURLM *multi, CURLcode *result)
{
    struct curl_waitfd stop = { .fd = try->stop_fd, .events = CURL_WAIT_POLLIN };
    int running = 1, left;
    for (;;) {
        CURLMcode code = curl_multi_perform(multi, &running);
        if (code == CURLM_OK && running == 0)
            break;
        if (code == CURLM_OK)
            code = curl_multi_poll(multi, &stop, 1, 1000, NULL);
        if (code != CURLM_OK)
            return el_status_new(EL_UNAVAILABLE, "%s", curl_multi_strerror(code));
        if ((stop.revents & CURL_WAIT_POLLIN) != 0)
            return el_status_new(EL_CANCELLED, "the server ends");
    }
    const CURLMsg *message = curl_multi_info_read(multi, &left);
    *result = message != NULL && message->msg == CURLMSG_DONE ? message->data.result : CURLE_RECV_ERROR;
    return NULL;
}

static struct el_status *judge(CURL *curl, const char *url, CURLcode code, const char *why, const struct said *said)
{
    long http = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &http);
    if (code != CURLE_OK)
        return el_status_new(EL_UNAVAILABLE, "POST %s: %s", url, *why != '\0' ? why : curl_easy_strerror(code));
    if (http >= 200 && http < 300)
        return NULL;
    /* Of these another try cannot come to more; of others (401, 404, 5xx, ...) somebody may mend the receiver. */
    const bool refused = http == 400 || http == 413 || http == 415 || http == 422;
    return el_status_new(refused ? EL_INVALID_ARGUMENT : EL_UNAVAILABLE, "POST %s: it answers %ld%s%s", url, http,
                         said->size > 0 ? ": " : "", said->text);
}

static struct el_status *post(const struct el_alert_try *try, CURL *curl, const char *url, const char *body,
                              const struct curl_slist *headers)
{
    const struct el_alert_receiver *receiver = try->receiver;
    struct said said = { .size = 0 };
    char why[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* the end is not to wait for a name server */
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "everlit/" EVERLIT_VERSION);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)receiver->timeout_ms);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &said);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (receiver->ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, receiver->ca_file);
    if (curl_multi_add_handle(try->curl, curl) != CURLM_OK)
        return el_status_no_memory();
    CURLcode code = CURLE_OK;
    struct el_status *status = perform(try, try->curl, &code);
    if (status == NULL)
        status = judge(curl, url, code, why, &said);
    curl_multi_remove_handle(try->curl, curl);
    return status;
}

struct el_status *el_alert_webhook(const struct el_alert_try *try)
{
    char *body;
    EL_TRY(el_alert_render(try->document, try->receiver->template, el_calendar_us(), &body));
    CURL *curl = curl_easy_init();
    char *url = url_of(try->receiver);
    struct curl_slist *headers = headers_of(try->receiver, body);
    struct el_status *status = curl == NULL || url == NULL || headers == NULL ? el_status_no_memory()
                                                                              : post(try, curl, url, body, headers);
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    free(url);
    free(body);
    return status;
}

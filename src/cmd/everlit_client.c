/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlit_client.h"

#include "cmd/admin_socket.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_LIMIT ((size_t)1 << 30) /* of a whole answer */
#define LINE_LIMIT ((size_t)1 << 20)   /* of one line of a stream */

struct transfer {
    CURL *curl;
    char *socket;
    struct el_buf *bytes;                                        /* the answer, or the line that is not complete */
    void (*line)(const char *line, size_t size, void *argument); /* NULL: the answer is wanted whole */
    void *argument;
    bool too_large;
};

static void hand_over_lines(struct transfer *transfer)
{
    struct el_buf *bytes = transfer->bytes;
    size_t start = 0;
    for (;;) {
        const uint8_t *end = bytes->size == start ? NULL : memchr(bytes->data + start, '\n', bytes->size - start);
        if (end == NULL)
            break;
        const size_t size = (size_t)(end - bytes->data) - start;
        transfer->line((const char *)bytes->data + start, size, transfer->argument);
        start += size + 1;
    }
    if (start > 0) {
        memmove(bytes->data, bytes->data + start, bytes->size - start);
        bytes->size -= start;
    }
}

static size_t receive(char *data, size_t one, size_t size, void *argument)
{
    (void)one;
    struct transfer *transfer = argument;
    long code = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &code);
    const bool lines = transfer->line != NULL && code == 200; /* an error's body is kept whole */
    el_buf_append(transfer->bytes, data, size);
    if (lines && !transfer->bytes->failed)
        hand_over_lines(transfer);
    transfer->too_large = transfer->bytes->size > (lines ? LINE_LIMIT : ANSWER_LIMIT);
    return transfer->too_large || transfer->bytes->failed ? 0 : size;
}

/* A socket that nobody listens on, in the words of somebody who wants to go on. */
static int say_unreachable(const struct el_cli *cli, const char *socket, int error, CURLcode code)
{
    const char *why = error != 0 ? strerror(error) : curl_easy_strerror(code);
    fprintf(stderr, "everlit %s: cannot reach everlitd at %s: %s\n", cli->command->name, socket, why);
    if (error == EACCES || error == EPERM)
        fprintf(stderr,
                "The socket belongs to the user that runs everlitd: type `sudo everlit %s`, or run it as that user.\n",
                cli->command->name);
    else
        fprintf(stderr,
                "Start it with `everlitd --model_name=NAME --model_base_path=/DIRECTORY`, or name the socket of one\n"
                "that runs: `everlit --socket PATH %s` (its --admin_socket; it logs the path when it starts).\n",
                cli->command->name);
    return EL_CLI_UNREACHABLE;
}

/* The server's own words: {"error": "..."}. */
static int say_refused(const struct el_cli *cli, long code, const struct el_buf *answer)
{
    json_t *json = answer->size == 0 ? NULL : json_loadb((const char *)answer->data, answer->size, 0, NULL);
    const char *error = json_string_value(json_object_get(json, "error"));
    if (error != NULL)
        fprintf(stderr, "everlit %s: %s\n", cli->command->name, error);
    else
        fprintf(stderr, "everlit %s: the server answered with HTTP status %ld\n", cli->command->name, code);
    json_decref(json);
    return EL_CLI_REFUSED;
}

static int conclude(const struct el_cli *cli, struct transfer *transfer, CURLcode code, long timeout_s, bool quietly)
{
    if (transfer->bytes->failed)
        return el_cli_fail(cli, EL_CLI_REFUSED, el_status_no_memory());
    if (transfer->too_large)
        return el_cli_fail(cli, EL_CLI_REFUSED, el_status_new(EL_OUT_OF_RANGE, "the server's answer is too large"));
    if (code == CURLE_OPERATION_TIMEDOUT) {
        if (!quietly)
            fprintf(stderr, "everlit %s: no answer within %ld s\n", cli->command->name, timeout_s);
        return EL_CLI_UNREACHABLE;
    }
    if (code != CURLE_OK) {
        long error = 0;
        curl_easy_getinfo(transfer->curl, CURLINFO_OS_ERRNO, &error);
        return quietly ? EL_CLI_UNREACHABLE : say_unreachable(cli, transfer->socket, (int)error, code);
    }
    long status = 0;
    curl_easy_getinfo(transfer->curl, CURLINFO_RESPONSE_CODE, &status);
    return status == 200 || status == 202 ? EL_CLI_OK : say_refused(cli, status, transfer->bytes);
}

static int perform(const struct el_cli *cli, const char *path, const struct el_buf *body, long timeout_s, bool quietly,
                   struct transfer *transfer)
{
    struct el_status *status = el_admin_socket_path(cli->socket, &transfer->socket);
    if (status == NULL && transfer->socket == NULL)
        status = el_status_new(EL_INVALID_ARGUMENT, "--socket none: expected the path of a socket");
    if (status != NULL)
        return el_cli_fail(cli, EL_CLI_USAGE, status);
    struct el_buf url = { 0 };
    el_buf_printf(&url, "http://everlit%s", path);
    char *url_text = el_buf_take_text(&url);
    transfer->curl = curl_easy_init();
    struct curl_slist *headers = curl_slist_append(NULL, "Expect:"); /* no 100-continue round for a large body */
    int result;
    if (transfer->curl == NULL || url_text == NULL || headers == NULL) {
        result = el_cli_fail(cli, EL_CLI_REFUSED, el_status_no_memory());
    } else {
        curl_easy_setopt(transfer->curl, CURLOPT_URL, url_text);
        curl_easy_setopt(transfer->curl, CURLOPT_UNIX_SOCKET_PATH, transfer->socket);
        curl_easy_setopt(transfer->curl, CURLOPT_PROXY, ""); /* whatever the environment says */
        curl_easy_setopt(transfer->curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(transfer->curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(transfer->curl, CURLOPT_TIMEOUT, timeout_s);
        curl_easy_setopt(transfer->curl, CURLOPT_WRITEFUNCTION, receive);
        curl_easy_setopt(transfer->curl, CURLOPT_WRITEDATA, transfer);
        if (body != NULL) {
            curl_easy_setopt(transfer->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)body->size);
            curl_easy_setopt(transfer->curl, CURLOPT_POSTFIELDS, (const char *)body->data);
        }
        result = conclude(cli, transfer, curl_easy_perform(transfer->curl), timeout_s, quietly);
    }
    curl_slist_free_all(headers);
    curl_easy_cleanup(transfer->curl);
    free(url_text);
    free(transfer->socket);
    return result;
}

int el_cli_request(const struct el_cli *cli, const char *path, const struct el_buf *body, long timeout_s,
                   struct el_buf *answer)
{
    struct transfer transfer = { .bytes = answer };
    return perform(cli, path, body, timeout_s == 0 ? 30 : timeout_s, false, &transfer);
}

int el_cli_request_quietly(const struct el_cli *cli, const char *path, struct el_buf *answer)
{
    struct transfer transfer = { .bytes = answer };
    return perform(cli, path, NULL, 5, true, &transfer);
}

int el_cli_stream(const struct el_cli *cli, const char *path,
                  void (*line)(const char *line, size_t size, void *argument), void *argument)
{
    struct el_buf rest = { 0 };
    struct transfer transfer = { .bytes = &rest, .line = line, .argument = argument };
    const int result = perform(cli, path, NULL, 0, false, &transfer);
    el_buf_free(&rest);
    return result;
}

char *el_cli_escape(const char *text)
{
    struct el_buf out = { 0 };
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        const bool plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9') ||
                           strchr("-_.~", *at) != NULL;
        if (plain)
            el_buf_byte(&out, *at);
        else
            el_buf_printf(&out, "%%%02X", *at);
    }
    return el_buf_take_text(&out);
}

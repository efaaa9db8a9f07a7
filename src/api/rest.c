/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which URL means what: TensorFlow Serving's REST API, with its rules
 * (http_rest_api_util.cc):
 *
 *     POST /v1/models/NAME[/versions/N|/labels/L]:predict, :classify, :regress
 *     GET  /v1/models/NAME[/versions/N|/labels/L][/metadata]
 *
 * The path is matched without regard to case, names and labels are
 * percent-decoded after matching. Where theirs takes the query string for a
 * part of the path, it is left out here.
 */
#include "api/admin.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define JSON "application/json"
#define PREFIX "/v1/models"

enum verb { VERB_NONE, VERB_PREDICT, VERB_CLASSIFY, VERB_REGRESS, VERB_METADATA };

unsigned el_api_http_code(enum el_code code)
{
    switch (code) {
    case EL_OK:
        return 200;
    case EL_INVALID_ARGUMENT:
    case EL_FAILED_PRECONDITION:
    case EL_OUT_OF_RANGE:
        return 400;
    case EL_UNAUTHENTICATED:
        return 401;
    case EL_PERMISSION_DENIED:
        return 403;
    case EL_NOT_FOUND:
        return 404;
    case EL_ALREADY_EXISTS:
    case EL_ABORTED:
        return 409;
    case EL_RESOURCE_EXHAUSTED:
        return 429;
    case EL_CANCELLED:
        return 499;
    case EL_UNIMPLEMENTED:
        return 501;
    case EL_UNAVAILABLE:
        return 503;
    case EL_DEADLINE_EXCEEDED:
        return 504;
    case EL_UNKNOWN:
    case EL_INTERNAL:
    case EL_DATA_LOSS:
    case EL_CODES:
        break;
    }
    return 500;
}

static void free_target(struct el_rest_target *target)
{
    free(target->model);
    free(target->label);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

char *el_api_percent_decode(const char *text, size_t size, size_t *decoded_size)
{
    char *decoded = malloc(size + 1);
    if (decoded == NULL)
        return NULL;
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '%' && size - i > 2 && hex(text[i + 1]) >= 0 && hex(text[i + 2]) >= 0) {
            decoded[n++] = (char)(hex(text[i + 1]) * 16 + hex(text[i + 2]));
            i += 2;
        } else {
            decoded[n++] = text[i];
        }
    }
    decoded[n] = 0;
    *decoded_size = n;
    return decoded;
}

/* Reads "/versions/N" or "/labels/L" at *at, up to end; moves *at behind it. False: not of that form. */
static bool read_version_or_label(const char **at, const char *end, struct el_rest_target *target,
                                  struct el_status **status)
{
    static const char versions[] = "/versions/", labels[] = "/labels/";
    const size_t left = (size_t)(end - *at);
    if (left > sizeof versions - 1 && strncasecmp(*at, versions, sizeof versions - 1) == 0) {
        const char *digits = *at + sizeof versions - 1;
        const size_t count = strspn(digits, "0123456789");
        if (count == 0 || count > (size_t)(end - digits))
            return false;
        errno = 0;
        target->version = strtoll(digits, NULL, 10);
        target->has_version = true;
        if (errno == ERANGE)
            *status = el_status_new(EL_INVALID_ARGUMENT, "%s", ""); /* an empty body, as theirs */
        *at = digits + count;
        return true;
    }
    if (left > sizeof labels - 1 && strncasecmp(*at, labels, sizeof labels - 1) == 0) {
        const char *label = *at + sizeof labels - 1;
        size_t count = strcspn(label, "/:");
        if (count > (size_t)(end - label))
            count = (size_t)(end - label);
        if (count == 0)
            return false;
        target->label = el_api_percent_decode(label, count, &target->label_size);
        if (target->label == NULL)
            *status = el_status_no_memory();
        *at = label + count;
        return true;
    }
    return true;
}

static bool is_rest(const char *at, const char *end, const char *text)
{
    const size_t size = strlen(text);
    return (size_t)(end - at) == size && strncasecmp(at, text, size) == 0;
}

/*
 * What comes behind the name, if there is one: version or label, and the verb. False: not of that form. The verb's case
 * counts, the word metadata is found in any case and means it in small letters only: as theirs.
 */
static bool read_rest(const char *at, const char *end, struct el_rest_target *target, enum verb *verb,
                      struct el_status **status)
{
    *verb = VERB_NONE;
    if (!read_version_or_label(&at, end, target, status))
        return false;
    if (at == end)
        return true;
    if (is_rest(at, end, "/metadata")) {
        *verb = strncmp(at, "/metadata", 9) == 0 ? VERB_METADATA : VERB_NONE;
        return true;
    }
    if (target->model == NULL)
        return false;
    if (strncmp(at, ":predict", 8) == 0 && end - at == 8)
        *verb = VERB_PREDICT;
    else if (strncmp(at, ":classify", 9) == 0 && end - at == 9)
        *verb = VERB_CLASSIFY;
    else if (strncmp(at, ":regress", 8) == 0 && end - at == 8)
        *verb = VERB_REGRESS;
    else
        return false;
    return true;
}

static void clear_target(struct el_rest_target *target, struct el_status **status)
{
    free_target(target);
    *target = (struct el_rest_target){ 0 };
    el_status_free(*status);
    *status = NULL;
}

/*
 * Takes a path apart. False: it is none of the API's. status: it is, and yet cannot be answered. target is to be freed in
 * every case. A first piece is a model's name if the path can be read so (/v1/models/metadata asks for the model metadata), and
 * only else the beginning of what comes behind one (/v1/models/versions/1).
 */
static bool parse_target(const char *path, const char *end, struct el_rest_target *target, enum verb *verb,
                         struct el_status **status)
{
    const char *at = path + sizeof PREFIX - 1;
    if ((size_t)(end - path) < sizeof PREFIX - 1 || strncasecmp(path, PREFIX, sizeof PREFIX - 1) != 0)
        return false;
    if (at < end && *at == '/') {
        const char *name = at + 1;
        size_t count = strcspn(name, "/:");
        if (count > (size_t)(end - name))
            count = (size_t)(end - name);
        if (count == 0)
            return false;
        target->model = el_api_percent_decode(name, count, &target->model_size);
        if (target->model == NULL) {
            *status = el_status_no_memory();
            return true;
        }
        if (read_rest(name + count, end, target, verb, status))
            return true;
        clear_target(target, status);
    }
    if (read_rest(at, end, target, verb, status))
        return true;
    clear_target(target, status);
    return false;
}

static struct el_status *malformed(const struct el_http_request *request)
{
    return el_status_new(EL_INVALID_ARGUMENT, "Malformed request: %s %s", el_http_method(request),
                         el_http_target(request));
}

static void answer_not_found(struct el_http_request *request)
{
    el_buf_text(el_http_reply_buf(request), "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not "
                                            "Found</H1>\n</BODY></HTML>\n");
    el_http_reply(request, 404, "text/html");
}

/*
 * OPTIONS asks what a browser may do here (CORS), whatever the path: yes to every web page, in the headers if they are asked for
 * (--rest_api_enable_cors_support), and no body.
 */
static void answer_options(struct el_http_request *request)
{
    const char *origin = el_http_header(request, "Origin");
    const bool web = origin != NULL && (strstr(origin, "http://") != NULL || strstr(origin, "https://") != NULL);
    el_http_reply(request, web ? 200 : 400, "text/html; charset=ISO-8859-1");
}

static void allow_origins(struct el_http_request *request)
{
    el_http_add_header(request, "Access-Control-Allow-Origin", "*");
    el_http_add_header(request, "Access-Control-Allow-Methods", "POST, GET");
    el_http_add_header(request, "Access-Control-Allow-Headers", "Content-Type");
}

static void answer_models(struct el_http_request *request, struct el_api *api, const char *path, const char *end)
{
    struct el_api_loop *loop = el_api_http_loop(request);
    const uint64_t arrived_ns = el_now_ns();
    enum el_code code = EL_OK;
    bool counts_itself = false;
    struct el_rest_target target = { 0 };
    enum verb verb = VERB_NONE;
    struct el_status *status = NULL;
    const bool post = strcmp(el_http_method(request), "POST") == 0;
    const bool get = strcmp(el_http_method(request), "GET") == 0 || strcmp(el_http_method(request), "HEAD") == 0;
    const bool known = parse_target(path, end, &target, &verb, &status);
    const bool posts = verb == VERB_PREDICT || verb == VERB_CLASSIFY || verb == VERB_REGRESS;
    if (status == NULL && (!known || !(posts ? post : get)))
        status = malformed(request);
    if (status == NULL && target.model == NULL)
        status = el_status_new(EL_INVALID_ARGUMENT, "Missing model name in request.");
    if (status != NULL) {
        code = el_status_code(status);
        if (*el_status_text(status) != 0)
            el_api_rest_fail(request, status);
        else
            el_http_reply(request, el_api_http_code(code), JSON);
        el_status_free(status);
    } else if (posts) {
        counts_itself = true;
        if (verb == VERB_PREDICT)
            el_api_rest_predict(request, api, &target);
        else
            el_api_rest_infer(request, api, &target, verb == VERB_REGRESS);
    } else if (verb == VERB_METADATA) {
        code = el_api_rest_metadata(request, api, &target);
    } else {
        code = el_api_rest_status(request, api, &target);
    }
    if (!counts_itself)
        el_api_count_request(loop, EL_COUNT_REST_OTHER,
                             target.model == NULL ? el_span_text("")
                                                  : (struct el_span){ target.model, target.model_size },
                             code, arrived_ns, 0);
    free_target(&target);
}

/* The path of a target, which a proxy may have sent as a whole URL (RFC 9112, 3.2.2). */
static const char *path_of(const char *target)
{
    if (strncasecmp(target, "http://", 7) != 0)
        return target;
    const char *path = strchr(target + 7, '/');
    return path != NULL ? path : "/";
}

void el_api_http(struct el_http_request *request, void *argument)
{
    struct el_api *api = argument;
    const char *path = path_of(el_http_target(request));
    const char *end = path + strcspn(path, "?");
    const bool models = strncasecmp(path, "/v1/", 4) == 0;
    if (models && api->options.allow_origins)
        allow_origins(request);
    if (models && strcmp(el_http_method(request), "OPTIONS") == 0)
        answer_options(request);
    else if (models)
        answer_models(request, api, path, end);
    else if (el_api_monitoring(request, api, path, end) || el_api_ready(request, api, path, end))
        return;
    else if (strncmp(path, "/metrics", (size_t)(end - path)) == 0 && end - path == 8)
        el_api_metrics(request, api);
    else
        answer_not_found(request);
}

void el_api_admin_http(struct el_http_request *request, void *argument)
{
    if (!el_api_admin(request, argument))
        el_api_http(request, argument);
}

void el_api_admin_port_http(struct el_http_request *request, void *argument)
{
    if (el_api_admin_allows(request, argument))
        el_api_admin_http(request, argument);
}

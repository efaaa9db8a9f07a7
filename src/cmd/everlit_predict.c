/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "cmd/everlit_client.h"
#include "cmd/npy_json.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INPUT_LIMIT ((size_t)256 * 1024 * 1024)

struct request {
    const char *model;
    const char *json, *npy; /* one of the two files */
    const char *input;      /* --input, or NULL */
    const char *signature;  /* --signature, or NULL */
    const char *version, *label;
    bool row; /* --row: the array is one example, without a dimension for the batch */
    long timeout_s;
};

static struct el_status *read_input(const char *path, struct el_buf *bytes)
{
    if (strcmp(path, "-") != 0)
        return el_file_read(path, INPUT_LIMIT, bytes);
    for (;;) {
        uint8_t *to = el_buf_reserve(bytes, 65536);
        if (to == NULL)
            return el_status_no_memory();
        const ssize_t n = read(STDIN_FILENO, to, 65536);
        if (n == 0)
            return NULL;
        if (n < 0 && errno != EINTR)
            return el_status_errno(errno, "standard input");
        bytes->size += n > 0 ? (size_t)n : 0;
        if (bytes->size > INPUT_LIMIT)
            return el_status_new(EL_RESOURCE_EXHAUSTED, "standard input: has more than %zu bytes", INPUT_LIMIT);
    }
}

/* text as a JSON string with its quotes. */
static struct el_status *put_json_string(const char *text, const char *option, struct el_buf *out)
{
    json_t *json = json_string(text);
    char *dumped = json == NULL ? NULL : json_dumps(json, JSON_ENCODE_ANY);
    json_decref(json);
    if (dumped == NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: the name is not UTF-8", option);
    el_buf_text(out, dumped);
    free(dumped);
    return NULL;
}

static struct el_status *start_body(const struct request *request, struct el_buf *body)
{
    el_buf_byte(body, '{');
    if (request->signature != NULL) {
        el_buf_text(body, "\"signature_name\":");
        EL_TRY(put_json_string(request->signature, "--signature", body));
        el_buf_byte(body, ',');
    }
    return NULL;
}

/*
 * The body for the JSON that was given. One with "instances" or "inputs" is sent as it is, or with the signature's name put
 * in front; a list is meant as instances; an object of anything else, as inputs. What jansson cannot read (NaN, for one,
 * which the server takes) is the server's to judge.
 */
static struct el_status *body_of_json(const struct request *request, const struct el_buf *given, struct el_buf *body)
{
    const char *text = (const char *)given->data;
    size_t start = 0;
    while (start < given->size && strchr(" \t\r\n", text[start]) != NULL)
        start++;
    if (start == given->size)
        return el_status_new(EL_INVALID_ARGUMENT, "%s: is empty; expected JSON such as [[1.0, 2.0]]", request->json);
    json_t *json = json_loadb(text, given->size, JSON_DISABLE_EOF_CHECK, NULL);
    const bool whole = json_object_get(json, "instances") != NULL || json_object_get(json, "inputs") != NULL;
    const bool is_object = json_is_object(json);
    json_decref(json);
    if (text[start] == '[' || (is_object && !whole)) {
        if (request->input != NULL && text[start] != '[')
            return el_status_new(EL_INVALID_ARGUMENT, "--input %s: the JSON names its inputs itself", request->input);
        EL_TRY(start_body(request, body));
        el_buf_text(body, request->input != NULL || is_object ? "\"inputs\":" : "\"instances\":");
        if (request->input != NULL) {
            el_buf_byte(body, '{');
            EL_TRY(put_json_string(request->input, "--input", body));
            el_buf_byte(body, ':');
        }
        el_buf_append(body, given->data, given->size);
        el_buf_text(body, request->input != NULL ? "}}" : "}");
        return NULL;
    }
    if (request->input != NULL)
        return el_status_new(EL_INVALID_ARGUMENT, "--input %s: the JSON names its inputs itself", request->input);
    if (text[start] != '{' || request->signature == NULL) {
        el_buf_append(body, given->data, given->size);
        return NULL;
    }
    EL_TRY(start_body(request, body));
    el_buf_append(body, given->data + start + 1, given->size - start - 1);
    return NULL;
}

static struct el_status *body_of_npy(const struct request *request, const struct el_buf *given, struct el_buf *body)
{
    struct el_npy array;
    EL_TRY(el_npy_read(request->npy, given->data, given->size, &array));
    EL_TRY(start_body(request, body));
    el_buf_text(body, "\"inputs\":");
    if (request->input != NULL) {
        el_buf_byte(body, '{');
        EL_TRY(put_json_string(request->input, "--input", body));
        el_buf_byte(body, ':');
    }
    el_buf_text(body, request->row ? "[" : "");
    EL_TRY(el_npy_put_json(request->npy, &array, body));
    el_buf_text(body, request->row ? "]" : "");
    el_buf_text(body, request->input != NULL ? "}}" : "}");
    return NULL;
}

static struct el_status *make_body(const struct request *request, struct el_buf *body)
{
    struct el_buf given = { 0 };
    const char *path = request->json != NULL ? request->json : request->npy;
    assert(path != NULL); /* check() has seen to it */
    struct el_status *status = read_input(path, &given);
    if (status == NULL)
        status = request->json != NULL ? body_of_json(request, &given, body) : body_of_npy(request, &given, body);
    el_buf_free(&given);
    return status != NULL ? status : el_buf_status(body);
}

/* /v1/models/MODEL[/versions/V | /labels/L]:predict */
static char *make_path(const struct request *request)
{
    struct el_buf path = { 0 };
    char *model = el_cli_escape(request->model);
    char *label = request->label == NULL ? NULL : el_cli_escape(request->label);
    if (model == NULL || (request->label != NULL && label == NULL))
        path.failed = true;
    el_buf_printf(&path, "/v1/models/%s", model != NULL ? model : "");
    if (request->version != NULL)
        el_buf_printf(&path, "/versions/%s", request->version);
    if (label != NULL)
        el_buf_printf(&path, "/labels/%s", label);
    el_buf_text(&path, ":predict");
    free(model);
    free(label);
    return el_buf_take_text(&path);
}

static int ask(const struct el_cli *cli, const struct request *request)
{
    struct el_buf body = { 0 }, answer = { 0 };
    char *path = make_path(request);
    struct el_status *status = path == NULL ? el_status_no_memory() : make_body(request, &body);
    int result;
    if (status != NULL) {
        result = el_cli_fail(cli, EL_CLI_USAGE, status);
    } else {
        result = el_cli_request(cli, path, &body, request->timeout_s, &answer);
        if (result == EL_CLI_OK) {
            if (answer.size == 0 || answer.data[answer.size - 1] != '\n')
                el_buf_byte(&answer, '\n');
            if (!el_cli_write(cli, &answer))
                result = EL_CLI_REFUSED;
        }
    }
    el_buf_free(&body);
    el_buf_free(&answer);
    free(path);
    return result;
}

static bool is_whole_number(const char *text)
{
    const size_t digits = strspn(text, "0123456789");
    return digits > 0 && digits < 20 && text[digits] == '\0';
}

static int check(const struct el_cli *cli, const struct request *request)
{
    if ((request->json == NULL) == (request->npy == NULL))
        return el_cli_usage(cli, "expected one of --json FILE and --npy FILE; FILE \"-\" is standard input");
    if (request->row && request->npy == NULL)
        return el_cli_usage(cli, "--row goes with --npy; in JSON, write the outer brackets");
    if (request->version != NULL && request->label != NULL)
        return el_cli_usage(cli, "--version and --label exclude each other");
    if (request->version != NULL && !is_whole_number(request->version))
        return el_cli_usage(cli, "--version %s: expected a whole number", request->version);
    if (request->timeout_s < 1 || request->timeout_s > 86400)
        return el_cli_usage(cli, "--timeout expects whole seconds from 1 to 86400");
    return EL_CLI_OK;
}

static int run(struct el_cli *cli, int count, char **arguments)
{
    static const struct option options[] = {
        { "json", required_argument, NULL, 'j' },
        { "npy", required_argument, NULL, 'n' },
        { "input", required_argument, NULL, 'i' },
        { "version", required_argument, NULL, 'v' },
        { "label", required_argument, NULL, 'l' },
        { "signature", required_argument, NULL, 's' },
        { "timeout", required_argument, NULL, 't' },
        { "row", no_argument, NULL, 'r' },
        EL_CLI_OPTIONS_END,
    };
    struct request request = { .timeout_s = 30 };
    int option, result = EL_CLI_USAGE;
    while ((option = el_cli_option(cli, count, arguments, options, &result)) != -1) {
        switch (option) {
        case 'j':
            request.json = optarg;
            break;
        case 'n':
            request.npy = optarg;
            break;
        case 'i':
            request.input = optarg;
            break;
        case 'v':
            request.version = optarg;
            break;
        case 'l':
            request.label = optarg;
            break;
        case 's':
            request.signature = optarg;
            break;
        case 'r':
            request.row = true;
            break;
        case 't':
            request.timeout_s = is_whole_number(optarg) && strlen(optarg) < 7 ? strtol(optarg, NULL, 10) : 0;
            break;
        default:
            return result;
        }
    }
    if (count - optind != 1)
        return el_cli_usage(cli, "expected the name of one model, not %d arguments", count - optind);
    request.model = arguments[optind];
    result = check(cli, &request);
    return result == EL_CLI_OK ? ask(cli, &request) : result;
}

const struct el_cli_command el_cli_predict = {
    .name = "predict",
    .summary = "one request, from JSON or a NumPy array; prints the answer",
    .help = "usage: everlit predict MODEL (--json FILE | --npy FILE [--row])\n"
            "                       [--input NAME] [--version N | --label L]\n"
            "                       [--signature S] [--timeout SECONDS] [--socket PATH]\n"
            "\n"
            "One request to a model; the answer is printed as JSON.\n"
            "\n"
            "  --json FILE        a request as TensorFlow Serving's REST API takes it; a\n"
            "                     bare list is taken as its \"instances\", an object\n"
            "                     without \"instances\" or \"inputs\" as its \"inputs\"\n"
            "  --npy FILE         an array that numpy.save() wrote: f4, f8, i4, i8 or u1,\n"
            "                     in C order\n"
            "  --row              the array is one example: a batch of one is made of it\n"
            "  --input NAME       the input that the list or array is for; not needed\n"
            "                     where there is only one\n"
            "  --version N        ask version N; default: the one that serves\n"
            "  --label L          ask the version with this label\n"
            "  --signature S      default: serving_default\n"
            "  --timeout SECONDS  give up after so long; default 30\n"
            "  --socket PATH      the server's socket; see `everlit help`\n"
            "\n"
            "FILE \"-\" is standard input: echo '[[1, 2]]' | everlit predict M --json -\n",
    .run = run,
};

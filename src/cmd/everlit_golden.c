/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/prediction_log.h"
#include "bundle/tfrecord.h"
#include "cmd/everlit_client.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct recording {
    const char *model, *from, *to;
    unsigned long count; /* at most; 0: all there are */
    struct el_prediction_golden golden;
};

static struct el_status *write_all(FILE *file, const char *path, const void *bytes, size_t size)
{
    return fwrite(bytes, 1, size, file) == size ? NULL : el_status_errno(errno, "%s", path);
}

/* A record with its answer, and how near another must be. */
static struct el_status *put_record(const struct recording *recording, FILE *file, struct el_buf *record,
                                    unsigned long number)
{
    struct el_prediction prediction;
    const bool good = el_prediction_parse(record->data, record->size, &prediction) &&
                      prediction.kind == EL_PREDICTION_PREDICT && !el_wire_done(&prediction.response);
    el_prediction_free(&prediction);
    if (!good)
        return el_status_new(EL_INVALID_ARGUMENT, "record %lu is no predict_log with request and response", number);
    el_prediction_put_golden(record, &recording->golden);
    EL_TRY(el_buf_status(record));
    uint8_t header[EL_TFRECORD_HEADER], footer[EL_TFRECORD_FOOTER];
    el_tfrecord_frame(record->data, record->size, header, footer);
    EL_TRY(write_all(file, recording->to, header, sizeof header));
    EL_TRY(write_all(file, recording->to, record->data, record->size));
    return write_all(file, recording->to, footer, sizeof footer);
}

static struct el_status *convert(const struct recording *recording, const char *from, FILE *file,
                                 unsigned long *records)
{
    struct el_tfrecord_reader reader;
    EL_TRY(el_tfrecord_open(from, &reader));
    struct el_buf record = { 0 };
    struct el_status *status = NULL;
    bool end = false;
    while (status == NULL && (recording->count == 0 || *records < recording->count)) {
        el_buf_clear(&record);
        status = el_tfrecord_read(&reader, &record, &end);
        if (status != NULL || end)
            break;
        status = put_record(recording, file, &record, ++*records);
    }
    el_buf_free(&record);
    el_tfrecord_close(&reader);
    return status != NULL ? el_status_prefix(status, "%s", from) : NULL;
}

static int record_from(const struct el_cli *cli, const struct recording *recording, const char *from)
{
    FILE *file = fopen(recording->to, "wbxe");
    if (file == NULL)
        return el_cli_fail(cli, EL_CLI_USAGE, el_status_errno(errno, "%s", recording->to));
    unsigned long records = 0;
    struct el_status *status = convert(recording, from, file, &records);
    if (fclose(file) != 0 && status == NULL)
        status = el_status_errno(errno, "%s", recording->to);
    if (status == NULL && records == 0)
        status = el_status_new(EL_INVALID_ARGUMENT, "%s: it has no records", from);
    if (status != NULL) {
        unlink(recording->to);
        return el_cli_fail(cli, EL_CLI_REFUSED, status);
    }
    printf("%lu golden records in %s\n", records, recording->to);
    return EL_CLI_OK;
}

/* What the server gives is read like a file, from a temporary one that has no name any more. */
static int record_from_server(const struct el_cli *cli, const struct recording *recording)
{
    struct el_buf path = { 0 }, answer = { 0 };
    char *model = el_cli_escape(recording->model);
    el_buf_printf(&path, "/admin/v1/golden?model=%s&count=%lu", model != NULL ? model : "", recording->count);
    free(model);
    char *target = el_buf_take_text(&path);
    FILE *file = tmpfile();
    int result;
    if (target == NULL || file == NULL) {
        result = el_cli_fail(cli, EL_CLI_REFUSED, el_status_errno(errno, "temporary file"));
    } else {
        result = el_cli_request(cli, target, NULL, 30, &answer);
        if (result == EL_CLI_OK && (fwrite(answer.data, 1, answer.size, file) != answer.size || fflush(file) != 0))
            result = el_cli_fail(cli, EL_CLI_REFUSED, el_status_errno(errno, "temporary file"));
        char name[40];
        snprintf(name, sizeof name, "/proc/self/fd/%d", fileno(file));
        if (result == EL_CLI_OK)
            result = record_from(cli, recording, name);
    }
    if (file != NULL)
        fclose(file);
    free(target);
    el_buf_free(&answer);
    return result;
}

static bool read_number(const char *text, double most, double *number)
{
    if (text == NULL)
        return false;
    char *end;
    *number = strtod(text, &end);
    return end != text && *end == '\0' && isfinite(*number) && *number >= 0 && *number <= most;
}

static int run(struct el_cli *cli, int count, char **arguments)
{
    static const struct option options[] = {
        { "from", required_argument, NULL, 'f' },
        { "out", required_argument, NULL, 'o' },
        { "count", required_argument, NULL, 'c' },
        { "absolute", required_argument, NULL, 'a' },
        { "relative", required_argument, NULL, 'r' },
        { "agreement", required_argument, NULL, 't' },
        EL_CLI_OPTIONS_END,
    };
    struct recording recording = { .to = "everlit_golden.tfrecord", .golden = { .absolute = 1e-3, .relative = 1e-3 } };
    int option, result = EL_CLI_USAGE;
    bool good = true;
    double number;
    while (good && (option = el_cli_option(cli, count, arguments, options, &result)) != -1) {
        switch (option) {
        case 'f':
            recording.from = optarg;
            break;
        case 'o':
            recording.to = optarg != NULL ? optarg : recording.to;
            break;
        case 'c':
            good = read_number(optarg, 1000, &number) && number >= 1;
            recording.count = good ? (unsigned long)number : 0;
            break;
        case 'a':
            good = read_number(optarg, 1e300, &recording.golden.absolute);
            break;
        case 'r':
            good = read_number(optarg, 1e300, &recording.golden.relative);
            break;
        case 't':
            good = read_number(optarg, 1, &recording.golden.top1);
            break;
        default:
            return result;
        }
    }
    if (!good)
        return el_cli_usage(cli,
                            "expected numbers: --count from 1 to 1000, tolerances from 0, --agreement from 0 to 1");
    if (count - optind != 2 || strcmp(arguments[optind], "record") != 0)
        return el_cli_usage(cli, "expected `everlit golden record MODEL`");
    recording.model = arguments[optind + 1];
    return recording.from != NULL ? record_from(cli, &recording, recording.from) : record_from_server(cli, &recording);
}

const struct el_cli_command el_cli_golden = {
    .name = "golden",
    .summary = "records requests that the next versions must answer alike",
    .help = "usage: everlit golden record MODEL [--out FILE] [--count N]\n"
            "                     [--from FILE] [--absolute X] [--relative X]\n"
            "                     [--agreement SHARE] [--socket PATH]\n"
            "\n"
            "Writes golden records: requests with their answers, for the directory\n"
            "assets.extra of a version, which is then refused unless it answers alike.\n"
            "They are recent requests of clients to the version that serves, or those of\n"
            "a request log. Look through them: they hold what clients have sent.\n"
            "\n"
            "  --out FILE      default: everlit_golden.tfrecord; it must not be there yet\n"
            "  --count N       at most so many, 1 to 1000; default: all there are\n"
            "  --from FILE     a request log (TFRecord of PredictionLog) instead of the\n"
            "                  running server\n"
            "  --absolute X    how far a number may be off; default 0.001\n"
            "  --relative X    and, of the expected number, the part; default 0.001\n"
            "  --agreement SHARE  numbers do not count, but this share of rows must have\n"
            "                  the highest score in the same place, 0 to 1\n"
            "  --socket PATH   the server's socket; see `everlit help`\n",
    .run = run,
};

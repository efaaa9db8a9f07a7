/* SPDX-License-Identifier: Apache-2.0 */
/* Each field is a row: where it lies in the struct, its default, and what it may be. Reading and printing walk the rows. */
#include "config/update.h"

#include "config/batching.h"
#include "config/print.h"
#include "config/server_types.h"
#include "config/serving_types.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define DAY_MS (24u * 60 * 60 * 1000)
#define LEAST_RATE 1e-6 /* no evidence can be held against a rate of none */
#define MOST_RATE 0.5
#define AT(member) offsetof(struct el_update_config, member)

struct word_row {
    int32_t number;
    size_t at;
    const char *const *words; /* ends with NULL; the first is the default */
    const char *others;       /* what else is allowed; NULL: nothing */
    bool is_name;             /* and that may be longer, with A-Z, - and . */
};

struct count_row {
    int32_t number;
    size_t at;
    uint32_t initial, least, most;
};

struct number_row {
    int32_t number;
    size_t at;
    double initial, least, most;
    bool negative; /* any number below zero is allowed too, and means: not checked */
};

static const char *const engines[] = { "auto", "tensorflow", "openvino", NULL };
static const char *const isolations[] = { "process", "none", NULL };
static const char *const precisions[] = { "f32", "bf16", "f16", NULL };
static const char *const availabilities[] = { "availability", "resource", NULL };

static const char *const groups[] = { "", NULL };

static const struct word_row words[] = {
    { EL_UPDATE_ENGINE, AT(engine), engines, "the name of a plug-in (a-z, 0-9 and _, at most 32)", false },
    { EL_UPDATE_ISOLATION, AT(isolation), isolations, NULL, false },
    { EL_UPDATE_PRECISION, AT(precision), precisions, NULL, false },
    { EL_UPDATE_AVAILABILITY, AT(availability), availabilities, NULL, false },
    { EL_UPDATE_GROUP, AT(group), groups, "a name (a-z, A-Z, 0-9, _, - and ., at most 64)", true },
};
static const struct count_row counts[] = {
    { EL_UPDATE_CONCURRENCY, AT(concurrency), .initial = 0, .least = 0, .most = 1024 },
    { EL_UPDATE_LOAD_TIMEOUT_MS, AT(load_timeout_ms), .initial = 60000, .least = 1, .most = DAY_MS },
    { EL_UPDATE_KEEP_WARM_MS, AT(keep_warm_ms), .initial = 10000, .least = 0, .most = DAY_MS },
    { EL_UPDATE_PROBE_TIMEOUT_MS, AT(probe_timeout_ms), .initial = 10000, .least = 1, .most = DAY_MS },
    { EL_UPDATE_QUIET_MS, AT(quiet_ms), .initial = 100, .least = 0, .most = DAY_MS },
    { EL_UPDATE_HANG_TIMEOUT_MS, AT(hang_timeout_ms), .initial = 10000, .least = 0, .most = DAY_MS },
    { EL_UPDATE_MAX_RUN_MS, AT(max_run_ms), .initial = 120000, .least = 0, .most = DAY_MS },
    { EL_UPDATE_GUARD_MS, AT(guard_ms), .initial = 60000, .least = 0, .most = DAY_MS },
    { EL_UPDATE_GUARD_MAX_CRASHES, AT(guard_max_crashes), .initial = 0, .least = 0, .most = 1000000 },
    { EL_UPDATE_GROUP_WAIT_MS, AT(group_wait_ms), .initial = 10000, .least = 0, .most = DAY_MS },
};
static const struct number_row numbers[] = {
    { EL_UPDATE_MAX_LATENCY_RATIO, AT(max_latency_ratio), .initial = 10, .least = 1, .most = 1e6, .negative = true },
    { EL_UPDATE_TOLERANCE, AT(tolerance), .initial = 1e-3, .least = 0, .most = 1 },
    { EL_UPDATE_GUARD_MAX_ERROR_RATE, AT(guard_max_error_rate), 1e-3, LEAST_RATE, MOST_RATE, .negative = true },
    { EL_UPDATE_GUARD_MAX_NON_FINITE_RATE, AT(guard_max_non_finite_rate), 1e-3, LEAST_RATE, MOST_RATE,
      .negative = true },
    { EL_UPDATE_GUARD_MAX_LATENCY_RATIO, AT(guard_max_latency_ratio), 5, .least = 1, .most = 1e6, .negative = true },
    { EL_UPDATE_GUARD_MAX_MEMORY_RATIO, AT(guard_max_memory_ratio), 3, .least = 1, .most = 1e6, .negative = true },
};
/* Sizes: 0 where that means something, or at least this. Less was meant in other units: no engine starts in so little. */
#define LEAST_MEMORY_BYTES (UINT64_C(1) << 20)

static const struct {
    int32_t number;
    size_t at;
    const char *zero; /* what 0 means; NULL: it is not allowed */
    uint64_t initial;
} sizes[] = {
    { EL_UPDATE_MEMORY_LIMIT_BYTES, AT(memory_limit_bytes), "for none", 0 },
    { EL_UPDATE_MEMORY_NEED_BYTES, AT(memory_need_bytes), "to find it out", 0 },
    { EL_UPDATE_REQUEST_LOG_FILE_BYTES, AT(request_log_file_bytes), NULL, 64 * LEAST_MEMORY_BYTES },
    { EL_UPDATE_REQUEST_LOG_TOTAL_BYTES, AT(request_log_total_bytes), NULL, 1024 * LEAST_MEMORY_BYTES },
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static char **word_at(struct el_update_config *update, size_t at)
{
    return (char **)(void *)((char *)update + at);
}

static const char *word_of(const struct el_update_config *update, size_t at)
{
    return *(char *const *)(const void *)((const char *)update + at);
}

static uint32_t *count_at(struct el_update_config *update, size_t at)
{
    return (uint32_t *)(void *)((char *)update + at);
}

static uint32_t count_of(const struct el_update_config *update, size_t at)
{
    return *(const uint32_t *)(const void *)((const char *)update + at);
}

static uint64_t *size_at(struct el_update_config *update, size_t at)
{
    return (uint64_t *)(void *)((char *)update + at);
}

static uint64_t size_of(const struct el_update_config *update, size_t at)
{
    return *(const uint64_t *)(const void *)((const char *)update + at);
}

static double *number_at(struct el_update_config *update, size_t at)
{
    return (double *)(void *)((char *)update + at);
}

static double number_of(const struct el_update_config *update, size_t at)
{
    return *(const double *)(const void *)((const char *)update + at);
}

static const char *field_name(int32_t number)
{
    for (size_t i = 0; i < el_type_update.field_count; i++) {
        if (el_type_update.fields[i].number == number)
            return el_type_update.fields[i].name;
    }
    return "?";
}

struct el_status *el_update_defaults(struct el_update_config *update)
{
    *update = (struct el_update_config){ .probe = el_probe_defaults(), .rollout = el_rollout_defaults() };
    for (size_t i = 0; i < COUNT(counts); i++)
        *count_at(update, counts[i].at) = counts[i].initial;
    for (size_t i = 0; i < COUNT(sizes); i++)
        *size_at(update, sizes[i].at) = sizes[i].initial;
    for (size_t i = 0; i < COUNT(numbers); i++)
        *number_at(update, numbers[i].at) = numbers[i].initial;
    update->keep_local_copy = true;
    for (size_t i = 0; i < COUNT(words); i++) {
        char *word = strdup(words[i].words[0]);
        if (word == NULL) {
            el_update_free(update);
            return el_status_no_memory();
        }
        *word_at(update, words[i].at) = word;
    }
    return NULL;
}

/* A plug-in's name becomes part of a file's name, a group's part of a note's. */
static bool is_plain_word(const struct el_text_string *text, bool is_name)
{
    for (size_t i = 0; i < text->size; i++) {
        const char c = text->data[i];
        const bool more = is_name && ((c >= 'A' && c <= 'Z') || c == '-' || c == '.');
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || more))
            return false;
    }
    return text->size > 0 && text->size <= (is_name ? 64 : 32);
}

static bool is_allowed(const struct word_row *row, const struct el_text_string *text)
{
    for (size_t i = 0; row->words[i] != NULL; i++) {
        if (strlen(row->words[i]) == text->size && memcmp(row->words[i], text->data, text->size) == 0)
            return true;
    }
    return row->others != NULL && is_plain_word(text, row->is_name);
}

static struct el_status *word_error(const char *file, const char *model, const struct word_row *row,
                                    const struct el_text_value *value)
{
    struct el_buf expected = { 0 };
    for (size_t i = 0; row->words[i] != NULL; i++) {
        const char *between = i == 0 ? "" : row->words[i + 1] != NULL || row->others != NULL ? ", " : " or ";
        el_buf_printf(&expected, "%s\"%s\"", between, row->words[i]);
    }
    if (row->others != NULL)
        el_buf_printf(&expected, " or %s", row->others);
    char *text = el_buf_take_text(&expected);
    struct el_status *status = text == NULL ? el_status_no_memory()
                                            : el_status_new(EL_INVALID_ARGUMENT,
                                                            "%s:%u:%u: model %s: update.%s is \"%.100s\"; expected %s",
                                                            file, value->line, value->column, model,
                                                            field_name(row->number), value->as.string.data, text);
    free(text);
    return status;
}

static struct el_status *read_words(const char *file, const char *model, const struct el_text_message *message,
                                    struct el_update_config *update)
{
    for (size_t i = 0; i < COUNT(words); i++) {
        const struct el_text_value *value = el_text_get(message, words[i].number);
        if (value == NULL)
            continue;
        if (!is_allowed(&words[i], &value->as.string))
            return word_error(file, model, &words[i], value);
        char *word = strdup(value->as.string.data);
        if (word == NULL)
            return el_status_no_memory();
        free(*word_at(update, words[i].at));
        *word_at(update, words[i].at) = word;
    }
    return NULL;
}

static struct el_status *read_counts(const char *file, const char *model, const struct el_text_message *message,
                                     struct el_update_config *update)
{
    for (size_t i = 0; i < COUNT(counts); i++) {
        const struct count_row *row = &counts[i];
        const struct el_text_value *value = el_text_get(message, row->number);
        if (value == NULL)
            continue;
        if (value->as.count < row->least || value->as.count > row->most)
            return el_status_new(EL_INVALID_ARGUMENT, "%s:%u:%u: model %s: update.%s is %llu; expected %u to %u", file,
                                 value->line, value->column, model, field_name(row->number),
                                 (unsigned long long)value->as.count, row->least, row->most);
        *count_at(update, row->at) = (uint32_t)value->as.count;
    }
    return NULL;
}

static struct el_status *read_numbers(const char *file, const char *model, const struct el_text_message *message,
                                      struct el_update_config *update)
{
    for (size_t i = 0; i < COUNT(numbers); i++) {
        const struct number_row *row = &numbers[i];
        const struct el_text_value *value = el_text_get(message, row->number);
        if (value == NULL)
            continue;
        const double number = value->as.number;
        const bool in_range = number >= row->least && number <= row->most;
        if (!in_range && !(row->negative && number < 0 && isfinite(number)))
            return el_status_new(EL_INVALID_ARGUMENT, "%s:%u:%u: model %s: update.%s is %g; expected %g to %g%s", file,
                                 value->line, value->column, model, field_name(row->number), number, row->least,
                                 row->most, row->negative ? ", or -1 for no check" : "");
        *number_at(update, row->at) = number;
    }
    return NULL;
}

static struct el_status *read_sizes(const char *file, const char *model, const struct el_text_message *message,
                                    struct el_update_config *update)
{
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const struct el_text_value *value = el_text_get(message, sizes[i].number);
        if (value == NULL)
            continue;
        const bool zero = value->as.count == 0 && sizes[i].zero != NULL;
        if (!zero && value->as.count < LEAST_MEMORY_BYTES)
            return el_status_new(EL_INVALID_ARGUMENT,
                                 "%s:%u:%u: model %s: update.%s is %llu; expected %s%s%sat least %llu (it counts "
                                 "bytes)",
                                 file, value->line, value->column, model, field_name(sizes[i].number),
                                 (unsigned long long)value->as.count, sizes[i].zero != NULL ? "0 " : "",
                                 sizes[i].zero != NULL ? sizes[i].zero : "", sizes[i].zero != NULL ? ", or " : "",
                                 (unsigned long long)LEAST_MEMORY_BYTES);
        *size_at(update, sizes[i].at) = value->as.count;
    }
    return NULL;
}

static struct el_status *read_batching(const char *file, const char *model, const struct el_text_message *message,
                                       struct el_update_config *update)
{
    const struct el_text_value *value = el_text_get(message, EL_UPDATE_BATCHING);
    if (value == NULL)
        return NULL;
    struct el_batching_params *params = calloc(1, sizeof *params);
    if (params == NULL)
        return el_status_no_memory();
    struct el_status *status = el_batching_from_message(file, value->as.message, params);
    if (status != NULL) {
        free(params);
        return el_status_prefix(status, "model %s: update.batching", model);
    }
    update->batching = params;
    return NULL;
}

/* Old versions that leave first could not be what the group goes back to, nor wait for the others' new ones. */
static struct el_status *check_group(const char *file, const char *model, const struct el_text_message *message,
                                     const struct el_update_config *update)
{
    const struct el_text_value *group = el_text_get(message, EL_UPDATE_GROUP);
    if (group == NULL || update->group[0] == '\0' || strcmp(update->availability, "availability") == 0)
        return NULL;
    return el_status_new(EL_INVALID_ARGUMENT,
                         "%s:%u:%u: model %s: update.group is \"%s\" and update.availability \"%s\"; expected "
                         "\"availability\": models of a group are loaded beside what answers",
                         file, group->line, group->column, model, update->group, update->availability);
}

/* The old version answers beside the new one: what has to leave first cannot. */
static struct el_status *read_rollout(const char *file, const char *model, const struct el_text_message *message,
                                      struct el_update_config *update)
{
    const struct el_text_value *rollout = el_text_get(message, EL_UPDATE_ROLLOUT);
    if (rollout == NULL)
        return NULL;
    EL_TRY(el_rollout_config_read(file, model, rollout->as.message, &update->rollout));
    if (update->rollout.mode != EL_ROLLOUT_ALL_AT_ONCE && strcmp(update->availability, "resource") == 0)
        return el_status_new(EL_INVALID_ARGUMENT,
                             "%s:%u:%u: model %s: update.rollout needs the old version beside the new one; expected no "
                             "availability: \"resource\", or mode: \"all_at_once\"",
                             file, rollout->line, rollout->column, model);
    if (update->rollout.mode != EL_ROLLOUT_ALL_AT_ONCE && update->group[0] != '\0')
        return el_status_new(EL_INVALID_ARGUMENT,
                             "%s:%u:%u: model %s: update.rollout: models of a group (\"%s\") switch in one instant; "
                             "expected no group, or mode: \"all_at_once\"",
                             file, rollout->line, rollout->column, model, update->group);
    return NULL;
}

struct el_status *el_update_read(const char *file, const char *model, const struct el_text_message *message,
                                 struct el_update_config *update)
{
    EL_TRY(read_words(file, model, message, update));
    EL_TRY(read_counts(file, model, message, update));
    EL_TRY(read_numbers(file, model, message, update));
    EL_TRY(read_sizes(file, model, message, update));
    EL_TRY(check_group(file, model, message, update));
    const struct el_text_value *keep = el_text_get(message, EL_UPDATE_KEEP_LOCAL_COPY);
    if (keep != NULL)
        update->keep_local_copy = keep->as.boolean;
    const struct el_text_value *probe = el_text_get(message, EL_UPDATE_PROBE);
    if (probe != NULL)
        EL_TRY(el_probe_config_read(file, model, probe->as.message, &update->probe));
    EL_TRY(read_rollout(file, model, message, update));
    return read_batching(file, model, message, update);
}

static void print_batching(const struct el_batching_params *params, const char *indent, struct el_buf *out)
{
    static const struct el_text_message nothing = { .type = &el_type_batching_parameters };
    struct el_batching_params defaults;
    struct el_status *status = el_batching_from_message("", &nothing, &defaults);
    if (status != NULL) {
        out->failed = true; /* no memory */
        el_status_free(status);
        return;
    }
    el_buf_printf(out, "%s%s {", indent, field_name(EL_UPDATE_BATCHING));
    el_batching_print(params, &defaults, out);
    el_buf_text(out, " }\n");
    el_batching_free(&defaults);
}

/* fields are freed. */
static void print_message(int32_t number, struct el_buf *fields, const char *indent, struct el_buf *out)
{
    out->failed = out->failed || fields->failed;
    if (fields->size > 0)
        el_buf_printf(out, "%s%s {%.*s }\n", indent, field_name(number), (int)fields->size, (const char *)fields->data);
    el_buf_free(fields);
}

static void print_messages(const struct el_update_config *update, const char *indent, struct el_buf *out)
{
    struct el_buf probe = { 0 }, rollout = { 0 };
    el_probe_config_print(&update->probe, &probe);
    print_message(EL_UPDATE_PROBE, &probe, indent, out);
    el_rollout_config_print(&update->rollout, &rollout);
    print_message(EL_UPDATE_ROLLOUT, &rollout, indent, out);
}

static bool differs(double a, double b)
{
    return a < b || a > b;
}

void el_update_print(const struct el_update_config *update, const char *indent, struct el_buf *out)
{
    for (size_t i = 0; i < COUNT(words); i++) {
        const char *word = word_of(update, words[i].at);
        if (strcmp(word, words[i].words[0]) != 0) {
            el_buf_printf(out, "%s%s: ", indent, field_name(words[i].number));
            el_print_string(word, out);
            el_buf_byte(out, '\n');
        }
    }
    for (size_t i = 0; i < COUNT(counts); i++) {
        const uint32_t count = count_of(update, counts[i].at);
        if (count != counts[i].initial)
            el_buf_printf(out, "%s%s: %u\n", indent, field_name(counts[i].number), count);
    }
    for (size_t i = 0; i < COUNT(sizes); i++) {
        const uint64_t size = size_of(update, sizes[i].at);
        if (size != sizes[i].initial)
            el_buf_printf(out, "%s%s: %llu\n", indent, field_name(sizes[i].number), (unsigned long long)size);
    }
    for (size_t i = 0; i < COUNT(numbers); i++) {
        const double number = number_of(update, numbers[i].at);
        if (differs(number, numbers[i].initial)) {
            el_buf_printf(out, "%s%s: ", indent, field_name(numbers[i].number));
            el_print_number(number, out);
            el_buf_byte(out, '\n');
        }
    }
    if (!update->keep_local_copy)
        el_buf_printf(out, "%s%s: false\n", indent, field_name(EL_UPDATE_KEEP_LOCAL_COPY));
    print_messages(update, indent, out);
    if (update->batching != NULL)
        print_batching(update->batching, indent, out);
}

bool el_update_is_default(const struct el_update_config *update)
{
    struct el_buf messages = { 0 };
    print_messages(update, "", &messages);
    bool same = update->batching == NULL && update->keep_local_copy && messages.size == 0 && !messages.failed;
    el_buf_free(&messages);
    for (size_t i = 0; i < COUNT(sizes); i++)
        same = same && size_of(update, sizes[i].at) == sizes[i].initial;
    for (size_t i = 0; i < COUNT(words); i++)
        same = same && strcmp(word_of(update, words[i].at), words[i].words[0]) == 0;
    for (size_t i = 0; i < COUNT(counts); i++)
        same = same && count_of(update, counts[i].at) == counts[i].initial;
    for (size_t i = 0; i < COUNT(numbers); i++)
        same = same && !differs(number_of(update, numbers[i].at), numbers[i].initial);
    return same;
}

void el_update_free(struct el_update_config *update)
{
    for (size_t i = 0; i < COUNT(words); i++) {
        free(*word_at(update, words[i].at));
        *word_at(update, words[i].at) = NULL;
    }
    if (update->batching != NULL)
        el_batching_free(update->batching);
    free(update->batching);
    update->batching = NULL;
}

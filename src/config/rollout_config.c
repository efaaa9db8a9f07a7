/* SPDX-License-Identifier: Apache-2.0 */
#include "config/rollout_config.h"

#include "config/print.h"

#include <ctype.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define AT(member) offsetof(struct el_rollout_config, member)
#define FIELD(field_name, field_number, k) .name = (field_name), .number = (field_number), .kind = EL_TEXT_##k
#define DAY_MS (24u * 60 * 60 * 1000)

enum { MODE = 1, PERCENT = 2, SHADOW_PERCENT, STEP_REQUESTS, STEP_MS, PATIENCE_MS, MANUAL, STICKY, STICKY_HEADER };
enum { MIN_AGREEMENT = 20, MAX_DRIFT };

static const struct el_text_field fields[] = {
    { FIELD("mode", MODE, STRING), .optional = true },
    { FIELD("percent", PERCENT, UINT32), .repeated = true },
    { FIELD("shadow_percent", SHADOW_PERCENT, UINT32), .optional = true },
    { FIELD("step_requests", STEP_REQUESTS, UINT32), .optional = true },
    { FIELD("step_ms", STEP_MS, UINT32), .optional = true },
    { FIELD("patience_ms", PATIENCE_MS, UINT32), .optional = true },
    { FIELD("manual", MANUAL, BOOL), .optional = true },
    { FIELD("sticky", STICKY, STRING), .optional = true },
    { FIELD("sticky_header", STICKY_HEADER, STRING), .optional = true },
    { FIELD("min_agreement", MIN_AGREEMENT, DOUBLE), .optional = true },
    { FIELD("max_drift", MAX_DRIFT, DOUBLE), .optional = true },
};
const struct el_text_type el_type_rollout = { .name = "tensorflow.serving.EverlitRollout",
                                              .fields = fields,
                                              .field_count = COUNT(fields) };

static const char *const modes[EL_ROLLOUT_MODES] = { "all_at_once", "shadow", "canary" };
static const char *const stickies[EL_ROLLOUT_STICKIES] = { "no", "header", "input" };

static const struct {
    int32_t number;
    size_t at;
    uint32_t initial, least, most;
} counts[] = {
    { SHADOW_PERCENT, AT(shadow_percent), .initial = 10, .least = 1, .most = 100 },
    { STEP_REQUESTS, AT(step_requests), .initial = 100, .least = 1, .most = 1000000000 },
    { STEP_MS, AT(step_ms), .initial = 60000, .least = 0, .most = 30 * DAY_MS },
    { PATIENCE_MS, AT(patience_ms), .initial = 600000, .least = 1, .most = 30 * DAY_MS },
};

static const struct {
    int32_t number;
    size_t at;
    double most;
} numbers[] = {
    { MIN_AGREEMENT, AT(min_agreement), 0.999999 },
    { MAX_DRIFT, AT(max_drift), 1e300 },
};

static uint32_t *count_at(struct el_rollout_config *rollout, size_t at)
{
    return (uint32_t *)(void *)((char *)rollout + at);
}

static uint32_t count_of(const struct el_rollout_config *rollout, size_t at)
{
    return *(const uint32_t *)(const void *)((const char *)rollout + at);
}

static double *number_at(struct el_rollout_config *rollout, size_t at)
{
    return (double *)(void *)((char *)rollout + at);
}

static double number_of(const struct el_rollout_config *rollout, size_t at)
{
    return *(const double *)(const void *)((const char *)rollout + at);
}

static const char *field_name(int32_t number)
{
    for (size_t i = 0; i < COUNT(fields); i++)
        if (fields[i].number == number)
            return fields[i].name;
    return "?";
}

const char *el_rollout_mode_name(uint32_t mode)
{
    return mode < EL_ROLLOUT_MODES ? modes[mode] : "unknown";
}

struct el_rollout_config el_rollout_defaults(void)
{
    struct el_rollout_config rollout;
    memset(&rollout, 0, sizeof rollout); /* also what lies between the members: it is compared as bytes */
    rollout.step_count = 3;
    rollout.percents[0] = 1;
    rollout.percents[1] = 10;
    rollout.percents[2] = 50;
    for (size_t i = 0; i < COUNT(counts); i++)
        *count_at(&rollout, counts[i].at) = counts[i].initial;
    for (size_t i = 0; i < COUNT(numbers); i++)
        *number_at(&rollout, numbers[i].at) = -1;
    return rollout;
}

bool el_rollout_same(const struct el_rollout_config *a, const struct el_rollout_config *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

#define WHERE "%s:%u:%u: model %s: update.rollout.%s is "

static struct el_status *read_word(const char *file, const char *model, const struct el_text_message *message,
                                   int32_t number, const char *const *words, uint32_t word_count, uint32_t *word)
{
    const struct el_text_value *value = el_text_get(message, number);
    if (value == NULL)
        return NULL;
    for (uint32_t i = 0; i < word_count; i++) {
        if (strcmp(words[i], value->as.string.data) == 0) {
            *word = i;
            return NULL;
        }
    }
    return el_status_new(EL_INVALID_ARGUMENT, WHERE "\"%.100s\"; expected \"%s\", \"%s\" or \"%s\"", file, value->line,
                         value->column, model, field_name(number), value->as.string.data, words[0], words[1], words[2]);
}

static struct el_status *read_percents(const char *file, const char *model, const struct el_text_message *message,
                                       struct el_rollout_config *rollout)
{
    const struct el_text_value *value = el_text_get(message, PERCENT);
    if (value == NULL)
        return NULL;
    const struct el_text_value *first = value;
    uint32_t count = 0, before = 0;
    memset(rollout->percents, 0, sizeof rollout->percents);
    for (; value != NULL; value = el_text_next(value)) {
        if (value->as.count <= before || value->as.count > 100)
            return el_status_new(
                EL_INVALID_ARGUMENT, WHERE "%llu; expected percents from 1 to 100, each larger than the one before",
                file, value->line, value->column, model, field_name(PERCENT), (unsigned long long)value->as.count);
        if (count == EL_ROLLOUT_STEPS)
            return el_status_new(EL_INVALID_ARGUMENT, WHERE "given more than %d times", file, value->line,
                                 value->column, model, field_name(PERCENT), EL_ROLLOUT_STEPS);
        before = (uint32_t)value->as.count;
        if (before < 100) /* all is what comes after the last step */
            rollout->percents[count++] = before;
    }
    if (count == 0) /* percent: 100 */
        return el_status_new(EL_INVALID_ARGUMENT,
                             WHERE "100 from the start; expected a smaller one before it, or mode: \"all_at_once\"",
                             file, first->line, first->column, model, field_name(PERCENT));
    rollout->step_count = count;
    return NULL;
}

static struct el_status *read_counts(const char *file, const char *model, const struct el_text_message *message,
                                     struct el_rollout_config *rollout)
{
    for (size_t i = 0; i < COUNT(counts); i++) {
        const struct el_text_value *value = el_text_get(message, counts[i].number);
        if (value == NULL)
            continue;
        if (value->as.count < counts[i].least || value->as.count > counts[i].most)
            return el_status_new(EL_INVALID_ARGUMENT, WHERE "%llu; expected %u to %u", file, value->line, value->column,
                                 model, field_name(counts[i].number), (unsigned long long)value->as.count,
                                 counts[i].least, counts[i].most);
        *count_at(rollout, counts[i].at) = (uint32_t)value->as.count;
    }
    return NULL;
}

static struct el_status *read_numbers(const char *file, const char *model, const struct el_text_message *message,
                                      struct el_rollout_config *rollout)
{
    for (size_t i = 0; i < COUNT(numbers); i++) {
        const struct el_text_value *value = el_text_get(message, numbers[i].number);
        if (value == NULL)
            continue;
        const double number = value->as.number;
        if (!isfinite(number) || number > numbers[i].most)
            return el_status_new(EL_INVALID_ARGUMENT, WHERE "%g; expected 0 to %g, or -1 for no check", file,
                                 value->line, value->column, model, field_name(numbers[i].number), number,
                                 numbers[i].most);
        *number_at(rollout, numbers[i].at) = number;
    }
    return NULL;
}

/* A header's name, as HTTP has it. */
static bool is_header_name(const struct el_text_string *text)
{
    for (size_t i = 0; i < text->size; i++)
        if (!isalnum((unsigned char)text->data[i]) && strchr("-_.", text->data[i]) == NULL)
            return false;
    return text->size > 0 && text->size < EL_ROLLOUT_HEADER_SIZE;
}

static struct el_status *read_sticky(const char *file, const char *model, const struct el_text_message *message,
                                     struct el_rollout_config *rollout)
{
    EL_TRY(read_word(file, model, message, STICKY, stickies, EL_ROLLOUT_STICKIES, &rollout->sticky));
    const struct el_text_value *value = el_text_get(message, STICKY_HEADER);
    if ((rollout->sticky == EL_ROLLOUT_BY_HEADER) != (value != NULL)) {
        const int32_t number = value != NULL ? STICKY_HEADER : STICKY;
        const struct el_text_value *at = el_text_get(message, number);
        return el_status_new(EL_INVALID_ARGUMENT,
                             WHERE "\"%.100s\"; expected sticky: \"header\" and sticky_header: \"NAME\" together", file,
                             at->line, at->column, model, field_name(number), at->as.string.data);
    }
    if (value == NULL)
        return NULL;
    if (!is_header_name(&value->as.string))
        return el_status_new(EL_INVALID_ARGUMENT, WHERE "\"%.100s\"; expected the name of a header, at most %d bytes",
                             file, value->line, value->column, model, field_name(STICKY_HEADER), value->as.string.data,
                             EL_ROLLOUT_HEADER_SIZE - 1);
    memset(rollout->header, 0, sizeof rollout->header);
    for (size_t i = 0; i < value->as.string.size; i++)
        rollout->header[i] = (char)tolower((unsigned char)value->as.string.data[i]);
    return NULL;
}

struct el_status *el_rollout_config_read(const char *file, const char *model, const struct el_text_message *message,
                                         struct el_rollout_config *rollout)
{
    EL_TRY(read_word(file, model, message, MODE, modes, EL_ROLLOUT_MODES, &rollout->mode));
    EL_TRY(read_percents(file, model, message, rollout));
    EL_TRY(read_counts(file, model, message, rollout));
    const struct el_text_value *manual = el_text_get(message, MANUAL);
    if (manual != NULL)
        rollout->manual = manual->as.boolean;
    EL_TRY(read_numbers(file, model, message, rollout));
    return read_sticky(file, model, message, rollout);
}

void el_rollout_config_print(const struct el_rollout_config *rollout, struct el_buf *out)
{
    const struct el_rollout_config defaults = el_rollout_defaults();
    if (rollout->mode != defaults.mode)
        el_buf_printf(out, " %s: \"%s\"", field_name(MODE), modes[rollout->mode]);
    if (rollout->step_count != defaults.step_count ||
        memcmp(rollout->percents, defaults.percents, sizeof defaults.percents) != 0)
        for (uint32_t i = 0; i < rollout->step_count; i++)
            el_buf_printf(out, " %s: %u", field_name(PERCENT), rollout->percents[i]);
    for (size_t i = 0; i < COUNT(counts); i++)
        if (count_of(rollout, counts[i].at) != counts[i].initial)
            el_buf_printf(out, " %s: %u", field_name(counts[i].number), count_of(rollout, counts[i].at));
    if (rollout->manual)
        el_buf_printf(out, " %s: true", field_name(MANUAL));
    if (rollout->sticky != EL_ROLLOUT_BY_CHANCE)
        el_buf_printf(out, " %s: \"%s\"", field_name(STICKY), stickies[rollout->sticky]);
    if (rollout->header[0] != '\0')
        el_buf_printf(out, " %s: \"%s\"", field_name(STICKY_HEADER), rollout->header);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        const double number = number_of(rollout, numbers[i].at);
        if (number < -1 || number > -1) {
            el_buf_printf(out, " %s: ", field_name(numbers[i].number));
            el_print_number(number, out);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "config/probe_config.h"

#include "config/print.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define AT(member) offsetof(struct el_probe_config, member)
#define FIELD(field_name, field_number, k) .name = (field_name), .number = (field_number), .kind = EL_TEXT_##k

enum { REPLAY_RECORDS = 20, REPLAY_BYTES = 21, FIRST_NUMBER = 22 };
#define MOST_RECORDS 4096
#define MOST_BYTES (UINT64_C(1) << 34)

/* The mode of check i is field i + 1. */
static const struct el_text_field fields[] = {
    { FIELD("fits", 1, STRING), .optional = true },
    { FIELD("runs", 2, STRING), .optional = true },
    { FIELD("warmup", 3, STRING), .optional = true },
    { FIELD("golden", 4, STRING), .optional = true },
    { FIELD("replay", 5, STRING), .optional = true },
    { FIELD("sane", 6, STRING), .optional = true },
    { FIELD("latency", 7, STRING), .optional = true },
    { FIELD("memory", 8, STRING), .optional = true },
    { FIELD("quiet", 9, STRING), .optional = true },
    { FIELD("varies", 10, STRING), .optional = true },
    { FIELD("replay_records", REPLAY_RECORDS, UINT32), .optional = true },
    { FIELD("replay_bytes", REPLAY_BYTES, UINT64), .optional = true },
    { FIELD("min_agreement", FIRST_NUMBER, DOUBLE), .optional = true },
    { FIELD("max_drift", FIRST_NUMBER + 1, DOUBLE), .optional = true },
    { FIELD("max_slowest_ratio", FIRST_NUMBER + 2, DOUBLE), .optional = true },
    { FIELD("max_memory_ratio", FIRST_NUMBER + 3, DOUBLE), .optional = true },
    { FIELD("max_disturbance_ratio", FIRST_NUMBER + 4, DOUBLE), .optional = true },
    { FIELD("max_spread", FIRST_NUMBER + 5, DOUBLE), .optional = true },
};
const struct el_text_type el_type_probe = { .name = "tensorflow.serving.EverlitProbe",
                                            .fields = fields,
                                            .field_count = COUNT(fields) };

static const struct {
    const char *name;
    size_t at;
    double initial, least, most;
    bool negative; /* any number below zero is allowed too, and means: not checked */
} numbers[] = {
    { "min_agreement", AT(min_agreement), .initial = 0.9, .least = 0, .most = 1, .negative = false },
    { "max_drift", AT(max_drift), .initial = -1, .least = 0, .most = 1e300, .negative = true },
    { "max_slowest_ratio", AT(max_slowest_ratio), .initial = -1, .least = 1, .most = 1e6, .negative = true },
    { "max_memory_ratio", AT(max_memory_ratio), .initial = 2, .least = 1, .most = 1e6, .negative = false },
    { "max_disturbance_ratio", AT(max_disturbance_ratio), .initial = 2, .least = 1, .most = 1e6, .negative = false },
    { "max_spread", AT(max_spread), .initial = -1, .least = 0, .most = 1, .negative = true },
};

static const char *const words[] = { "off", "warn", "refuse" };

static double number_of(const struct el_probe_config *probe, size_t at)
{
    return *(const double *)(const void *)((const char *)probe + at);
}

static double *number_at(struct el_probe_config *probe, size_t at)
{
    return (double *)(void *)((char *)probe + at);
}

const char *el_check_name(enum el_check check)
{
    return fields[check].name;
}

struct el_probe_config el_probe_defaults(void)
{
    struct el_probe_config probe = { .replay_records = 64, .replay_bytes = UINT64_C(16) << 20 };
    static const enum el_check told[] = { EL_CHECK_REPLAY, EL_CHECK_MEMORY, EL_CHECK_QUIET, EL_CHECK_VARIES };
    for (size_t i = 0; i < EL_CHECKS; i++)
        probe.modes[i] = EL_CHECK_REFUSE;
    for (size_t i = 0; i < COUNT(told); i++)
        probe.modes[told[i]] = EL_CHECK_WARN;
    for (size_t i = 0; i < COUNT(numbers); i++)
        *number_at(&probe, numbers[i].at) = numbers[i].initial;
    return probe;
}

#define WHERE "%s:%u:%u: model %s: update.probe.%s is "

static struct el_status *read_modes(const char *file, const char *model, const struct el_text_message *message,
                                    struct el_probe_config *probe)
{
    for (int32_t i = 0; i < EL_CHECKS; i++) {
        const struct el_text_value *value = el_text_get(message, i + 1);
        size_t mode = 0;
        while (value != NULL && mode < COUNT(words) && strcmp(words[mode], value->as.string.data) != 0)
            mode++;
        if (mode == COUNT(words))
            return el_status_new(EL_INVALID_ARGUMENT, WHERE "\"%.100s\"; expected \"off\", \"warn\" or \"refuse\"",
                                 file, value->line, value->column, model, fields[i].name, value->as.string.data);
        if (value != NULL)
            probe->modes[i] = (enum el_check_mode)mode;
    }
    return NULL;
}

static struct el_status *read_numbers(const char *file, const char *model, const struct el_text_message *message,
                                      struct el_probe_config *probe)
{
    for (size_t i = 0; i < COUNT(numbers); i++) {
        const struct el_text_value *value = el_text_get(message, FIRST_NUMBER + (int32_t)i);
        if (value == NULL)
            continue;
        const double number = value->as.number;
        const bool in_range = number >= numbers[i].least && number <= numbers[i].most;
        if (!in_range && !(numbers[i].negative && number < 0 && isfinite(number)))
            return el_status_new(EL_INVALID_ARGUMENT, WHERE "%g; expected %g to %g%s", file, value->line, value->column,
                                 model, numbers[i].name, number, numbers[i].least, numbers[i].most,
                                 numbers[i].negative ? ", or -1 for no check" : "");
        *number_at(probe, numbers[i].at) = number;
    }
    return NULL;
}

static struct el_status *read_count(const char *file, const char *model, const struct el_text_message *message,
                                    int32_t number, const char *name, uint64_t most, uint64_t *count)
{
    const struct el_text_value *value = el_text_get(message, number);
    if (value == NULL)
        return NULL;
    if (value->as.count > most)
        return el_status_new(EL_INVALID_ARGUMENT, WHERE "%llu; expected 0 to %llu", file, value->line, value->column,
                             model, name, (unsigned long long)value->as.count, (unsigned long long)most);
    *count = value->as.count;
    return NULL;
}

struct el_status *el_probe_config_read(const char *file, const char *model, const struct el_text_message *message,
                                       struct el_probe_config *probe)
{
    uint64_t records = probe->replay_records;
    EL_TRY(read_modes(file, model, message, probe));
    EL_TRY(read_count(file, model, message, REPLAY_RECORDS, "replay_records", MOST_RECORDS, &records));
    probe->replay_records = (uint32_t)records;
    EL_TRY(read_count(file, model, message, REPLAY_BYTES, "replay_bytes", MOST_BYTES, &probe->replay_bytes));
    return read_numbers(file, model, message, probe);
}

void el_probe_config_print(const struct el_probe_config *probe, struct el_buf *out)
{
    const struct el_probe_config defaults = el_probe_defaults();
    for (size_t i = 0; i < EL_CHECKS; i++)
        if (probe->modes[i] != defaults.modes[i])
            el_buf_printf(out, " %s: \"%s\"", fields[i].name, words[probe->modes[i]]);
    if (probe->replay_records != defaults.replay_records)
        el_buf_printf(out, " replay_records: %u", probe->replay_records);
    if (probe->replay_bytes != defaults.replay_bytes)
        el_buf_printf(out, " replay_bytes: %llu", (unsigned long long)probe->replay_bytes);
    for (size_t i = 0; i < COUNT(numbers); i++) {
        const double number = number_of(probe, numbers[i].at);
        if (number < numbers[i].initial || number > numbers[i].initial) {
            el_buf_printf(out, " %s: ", numbers[i].name);
            el_print_number(number, out);
        }
    }
}

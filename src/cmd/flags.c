/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/flags.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define COLUMNS 80
#define HELP_INDENT 6
#define LONGEST_NAME 64

/* How many letters must change to make one word of the other (Levenshtein), for the nearest name. */
static size_t distance(const char *a, const char *b)
{
    size_t row[LONGEST_NAME + 1];
    const size_t width = strnlen(b, LONGEST_NAME);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; i < LONGEST_NAME && a[i] != 0; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < width; j++) {
            const size_t above = row[j + 1];
            size_t best = diagonal + (a[i] != b[j]);
            if (above + 1 < best)
                best = above + 1;
            if (row[j] + 1 < best)
                best = row[j] + 1;
            diagonal = above;
            row[j + 1] = best;
        }
    }
    return row[width];
}

static struct el_flag *find(struct el_flag *flags, size_t flag_count, const char *name, size_t size)
{
    for (size_t i = 0; i < flag_count; i++) {
        if (strlen(flags[i].name) == size && memcmp(flags[i].name, name, size) == 0)
            return &flags[i];
    }
    return NULL;
}

/* Keeps an argument that is no flag, with the flag whose name is nearest. */
static void add_unknown(const struct el_flag *flags, size_t flag_count, const char *argument,
                        struct el_unknown *unknown)
{
    if (unknown->count == EL_UNKNOWN_KEPT)
        return;
    char name[LONGEST_NAME + 1];
    const char *bare = argument + strspn(argument, "-");
    const size_t size = strcspn(bare, "=");
    snprintf(name, sizeof name, "%.*s", (int)(size < LONGEST_NAME ? size : LONGEST_NAME), bare);
    struct el_unknown_argument *one = &unknown->arguments[unknown->count++];
    one->text = argument;
    size_t least = 4; /* a word further away is another word */
    for (size_t i = 0; i < flag_count && *argument == '-'; i++) {
        const size_t away = distance(name, flags[i].name);
        if (away < least) {
            least = away;
            one->nearest = flags[i].name;
        }
    }
}

static struct el_status *bad_value(const struct el_flag *flag, const char *text, const char *why)
{
    return el_status_new(EL_INVALID_ARGUMENT, "Couldn't interpret value %s for flag %s. (%s)", text, flag->name, why);
}

static struct el_status *set_bool(const struct el_flag *flag, const char *text)
{
    if (strcasecmp(text, "true") == 0)
        *(bool *)flag->value = true;
    else if (strcasecmp(text, "false") == 0)
        *(bool *)flag->value = false;
    else
        return bad_value(flag, text, "expected true or false");
    return NULL;
}

static struct el_status *set_int(const struct el_flag *flag, const char *text)
{
    const bool wide = flag->type == EL_FLAG_INT64;
    char *end;
    errno = 0;
    const long long number = strtoll(text, &end, 10);
    if (end == text || *end != 0)
        return bad_value(flag, text, "expected a whole number");
    if (errno == ERANGE || (!wide && (number < INT32_MIN || number > INT32_MAX)))
        return bad_value(flag, text, wide ? "it does not fit 64 bits" : "it does not fit 32 bits");
    if (wide)
        *(int64_t *)flag->value = number;
    else
        *(int32_t *)flag->value = (int32_t)number;
    return NULL;
}

static struct el_status *set_double(const struct el_flag *flag, const char *text)
{
    char *end;
    const double number = strtod(text, &end);
    if (end == text || *end != 0)
        return bad_value(flag, text, "expected a number");
    *(double *)flag->value = number;
    return NULL;
}

static struct el_status *set(const struct el_flag *flag, const char *text)
{
    switch (flag->type) {
    case EL_FLAG_BOOL:
        return set_bool(flag, text);
    case EL_FLAG_INT32:
    case EL_FLAG_INT64:
        return set_int(flag, text);
    case EL_FLAG_DOUBLE:
        return set_double(flag, text);
    case EL_FLAG_STRING:
        *(const char **)flag->value = text;
        return NULL;
    }
    return el_status_new(EL_INTERNAL, "--%s: its type is none", flag->name);
}

struct el_status *el_flags_parse(struct el_flag *flags, size_t flag_count, int count, char **arguments,
                                 struct el_unknown *unknown)
{
    for (int i = 1; i < count; i++) {
        const char *argument = arguments[i];
        if (strcmp(argument, "--") == 0)
            return NULL;
        const bool dashes = strncmp(argument, "--", 2) == 0;
        const char *name = dashes ? argument + 2 : "";
        const size_t size = strcspn(name, "=");
        struct el_flag *flag = find(flags, flag_count, name, size);
        if (flag == NULL) {
            add_unknown(flags, flag_count, argument, unknown);
            continue;
        }
        flag->given = true;
        if (name[size] == '=') {
            EL_TRY(set(flag, name + size + 1));
        } else if (flag->type == EL_FLAG_BOOL) {
            *(bool *)flag->value = true;
        } else if (i + 1 < count) {
            EL_TRY(set(flag, arguments[++i]));
        } else {
            return el_status_new(EL_INVALID_ARGUMENT, "--%s: its value is missing", flag->name);
        }
    }
    return NULL;
}

/* Prints text in lines that start at indent and end before COLUMNS. */
static void print_wrapped(const char *text, int indent, FILE *out)
{
    int column = 0;
    while (*text != 0) {
        const int word = (int)strcspn(text, " ");
        if (column > 0 && column + 1 + word >= COLUMNS) {
            fputc('\n', out);
            column = 0;
        }
        if (column == 0)
            column = fprintf(out, "%*s", indent, "");
        else
            column += fprintf(out, " ");
        column += fprintf(out, "%.*s", word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_default(const struct el_flag *flag, FILE *out)
{
    switch (flag->type) {
    case EL_FLAG_BOOL:
        fprintf(out, "%s", *(const bool *)flag->value ? "=true" : "");
        break;
    case EL_FLAG_INT32:
        fprintf(out, "=%" PRId32, *(const int32_t *)flag->value);
        break;
    case EL_FLAG_INT64:
        fprintf(out, "=%" PRId64, *(const int64_t *)flag->value);
        break;
    case EL_FLAG_DOUBLE:
        fprintf(out, "=%g", *(const double *)flag->value);
        break;
    case EL_FLAG_STRING: {
        const char *value = *(const char *const *)flag->value;
        fprintf(out, "=%s", value == NULL || *value == 0 ? "..." : value);
        break;
    }
    }
}

void el_flags_print(const struct el_flag *flags, size_t flag_count, FILE *out)
{
    const char *group = NULL;
    for (size_t i = 0; i < flag_count; i++) {
        if (group == NULL || strcmp(group, flags[i].group) != 0) {
            group = flags[i].group;
            fprintf(out, "\n%s\n", group);
        }
        fprintf(out, "  --%s", flags[i].name);
        print_default(&flags[i], out);
        fputc('\n', out);
        print_wrapped(flags[i].help, HELP_INDENT, out);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 4096 /* a longer line is cut: it stays one write */

struct line {
    char text[LINE_BYTES];
    size_t size;
};

static const char level_letters[] = "DIWE";
static const char *const level_names[] = { "debug", "info", "warning", "error" };

static void put(struct line *line, char c)
{
    if (line->size < LINE_BYTES - 1)
        line->text[line->size++] = c;
}

static __attribute__((format(printf, 2, 3))) void print(struct line *line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    size_t room = LINE_BYTES - 1 - line->size;
    int n = vsnprintf(line->text + line->size, room + 1, format, args);
    va_end(args);
    if (n > 0)
        line->size += (size_t)n < room ? (size_t)n : room;
}

/* JSON's escapes serve for the text form too. */
static void put_quoted(struct line *line, const char *text)
{
    put(line, '"');
    for (const unsigned char *c = (const unsigned char *)text; *c != 0; c++) {
        if (*c == '"' || *c == '\\')
            print(line, "\\%c", *c);
        else if (*c == '\n')
            print(line, "\\n");
        else if (*c < 0x20 || *c == 0x7f)
            print(line, "\\u%04x", *c);
        else
            put(line, (char)*c);
    }
    put(line, '"');
}

static bool is_plain(const char *text)
{
    if (*text == 0)
        return false;
    for (; *text != 0; text++) {
        if ((unsigned char)*text <= ' ' || *text == '"' || *text == '=' || *text == '\\' || *text == 0x7f)
            return false;
    }
    return true;
}

static void put_value(struct line *line, const struct el_field *field, bool json)
{
    if (field->type == EL_FIELD_INT) {
        print(line, "%" PRId64, field->as.integer);
    } else if (field->type == EL_FIELD_NUM) {
        if (json && !isfinite(field->as.number))
            print(line, "null");
        else
            print(line, "%.6g", field->as.number);
    } else {
        const char *text = field->as.str == NULL ? "" : field->as.str;
        if (!json && is_plain(text))
            print(line, "%s", text);
        else
            put_quoted(line, text);
    }
}

static void put_time(struct line *line)
{
    struct timespec now;
    struct tm utc;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    print(line, "%04d-%02d-%02dT%02d:%02d:%02d.%03ldZ", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
          utc.tm_min, utc.tm_sec, now.tv_nsec / 1000000);
}

void el_log_fields(const struct el_log *log, enum el_log_level level, const char *event, const struct el_field *fields,
                   size_t count)
{
    if (log == NULL || level < log->least || level > EL_LOG_ERROR)
        return;
    struct line line;
    line.size = 0;
    const bool json = log->format == EL_LOG_JSON;
    if (json) {
        print(&line, "{\"time\":\"");
        put_time(&line);
        print(&line, "\",\"level\":\"%s\",\"event\":", level_names[level]);
        put_quoted(&line, event);
    } else {
        put_time(&line);
        print(&line, " %c %s", level_letters[level], event);
    }
    for (size_t i = 0; i < count; i++) {
        if (json) {
            put(&line, ',');
            put_quoted(&line, fields[i].name);
            put(&line, ':');
        } else {
            print(&line, " %s=", fields[i].name);
        }
        put_value(&line, &fields[i], json);
    }
    if (json)
        put(&line, '}');
    line.text[line.size++] = '\n'; /* put and print leave this byte free */
    ssize_t written = write(log->fd, line.text, line.size);
    (void)written; /* a log that cannot be written is dropped: see the header */
}

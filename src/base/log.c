/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 4096 /* texts that are too long for it are cut: it stays one write, and JSON */
#define NUMBER_BYTES 24
#define USEFUL_BYTES 400

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

/* The bytes of the UTF-8 sequence at text; 0: it is none. Overlong forms and surrogates are none. */
static size_t utf8_size(const unsigned char *text)
{
    static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
    const size_t more = *text < 0x80             ? 0
                        : (*text & 0xe0) == 0xc0 ? 1
                        : (*text & 0xf0) == 0xe0 ? 2
                        : (*text & 0xf8) == 0xf0 ? 3
                                                 : 4;
    if (more == 4)
        return 0;
    uint32_t code = more == 0 ? *text : *text & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((text[i] & 0xc0) != 0x80) /* the terminating zero, too */
            return 0;
        code = code << 6 | (text[i] & 0x3fu);
    }
    return code < least[more] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff) ? 0 : more + 1;
}

#define LONGEST_UNIT 6 /* \uXXXX */

/* JSON's escapes serve for the text form too. What does not fit before `end` of the line is left out, behind whole characters;
 * the quotes are there in any case. */
static void put_quoted(struct line *line, const char *text, size_t end)
{
    put(line, '"');
    for (const unsigned char *c = (const unsigned char *)text; *c != 0 && line->size + LONGEST_UNIT + 1 <= end;) {
        const size_t size = utf8_size(c);
        if (size == 0)
            print(line, "\\ufffd");
        else if (*c == '"' || *c == '\\')
            print(line, "\\%c", *c);
        else if (*c == '\n')
            print(line, "\\n");
        else if (*c < 0x20 || *c == 0x7f)
            print(line, "\\u%04x", *c);
        else
            print(line, "%.*s", (int)size, (const char *)c);
        c += size == 0 ? 1 : size;
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

/* end: how far into the line a text may reach. */
static void put_value(struct line *line, const struct el_field *field, bool json, size_t end)
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
            put_quoted(line, text, end);
    }
}

/* Room that the fields from `from` on are to have: what they need, or enough to be of use. */
static size_t room_for(const struct el_field *fields, size_t from, size_t count)
{
    size_t room = 0;
    for (size_t i = from; i < count; i++) {
        const size_t value = fields[i].type != EL_FIELD_STR || fields[i].as.str == NULL ? NUMBER_BYTES
                                                                                        : strlen(fields[i].as.str) + 2;
        room += strlen(fields[i].name) + 4 + (value < USEFUL_BYTES ? value : USEFUL_BYTES);
    }
    return room;
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
        put_quoted(&line, event, LINE_BYTES - 2);
    } else {
        put_time(&line);
        print(&line, " %c %s", level_letters[level], event);
    }
    for (size_t i = 0; i < count; i++) {
        if (json) {
            put(&line, ',');
            put_quoted(&line, fields[i].name, LINE_BYTES - 2);
            put(&line, ':');
        } else {
            print(&line, " %s=", fields[i].name);
        }
        const size_t later = room_for(fields, i + 1, count) + 3; /* quote, brace, end of line */
        put_value(&line, &fields[i], json, later < LINE_BYTES ? LINE_BYTES - later : 0);
    }
    if (json)
        put(&line, '}');
    line.text[line.size++] = '\n'; /* put and print leave this byte free */
    ssize_t written = write(log->fd, line.text, line.size);
    (void)written; /* a log that cannot be written is dropped: see the header */
}

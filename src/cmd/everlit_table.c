/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlit_table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_FIRST 8 /* the first column is not cut below this width */

/* Width in columns: every byte that does not go on with a UTF-8 character. */
static size_t width_of(const char *text, size_t size)
{
    size_t width = 0;
    for (size_t i = 0; i < size; i++)
        width += ((unsigned char)text[i] & 0xc0) != 0x80;
    return width;
}

/* Bytes of text that fill at most width columns. */
static size_t fit(const char *text, size_t width)
{
    size_t i = 0;
    while (text[i] != '\0') {
        size_t next = i + 1;
        while (((unsigned char)text[next] & 0xc0) == 0x80)
            next++;
        if (width == 0)
            break;
        width--;
        i = next;
    }
    return i;
}

struct el_table_row *el_table_add(struct el_table *table)
{
    if (table->row_count == table->capacity) {
        const size_t capacity = table->capacity == 0 ? 16 : table->capacity * 2;
        size_t bytes;
        struct el_table_row *rows = NULL;
        if (!__builtin_mul_overflow(capacity, sizeof *rows, &bytes))
            rows = realloc(table->rows, bytes);
        if (rows == NULL)
            return NULL;
        table->rows = rows;
        table->capacity = capacity;
    }
    struct el_table_row *row = &table->rows[table->row_count++];
    memset(row, 0, sizeof *row);
    return row;
}

void el_table_set(struct el_table_row *row, size_t column, enum el_cli_colour colour, const char *format, ...)
{
    struct el_buf raw = { 0 }, clean = { 0 };
    va_list args;
    va_start(args, format);
    el_buf_vprintf(&raw, format, args);
    va_end(args);
    char *raw_text = el_buf_take_text(&raw);
    el_cli_clean(raw_text != NULL ? raw_text : "?", &clean);
    char *text = el_buf_take_text(&clean);
    char *cell = row->cells[column];
    row->colour[column] = colour;
    if (text != NULL) {
        size_t used = strlen(text);
        while (used >= EL_TABLE_CELL - 1)
            used = fit(text, width_of(text, used) - 1);
        memcpy(cell, text, used);
        if (text[used] != '\0')
            cell[used++] = '~';
        cell[used] = '\0';
    }
    free(raw_text);
    free(text);
}

static void print_cell(const char *text, size_t width, bool right, bool last, struct el_buf *out)
{
    const size_t whole = width_of(text, strlen(text));
    const size_t used = whole <= width ? whole : width;
    if (right)
        el_buf_printf(out, "%*s", (int)(width - used), "");
    if (whole <= width) {
        el_buf_text(out, text);
    } else {
        el_buf_append(out, text, fit(text, width - 1));
        el_buf_byte(out, '~');
    }
    if (!right && !last)
        el_buf_printf(out, "%*s", (int)(width - used), "");
}

void el_table_print(const struct el_table *table, const struct el_cli_style *style, struct el_buf *out)
{
    size_t widths[EL_TABLE_COLUMNS] = { 0 }, sum = 0;
    for (size_t column = 0; column < table->column_count; column++) {
        widths[column] = strlen(table->columns[column].title);
        for (size_t row = 0; row < table->row_count; row++) {
            const char *text = table->rows[row].cells[column];
            const size_t width = width_of(text, strlen(text));
            if (width > widths[column])
                widths[column] = width;
        }
        sum += widths[column];
    }
    const size_t gaps = table->column_count - 1;
    const size_t gap = sum + 2 * gaps <= style->width ? 2 : 1;
    if (style->terminal && sum + gaps > style->width) {
        const size_t over = sum + gaps - style->width;
        widths[0] = widths[0] > over + LEAST_FIRST ? widths[0] - over
                    : widths[0] < LEAST_FIRST      ? widths[0]
                                                   : LEAST_FIRST;
    }

    el_buf_text(out, el_cli_colour(style, EL_CLI_DIM));
    for (size_t column = 0; column < table->column_count; column++) {
        const bool last = column + 1 == table->column_count;
        print_cell(table->columns[column].title, widths[column], table->columns[column].right, last, out);
        el_buf_printf(out, "%*s", last ? 0 : (int)gap, "");
    }
    el_buf_printf(out, "%s\n", el_cli_colour(style, EL_CLI_PLAIN));
    for (size_t row = 0; row < table->row_count; row++) {
        for (size_t column = 0; column < table->column_count; column++) {
            const bool last = column + 1 == table->column_count;
            const enum el_cli_colour colour = table->rows[row].colour[column];
            if (colour != EL_CLI_PLAIN)
                el_buf_text(out, el_cli_colour(style, colour));
            print_cell(table->rows[row].cells[column], widths[column], table->columns[column].right, last, out);
            if (colour != EL_CLI_PLAIN)
                el_buf_text(out, el_cli_colour(style, EL_CLI_PLAIN));
            el_buf_printf(out, "%*s", last ? 0 : (int)gap, "");
        }
        el_buf_byte(out, '\n');
    }
}

void el_table_free(struct el_table *table)
{
    free(table->rows);
    table->rows = NULL;
    table->row_count = table->capacity = 0;
}

void el_cli_wrap(const char *text, size_t indent, const struct el_cli_style *style, struct el_buf *out)
{
    const size_t width = style->width > indent + 20 ? style->width - indent : 20;
    struct el_buf clean = { 0 };
    el_cli_clean(text, &clean);
    char *copy = el_buf_take_text(&clean);
    const char *at = copy == NULL ? "" : copy;
    while (*at == ' ')
        at++;
    while (*at != '\0') {
        size_t size = fit(at, width);
        if (at[size] != '\0' && at[size] != ' ') { /* inside a word: back to the blank before it, if there is one */
            size_t blank = size;
            while (blank > 0 && at[blank] != ' ')
                blank--;
            if (blank > 0)
                size = blank;
        }
        size_t shown = size;
        while (shown > 0 && at[shown - 1] == ' ')
            shown--;
        el_buf_printf(out, "%*s", (int)indent, "");
        el_buf_append(out, at, shown);
        el_buf_byte(out, '\n');
        at += size;
        while (*at == ' ')
            at++;
    }
    free(copy);
}

void el_cli_clean(const char *text, struct el_buf *out)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        const bool c1 = at[0] == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0; /* UTF-8 of U+0080 to U+009F */
        if (c1)
            at++;
        if (c1 || *at < ' ' || *at == 0x7f)
            el_buf_byte(out, c1 || (*at != '\n' && *at != '\t') ? '?' : ' ');
        else
            el_buf_byte(out, *at);
    }
}

const char *el_cli_ms(double ms, char text[16])
{
    if (!(ms > 0))
        snprintf(text, 16, "-");
    else if (ms < 0.9995)
        snprintf(text, 16, "%.0fus", ms * 1000);
    else if (ms < 9.995)
        snprintf(text, 16, "%.2fms", ms);
    else if (ms < 999.5)
        snprintf(text, 16, "%.0fms", ms);
    else
        snprintf(text, 16, "%.1fs", ms < 1e9 ? ms / 1000 : 1e6);
    return text;
}

const char *el_cli_age(double seconds, char text[16])
{
    if (!(seconds >= 0))
        seconds = 0; /* a clock that was set back */
    if (seconds < 60)
        snprintf(text, 16, "%ds", (int)seconds);
    else if (seconds < 3600)
        snprintf(text, 16, "%dm", (int)(seconds / 60));
    else if (seconds < 48 * 3600)
        snprintf(text, 16, "%dh", (int)(seconds / 3600));
    else
        snprintf(text, 16, "%dd", (int)(seconds < 86400e5 ? seconds / 86400 : 1e5));
    return text;
}

const char *el_cli_bytes(double bytes, char text[16])
{
    static const char units[] = " kMGT";
    size_t unit = 0;
    if (!(bytes > 0)) {
        snprintf(text, 16, "-");
        return text;
    }
    while (bytes >= 999.5 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    if (unit == 0)
        snprintf(text, 16, "%.0f", bytes);
    else
        snprintf(text, 16, bytes < 9.95 ? "%.1f%c" : "%.0f%c", bytes < 1e6 ? bytes : 1e6, units[unit]);
    return text;
}

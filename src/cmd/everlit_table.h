/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_EVERLIT_TABLE_H
#define EL_CMD_EVERLIT_TABLE_H

/*
 * Tables, wrapped text and short figures for a terminal. Pure: text goes to a buffer. Everything that comes from a server
 * or a file passes el_cli_clean() on its way: no control character of theirs reaches the terminal.
 */

#include "base/buf.h"
#include "cmd/everlit.h"

#include <stddef.h>
#include <stdint.h>

#define EL_TABLE_COLUMNS 12
#define EL_TABLE_CELL 64 /* bytes of a cell with its end; longer text is cut with "~" */

struct el_table_column {
    const char *title;
    bool right; /* numbers stand at the right edge */
};

struct el_table_row {
    char cells[EL_TABLE_COLUMNS][EL_TABLE_CELL];
    enum el_cli_colour colour[EL_TABLE_COLUMNS];
};

struct el_table {
    const struct el_table_column *columns;
    size_t column_count;       /* at most EL_TABLE_COLUMNS */
    struct el_table_row *rows; /* owned */
    size_t row_count;
    size_t capacity;
};

/* A new empty row, valid until the next; NULL when memory is short. */
struct el_table_row *el_table_add(struct el_table *table);

/* Writes text, cleaned and cut, to a cell. */
void el_table_set(struct el_table_row *row, size_t column, enum el_cli_colour colour, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes the table: two blanks between columns, one where it would be too wide, and then the first column is cut. */
void el_table_print(const struct el_table *table, const struct el_cli_style *style, struct el_buf *out);

void el_table_free(struct el_table *table);

/* text in lines of at most style->width columns, each with indent blanks before it; words stay whole where they fit. */
void el_cli_wrap(const char *text, size_t indent, const struct el_cli_style *style, struct el_buf *out);

/* Appends text with control characters (C0, DEL and C1) replaced by "?". */
void el_cli_clean(const char *text, struct el_buf *out);

/* "950us", "1.25ms", "12.5s"; "-" for what is not above zero. */
const char *el_cli_ms(double ms, char text[16]);

/* "12s", "3m", "2h", "4d". */
const char *el_cli_age(double seconds, char text[16]);

/* "512", "1.2k", "344M", "1.1G" (of 1024); "-" for none. */
const char *el_cli_bytes(double bytes, char text[16]);

#endif

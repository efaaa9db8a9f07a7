/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_TERMINAL_H
#define EL_DEMO_TERMINAL_H

/*
 * Text on a terminal, or on what is none. Main thread.
 *
 * A canvas is one screenful (or some lines) under construction, written at once. As a page it is drawn over the one
 * before: nothing scrolls, nothing flickers, every line is cut at the right edge. Otherwise lines follow each other.
 * Styles appear only where colours are wanted: on a terminal, without NO_COLOR. Signs beyond ASCII only where the
 * locale says UTF-8. What comes from elsewhere is cleaned: no control character reaches the terminal.
 */

#include "base/buf.h"

#include <stdbool.h>

enum style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_GREEN, STYLE_RED, STYLE_YELLOW, STYLE_CYAN, STYLES };

enum sign { SIGN_RULE, SIGN_MORE, SIGN_ARROW, SIGN_GOOD, SIGN_BAD, SIGN_DOT, SIGN_NOTE, SIGNS };

struct terminal {
    int fd;
    bool is_terminal, colour, utf8;
    unsigned columns, rows; /* of a terminal; else columns is "no limit" */
};

struct canvas {
    const struct terminal *terminal;
    bool page;
    bool cut;             /* lines end at the right edge, with a sign that there is more; else they go on */
    unsigned row, column; /* where the next text goes, from 0 */
    struct el_buf out;
};

void terminal_open(struct terminal *terminal, int fd);

/* Reads the size again: after SIGWINCH. */
void terminal_measure(struct terminal *terminal);

/* Enters and leaves the page: the terminal's other screen, without cursor. Only on a terminal. */
void terminal_enter(const struct terminal *terminal);
void terminal_leave(const struct terminal *terminal);

/* Begins anew, keeping the memory. */
void canvas_begin(struct canvas *canvas, const struct terminal *terminal, bool page);

/* Appends to the line. */
void canvas_put(struct canvas *canvas, enum style style, const char *format, ...) __attribute__((format(printf, 3, 4)));
void canvas_sign(struct canvas *canvas, enum style style, enum sign sign);

/* A bar of height level (0 to 8). */
void canvas_bar(struct canvas *canvas, enum style style, unsigned level);

/* Spaces up to a column, at least one if the text is there already. */
void canvas_to(struct canvas *canvas, unsigned column);

/* A line from edge to edge. */
void canvas_rule(struct canvas *canvas);

/* Text over at most `lines` lines, broken at spaces, each but the first (which goes on here) indented. Ends the last line. */
void canvas_wrap(struct canvas *canvas, enum style style, unsigned indent, unsigned lines, const char *text);

/* Ends the line. */
void canvas_next(struct canvas *canvas);

/* Rows that are left; a page has as many as the terminal. */
unsigned canvas_room(const struct canvas *canvas);

/* Writes it all. A page is cleared below its last line. */
void canvas_show(struct canvas *canvas);

void canvas_free(struct canvas *canvas);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "demo/terminal.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define OTHER_SCREEN "\x1b[?1049h"
#define FIRST_SCREEN "\x1b[?1049l"
#define HIDE_CURSOR "\x1b[?25l"
#define SHOW_CURSOR "\x1b[?25h"
#define HOME "\x1b[H"
#define CLEAR_SCREEN "\x1b[2J"
#define CLEAR_BELOW "\x1b[J"
#define CLEAR_LINE "\x1b[K"
#define RESET "\x1b[0m"

static const char *const styles[STYLES] = {
    [STYLE_PLAIN] = "",         [STYLE_BOLD] = "\x1b[1m",    [STYLE_DIM] = "\x1b[2m",   [STYLE_GREEN] = "\x1b[32m",
    [STYLE_RED] = "\x1b[1;31m", [STYLE_YELLOW] = "\x1b[33m", [STYLE_CYAN] = "\x1b[36m",
};

/* UTF-8, and what stands for it elsewhere. */
static const char *const signs[SIGNS][2] = {
    [SIGN_RULE] = { "─", "-" }, [SIGN_MORE] = { "…", "~" }, [SIGN_ARROW] = { "→", ">" }, [SIGN_GOOD] = { "✓", "+" },
    [SIGN_BAD] = { "✗", "x" },  [SIGN_DOT] = { "●", "*" },  [SIGN_NOTE] = { "·", "." },
};
static const char *const bars[9][2] = { { " ", " " }, { "▁", "_" }, { "▂", "_" }, { "▃", "." }, { "▄", "-" },
                                        { "▅", "-" }, { "▆", "=" }, { "▇", "=" }, { "█", "#" } };

/* ---- the terminal ---- */

static bool locale_is_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (value != NULL && *value != '\0')
            return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

void terminal_open(struct terminal *terminal, int fd)
{
    const char *no_color = getenv("NO_COLOR"), *type = getenv("TERM");
    const bool able = type != NULL && *type != '\0' && strcmp(type, "dumb") != 0;
    *terminal = (struct terminal){ .fd = fd, .is_terminal = isatty(fd) == 1 && able, .utf8 = locale_is_utf8() };
    terminal->colour = terminal->is_terminal && (no_color == NULL || *no_color == '\0');
    terminal_measure(terminal);
}

void terminal_measure(struct terminal *terminal)
{
    struct winsize size = { 0 };
    terminal->columns = terminal->is_terminal ? 80 : UINT_MAX;
    terminal->rows = terminal->is_terminal ? 24 : UINT_MAX;
    if (!terminal->is_terminal || ioctl(terminal->fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return;
    terminal->columns = size.ws_col;
    terminal->rows = size.ws_row;
}

static void write_all(int fd, const void *bytes, size_t size)
{
    const char *at = bytes;
    while (size > 0) {
        const ssize_t wrote = write(fd, at, size);
        if (wrote > 0) {
            at += wrote;
            size -= (size_t)wrote;
        } else if (errno == EAGAIN) {
            struct pollfd wait = { .fd = fd, .events = POLLOUT };
            poll(&wait, 1, 1000);
        } else if (errno != EINTR) {
            return; /* nobody reads any more: the demo's exit status still tells how it went */
        }
    }
}

static void write_text(const struct terminal *terminal, const char *text)
{
    write_all(terminal->fd, text, strlen(text));
}

void terminal_enter(const struct terminal *terminal)
{
    if (terminal->is_terminal)
        write_text(terminal, OTHER_SCREEN HIDE_CURSOR CLEAR_SCREEN);
}

void terminal_leave(const struct terminal *terminal)
{
    if (terminal->is_terminal)
        write_text(terminal, RESET SHOW_CURSOR FIRST_SCREEN);
}

/* ---- the canvas ---- */

void canvas_begin(struct canvas *canvas, const struct terminal *terminal, bool page)
{
    canvas->terminal = terminal;
    canvas->page = canvas->cut = page;
    canvas->row = canvas->column = 0;
    el_buf_clear(&canvas->out);
    if (page)
        el_buf_text(&canvas->out, HOME);
}

/* The bytes of the character at text; 1 for what is no valid UTF-8 start, which is then shown as '?'. */
static size_t character_size(const char *text, bool *valid)
{
    const unsigned char *bytes = (const unsigned char *)text;
    *valid = true;
    if (bytes[0] < 0x80) {
        *valid = bytes[0] >= 0x20 && bytes[0] != 0x7f;
        return 1;
    }
    const size_t size = bytes[0] >= 0xf0 && bytes[0] < 0xf5 ? 4 : bytes[0] >= 0xe0 ? 3 : bytes[0] >= 0xc2 ? 2 : 1;
    *valid = size > 1 && bytes[0] < 0xf5 && !(bytes[0] == 0xc2 && bytes[1] < 0xa0); /* nor a C1 control */
    for (size_t i = 1; i < size && *valid; i++)
        *valid = (bytes[i] & 0xc0) == 0x80;
    return *valid ? size : 1;
}

static void put_character(struct canvas *canvas, const char *text, size_t size, bool valid)
{
    if (valid && (size == 1 || canvas->terminal->utf8))
        el_buf_append(&canvas->out, text, size);
    else
        el_buf_byte(&canvas->out, text[0] == '\n' || text[0] == '\t' ? ' ' : '?');
    canvas->column++;
}

/* Lines that a page has no row for vanish. */
static bool is_below(const struct canvas *canvas)
{
    return canvas->page && canvas->row >= canvas->terminal->rows;
}

static void put_text(struct canvas *canvas, enum style style, const char *text)
{
    const unsigned limit = canvas->cut ? canvas->terminal->columns : UINT_MAX;
    if (canvas->column >= limit || is_below(canvas))
        return;
    if (canvas->terminal->colour)
        el_buf_text(&canvas->out, styles[style]);
    while (*text != '\0' && canvas->column < limit) {
        bool valid;
        const size_t size = character_size(text, &valid);
        if (canvas->column + 1 == limit && text[size] != '\0') {
            el_buf_text(&canvas->out, signs[SIGN_MORE][canvas->terminal->utf8 ? 0 : 1]);
            canvas->column++;
            break;
        }
        put_character(canvas, text, size, valid);
        text += size;
    }
    if (canvas->terminal->colour && style != STYLE_PLAIN)
        el_buf_text(&canvas->out, RESET);
}

void canvas_put(struct canvas *canvas, enum style style, const char *format, ...)
{
    struct el_buf text = { 0 };
    va_list args;
    va_start(args, format);
    el_buf_vprintf(&text, format, args);
    va_end(args);
    char *line = el_buf_take_text(&text);
    if (line != NULL)
        put_text(canvas, style, line);
    free(line);
    el_buf_free(&text);
}

void canvas_sign(struct canvas *canvas, enum style style, enum sign sign)
{
    put_text(canvas, style, signs[sign][canvas->terminal->utf8 ? 0 : 1]);
}

void canvas_bar(struct canvas *canvas, enum style style, unsigned level)
{
    put_text(canvas, style, bars[level > 8 ? 8 : level][canvas->terminal->utf8 ? 0 : 1]);
}

void canvas_to(struct canvas *canvas, unsigned column)
{
    unsigned before;
    do {
        before = canvas->column;
        put_text(canvas, STYLE_PLAIN, " ");
    } while (canvas->column < column && canvas->column > before);
}

void canvas_rule(struct canvas *canvas)
{
    const unsigned end = canvas->terminal->columns == UINT_MAX ? 80 : canvas->terminal->columns;
    while (canvas->column < end && !is_below(canvas))
        canvas_sign(canvas, STYLE_DIM, SIGN_RULE);
    canvas_next(canvas);
}

/* How much of text fits into width columns, broken behind a word if there is one. */
static size_t fitting(const char *text, unsigned width)
{
    size_t size = 0, broken = 0;
    for (unsigned column = 0; text[size] != '\0' && column < width; column++) {
        bool valid;
        size += character_size(text + size, &valid);
        if (text[size] == ' ')
            broken = size;
    }
    return text[size] == '\0' || broken == 0 ? size : broken;
}

void canvas_wrap(struct canvas *canvas, enum style style, unsigned indent, unsigned lines, const char *text)
{
    const unsigned columns = canvas->terminal->columns;
    for (; lines > 1 && canvas->column < columns && *text != '\0'; lines--) {
        const size_t size = fitting(text, columns - canvas->column);
        if (text[size] == '\0')
            break;
        canvas_put(canvas, style, "%.*s", (int)size, text);
        text += size + (text[size] == ' ');
        canvas_next(canvas);
        canvas_to(canvas, indent);
    }
    put_text(canvas, style, text);
    canvas_next(canvas);
}

void canvas_next(struct canvas *canvas)
{
    if (!canvas->page) {
        el_buf_byte(&canvas->out, '\n');
    } else if (!is_below(canvas)) {
        /* The last row's end is not ended: that would scroll. A full line ends at the edge, where clearing would eat its last sign. */
        if (canvas->column < canvas->terminal->columns)
            el_buf_text(&canvas->out, CLEAR_LINE);
        if (canvas->row + 1 < canvas->terminal->rows)
            el_buf_text(&canvas->out, "\r\n");
    }
    canvas->row++;
    canvas->column = 0;
}

unsigned canvas_room(const struct canvas *canvas)
{
    return canvas->row < canvas->terminal->rows ? canvas->terminal->rows - canvas->row : 0;
}

void canvas_show(struct canvas *canvas)
{
    if (canvas->page) {
        if (canvas->row < canvas->terminal->rows)
            el_buf_text(&canvas->out, CLEAR_BELOW);
        el_buf_text(&canvas->out, HOME); /* where typed keys do no harm */
    }
    write_all(canvas->terminal->fd, canvas->out.data, canvas->out.size);
    el_buf_clear(&canvas->out);
}

void canvas_free(struct canvas *canvas)
{
    el_buf_free(&canvas->out);
}

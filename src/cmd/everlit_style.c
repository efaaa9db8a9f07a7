/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct el_cli_style el_cli_style(void)
{
    struct el_cli_style style = { .terminal = isatty(STDOUT_FILENO) == 1, .width = 80, .height = 24 };
    const char *no_colour = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    style.colour = style.terminal && (no_colour == NULL || *no_colour == '\0') &&
                   (term == NULL || strcmp(term, "dumb") != 0);
    struct winsize size;
    if (style.terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col >= 40 && size.ws_row >= 5) {
        style.width = size.ws_col;
        style.height = size.ws_row;
    }
    return style;
}

const char *el_cli_colour(const struct el_cli_style *style, enum el_cli_colour colour)
{
    static const char *const sequences[] = {
        [EL_CLI_PLAIN] = "\033[0m",  [EL_CLI_BOLD] = "\033[1m",    [EL_CLI_DIM] = "\033[2m",
        [EL_CLI_GREEN] = "\033[32m", [EL_CLI_YELLOW] = "\033[33m", [EL_CLI_RED] = "\033[31m",
        [EL_CLI_CYAN] = "\033[36m",
    };
    return style->colour ? sequences[colour] : "";
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * everlit-demo: a model is swapped while it answers, good versions and broken
 * ones, for about a minute. This file is its life: options, loop, signals, end.
 *
 * The main thread runs the script, asks everlitd for its status and draws; one more thread asks and checks (traffic.c).
 * Exit status: 0 if all was as it should be, 1 if not, 2 for wrong use, 128 + the signal's number when interrupted.
 */
#include "base/clock.h"
#include "demo/page.h"
#include "demo/plain.h"
#include "demo/script.h"
#include "demo/summary.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 20
#define FRAME_NS (100 * EL_NS_PER_MS)
#define LOG_LINES 15

struct demo {
    uv_loop_t loop;
    uv_timer_t tick;
    uv_signal_t on_int, on_term, on_hup, on_resize, on_stop;
    struct terminal terminal;
    struct page page;
    struct plain plain;
    struct script script;
    struct places places;
    struct digits digits;
    uint64_t drawn_ns;
    int interrupted; /* by this signal; 0: not */
};

struct options {
    const char *root, *engine;
    bool quick, plain;
};

static void show(struct demo *demo)
{
    if (!demo->terminal.is_terminal) {
        plain_print(&demo->plain, &demo->terminal, &demo->script);
        return;
    }
    const uint64_t now_ns = el_now_ns();
    if (now_ns - demo->drawn_ns < FRAME_NS && !demo->script.over)
        return;
    demo->drawn_ns = now_ns;
    page_draw(&demo->page, &demo->terminal, &demo->script);
}

static void on_tick(uv_timer_t *tick)
{
    struct demo *demo = tick->data;
    script_step(&demo->script);
    show(demo);
    if (demo->script.over)
        uv_stop(&demo->loop);
}

static void on_end_signal(uv_signal_t *handle, int number)
{
    struct demo *demo = handle->data;
    demo->interrupted = number;
    script_abort(&demo->script, "interrupted");
    uv_stop(&demo->loop);
}

static void on_resize(uv_signal_t *handle, int number)
{
    (void)number;
    struct demo *demo = handle->data;
    terminal_measure(&demo->terminal);
    demo->drawn_ns = 0;
}

/* Ctrl-Z: the shell gets its screen back, and the page is there again after fg. No request is under way meanwhile. */
static void on_stop_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct demo *demo = handle->data;
    terminal_leave(&demo->terminal);
    script_pause(&demo->script);
    raise(SIGSTOP);
    script_resume(&demo->script);
    terminal_enter(&demo->terminal);
    terminal_measure(&demo->terminal);
    demo->drawn_ns = 0;
}

static void watch_signal(struct demo *demo, uv_signal_t *handle, int number, uv_signal_cb callback)
{
    uv_signal_init(&demo->loop, handle);
    handle->data = demo;
    uv_signal_start(handle, callback, number);
}

static void close_handle(uv_handle_t *handle, void *argument)
{
    (void)argument;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void run(struct demo *demo)
{
    watch_signal(demo, &demo->on_int, SIGINT, on_end_signal);
    watch_signal(demo, &demo->on_term, SIGTERM, on_end_signal);
    watch_signal(demo, &demo->on_hup, SIGHUP, on_end_signal);
    watch_signal(demo, &demo->on_resize, SIGWINCH, on_resize);
    watch_signal(demo, &demo->on_stop, SIGTSTP, on_stop_signal);
    uv_timer_init(&demo->loop, &demo->tick);
    demo->tick.data = demo;
    uv_timer_start(&demo->tick, on_tick, 0, TICK_MS);
    terminal_enter(&demo->terminal);
    uv_run(&demo->loop, UV_RUN_DEFAULT);
    script_close(&demo->script);
    uv_walk(&demo->loop, close_handle, NULL);
    uv_run(&demo->loop, UV_RUN_DEFAULT);
    terminal_leave(&demo->terminal);
}

static void sum_up(struct demo *demo)
{
    struct el_buf tail = { 0 };
    if (demo->script.server_started && demo->script.fatal[0] != '\0' && demo->interrupted == 0)
        server_log_tail(&demo->script.server, LOG_LINES, &tail);
    char *text = el_buf_take_text(&tail);
    summary_print(&demo->terminal, &demo->script, text != NULL ? text : "");
    free(text);
    el_buf_free(&tail);
}

static struct el_status *prepare(struct demo *demo, const struct options *options)
{
    if (uv_loop_init(&demo->loop) != 0)
        return el_status_no_memory();
    EL_TRY(places_find(options->root, &demo->places));
    /* What everlitd keeps in temporary folders goes with ours, even if it is killed and cannot tidy up. */
    if (setenv("TMPDIR", demo->places.folder, 1) != 0)
        return el_status_no_memory();
    EL_TRY(digits_read(demo->places.root, &demo->digits));
    demo->script.places = &demo->places;
    demo->script.digits = &demo->digits;
    demo->script.engine = options->engine;
    demo->script.quick = options->quick;
    demo->script.loop = &demo->loop;
    return script_prepare(&demo->script);
}

static int play(struct demo *demo, const struct options *options)
{
    struct el_status *status = prepare(demo, options);
    int exit_status = 1;
    if (status == NULL) {
        terminal_open(&demo->terminal, STDOUT_FILENO);
        demo->terminal.is_terminal = demo->terminal.is_terminal && !options->plain;
        run(demo);
        if (!demo->terminal.is_terminal)
            plain_print(&demo->plain, &demo->terminal, &demo->script);
        sum_up(demo);
        exit_status = demo->interrupted != 0 ? 128 + demo->interrupted : script_is_good(&demo->script) ? 0 : 1;
    } else {
        fprintf(stderr, "everlit-demo: %s\n", el_status_text(status));
    }
    el_status_free(status);
    places_remove(&demo->places);
    page_free(&demo->page);
    plain_free(&demo->plain);
    free(demo->script.scenes);
    uv_loop_close(&demo->loop);
    return exit_status;
}

static void print_usage(FILE *to)
{
    fputs(
        "everlit-demo: a model is swapped while it answers, good versions and broken ones, for about a minute.\n"
        "It needs the source tree (make demo runs it); make install leaves it out.\n\n"
        "  --engine NAME  auto (default), tensorflow or openvino\n"
        "  --quick        shows nothing longer than it takes\n"
        "  --plain        plain lines, even on a terminal\n"
        "  --root DIR     the source tree, with models/ and test/data/ (default: the one that this program was built in)\n"
        "  --help         this text\n\n"
        "Exit status: 0 if no request failed and no broken version answered, 1 otherwise, 2 for wrong use.\n",
        to);
}

static bool parse(int count, char **arguments, struct options *options, int *exit_status)
{
    static const struct option known[] = {
        { "engine", required_argument, NULL, 'e' }, { "quick", no_argument, NULL, 'q' },
        { "plain", no_argument, NULL, 'p' },        { "root", required_argument, NULL, 'r' },
        { "help", no_argument, NULL, 'h' },         { 0 },
    };
    *options = (struct options){ .engine = "auto" };
    int option;
    while ((option = getopt_long(count, arguments, "h", known, NULL)) != -1) {
        switch (option) {
        case 'e':
            options->engine = optarg;
            break;
        case 'q':
            options->quick = true;
            break;
        case 'p':
            options->plain = true;
            break;
        case 'r':
            options->root = optarg;
            break;
        default:
            print_usage(option == 'h' ? stdout : stderr);
            *exit_status = option == 'h' ? 0 : 2;
            return false;
        }
    }
    if (optind == count)
        return true;
    fprintf(stderr, "everlit-demo: what is \"%s\"? It takes options only; see --help\n", arguments[optind]);
    *exit_status = 2;
    return false;
}

int main(int count, char **arguments)
{
    struct options options;
    int exit_status = 0;
    if (!parse(count, arguments, &options, &exit_status))
        return exit_status;
    signal(SIGPIPE, SIG_IGN);
    struct demo *demo = calloc(1, sizeof *demo);
    if (demo == NULL) {
        fputs("everlit-demo: out of memory\n", stderr);
        return 1;
    }
    exit_status = play(demo, &options);
    free(demo);
    return exit_status;
}

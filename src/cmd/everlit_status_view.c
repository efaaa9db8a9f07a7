/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/everlit_status_view.h"

#include "cmd/everlit_table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MODEL, VERSION, STATE, SINCE, ENGINE, REQUESTS, ERRORS, P50, P99, MEMORY };

static const struct el_table_column columns[] = {
    [MODEL] = { "MODEL", false },  [VERSION] = { "VERSION", true }, [STATE] = { "STATE", false },
    [SINCE] = { "SINCE", true },   [ENGINE] = { "ENGINE", false },  [REQUESTS] = { "REQUESTS", true },
    [ERRORS] = { "ERRORS", true }, [P50] = { "P50", true },         [P99] = { "P99", true },
    [MEMORY] = { "MEMORY", true },
};

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text == NULL ? "" : text;
}

static double number_of(const json_t *object, const char *name)
{
    return json_number_value(json_object_get(object, name));
}

static enum el_cli_colour colour_of(const char *state)
{
    static const struct {
        const char *state;
        enum el_cli_colour colour;
    } colours[] = {
        { "serving", EL_CLI_GREEN }, { "quarantined", EL_CLI_RED }, { "warm", EL_CLI_CYAN },
        { "ready", EL_CLI_CYAN },    { "draining", EL_CLI_DIM },    { "end", EL_CLI_DIM },
    };
    for (size_t i = 0; i < sizeof colours / sizeof colours[0]; i++) {
        if (strcmp(colours[i].state, state) == 0)
            return colours[i].colour;
    }
    return EL_CLI_YELLOW; /* on its way */
}

static void put_server(const json_t *server, const struct el_cli_style *style, struct el_buf *out)
{
    char age[16];
    el_buf_text(out, "everlitd ");
    el_cli_clean(text_of(server, "version"), out);
    el_buf_printf(out, ", pid %" PRId64 ", up %s", (int64_t)number_of(server, "pid"),
                  el_cli_age(number_of(server, "uptime_s"), age));
    const int64_t grpc = (int64_t)number_of(server, "grpc_port"), rest = (int64_t)number_of(server, "rest_port");
    if (grpc > 0)
        el_buf_printf(out, ", gRPC on %" PRId64, grpc);
    if (rest > 0)
        el_buf_printf(out, ", REST on %" PRId64, rest);
    const bool ready = json_is_true(json_object_get(server, "ready"));
    el_buf_printf(out, ", %s%s%s\n\n", el_cli_colour(style, ready ? EL_CLI_GREEN : EL_CLI_YELLOW),
                  ready ? "ready" : "not ready", el_cli_colour(style, EL_CLI_PLAIN));
}

static struct el_status *add_version(const json_t *model, const json_t *version, struct el_table *table)
{
    struct el_table_row *row = el_table_add(table);
    if (row == NULL)
        return el_status_no_memory();
    char text[16];
    const char *state = text_of(version, "state"), *engine = text_of(version, "engine");
    const int64_t number = (int64_t)number_of(version, "version");
    const int64_t errors = (int64_t)number_of(version, "errors");
    const bool serving = number == (int64_t)number_of(model, "serving") && strcmp(state, "serving") == 0;
    el_table_set(row, MODEL, EL_CLI_PLAIN, "%s", text_of(model, "name"));
    el_table_set(row, VERSION, serving ? EL_CLI_BOLD : EL_CLI_PLAIN, "%" PRId64, number);
    el_table_set(row, STATE, colour_of(state), "%s", *state != '\0' ? state : "-");
    el_table_set(row, SINCE, EL_CLI_PLAIN, "%s", el_cli_age(number_of(version, "since_s"), text));
    el_table_set(row, ENGINE, EL_CLI_PLAIN, "%s", *engine != '\0' ? engine : "-");
    el_table_set(row, REQUESTS, EL_CLI_PLAIN, "%" PRId64, (int64_t)number_of(version, "requests"));
    el_table_set(row, ERRORS, errors > 0 ? EL_CLI_RED : EL_CLI_PLAIN, "%" PRId64, errors);
    el_table_set(row, P50, EL_CLI_PLAIN, "%s", el_cli_ms(number_of(version, "p50_ms"), text));
    el_table_set(row, P99, EL_CLI_PLAIN, "%s", el_cli_ms(number_of(version, "p99_ms"), text));
    el_table_set(row, MEMORY, EL_CLI_PLAIN, "%s", el_cli_bytes(number_of(version, "memory_bytes"), text));
    return NULL;
}

static struct el_status *add_model(const json_t *model, struct el_table *table)
{
    const json_t *versions = json_object_get(model, "versions");
    for (size_t i = 0; i < json_array_size(versions); i++)
        EL_TRY(add_version(model, json_array_get(versions, i), table));
    if (json_array_size(versions) > 0)
        return NULL;
    struct el_table_row *row = el_table_add(table);
    if (row == NULL)
        return el_status_no_memory();
    el_table_set(row, MODEL, EL_CLI_PLAIN, "%s", text_of(model, "name"));
    el_table_set(row, VERSION, EL_CLI_PLAIN, "-");
    el_table_set(row, STATE, EL_CLI_YELLOW, "none");
    return NULL;
}

/* Why a version does not serve: a heading, and the reason below it. */
static void put_reason(const json_t *model, const json_t *version, const struct el_cli_style *style, struct el_buf *out)
{
    const char *reason = text_of(version, "reason"), *code = text_of(version, "code");
    if (*reason == '\0')
        return;
    const bool quarantined = strcmp(text_of(version, "state"), "quarantined") == 0;
    char age[16];
    el_buf_printf(out, "\n%s", el_cli_colour(style, quarantined ? EL_CLI_RED : EL_CLI_YELLOW));
    el_cli_clean(text_of(model, "name"), out);
    el_buf_printf(out, " version %" PRId64, (int64_t)number_of(version, "version"));
    if (quarantined)
        el_buf_printf(out, " was refused %s ago", el_cli_age(number_of(version, "since_s"), age));
    if (*code != '\0' && strcmp(code, "OK") != 0) {
        el_buf_text(out, ": ");
        el_cli_clean(code, out);
    }
    el_buf_printf(out, "%s\n", el_cli_colour(style, EL_CLI_PLAIN));
    el_cli_wrap(reason, 2, style, out);
}

/* Text that belongs to the line above it; text is left empty. */
static void put_wrapped(struct el_buf *text, const struct el_cli_style *style, struct el_buf *out)
{
    char *line = el_buf_take_text(text);
    if (line != NULL)
        el_cli_wrap(line, 2, style, out);
    free(line);
}

/* "digits is pinned to version 2 by ann: rolled back by ann", and how that ends. */
static void put_pin(const json_t *model, const struct el_cli_style *style, struct el_buf *out)
{
    const json_t *pin = json_object_get(model, "pin");
    const char *name = text_of(model, "name"), *reason = text_of(pin, "reason");
    if (!json_is_object(pin))
        return;
    struct el_buf text = { 0 };
    el_buf_printf(out, "\n%s", el_cli_colour(style, EL_CLI_CYAN));
    el_cli_clean(name, out);
    el_buf_printf(out, " is pinned to version %" PRId64 "%s\n", (int64_t)number_of(pin, "version"),
                  el_cli_colour(style, EL_CLI_PLAIN));
    el_buf_printf(&text, "by %s%s%s; `everlit unpin %s` ends that", text_of(pin, "by"), *reason != '\0' ? ": " : "",
                  reason, name);
    put_wrapped(&text, style, out);
}

/* "digits: version 2 in rollout, step 1 of 3, 10 %", how far the step is, and what it waits for. */
static void put_rollout(const json_t *model, const struct el_cli_style *style, struct el_buf *out)
{
    const json_t *rollout = json_object_get(model, "rollout");
    const char *why = text_of(rollout, "text");
    if (!json_is_object(rollout))
        return;
    const bool waits = *why != '\0';
    const int64_t version = (int64_t)number_of(rollout, "version"), old = (int64_t)number_of(rollout, "old");
    el_buf_printf(out, "\n%s", el_cli_colour(style, waits ? EL_CLI_YELLOW : EL_CLI_CYAN));
    el_cli_clean(text_of(model, "name"), out);
    if (strcmp(text_of(rollout, "mode"), "shadow") == 0)
        el_buf_printf(out, " version %" PRId64 " is in rollout: in shadow, copies of %d %% of the requests", version,
                      (int)number_of(rollout, "percent"));
    else
        el_buf_printf(out, " version %" PRId64 " is in rollout: step %d of %d, %d %% of the requests", version,
                      (int)number_of(rollout, "step"), (int)number_of(rollout, "steps"),
                      (int)number_of(rollout, "percent"));
    el_buf_printf(out, "%s\n", el_cli_colour(style, EL_CLI_PLAIN));
    struct el_buf text = { 0 };
    char age[16];
    const int64_t needed = (int64_t)number_of(rollout, "step_requests");
    if (waits)
        el_buf_text(&text, why);
    else
        el_buf_printf(&text,
                      "%" PRId64 " of %" PRId64 " answers, version %" PRId64 " %" PRId64
                      ", in %s; the step takes %.3g s at "
                      "least%s",
                      (int64_t)number_of(rollout, "answers"), needed, old, (int64_t)number_of(rollout, "old_answers"),
                      el_cli_age(number_of(rollout, "step_since_s"), age), number_of(rollout, "step_ms") / 1000,
                      json_is_true(json_object_get(rollout, "manual")) ? ", and then until `everlit promote`" : "");
    put_wrapped(&text, style, out);
}

/* "ranker: generation 6 of group ranking". */
static void put_group(const json_t *model, const struct el_cli_style *style, struct el_buf *out)
{
    const char *group = text_of(model, "group");
    const json_t *now = json_array_get(json_object_get(model, "generations"), 0);
    if (*group == '\0')
        return;
    el_buf_printf(out, "\n%s", el_cli_colour(style, EL_CLI_CYAN));
    el_cli_clean(text_of(model, "name"), out);
    el_buf_text(out, ": ");
    if (now != NULL)
        el_buf_printf(out, "generation %" PRId64 " of ", (int64_t)number_of(now, "generation"));
    el_buf_text(out, "group ");
    el_cli_clean(group, out);
    el_buf_printf(out, "%s\n", el_cli_colour(style, EL_CLI_PLAIN));
}

/* A model of which nothing answers, with what is known of why. */
static void put_silence(const json_t *model, const struct el_cli_style *style, struct el_buf *out)
{
    const char *error = text_of(model, "source_error");
    const json_t *versions = json_object_get(model, "versions");
    if (*error == '\0' && json_array_size(versions) > 0)
        return;
    el_buf_printf(out, "\n%s", el_cli_colour(style, EL_CLI_YELLOW));
    el_cli_clean(text_of(model, "name"), out);
    el_buf_printf(out, " %s%s\n", *error != '\0' ? "cannot be looked for" : "has no version",
                  el_cli_colour(style, EL_CLI_PLAIN));
    if (*error != '\0') {
        el_cli_wrap(error, 2, style, out);
        return;
    }
    struct el_buf text = { 0 };
    el_buf_text(&text, "Expected directories named 1, 2, ... in ");
    el_buf_text(&text, text_of(model, "base_path"));
    put_wrapped(&text, style, out);
}

/* ---- which models ---- */

/* The models to be shown, in that order. */
struct choice {
    const json_t **list; /* owned; borrowed entries */
    size_t count;
};

/* Serves, and nothing of it is refused or on its way. */
static bool is_well(const json_t *model)
{
    const json_t *versions = json_object_get(model, "versions");
    if (number_of(model, "serving") < 0 || *text_of(model, "source_error") != '\0')
        return false;
    for (size_t i = 0; i < json_array_size(versions); i++) {
        const enum el_cli_colour colour = colour_of(text_of(json_array_get(versions, i), "state"));
        if (colour == EL_CLI_RED || colour == EL_CLI_YELLOW)
            return false;
    }
    return json_array_size(versions) > 0;
}

static int by_name(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;
    return strcmp(text_of(*x, "name"), text_of(*y, "name"));
}

static int by_need(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;
    const int order = (int)is_well(*x) - (int)is_well(*y);
    return order != 0 ? order : by_name(a, b);
}

static struct el_status *choose(const json_t *models, const struct el_status_choice *asked, struct choice *choice)
{
    const size_t count = json_array_size(models);
    choice->list = calloc(count + 1, sizeof *choice->list);
    if (choice->list == NULL)
        return el_status_no_memory();
    for (size_t i = 0; i < count; i++) {
        const json_t *model = json_array_get(models, i);
        if (asked->model == NULL || strcmp(text_of(model, "name"), asked->model) == 0)
            choice->list[choice->count++] = model;
    }
    if (asked->model != NULL && choice->count == 0)
        return el_status_new(EL_NOT_FOUND, "the server has no model \"%s\"", asked->model);
    const bool some = !asked->all && choice->count > EL_STATUS_MODELS;
    qsort(choice->list, choice->count, sizeof *choice->list, some ? by_need : by_name);
    if (some)
        choice->count = EL_STATUS_MODELS;
    return NULL;
}

static void put_rest(const json_t *models, const struct choice *choice, struct el_buf *out)
{
    const size_t count = json_array_size(models);
    size_t answer = 0;
    for (size_t i = 0; i < count; i++)
        answer += number_of(json_array_get(models, i), "serving") >= 0;
    el_buf_printf(out, "\n%zu of %zu models, of which %zu answer; --model NAME shows one, --all shows all\n",
                  choice->count, count, answer);
}

static struct el_status *put_models(const json_t *models, const struct el_status_choice *asked,
                                    const struct choice *choice, const struct el_cli_style *style, struct el_buf *out)
{
    struct el_table table = { .columns = columns, .column_count = sizeof columns / sizeof columns[0] };
    struct el_status *status = NULL;
    for (size_t i = 0; i < choice->count && status == NULL; i++)
        status = add_model(choice->list[i], &table);
    if (status == NULL)
        el_table_print(&table, style, out);
    el_table_free(&table);
    for (size_t i = 0; i < choice->count && status == NULL; i++) {
        const json_t *model = choice->list[i], *versions = json_object_get(model, "versions");
        put_group(model, style, out);
        put_pin(model, style, out);
        put_rollout(model, style, out);
        put_silence(model, style, out);
        for (size_t j = 0; j < json_array_size(versions); j++)
            put_reason(model, json_array_get(versions, j), style, out);
    }
    if (status == NULL && asked->model == NULL && choice->count < json_array_size(models))
        put_rest(models, choice, out);
    return status;
}

struct el_status *el_status_view(const json_t *answer, const struct el_status_choice *asked,
                                 const struct el_cli_style *style, struct el_buf *out)
{
    const json_t *server = json_object_get(answer, "server"), *models = json_object_get(answer, "models");
    if (!json_is_object(server) || !json_is_array(models))
        return el_status_new(EL_INTERNAL, "the server's answer has no \"server\" and \"models\": is it an everlitd?");
    put_server(server, style, out);
    if (json_array_size(models) == 0 && asked->model == NULL) {
        el_buf_text(out, "No model is configured.\n");
        return el_buf_status(out);
    }
    struct choice choice = { 0 };
    struct el_status *status = choose(models, asked, &choice);
    if (status == NULL)
        status = put_models(models, asked, &choice, style, out);
    free(choice.list);
    return status != NULL ? status : el_buf_status(out);
}

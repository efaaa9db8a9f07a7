/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `everlit rollback`, `pin`, `unpin`, `load`, `unload`, `quarantine`, `forgive`, `retry`, `promote`, `abort`: one request each, and its answer in one line.
 */
#include "cmd/everlit_client.h"
#include "cmd/everlit_table.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_SECONDS 120.0 /* of --wait without a number */
#define ANSWER_SECONDS 15  /* for the answer itself, beside the wait */

struct asked {
    bool json, waits, all;
    double wait_s;
    int64_t version; /* -1: none */
    const char *model, *reason;
};

static bool is(const struct el_cli *cli, const char *name)
{
    return strcmp(cli->command->name, name) == 0;
}

/* -1: well read; else how to end. */
static int read_arguments(struct el_cli *cli, int count, char **arguments, struct asked *asked)
{
    static const struct option options[] = {
        { "json", no_argument, NULL, 'j' },         { "wait", optional_argument, NULL, 'w' },
        { "reason", required_argument, NULL, 'r' }, { "to", required_argument, NULL, 't' },
        { "all", no_argument, NULL, 'a' },          EL_CLI_OPTIONS_END
    };
    const char *version = NULL;
    int option, result = EL_CLI_USAGE;
    while ((option = el_cli_option(cli, count, arguments, options, &result)) != -1) {
        char *end = NULL;
        if (option == '?')
            return result;
        asked->json = asked->json || option == 'j';
        if (option == 'r')
            asked->reason = optarg;
        if (option == 'a' && !is(cli, "promote"))
            return el_cli_usage(cli, "--all is for promote");
        asked->all = asked->all || option == 'a';
        if (option == 't' && !is(cli, "rollback"))
            return el_cli_usage(cli, "--to is for rollback; the version is the second argument");
        if (option == 't')
            version = optarg;
        if (option != 'w')
            continue;
        asked->waits = true;
        asked->wait_s = WAIT_SECONDS;
        if (optarg == NULL)
            continue;
        asked->wait_s = strtod(optarg, &end);
        if (end == optarg || *end != '\0' || !(asked->wait_s > 0 && asked->wait_s <= 3600))
            return el_cli_usage(cli, "--wait=%s: expected seconds up to 3600", optarg);
    }
    const bool may_name = is(cli, "promote") || is(cli, "abort");
    const bool needs_version = !is(cli, "rollback") && !is(cli, "unpin") && !may_name;
    if (count - optind < (needs_version ? 2 : 1))
        return el_cli_usage(cli, needs_version ? "expected MODEL VERSION" : "expected MODEL");
    asked->model = arguments[optind++];
    if (needs_version || (may_name && optind < count))
        version = arguments[optind++];
    if (optind < count)
        return el_cli_usage(cli, "\"%s\" is one argument too many%s", arguments[optind],
                            is(cli, "rollback") ? "; for a version: --to VERSION" : "");
    asked->version = version != NULL ? el_cli_number(version) : -1;
    if (version != NULL && asked->version < 0)
        return el_cli_usage(cli, "\"%s\" is no version: expected a number from 0 on", version);
    return -1;
}

static struct el_status *put_body(const struct el_cli *cli, const struct asked *asked, struct el_buf *body)
{
    json_t *json = json_object();
    if (asked->version >= 0)
        json_object_set_new(json, is(cli, "rollback") ? "to" : "version", json_integer(asked->version));
    if (asked->all)
        json_object_set_new(json, "all", json_true());
    if (asked->reason != NULL)
        json_object_set_new(json, "reason", json_string(asked->reason));
    if (asked->waits)
        json_object_set_new(json, "wait_s", json_real(asked->wait_s));
    char *text = json_dumps(json, JSON_COMPACT);
    const bool utf8 = asked->reason == NULL || json_object_get(json, "reason") != NULL;
    json_decref(json);
    if (text != NULL && utf8)
        el_buf_text(body, text);
    free(text);
    if (!utf8)
        return el_status_new(EL_INVALID_ARGUMENT, "--reason: expected UTF-8");
    return text == NULL ? el_status_no_memory() : el_buf_status(body);
}

/* The answer's one line, and what the journal could not write. */
static int print(const struct el_cli *cli, const struct el_buf *answer)
{
    json_t *json = json_loadb((const char *)answer->data, answer->size, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "text"));
    const char *forgotten = json_string_value(json_object_get(json, "not_remembered"));
    int result = EL_CLI_REFUSED;
    if (text == NULL) {
        result = el_cli_fail(cli, EL_CLI_REFUSED, el_status_new(EL_INTERNAL, "the server's answer holds no text"));
    } else {
        struct el_buf out = { 0 };
        el_cli_clean(text, &out);
        el_buf_byte(&out, '\n');
        if (!out.failed && el_cli_write(cli, &out))
            result = EL_CLI_OK;
        el_buf_free(&out);
    }
    if (forgotten != NULL)
        fprintf(stderr, "everlit %s: it holds until the server ends only, for it cannot be written: %s\n",
                cli->command->name, forgotten);
    json_decref(json);
    return result;
}

static int run(struct el_cli *cli, int count, char **arguments)
{
    struct asked asked = { .version = -1 };
    int result = read_arguments(cli, count, arguments, &asked);
    if (result >= 0)
        return result;
    struct el_buf body = { 0 }, path = { 0 }, answer = { 0 };
    char *model = el_cli_escape(asked.model);
    el_buf_printf(&path, "/admin/v1/models/%s:%s", model != NULL ? model : "", cli->command->name);
    char *path_text = el_buf_take_text(&path);
    struct el_status *status = model == NULL || path_text == NULL ? el_status_no_memory()
                                                                  : put_body(cli, &asked, &body);
    if (status != NULL)
        result = el_cli_fail(cli, EL_CLI_USAGE, status);
    else
        result = el_cli_request(cli, path_text, &body, ANSWER_SECONDS + (long)asked.wait_s, &answer);
    if (status == NULL && result == EL_CLI_OK)
        result = !asked.json ? print(cli, &answer) : el_cli_write(cli, &answer) ? EL_CLI_OK : EL_CLI_REFUSED;
    free(model);
    free(path_text);
    el_buf_free(&body);
    el_buf_free(&answer);
    return result;
}

#define OPTIONS                                                                    \
    "  --reason TEXT     why; it is kept in the history, with your name\n"         \
    "  --wait[=SECONDS]  answers when it is done or was refused (120 s at most,\n" \
    "                    or as said); exit status 1 if it was refused\n"           \
    "  --json            the server's answer as it is (docs/admin-api.md)\n"       \
    "  --socket PATH     the server's socket; see `everlit help`\n"

#define USAGE(name, arguments)                                         \
    "usage: everlit " name " " arguments " [--reason TEXT] [--json]\n" \
    "                      [--wait[=SECONDS]] [--socket PATH]\n\n"

const struct el_cli_command el_cli_rollback = {
    .name = "rollback",
    .summary = "go back to an older version, and stay there",
    .help = USAGE("rollback", "MODEL [--to VERSION]") //
    "Requests go to the newest older version that is good, or to the one that is\n"
    "named: at once if it is still warm, else once it is loaded. No request fails.\n"
    "The model is pinned there, through restarts, whatever newer versions come;\n"
    "`everlit unpin MODEL` ends that. The version that was left is not quarantined:\n"
    "if it is bad, `everlit quarantine MODEL VERSION` keeps it from coming back.\n"
    "\n"
    "  --to VERSION      this version instead of the newest older one\n" OPTIONS,
    .run = run,
};

const struct el_cli_command el_cli_pin = {
    .name = "pin",
    .summary = "answer with this version, whatever newer ones come",
    .help = USAGE("pin", "MODEL VERSION") //
    "The model answers with this version and no other, whatever its version policy\n"
    "says, through restarts (with --state_dir), until `everlit unpin MODEL`. If the\n"
    "version is lost meanwhile, the policy decides until it is there again.\n"
    "\n" OPTIONS,
    .run = run,
};

const struct el_cli_command el_cli_unpin = {
    .name = "unpin",
    .summary = "end a pin or a rollback: the version policy decides again",
    .help = USAGE("unpin", "MODEL") //
    "Ends what `everlit pin` and `everlit rollback` began. With the usual policy the\n"
    "model goes to its newest good version.\n"
    "\n" OPTIONS,
    .run = run,
};

const struct el_cli_command el_cli_load = {
    .name = "load",
    .summary = "load a version that the version policy does not want",
    .help = USAGE("load", "MODEL VERSION") //
    "Loads a version beside those of the version policy, until the server ends or\n"
    "`everlit unload`, and ends an `everlit unload` of it. Requests that name no\n"
    "version go to the highest that is loaded.\n"
    "\n" OPTIONS,
    .run = run,
};

const struct el_cli_command el_cli_unload = {
    .name = "unload",
    .summary = "take a version out of memory, and do not load it again",
    .help = USAGE("unload", "MODEL VERSION") //
    "Until the server ends or `everlit load`. A version that answers is left for the\n"
    "next one of the version policy first; the only one that could answer stays, and\n"
    "that is exit status 1.\n"
    "\n" OPTIONS,
    .run = run,
};

const struct el_cli_command el_cli_quarantine = {
    .name = "quarantine",
    .summary = "never answer with the content of this version again",
    .help = USAGE("quarantine", "MODEL VERSION") //
    "Its content, known by its SHA-256, is not loaded any more: not after a restart\n"
    "(with --state_dir), not under another number. A version that answers is left for\n"
    "the last good one first. `everlit forgive` ends that.\n"
    "\n" OPTIONS,
    .run = run,
};

const struct el_cli_command el_cli_forgive = {
    .name = "forgive",
    .summary = "end the quarantine of a version, and try it again",
    .help = USAGE("forgive", "MODEL VERSION") //
    "Its content is no worse than any other from now on. If the version policy wants\n"
    "the version, it is loaded and probed again; and refused again if it fails again.\n"
    "\n" OPTIONS,
    .run = run,
};

const struct el_cli_command el_cli_retry = {
    .name = "retry",
    .summary = "try a version again that failed for a reason that passed",
    .help = USAGE("retry", "MODEL VERSION") //
    "For a version that was refused because of its surroundings: memory, a time-out,\n"
    "a process that was killed. One whose content is quarantined would be refused\n"
    "again: that is exit status 1, and `everlit forgive` is what it needs.\n"
    "\n" OPTIONS,
    .run = run,
};

const struct el_cli_command el_cli_promote = {
    .name = "promote",
    .summary = "let a version in rollout go on to its next step",
    .help = USAGE("promote", "MODEL [VERSION] [--all]") //
    "A rollout (update { rollout { ... } } in the config) waits: because its steps\n"
    "end by hand, or because too little traffic came to measure it. It goes on to its\n"
    "next step, or after the last one the version answers everybody. While a step is\n"
    "being measured this does nothing. With --wait it answers when that step was\n"
    "measured, too; exit status 1 if the version was taken back.\n"
    "\n"
    "  --all             not to the next step, but to everybody\n" OPTIONS,
    .run = run,
};

const struct el_cli_command el_cli_abort = {
    .name = "abort",
    .summary = "end a rollout: the old version answers everybody again",
    .help = USAGE("abort", "MODEL [VERSION]") //
    "Requests go to the old version only, and the content of the new one is\n"
    "quarantined, so that its rollout does not begin again; `everlit forgive MODEL\n"
    "VERSION` ends that. No request fails.\n"
    "\n" OPTIONS,
    .run = run,
};

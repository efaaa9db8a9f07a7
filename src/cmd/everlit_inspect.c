/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/model_file.h"
#include "cmd/everlit.h"
#include "cmd/inspect_view.h"
#include "cmd/version_find.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* The version's directory, walked and checked. */
static struct el_status *look(const char *path, struct el_tree *tree, struct el_version_check *check)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return el_status_errno(errno, "%s", path);
    struct el_status *status = el_tree_read(fd, path, tree);
    close(fd);
    return status != NULL ? status : el_version_check(path, check);
}

/* *whole: nothing is missing and nothing is wrong. */
static struct el_status *inspect(const char *directory, bool json, const char *tags, struct el_buf *out, bool *whole)
{
    struct el_inspected inspected = { .tags = tags };
    struct el_saved_model model = { 0 };
    struct el_tree tree = { 0 };
    struct el_version_check check = { 0 };
    char *path = NULL;
    struct el_status *status = el_version_find(directory, &path, &inspected.others);
    if (status == NULL)
        status = el_model_file_read(path, false, &model, &inspected.format);
    if (status == NULL)
        status = look(path, &tree, &check);
    if (status == NULL) {
        const struct el_cli_style style = el_cli_style();
        inspected.path = path;
        inspected.model = &model;
        inspected.tree = &tree;
        inspected.check = &check;
        *whole = check.result == EL_VERSION_WHOLE;
        status = json ? el_inspect_json(&inspected, out) : el_inspect_text(&inspected, &style, out);
    }
    el_version_check_free(&check);
    el_tree_free(&tree);
    el_saved_model_free(&model);
    free(path);
    return status;
}

static int run(struct el_cli *cli, int count, char **arguments)
{
    static const struct option options[] = { { "json", no_argument, NULL, 'j' },
                                             { "tags", required_argument, NULL, 't' },
                                             EL_CLI_OPTIONS_END };
    bool json = false;
    const char *tags = NULL;
    int option, result = EL_CLI_USAGE;
    while ((option = el_cli_option(cli, count, arguments, options, &result)) != -1) {
        if (option == '?')
            return result;
        json = json || option == 'j';
        if (option == 't')
            tags = optarg;
    }
    if (count - optind != 1)
        return el_cli_usage(cli, "expected the directory of one model or version, not %d arguments", count - optind);
    struct el_buf out = { 0 };
    bool whole = false;
    struct el_status *status = inspect(arguments[optind], json, tags, &out, &whole);
    if (status != NULL)
        result = el_cli_fail(cli, EL_CLI_REFUSED, status);
    else
        result = el_cli_write(cli, &out) && whole ? EL_CLI_OK : EL_CLI_REFUSED;
    el_buf_free(&out);
    return result;
}

const struct el_cli_command el_cli_inspect = {
    .name = "inspect",
    .summary = "what a model on disk is: signatures, shapes, assets, sizes",
    .help = "usage: everlit inspect [--json] [--tags A,B] DIRECTORY\n"
            "\n"
            "What a model on disk takes and gives. DIRECTORY is a version (it holds\n"
            "saved_model.pb, saved_model.pbtxt, model.tflite or model.onnx) or a model (it\n"
            "holds versions; the highest is shown). No server is needed, and no engine: the\n"
            "model is read, not run.\n"
            "\n"
            "  --json      the same as one JSON object\n"
            "  --tags A,B  only the meta graph with exactly these tags; default: all\n"
            "\n"
            "Exit status 1: it cannot be read as a model, or is not whole: a server\n"
            "would not load it. The text says which file, and what is wrong.\n",
    .run = run,
};

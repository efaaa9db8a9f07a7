/* SPDX-License-Identifier: Apache-2.0 */
/* Which scenes there are: the head and the tail are tables, and between them one for each line of list.tsv. */
#include "base/file.h"
#include "demo/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_LIMIT 65536
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const struct scene head[] = {
    { .kind = &act_start,
      .wanted = VERDICT_DONE,
      .title = "everlitd starts, and loads each good version under TensorFlow alone" },
    { .kind = &act_learn,
      .wanted = VERDICT_DONE,
      .title = "Each good version is asked alone: only what it says now is right later" },
    { .kind = &act_quiet, .wanted = VERDICT_DONE, .title = "Version 1 answers. It is the weaker one" },
    { .kind = &act_swap,
      .wanted = VERDICT_TAKEN,
      .good = GOOD_TWO,
      .show_ms = 4500,
      .title = "Version 2, the better one, is put beside it" },
};

static const struct scene tail[] = {
    { .kind = &act_kill, .wanted = VERDICT_DONE, .title = "The process of the serving version is killed: SIGKILL" },
    { .kind = &act_swap, .wanted = VERDICT_TAKEN, .good = GOOD_ONE, .title = "Back to what version 1 was" },
    { .kind = &act_swap, .wanted = VERDICT_TAKEN, .good = GOOD_TWO, .title = "And forth" },
    { .kind = &act_swap, .wanted = VERDICT_TAKEN, .good = GOOD_ONE, .title = "And back" },
    { .kind = &act_swap, .wanted = VERDICT_TAKEN, .good = GOOD_TWO, .title = "And forth" },
    { .kind = &act_kill, .wanted = VERDICT_DONE, .title = "Killed once more" },
    { .kind = &act_stop, .wanted = VERDICT_DONE, .title = "No more questions; then SIGTERM to everlitd" },
};

static enum verdict wanted_of(const char *expect)
{
    return strcmp(expect, "taken") == 0     ? VERDICT_TAKEN
           : strcmp(expect, "ignored") == 0 ? VERDICT_IGNORED
                                            : VERDICT_REFUSED;
}

/* name, how, expect, reason, text: see models/broken/README.md. False: no such line. */
static bool read_line(char *line, struct scene *scene)
{
    char *columns[5];
    for (size_t i = 0; i < COUNT(columns); i++) {
        columns[i] = strsep(&line, "\t");
        if (columns[i] == NULL)
            return false;
    }
    *scene = (struct scene){ .kind = &act_drop, .wanted = wanted_of(columns[2]), .good = GOOD_THREE };
    snprintf(scene->name, sizeof scene->name, "%s", columns[0]);
    snprintf(scene->title, sizeof scene->title, "%s", columns[4]);
    return true;
}

static struct el_status *read_list(const char *root, char **text)
{
    char path[PATH_MAX];
    struct el_buf bytes = { 0 };
    EL_TRY(files_path(path, "%s/models/broken/list.tsv", root));
    EL_TRY(el_file_read(path, LIST_LIMIT, &bytes));
    *text = el_buf_take_text(&bytes);
    el_buf_free(&bytes);
    return *text != NULL ? NULL : el_status_no_memory();
}

static size_t count_lines(const char *text)
{
    size_t lines = 1;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

struct el_status *scenes_make(const char *root, struct scene **scenes_out, size_t *count)
{
    char *text;
    EL_TRY(read_list(root, &text));
    struct scene *scenes = calloc(COUNT(head) + count_lines(text) + COUNT(tail), sizeof *scenes);
    if (scenes == NULL) {
        free(text);
        return el_status_no_memory();
    }
    memcpy(scenes, head, sizeof head);
    *count = COUNT(head);
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n")) != NULL) {
        if (line[0] != '#' && read_line(line, &scenes[*count]))
            ++*count;
    }
    memcpy(&scenes[*count], tail, sizeof tail);
    *count += COUNT(tail);
    free(text);
    *scenes_out = scenes;
    return NULL;
}

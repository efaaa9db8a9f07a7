/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One note of the journal for each group, in JSON, so that what it says of several models is on the disk at once or not at all:
 *
 *     {"last": 6, "good": 5, "generations": [{"number": 6, "models": {"ranker": {"version": 2, "digest": "5f..."}, ...}}, ...]}
 */
#include "swap/group.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTE_NAME 128
#define MOST_MODELS 10000 /* of a generation, in a note that somebody else may have written */

static void note_name(const struct el_group *group, char name[NOTE_NAME])
{
    snprintf(name, NOTE_NAME, "group/%s", group->name);
}

/* A name that is no UTF-8 is left out: such a model has no generation after a restart. */
static json_t *pack(const struct el_generation *generation)
{
    json_t *models = json_object();
    for (size_t i = 0; i < generation->count; i++) {
        const struct el_generation_member *member = &generation->members[i];
        json_object_set_new(models, member->model,
                            json_pack("{s:I, s:s}", "version", (json_int_t)member->version, "digest", member->digest));
    }
    return json_pack("{s:I, s:o}", "number", (json_int_t)generation->number, "models", models);
}

void el_group_note(const struct el_group *group)
{
    char name[NOTE_NAME];
    note_name(group, name);
    json_t *generations = json_array();
    for (size_t i = 0; i < group->count; i++)
        json_array_append_new(generations, pack(group->generations[i]));
    json_t *note = json_pack("{s:I, s:I, s:o}", "last", (json_int_t)group->last, "good", (json_int_t)group->good,
                             "generations", generations);
    char *text = note != NULL ? json_dumps(note, JSON_COMPACT) : NULL;
    struct el_status *status = text != NULL ? el_journal_note(group->swap->options.journal, name, text, NULL, NULL)
                                            : el_status_no_memory();
    if (status != NULL)
        el_tell(group->swap, EL_LOG_ERROR, "not_remembered", NULL, NULL, "the generations of group \"%s\": %s",
                group->name, el_status_text(status));
    el_status_free(status);
    free(text);
    json_decref(note);
}

static void recall_models(struct el_generation *generation, json_t *models)
{
    const char *name;
    json_t *value;
    json_object_foreach (models, name, value) {
        const json_int_t version = json_integer_value(json_object_get(value, "version"));
        const char *digest = json_string_value(json_object_get(value, "digest"));
        if (version >= 0 && digest != NULL && strlen(digest) <= (size_t)2 * EL_DIGEST_SIZE &&
            generation->count < MOST_MODELS && !el_generation_add_known(generation, name, version, digest))
            return;
    }
}

static void recall_generation(struct el_group *group, json_t *value)
{
    const json_int_t number = json_integer_value(json_object_get(value, "number"));
    if (number <= 0 || (uint64_t)number > group->last || group->count == EL_GENERATIONS_KEPT)
        return;
    struct el_generation *generation = el_generation_new((uint64_t)number);
    if (generation == NULL)
        return;
    recall_models(generation, json_object_get(value, "models"));
    group->generations[group->count++] = generation;
}

void el_group_recall(struct el_group *group)
{
    char name[NOTE_NAME];
    note_name(group, name);
    const char *text = el_journal_noted(group->swap->options.journal, name);
    json_t *note = text != NULL ? json_loads(text, 0, NULL) : NULL;
    const json_int_t last = json_integer_value(json_object_get(note, "last"));
    const json_int_t good = json_integer_value(json_object_get(note, "good"));
    group->last = last > 0 ? (uint64_t)last : 0;
    group->good = good > 0 ? (uint64_t)good : 0;
    size_t index;
    json_t *value;
    json_array_foreach (json_object_get(note, "generations"), index, value) {
        recall_generation(group, value);
    }
    json_decref(note);
}

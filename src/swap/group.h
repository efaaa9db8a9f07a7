/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_GROUP_H
#define EL_SWAP_GROUP_H

/*
 * Groups: models that change together (update.group), such as a tokenizer and a ranker.
 *
 * What is new of the models is loaded and probed beside what answers, like everywhere; a version that is ready then waits until no
 * other model of the group has one on its way, and for group_wait_ms for one to appear. Then all that are ready begin to answer with one
 * publication of the view, which is a new generation (generation.h). A new version that was refused holds the whole group, and so
 * does one that was taken back: where one goes back, each of them goes back to what it was in the generation before, with the same publication.
 *
 * Some never wait: a model that has no version that answers, a model on its way back, and what an operator has pinned, which waits
 * only for what he has pinned of the others.
 *
 * Swap thread. group.c: who belongs to which, and when it is time; group_generations.c: what the switches have come to;
 * group_back.c: the ways back; group_note.c: what is remembered of it. A group exists while a model of the config names it.
 */

#include "swap/generation.h"
#include "swap/state.h"

#define EL_GENERATIONS_KEPT \
    8 /* of a group; those whose versions are gone answer nobody, and say where a rollback leads */

struct el_group {
    struct el_list in_swap;
    struct el_swap *swap;
    char *name;
    struct el_generation *generations[EL_GENERATIONS_KEPT]; /* the one that answers first, then those that did last */
    size_t count;
    uint64_t last;                  /* the highest number that was given */
    uint64_t good;                  /* the generation that stood the test last; 0: none */
    uint64_t pending_ns;            /* since when a version is ready and waits; 0: none does */
    const struct el_model *held_by; /* whose refusal was told, only to be compared, */
    int64_t held_version;           /* and of which version */
    bool looked;                    /* its models are looked at in this look */
    bool go;                        /* and what is ready begins to answer */
    bool changed; /* a model has changed: what the views of the others say of generations may be out of date */
    bool told;    /* the generation that answers */
};

/* Calls for each model of a group that is in the config: for (NULL; next...). */
struct el_model *el_group_next(const struct el_group *group, const struct el_model *after);
#define el_group_each(model, group) \
    for (struct el_model *model = el_group_next((group), NULL); model != NULL; model = el_group_next((group), model))

/* ---- group.c ---- */

/* The set of models or what they name as their group has changed: finds each its group. */
void el_groups_arrange(struct el_swap *swap);
void el_groups_free(struct el_swap *swap);

/* At the beginning of each look: whether it is time. All models of a group are looked at in the same look. */
void el_groups_look(struct el_swap *swap, uint64_t now_ns);

/* True while its new versions wait for those of the other models. */
bool el_group_holds(const struct el_model *model);

/* ---- group_generations.c ---- */

/* At the end of each look, before what it led elsewhere is published. */
void el_groups_settle(struct el_swap *swap);

/* After that publication: tells which generation answers. */
void el_groups_tell(struct el_swap *swap);

/* The generations that model's clients can name now; the one that answers first. Returns false past the last. */
bool el_group_generation(const struct el_model *model, size_t index, uint64_t *number, int64_t *version);

/* All models of the group that have a version in it can answer with that. */
bool el_group_can_answer(const struct el_group *group, const struct el_generation *generation);

/* ---- group_back.c ---- */

/* bad was taken back: the other models go back with it, to the last generation that can still answer. */
void el_group_take_back(struct el_model *model, const struct el_version *bad, uint64_t now_ns);

/* True while version may be gone back to because of another model's guard. */
bool el_group_keeps(const struct el_version *version);

/* version has proved itself: for a model of a group that counts when all of them have. */
void el_group_remember_good(const struct el_version *version);

/* The version of the last generation that was good, when the server ended last, and its content's digest; false: none. */
bool el_group_last_good(const struct el_model *model, int64_t *version, const char **digest);

/* ---- group_note.c ---- */

/* To the journal, under the group's name; and from there when the group comes about. */
void el_group_note(const struct el_group *group);
void el_group_recall(struct el_group *group);

#endif

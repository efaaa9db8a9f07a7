/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_LOCAL_COPY_H
#define EL_SWAP_LOCAL_COPY_H

/*
 * The local copy: what a model answers with while its base path is empty, cannot be read, or is only half there.
 *
 * When a version becomes the last good one, its files are copied to the shelf (source/shelf.h), in the background. When nothing of a
 * model is loaded and nothing in its base path could be, the copy is looked for, read whole and compared with its
 * digest; then it is one more version that the source sees, for as long as that lasts: policy, pins,
 * quarantine and probe apply to it as to any other. A version whose worker died and whose directory is gone goes on from it, too.
 * As soon as the base path has something that can be loaded, that counts, and the copy's version is left for it as an old version is left for a
 * new one.
 *
 * Swap thread; files are touched by threads of local_copy_jobs.c only. Without a folder for copies all of it does nothing.
 */

#include "source/shelf.h"
#include "swap/state.h"

/* What is known of a model's copy. */
struct el_local_copy {
    struct el_source_version seen; /* what the source would say of it; path NULL: none is known to be right */
    char digest[2 * EL_DIGEST_SIZE + 1];
    bool looking, looked; /* for one that can be used; told what came of it */
    bool offered;         /* it is among what can be loaded */
    bool told_back;       /* or nobody answers from it */
    uint64_t due_ns;      /* a base path that has not been read until then is not waited for; 0: it is */

    char kept[2 * EL_DIGEST_SIZE + 1], keeping[2 * EL_DIGEST_SIZE + 1];
    uint64_t keep_again_ns; /* the copy could not be made: tried again then; 0: nothing to do */
    char *told_failure;
};

/* A model's source was opened. */
void el_local_copy_begin(struct el_model *model);

/* Before versions are chosen: is the copy needed, and is it there. versions: what the source sees. */
void el_local_copy_look(struct el_model *model, const struct el_source_version *versions, size_t count,
                        uint64_t now_ns);

/* True while it is needed and looked for: the model is not settled. */
bool el_local_copy_is_coming(const struct el_model *model);

/* The copy in place of what the source sees of that number (NULL: nothing), where it is offered or answers; otherwise the same. */
const struct el_source_version *el_local_copy_instead(const struct el_model *model, int64_t number,
                                                      const struct el_source_version *seen);

/* The copy, if it is offered and the source has no whole version of its number; NULL otherwise. */
const struct el_source_version *el_local_copy_offer(const struct el_model *model,
                                                    const struct el_source_version *versions, size_t count);

/* True if that is the copy and not what the source sees. */
bool el_local_copy_is(const struct el_model *model, const struct el_source_version *seen);

/* It became the last good one. */
void el_local_copy_keep(const struct el_version *version);

/* Its content is bad: no copy of it may stay. */
void el_local_copy_drop(const struct el_model *model, const char *digest);

/* It answers from the copy: told, once each time. */
void el_local_copy_answers(struct el_version *version);

/* Its worker could not be started again: the copy may help, if it has the same content. True if it goes on from there. */
bool el_local_copy_rescue(struct el_version *version);

/* The config changed: what belongs to models that are gone is removed. */
void el_local_copy_sweep(struct el_swap *swap);

void el_local_copy_free(struct el_local_copy *copy);

/* ---- for local_copy_jobs.c ---- */

/* item is taken over where found is NULL. Either status is borrowed. */
void el_local_copy_found(struct el_model *model, struct el_shelf_item *item, const char *refused,
                         const struct el_status *found);
void el_local_copy_kept(struct el_model *model, int64_t version, const char *digest, const char *text,
                        const struct el_status *kept);

#endif

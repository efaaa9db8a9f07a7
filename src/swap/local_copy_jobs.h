/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_LOCAL_COPY_JOBS_H
#define EL_SWAP_LOCAL_COPY_JOBS_H

/*
 * What is done on the disk for local copies (local_copy.h): each job on a thread that lives as long as it, one after the other.
 *
 * Two lanes. In one, at the least priority of processor and disk, copies are made and removed; in the other, for which a model's
 * answers wait, they are looked for. Neither is libuv's pool, whose threads may all hang in a mount that is gone.
 *
 * Swap thread, all of it. A job that finds no memory or no thread is as good as failed: it is told so.
 */

#include "swap/local_copy.h"

struct el_copy_jobs;

/* directory is copied. */
struct el_status *el_copy_jobs_new(struct el_swap *swap, const char *directory, uint64_t most_bytes,
                                   struct el_copy_jobs **jobs) EL_MUST_USE;

struct el_status *el_copy_jobs_find(struct el_copy_jobs *jobs, const struct el_model *model) EL_MUST_USE;
struct el_status *el_copy_jobs_keep(struct el_copy_jobs *jobs, const struct el_version *version,
                                    const char *spare) EL_MUST_USE;
struct el_status *el_copy_jobs_drop(struct el_copy_jobs *jobs, const struct el_model *model,
                                    const char *digest) EL_MUST_USE; /* digest NULL: whatever there is */
struct el_status *el_copy_jobs_sweep(struct el_copy_jobs *jobs) EL_MUST_USE;

/* A thread may have ended: hands out what came of it, and begins the next. Woken by the swapper's async. */
void el_copy_jobs_collect(struct el_copy_jobs *jobs);

/* No more of them; what runs is told to end, and is counted in swap->open_works until it has. */
void el_copy_jobs_stop(struct el_copy_jobs *jobs);

/* With none running. NULL is allowed. */
void el_copy_jobs_free(struct el_copy_jobs *jobs);

#endif

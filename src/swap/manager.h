/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_MANAGER_H
#define EL_SWAP_MANAGER_H

/*
 * The manager: looks at what is, and does what follows from it. See state.h for when it runs.
 *
 * Swap thread. manager.c holds the turn of the loop, admission and what is freed; aspired.c which versions
 * should be there; model.c models themselves and where their requests go.
 */

#include "swap/state.h"

/* Once per turn of the loop. */
void el_manager_run(struct el_swap *swap);

/* ---- model.c ---- */

/* Takes settings over on success. */
struct el_status *el_model_new(struct el_swap *swap, struct el_model_config *settings,
                               struct el_model **model) EL_MUST_USE;
struct el_status *el_model_open_source(struct el_model *model) EL_MUST_USE;
void el_model_close_source(struct el_model *model);

/* Everything of it is retired from now on; it is freed once nothing is left. */
void el_model_remove(struct el_model *model);
void el_model_free(struct el_model *model);
/* The model of that name that was not removed, or NULL: of those in a list by in_swap, and of all that there are. */
struct el_model *el_model_in(const struct el_list *models, const char *name);
struct el_model *el_model_find(struct el_swap *swap, const char *name);

/*
 * Leads requests to what is ready and wanted, and away from what is not wanted any more: with the next publication, which has to
 * come at once where it sets swap->routed. el_model_tell_routes() after that, so that whoever hears of it finds it so.
 */
void el_model_route(struct el_model *model, uint64_t now_ns);
void el_model_tell_routes(struct el_model *model);

/*
 * Gives a SERVING version up for an older one, or for whatever the policy finds next. of_content: it is the files' own fault, and they
 * are not to answer again.
 */
void el_model_roll_back(struct el_model *model, struct el_version *version, struct el_status *why,
                        enum el_rollback_reason reason, bool of_content);

/* from (NULL: none answers) gives way to `to`, with the next publication, whatever the policy says. */
void el_model_lead(struct el_version *from, struct el_version *to, uint64_t now_ns);

/* A version that serves, is not wanted any more and could not be loaded again, for its directory is gone: it is not let go to make room. */
bool el_model_keeps_old(const struct el_model *model);
bool el_model_has_warm(const struct el_model *model);
bool el_model_has_other(const struct el_model *model, int64_t number); /* whole on disk and not quarantined */

/* True once it answers or has nothing left to try. */
bool el_model_settled(const struct el_model *model);

/* ---- aspired.c ---- */

/* Compares what the source sees with the lives there are: begins lives, retires and quarantines, fills model->aspired. */
void el_model_aspire(struct el_model *model, uint64_t now_ns);
bool el_model_aspires(const struct el_model *model, int64_t number);
const struct el_source_version *el_model_seen(const struct el_model *model, int64_t number);

/*
 * True until el_swap_on_settled()'s function was told that all is settled: the ports are closed, nobody asks yet whom loads could
 * disturb, so they take the whole machine. Without such a function: false.
 */
bool el_swap_starts(const struct el_swap *swap);

#endif

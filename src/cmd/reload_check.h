/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_RELOAD_CHECK_H
#define EL_CMD_RELOAD_CHECK_H

/* What decides about a reload (cmd/reload.h), by a view of the swapper. Any thread that may see a view. */

#include "config/config.h"
#include "swap/swap.h"

/* Names of models; owned copies. Zero-initialise; el_names_list_clear() at the end. */
struct el_names_list {
    char **names;
    size_t count;
};
void el_names_list_clear(struct el_names_list *list);
bool el_names_list_has(const struct el_names_list *list, const char *name);

struct el_label_rules {
    bool any;    /* --allow_version_labels_for_unavailable_models: a new label may name any version */
    bool strict; /* --strict_labels: otherwise only one that answers, not one that the config itself brings */
};

/* FAILED_PRECONDITION for a label that may not be given. view: NULL before anything answers. */
struct el_status *el_reload_check_labels(const struct el_view *view, const struct el_config *config,
                                         struct el_label_rules rules) EL_MUST_USE;

/* The models of config that are to be waited for: those that current has not, and those that never became available. */
struct el_status *el_reload_fresh_names(const struct el_config *current, const struct el_config *config,
                                        const struct el_names_list *failed, struct el_names_list *fresh) EL_MUST_USE;

/*
 * True once each awaited model has a version that answers or has failed; *status (NULL: all answer) then has TensorFlow Serving's
 * text, and the names of those that failed are added to failed. give_up: a model of which nothing is on its way has failed.
 */
bool el_reload_decided(const struct el_view *view, const struct el_names_list *awaited, bool give_up,
                       struct el_names_list *failed, struct el_status **status);

/*
 * The same at the start, over all models of the view: *status has the text of TensorFlow Serving's start-up. A model of which no
 * version is there is not decided.
 */
bool el_startup_decided(const struct el_view *view, struct el_status **status);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_MODEL_H
#define EL_CONFIG_MODEL_H

/*
 * One `config { ... }` of a model_config_list, read step by step. Used by config.c only, which owns the model and ends it
 * with el_model_config_free(), also after a failure.
 *
 * In each step value is the model's message in the text, and file the text's name; both NULL for a model that comes from
 * the command line.
 */

#include "config/config.h"
#include "config/text.h"

struct el_status *el_model_read_names(const char *file, const struct el_text_value *value,
                                      struct el_model_config *model) EL_MUST_USE;

/* Over all models, of which first is the first. */
struct el_status *el_models_check_duplicates(const char *file, const struct el_text_value *first,
                                             const struct el_config *config) EL_MUST_USE;

/* Also turns file://PATH into PATH. */
struct el_status *el_model_check_base_path(const char *file, const struct el_text_value *value,
                                           struct el_model_config *model) EL_MUST_USE;

struct el_status *el_model_read_platform(const char *file, const struct el_text_value *value,
                                         struct el_model_config *model) EL_MUST_USE;
struct el_status *el_model_read_policy(const char *file, const struct el_text_value *value,
                                       struct el_model_config *model) EL_MUST_USE;
struct el_status *el_model_read_labels(const char *file, const struct el_text_value *value,
                                       struct el_model_config *model) EL_MUST_USE;
struct el_status *el_model_read_update(const char *file, const struct el_text_value *value,
                                       struct el_model_config *model) EL_MUST_USE;

void el_model_config_free(struct el_model_config *model);

#endif

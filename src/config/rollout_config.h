/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CONFIG_ROLLOUT_CONFIG_H
#define EL_CONFIG_ROLLOUT_CONFIG_H

/* `update { rollout { ... } }` of a ModelConfig: how requests that name no version come to a new one, and what it has to show for it. */

#include "base/buf.h"
#include "config/text.h"

#define EL_ROLLOUT_STEPS 16
#define EL_ROLLOUT_HEADER_SIZE 64

enum el_rollout_mode {
    EL_ROLLOUT_ALL_AT_ONCE,
    EL_ROLLOUT_SHADOW, /* it is asked copies of requests, and nobody gets its answers */
    EL_ROLLOUT_CANARY, /* it answers a part of the requests, step by step more of them */
    EL_ROLLOUT_MODES
};

enum el_rollout_sticky {
    EL_ROLLOUT_BY_CHANCE,
    EL_ROLLOUT_BY_HEADER, /* who sends the same header gets the same version */
    EL_ROLLOUT_BY_INPUT,  /* the same request gets the same version */
    EL_ROLLOUT_STICKIES
};

/* No pointers: copied and compared as it is. All of it is zeroed before it is filled. */
struct el_rollout_config {
    uint32_t mode; /* enum el_rollout_mode ["all_at_once"] */
    uint32_t step_count;
    uint32_t
        percents[EL_ROLLOUT_STEPS]; /* canary: of the requests, ascending; the last step ends with all [1, 10, 50] */
    uint32_t shadow_percent;        /* shadow: of the requests that are copied [10] */
    uint32_t step_requests;         /* that both versions have to answer in a step [100] */
    uint32_t step_ms;               /* that a step takes at least [60,000] */
    uint32_t patience_ms;           /* without step_requests: it is paused, and that is told [600,000] */
    uint32_t manual;                /* 1: each step ends with `everlit promote` [0] */
    uint32_t sticky;                /* enum el_rollout_sticky [by chance] */
    char header[EL_ROLLOUT_HEADER_SIZE]; /* its name, in lower case */
    double min_agreement;                /* drift: as of the probe; negative: not looked at [-1] */
    double max_drift;                    /* likewise [-1] */
};

/* "canary"; the field's value, too. */
const char *el_rollout_mode_name(uint32_t mode);

struct el_rollout_config el_rollout_defaults(void);
bool el_rollout_same(const struct el_rollout_config *a, const struct el_rollout_config *b);

/* Puts what message gives over *rollout. file and model are for errors. */
struct el_status *el_rollout_config_read(const char *file, const char *model, const struct el_text_message *message,
                                         struct el_rollout_config *rollout) EL_MUST_USE;

/* The fields that differ from their defaults: ` mode: "canary" percent: 5`. Nothing, if none does. */
void el_rollout_config_print(const struct el_rollout_config *rollout, struct el_buf *out);

extern const struct el_text_type el_type_rollout;

#endif

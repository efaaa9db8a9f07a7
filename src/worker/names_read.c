/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/names.h"

#include <stdlib.h>
#include <string.h>

struct el_status *el_shm_names_read(const struct el_shm *shm, const struct el_shm_slot *slot,
                                    struct el_shm_names *names)
{
    const char *at = (const char *)shm->base + slot->names;
    memcpy(&names->target_count, at, sizeof names->target_count);
    at += sizeof names->target_count;
    const size_t count = (size_t)slot->input_count + slot->output_count + names->target_count;
    names->all = malloc((count + 1) * sizeof *names->all);
    if (names->all == NULL)
        return el_status_no_memory();
    for (size_t i = 0; i < count; i++) {
        names->all[i] = at;
        at += strlen(at) + 1;
    }
    names->inputs = names->all;
    names->outputs = names->inputs + slot->input_count;
    names->targets = names->outputs + slot->output_count;
    return NULL;
}

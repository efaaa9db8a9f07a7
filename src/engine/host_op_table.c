/* SPDX-License-Identifier: Apache-2.0 */
/* Looking up in tables. The state of a lookup is the table, which belongs to the plan (host_tables.c); a handle is nothing but a name. */
#include "engine/host_op.h"
#include "engine/host_table.h"

void host_table_end(void *state)
{
    (void)state;
}

static struct el_status *run_handle(const struct host_call *call)
{
    void *data;
    EL_TRY(host_value_make(EL_INT64, &(struct el_shape){ 0 }, &call->outputs[0], &data));
    *(int64_t *)data = 0;
    return NULL;
}

static struct el_status *run_find(const struct host_call *call)
{
    return host_table_find(call->state, call->inputs[1], call->inputs[2], &call->outputs[0]);
}

#define FIND(op)                                                                                            \
    {                                                                                                       \
        .name = op, .type_attr = "Tout", .always = true, .shape_of = 2, .inputs = 3, .end = host_table_end, \
        .run = run_find                                                                                     \
    }

const struct host_op host_table_ops[] = {
    { .name = "HashTableV2", .type = EL_RESOURCE, .always = true, .run = run_handle },
    { .name = "HashTable", .type = EL_RESOURCE, .always = true, .run = run_handle },
    FIND("LookupTableFindV2"),
    FIND("LookupTableFind"),
    { .name = NULL },
};

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports carry the signature's keys as names, with two exceptions that
 * OpenVINO's optimisations make: an input that no output depends on has no port, and an output
 * that is an input unchanged has lost its own name for the input's. So names
 * are trusted only where they are no input's, and one output that is left over belongs to
 * the one port that is left over; more than one cannot be told apart, and the
 * signature is refused rather than answered with its outputs exchanged.
 */
#include "engine/openvino.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PORTS (2 * (size_t)EL_MAX_SIGNATURE_TENSORS)

typedef ov_status_e get_port(const ov_compiled_model_t *compiled, size_t number, ov_output_const_port_t **port);
typedef ov_status_e get_named_port(const ov_compiled_model_t *compiled, const char *name,
                                   ov_output_const_port_t **port);

/* Inputs or outputs of a compiled model. */
struct side {
    get_port *by_number;
    get_named_port *by_name;
    bool by_tensor; /* ports are named as the graph's tensors, not as the signature's keys: all but SavedModels */
    size_t count;
    char **names; /* any one of each port's names; ports of one side share none */
};

static const char *port_name(const struct side *side, const struct everlit_tensor_info *info)
{
    return side->by_tensor ? info->tensor_name : info->name;
}

static void side_close(struct side *side)
{
    for (size_t i = 0; side->names != NULL && i < side->count; i++)
        ov_free(side->names[i]);
    free(side->names);
}

static char *name_of(ov_output_const_port_t *port)
{
    char *name = NULL;
    return port != NULL && ov_port_get_any_name(port, &name) == OK ? name : NULL;
}

/* side->count is set; side_close() also after a failure. */
static struct el_status *side_open(const ov_compiled_model_t *compiled, struct side *side)
{
    if (side->count > MAX_PORTS)
        return el_status_new(EL_UNIMPLEMENTED, "OpenVINO makes %zu ports of it, at most %zu are expected", side->count,
                             MAX_PORTS);
    side->names = calloc(side->count == 0 ? 1 : side->count, sizeof *side->names);
    if (side->names == NULL)
        return el_status_no_memory();
    for (size_t i = 0; i < side->count; i++) {
        ov_output_const_port_t *port = NULL;
        EL_TRY(ov_status(side->by_number(compiled, i, &port), EL_INTERNAL, "its ports cannot be listed"));
        side->names[i] = name_of(port);
        ov_output_const_port_free(port);
    }
    return NULL;
}

/* The port that has this name among its names; -1 when there is none. */
static int side_find(const struct side *side, const ov_compiled_model_t *compiled, const char *name)
{
    ov_output_const_port_t *port = NULL;
    if (side->by_name(compiled, name, &port) != OK)
        return -1;
    char *any = name_of(port);
    ov_output_const_port_free(port);
    int found = -1;
    for (size_t i = 0; any != NULL && found < 0 && i < side->count; i++)
        if (side->names[i] != NULL && strcmp(side->names[i], any) == 0)
            found = (int)i;
    ov_free(any);
    return found;
}

/* Sets the port of one input or output, whose type must be what the signature says, if it does. */
static struct el_status *set_port(const struct side *side, const ov_compiled_model_t *compiled, int number,
                                  const struct everlit_tensor_info *info, struct ov_port *port)
{
    ov_output_const_port_t *found = NULL;
    ov_element_type_e type = DYNAMIC;
    ov_status_e result = side->by_number(compiled, (size_t)number, &found);
    if (result == OK)
        result = ov_port_get_element_type(found, &type);
    ov_output_const_port_free(found);
    EL_TRY(ov_status(result, EL_INTERNAL, "the type of a port cannot be read"));
    if (info->dtype != EL_DTYPE_INVALID && type != ov_type(info->dtype))
        return el_status_new(EL_UNIMPLEMENTED,
                             "OpenVINO has another type (number %d of its list) for \"%s\", which "
                             "the signature declares as %s",
                             (int)type, info->name, el_dtype_name((enum el_dtype)info->dtype));
    *port = (struct ov_port){ .used = true, .number = (size_t)number, .type = type };
    return NULL;
}

struct el_status *ov_ports_map_inputs(const ov_compiled_model_t *compiled, bool by_tensor,
                                      struct ov_signature *signature)
{
    struct side side = { .by_number = ov_compiled_model_input_by_index,
                         .by_name = ov_compiled_model_input_by_name,
                         .by_tensor = by_tensor };
    EL_TRY(ov_status(ov_compiled_model_inputs_size(compiled, &side.count), EL_INTERNAL, "its inputs cannot be read"));
    const struct everlit_signature *declared = signature->declared;
    size_t mapped = 0;
    struct el_status *status = side_open(compiled, &side);
    for (uint32_t i = 0; status == NULL && i < declared->input_count; i++) {
        const int number = side_find(&side, compiled, port_name(&side, &declared->inputs[i]));
        if (number < 0)
            continue;
        status = set_port(&side, compiled, number, &declared->inputs[i], &signature->inputs[i]);
        mapped++;
    }
    if (status == NULL && mapped != side.count)
        status = el_status_new(EL_UNIMPLEMENTED, "OpenVINO wants %zu inputs, %zu of them are declared", side.count,
                               mapped);
    side_close(&side);
    return status;
}

static bool is_input(const struct side *side, const struct everlit_signature *signature, const char *name)
{
    for (uint32_t i = 0; i < signature->input_count; i++)
        if (strcmp(port_name(side, &signature->inputs[i]), name) == 0)
            return true;
    return false;
}

static struct el_status *map_outputs_of(const struct side *side, const ov_compiled_model_t *compiled,
                                        struct ov_signature *signature, bool *taken)
{
    const struct everlit_signature *declared = signature->declared;
    uint32_t left = 0, left_over = 0;
    for (uint32_t i = 0; i < declared->output_count; i++) {
        const char *name = port_name(side, &declared->outputs[i]);
        const int number = is_input(side, declared, name) ? -1 : side_find(side, compiled, name);
        if (number >= 0) {
            taken[number] = true;
            EL_TRY(set_port(side, compiled, number, &declared->outputs[i], &signature->outputs[i]));
        } else {
            left++;
            left_over = i;
        }
    }
    if (left == 0)
        return NULL;
    int free_port = -1, free_ports = 0;
    for (size_t i = 0; i < side->count; i++) {
        if (!taken[i]) {
            free_port = (int)i;
            free_ports++;
        }
    }
    if (left > 1 || free_ports != 1)
        return el_status_new(EL_UNIMPLEMENTED, "OpenVINO does not tell which of its outputs is \"%s\"",
                             declared->outputs[left_over].name);
    return set_port(side, compiled, free_port, &declared->outputs[left_over], &signature->outputs[left_over]);
}

struct el_status *ov_ports_map_outputs(const ov_compiled_model_t *compiled, bool by_tensor,
                                       struct ov_signature *signature)
{
    struct side side = { .by_number = ov_compiled_model_output_by_index,
                         .by_name = ov_compiled_model_output_by_name,
                         .by_tensor = by_tensor };
    EL_TRY(ov_status(ov_compiled_model_outputs_size(compiled, &side.count), EL_INTERNAL, "its outputs cannot be read"));
    struct el_status *status = side_open(compiled, &side);
    bool *taken = calloc(side.count == 0 ? 1 : side.count, sizeof *taken);
    if (status == NULL && taken == NULL)
        status = el_status_no_memory();
    if (status == NULL && taken != NULL)
        status = map_outputs_of(&side, compiled, signature, taken);
    free(taken);
    side_close(&side);
    return status;
}

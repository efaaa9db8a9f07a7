/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TensorFlow runs a graph with inputs of any shape, whatever its signature declares: its own example, half_plus_two, declares
 * [?,1] and is asked with [3] by everybody. OpenVINO wants each input's rank when it compiles. So a signature that is asked
 * with ranks or sizes that it does not declare is compiled once more, for these ranks and any sizes, and that is kept.
 *
 * It takes the time of a compilation and the memory of a compiled model, at a client's wish: only for small models, and for a
 * few combinations of ranks. Only where OpenVINO was forced: with `auto` it answers for shapes that it was compared in.
 */
#include "engine/openvino.h"

#include <stdlib.h>
#include <string.h>

#define MOST 4 /* of one signature */

/* By input; -1 for one that the run leaves out, which no signature here can. */
static void read_ranks(const struct everlit_signature *declared, const struct everlit_run *run, int32_t *ranks)
{
    for (uint32_t i = 0; i < declared->input_count; i++)
        ranks[i] = -1;
    for (uint32_t i = 0; i < run->input_count; i++)
        ranks[run->inputs[i].index] = run->inputs[i].rank;
}

/* exact: with the sizes of that run; NULL: with any. */
static struct el_status *reshape(const struct ov_engine_model *model, const struct ov_signature *signature,
                                 const int32_t *ranks, const struct everlit_run *exact)
{
    const struct everlit_signature *declared = signature->declared;
    ov_dimension_t any[EVERLIT_MAX_RANK];
    for (size_t i = 0; i < EVERLIT_MAX_RANK; i++)
        any[i] = (ov_dimension_t){ .min = 0, .max = -1 };
    ov_dimension_t(*sizes)[EVERLIT_MAX_RANK] = calloc(declared->input_count + 1, sizeof *sizes);
    const char **names = calloc(declared->input_count == 0 ? 1 : declared->input_count, sizeof *names);
    ov_partial_shape_t *shapes = calloc(declared->input_count == 0 ? 1 : declared->input_count, sizeof *shapes);
    struct el_status *status = names == NULL || shapes == NULL || sizes == NULL ? el_status_no_memory() : NULL;
    size_t count = 0;
    for (uint32_t i = 0; status == NULL && exact != NULL && i < exact->input_count; i++) {
        const struct everlit_tensor *tensor = &exact->inputs[i];
        for (int32_t d = 0; d < tensor->rank; d++)
            sizes[tensor->index][d] = (ov_dimension_t){ .min = tensor->dims[d], .max = tensor->dims[d] };
    }
    for (uint32_t i = 0; status == NULL && i < declared->input_count; i++) {
        if (!signature->inputs[i].used || ranks[i] < 0)
            continue;
        names[count] = ov_input_name(model, &declared->inputs[i]);
        shapes[count++] = (ov_partial_shape_t){ .rank = { .min = ranks[i], .max = ranks[i] },
                                                .dims = exact != NULL ? sizes[i] : any };
    }
    if (status == NULL)
        status = ov_status(ov_model_reshape(signature->read, names, shapes, count), EL_UNIMPLEMENTED,
                           exact != NULL ? "the sizes of the inputs do not go together"
                                         : "cannot be converted for other shapes");
    free(names);
    free(shapes);
    free(sizes);
    return status;
}

/* One that OpenVINO cannot make is kept with the reason, so that it is not tried again. */
static struct el_status *make(struct ov_engine_model *model, struct ov_signature *signature, const int32_t *ranks,
                              struct ov_signature **made)
{
    const uint32_t count = signature->declared->input_count;
    struct ov_signature *one = calloc(1, sizeof *one);
    int32_t *own = calloc(count == 0 ? 1 : count, sizeof *own);
    if (one == NULL || own == NULL) {
        free(one);
        free(own);
        return el_status_no_memory();
    }
    memcpy(own, ranks, count * sizeof *own);
    one->declared = signature->declared;
    struct el_status *status = reshape(model, signature, ranks, NULL);
    if (status == NULL)
        status = ov_signature_compile(model, signature->read, one);
    if (status == NULL)
        status = ov_signature_finish(model, one);
    if (status != NULL) {
        ov_signature_close(one, model->concurrency);
        one->declared = signature->declared;
        one->reason = strdup(el_status_text(status));
        el_status_free(status);
    }
    one->ranks = own;
    *made = one;
    return NULL;
}

/* The list only grows, at its front: what is found stays where it is. */
static struct ov_signature *look(struct ov_engine_model *model, struct ov_signature *signature, const int32_t *ranks,
                                 unsigned *count)
{
    const size_t size = signature->declared->input_count * sizeof *ranks;
    pthread_mutex_lock(&model->lock);
    struct ov_signature *one = signature->shapes;
    for (*count = 0; one != NULL && memcmp(one->ranks, ranks, size) != 0; one = one->next)
        ++*count;
    pthread_mutex_unlock(&model->lock);
    return one;
}

static struct el_status *find_or_make(struct ov_engine_model *model, struct ov_signature *signature,
                                      const int32_t *ranks, struct ov_signature **found)
{
    unsigned count;
    *found = look(model, signature, ranks, &count);
    if (*found != NULL)
        return NULL;
    if (count == MOST)
        return el_status_new(EL_UNIMPLEMENTED, "it was asked with %u other combinations of ranks already", count);
    EL_TRY(make(model, signature, ranks, found));
    pthread_mutex_lock(&model->lock);
    (*found)->next = signature->shapes;
    signature->shapes = *found;
    pthread_mutex_unlock(&model->lock);
    return NULL;
}

struct el_status *ov_shapes_find(struct ov_engine_model *model, struct ov_signature *signature,
                                 const struct everlit_run *run, struct ov_signature **found)
{
    const uint32_t count = signature->declared->input_count;
    int32_t *ranks = calloc(count == 0 ? 1 : count, sizeof *ranks);
    if (ranks == NULL)
        return el_status_no_memory();
    read_ranks(signature->declared, run, ranks);
    struct ov_signature *one = NULL;
    /*
     * What was compiled for any sizes does not look whether those of a run go together: it would read beyond what is there. So the
     * sizes are put through the graph first, each time.
     */
    pthread_mutex_lock(&model->shaping);
    struct el_status *status = reshape(model, signature, ranks, run);
    if (status == NULL)
        status = find_or_make(model, signature, ranks, &one);
    pthread_mutex_unlock(&model->shaping);
    free(ranks);
    if (status == NULL && one->compiled == NULL)
        status = el_status_new(EL_UNIMPLEMENTED, "%s", one->reason != NULL ? one->reason : "out of memory");
    if (status == NULL)
        *found = one;
    return status;
}

static bool went_together(struct ov_engine_model *model, const struct ov_signature *signature, const int64_t *sizes,
                          size_t count)
{
    pthread_mutex_lock(&model->lock);
    const bool same = signature->sizes != NULL && memcmp(signature->sizes, sizes, count * sizeof *sizes) == 0;
    pthread_mutex_unlock(&model->lock);
    return same;
}

/* What a graph has once accepted it accepts again: only sizes other than the last ones are put through it. */
struct el_status *ov_shapes_check(struct ov_engine_model *model, struct ov_signature *signature,
                                  const struct everlit_run *run)
{
    const uint32_t inputs = signature->declared->input_count;
    if (signature->read == NULL || inputs < 2)
        return NULL;
    const size_t count = (size_t)inputs * EVERLIT_MAX_RANK;
    int64_t *sizes = calloc(count, sizeof *sizes);
    int32_t *ranks = calloc(inputs, sizeof *ranks);
    if (sizes == NULL || ranks == NULL) {
        free(sizes);
        free(ranks);
        return el_status_no_memory();
    }
    for (uint32_t i = 0; i < run->input_count; i++)
        memcpy(&sizes[(size_t)run->inputs[i].index * EVERLIT_MAX_RANK], run->inputs[i].dims,
               (size_t)run->inputs[i].rank * sizeof *sizes);
    read_ranks(signature->declared, run, ranks);
    struct el_status *status = NULL;
    if (!went_together(model, signature, sizes, count)) {
        pthread_mutex_lock(&model->shaping);
        status = reshape(model, signature, ranks, run);
        pthread_mutex_unlock(&model->shaping);
        if (status != NULL) {
            struct el_status *theirs = el_status_new(EL_INVALID_ARGUMENT, "%s", el_status_text(status));
            el_status_free(status);
            status = theirs;
        } else {
            pthread_mutex_lock(&model->lock);
            int64_t *const before = signature->sizes;
            signature->sizes = sizes;
            sizes = before;
            pthread_mutex_unlock(&model->lock);
        }
    }
    free(sizes);
    free(ranks);
    return status;
}

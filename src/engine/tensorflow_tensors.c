/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs past the signatures, by the names of tensors in the graph. The texts for names that the graph does not have are
 * those of TensorFlow's core/graph/subgraph.cc, which its C API does not reach: it wants the places, not the names.
 */
#include "engine/tensorflow.h"

#include <stdlib.h>

static struct el_status *find_feed(TF_Graph *graph, const char *name, TF_Output *output)
{
    int count;
    if (tf_find_output(graph, name, output, &count))
        return NULL;
    if (count > 0)
        return el_status_new(EL_INVALID_ARGUMENT, "FeedInputs: %s should have output index < %d", name, count);
    return el_status_new(EL_NOT_FOUND, "FeedInputs: unable to find feed output %s", name);
}

static struct el_status *find_fetch(TF_Graph *graph, const char *name, TF_Output *output)
{
    int count;
    if (tf_find_output(graph, name, output, &count))
        return NULL;
    if (count > 0)
        return el_status_new(EL_INVALID_ARGUMENT, "FetchOutputs %s: output index too large, must be < %d", name, count);
    return el_status_new(EL_NOT_FOUND, "FetchOutputs node %s: not found", name);
}

static struct el_status *find_all(const struct tf_engine_model *model, const struct everlit_run *run,
                                  struct tf_run *work, const TF_Operation **targets)
{
    for (uint32_t i = 0; i < run->input_count; i++)
        EL_TRY(find_feed(model->graph, run->input_names[i], &work->feeds[i]));
    for (uint32_t i = 0; i < run->output_count; i++)
        EL_TRY(find_fetch(model->graph, run->output_names[i], &work->fetches[i]));
    for (uint32_t i = 0; i < run->target_count; i++) {
        targets[i] = TF_GraphOperationByName(model->graph, run->target_names[i]);
        if (targets[i] == NULL)
            return el_status_new(EL_NOT_FOUND, "PruneForTargets: Some target nodes not found: %s ",
                                 run->target_names[i]);
    }
    return NULL;
}

static struct el_status *make_feeds(const struct everlit_run *run, struct tf_run *work)
{
    for (uint32_t i = 0; i < run->input_count; i++) {
        const struct el_tensor tensor = el_plugin_tensor(&run->inputs[i]);
        EL_TRY(el_status_prefix(el_tensor_check(&tensor), "feed \"%s\"", run->input_names[i]));
        EL_TRY(el_status_prefix(tf_tensor_make(&run->inputs[i], &work->feed_values[i]), "feed \"%s\"",
                                run->input_names[i]));
    }
    return NULL;
}

static struct el_status *give_fetches(const struct everlit_run *run, const struct tf_run *work)
{
    for (uint32_t i = 0; i < run->output_count; i++) {
        if (work->fetch_values[i] == NULL)
            return el_status_new(EL_INTERNAL, "fetch \"%s\": TensorFlow gave no tensor", run->output_names[i]);
        EL_TRY(el_status_prefix(tf_tensor_give(work->fetch_values[i], i, run), "fetch \"%s\"", run->output_names[i]));
    }
    return NULL;
}

static struct el_status *run_tensors(const struct tf_engine_model *model, const struct everlit_run *run,
                                     struct tf_run *work, const TF_Operation **targets)
{
    EL_TRY(find_all(model, run, work, targets));
    EL_TRY(make_feeds(run, work));
    EL_TRY(tf_run_session(model, run, work));
    return give_fetches(run, work);
}

int tf_engine_run_tensors(void *opaque, const struct everlit_run *run, struct everlit_error *error)
{
    const struct tf_engine_model *model = opaque;
    const TF_Operation **targets = calloc((size_t)run->target_count + 1, sizeof *targets);
    struct tf_run work = {
        .feeds = calloc((size_t)run->input_count + 1, sizeof *work.feeds),
        .feed_values = calloc((size_t)run->input_count + 1, sizeof(TF_Tensor *)),
        .fetches = calloc((size_t)run->output_count + 1, sizeof *work.fetches),
        .fetch_values = calloc((size_t)run->output_count + 1, sizeof(TF_Tensor *)),
        .targets = targets,
        .target_count = (int)run->target_count,
    };
    struct el_status *status;
    if (targets == NULL || work.feeds == NULL || work.feed_values == NULL || work.fetches == NULL ||
        work.fetch_values == NULL) {
        status = el_status_no_memory();
    } else {
        status = run_tensors(model, run, &work, targets);
        tf_run_free_values(run, &work);
    }
    free(targets);
    free(work.feeds);
    free(work.feed_values);
    free(work.fetches);
    free(work.fetch_values);
    return el_plugin_result(status, error);
}

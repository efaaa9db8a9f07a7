/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_TENSORFLOW_H
#define EL_ENGINE_TENSORFLOW_H

/*
 * Inside the plug-in for TensorFlow: a model is one session, and for each
 * signature the places in the graph that its names mean.
 *
 *     tensorflow.c         the table: start, open, close
 *     tensorflow_run.c     run: the hot path
 *     tensorflow_tensors.c run_tensors: by names of the graph
 *     tensorflow_tensor.c  tensors of the host as TensorFlow's, and back
 */

#include "engine/plugin.h"

#include <stdbool.h>
#include <tensorflow/c/c_api.h>

struct tf_signature {
    TF_Output *inputs; /* as many as the signature has, in its order */
    TF_Output *outputs;
    char *reason;      /* why it cannot be run; NULL when it can */
    bool is_operation; /* because what it gives is an operation without outputs */
};

struct tf_engine_model {
    struct el_plugin_model model;
    TF_Graph *graph;
    TF_Session *session;
    struct tf_signature *signatures; /* one for each of model.signatures */
    bool in_callers_thread;          /* runs do not leave the thread that asks for them */
};

int tf_engine_run(void *model, const struct everlit_run *run, struct everlit_error *error);
int tf_engine_run_tensors(void *model, const struct everlit_run *run, struct everlit_error *error);

/* Finds "name:2" or "name" in the graph. output_count: of the operation; 0 where there is none of that name. */
bool tf_find_output(TF_Graph *graph, const char *tensor_name, TF_Output *output, int *output_count);

/* One run of the session with what feeds and fetches hold already; its outputs go to fetch_values. */
struct tf_run {
    TF_Output *feeds; /* run->input_count of them */
    TF_Tensor **feed_values;
    TF_Output *fetches; /* run->output_count of them */
    TF_Tensor **fetch_values;
    const TF_Operation *const *targets; /* run without giving anything */
    int target_count;
};
struct el_status *tf_run_session(const struct tf_engine_model *model, const struct everlit_run *run,
                                 struct tf_run *work) EL_MUST_USE;

/* Ends the tensors of a run. */
void tf_run_free_values(const struct everlit_run *run, struct tf_run *work);

/*
 * A copy of the host's tensor in TensorFlow's memory. It is copied although TensorFlow could use it where it lies,
 * because ops may keep an input (a variable that is assigned, a queue, a table), beyond the run and so beyond the host's memory.
 */
struct el_status *tf_tensor_make(const struct everlit_tensor *tensor, TF_Tensor **made) EL_MUST_USE;

/* Hands an output to the host. */
struct el_status *tf_tensor_give(const TF_Tensor *tensor, uint32_t index, const struct everlit_run *run) EL_MUST_USE;

/* NULL if TensorFlow's status is OK; otherwise its code and its own text. */
struct el_status *tf_status(const TF_Status *status) EL_MUST_USE;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_TENSORFLOW_H
#define EL_ENGINE_TENSORFLOW_H

/*
 * Inside the plug-in for TensorFlow: a model is one session, and for each
 * signature the places in the graph that its names mean.
 *
 *     tensorflow.c         the table: start, open, close
 *     tensorflow_run.c     run: the hot path
 *     tensorflow_tensor.c  tensors of the host as TensorFlow's, and back
 */

#include "engine/plugin.h"

#include <stdbool.h>
#include <tensorflow/c/c_api.h>

struct tf_signature {
    TF_Output *inputs; /* as many as the signature has, in its order */
    TF_Output *outputs;
    char *reason; /* why it cannot be run; NULL when it can */
};

struct tf_engine_model {
    struct el_plugin_model model;
    TF_Graph *graph;
    TF_Session *session;
    struct tf_signature *signatures; /* one for each of model.signatures */
    bool in_callers_thread;          /* runs do not leave the thread that asks for them */
};

int tf_engine_run(void *model, const struct everlit_run *run, struct everlit_error *error);

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

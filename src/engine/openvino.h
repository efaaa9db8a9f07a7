/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_OPENVINO_H
#define EL_ENGINE_OPENVINO_H

/*
 * Inside the plug-in for OpenVINO: a model is one compiled model per signature,
 * each with an infer request for every run that may be under way.
 *
 *     openvino.c            the table: start, open, close
 *     openvino_signature.c  compiles one signature, finds its ports
 *     openvino_run.c        run and cancel: the hot path
 *     openvino_status.c     OpenVINO's errors as statuses
 */

#include "engine/plugin.h"

#include <openvino/c/openvino.h>
#include <pthread.h>
#include <stdbool.h>

/* An input or output of the signature, in OpenVINO's compiled model. */
struct ov_port {
    bool used; /* false: no output depends on this input, so OpenVINO has dropped it */
    size_t number;
    ov_element_type_e type;
};

/* One input of a request. */
struct ov_feed {
    ov_tensor_t *own; /* OpenVINO's memory, into which small inputs are copied */
    bool own_is_set;  /* the infer request uses own, not memory of the host */
    int32_t rank;     /* of own */
    int64_t dims[EVERLIT_MAX_RANK];
};

/* busy, run and cancelled are guarded by the model's lock; the rest belongs to the run. */
struct ov_request {
    ov_infer_request_t *infer;
    struct ov_feed *feeds; /* one for each input of the signature */
    bool busy;
    bool cancelled;
    const struct everlit_run *run;
};

struct ov_signature {
    const struct everlit_signature *declared;
    ov_compiled_model_t *compiled; /* NULL: it cannot be run */
    char *reason;                  /* why it cannot be run; NULL when it can */
    struct ov_port *inputs, *outputs;
    struct ov_request *requests; /* as many as the model's concurrency */
};

struct ov_engine_model {
    struct el_plugin_model model;
    ov_core_t *core;
    struct ov_signature *signatures; /* one for each of model.signatures */
    uint32_t concurrency;
    pthread_mutex_t
        lock; /* guards the requests' busy, run and cancelled; held for a few instructions, and for cancel */
};

/* How a model is compiled; texts, as OpenVINO wants them. */
struct ov_settings {
    const char *precision;
    char streams[16];
    char threads[16];
};

/* Compiles one signature. A signature that OpenVINO cannot do is UNIMPLEMENTED, and is left empty. */
struct el_status *ov_signature_open(struct ov_engine_model *model, const struct everlit_open_options *options,
                                    const struct ov_settings *settings, uint32_t number) EL_MUST_USE;
void ov_signature_close(struct ov_signature *signature, uint32_t concurrency);

int ov_engine_run(void *model, const struct everlit_run *run, struct everlit_error *error);
void ov_engine_cancel(void *model, const struct everlit_run *run);

/* The status of a call to OpenVINO: NULL for OK; otherwise code, what was being done and what OpenVINO said. */
struct el_status *ov_status(ov_status_e result, enum el_code code, const char *what) EL_MUST_USE;

/* OpenVINO's element type for a dtype; DYNAMIC where it has none that holds the same values. */
ov_element_type_e ov_type(int32_t dtype);

#endif

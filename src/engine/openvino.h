/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_ENGINE_OPENVINO_H
#define EL_ENGINE_OPENVINO_H

/*
 * Inside the plug-in for OpenVINO: a model is one compiled model per signature,
 * each with an infer request for every run that may be under way.
 *
 *     openvino.c            the table: start, open, close
 *     openvino_signature.c  compiles one signature
 *     openvino_ports.c      finds its ports
 *     openvino_host.c       a signature of which OpenVINO does the network and the plug-in the rest (host_plan.h)
 *     openvino_shapes.c     compiles it anew for inputs of other shapes than it declares
 *     openvino_run.c        run and cancel: the hot path
 *     openvino_status.c     OpenVINO's errors as statuses
 */

#include "engine/host_plan.h"
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
    char *given_back;              /* a tensor that is an input and an output: no run can ask for it; NULL: none is */
    struct host_plan *plan;        /* not NULL: the plug-in does its part of it, and the rest is unused */
    struct ov_signature *network;  /* OpenVINO's part of the plan; NULL: it has none */
    ov_compiled_model_t *compiled; /* NULL: it cannot be run, or only for other shapes than it declares */
    char *reason;                  /* why it cannot be run; NULL when it can */
    struct ov_port *inputs, *outputs;
    struct ov_request *requests; /* as many as the model's concurrency */

    /* For inputs of other shapes than declared (openvino_shapes.c). */
    ov_model_t *read;            /* kept for them; NULL: they are refused */
    struct ov_signature *shapes; /* the same signature, compiled for other ranks; guarded by the model's lock */
    struct ov_signature *next;   /* of one of shapes: the next */
    int32_t *ranks;              /* of one of shapes: its inputs' ranks */
    int64_t *sizes;              /* that went together last, of all inputs in a row; guarded by the model's lock */
};

/* How a model is compiled; texts, as OpenVINO wants them. */
struct ov_settings {
    const char *precision;
    char streams[16];
    char threads[16];
};

struct ov_engine_model {
    struct el_plugin_model model;
    ov_core_t *core;
    struct ov_signature *signatures; /* one for each of model.signatures */
    uint32_t concurrency;
    struct ov_settings settings;
    bool alone, any_shape; /* no other engine is asked; other shapes than declared are taken, too */
    struct el_buf graph;   /* the graph_def, which plans are made from; read with the first one */
    pthread_mutex_t
        lock; /* guards requests' busy, run and cancelled, signatures' shapes; for a few instructions, and cancel */
    pthread_mutex_t shaping; /* held while a signature is compiled anew; taken before lock */
};

/* Compiles one signature. A signature that OpenVINO cannot do is UNIMPLEMENTED, and is left empty. */
struct el_status *ov_signature_open(struct ov_engine_model *model, const struct everlit_open_options *options,
                                    uint32_t number) EL_MUST_USE;
void ov_signature_close(struct ov_signature *signature, uint32_t concurrency);

/* The graph in a view that el_rename_signature() or el_rename_signature_to() has made. */
struct el_status *ov_signature_read(const ov_core_t *core, const char *view, ov_model_t **read) EL_MUST_USE;

/* Compiles and finishes, and takes over read: it is kept where other shapes than declared are taken, or no rank is declared. */
struct el_status *ov_signature_make(const struct ov_engine_model *model, ov_model_t *read,
                                    struct ov_signature *signature) EL_MUST_USE;

/*
 * Makes signature's plan, and its network: UNIMPLEMENTED where neither OpenVINO nor the plug-in has something that it needs. *useful:
 * false where OpenVINO does it all; then there is no plan.
 */
struct el_status *ov_host_open(struct ov_engine_model *model, const struct everlit_open_options *options,
                               struct ov_signature *signature, bool *useful) EL_MUST_USE;
void ov_host_close(struct ov_signature *signature, uint32_t concurrency);

/* True where a plan is worth a try: OpenVINO has not, or not exactly, what the signature takes or gives. */
bool ov_host_is_wanted(const struct everlit_signature *declared);

/* Runs it. */
struct el_status *ov_host_run(struct ov_engine_model *model, const struct ov_signature *signature,
                              const struct everlit_run *run) EL_MUST_USE;

/* openvino_ports.c: which port each input and output of signature->compiled is. */
struct el_status *ov_ports_map_inputs(const ov_compiled_model_t *compiled, bool by_tensor,
                                      struct ov_signature *signature) EL_MUST_USE;
struct el_status *ov_ports_map_outputs(const ov_compiled_model_t *compiled, bool by_tensor,
                                       struct ov_signature *signature) EL_MUST_USE;

/* Of a signature whose declared is set: compiles what was read of it, and finds its ports and makes its requests. */
struct el_status *ov_signature_compile(const struct ov_engine_model *model, const ov_model_t *read,
                                       struct ov_signature *signature) EL_MUST_USE;
struct el_status *ov_signature_finish(const struct ov_engine_model *model, struct ov_signature *signature) EL_MUST_USE;

/* The name of an input's port: the signature's key, or the tensor's where the format has no signatures. */
const char *ov_input_name(const struct ov_engine_model *model, const struct everlit_tensor_info *info);

/*
 * The signature compiled for inputs of the run's ranks, any size in each dim; it belongs to the model. By several threads; the
 * first run with these ranks waits until it is compiled. UNIMPLEMENTED: OpenVINO cannot, or there are too many of them.
 */
struct el_status *ov_shapes_find(struct ov_engine_model *model, struct ov_signature *signature,
                                 const struct everlit_run *run, struct ov_signature **found) EL_MUST_USE;

/* Runs what is compiled. outer: the run that the host knows, for cancel(). */
struct el_status *ov_signature_run(struct ov_engine_model *model, struct ov_signature *signature,
                                   const struct everlit_run *run, const struct everlit_run *outer) EL_MUST_USE;

/*
 * INVALID_ARGUMENT if the sizes of a run's inputs, which fit what is declared, do not go together: OpenVINO would not look, and read
 * beyond what is there. Only where what was read is kept, and there are two inputs or more.
 */
struct el_status *ov_shapes_check(struct ov_engine_model *model, struct ov_signature *signature,
                                  const struct everlit_run *run) EL_MUST_USE;

int ov_engine_run(void *model, const struct everlit_run *run, struct everlit_error *error);
void ov_engine_cancel(void *model, const struct everlit_run *run);

/* The status of a call to OpenVINO: NULL for OK; otherwise code, what was being done and what OpenVINO said. */
struct el_status *ov_status(ov_status_e result, enum el_code code, const char *what) EL_MUST_USE;

/* OpenVINO's element type for a dtype; DYNAMIC where it has none that holds the same values. */
ov_element_type_e ov_type(int32_t dtype);

/* The other way round; DTYPE_INVALID where there is none. */
enum el_dtype ov_dtype(ov_element_type_e type);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_BUNDLE_PREDICTION_LOG_H
#define EL_BUNDLE_PREDICTION_LOG_H

/*
 * tensorflow.serving.PredictionLog: one request and its answer, as the request log writes them and warm-up replays them.
 *
 *     el_prediction_parse   bytes -> what was asked (false: not a PredictionLog)
 *     el_prediction_plan    against a version's signatures, with TensorFlow Serving's checks and texts
 *     el_prediction_input   for each input of each run: dtype, shape and size
 *     el_prediction_write   the input's data, to memory of the caller's choice
 *
 * Only the request counts, and of its ModelSpec only the signature's name: a record that was taken from one version, or from
 * another model, may be replayed on any. A SessionRun is replayed where its feeds and fetches are those of a signature, a streamed
 * Predict message by message; TensorFlow Serving refuses both, with the text that is kept here for other SessionRuns.
 *
 * Pure but for memory that el_prediction_free() gives back; any thread. The bytes are untrusted and stay until then.
 */

#include "bundle/infer_rules.h"
#include "tensor/inference_proto.h"

/* The members of the oneof log_type, by their field numbers. */
enum el_prediction_kind {
    EL_PREDICTION_NONE = 0,
    EL_PREDICTION_CLASSIFY = 2,
    EL_PREDICTION_REGRESS = 3,
    EL_PREDICTION_MULTI_INFERENCE = 4,
    EL_PREDICTION_SESSION_RUN = 5,
    EL_PREDICTION_PREDICT = 6,
    EL_PREDICTION_PREDICT_STREAMED = 7,
};

#define EL_PREDICTION_GOLDEN_FIELD 1000

/* One run of one signature. */
struct el_prediction_run {
    const struct el_signature *signature;
    uint32_t index;              /* of the signature */
    enum el_infer_method method; /* CLASSIFY, REGRESS, MULTI_INFERENCE */
    size_t predict;              /* PREDICT_STREAMED: which of its requests */
    uint32_t *outputs;           /* those to fetch, ascending; owned by the prediction */
    uint32_t output_count;
};

struct el_prediction {
    enum el_prediction_kind kind;
    struct el_prediction_run *runs; /* after plan; none for EL_PREDICTION_NONE */
    size_t run_count;
    /* The rest is for prediction_log.c and prediction_plan.c. */
    struct el_wire request;              /* the request message */
    struct el_wire response;             /* and the answer, which only golden records look at */
    struct el_wire golden;               /* everlit_golden */
    struct el_predict_request *predicts; /* PREDICT: one; PREDICT_STREAMED: of each message */
    size_t predict_count;
    struct el_examples examples;
    struct el_buf tasks;   /* MULTI_INFERENCE: of struct el_prediction_task; the one of CLASSIFY and REGRESS */
    struct el_buf feeds;   /* SESSION_RUN: of struct el_predict_input, ascending by index after plan */
    struct el_buf fetches; /* SESSION_RUN: of struct el_span */
    size_t max_bytes;
};

/* False if the bytes are no PredictionLog, or memory is short. Free it in either case, and do not move it. */
bool el_prediction_parse(const void *bytes, size_t size, struct el_prediction *prediction) EL_MUST_USE;

/* Once. max_bytes: of one run's inputs. The signatures stay as long as the prediction. */
struct el_status *el_prediction_plan(struct el_prediction *prediction, const struct el_signatures *signatures,
                                     size_t max_bytes) EL_MUST_USE;

/* True for Classify, Regress and MultiInference, whose outputs are to pass el_infer_result_of(). */
bool el_prediction_infers(const struct el_prediction *prediction);

struct el_prediction_input {
    enum el_dtype dtype;
    struct el_shape shape;
    size_t size;
    struct el_tensor_proto tensor; /* not of CLASSIFY, REGRESS, MULTI_INFERENCE */
};

/* Input number `index` of the signature of a run that was planned. */
struct el_status *el_prediction_input(const struct el_prediction *prediction, const struct el_prediction_run *run,
                                      uint32_t index, struct el_prediction_input *input) EL_MUST_USE;
void el_prediction_write(const struct el_prediction *prediction, const struct el_prediction_input *input, void *data);

void el_prediction_free(struct el_prediction *prediction);

/* ---- golden records: the answer counts, too ---- */

/*
 * How near an answer must be to the recorded one: PredictionLog.everlit_golden (field 1000) of Everlit's own,
 *
 *     message EverlitGolden { optional double absolute = 1; optional double relative = 2; optional double top1 = 3; }
 */
struct el_prediction_golden {
    double absolute, relative; /* |found - expected| <= absolute + relative * |expected| [1e-3 each] */
    double top1; /* above 0: not that, but this share of all rows has its highest score in the same place [0] */
};

/* False if it is malformed or out of range. */
bool el_prediction_golden(const struct el_prediction *prediction, struct el_prediction_golden *golden) EL_MUST_USE;

/* The next output of a PredictResponse; *at starts as prediction->response. False: no more, or (*at is not done) malformed. */
bool el_prediction_next_output(struct el_wire *at, struct el_span *name, struct el_tensor_proto *tensor) EL_MUST_USE;

/* Appends an everlit_golden. */
void el_prediction_put_golden(struct el_buf *buf, const struct el_prediction_golden *golden);

/* ---- writing ---- */

/* Appends a PredictionLog. metadata: a LogMetadata; request and response: messages of the kind. */
void el_prediction_put(struct el_buf *buf, enum el_prediction_kind kind, const struct el_buf *metadata,
                       struct el_span request, struct el_span response);

#endif

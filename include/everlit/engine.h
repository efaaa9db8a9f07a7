/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EVERLIT_ENGINE_H
#define EVERLIT_ENGINE_H

/*
 * The plug-in interface of Everlit: how an inference engine is plugged in.
 *
 * An engine is one shared object that exports one function,
 *
 *     const struct everlit_engine *everlit_engine_get(uint32_t major);
 *
 * It returns a table of functions, or NULL if it does not speak that major
 * version. The table is constant and lives as long as the shared object is
 * loaded.
 *
 * Versions. EVERLIT_ENGINE_MAJOR changes when a plug-in built against the old
 * header would break; host and plug-in must have the same one. EVERLIT_ENGINE_MINOR
 * grows when functions or fields are added at the end of a struct; each struct
 * carries its size, and whoever reads a struct does not read past that size.
 * A host works with every minor version of its major version. What is newer than minor 0 says so.
 *
 * Processes. The host is either a worker process, which hosts exactly one
 * model, or a program that asked for `isolation: none`. The shared object is
 * loaded in a process that later forks: loading it and calling
 * everlit_engine_get() and start() must not start a thread or open a device.
 *
 * Threads. start, open, signatures, memory, close and stop are called by one
 * thread at a time. run and run_tensors are called by several threads at once, up to the
 * `concurrency` that open was given, and never before open has returned or
 * after close was called. cancel may be called by any thread during a run.
 *
 * Errors. A function that can fail returns 0 or a gRPC status code (1 to 16) and
 * then fills `error` with a text that a user can act on. After a failed open there
 * is no model to close. A failed run leaves the model as it was.
 *
 * Ownership. What is handed in belongs to the caller and is valid for the call
 * only, unless said otherwise. Names and signatures that come out belong to the
 * engine and live until close.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EVERLIT_ENGINE_MAJOR 2u
#define EVERLIT_ENGINE_MINOR 2u
#define EVERLIT_MAX_RANK 16

/* Filled by a function that returns something other than 0. */
struct everlit_error {
    char text[2048]; /* terminated */
};

/*
 * One input or output. dtype: the numbers of tensorflow.DataType. dims: row-major shape.
 * Numeric data is contiguous, little-endian, aligned to 64 bytes where the host hands it in.
 * Strings (dtype 7) of n elements: n + 1 offsets (uint64_t, counted from data), then the bytes; element i
 * lies from offset[i] to offset[i + 1].
 */
struct everlit_tensor {
    uint32_t index; /* which input or output of the signature */
    int32_t dtype;
    int32_t rank; /* 0 to EVERLIT_MAX_RANK */
    int64_t dims[EVERLIT_MAX_RANK];
    const void *data;
    uint64_t size; /* bytes of data */
};

/* One input or output as the signature declares it. */
struct everlit_tensor_info {
    const char *name;        /* the key in the signature, e.g. "input" */
    const char *tensor_name; /* the tensor in the graph, e.g. "serving_default_input:0"; "" where an engine has none */
    int32_t dtype;
    int32_t rank;                   /* -1: unknown */
    int64_t dims[EVERLIT_MAX_RANK]; /* -1: any size */
    const void
        *default_value; /* an input that may be left out: a tensorflow.TensorProto; NULL: none. The host fills it in */
    uint64_t default_size; /* bytes of default_value */
};

/* Inputs and outputs are sorted by name (bytewise): their position is the index that tensors carry. */
struct everlit_signature {
    const char *name;        /* e.g. "serving_default" */
    const char *method_name; /* e.g. "tensorflow/serving/predict"; may be "" */
    const struct everlit_tensor_info *inputs;
    const struct everlit_tensor_info *outputs;
    uint32_t input_count;
    uint32_t output_count;
};

struct everlit_open_options {
    size_t struct_size;
    const char *path;        /* the version's directory, e.g. "/models/digits/2" */
    const char *const *tags; /* SavedModel tags that the meta graph must have, exactly */
    uint32_t tag_count;
    uint32_t concurrency;      /* the most runs at the same time, at least 1 */
    uint32_t intra_op_threads; /* threads inside one op; 0: the engine decides */
    uint32_t inter_op_threads; /* ops at the same time; 0: the engine decides */
    const char *precision;     /* "f32" (default when NULL), "bf16", "f16": below f32 only when asked */
    const char *scratch_path;  /* a private, empty directory for temporary files, removed by the host */
    int32_t prefer_tflite;     /* since 2.1: where model.tflite lies beside saved_model.pb, it is what is meant */
    int32_t alone;             /* since 2.2: no other engine will be asked: what can be run of the model is wanted */
};

/*
 * A run. The engine calls output() once for each output that was asked for, in any order, from the calling thread,
 * and fills the memory that it gets before it returns.
 */
struct everlit_run {
    size_t struct_size;
    uint32_t signature; /* index into what signatures() gave */
    const struct everlit_tensor *inputs;
    uint32_t input_count;
    const uint32_t *outputs; /* indexes of the outputs asked for, ascending, no index twice */
    uint32_t output_count;
    uint64_t deadline_ns; /* CLOCK_MONOTONIC; UINT64_MAX: none. An engine may stop early with code 4. */
    void *host;           /* for output() */

    /* Memory of size bytes for one output, aligned to 64 bytes; NULL when there is none (return code 8 then). tensor->data is ignored. */
    void *(*output)(void *host, const struct everlit_tensor *tensor);

    /*
     * Minor 1, for run_tensors() only. Names of tensors in the graph ("x:0"; "x" means its first output), one for each input
     * and each output, and of operations that are to be run without giving anything.
     */
    const char *const *input_names;
    const char *const *output_names;
    const char *const *target_names;
    uint32_t target_count;
};

/* Bytes that the engine knows to hold for the model; 0 where it cannot tell. */
struct everlit_memory {
    size_t struct_size;
    uint64_t host_bytes;
    uint64_t device_bytes;
};

struct everlit_engine {
    uint32_t major;
    uint32_t minor;
    size_t struct_size;
    const char *name;    /* "tensorflow", "openvino" */
    const char *version; /* of the engine's own library, e.g. "2.21.0" */

    /* Once after loading, before the process forks. Must not start a thread. */
    int (*start)(struct everlit_error *error);

    /* Loads the model in options->path until it can run. Fills *model. */
    int (*open)(const struct everlit_open_options *options, void **model, struct everlit_error *error);

    /* All signatures of the model, sorted by name; they live until close. */
    int (*signatures)(void *model, const struct everlit_signature **signatures, uint32_t *count,
                      struct everlit_error *error);

    /* Runs one signature. Blocks until the outputs are filled. */
    int (*run)(void *model, const struct everlit_run *run, struct everlit_error *error);

    /* Asks the run that was started with this struct to end early, with code 1. NULL if the engine cannot. */
    void (*cancel)(void *model, const struct everlit_run *run);

    /* What the model holds. */
    int (*memory)(void *model, struct everlit_memory *memory, struct everlit_error *error);

    /* Ends the model; no run is under way. */
    void (*close)(void *model);

    /* Before the shared object is unloaded; all models are closed. */
    void (*stop)(void);

    /*
     * Minor 1. Runs the part of the graph that run's names mean, whatever the signatures say: run->signature is not set, the
     * index of an input or output is its position. NULL if the engine cannot.
     */
    int (*run_tensors)(void *model, const struct everlit_run *run, struct everlit_error *error);
};

/* What every plug-in exports. */
__attribute__((visibility("default"))) const struct everlit_engine *everlit_engine_get(uint32_t major);

#ifdef __cplusplus
}
#endif

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_WORKER_H
#define EL_WORKER_WORKER_H

/*
 * The room's door: processes that each host one version of one model, and
 * calls to them through shared memory.
 *
 *     front (everlitd)                                   worker process
 *     event loop ── el_call: request ring ─────────────► runner threads ──► engine plug-in
 *     event loop ◄── completion ring of that loop ──────┘
 *     swap thread ── control socket, pidfd ─────────────► main thread
 *
 * A zygote per engine (the helper program `everlit-worker`, started on first
 * use, single-threaded, with the engine's library open) forks the workers.
 * With `EL_ISOLATION_NONE` the same host code runs on threads of this process.
 *
 * Threads. Everything that says "swap thread" is called on the one thread that
 * owns `uv_loop` of el_workers_new(); callbacks come there too. el_call_*
 * functions are called on the thread of the completion queue that the call was
 * begun with. A worker must outlive its calls: el_worker_free() is allowed after the
 * EL_WORKER_GONE event, which comes once no call is left.
 *
 * Trust. Whatever a worker writes is read once and checked. A worker that lies is
 * killed; its calls end with UNAVAILABLE and el_call_worker_died() is true for them.
 */

#include "base/log.h"
#include "base/status.h"
#include "bundle/signature.h"
#include "tensor/tensor.h"
#include "worker/batching.h"

#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

struct el_workers;     /* zygotes, and what all workers share */
struct el_worker;      /* one version, being loaded or ready to run */
struct el_batch_stats; /* batch_stats.h */
struct el_run_stats;   /* run_stats.h */
struct el_completions; /* one per event loop: where answers arrive */
struct el_call;        /* one run of one signature */

#define EL_WORKER_OVER_LIMIT "its limit is" /* in the text of a death by memory_limit_bytes */
#define EL_MAX_LOOPS 64                     /* completion queues per el_workers */

enum el_isolation { EL_ISOLATION_PROCESS, EL_ISOLATION_NONE };

struct el_workers_options {
    uv_loop_t *uv_loop;       /* the swap thread's */
    const struct el_log *log; /* may be NULL; outlives the workers */
    /* The program everlit-worker; NULL: beside the running program, then the installed place. */
    const char *helper_path;
    /* Directory of the plug-ins ("engine_openvino.so"...); NULL: beside the helper, then the installed place. */
    const char *engine_dir;
    /* Of SavedModels, a comma list, for workers that name none; NULL: "serve". Outlives the workers. */
    const char *tags;
    bool prefer_tflite;                          /* model.tflite beside saved_model.pb is what is meant */
    uint32_t intra_op_threads, inter_op_threads; /* for workers that name none; 0: the engine decides */
    uint32_t loops;                              /* how many completion queues will be made, 1 to EL_MAX_LOOPS */
};

struct el_status *el_workers_new(const struct el_workers_options *options, struct el_workers **workers) EL_MUST_USE;

/*
 * The process ends soon, and with it the memory of models inside it (EL_ISOLATION_NONE): they are not closed one by one,
 * which with OpenVINO takes 50 ms each where there are hundreds. Swap thread, before the workers are stopped.
 */
void el_workers_ending(struct el_workers *workers);

/* Ends the zygotes. All workers are freed and all completion queues closed before. The memory goes when the swap loop has
 * turned once more and let go of the handles. Swap thread. */
void el_workers_free(struct el_workers *workers);

/* What batching has come to, over all workers there were. Any thread; lives as long as the workers. */
const struct el_batch_stats *el_workers_batch_stats(const struct el_workers *workers);

/* The runs that the answers to each event loop tell of: one for each of *loops. As long, by any thread. */
const struct el_run_stats *el_workers_run_stats(const struct el_workers *workers, uint32_t *loops);

/*
 * Makes the completion queue number `index` and attaches it to the event loop uv_loop, on that loop's thread. From then
 * on the loop wakes for answers, and spins briefly for them before it sleeps when answers have been coming fast.
 */
struct el_status *el_completions_new(struct el_workers *workers, uint32_t index, uv_loop_t *uv_loop,
                                     struct el_completions **completions) EL_MUST_USE;

/*
 * Detaches; on the loop's thread, with every call ended. A worker may still run some of them, cancelled or late: their slots stay
 * taken until it is gone, and nobody waits for them. closed (may be NULL) comes when the loop has let go.
 */
void el_completions_close(struct el_completions *completions, void (*closed)(void *argument), void *argument);

struct el_worker_options {
    const char *model; /* for messages */
    int64_t version;
    const char *path;   /* the version's directory */
    const char *engine; /* plug-in name: "tensorflow", "openvino", "test" */
    enum el_isolation isolation;
    const char *tags;      /* comma list of SavedModel tags; NULL: those of the workers' options */
    const char *precision; /* NULL: "f32" */
    uint32_t concurrency;  /* runs at the same time: runner threads; 0: chosen (1 on up to 2 CPUs, else half of them) */
    uint32_t intra_op_threads, inter_op_threads; /* 0: the engine decides */
    uint32_t queue_slots;                        /* calls in flight and waiting, at most; 0: 512 */
    uint64_t arena_bytes; /* shared memory for tensors, given out lazily; 0: 1 GiB. One message of 64 MiB must fit. */
    /* Private memory of the process beyond what it had at fork; 0: none. A worker beyond it is killed. */
    uint64_t memory_limit_bytes;
    uint32_t load_timeout_ms; /* 0: none. Beyond it the worker is killed and the load has failed. */
    /* A run that goes on for so long after its deadline hangs: the worker is killed with DEADLINE_EXCEEDED. 0: it may hang. */
    uint32_t hang_timeout_ms;
    uint32_t max_run_ms;                /* what counts there as the deadline of a run that has none; 0: it has none */
    bool alone;                         /* no other engine is asked: what can be run of the version is wanted */
    bool idle_priority;                 /* SCHED_IDLE and idle I/O until el_worker_promote() */
    const struct el_batching *batching; /* of calls with el_call_may_batch(); NULL: each is run by itself */
};

enum el_worker_event_type {
    EL_WORKER_LOADED, /* it can run; el_worker_signatures() is there */
    EL_WORKER_FAILED, /* it could not load (status says why); GONE follows */
    /* It ended by itself or was killed ("worker of digits version 2 was killed by signal 6 (Aborted) while loading"); GONE
     * follows. Calls are told at once, this waits up to 3 s for the zygote to say how the process ended. */
    EL_WORKER_DIED,
    EL_WORKER_GONE, /* the process is gone and no call is left: free it */
};

struct el_worker_event {
    enum el_worker_event_type type;
    const struct el_status *status; /* FAILED, DIED; valid during the callback */
    double load_ms;                 /* LOADED: start to ready */
};

typedef void el_worker_on_event(struct el_worker *worker, const struct el_worker_event *event, void *argument);

/* Starts to load a version. Returns at once; events follow. Swap thread. options is copied. */
struct el_status *el_worker_start(struct el_workers *workers, const struct el_worker_options *options,
                                  el_worker_on_event *on_event, void *argument, struct el_worker **worker) EL_MUST_USE;

/* After LOADED; lives as long as the worker; any thread. */
const struct el_signatures *el_worker_signatures(const struct el_worker *worker);

/* Name and library version of the engine ("openvino", "2026.4.1"), after LOADED; any thread. */
const char *el_worker_engine(const struct el_worker *worker);
const char *el_worker_engine_version(const struct el_worker *worker);

/* Ends idle priority: called when the version is READY. Swap thread. */
void el_worker_promote(struct el_worker *worker);

/* Other parameters for batching, for the calls from now on. Calls that wait are answered in any case. Swap thread. */
void el_worker_set_batching(struct el_worker *worker, const struct el_batching *batching);

/* Process id; 0 with EL_ISOLATION_NONE. */
pid_t el_worker_pid(const struct el_worker *worker);

/* Resident memory of the process in bytes; 0 where unknown. Some 20 µs whatever its size. Any thread. */
uint64_t el_worker_resident_bytes(const struct el_worker *worker);

/* The most that it ever was. As fast, and the same otherwise. */
uint64_t el_worker_peak_bytes(const struct el_worker *worker);

/* Anonymous memory of the process beyond what it had when it was forked; 0 where unknown. As fast. Any thread. */
uint64_t el_worker_taken_bytes(const struct el_worker *worker);

/* What of it is the process's own, too. The kernel walks all its page tables for that: tens of ms with TensorFlow, so not for a thread
   that answers requests. 0 where unknown. Any thread. */
struct el_worker_memory {
    uint64_t private_bytes; /* Private_Dirty + Private_Clean + its own swap */
    uint64_t resident_bytes;
};
void el_worker_memory(const struct el_worker *worker, struct el_worker_memory *memory);

/* No new calls; once the running ones are answered the process is told to end; GONE follows, by force after grace_ms. Swap thread. */
void el_worker_stop(struct el_worker *worker, uint32_t grace_ms);

/* Kills at once for the reason in status (taken over); DIED and GONE follow. Any thread. */
void el_worker_kill(struct el_worker *worker, struct el_status *status);

/* After GONE, on the swap thread. */
void el_worker_free(struct el_worker *worker);

/* ---- calls: on the thread of the completion queue ---- */

/* status is NULL when the outputs are there; otherwise borrowed until el_call_end(). */
typedef void el_call_done(struct el_call *call, const struct el_status *status, void *argument);

/* Takes a slot. RESOURCE_EXHAUSTED when all are taken, UNAVAILABLE when the worker is stopping or dead. */
struct el_status *el_call_begin(struct el_worker *worker, struct el_completions *completions, uint32_t signature,
                                struct el_call **call) EL_MUST_USE;

/*
 * A run past all signatures, by the names of tensors in the graph: `names` has them as inputs and outputs, in the order of
 * their indexes, dtypes of outputs EL_DTYPE_INVALID (whatever comes). targets: operations to run without an output.
 */
struct el_call_tensors {
    struct el_signature names;
    const char *const *targets;
    uint32_t target_count;
};

/* The same as el_call_begin() for such a run; tensors stays the caller's, until el_call_end(). UNIMPLEMENTED comes from a worker
 * whose engine knows no tensors by name. */
struct el_status *el_call_begin_tensors(struct el_worker *worker, struct el_completions *completions,
                                        const struct el_call_tensors *tensors, struct el_call **call) EL_MUST_USE;

/*
 * Memory for one input in the arena, 64-byte aligned, to be filled by the caller before submit. size: for numeric
 * tensors el_tensor_bytes(), for strings the size of the packed form. Each input at most once. RESOURCE_EXHAUSTED:
 * arena full.
 */
struct el_status *el_call_input(struct el_call *call, uint32_t input, enum el_dtype dtype, const struct el_shape *shape,
                                size_t size, void **data) EL_MUST_USE;

/*
 * Before submit: the call may be run in one batch with others, by the worker's parameters for batching. Then submit refuses
 * what no batch takes, with codes and texts of TensorFlow Serving: INVALID_ARGUMENT, or UNAVAILABLE when too many batches
 * wait.
 */
void el_call_may_batch(struct el_call *call);

/*
 * Sends the call off. outputs: indexes of the outputs wanted, ascending. done comes exactly once, on this thread, never
 * from inside el_call_submit. After an error from submit, done does not come; end the call.
 */
struct el_status *el_call_submit(struct el_call *call, const uint32_t *outputs, uint32_t output_count,
                                 uint64_t deadline_ns, el_call_done *done, void *argument) EL_MUST_USE;

/* Inputs as given (for a replay elsewhere): tensors and their indexes, until el_call_end(). A hostile worker may have changed
 * the data, never where it lies: strings are read with el_tensor_string() or checked again. */
uint32_t el_call_inputs(const struct el_call *call, const struct el_tensor **tensors, const uint32_t **indexes);

/* The outputs asked for, in that order, after done without a status; checked views into the arena, until el_call_end(). */
uint32_t el_call_outputs(const struct el_call *call, const struct el_tensor **tensors);

/* After done: how long it waited for a runner; 0: it did not get to one. */
uint64_t el_call_queued_ns(const struct el_call *call);

/* After done with a status: true if the worker died under it, so that another may be asked. */
bool el_call_worker_died(const struct el_call *call);

/*
 * After that: true if it was a SIGKILL from outside that ended the worker, so that no call is to blame: the server did not send it, and
 * since the worker was forked the kernel has killed nobody on this machine for want of memory (which a run may have taken). A worker
 * that sends it to itself looks alike; who asks again counts.
 */
bool el_call_worker_was_killed(const struct el_call *call);

/* Asks to end early: done comes with CANCELLED, or with the answer if that was faster. */
void el_call_cancel(struct el_call *call);

/* Gives slot and memory back. Not between submit and done. */
void el_call_end(struct el_call *call);

#endif

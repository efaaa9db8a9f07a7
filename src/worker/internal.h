/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_INTERNAL_H
#define EL_WORKER_INTERNAL_H

/*
 * What the front's side of the room is made of. Files: workers.c (what all share), zygote.c (forks workers on
 * request; zygote_process.c), start.c and worker.c (the life of one), load.c (what it says while loading), watch.c (its memory),
 * calls.c, answer.c and hang.c (calls), completions.c (the event loops).
 *
 * Fields say which thread they belong to: "swap" is the one of el_workers_new(), "loop" the one of the completion
 * queue. What several threads use is guarded by el_worker.lock or is atomic.
 */

#include "worker/admission.h"
#include "worker/arena.h"
#include "worker/batch_stats.h"
#include "worker/engine_open.h"
#include "worker/layout.h"
#include "worker/mailbox.h"
#include "worker/run_stats.h"
#include "worker/spin.h"
#include "worker/starved.h"
#include "worker/wire.h"
#include "worker/worker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#define EL_CALL_INLINE 4 /* tensors of a call that need no allocation */

enum el_call_state {
    EL_CALL_FREE,
    EL_CALL_FILLING, /* begun: the caller fills inputs */
    EL_CALL_WAITING, /* submitted; done is owed */
    EL_CALL_DONE,    /* done was called, or submit failed */
};

/* One slot's call; loop, except where said. The slot in shared memory holds only copies of this. */
struct el_call {
    struct el_worker *worker;
    struct el_lane *lane;
    /*
     * Whose answer is believed: lane + 1 in the upper half, generation in the lower; 0: nobody's. Relaxed: the loop
     * that compares it with its own lane is the one that wrote it, any other value is foreign.
     */
    _Atomic uint64_t expected;
    struct el_call *next, *previous; /* in lane->calls, while the worker has it */
    struct el_call *next_due;        /* while expired calls are answered */
    uint32_t slot;
    uint32_t generation;                   /* never 0 */
    uint32_t signature;                    /* EL_SHM_BY_TENSORS: none */
    const struct el_signature *spec;       /* what inputs and outputs are counted and checked by */
    const struct el_call_tensors *tensors; /* the caller's; NULL: a signature is run */
    uint8_t state;
    bool at_worker; /* the worker may still touch slot and memory */
    bool ended;     /* el_call_end() was called while it might */
    bool cancelled;
    bool delivering; /* NEED was answered */
    bool died;
    bool may_batch;
    uint32_t batch; /* the number of the enqueued batch it counts to; 0: it is run by itself */
    uint32_t input_count, output_count;
    uint32_t input_room;
    struct el_tensor *inputs;
    uint32_t *input_indexes;
    struct el_tensor *outputs;
    uint32_t *output_indexes;
    uint64_t table;   /* EL_ARENA_FULL: in the slot; else its block in the arena */
    uint64_t names;   /* EL_ARENA_FULL: none; else their block in the arena */
    uint64_t granted; /* EL_ARENA_FULL: none; offset in the arena of the memory for outputs */
    uint64_t granted_size;
    uint64_t granted_before; /* the first grant, until the second is filled */
    uint64_t deadline_ns;
    uint64_t submitted_ns;
    uint64_t queued_ns; /* from then until a runner took it, as the worker says; 0: unknown */
    el_call_done *done;
    void *argument;
    struct el_status *status;
    struct el_tensor inline_tensors[EL_CALL_INLINE * 2];
    uint32_t inline_indexes[EL_CALL_INLINE * 2];
};

/* A worker as one event loop sees it. */
struct el_lane {
    struct el_worker *worker;
    struct el_completions *completions; /* loop; set when opened */
    uint32_t index;
    bool open; /* guarded by worker->lock: poll is in use, deaths are to be told */
    /* loop */
    uv_poll_t poll;                                /* the eventfd that the worker writes when we are parked */
    struct el_lane *next, *previous;               /* in completions->lanes */
    struct el_lane *next_active, *previous_active; /* in completions->active */
    bool active;
    bool dead;          /* the process is gone */
    bool lied;          /* it wrote nonsense: nothing is read from it any more */
    uint64_t head;      /* of the completion ring */
    uint32_t at_worker; /* calls in the list below */
    struct el_call *calls;
    int32_t patience;     /* wake-ups without an answer that are still believed to be chance */
    struct el_spin spin;  /* how long answers take, from submit to completion */
    uint64_t look_until;  /* an answer is expected until then; 0: it is not worth looking */
    uint64_t answered_ns; /* when the last answer was taken */
    struct el_letter death;
};

/* What one signature's calls have needed lately for outputs, per row of the first input's first dim. Relaxed: an estimate. */
struct el_learned {
    _Atomic uint64_t row_bytes;
};

struct el_worker {
    struct el_workers *workers;
    struct el_worker *next; /* in workers->list; swap */
    uint64_t id;

    /* Constant after el_worker_start(). */
    char *model;
    char *path;
    char *engine_name;
    char *tags;
    char *precision;
    char *scratch_path;
    struct el_worker_options options; /* its texts are the ones above */
    struct el_shm shm;
    struct el_tensor_arena *arena;
    int *eventfds;
    struct el_lane *lanes; /* workers->loops of them */
    struct el_call *calls; /* shm.slot_count of them */
    _Atomic uint64_t request_tail;
    struct el_batching batching; /* swap; as last told to the worker */
    struct el_admission admission;

    /* Written on the swap thread before `accepting` is set; constant then. */
    struct el_signatures signatures;
    struct el_learned *learned; /* for each signature */
    char *engine;
    char *engine_version;
    bool can_cancel;

    pthread_mutex_t lock; /* guards the following; taken before mailboxes' locks, never together with the arena's */
    uint32_t *free_slots;
    uint32_t free_count;
    bool accepting; /* calls may begin */
    bool gone;      /* the process is gone: lanes that open now are closed */
    bool killed;
    struct el_status *kill_reason; /* why we killed it; NULL: we did not */
    uint32_t open_lanes;
    uint32_t abandoned; /* calls at the worker whose loop has let go of its lane; see el_completions_close() */
    int pidfd;          /* -1: none (yet) */
    int control;        /* -1: closed */
    _Atomic int pid;

    /* swap */
    el_worker_on_event *on_event;
    void *argument;
    struct el_zygote *zygote;       /* the one that reports its end; NULL: none will */
    struct el_worker *next_pending; /* in zygote->pending */
    bool pending;
    unsigned spawn_tries;
    pid_t forked_pid; /* as its zygote knows it; stays when the process is gone */
    int peer_control; /* the worker's end, until it is spawned */
    int memory;       /* the shared memory, until it is spawned */
    uint64_t started_ns;
    struct el_buf signature_bytes;
    struct el_status *failure; /* why it could not load */
    bool loaded, failed_told, hung_up, stopping, told_to_end, forced, ended, lanes_told, died_told, closing;
    bool exited; /* wait_status is known */
    int wait_status;
    bool cause_late;              /* do not wait for the cause any longer */
    struct el_status *last_words; /* what the calls of a dead worker are told; read by loops after it is gone */
    bool killed_outside;          /* likewise: el_call_worker_was_killed() */
    uint64_t memory_at_fork;
    uint64_t oom_kills_at_fork;
    pid_t *threads_before; /* with EL_ISOLATION_NONE: threads that are not this worker's */
    size_t threads_before_count;
    uv_poll_t control_poll;
    uv_poll_t pidfd_poll;
    uv_timer_t timer; /* for the load; then for the grace of stop; then for the cause of death */
    uv_timer_t watch_timer;
    struct el_starved starved; /* while it loads at idle priority */
    unsigned lifts;            /* starved then: 1: lifted to modest priority, 2: to normal */
    bool pidfd_polled;
    unsigned open_handles;
    struct el_letter letter; /* something changed: see el_worker_step() */
};

struct el_workers {
    uv_loop_t *uv_loop;
    const struct el_log *log;
    char *helper_path;
    char *engine_dir;
    const char *tags;
    bool prefer_tflite;
    uint32_t intra_op_threads, inter_op_threads; /* for workers that name none */
    uint32_t loops;
    struct el_mailbox mailbox; /* to the swap thread */
    struct el_worker *list;
    struct el_zygote *zygotes;
    struct el_shared_engine *engines; /* opened in this process, for EL_ISOLATION_NONE */
    uint64_t last_id;
    char *scratch_path; /* NULL: not made yet */
    int scratch_lock;
    struct el_batch_stats batch_stats;
    struct el_run_stats run_stats[EL_MAX_LANES]; /* each of the event loop with that number */
    bool idle_cpu;                               /* idle priority can be left again */
    bool freeing;
    unsigned open_handles;
    uint8_t packet[EL_PACKET_MAX]; /* where messages are received */
};

struct el_completions {
    struct el_workers *workers;
    uint32_t index;
    uv_loop_t *uv_loop;
    struct el_mailbox mailbox;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle;
    uv_timer_t timer;
    struct el_lane *lanes;  /* open */
    struct el_lane *active; /* with calls at their workers */
    uint64_t timer_at_ns;   /* EL_NEVER_NS: not armed */
    struct el_spin offers;  /* of the CPU, to others: whether looking is left off */
    bool parked;
    bool closing;
    unsigned open_handles;
    void (*closed)(void *argument);
    void *argument;
};

/* ---- worker.c ---- */

/* Looks at what has become true and does what follows from it. Swap. */
void el_worker_step(struct el_worker *worker);
/* Answers of the zygote. Swap. pidfd is taken over. */
void el_worker_spawned(struct el_worker *worker, pid_t pid, int pidfd);
void el_worker_exited(struct el_worker *worker, int wait_status);
void el_worker_zygote_lost(struct el_worker *worker);
/* It could not load, for the reason in status (taken over): FAILED comes soon, then the end. Swap. */
void el_worker_fail(struct el_worker *worker, struct el_status *status);
/* It has said that it is ready. Swap. */
void el_worker_ready(struct el_worker *worker);
/* It closed its control socket. Swap. */
void el_worker_hung_up(struct el_worker *worker);
/* Wakes the swap thread for el_worker_step(). Any thread. */
void el_worker_notify(struct el_worker *worker);
/* Makes the handles of the swap loop and listens to the control socket and the load's timeout. On failure no handle is open. */
struct el_status *el_worker_listen(struct el_worker *worker) EL_MUST_USE;

/* ---- start.c ---- */

/* Frees what el_worker_start() made; no uv handle is open. */
void el_worker_destroy(struct el_worker *worker);

/* ---- inside.c ---- */

/* A host on threads of this process, for EL_ISOLATION_NONE. Swap. */
struct el_status *el_worker_start_inside(struct el_worker *worker) EL_MUST_USE;

/* ---- scratch.c ---- */

/* A private, empty directory for the temporary files of a worker: its path, to free(). */
struct el_status *el_scratch_new(struct el_workers *workers, char **path) EL_MUST_USE;
/* Removes it with all that is in it, without following links. path may be NULL. */
void el_scratch_remove(const char *path);
/* When no worker is left: the one that all of them are in. */
void el_scratch_end(struct el_workers *workers);
/* Removes what fronts of the same user left behind when they were killed. Returns how many directories. Blocks on the disk. */
unsigned el_scratch_sweep(void);

/* ---- load.c: messages from the worker. Swap ---- */

void el_worker_read_control(struct el_worker *worker);
/* One message, from a worker that may be hostile. A status: it lied. */
struct el_status *el_worker_message(struct el_worker *worker, const uint8_t *bytes, size_t size) EL_MUST_USE;

/* ---- memory of a worker, without a process: parts.c ---- */

/* Shared memory, arena, slots and lanes. *memory is the descriptor of the shared memory. */
struct el_status *el_worker_parts_new(struct el_worker *worker, uint32_t slots, uint32_t lanes, uint64_t arena_bytes,
                                      int *memory) EL_MUST_USE;
void el_worker_parts_free(struct el_worker *worker);

/* ---- watch.c ---- */

uint64_t el_watch_private_bytes(pid_t pid);

/* How many processes the kernel has killed for want of memory since the machine started; 0: it does not say. */
uint64_t el_watch_oom_kills(void);
void el_watch_start(struct el_worker *worker);

/* ---- zygote.c. Swap ---- */

/* Has worker forked; el_worker_spawned() or el_worker_fail() follows. */
void el_zygote_spawn(struct el_worker *worker);
/* The worker does not want it any more. */
void el_zygote_forget(struct el_worker *worker);
void el_zygotes_free(struct el_workers *workers);

/* ---- workers.c ---- */

/* The engine, opened in this process. A reference for the caller. */
struct el_status *el_workers_engine(struct el_workers *workers, const char *name,
                                    struct el_engine **engine) EL_MUST_USE;
/* A uv handle of the swap thread was closed. */
void el_workers_handle_closed(struct el_workers *workers);

/* ---- answer.c. Loop ---- */

/* Takes the answers that are there, at most one lap of the ring, and calls done. Returns how many. */
uint32_t el_lane_drain(struct el_lane *lane);
/* The process is gone: takes what it answered, then ends the other calls. On the swap thread where the lane is closed. */
void el_lane_bury(struct el_lane *lane);
/* Ends with done a call that is owed it. status is taken over. */
void el_call_finish(struct el_call *call, struct el_status *status);

/* ---- calls.c. Loop ---- */

/* Gives slot and memory back. */
void el_call_release(struct el_call *call);
/* Memory for outputs; false if there is none. */
bool el_call_grant(struct el_call *call, uint64_t size);

/* ---- learned.c: how much memory outputs take. Loop ---- */

/* Memory for the outputs: what they took lately, or what their declared shapes let expect. */
struct el_status *el_learned_grant(struct el_call *call) EL_MUST_USE;
/* They took less (used), or need more, than they were granted. */
void el_learned_less(struct el_call *call, uint64_t used);
void el_learned_more(struct el_call *call, uint64_t need);
/* RESOURCE_EXHAUSTED: the arena has no room for size bytes. */
struct el_status *el_arena_full(const struct el_worker *worker, uint64_t size) EL_MUST_USE;

/* ---- hang.c. Loop ---- */

/* When a run that goes on counts as hanging; EL_NEVER_NS: never. */
uint64_t el_call_hung_ns(const struct el_call *call);
/*
 * A call that is at its worker: when it must be looked at again. A worker whose run hangs is killed; that is found out here and
 * done at once, so that the calls of the lane end a moment later.
 */
uint64_t el_call_watch(struct el_call *call, uint64_t now_ns);

/* ---- completions.c. Loop ---- */

/* A call was sent on this lane. */
void el_completions_sent(struct el_lane *lane);
/* A call wants to be answered at that time at the latest; 0: in the next turn of the loop. */
void el_completions_deadline(struct el_completions *completions, uint64_t at_ns);
/* A lane has no calls at its worker any more. */
void el_completions_idle(struct el_lane *lane);
/* With worker->lock held. */
struct el_status *el_lane_open(struct el_lane *lane, struct el_completions *completions) EL_MUST_USE;

#endif

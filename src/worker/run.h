/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_RUN_H
#define EL_WORKER_RUN_H

/*
 * One run of the engine, and how its answer gets to the front. Shared by
 * runner.c (threads, waiting), run.c (one call by itself) and
 * batch_run.c (several calls at once).
 *
 * All of it runs on the runner's own thread, but for el_run_cancel() (control thread). Outputs are written where the
 * front reads them, in the memory that it granted. When they do not fit, those that did not are kept in private memory
 * and the front is told what all of them take (NEED); it grants that much and says DELIVER, or DROP.
 *
 * Nothing here checks what the front wrote: the front is who the worker works for. What the engine gave is checked, so
 * that a mistake of an engine is an error of one call and not a lie of the worker.
 */

#include "worker/host_internal.h"
#include "worker/ring.h"

struct el_output {
    struct el_shm_tensor meta; /* offset and size are there once memory was found for it */
    void *kept;                /* where it lies if not in shared memory; owned */
    bool given;
};

/* Outputs that did not fit, until the front has granted the memory. */
struct el_rows;

struct el_kept {
    uint32_t count;
    struct el_output outputs[];
};

/* The answer to one call while it is made. */
struct el_outputs {
    struct el_output *list; /* count of them, ascending by meta.index; room fit */
    uint32_t count, room;
    uint64_t used; /* bytes of the granted memory that were given out */
    uint64_t need; /* bytes of all outputs */
    bool kept_some;
    const char *broken; /* what the engine did wrong when it asked for memory; NULL: nothing */
    bool unsplittable;  /* the first dim of one is not what it must be */
};

/* A call that a run is for. */
struct el_member {
    uint32_t slot;
    uint32_t generation;
};

struct el_runner {
    struct el_host *host;
    uint32_t index;
    pthread_t thread;
    struct el_shm_slot *slot; /* of the call that is run by itself */
    struct everlit_tensor *inputs;
    uint32_t input_room;
    struct el_outputs outputs;
    uint32_t *wanted; /* indexes of the outputs asked for; wanted_room fit */
    uint32_t wanted_room;

    /* For batches; batch_run.c. */
    struct el_rows *rows;     /* as many as the batch has pieces; piece_room fit */
    struct el_member *called; /* likewise */
    uint32_t piece_room;
    struct el_outputs share; /* the answer to one of the calls */
    uint8_t *merged;         /* the inputs of all; merged_room bytes */
    uint64_t merged_room;

    /* Guards the three below: the control thread may only cancel a run that has not ended. Taken with nothing else held. */
    pthread_mutex_t lock;
    const struct everlit_run *run; /* NULL: none */
    const struct el_member *members;
    uint32_t member_count;
};

/* Answers with an error, or with what stands in the slot. */
void el_run_complete(struct el_host *host, uint32_t slot, uint32_t generation, enum el_ring_op op);
void el_run_complete_error(struct el_host *host, uint32_t slot, uint32_t generation, enum el_code code,
                           const char *text);

/*
 * Memory for output, which becomes as tensor says: in what the slot was granted, else (or without a slot) private. NULL:
 * none, or broken says why. el_outputs_take() finds the output by the tensor's index: for everlit_run.output.
 */
void *el_outputs_place(const struct el_host *host, const struct el_shm_slot *slot, struct el_outputs *outputs,
                       struct el_output *output, const struct everlit_tensor *tensor);
void *el_outputs_take(const struct el_host *host, const struct el_shm_slot *slot, struct el_outputs *outputs,
                      const struct everlit_tensor *tensor);

/* An output that has its memory, as engines describe tensors. */
struct everlit_tensor el_output_tensor(const struct el_host *host, const struct el_output *output);

/* An empty answer with the outputs that the slot asks for. False: out of memory. */
bool el_outputs_begin(const struct el_host *host, const struct el_shm_slot *slot, struct el_outputs *outputs);

/* Room for the tensors of a call, and an empty answer. False: out of memory. */
bool el_run_prepare(struct el_runner *runner, const struct el_shm_slot *slot);

/* Where the descriptors of a call lie: its inputs, then its outputs. */
static inline struct el_shm_tensor *el_run_table(const struct el_host *host, const struct el_shm_slot *slot)
{
    return (struct el_shm_tensor *)(void *)(host->shm.base + slot->table);
}

/* An input of a call as engines take it. */
void el_run_input(const struct el_host *host, const struct el_shm_tensor *shared, struct everlit_tensor *input);

/*
 * Whether the outputs of a run that went well are what the signature says. rows: what the first dim of each must be; NULL:
 * whatever it is. EL_OK, or a code and error says what is wrong.
 */
enum el_code el_run_check_outputs(const struct el_host *host, uint32_t signature, struct el_outputs *outputs,
                                  const uint64_t *rows, struct everlit_error *error);

/* Hands outputs that are complete and right over to the front, or keeps them if they did not fit. */
void el_run_hand_over(struct el_host *host, uint32_t slot, uint32_t generation, struct el_outputs *outputs);

/* Frees what is kept of an answer that nobody gets. */
void el_outputs_forget(struct el_outputs *outputs);

/* True if nobody waits for the call any more; then it has been answered. Otherwise its run counts as begun: see hang.c. */
bool el_run_unwanted(struct el_host *host, uint32_t slot, uint32_t generation);

/* Lets the engine run, so that the members can cancel it. Returns a code of enum el_code; error's text is never empty then. */
enum el_code el_run_engine(struct el_runner *runner, const struct everlit_run *run, const struct el_member *members,
                           uint32_t member_count, struct everlit_error *error);

/* Runs one call by itself and answers it. rows: what the first dim of each output must be; NULL: whatever it is. */
void el_run_call(struct el_runner *runner, uint32_t slot, uint32_t generation, const uint64_t *rows);

/* The front has granted memory for kept outputs, or has none. */
void el_run_deliver(struct el_host *host, uint32_t slot, uint32_t generation);
void el_run_drop(struct el_host *host, uint32_t slot, uint32_t generation);
void el_kept_free(struct el_kept *kept);

#endif

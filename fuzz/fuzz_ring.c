/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A hostile worker, played by the fuzzer: what it writes into shared memory and rings, and what it says on the
 * control socket. Also the packets of the other direction, by which a worker is told what to host and how to batch.
 *
 * The input is a list of steps, of one byte each and their arguments. The front's code is the real one; only the
 * process behind the memory is missing. Whatever is written, each call must be answered exactly once, outputs must
 * lie where the call's memory is, and what was taken must come back.
 */

#include "base/clock.h"
#include "worker/internal.h"
#include "worker/ring.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SLOTS 8
#define ARENA (UINT64_C(1) << 20)

/* The front's part that all inputs share: made once, as a server would. */
struct house {
    uv_loop_t loop;
    struct el_workers *workers;
    struct el_completions *completions;
    struct el_buf signatures; /* what a well-behaved worker would send */
};

struct asked {
    struct el_call *call;
    unsigned answers;
};

struct play {
    const uint8_t *at;
    size_t left;
    struct el_worker *worker;
    struct asked asked[SLOTS];
};

static void must(int truth)
{
    if (!truth)
        abort();
}

static uint64_t take(struct play *play, size_t size)
{
    uint64_t number = 0;
    const size_t taken = size < play->left ? size : play->left;
    memcpy(&number, play->at, taken);
    play->at += taken;
    play->left -= taken;
    return number;
}

static void on_event(struct el_worker *worker, const struct el_worker_event *event, void *argument)
{
    (void)worker;
    (void)event;
    (void)argument;
}

static void on_letter(struct el_letter *letter)
{
    (void)letter; /* there is no process whose life could go on */
}

static void make_signatures(struct el_buf *bytes)
{
    char number[] = "number";
    char text[] = "text";
    char none[] = "";
    struct el_tensor_info numbers = { .name = number, .tensor_name = none, .dtype = EL_FLOAT, .shape = { 1, { -1 } } };
    struct el_tensor_info texts = { .name = text, .tensor_name = none, .dtype = EL_STRING, .shape = { 1, { -1 } } };
    struct el_signature list[] = {
        { .name = number,
          .method_name = none,
          .inputs = &numbers,
          .outputs = &numbers,
          .input_count = 1,
          .output_count = 1 },
        { .name = text,
          .method_name = none,
          .inputs = &numbers,
          .outputs = &texts,
          .input_count = 1,
          .output_count = 1 },
    };
    const struct el_signatures all = { .list = list, .count = 2 };
    must(el_signatures_encode(&all, bytes) == NULL);
}

static struct house *open_house(void)
{
    static struct house house;
    if (house.workers != NULL)
        return &house;
    must(uv_loop_init(&house.loop) == 0);
    const struct el_workers_options options = {
        .uv_loop = &house.loop, .helper_path = "/nowhere", .engine_dir = "/nowhere", .loops = 1
    };
    must(el_workers_new(&options, &house.workers) == NULL);
    must(el_completions_new(house.workers, 0, &house.loop, &house.completions) == NULL);
    make_signatures(&house.signatures);
    return &house;
}

static struct el_worker *open_worker(struct house *house)
{
    struct el_worker *worker = calloc(1, sizeof *worker);
    must(worker != NULL);
    pthread_mutex_init(&worker->lock, NULL);
    worker->workers = house->workers;
    worker->model = strdup("fuzzed");
    worker->on_event = on_event;
    worker->pidfd = worker->control = worker->peer_control = -1;
    worker->letter.open = on_letter;
    must(el_worker_parts_new(worker, SLOTS, 1, ARENA, &worker->memory) == NULL);
    return worker;
}

static void say(struct el_worker *worker, const struct el_buf *packet)
{
    struct el_status *lie = el_worker_message(worker, packet->data, packet->size);
    if (lie != NULL)
        el_worker_kill(worker, lie);
}

static void load(struct house *house, struct el_worker *worker)
{
    struct el_buf packet = { 0 };
    el_packet_u32(&packet, EL_MESSAGE_SIGNATURES);
    el_packet_u32(&packet, (uint32_t)house->signatures.size);
    el_buf_append(&packet, house->signatures.data, house->signatures.size);
    say(worker, &packet);
    el_buf_clear(&packet);
    el_packet_u32(&packet, EL_MESSAGE_LOADED);
    el_packet_u32(&packet, 1);
    el_packet_text(&packet, "fuzz");
    el_packet_text(&packet, "1");
    say(worker, &packet);
    el_buf_free(&packet);
    must(worker->loaded);
}

static void on_done(struct el_call *call, const struct el_status *status, void *argument)
{
    struct asked *asked = argument;
    must(++asked->answers == 1);
    if (status != NULL)
        return;
    const struct el_worker *worker = call->worker;
    const struct el_tensor *outputs;
    const uint32_t count = el_call_outputs(call, &outputs);
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *first = worker->shm.base + worker->shm.arena + call->granted;
        const uint8_t *data = outputs[i].data;
        must(data >= first && outputs[i].size <= call->granted_size &&
             data + outputs[i].size <= first + call->granted_size);
        size_t elements;
        must(el_shape_elements(&outputs[i].shape, &elements) == NULL);
        for (size_t e = 0; outputs[i].dtype == EL_STRING && e < elements && e < 64; e++) {
            size_t length;
            const char *text = el_tensor_string(&outputs[i], e, &length);
            must((const uint8_t *)text >= data && (const uint8_t *)text + length <= data + outputs[i].size);
        }
    }
}

static void end(struct asked *asked)
{
    if (asked->call == NULL || asked->answers == 0)
        return;
    el_call_end(asked->call);
    *asked = (struct asked){ 0 };
}

static void ask(struct play *play, struct house *house)
{
    struct asked *asked = &play->asked[take(play, 1) % SLOTS];
    end(asked);
    if (asked->call != NULL)
        return;
    struct el_status *status = el_call_begin(play->worker, house->completions, (uint32_t)take(play, 1) % 2,
                                             &asked->call);
    if (status != NULL) {
        el_status_free(status);
        asked->call = NULL;
        return;
    }
    const struct el_shape shape = { .rank = 1, .dims = { (int64_t)(take(play, 2) % 20000) } };
    void *data;
    status = el_call_input(asked->call, 0, EL_FLOAT, &shape, (size_t)shape.dims[0] * 4, &data);
    if (status == NULL)
        status = el_call_submit(asked->call, (const uint32_t[]){ 0 }, 1, EL_NEVER_NS, on_done, asked);
    if (status == NULL)
        return;
    el_status_free(status);
    el_call_end(asked->call);
    asked->call = NULL;
}

/* A number near what would be right. */
static uint64_t plausible(struct play *play, uint64_t right)
{
    const uint64_t how = take(play, 1);
    return how < 200 ? right : how < 230 ? right + how - 215 : take(play, 8);
}

/* An answer that is right in all the fuzzer leaves right. */
static void answer(struct play *play)
{
    struct el_shm *shm = &play->worker->shm;
    const uint32_t slot = (uint32_t)take(play, 1) % SLOTS;
    const struct el_call *call = &play->worker->calls[slot];
    struct el_shm_slot *shared = &shm->slots[slot];
    const bool text = call->signature == 1;
    const uint64_t elements = plausible(play, 2);
    struct el_shm_tensor output = {
        .offset = plausible(play, shm->arena + call->granted),
        .size = plausible(play, text ? (elements + 1) * 8 : elements * 4),
        .dtype = (int32_t)plausible(play, text ? EL_STRING : EL_FLOAT),
        .rank = (int32_t)plausible(play, 1),
        .dims = { (int64_t)elements },
    };
    shared->tensors[1] = output;
    shared->code = (uint32_t)plausible(play, 0);
    shared->need = plausible(play, call->granted_size + 64);
    shared->completed_ns = plausible(play, el_now_ns());
    if (text && output.offset < shm->size - 4096) {
        uint64_t *offsets = (uint64_t *)(void *)(shm->base + output.offset / 8 * 8);
        for (uint64_t i = 0; i < 3; i++)
            offsets[i] = plausible(play, (elements + 1) * 8);
    }
    const enum el_ring_op op = (enum el_ring_op)plausible(play, take(play, 1) % 4 == 0 ? EL_RING_NEED : EL_RING_DONE);
    const uint32_t generation = (uint32_t)plausible(play, call->generation);
    el_ring_put(el_shm_completions(shm, 0), shm->ring_size, &shm->header->lanes[0].tail,
                el_ring_message(op, (uint32_t)plausible(play, slot), generation));
}

static void scribble(struct play *play)
{
    struct el_shm *shm = &play->worker->shm;
    const uint64_t where = take(play, 4) % (shm->arena / 8) * 8; /* header, slots and rings */
    const uint64_t what = take(play, 8);
    memcpy(shm->base + where, &what, sizeof what);
}

static void step(struct play *play, struct house *house)
{
    struct el_worker *worker = play->worker;
    switch (take(play, 1) % 8) {
    case 0:
    case 1:
        ask(play, house);
        break;
    case 2:
    case 3:
        answer(play);
        break;
    case 4:
        scribble(play);
        break;
    case 5:
        if (worker->lanes[0].open)
            el_lane_drain(&worker->lanes[0]);
        break;
    case 6:
        uv_run(&house->loop, UV_RUN_NOWAIT);
        break;
    default: {
        struct asked *asked = &play->asked[take(play, 1) % SLOTS];
        if (asked->call != NULL && asked->answers == 0)
            el_call_cancel(asked->call);
        else
            end(asked);
    }
    }
}

/* The process is gone: every call has its answer, and all memory comes back. */
static void bury(struct play *play, struct house *house)
{
    struct el_worker *worker = play->worker;
    pthread_mutex_lock(&worker->lock);
    worker->accepting = false;
    worker->gone = true;
    worker->last_words = el_status_new(EL_UNAVAILABLE, "gone");
    if (worker->lanes[0].open)
        el_mailbox_post(&house->completions->mailbox, &worker->lanes[0].death);
    pthread_mutex_unlock(&worker->lock);
    while (worker->open_lanes > 0)
        uv_run(&house->loop, UV_RUN_NOWAIT);
    for (size_t i = 0; i < SLOTS; i++) {
        must(play->asked[i].call == NULL || play->asked[i].answers == 1);
        end(&play->asked[i]);
    }
    must(worker->free_count == SLOTS);
    struct el_tensor_arena_usage usage;
    el_tensor_arena_usage(worker->arena, &usage);
    must(usage.taken_bytes == 0);
    uv_run(&house->loop, UV_RUN_NOWAIT);
    el_mailbox_withdraw(&house->workers->mailbox, &worker->letter);
    el_worker_destroy(worker);
}

/* What a worker reads is what was sent, and makes sense to what works with it unasked. */
static void sensible(const struct el_batching *batching)
{
    must(batching->allowed_count <= EL_ALLOWED_BATCH_SIZES);
    must(!batching->on || batching->execution_rows > 0);
}

static void told_to_batch(const uint8_t *data, size_t size)
{
    struct el_packet packet = el_packet_open(data, size);
    struct el_batching batching, again;
    if (!el_packet_read_batching(&packet, &batching) || !el_packet_read_done(&packet))
        return;
    sensible(&batching);
    struct el_buf sent = { 0 };
    el_packet_batching(&sent, &batching);
    must(sent.size == size);
    packet = el_packet_open(sent.data, sent.size);
    must(el_packet_read_batching(&packet, &again) && el_packet_read_done(&packet));
    must(memcmp(&again, &batching, sizeof again) == 0);
    el_buf_free(&sent);
}

static void told_to_start(const uint8_t *data, size_t size)
{
    struct el_packet packet = el_packet_open(data, size);
    struct el_start start, again;
    if (!el_packet_read_start(&packet, &start))
        return;
    sensible(&start.batching);
    struct el_buf sent = { 0 };
    el_packet_start(&sent, &start);
    packet = el_packet_open(sent.data, sent.size);
    must(el_packet_read_u32(&packet) == EL_MESSAGE_START);
    must(packet.left == size && el_packet_read_start(&packet, &again));
    must(memcmp(&again.batching, &start.batching, sizeof again.batching) == 0);
    must(strcmp(again.path, start.path) == 0 && strcmp(again.scratch_path, start.scratch_path) == 0);
    el_start_free(&again);
    el_start_free(&start);
    el_buf_free(&sent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] % 8 == 4) {
        told_to_batch(data + 1, size - 1);
        return 0;
    }
    if (size > 0 && data[0] % 16 == 8) {
        told_to_start(data + 1, size - 1);
        return 0;
    }
    struct house *house = open_house();
    struct play play = { .at = data, .left = size };
    play.worker = open_worker(house);
    const uint64_t kind = take(&play, 1);
    if (kind % 4 == 0) {
        /* What it says while it loads: packets with a length before each. */
        while (play.left > 0 && !play.worker->killed) {
            const size_t length = take(&play, 2) % EL_PACKET_MAX;
            const size_t real = length < play.left ? length : play.left;
            uint8_t *packet = malloc(real == 0 ? 1 : real); /* of its very size, so that reading beyond is seen */
            must(packet != NULL);
            memcpy(packet, play.at, real);
            play.at += real;
            play.left -= real;
            struct el_status *lie = el_worker_message(play.worker, packet, real);
            free(packet);
            if (lie != NULL)
                el_worker_kill(play.worker, lie);
        }
    } else {
        load(house, play.worker);
        while (play.left > 0)
            step(&play, house);
    }
    bury(&play, house);
    return 0;
}

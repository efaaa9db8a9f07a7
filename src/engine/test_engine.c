/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An engine that behaves as told, for tests: engine_test.so. Built, never installed.
 *
 * What to do stands in the file test_engine.txt in the version's directory, one `name=value` a line; without the file
 * it is a well-behaved model.
 *
 *     open=ok | fail | abort | segv | exit | kill | hang | slow MS
 *     threads=N           threads that open starts and leaves running
 *     memory=MIB          private memory that open takes
 *     signatures=ok | fail | garbage | unsorted | huge | too-many
 *     run=ok | fail | abort | segv | exit | hang | slow MS | nan | shape | dtype | missing | twice | scribble | need-more
 *     value=NUMBER        what the second column of prediction holds (default 1)
 *     run=picky           fails with INVALID_ARGUMENT where a row begins with a negative number
 *     run=short           gives one row less than it got
 *     run=same            each row is answered alike: 1
 *     above=NUMBER        run is obeyed only where a row adds up to more: rows of clients, not those that the probe makes up
 *     gate=PATH           each run waits as long as that file is there
 *     rows=PATH           each run adds a line there when it begins: how many rows its input has
 *     reread=1            read the file again at each run
 *     hang=PATH           a run never ends if there is such a file when it begins; and open=kill only kills then
 *     tally=PATH          each run appends its process id, one a line
 *     start=fail | abort  in the file that the environment variable EVERLIT_TEST_ENGINE names, read by start()
 *
 * The model (signatures and tensors sorted by name):
 *
 *     features          input float [-1,4]  →  features float [-1,4]: the input doubled
 *     serving_default   input float [-1,4]  →  prediction float [-1,2]: sum of the row, value
 *     text              text string [-1]    →  text string [-1]: each string as it is, with ! behind it
 *     wide              count int64 []      →  wide float [-1]: 0, 1, 2... count - 1
 *
 * `slow` ends early when cancelled or beyond the deadline; `hang` does not. `scribble` overwrites all memory shared
 * with the front with hostile and random numbers, again and again, from a thread of its own.
 */

#include "base/random.h"
#include "engine/test_hostile.h"
#include "everlit/engine.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DT_FLOAT = 1, DT_INT32 = 3, DT_STRING = 7, DT_INT64 = 9 };
enum { FEATURES, SERVING_DEFAULT, TEXT, WIDE, SIGNATURES };
enum {
    CODE_CANCELLED = 1,
    CODE_INVALID = 3,
    CODE_DEADLINE = 4,
    CODE_PRECONDITION = 9,
    CODE_EXHAUSTED = 8,
    CODE_INTERNAL = 13
};

struct orders {
    char open[32], signatures[32], run[32], start[32], tally[32], hang[32];
    char gate[96], rows[96];
    double value, above;
    unsigned threads, memory_mib;
    bool reread;
};

struct model {
    char *path; /* of test_engine.txt */
    struct orders orders;
    void *memory;
    size_t memory_size;
    _Atomic bool closing;
    pthread_t threads[64];
    unsigned thread_count;
    _Atomic(const struct everlit_run *) cancelled;
    _Atomic bool scribbling;
    struct everlit_signature *huge;
    struct everlit_tensor_info *huge_tensors;
};

static void read_orders(const char *path, struct orders *orders)
{
    memset(orders, 0, sizeof *orders);
    orders->value = 1;
    orders->above = -HUGE_VAL;
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    if (file == NULL)
        return;
    char line[128];
    while (fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        char *value = strchr(line, '=');
        if (value == NULL)
            continue;
        *value++ = '\0';
        const struct {
            const char *name;
            char *to;
        } texts[] = { { "open", orders->open }, { "signatures", orders->signatures },
                      { "run", orders->run },   { "start", orders->start },
                      { "hang", orders->hang }, { "tally", orders->tally } };
        for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
            if (strcmp(line, texts[i].name) == 0)
                snprintf(texts[i].to, sizeof orders->open, "%s", value);
        if (strcmp(line, "gate") == 0)
            snprintf(orders->gate, sizeof orders->gate, "%s", value);
        else if (strcmp(line, "rows") == 0)
            snprintf(orders->rows, sizeof orders->rows, "%s", value);
        else if (strcmp(line, "value") == 0)
            orders->value = strtod(value, NULL);
        else if (strcmp(line, "above") == 0)
            orders->above = strtod(value, NULL);
        else if (strcmp(line, "threads") == 0)
            orders->threads = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(line, "memory") == 0)
            orders->memory_mib = (unsigned)strtoul(value, NULL, 10);
        else if (strcmp(line, "reread") == 0)
            orders->reread = *value == '1';
    }
    fclose(file);
}

static int fail(struct everlit_error *error, int code, const char *text)
{
    snprintf(error->text, sizeof error->text, "%s", text);
    return code;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void pause_ms(long ms)
{
    struct timespec span = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    while (nanosleep(&span, &span) != 0 && errno == EINTR)
        continue;
}

/* The orders that end or stop the process, the same for open and run. Returns if the order is another. */
static void obey_harshly(const char *order)
{
    if (strcmp(order, "abort") == 0)
        abort();
    if (strcmp(order, "segv") == 0) {
        signal(SIGSEGV, SIG_DFL); /* not through a sanitizer's report */
        raise(SIGSEGV);
    }
    if (strcmp(order, "exit") == 0)
        _exit(7);
    if (strcmp(order, "kill") == 0)
        raise(SIGKILL);
    while (strcmp(order, "hang") == 0)
        pause_ms(1000);
}

static int test_start(struct everlit_error *error)
{
    struct orders orders;
    read_orders(getenv("EVERLIT_TEST_ENGINE"), &orders);
    obey_harshly(orders.start);
    return strcmp(orders.start, "fail") == 0 ? fail(error, CODE_PRECONDITION, "told to fail when it starts") : 0;
}

static void *idle_thread(void *argument)
{
    const struct model *model = argument;
    while (!atomic_load(&model->closing))
        pause_ms(5);
    return NULL;
}

static void test_close(void *pointer)
{
    struct model *model = pointer;
    atomic_store(&model->closing, true);
    for (unsigned i = 0; i < model->thread_count; i++)
        pthread_join(model->threads[i], NULL);
    free(model->huge);
    free(model->huge_tensors);
    free(model->memory);
    free(model->path);
    free(model);
}

static int obey_open(struct model *model, struct everlit_error *error)
{
    const struct orders *orders = &model->orders;
    if (strcmp(orders->open, "kill") != 0 || orders->hang[0] == '\0' || access(orders->hang, F_OK) == 0)
        obey_harshly(orders->open);
    if (strncmp(orders->open, "slow ", 5) == 0)
        pause_ms(strtol(orders->open + 5, NULL, 10));
    if (strcmp(orders->open, "fail") == 0)
        return fail(error, CODE_PRECONDITION, "told to fail when it opens");
    if (orders->memory_mib > 0) {
        model->memory_size = (size_t)orders->memory_mib << 20;
        model->memory = malloc(model->memory_size);
        if (model->memory == NULL)
            return fail(error, CODE_EXHAUSTED, "out of memory");
        /* In steps, as reading a file would: a limit has a chance to act. */
        for (size_t at = 0; at < model->memory_size; at += 1 << 20) {
            memset((char *)model->memory + at, 1, 1 << 20);
            pause_ms(1);
        }
    }
    for (unsigned i = 0; i < orders->threads && i < 64; i++) {
        if (pthread_create(&model->threads[i], NULL, idle_thread, model) != 0)
            return fail(error, CODE_EXHAUSTED, "no thread");
        model->thread_count++;
    }
    return 0;
}

static int test_open(const struct everlit_open_options *options, void **opened, struct everlit_error *error)
{
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL || asprintf(&model->path, "%s/test_engine.txt", options->path) < 0) {
        free(model);
        return fail(error, CODE_EXHAUSTED, "out of memory");
    }
    read_orders(model->path, &model->orders);
    const int code = obey_open(model, error);
    if (code != 0) {
        test_close(model);
        return code;
    }
    *opened = model;
    return 0;
}

/* ---- signatures ---- */

static const struct everlit_tensor_info input_rows = {
    .name = "input", .tensor_name = "input:0", .dtype = DT_FLOAT, .rank = 2, .dims = { -1, 4 }
};
static const struct everlit_tensor_info features_rows = {
    .name = "features", .tensor_name = "features:0", .dtype = DT_FLOAT, .rank = 2, .dims = { -1, 4 }
};
static const struct everlit_tensor_info prediction_rows = {
    .name = "prediction", .tensor_name = "prediction:0", .dtype = DT_FLOAT, .rank = 2, .dims = { -1, 2 }
};
static const struct everlit_tensor_info text_list = {
    .name = "text", .tensor_name = "text:0", .dtype = DT_STRING, .rank = 1, .dims = { -1 }
};
static const struct everlit_tensor_info count_scalar = {
    .name = "count", .tensor_name = "count:0", .dtype = DT_INT64, .rank = 0, .dims = { 0 }
};
static const struct everlit_tensor_info wide_list = {
    .name = "wide", .tensor_name = "wide:0", .dtype = DT_FLOAT, .rank = 1, .dims = { -1 }
};
static const struct everlit_tensor_info unnamed = {
    .name = NULL, .tensor_name = NULL, .dtype = 99, .rank = 40, .dims = { 0 }
};

#define METHOD "tensorflow/serving/predict"
static const struct everlit_signature signatures[SIGNATURES] = {
    [FEATURES] = { "features", METHOD, &input_rows, &features_rows, 1, 1 },
    [SERVING_DEFAULT] = { "serving_default", METHOD, &input_rows, &prediction_rows, 1, 1 },
    [TEXT] = { "text", METHOD, &text_list, &text_list, 1, 1 },
    [WIDE] = { "wide", METHOD, &count_scalar, &wide_list, 1, 1 },
};
static const struct everlit_signature garbage[] = { { "x", NULL, &unnamed, &unnamed, 1, 1 } };
static const struct everlit_signature unsorted[] = {
    { "z", METHOD, &input_rows, &features_rows, 1, 1 },
    { "a", METHOD, &input_rows, &features_rows, 1, 1 },
};

/* count signatures, at most COUNT, of as many tensors as one request can carry. */
static int make_huge(struct model *model, int count, struct everlit_error *error)
{
    enum { COUNT = 100, TENSORS = 1024 };
    static char names[TENSORS][16];
    static char signature_names[COUNT][16];
    model->huge = calloc(COUNT, sizeof *model->huge);
    model->huge_tensors = calloc(TENSORS, sizeof *model->huge_tensors);
    if (model->huge == NULL || model->huge_tensors == NULL)
        return fail(error, CODE_EXHAUSTED, "out of memory");
    for (int i = 0; i < TENSORS; i++) {
        snprintf(names[i], sizeof names[i], "tensor_%04d", i);
        model->huge_tensors[i] = (struct everlit_tensor_info){
            .name = names[i], .tensor_name = names[i], .dtype = DT_FLOAT, .rank = 1, .dims = { 2 }
        };
    }
    for (int i = 0; i < count; i++) {
        snprintf(signature_names[i], sizeof signature_names[i], "sig_%04d", i);
        model->huge[i] = (struct everlit_signature){ signature_names[i],  METHOD,  model->huge_tensors,
                                                     model->huge_tensors, TENSORS, TENSORS };
    }
    return 0;
}

static int test_signatures(void *pointer, const struct everlit_signature **list, uint32_t *count,
                           struct everlit_error *error)
{
    struct model *model = pointer;
    const char *order = model->orders.signatures;
    *list = signatures;
    *count = SIGNATURES;
    if (strcmp(order, "fail") == 0)
        return fail(error, CODE_INTERNAL, "told to fail when asked for signatures");
    if (strcmp(order, "garbage") == 0) {
        *list = garbage;
        *count = 1;
    } else if (strcmp(order, "unsorted") == 0) {
        *list = unsorted;
        *count = 2;
    } else if (strcmp(order, "huge") == 0 || strcmp(order, "too-many") == 0) {
        *count = strcmp(order, "huge") == 0 ? 30 : 100; /* 61,440 and 204,800 tensors */
        const int code = make_huge(model, (int)*count, error);
        *list = model->huge;
        return code;
    }
    return 0;
}

/* ---- scribbling ---- */

static uint64_t hostile_number(uint64_t *seed)
{
    static const uint64_t favourites[] = {
        0,           1,  UINT64_MAX, INT64_MAX,      0xffffffffu,         0x80000000u,
        0x7fffffffu, 64, 4096,       (1u << 24) | 1, 0x0400000001000000u, 16
    };
    const uint64_t x = el_random_next(seed);
    return x % 3 == 0 ? favourites[(x >> 8) % (sizeof favourites / sizeof *favourites)] : x;
}

static void *scribble(void *argument)
{
    (void)argument;
    el_hostile_begin();
    uint64_t seed = 88172645463325252u;
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    uint64_t *from = NULL;
    size_t count = 0;
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        char *dash;
        const unsigned long first = strtoul(line, &dash, 16);
        const unsigned long last = *dash == '-' ? strtoul(dash + 1, NULL, 16) : 0;
        if (strstr(line, "memfd:everlit") == NULL || last <= first)
            continue;
        memcpy(&from, &first, sizeof from);
        /* Rings, slots and the beginning of the arena; the rest is never used by small calls. */
        count = (last - first < (8u << 20) ? last - first : (8u << 20)) / sizeof *from;
    }
    if (maps != NULL)
        fclose(maps);
    if (from == NULL)
        return NULL;
    for (unsigned long round = 0;; round++) {
        const size_t step = round % 2 == 0 ? 1 : hostile_number(&seed) % 64 + 1;
        for (size_t i = 0; i < count; i += step)
            ((volatile uint64_t *)from)[i] = hostile_number(&seed);
    }
}

/* ---- runs ---- */

static int missing_memory(struct everlit_error *error)
{
    return fail(error, CODE_EXHAUSTED, "no memory for an output");
}

static int run_rows(const struct model *model, const struct orders *orders, const struct everlit_run *run,
                    struct everlit_error *error)
{
    (void)model;
    const struct everlit_tensor *input = &run->inputs[0];
    if (input->dtype != DT_FLOAT || input->rank != 2 || input->dims[1] != 4)
        return fail(error, CODE_INVALID, "input must be float [n,4]");
    int64_t rows = input->dims[0];
    const float *first = input->data;
    for (int64_t row = 0; row < rows && strcmp(orders->run, "picky") == 0; row++)
        if (first[row * 4] < 0)
            return fail(error, CODE_INVALID, "a row begins with a negative number");
    if (strcmp(orders->run, "short") == 0)
        rows--;
    const bool features = run->signature == FEATURES;
    int64_t columns = features ? 4 : 2;
    if (strcmp(orders->run, "shape") == 0)
        columns = 3;
    if (strcmp(orders->run, "need-more") == 0)
        columns = 1000;
    struct everlit_tensor output = { .index = 0, .dtype = DT_FLOAT, .rank = 2, .dims = { rows, columns } };
    output.size = (uint64_t)(rows * columns) * sizeof(float);
    if (strcmp(orders->run, "missing") == 0)
        return 0;
    if (strcmp(orders->run, "dtype") == 0)
        output.dtype = DT_INT32;
    float *to = run->output(run->host, &output);
    if (to == NULL)
        return missing_memory(error);
    if (strcmp(orders->run, "twice") == 0 && run->output(run->host, &output) == NULL)
        return missing_memory(error);
    const float *from = input->data;
    const bool nan = strcmp(orders->run, "nan") == 0, same = strcmp(orders->run, "same") == 0;
    for (int64_t row = 0; row < rows; row++) {
        float sum = 0;
        for (int64_t i = 0; i < 4; i++)
            sum += from[row * 4 + i];
        for (int64_t i = 0; i < columns; i++) {
            float cell = features ? from[row * 4 + i % 4] * 2 : i == 0 ? sum : (float)orders->value;
            to[row * columns + i] = nan ? NAN : same ? 1 : cell;
        }
    }
    return 0;
}

static int run_text(const struct everlit_run *run, struct everlit_error *error)
{
    const struct everlit_tensor *input = &run->inputs[0];
    if (input->dtype != DT_STRING || input->rank != 1)
        return fail(error, CODE_INVALID, "text must be string [n]");
    const size_t count = (size_t)input->dims[0];
    const uint64_t *from = input->data;
    struct everlit_tensor output = *input;
    output.index = 0;
    output.size = input->size + count;
    uint64_t *to = run->output(run->host, &output);
    if (to == NULL)
        return missing_memory(error);
    char *bytes = (char *)to;
    uint64_t at = (count + 1) * sizeof *to;
    for (size_t i = 0; i < count; i++) {
        const uint64_t length = from[i + 1] - from[i];
        to[i] = at;
        memcpy(bytes + at, (const char *)input->data + from[i], length);
        bytes[at + length] = '!';
        at += length + 1;
    }
    to[count] = at;
    return 0;
}

static int run_wide(const struct everlit_run *run, struct everlit_error *error)
{
    const struct everlit_tensor *input = &run->inputs[0];
    if (input->dtype != DT_INT64 || input->rank != 0)
        return fail(error, CODE_INVALID, "count must be a scalar int64");
    const int64_t count = *(const int64_t *)input->data;
    if (count < 0 || count > (INT64_C(1) << 32))
        return fail(error, CODE_INVALID, "count is out of range");
    struct everlit_tensor output = { .index = 0, .dtype = DT_FLOAT, .rank = 1, .dims = { count } };
    output.size = (uint64_t)count * sizeof(float);
    float *to = run->output(run->host, &output);
    if (to == NULL)
        return missing_memory(error);
    for (int64_t i = 0; i < count; i++)
        to[i] = (float)i;
    return 0;
}

/* With signatures=huge: every output is [2], its number and the sum of the first input. */
static int run_huge(const struct everlit_run *run, struct everlit_error *error)
{
    const float *first = run->input_count > 0 ? run->inputs[0].data : NULL;
    for (uint32_t i = 0; i < run->output_count; i++) {
        const struct everlit_tensor output = {
            .index = run->outputs[i], .dtype = DT_FLOAT, .rank = 1, .dims = { 2 }, .size = 2 * sizeof(float)
        };
        float *to = run->output(run->host, &output);
        if (to == NULL)
            return missing_memory(error);
        to[0] = (float)run->outputs[i];
        to[1] = first == NULL ? 0 : first[0] + first[1];
    }
    return 0;
}

static int slowly(struct model *model, const struct everlit_run *run, long ms, struct everlit_error *error)
{
    const uint64_t end = now_ns() + (uint64_t)ms * 1000000;
    while (now_ns() < end) {
        const struct everlit_run *mine = run;
        if (atomic_compare_exchange_strong(&model->cancelled, &mine, NULL))
            return fail(error, CODE_CANCELLED, "cancelled while it ran");
        if (now_ns() >= run->deadline_ns)
            return fail(error, CODE_DEADLINE, "the deadline passed while it ran");
        pause_ms(1);
    }
    return 0;
}

static bool applies(const struct orders *orders, const struct everlit_run *run)
{
    const struct everlit_tensor *input = &run->inputs[0];
    if (isinf(orders->above))
        return true;
    if (run->input_count == 0 || input->dtype != DT_FLOAT || input->size < 4 * sizeof(float))
        return false;
    const float *row = input->data;
    return (double)row[0] + (double)row[1] + (double)row[2] + (double)row[3] > orders->above;
}

static void count_run(const char *path)
{
    FILE *file = fopen(path, "ae");
    if (file == NULL)
        return;
    fprintf(file, "%d\n", (int)getpid());
    fclose(file);
}

static void note_rows(const char *path, const struct everlit_run *run)
{
    FILE *file = fopen(path, "ae");
    if (file == NULL)
        return;
    fprintf(file, "%lld\n", run->input_count > 0 && run->inputs[0].rank > 0 ? (long long)run->inputs[0].dims[0] : 0);
    fclose(file);
}

static int test_run(void *pointer, const struct everlit_run *run, struct everlit_error *error)
{
    struct model *model = pointer;
    struct orders reread;
    struct orders spared;
    const struct orders *orders = &model->orders;
    if (orders->reread) {
        read_orders(model->path, &reread);
        orders = &reread;
    }
    if (!applies(orders, run)) {
        spared = *orders;
        spared.run[0] = '\0';
        orders = &spared;
    }
    if (orders->tally[0] != '\0')
        count_run(orders->tally);
    if (orders->hang[0] != '\0' && access(orders->hang, F_OK) == 0)
        obey_harshly("hang");
    if (orders->rows[0] != '\0')
        note_rows(orders->rows, run);
    while (orders->gate[0] != '\0' && access(orders->gate, F_OK) == 0)
        pause_ms(1);
    if (orders->run[0] != '\0') {
        obey_harshly(orders->run);
        if (strcmp(orders->run, "fail") == 0)
            return fail(error, CODE_INTERNAL, "told to fail when it runs");
        if (strcmp(orders->run, "scribble") == 0 && !atomic_exchange(&model->scribbling, true)) {
            pthread_t thread;
            if (pthread_create(&thread, NULL, scribble, NULL) == 0)
                pthread_detach(thread);
        }
        if (strncmp(orders->run, "slow ", 5) == 0) {
            const int code = slowly(model, run, strtol(orders->run + 5, NULL, 10), error);
            if (code != 0)
                return code;
        }
    }
    if (model->huge != NULL)
        return run_huge(run, error);
    switch (run->signature) {
    case TEXT:
        return run_text(run, error);
    case WIDE:
        return run_wide(run, error);
    default:
        return run_rows(model, orders, run, error);
    }
}

static void test_cancel(void *pointer, const struct everlit_run *run)
{
    struct model *model = pointer;
    atomic_store(&model->cancelled, run);
}

static int test_memory(void *pointer, struct everlit_memory *memory, struct everlit_error *error)
{
    (void)error;
    const struct model *model = pointer;
    memory->host_bytes = model->memory_size;
    memory->device_bytes = 0;
    return 0;
}

static void test_stop(void)
{
}

__attribute__((visibility("default"))) const struct everlit_engine *everlit_engine_get(uint32_t major)
{
    static const struct everlit_engine engine = {
        .major = EVERLIT_ENGINE_MAJOR,
        .minor = EVERLIT_ENGINE_MINOR,
        .struct_size = sizeof engine,
        .name = "test",
        .version = "1.0",
        .start = test_start,
        .open = test_open,
        .signatures = test_signatures,
        .run = test_run,
        .cancel = test_cancel,
        .memory = test_memory,
        .close = test_close,
        .stop = test_stop,
    };
    return major == EVERLIT_ENGINE_MAJOR ? &engine : NULL;
}

/* SPDX-License-Identifier: Apache-2.0 */

/* What all workers share: where the helper and the engines are, the engines opened in this process, the mailbox of the swap thread. */

#include "worker/internal.h"

#include "worker/priority.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* An engine for EL_ISOLATION_NONE. */
struct el_shared_engine {
    struct el_shared_engine *next;
    struct el_engine *engine;
    char name[];
};

/* The directory part of path, to free(). */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? strdup(".") : strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static char *directory_of_program(void)
{
    char path[PATH_MAX];
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0)
        return NULL;
    path[length] = '\0';
    return directory_of(path);
}

/* DIR/NAME if it is there: to free(); otherwise NULL. */
static char *look_in(const char *dir, const char *name)
{
    char *path;
    if (dir == NULL || asprintf(&path, "%s/%s", dir, name) < 0)
        return NULL;
    if (access(path, F_OK) == 0)
        return path;
    free(path);
    return NULL;
}

/* Beside the program; in the build folder it came from; where it is installed. */
static struct el_status *find_helper(char **found)
{
    char *program = directory_of_program();
    char *path = look_in(program, "everlit-worker");
    if (path == NULL)
        path = look_in(program, "../worker/everlit-worker");
    if (path == NULL)
        path = look_in(EVERLIT_LIBEXEC_DIR, "everlit-worker");
    *found = path;
    struct el_status *status = NULL;
    if (path == NULL)
        status = el_status_new(
            EL_FAILED_PRECONDITION,
            "the program everlit-worker is neither in %s nor in %s; type `make` in Everlit's source to "
            "build it, or install the package again",
            program == NULL ? "the program's folder" : program, EVERLIT_LIBEXEC_DIR);
    free(program);
    return status;
}

/* Where plug-ins are: beside the helper, in the build folder it came from, or where they are installed. */
static char *find_engine_dir(const char *helper)
{
    char *beside = directory_of(helper);
    char *built = look_in(beside, "../engine");
    if (built != NULL) {
        free(beside);
        return built;
    }
    char *any = look_in(beside, "engine_tensorflow.so");
    if (any == NULL)
        any = look_in(beside, "engine_openvino.so");
    if (any == NULL) {
        free(beside);
        return strdup(EVERLIT_ENGINE_DIR);
    }
    free(any);
    return beside;
}

static void on_closed(uv_handle_t *handle)
{
    el_workers_handle_closed(handle->data);
}

static void destroy(struct el_workers *workers)
{
    el_scratch_end(workers);
    free(workers->helper_path);
    free(workers->engine_dir);
    free(workers);
}

void el_workers_handle_closed(struct el_workers *workers)
{
    if (--workers->open_handles > 0 || !workers->freeing)
        return;
    el_mailbox_destroy(&workers->mailbox);
    destroy(workers);
}

struct el_status *el_workers_new(const struct el_workers_options *options, struct el_workers **workers)
{
    if (options->loops == 0 || options->loops > EL_MAX_LOOPS)
        return el_status_new(EL_INVALID_ARGUMENT, "%u event loops: expected 1 to %d", options->loops, EL_MAX_LOOPS);
    struct el_workers *made = calloc(1, sizeof *made);
    if (made == NULL)
        return el_status_no_memory();
    made->uv_loop = options->uv_loop;
    made->log = options->log;
    made->loops = options->loops;
    made->prefer_tflite = options->prefer_tflite;
    made->intra_op_threads = options->intra_op_threads;
    made->inter_op_threads = options->inter_op_threads;
    made->tags = options->tags != NULL && *options->tags != 0 ? options->tags : "serve";
    struct el_status *status = NULL;
    if (options->helper_path == NULL)
        status = find_helper(&made->helper_path);
    else if ((made->helper_path = strdup(options->helper_path)) == NULL)
        status = el_status_no_memory();
    if (status == NULL) {
        made->engine_dir = options->engine_dir != NULL ? strdup(options->engine_dir)
                                                       : find_engine_dir(made->helper_path);
        if (made->engine_dir == NULL)
            status = el_status_no_memory();
    }
    if (status == NULL)
        status = el_mailbox_init(&made->mailbox, made->uv_loop);
    if (status != NULL) {
        destroy(made);
        return status;
    }
    made->mailbox.async.data = made;
    made->open_handles = 1;
    made->idle_cpu = el_priority_can_return();
    if (!made->idle_cpu)
        el_log(made->log, EL_LOG_WARNING, "no_idle_cpu",
               el_str("text", "versions load at normal CPU priority: leaving SCHED_IDLE needs CAP_SYS_NICE or "
                              "RLIMIT_NICE (ulimit -e) of 20 or more"));
    const unsigned left = el_scratch_sweep();
    if (left > 0)
        el_log(made->log, EL_LOG_INFO, "swept",
               el_str("text", "temporary files of servers that were killed have been removed"),
               el_int("directories", left));
    *workers = made;
    return NULL;
}

const struct el_batch_stats *el_workers_batch_stats(const struct el_workers *workers)
{
    return &workers->batch_stats;
}

const struct el_run_stats *el_workers_run_stats(const struct el_workers *workers, uint32_t *loops)
{
    *loops = workers->loops;
    return workers->run_stats;
}

void el_workers_free(struct el_workers *workers)
{
    if (workers == NULL)
        return;
    workers->freeing = true;
    el_zygotes_free(workers);
    while (workers->engines != NULL) {
        struct el_shared_engine *shared = workers->engines;
        workers->engines = shared->next;
        el_engine_release(shared->engine);
        free(shared);
    }
    uv_close((uv_handle_t *)&workers->mailbox.async, on_closed);
}

#if defined(__SANITIZE_ADDRESS__)
#    define LEAKS_ARE_SOUGHT true
#elif defined(__has_feature)
#    define LEAKS_ARE_SOUGHT __has_feature(address_sanitizer)
#else
#    define LEAKS_ARE_SOUGHT false
#endif

void el_workers_ending(struct el_workers *workers)
{
    if (LEAKS_ARE_SOUGHT)
        return; /* what is left to the end of the process would be taken for a leak */
    for (struct el_shared_engine *shared = workers->engines; shared != NULL; shared = shared->next)
        atomic_store_explicit(&shared->engine->leave_open, true, memory_order_relaxed);
}

struct el_status *el_workers_engine(struct el_workers *workers, const char *name, struct el_engine **engine)
{
    for (struct el_shared_engine *shared = workers->engines; shared != NULL; shared = shared->next) {
        if (strcmp(shared->name, name) == 0) {
            *engine = el_engine_hold(shared->engine);
            return NULL;
        }
    }
    const size_t size = strlen(name) + 1;
    struct el_shared_engine *shared = malloc(sizeof *shared + size);
    if (shared == NULL)
        return el_status_no_memory();
    memcpy(shared->name, name, size);
    struct el_status *status = el_engine_open(workers->engine_dir, name, &shared->engine);
    if (status != NULL) {
        free(shared);
        return status;
    }
    shared->next = workers->engines;
    workers->engines = shared;
    *engine = el_engine_hold(shared->engine);
    return NULL;
}

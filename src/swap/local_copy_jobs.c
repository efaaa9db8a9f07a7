/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/local_copy_jobs.h"

#include "swap/manager.h"

#include <linux/ioprio.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LEAST_NICE 19

enum lane { LANE_KEEP, LANE_FIND, LANES };

struct job {
    struct job *next;
    struct el_copy_jobs *jobs;
    void (*run)(struct job *job);  /* on its thread */
    void (*told)(struct job *job); /* on the swap thread; job->status says what came of it */
    bool idle;                     /* at idle priority */
    char *model;
    struct el_status *status;

    int64_t version; /* keep */
    char *from, *spare;
    char *digest; /* keep, drop, and find: what is wanted first; NULL: none */
    char *text;   /* keep: what was done; find: what was refused */
    char **names; /* find: bad digests; sweep: models */
    size_t name_count;
    struct el_shelf_item item; /* find */
};

struct queue {
    struct job *first, **end;
    pthread_t thread; /* of first, while running */
    bool running;
    _Atomic bool done;
};

struct el_copy_jobs {
    struct el_swap *swap;
    char *directory;
    uint64_t most_bytes;
    struct queue queues[LANES];
    _Atomic bool stopping;
};

static void free_job(struct job *job)
{
    if (job == NULL)
        return;
    for (size_t i = 0; i < job->name_count; i++)
        free(job->names[i]);
    free(job->names);
    free(job->model);
    free(job->from);
    free(job->spare);
    free(job->digest);
    free(job->text);
    el_shelf_item_free(&job->item);
    el_status_free(job->status);
    free(job);
}

/* ---- on a job's thread ---- */

static bool proceed(void *argument)
{
    const struct el_copy_jobs *jobs = argument;
    return !atomic_load_explicit(&jobs->stopping, memory_order_relaxed);
}

static struct el_shelf_user user_of(const struct job *job)
{
    return (struct el_shelf_user){
        .shelf = job->jobs->directory, .model = job->model, .proceed = proceed, .argument = job->jobs
    };
}

static void run_find(struct job *job)
{
    const struct el_shelf_user user = user_of(job);
    struct el_shelf_choice choice = { .first = job->digest != NULL ? job->digest : "",
                                      .bad = (const char *const *)job->names,
                                      .bad_count = job->name_count };
    job->status = el_shelf_find(&user, &choice, &job->item);
    job->text = choice.refused;
}

static void run_keep(struct job *job)
{
    const struct el_shelf_user user = user_of(job);
    struct el_shelf_put put = { .version = job->version,
                                .digest = job->digest,
                                .from = job->from,
                                .most_bytes = job->jobs->most_bytes,
                                .spare = job->spare };
    job->status = el_shelf_put(&user, &put);
    job->text = put.text;
}

static void run_drop(struct job *job)
{
    const struct el_shelf_user user = user_of(job);
    el_shelf_drop(&user, job->digest);
}

static void run_sweep(struct job *job)
{
    el_shelf_keep_only(job->jobs->directory, (const char *const *)job->names, job->name_count);
}

static enum lane lane_of(const struct job *job)
{
    return job->idle ? LANE_KEEP : LANE_FIND;
}

static void *run(void *argument)
{
    struct job *job = argument;
    struct el_copy_jobs *jobs = job->jobs;
    if (job->idle) { /* Linux: of this thread alone. SCHED_IDLE would make no copy at all on a machine that is always busy. */
        setpriority(PRIO_PROCESS, 0, LEAST_NICE);
        syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
    }
    job->run(job);
    /* Release: who sees it sees what the job wrote. The swapper is there until this thread was joined. */
    atomic_store_explicit(&jobs->queues[lane_of(job)].done, true, memory_order_release);
    uv_async_send(&jobs->swap->async);
    return NULL;
}

/* ---- on the swap thread ---- */

static bool start_thread(struct queue *queue)
{
    sigset_t all, before;
    sigfillset(&all);
    atomic_store_explicit(&queue->done, false, memory_order_relaxed);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the main thread's */
    const int error = pthread_create(&queue->thread, NULL, run, queue->first);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

static struct job *take_first(struct queue *queue)
{
    struct job *job = queue->first;
    queue->first = job->next;
    if (queue->first == NULL)
        queue->end = &queue->first;
    return job;
}

static void begin_next(struct el_copy_jobs *jobs, struct queue *queue)
{
    while (!queue->running && queue->first != NULL) {
        if (start_thread(queue)) {
            queue->running = true;
            jobs->swap->open_works++;
            return;
        }
        struct job *job = take_first(queue);
        job->status = el_status_new(EL_RESOURCE_EXHAUSTED, "no thread can be started for it");
        if (job->told != NULL)
            job->told(job);
        free_job(job);
    }
}

void el_copy_jobs_collect(struct el_copy_jobs *jobs)
{
    if (jobs == NULL)
        return;
    for (size_t i = 0; i < LANES; i++) {
        struct queue *queue = &jobs->queues[i];
        if (!queue->running || !atomic_load_explicit(&queue->done, memory_order_acquire))
            continue;
        pthread_join(queue->thread, NULL);
        queue->running = false;
        jobs->swap->open_works--;
        el_swap_touch(jobs->swap);
        struct job *job = take_first(queue);
        if (job->told != NULL && !jobs->swap->stopping)
            job->told(job);
        free_job(job);
        begin_next(jobs, queue);
    }
}

static void told_find(struct job *job)
{
    struct el_model *model = el_model_find(job->jobs->swap, job->model);
    if (model != NULL)
        el_local_copy_found(model, &job->item, job->text, job->status);
}

static void told_keep(struct job *job)
{
    struct el_model *model = el_model_find(job->jobs->swap, job->model);
    if (model != NULL)
        el_local_copy_kept(model, job->version, job->digest, job->text, job->status);
}

/* NULL: no memory, or there is nothing left to do it for. */
static struct job *new_job(struct el_copy_jobs *jobs, const char *model, void (*run_it)(struct job *job), bool idle)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->jobs = jobs;
    job->run = run_it;
    job->idle = idle;
    job->model = strdup(model);
    if (job->model != NULL)
        return job;
    free_job(job);
    return NULL;
}

static void put(struct el_copy_jobs *jobs, struct job *job)
{
    struct queue *queue = &jobs->queues[lane_of(job)];
    if (jobs->swap->stopping) {
        free_job(job);
        return;
    }
    *queue->end = job;
    queue->end = &job->next;
    begin_next(jobs, queue);
}

static bool copy_text(const char *from, char **to)
{
    *to = from != NULL ? strdup(from) : NULL;
    return from == NULL || *to != NULL;
}

static bool add_name(struct job *job, const char *name)
{
    if (!copy_text(name, &job->names[job->name_count]))
        return false;
    job->name_count++;
    return true;
}

struct el_status *el_copy_jobs_find(struct el_copy_jobs *jobs, const struct el_model *model)
{
    const struct el_journal_model *known = el_journal_model(jobs->swap->options.journal, model->settings.name);
    const size_t bad_count = known != NULL ? known->bad_count : 0;
    struct job *job = new_job(jobs, model->settings.name, run_find, false);
    if (job == NULL)
        return el_status_no_memory();
    job->told = told_find;
    job->names = calloc(bad_count + 1, sizeof *job->names);
    bool made = job->names != NULL &&
                copy_text(known != NULL && known->has_good ? known->good_digest : NULL, &job->digest);
    for (size_t i = 0; made && i < bad_count; i++)
        made = add_name(job, known->bad[i].digest);
    if (!made) {
        free_job(job);
        return el_status_no_memory();
    }
    put(jobs, job);
    return NULL;
}

struct el_status *el_copy_jobs_keep(struct el_copy_jobs *jobs, const struct el_version *version, const char *spare)
{
    struct job *job = new_job(jobs, version->model->settings.name, run_keep, true);
    if (job == NULL)
        return el_status_no_memory();
    job->told = told_keep;
    job->version = version->number;
    if (!copy_text(version->path, &job->from) || !copy_text(version->digest, &job->digest) ||
        !copy_text(spare, &job->spare)) {
        free_job(job);
        return el_status_no_memory();
    }
    put(jobs, job);
    return NULL;
}

struct el_status *el_copy_jobs_drop(struct el_copy_jobs *jobs, const struct el_model *model, const char *digest)
{
    struct job *job = new_job(jobs, model->settings.name, run_drop, true);
    if (job == NULL || !copy_text(digest, &job->digest)) {
        free_job(job);
        return el_status_no_memory();
    }
    put(jobs, job);
    return NULL;
}

struct el_status *el_copy_jobs_sweep(struct el_copy_jobs *jobs)
{
    size_t count = 0;
    const struct el_model *model;
    el_list_each (model, &jobs->swap->models, in_swap) {
        count++;
    }
    struct job *job = new_job(jobs, "", run_sweep, true);
    if (job == NULL)
        return el_status_no_memory();
    job->names = calloc(count + 1, sizeof *job->names);
    bool made = job->names != NULL;
    el_list_each (model, &jobs->swap->models, in_swap) {
        made = made && add_name(job, model->settings.name);
    }
    if (!made) {
        free_job(job);
        return el_status_no_memory();
    }
    put(jobs, job);
    return NULL;
}

/* ---- from new to free ---- */

struct el_status *el_copy_jobs_new(struct el_swap *swap, const char *directory, uint64_t most_bytes,
                                   struct el_copy_jobs **made)
{
    struct el_copy_jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL || (jobs->directory = strdup(directory)) == NULL) {
        free(jobs);
        return el_status_no_memory();
    }
    jobs->swap = swap;
    jobs->most_bytes = most_bytes;
    for (size_t i = 0; i < LANES; i++)
        jobs->queues[i].end = &jobs->queues[i].first;
    *made = jobs;
    return NULL;
}

/* Those that wait for the one that runs, or all of them. */
static void forget_waiting(struct queue *queue)
{
    struct job **from = queue->running ? &queue->first->next : &queue->first;
    while (*from != NULL) {
        struct job *job = *from;
        *from = job->next;
        free_job(job);
    }
    queue->end = from;
}

void el_copy_jobs_stop(struct el_copy_jobs *jobs)
{
    if (jobs == NULL)
        return;
    atomic_store_explicit(&jobs->stopping, true, memory_order_relaxed);
    for (size_t i = 0; i < LANES; i++)
        forget_waiting(&jobs->queues[i]);
}

void el_copy_jobs_free(struct el_copy_jobs *jobs)
{
    if (jobs == NULL)
        return;
    el_copy_jobs_stop(jobs);
    free(jobs->directory);
    free(jobs);
}

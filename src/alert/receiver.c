/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/receiver.h"

#include "alert/send.h"
#include "base/clock.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#define BACK_OFF_MS 1000
#define BACK_OFF_MOST_MS 300000
#define EXEC_TRIES 5 /* a program that fails five times has told somebody, or never will */
#define QUEUE_MOST 1000

struct item {
    struct item *next;
    int64_t id;
    char *document; /* owned; NULL: it only has to be told as gone */
    unsigned tries;
};

struct queue {
    struct item *first, **last;
    size_t count;
};

struct el_receiver {
    const struct el_alert_receiver *config;
    const struct el_log *log;
    uv_async_t *wake_loop;
    pthread_t thread;
    int stop_fd;
    CURLM *curl;  /* the thread's */
    bool failing; /* the thread's: that was said */

    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t wake;
    struct queue waiting, gone;
    bool telling; /* one is out of the queue and with the thread */
    uint64_t due_ns;
    uint64_t dropped;
    bool ending;
};

/* ---- queues ---- */

static void queue_init(struct queue *queue)
{
    *queue = (struct queue){ .last = &queue->first };
}

static void push(struct queue *queue, struct item *item)
{
    item->next = NULL;
    *queue->last = item;
    queue->last = &item->next;
    queue->count++;
}

static void push_front(struct queue *queue, struct item *item)
{
    item->next = queue->first;
    queue->first = item;
    if (queue->last == &queue->first)
        queue->last = &item->next;
    queue->count++;
}

static struct item *pop(struct queue *queue)
{
    struct item *item = queue->first;
    if (item == NULL)
        return NULL;
    queue->first = item->next;
    if (queue->first == NULL)
        queue->last = &queue->first;
    queue->count--;
    return item;
}

static void item_free(struct item *item)
{
    free(item->document);
    free(item);
}

static void queue_free(struct queue *queue)
{
    for (struct item *item = pop(queue); item != NULL; item = pop(queue))
        item_free(item);
}

/* lock is held. */
static void let_go(struct el_receiver *receiver, struct item *item)
{
    free(item->document);
    item->document = NULL;
    push(&receiver->gone, item);
    uv_async_send(receiver->wake_loop);
}

/* lock is held. Returns how many had to go. */
static unsigned drop_oldest(struct el_receiver *receiver)
{
    unsigned dropped = 0;
    for (; receiver->waiting.count > QUEUE_MOST; dropped++) {
        struct item *oldest = pop(&receiver->waiting);
        if (oldest == NULL)
            break;
        let_go(receiver, oldest);
    }
    receiver->dropped += dropped;
    return dropped;
}

/* ---- the thread ---- */

static struct el_status *tell(struct el_receiver *receiver, const char *document)
{
    const struct el_alert_try try = {
        .receiver = receiver->config, .document = document, .stop_fd = receiver->stop_fd, .curl = receiver->curl
    };
    switch (receiver->config->way) {
    case EL_ALERT_EXEC:
        return el_alert_exec(&try);
    case EL_ALERT_SYSLOG:
        return el_alert_syslog(&try);
    case EL_ALERT_WEBHOOK:
    default:
        return el_alert_webhook(&try);
    }
}

/* Less a random part of up to a half, so that many servers that saw one receiver go do not come back to it as one. */
static uint64_t back_off_ns(unsigned tries)
{
    uint64_t ms = BACK_OFF_MS;
    for (unsigned i = 1; i < tries && ms < BACK_OFF_MOST_MS; i++)
        ms *= 2;
    ms = ms > BACK_OFF_MOST_MS ? BACK_OFF_MOST_MS : ms;
    uint16_t random = 0;
    if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random)
        random = 0; /* the whole span then */
    return (ms - ms * random / 2 / UINT16_MAX) * EL_NS_PER_MS;
}

static bool is_over(const struct el_receiver *receiver, const struct item *item, enum el_code code)
{
    return code == EL_OK || code == EL_INVALID_ARGUMENT || code == EL_FAILED_PRECONDITION || code == EL_DATA_LOSS ||
           (receiver->config->way == EL_ALERT_EXEC && item->tries >= EXEC_TRIES);
}

/* The first failure is said, what is given up, and the first that works again. */
static void say(struct el_receiver *receiver, const struct item *item, const struct el_status *status, bool over)
{
    const char *name = receiver->config->name;
    if (status == NULL) {
        if (receiver->failing)
            el_log(receiver->log, EL_LOG_INFO, "alerts_told_again", el_str("receiver", name));
        receiver->failing = false;
        return;
    }
    if (over)
        el_log(receiver->log, EL_LOG_ERROR, "alert_given_up", el_str("receiver", name),
               el_str("reason", el_status_text(status)), el_int("tries", item->tries));
    else if (!receiver->failing)
        el_log(receiver->log, EL_LOG_WARNING, "alert_not_told", el_str("receiver", name),
               el_str("reason", el_status_text(status)), el_str("effect", "it is kept and told again"));
    receiver->failing = true;
}

/* One try. lock is held when it comes and when it goes. */
static void try_first(struct el_receiver *receiver)
{
    struct item *item = pop(&receiver->waiting);
    if (item == NULL)
        return;
    receiver->telling = true;
    pthread_mutex_unlock(&receiver->lock);
    item->tries++;
    struct el_status *status = tell(receiver, item->document);
    const enum el_code code = el_status_code(status);
    const bool over = is_over(receiver, item, code);
    if (code != EL_CANCELLED)
        say(receiver, item, status, over);
    el_status_free(status);
    pthread_mutex_lock(&receiver->lock);
    receiver->telling = false;
    if (over) {
        let_go(receiver, item);
        return;
    }
    push_front(&receiver->waiting, item);
    receiver->due_ns = el_after_ns(el_now_ns(), back_off_ns(item->tries));
    drop_oldest(receiver);
}

static void wait_until(struct el_receiver *receiver, uint64_t due_ns)
{
    const struct timespec until = { .tv_sec = (time_t)(due_ns / EL_NS_PER_S), .tv_nsec = (long)(due_ns % EL_NS_PER_S) };
    pthread_cond_timedwait(&receiver->wake, &receiver->lock, &until);
}

static void *run(void *argument)
{
    struct el_receiver *receiver = argument;
    pthread_mutex_lock(&receiver->lock);
    while (!receiver->ending) {
        if (receiver->waiting.first == NULL)
            pthread_cond_wait(&receiver->wake, &receiver->lock);
        else if (el_now_ns() < receiver->due_ns)
            wait_until(receiver, receiver->due_ns);
        else
            try_first(receiver);
    }
    pthread_mutex_unlock(&receiver->lock);
    return NULL;
}

/* ---- the loop ---- */

void el_receiver_put(struct el_receiver *receiver, int64_t id, char *document)
{
    struct item *item = calloc(1, sizeof *item);
    if (item == NULL) {
        free(document);
        return; /* in the journal it is, for the next start */
    }
    item->id = id;
    item->document = document;
    pthread_mutex_lock(&receiver->lock);
    push(&receiver->waiting, item);
    const unsigned dropped = drop_oldest(receiver);
    const uint64_t all = receiver->dropped;
    pthread_cond_signal(&receiver->wake);
    pthread_mutex_unlock(&receiver->lock);
    if (dropped > 0 && all % 100 == 1)
        el_log(receiver->log, EL_LOG_ERROR, "alerts_dropped", el_str("receiver", receiver->config->name),
               el_int("dropped", (int64_t)all), el_str("reason", "more wait for this receiver than are kept"));
}

bool el_receiver_gone(struct el_receiver *receiver, int64_t *id)
{
    pthread_mutex_lock(&receiver->lock);
    struct item *item = pop(&receiver->gone);
    pthread_mutex_unlock(&receiver->lock);
    if (item == NULL)
        return false;
    *id = item->id;
    item_free(item);
    return true;
}

bool el_receiver_is_idle(struct el_receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    const bool idle = receiver->waiting.first == NULL && !receiver->telling;
    pthread_mutex_unlock(&receiver->lock);
    return idle;
}

/* Signals are the main thread's; a pipe whose reader is gone is an error here, not the process's end. */
static int start_thread(struct el_receiver *receiver)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int error = pthread_create(&receiver->thread, NULL, run, receiver);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

static void free_all(struct el_receiver *receiver)
{
    queue_free(&receiver->waiting);
    queue_free(&receiver->gone);
    curl_multi_cleanup(receiver->curl);
    if (receiver->stop_fd >= 0)
        close(receiver->stop_fd);
    pthread_cond_destroy(&receiver->wake);
    pthread_mutex_destroy(&receiver->lock);
    free(receiver);
}

struct el_status *el_receiver_start(const struct el_alert_receiver *config, const struct el_log *log, uv_async_t *wake,
                                    struct el_receiver **made)
{
    struct el_receiver *receiver = calloc(1, sizeof *receiver);
    if (receiver == NULL)
        return el_status_no_memory();
    receiver->config = config;
    receiver->log = log;
    receiver->wake_loop = wake;
    queue_init(&receiver->waiting);
    queue_init(&receiver->gone);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&receiver->lock, NULL);
    pthread_cond_init(&receiver->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    receiver->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    receiver->curl = config->way == EL_ALERT_WEBHOOK ? curl_multi_init() : NULL;
    const int error = receiver->stop_fd < 0                                       ? errno
                      : config->way == EL_ALERT_WEBHOOK && receiver->curl == NULL ? ENOMEM
                                                                                  : start_thread(receiver);
    if (error != 0) {
        free_all(receiver);
        return el_status_errno(error, "the alerts' thread for the receiver %s cannot be started", config->name);
    }
    *made = receiver;
    return NULL;
}

void el_receiver_stop(struct el_receiver *receiver)
{
    pthread_mutex_lock(&receiver->lock);
    const bool stopped = receiver->ending;
    receiver->ending = true;
    pthread_cond_signal(&receiver->wake);
    pthread_mutex_unlock(&receiver->lock);
    if (stopped)
        return;
    const uint64_t one = 1;
    if (write(receiver->stop_fd, &one, sizeof one) != sizeof one) {
        /* It counts from zero: there is room for one. */
    }
    pthread_join(receiver->thread, NULL);
}

void el_receiver_free(struct el_receiver *receiver)
{
    el_receiver_stop(receiver);
    free_all(receiver);
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_STATE_H
#define EL_SWAP_STATE_H

/*
 * What the swapper's files share: the swapper, its models, their versions, and
 * the workers that it hosts. This header is the room's own.
 *
 * Everything here belongs to the swap thread, except what says otherwise.
 *
 * How work is done. Whatever happens (a scan, a worker's event, a probe's end, a
 * timer) changes its own version and calls el_model_touch(). Once per turn of
 * the loop, before it sleeps, el_manager_run() looks at every model that was touched as it is
 * now and does what follows: new lives, admissions, switches, retirements. Then the
 * view is published if anything changed, one grace period is waited for, and
 * what readers could still have seen is freed. Of a thousand models only those that something
 * happened to are looked at and shown anew (view.c): a load costs the same beside 999 others.
 */

#include "bundle/completeness.h"
#include "journal/journal.h"
#include "source/source.h"
#include "swap/events.h"
#include "swap/servable.h"
#include "swap/swap.h"

#include <pthread.h>

/* Runs on the swap thread when no reader of an older view is left. */
struct el_deferred {
    struct el_deferred *next;
    void (*run)(void *argument);
    void *argument;
};

/* A worker process (or its twin in this process), from start to gone. */
struct el_hosted {
    struct el_list in_swap;
    struct el_swap *swap;
    struct el_worker *worker;
    struct el_model *model; /* whose version it hosts; NULL when the model is gone */
    char engine[32];
    void (*on_event)(struct el_hosted *hosted, const struct el_worker_event *event, void *owner);
    void *owner; /* NULL: nobody cares any more, it only has to go */
    bool loaded, dead;
    struct el_batching *own_batching; /* what its version brings along; owned; NULL: nothing that counts */
    struct el_deferred deferred;
};

struct el_wish;        /* wishes.h */
struct el_load;        /* loader.h: from admission to a worker that was chosen and probed */
struct el_respawn;     /* respawn.h */
struct el_reports;     /* report.h */
struct el_disturbance; /* loader_state.h */
struct el_digesting;   /* digest.h */
struct el_guard;       /* guard.h */
struct el_group;       /* group.h */
struct el_rollout;     /* rollout_measure.h */
struct el_local_copy;  /* local_copy.h */
struct el_copy_jobs;   /* local_copy_jobs.h */

/* One life of one version. */
struct el_version {
    struct el_list in_model; /* descending by version; of several lives of a number only the last is not END */
    struct el_model *model;
    struct el_servable *servable; /* owned with others; there from the start */
    int64_t number;
    char *path;
    uint64_t fingerprint;
    uint64_t whole_since_ns;
    uint64_t bytes;                      /* of its files */
    char digest[2 * EL_DIGEST_SIZE + 1]; /* of its content; "": not known yet; see digest.h */
    uint64_t digest_of;                  /* the fingerprint of the files that were read for it */
    struct el_digesting *digesting;      /* NULL: it is not on its way */
    char *
        state_op; /* not NULL: what its runs change is seen by later runs, so no probe may run on the worker that serves */

    enum el_life_state state;
    enum el_code code;
    char *reason; /* NULL: "" */
    char *said;   /* what GetModelStatus says instead, where TensorFlow Serving has words for it; NULL: reason */
    bool
        refused; /* QUARANTINED where TensorFlow Serving would serve it: who asks for it by its number is told why not */
    int64_t since_us;
    uint64_t moved_ns; /* the same, monotonic */
    bool whole;        /* VERIFYING: may be loaded */
    bool from_copy;    /* its files are the local copy */
    bool vanished;     /* its directory is not there any more */

    char engine[32];
    char *engine_reason; /* NULL: "" */
    char *probe;         /* what its probe found; NULL: "" */
    const char *isolation;
    double load_ms, switch_ms;
    char trigger[192], revived[192];  /* what this life was begun for; and what the next one of its number will be */
    uint64_t memory_before;           /* resident, of its model's workers, when its load began; 0: not known */
    uint64_t memory_peak;             /* of its own worker, while it loaded; 0: not known */
    struct el_disturbance *disturbed; /* the other model that its load has slowed most; owned; NULL: none is known */

    struct el_hosted *hosted; /* the worker that answers; NULL: none now */
    struct el_load *load;     /* LOADING, PROBING */
    struct el_respawn *respawn;
    struct el_guard *guard;     /* NULL: it is not under guard */
    struct el_rollout *rollout; /* NULL: what SERVING leads to it, leads everybody to it */
    uint64_t served_ns;         /* when it became SERVING */
    bool newly_routed;          /* SERVING, and not told yet */
    bool on_trial;              /* its guard began, and did not come to its end */
    bool unproven;              /* and it did not serve before, in this life */
    unsigned trial_deaths;      /* of its workers, since then */
    unsigned
        load_tries; /* loads of these files that failed for a reason that may pass by itself, in this life and those before */
    uint64_t retry_ns;    /* QUARANTINED: when it is loaded again; 0: when its files change */
    bool short_of_memory; /* VERIFYING: it waits until there is room for it */
    uint64_t memory_ns;   /* and is asked about again then */
    unsigned hangs;       /* runs that never ended, each within HANG_MEMORY of the one before: see respawn.c */
    uint64_t hung_ns;     /* the last one */
    uint64_t warm_since_ns;
    struct el_deferred deferred;
    bool deferring; /* deferred is in the swapper's list */
    uint64_t tell_ns,
        tell_gap_ns; /* VERIFYING: when the next "waiting" event may be, and how long after it the one after */
};

/* Its part in a reload that several models wait for: together.h. */
enum el_together {
    EL_TOGETHER_NOT,
    EL_TOGETHER_CHANGES, /* it is new, or is to lead to other versions */
    EL_TOGETHER_LEAVES,  /* it is not in the config any more, and answers until the others have changed */
};

struct el_model {
    struct el_list in_swap;    /* in config order */
    struct el_list in_looks;   /* while linked */
    struct el_list in_changes; /* while changed */
    struct el_swap *swap;
    bool touched, linked;   /* to be looked at; in the list of those that are */
    bool changed;           /* what a view shows of it is out of date */
    struct el_shown *shown; /* what the current view shows of it (view.c); NULL: it is in none yet */
    uint64_t alarm_ns;      /* it is touched then */
    struct el_model_config settings;
    struct el_source *source; /* NULL: closing */
    struct el_lobby *lobby;
    struct el_list versions;
    struct el_local_copy *copy; /* local_copy.h; owned; NULL: nothing is known of one */
    struct el_wish *wishes;     /* an operator's, about single versions (wishes.h); owned */
    bool told_unmet;            /* that its pin cannot be met just now */
    int64_t *aspired;           /* whole and wanted, descending: what the last look said */
    size_t aspired_count;
    bool looked_at; /* aspired is that of the settings as they are, and of a scan of their base path */
    enum el_together together;
    struct el_group *group; /* the models that it changes with; NULL: by itself */
    bool hold;              /* availability "resource": requests wait for the version that is on its way */
    bool has_served;        /* some version has: from then on requests are rather held than refused */
    bool removed;           /* not in the config any more: everything is being retired */
    bool buried;            /* and nothing is left but what the status says of its versions */
    bool from_start;        /* it was there when the swapper started */
    bool resumed; /* it began with the version that was good when the server ended last, and goes on from there */
    char source_error[512]; /* what was last told about the source */
    char source_warning[512];
    struct el_deferred deferred; /* removed: it is freed after a grace period */
    uint64_t last_taken_bytes;   /* memory that its last version took; 0: unknown */
    uint64_t last_file_bytes;    /* and the size of its files */
    int64_t told_serving;        /* the default version that was last published */
    struct el_model_counts counts;
};

struct el_swap {
    struct el_swap_options options;
    struct el_completions *completions; /* the swap thread's own, for probes */
    struct el_events events;
    struct el_reports *reports;     /* report.h */
    struct el_copy_jobs *copy_jobs; /* NULL: no local copies are kept */
    void (*on_event)(void *argument);
    void *on_event_argument;

    struct el_list models;
    struct el_list groups;            /* of models that change together (group.h) */
    struct el_list looks;             /* models that are touched */
    struct el_list changes;           /* models that are to be shown anew */
    struct el_model **by_name;        /* those of the config, sorted: NULL after each change of the set */
    const struct el_model *unsettled; /* one that was not settled when that was last asked */
    struct el_list hosted;
    struct el_list lingering;   /* servables without an owner, with requests left */
    uint64_t together_until_ns; /* some models wait for each other until then; 0: none */
    uint32_t loads;             /* admitted and not ended */
    uint32_t buried;            /* models */

    _Atomic(struct el_view *) view; /* read by any thread under RCU */
    uint64_t generation;
    struct el_deferred *deferred; /* runs after the next grace period */
    bool touched, unpublished;
    bool routed; /* requests are led elsewhere by this look */
    _Atomic uint64_t refused;
    _Atomic bool shadow_woken; /* the same, see el_rollout_wake() */
    _Atomic bool guard_woken;  /* by event loops, with async: see el_guard_wake() */
    char rcu_mark;             /* for el_rcu_read_unlock() and el_rcu_wait() */

    pthread_mutex_t loops_lock; /* guards loops */
    struct el_list loops;

    uv_prepare_t prepare;
    uv_timer_t alarm;
    uv_async_t async; /* sent by event loops: a draining version has no request left, or one under guard failed */
    uint64_t alarm_ns;
    unsigned open_handles;
    unsigned open_sources;
    unsigned open_works; /* of the thread pool, beside those of sources */
    bool owns_journal;

    struct el_watcher *watcher; /* for all sources; NULL: the timer alone sees changes */
    bool told_unwatched;        /* that the kernel watches no more directories */
    bool started, stopping, closing, settled_told, completions_open;
    void (*settled)(void *argument);
    void *settled_argument;
    void (*stopped)(void *argument);
    void *stopped_argument;
};

/* Something changed that is no model's own: el_manager_run() comes before the loop sleeps. */
void el_swap_touch(struct el_swap *swap);

/* Comes back to el_manager_run() at this moment at the latest. */
void el_swap_alarm(struct el_swap *swap, uint64_t at_ns);

/* Something happened to this model: el_manager_run() looks at it before the loop sleeps, and at this moment at the latest. */
void el_model_touch(struct el_model *model);
void el_model_alarm(struct el_model *model, uint64_t at_ns);

/* What views show of it is to be made anew, with the next publication. It does not touch it. */
void el_model_changed(struct el_model *model);

/* Runs deferred->run once no reader can see what was published before the next publication. */
void el_swap_defer(struct el_swap *swap, struct el_deferred *deferred, void (*run)(void *argument), void *argument);

/* Event and log line about a version, a model (version NULL) or the swapper (both NULL). format's text is for people. */
void el_tell(struct el_swap *swap, enum el_log_level level, const char *event, const struct el_model *model,
             const struct el_version *version, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* The same of what somebody asked for: the journal keeps who. */
void el_tell_by(struct el_swap *swap, enum el_log_level level, const char *event, const struct el_model *model,
                const struct el_version *version, const char *by, const char *format, ...)
    __attribute__((format(printf, 7, 8)));

#endif

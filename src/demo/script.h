/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_SCRIPT_H
#define EL_DEMO_SCRIPT_H

/*
 * The show: scenes, one after another, each over when the server says that
 * what had to happen has happened, or when its limit has passed.
 *
 * Main thread. script_step() is called often (each tick of the loop, and whenever the server said something); it
 * never waits. The pages and the summary read the struct.
 */

#include "demo/admin.h"
#include "demo/reference.h"
#include "demo/server.h"
#include "demo/story.h"
#include "demo/traffic.h"

#include <uv.h>

enum verdict {
    VERDICT_OPEN, /* not begun */
    VERDICT_RUNNING,
    VERDICT_TAKEN,     /* a version serves */
    VERDICT_REFUSED,   /* a version was quarantined */
    VERDICT_IGNORED,   /* a folder was passed over */
    VERDICT_DONE,      /* what had to happen happened, and no version was offered */
    VERDICT_UNEXPECTED /* what had to happen did not */
};

struct script;
struct scene;

/* What a kind of scene does: rows of the table in scenes.c. */
struct scene_kind {
    enum phase phase;
    uint32_t limit_ms; /* until the verdict; and again until answers have come after it */
    uint32_t show_ms;  /* shown at least so long, for people to read */
    bool vital;        /* without it there is no show */
    struct el_status *(*begin)(struct script *script, struct scene *scene);
    enum verdict (*look)(struct script *script, struct scene *scene); /* VERDICT_RUNNING: not yet */
    void (*end)(struct script *script, struct scene *scene);          /* tidies up, after it was shown; may be NULL */
};

struct scene {
    const struct scene_kind *kind;
    char name[32]; /* of an entry of models/broken/list.tsv; "" */
    char title[200];
    enum verdict wanted;
    enum verdict verdict;
    enum good good;     /* what is offered, when it may be taken */
    int64_t version;    /* under which number; 0: none */
    uint32_t show_ms;   /* instead of the kind's; 0: the kind's */
    char outcome[1100]; /* what the server said, or what went wrong */
    double took_ms;     /* from the last file (or the kill) to the verdict, as seen from here */
};

struct script {
    const struct places *places;
    const struct digits *digits;
    const char *engine;
    bool quick; /* nothing is shown longer than it takes */
    uv_loop_t *loop;

    struct scene *scenes; /* owned */
    size_t scene_count, at;
    bool over;
    char fatal[1200];      /* why it ended early; "" */
    char engine_text[640]; /* which engine serves, and why that one */

    struct reference reference;
    struct server server;
    bool server_started, server_may_end;
    struct admin admin;
    struct traffic *traffic; /* NULL: not yet */
    struct traffic_figures figures;
    struct story story;
    uint64_t traffic_began_ns, traffic_ended_ns;

    /* Of the scene at hand. */
    uint64_t began_ns, offered_ns, verdict_ns;
    uint64_t paused_ns; /* while it is paused: since when */
    uint64_t answers_at_verdict;
    struct child player;    /* models/broken/play.sh */
    char dropped[PATH_MAX]; /* what it puts there */
    int killed_pid;
    uint64_t replayed_before;
    int64_t next_version;
};

/* Makes the scenes from the table and from models/broken/list.tsv. script's first part is filled in by the caller. */
struct el_status *script_prepare(struct script *script) EL_MUST_USE;

/* Does what is due. */
void script_step(struct script *script);

/* The process is about to be stopped (Ctrl-Z), and was continued: the time between does not count. */
void script_pause(struct script *script);
void script_resume(struct script *script);

/* Ends the show early: kills what runs. why: for the summary. */
void script_abort(struct script *script, const char *why);

/* Ends the processes and the traffic that are left, and gives the memory back. admin's handles are closed by the loop. */
void script_close(struct script *script);

/* The scene at hand; the last one when all are over. */
const struct scene *script_scene(const struct script *script);

/* True if all was as it should be. */
bool script_is_good(const struct script *script);

/* For script.c: the list of scenes, owned by the caller (scenes.c). */
struct el_status *scenes_make(const char *root, struct scene **scenes, size_t *count) EL_MUST_USE;

/* What each kind of scene does (acts.c). */
extern const struct scene_kind act_start, act_learn, act_quiet, act_swap, act_drop, act_kill, act_stop;

#endif

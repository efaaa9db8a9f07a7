/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The switch, its guard, a pin and a crash, as a model that spin checks exhaustively. What it stands for:
 *
 *   here        there
 *   ----        -----
 *   route       the published view: where a request without a version goes (src/swap/view.c)
 *   ready[v]    a worker that is loaded and probed (READY, SERVING or WARM)
 *   disk        what --state_dir holds, after the journal's thread has written it (src/journal/writer.c)
 *   known       the same in memory, changed at once (src/journal/known.c)
 *   queue       what memory knows and the disk does not yet: the journal's entries, written in order
 *   swapper     el_manager_run(): aspire, load, probe, route, guard
 *   operator    pin and unpin, answered when the disk has it
 *   writer      the journal's thread
 *   power       SIGKILL at any moment: everything but the disk is lost, and the server starts again
 *
 * Versions: 1 is good. 2 is good or bad; what is bad shows in the probe or only under the guard. A load of 2 may be what ends the
 * server (deadly). Left out: time, more than two versions, several models, a disk that fails.
 *
 * Checked at each step:
 *   - a request that comes while the server runs and has answered once finds a version that is ready
 *   - content that is known as bad is never led to again, and what the disk has as bad is never loaded after a restart
 *   - with a pin that was acknowledged, no other version is led to while the pinned one is ready
 *   - at most one load at a time
 *   - a version that ends the server twice while it is loaded is not loaded a third time
 */

#define NONE 0
#define VERSIONS 3 /* index 0 is not used */

typedef Facts {
    byte good;      /* last good version */
    byte pin;       /* NONE: no pin */
    bool bad2;      /* the content of 2 is quarantined */
    bool loading2;  /* a load of 2 has begun and not ended */
    byte ends2      /* how often the server ended meanwhile */
}

Facts disk, known;
bool dirty;          /* known has what disk has not */
bool up, answered;   /* the server runs; it has answered since it started */
byte route;
bool ready[VERSIONS];
byte loads;          /* under way */
byte tried2;         /* loads of 2 that were begun and ended the server */
byte acknowledged;   /* the pin that the operator was told of; NONE: none */
bool begun, bad2, shows_late, deadly;

inline copy(to, from)
{
    to.good = from.good; to.pin = from.pin; to.bad2 = from.bad2; to.loading2 = from.loading2; to.ends2 = from.ends2
}

inline switch_to(v)
{
    assert(ready[v]);
    assert(!(v == 2 && known.bad2));
    assert(!(acknowledged != NONE && acknowledged != v && ready[acknowledged] && known.pin == acknowledged));
    route = v;
    answered = true
}

/* Everything that is not on the disk is gone. A load that was under way is counted when the server starts again. */
inline crash()
{
    up = false; answered = false; route = NONE; loads = 0; dirty = false;
    ready[1] = false; ready[2] = false;
    if
    :: disk.loading2 -> disk.ends2++; disk.loading2 = false
    :: else -> skip
    fi;
    copy(known, disk);
    /* What was acknowledged is on the disk: that is what acknowledged means. */
    assert(acknowledged == NONE || disk.pin == acknowledged)
}

active proctype swapper()
{
    byte want;
end:
    do
    :: atomic { begun && !up -> up = true }
    :: atomic { /* the first version: what was good when the server ended, or 1 */
           up && route == NONE && loads == 0 ->
           want = 1;
           if
           :: known.pin != NONE && !(known.pin == 2 && (known.bad2 || known.ends2 >= 2)) -> want = known.pin
           :: known.pin == NONE && known.good == 2 && !known.bad2 && known.ends2 < 2 -> want = 2
           :: else -> skip
           fi;
           if
           :: want == 1 -> ready[1] = true; switch_to(1); known.good = 1; dirty = true
           :: want == 2 && !bad2 && !deadly -> ready[2] = true; switch_to(2)
           :: want == 2 && (bad2 || deadly) -> known.bad2 = true; known.pin = (known.pin == 2 -> NONE : known.pin); acknowledged = (acknowledged == 2 -> NONE : acknowledged); dirty = true
           fi
       }
    :: atomic { /* about to load 2: on the disk before it begins */
           up && answered && !ready[2] && loads == 0 && !known.bad2 && known.ends2 < 2 && known.pin != 1 && !known.loading2 ->
           assert(!disk.bad2);
           known.loading2 = true; dirty = true; loads++
       }
    :: atomic { up && loads == 1 && known.loading2 && disk.loading2 && deadly -> tried2++; assert(tried2 <= 2); crash() }
    :: atomic { up && loads == 1 && known.loading2 && disk.loading2 && !deadly -> /* loaded and probed */
           assert(loads <= 1);
           loads--; known.loading2 = false; dirty = true;
           if
           :: bad2 && !shows_late -> known.bad2 = true
           :: else -> ready[2] = true
           fi
       }
    :: atomic { /* the policy wants the latest, unless there is a pin */
           up && answered && ready[2] && route == 1 && !known.bad2 && (known.pin == NONE || known.pin == 2) ->
           switch_to(2); if :: !bad2 -> known.good = 2; dirty = true :: else -> skip fi
       }
    :: atomic { up && answered && route == 2 && known.pin == 1 && ready[1] -> switch_to(1) }
    :: atomic { up && answered && route == 2 && known.pin == 1 && !ready[1] -> ready[1] = true } /* loaded beside */
    :: atomic { /* the guard: what is bad shows under traffic, and 1 is warm or is loaded */
           up && answered && route == 2 && bad2 && shows_late ->
           known.bad2 = true; known.good = 1; ready[1] = true;
           if :: known.pin == 2 -> known.pin = NONE; acknowledged = NONE :: else -> skip fi;
           switch_to(1); ready[2] = false; dirty = true
       }
    od
}

/* The journal's thread: everything that came, as one transaction. */
active proctype writer()
{
end:
    do
    :: atomic { up && dirty -> copy(disk, known); dirty = false }
    od
}

/* Told of a pin when it is on the disk. One on what is quarantined is refused. */
active proctype operator()
{
    byte pinned;
end:
    do
    :: atomic { up && answered && acknowledged == NONE && known.pin == NONE -> known.pin = 1; dirty = true }
    :: atomic { up && answered && acknowledged == NONE && known.pin == NONE && ready[2] && !known.bad2 -> known.pin = 2; dirty = true }
    :: atomic { up && acknowledged == NONE && !dirty && known.pin != NONE && disk.pin == known.pin -> acknowledged = known.pin }
    :: atomic { up && acknowledged != NONE -> acknowledged = NONE; known.pin = NONE; dirty = true }
    od
}

/* Two at most: more find nothing new, and take long. */
active proctype power()
{
    byte cuts = 0;
end:
    do
    :: atomic { up && cuts < 2 -> cuts++; crash() }
    od
}

/* A request that comes at any moment. */
active proctype client()
{
end:
    do
    :: atomic { up && answered -> assert(route != NONE && ready[route]); assert(!(route == 2 && known.bad2)) }
    od
}

init
{
    atomic {
        if :: bad2 = true :: bad2 = false fi;
        if :: shows_late = true :: shows_late = false fi;
        if :: deadly = true; bad2 = false :: deadly = false fi;
        begun = true
    }
}

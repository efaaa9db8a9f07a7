/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_DEMO_TRAFFIC_H
#define EL_DEMO_TRAFFIC_H

/*
 * The clients that never stop asking: digits over gRPC and REST, at a steady
 * rate, and every answer checked.
 *
 * A thread of its own runs the load generator; the functions here are for the main thread. An answer is right if it
 * is, number for number, what a good version that was offered by then says (reference.h); a gRPC answer also names its
 * version, which must be the one with these numbers. Whether the digit was recognised is another matter, the accuracy.
 */

#include "base/status.h"
#include "demo/reference.h"

#include <stdbool.h>
#include <stdint.h>

struct traffic;

/* What is going on while a request runs; one that runs through two counts in both, but not as quiet. */
enum phase { PHASE_QUIET, PHASE_SWAP, PHASE_REFUSE, PHASE_KILL, PHASES };

struct traffic_options {
    uint16_t grpc_port, rest_port;
    uint32_t grpc_connections, rest_connections;
    double grpc_rate, rest_rate; /* requests per second */
    const struct digits *digits;
    const struct reference *reference;
};

struct traffic_latency {
    uint64_t count;
    double p50_ms, p99_ms, max_ms;
};

/* So far. */
struct traffic_figures {
    uint64_t answers;    /* right ones */
    uint64_t grpc, rest; /* of these */
    uint64_t failed;     /* no answer, or an error */
    uint64_t wrong;      /* an answer that no good version on offer gives */
    uint64_t broken;     /* of the wrong ones: said to be from a version that must not answer */
    double accuracy;     /* of the last answers, 0 to 1; negative: none yet */
    struct traffic_latency all, phases[PHASES];
    char first_problem[300]; /* of failed and wrong; "" */
};

struct el_status *traffic_start(const struct traffic_options *options, struct traffic **traffic) EL_MUST_USE;

/* From now on the version of this number may answer, with this content. */
void traffic_allow(struct traffic *traffic, int64_t version, enum good good);

void traffic_phase(struct traffic *traffic, enum phase phase);

void traffic_figures(struct traffic *traffic, struct traffic_figures *figures);

/* Asks nothing until it is resumed; returns when what was under way is answered, or has not been for a second. */
void traffic_pause(struct traffic *traffic);
void traffic_resume(struct traffic *traffic);

/* Asks no more; what is under way is waited for. */
void traffic_stop(struct traffic *traffic);

/* True once everything asked is answered or failed, after traffic_stop(). */
bool traffic_is_over(const struct traffic *traffic);

/* Stops, waits until it is over, ends the thread. NULL is allowed. */
void traffic_free(struct traffic *traffic);

#endif

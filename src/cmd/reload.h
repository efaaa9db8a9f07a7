/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_RELOAD_H
#define EL_CMD_RELOAD_H

/*
 * Puts other configs in force while the server runs: by HandleReloadConfigRequest,
 * by SIGHUP, and by looking at the config file every so often. One at a time, in
 * the order they come.
 *
 * Everything is on the swap thread (the main one) but el_reload_ask(). A config that is refused changes nothing, and is
 * not remembered as the one in force. One that is taken becomes visible at once for all models; a
 * request is answered when each model that is new has a version that answers or has failed. Unlike TensorFlow Serving's,
 * the wait ends: a model with nothing on its way is given up after some seconds, and does not hold up the next reload for ever.
 *
 * Labels: one on a version that is answering, or that the same config brings (TensorFlow Serving refuses the latter).
 * One that leads to another version now is not moved to a version that does not answer yet.
 */

#include "api/reload.h"
#include "base/log.h"
#include "cmd/everlitd_flags.h"
#include "config/config.h"
#include "swap/swap.h"

struct el_reload;

struct el_reload_options {
    uv_loop_t *uv_loop;
    const struct el_log *log;
    struct el_swap *swap;
    const struct el_config *config;        /* in force at the start; copied */
    const struct el_everlitd_flags *flags; /* outlive it */
    /* A config is in force now: by a client's request, or from the file. On the swap thread. */
    void (*on_applied)(const struct el_config *config, bool by_client, void *argument);
    void *argument;
};

struct el_status *el_reload_new(const struct el_reload_options *options, struct el_reload **made) EL_MUST_USE;

/* The server is up: starts to look at the file. */
void el_reload_start(struct el_reload *reload);

/* A client's; for el_api_options.reload, with the el_reload as argument. Any thread. */
void el_reload_ask(struct el_api_reload *asked, void *reload);

/* SIGHUP: reads the file now. */
void el_reload_file(struct el_reload *reload);

/* Something changed in the swap: a model that is waited for may be there. Only wakes; may come from inside the swapper's work. */
void el_reload_look(struct el_reload *reload);

/* The server ends: what waits is answered UNAVAILABLE, and so is what still comes. */
void el_reload_end(struct el_reload *reload);

/* Closes the handles, whose loop has to run once more. NULL is allowed. */
void el_reload_free(struct el_reload *reload);

#endif

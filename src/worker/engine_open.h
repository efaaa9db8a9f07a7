/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_WORKER_ENGINE_OPEN_H
#define EL_WORKER_ENGINE_OPEN_H

/*
 * Opens an engine plug-in: finds the shared object, loads it, checks that it
 * speaks our version of the interface, and starts it.
 *
 * Called by the zygote (process) and by the front (EL_ISOLATION_NONE, swap thread). Counted references, any thread;
 * the last one stops the engine. The shared object itself stays loaded: libraries like TensorFlow do not survive
 * being unloaded.
 */

#include "base/status.h"
#include "everlit/engine.h"

#include <stdatomic.h>
#include <stdbool.h>

struct el_engine {
    const struct everlit_engine *table;
    void *library;
    _Atomic unsigned references;
    _Atomic bool leave_open; /* relaxed: the process ends, so models need not be closed one by one */
};

/* Opens DIR/engine_NAME.so. FAILED_PRECONDITION names the file, what is wrong with it and what to type. */
struct el_status *el_engine_open(const char *dir, const char *name, struct el_engine **engine) EL_MUST_USE;

struct el_engine *el_engine_hold(struct el_engine *engine);
void el_engine_release(struct el_engine *engine);

#endif

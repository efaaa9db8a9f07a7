/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_RELOAD_H
#define EL_API_RELOAD_H

/*
 * A config that a client asks to be put in force (ModelService.HandleReloadConfigRequest), on its way from the event loop of
 * its connection to the swap thread and back.
 *
 *     event loop     makes it, hands it over with el_api_options.reload, owns it no more
 *     swap thread    decides, and ends it with el_api_reload_done(), which sends it back
 *     event loop     answers, unless the client went meanwhile, and frees it
 *
 * Only the loop touches `call`; between hand-over and done only the swap thread touches the rest. A loop that has ended meanwhile
 * has no calls left, and what comes back for it is freed.
 */

#include "api/api.h"
#include "base/buf.h"

struct el_api_reload {
    struct el_api_reload *next; /* of whoever has it */
    struct el_api *api;
    uint32_t loop;             /* in api->loops */
    struct el_grpc_call *call; /* NULL: the client is gone */
    struct el_buf config;      /* the bytes of a ModelServerConfig */
    struct el_buf metrics;     /* the answer's field `metric`, ready */
    struct el_status *status;  /* owned: what came of it */
};

/* Takes status over. Swap thread. */
void el_api_reload_done(struct el_api_reload *reload, struct el_status *status);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_OPERATE_H
#define EL_API_OPERATE_H

/*
 * An operation that an operator asks for (POST /admin/v1/models/NAME:rollback...), on its way from the event loop of the admin
 * API to the swap thread and back, as a config's reload goes (reload.h):
 *
 *     event loop     makes it, hands it over with el_api_options.operate, owns it no more
 *     swap thread    decides, and ends it with el_api_operate_done(), which sends it back
 *     event loop     answers, unless the client went meanwhile, and frees it
 *
 * Only the loop touches `request`; between hand-over and done only the swap thread touches the rest.
 */

#include "api/api.h"
#include "swap/operate.h"

struct el_api_operate {
    struct el_api_operate *next; /* of whoever has it */
    struct el_api *api;
    uint32_t loop;                   /* in api->loops */
    struct el_http_request *request; /* NULL: the client is gone; the operation goes on */
    struct el_operation operation;   /* its texts point to those below */
    char *model, *by, *reason;       /* owned */
    uint64_t wait_ms;                /* for the outcome; 0: only what needs no load */

    /* What came of it. */
    bool done; /* false: it is on its way */
    double took_ms;
    char *forgotten;          /* owned: why the journal has not written it; NULL: it has, or there is no directory */
    struct el_status *status; /* owned */
};

/* Takes status over. Swap thread. */
void el_api_operate_done(struct el_api_operate *asked, struct el_status *status);

#endif

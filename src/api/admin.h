/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_API_ADMIN_H
#define EL_API_ADMIN_H

/* What the files of the admin API share. Event loop of the request. */

#include "api/internal.h"
#include "swap/operate.h"

#include <jansson.h>

/* Answers with json, which it takes over (NULL: no memory), and a line's end. Ends the request. */
void el_api_admin_answer(struct el_http_request *request, json_t *json, unsigned code);

/* Of a target's query, ?name=value: 0 where there is none or no number; NULL where there is none, to be freed. */
uint64_t el_api_query_number(const char *target, const char *name);
char *el_api_query_text(const char *target, const char *name);

/* Each ends the request. name, of size bytes, is the model's as it stands in the path. */
void el_api_admin_golden(struct el_http_request *request, struct el_api *api);
void el_api_admin_config(struct el_http_request *request, struct el_api *api);
void el_api_admin_operate(struct el_http_request *request, struct el_api *api, enum el_operation_kind kind,
                          const char *name, size_t size);
void el_api_admin_reports(struct el_http_request *request, struct el_api *api, const char *name, size_t size);
void el_api_admin_history(struct el_http_request *request, struct el_api *api, const char *name, size_t size);

/* True if the request bears the token of the admin port; otherwise it is answered with 401. */
bool el_api_admin_allows(struct el_http_request *request, const struct el_api *api);

#endif

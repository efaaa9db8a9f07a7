/* SPDX-License-Identifier: Apache-2.0 */
/* The admin API on a TCP port: who shows the token (Authorization: Bearer ...) may ask. */
#include "api/admin.h"

#include <string.h>
#include <strings.h>

/* In a time that depends on the token's length only, and not on how much of it was guessed. */
static bool is_same(const char *token, const char *shown)
{
    const size_t size = strlen(token), shown_size = strlen(shown);
    volatile unsigned char differs = size != shown_size;
    for (size_t i = 0; i < size; i++)
        differs |= (unsigned char)((unsigned char)token[i] ^ (unsigned char)(i < shown_size ? shown[i] : 0));
    return differs == 0;
}

bool el_api_admin_allows(struct el_http_request *request, const struct el_api *api)
{
    static const char scheme[] = "Bearer ";
    const char *shown = el_http_header(request, "Authorization");
    if (api->options.admin_token != NULL && shown != NULL && strncasecmp(shown, scheme, sizeof scheme - 1) == 0 &&
        is_same(api->options.admin_token, shown + sizeof scheme - 1))
        return true;
    struct el_status *status = el_status_new(EL_UNAUTHENTICATED,
                                             "the admin port needs the token of --admin_token_file, as the header "
                                             "\"Authorization: Bearer TOKEN\"");
    el_http_add_header(request, "WWW-Authenticate", "Bearer");
    el_api_rest_fail(request, status);
    el_status_free(status);
    return false;
}

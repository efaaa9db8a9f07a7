/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a --model_config_file: no crash, no leak; and what is taken must, printed, be taken again as the same. */
#include "config/config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct el_config config, again;
    struct el_status *status = el_config_parse("fuzz", (const char *)data, size, &config);
    if (status != NULL) {
        if (strncmp(el_status_text(status), "fuzz:", 5) != 0)
            abort(); /* an error without its place */
        el_status_free(status);
        return 0;
    }
    char *text = NULL, *text_again = NULL;
    if (el_config_print(&config, &text) != NULL || el_config_parse("fuzz", text, strlen(text), &again) != NULL ||
        el_config_print(&again, &text_again) != NULL || strcmp(text, text_again) != 0)
        abort();
    free(text);
    free(text_again);
    el_config_free(&config);
    el_config_free(&again);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A ModelServerConfig as HandleReloadConfigRequest carries it: refused, or a config that can be copied, which is to say
 * printed as text and read again.
 */
#include "config/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct el_config none = { 0 };
    struct el_config config, copy;
    struct el_status *status = el_config_decode(data, size, &none, &config);
    if (status != NULL) {
        el_status_free(status);
        return 0;
    }
    if (el_config_copy(&config, &copy) != NULL)
        abort();
    if (copy.model_count != config.model_count)
        abort();
    el_config_free(&copy);
    el_config_free(&config);
    return 0;
}

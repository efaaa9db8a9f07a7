/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as one of the text-format files that the command line names: no crash, no leak, no error without its place; and a
 * models' config that is taken must, printed, be taken again as the same. A first byte from 0 to 4 says which file the rest is;
 * with any other the whole is a --model_config_file, so that its corpus is plain files.
 */
#include "config/batching.h"
#include "config/config.h"
#include "config/platform.h"
#include "config/server_types.h"
#include "config/ssl.h"
#include "config/text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void placed(struct el_status *status)
{
    if (status != NULL && strncmp(el_status_text(status), "fuzz:", 5) != 0)
        abort(); /* an error without its place */
    el_status_free(status);
}

static void models(const char *text, size_t size)
{
    struct el_config config, again;
    struct el_status *status = el_config_parse("fuzz", text, size, &config);
    if (status != NULL) {
        placed(status);
        return;
    }
    char *printed = NULL, *printed_again = NULL;
    if (el_config_print(&config, &printed) != NULL ||
        el_config_parse("fuzz", printed, strlen(printed), &again) != NULL ||
        el_config_print(&again, &printed_again) != NULL || strcmp(printed, printed_again) != 0)
        abort();
    free(printed);
    free(printed_again);
    el_config_free(&config);
    el_config_free(&again);
}

/* What is taken is in its ranges, as its users believe. */
static void batching(const char *text, size_t size)
{
    struct el_batching_params params;
    placed(el_batching_parse("fuzz", text, size, &params));
    if (params.thread_pool_name == NULL)
        return;
    const size_t count = params.allowed_batch_size_count;
    if (params.max_batch_size < 1 || params.batch_timeout_micros < 0 || params.max_enqueued_batches < 0 ||
        params.num_batch_threads < 1 || params.max_execution_batch_size < 1 ||
        params.max_execution_batch_size > params.max_batch_size ||
        (count > 0 && params.allowed_batch_sizes[count - 1] != params.max_batch_size))
        abort();
    for (size_t i = 0; i < count; i++)
        if (params.allowed_batch_sizes[i] < (i == 0 ? 1 : params.allowed_batch_sizes[i - 1] + 1))
            abort();
    el_batching_free(&params);
}

static void parsed(const char *text, size_t size, const struct el_text_type *type)
{
    struct el_text document;
    placed(el_text_parse("fuzz", text, size, type, &document));
    if (document.root != NULL)
        el_text_free(&document);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct el_ssl_config ssl;
    struct el_platform_config platform;
    const char *text = (const char *)data + 1;
    switch (size > 0 ? data[0] : UINT8_MAX) {
    case 0:
        batching(text, size - 1);
        return 0;
    case 1:
        placed(el_ssl_config_parse("fuzz", text, size - 1, &ssl));
        el_ssl_config_free(&ssl);
        return 0;
    case 2:
        placed(el_platform_config_parse("fuzz", text, size - 1, &platform));
        el_platform_config_free(&platform);
        return 0;
    case 3:
        parsed(text, size - 1, &el_type_monitoring_config);
        return 0;
    case 4:
        parsed(text, size - 1, &el_type_session_config);
        return 0;
    default:
        models((const char *)data, size);
        return 0;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what an HTTP/1.1 client sends: byte 0 says how (rpc_harness.h), the rest is sent. */
#include "rpc_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    rpc_harness_run(EL_LISTEN_HTTP, data[0], NULL, 0, data + 1, size - 1);
    return 0;
}

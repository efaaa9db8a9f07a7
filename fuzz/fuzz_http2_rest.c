/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a client of REST sends that speaks HTTP/2: byte 0 as in fuzz_http2.c, the rest are frames after a good beginning. */
#include "rpc_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rpc_harness_http2(EL_LISTEN_HTTP, data, size);
    return 0;
}

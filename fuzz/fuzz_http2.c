/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a gRPC client sends: byte 0 says how (rpc_harness.h), the rest are frames after a good beginning. */
#include "rpc_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rpc_harness_http2(EL_LISTEN_GRPC, data, size);
    return 0;
}

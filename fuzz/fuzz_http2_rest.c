/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as what a client of REST sends that speaks HTTP/2: byte 0 as in fuzz_http2.c, the rest are frames after a good beginning. */
#include "rpc_harness.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char beginning[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0";
    if (size == 0)
        return 0;
    size_t head = (data[0] & 128) != 0 ? 0 : sizeof(beginning) - 1;
    rpc_harness_run(EL_LISTEN_HTTP, data[0], beginning, head, data + 1, size - 1);
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_CMD_CHANNEL_ARGUMENTS_H
#define EL_CMD_CHANNEL_ARGUMENTS_H

/*
 * --grpc_channel_arguments: "name=value,name=value", the settings of gRPC C++ (its grpc_types.h) that a server may be
 * given. Those that mean something here are put into effect; each of the others is told as having none, and why. As
 * with gRPC, none of them ends the start.
 *
 * Main thread; nothing is kept.
 */

#include "base/log.h"
#include "rpc/rpc.h"

void el_channel_arguments_apply(const char *text, const struct el_log *log, struct el_rpc_options *options);

#endif

// SPDX-License-Identifier: Apache-2.0

//go:build tools

// Package main: the generators and the clients of others, so that go.mod pins them too.
package main

import (
	_ "github.com/bojand/ghz/cmd/ghz"
	_ "github.com/fullstorydev/grpcurl/cmd/grpcurl"
	_ "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
)

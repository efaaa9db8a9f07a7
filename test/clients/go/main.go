// SPDX-License-Identifier: Apache-2.0

// A client in Go, as users of TensorFlow Serving have them: stubs generated from its public .proto files (here those of
// proto/), google.golang.org/grpc, nothing of Everlit.
//
//	client ADDRESS MODEL INPUT <floats >answer
//
// reads little-endian float32 from standard input, asks for them as one row, prints the outputs as JSON.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	framework "everlit.example/client/tensorflow/core/framework"
	apis "everlit.example/client/tensorflow_serving/apis"
)

func row(bytes []byte) *framework.TensorProto {
	values := make([]float32, len(bytes)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(bytes[4*i:]))
	}
	return &framework.TensorProto{
		Dtype: framework.DataType_DT_FLOAT,
		TensorShape: &framework.TensorShapeProto{
			Dim: []*framework.TensorShapeProto_Dim{{Size: 1}, {Size: int64(len(values))}},
		},
		FloatVal: values,
	}
}

func ask(address, model, input string, bytes []byte) (*apis.PredictResponse, error) {
	connection, err := grpc.Dial(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	defer connection.Close()
	within, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	status, err := apis.NewModelServiceClient(connection).GetModelStatus(within,
		&apis.GetModelStatusRequest{ModelSpec: &apis.ModelSpec{Name: model}})
	if err != nil {
		return nil, err
	}
	if state := status.ModelVersionStatus[0].State; state != apis.ModelVersionStatus_AVAILABLE {
		return nil, fmt.Errorf("%s version %d is %s", model, status.ModelVersionStatus[0].Version, state)
	}
	return apis.NewPredictionServiceClient(connection).Predict(within, &apis.PredictRequest{
		ModelSpec: &apis.ModelSpec{Name: model},
		Inputs:    map[string]*framework.TensorProto{input: row(bytes)},
	})
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "expected: client ADDRESS MODEL INPUT")
		os.Exit(2)
	}
	bytes, err := io.ReadAll(os.Stdin)
	if err == nil {
		var answer *apis.PredictResponse
		answer, err = ask(os.Args[1], os.Args[2], os.Args[3], bytes)
		if err == nil {
			outputs := map[string][]float32{}
			for name, tensor := range answer.Outputs {
				outputs[name] = tensor.FloatVal
			}
			err = json.NewEncoder(os.Stdout).Encode(map[string]any{
				"version": answer.ModelSpec.GetVersion().GetValue(), "outputs": outputs})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

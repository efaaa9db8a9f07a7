/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Source of the list: TensorFlow 2.21's op registry (TF_GetAllOpList), its 661 ops that are marked is_stateful or take a
 * reference. Left out of them are those after which the next run finds everything as it was:
 *
 *     that make or look at a handle     VarHandleOp, HashTableV2, IteratorV2, Variable, Placeholder...
 *     that read                         ReadVariableOp, ResourceGather, LookupTableFind, TensorArrayRead...
 *     that call functions               StatefulPartitionedCall, If, While, Case (what they call is looked at)
 *     whose memory lives for one run    TensorArray..., TemporaryVariable, DestroyTemporaryVariable
 *     whose effect is outside           Print, Assert, WriteFile, SaveV2, summaries: another process does not undo it
 *     that need what a worker has not   TPU..., collectives, Send, Recv, PyFunc
 *     that make datasets                the iterator over one is what has a state
 *
 * In doubt an op is in: the price is a second load.
 */
#include "bundle/state_ops.h"

#include <stddef.h>
#include <string.h>

/* A star at the end: whatever goes on from there. */
static const char *const patterns[] = {
    /* variables */
    "Assign*",
    "ResourceScatter*",
    "ResourceApply*",
    "ResourceSparseApply*",
    "ResourceStridedSliceAssign",
    "StridedSliceAssign",
    "Apply*",
    "SparseApply*",
    "CountUpTo",
    "ResourceCountUpTo",
    "DestroyResourceOp",
    "ResourceCreateOp",
    "ScatterAdd",
    "ScatterDiv",
    "ScatterMax",
    "ScatterMin",
    "ScatterMul",
    "ScatterSub",
    "ScatterUpdate",
    "ScatterNdAdd",
    "ScatterNdMax",
    "ScatterNdMin",
    "ScatterNdSub",
    "ScatterNdUpdate",
    "NegTrain",
    "SdcaShrinkL1",
    "DTensorRestoreV2",
    "DisableCopyOnRead",
    /* tables, trees, accumulators, barriers */
    "LookupTableImport*",
    "LookupTableInsert*",
    "LookupTableRemove*",
    "InitializeTable*",
    "BoostedTreesCenterBias",
    "BoostedTreesCreate*",
    "BoostedTreesDeserialize*",
    "BoostedTreesFlush*",
    "BoostedTreesUpdate*",
    "BoostedTreesQuantileStreamResourceAddSummaries",
    "BoostedTreesQuantileStreamResourceDeserialize",
    "BoostedTreesQuantileStreamResourceFlush",
    "AccumulatorApplyGradient",
    "AccumulatorSetGlobalStep",
    "AccumulatorTakeGradient",
    "SparseAccumulator*",
    "ResourceAccumulatorApplyGradient",
    "ResourceAccumulatorSetGlobalStep",
    "ResourceAccumulatorTakeGradient",
    "BarrierClose",
    "BarrierInsertMany",
    "BarrierTakeMany",
    "AddManySparseToTensorsMap",
    "AddSparseToTensorsMap",
    "TakeManySparseFromTensorsMap",
    /* queues, stacks, staging areas, sessions' tensors */
    "QueueClose*",
    "QueueDequeue*",
    "QueueEnqueue*",
    "FakeQueue",
    "StackPush*",
    "StackPop*",
    "StackClose*",
    "Stage",
    "StageClear",
    "Unstage",
    "MapStage",
    "MapUnstage*",
    "MapClear",
    "OrderedMapStage",
    "OrderedMapUnstage*",
    "OrderedMapClear",
    "GetSessionHandle*",
    "DeleteSessionTensor",
    /* iterators and readers */
    "IteratorGetNext*",
    "MakeIterator",
    "DeleteIterator",
    "DeserializeIterator",
    "OneShotIterator",
    "MultiDeviceIteratorGetNext*",
    "MultiDeviceIteratorInit",
    "DeleteMultiDeviceIterator",
    "ReaderRead*",
    "ReaderReset*",
    "ReaderRestoreState*",
    "RecordInput",
    "DeleteMemoryCache",
    "DeleteRandomSeedGenerator",
    "DeleteSeedGenerator",
    "CalibrationStatisticsSaver",
    /* generators of random numbers: each run moves them on */
    "RandomCrop",
    "RandomGamma",
    "RandomPoisson*",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform*",
    "TruncatedNormal",
    "ParameterizedTruncatedNormal",
    "Multinomial",
    "NonDeterministicInts",
    "RngSkip",
    "RngReadAndSkip",
    "StatefulRandomBinomial",
    "StatefulStandardNormal*",
    "StatefulTruncatedNormal",
    "StatefulUniform*",
    "SampleDistortedBoundingBox*",
    "Skipgram",
    "AllCandidateSampler",
    "FixedUnigramCandidateSampler",
    "LearnedUnigramCandidateSampler",
    "LogUniformCandidateSampler",
    "ThreadUnsafeUnigramCandidateSampler",
    "UniformCandidateSampler",
};

static bool matches(const char *op, const char *pattern)
{
    const size_t length = strlen(pattern);
    if (pattern[length - 1] == '*')
        return strncmp(op, pattern, length - 1) == 0;
    return strcmp(op, pattern) == 0;
}

bool el_op_changes_state(const char *op)
{
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        if (matches(op, patterns[i]))
            return true;
    return false;
}

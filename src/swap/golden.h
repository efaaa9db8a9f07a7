/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_GOLDEN_H
#define EL_SWAP_GOLDEN_H

/*
 * Golden records: requests that a version brings along with the answers that it must give.
 *
 * A TFRecord file of PredictionLogs with a predict_log each, such as the request log writes; how near an answer must be is said by
 * the record's everlit_golden (bundle/prediction_log.h). They are run like warm-up records (warmup.h); this sums up the answers.
 *
 * Pure but for its texts; swap thread. Zero-initialise to start.
 */

#include "bundle/prediction_log.h"
#include "swap/agreement.h"

#define EL_GOLDEN_FILE "assets.extra/everlit_golden.tfrecord"

struct el_golden {
    uint32_t records, bad; /* compared; of them not as they should be */
    struct el_agreement all;
    struct el_agreement shared; /* of records that are judged by their top-1 */
    double least_share;         /* what those ask for; 0: there are none */
    struct el_buf first;        /* what was wrong first */
};

/* Adds the answer of one run of record number `record` (from 1). */
void el_golden_add(struct el_golden *golden, uint32_t record, const struct el_prediction *prediction,
                   const struct el_prediction_run *run, const struct el_tensor *outputs, uint32_t count);

/* NULL, or why the version does not answer as it should. */
struct el_status *el_golden_judge(const struct el_golden *golden) EL_MUST_USE;

/* "8 golden records answered, largest difference 1e-07"; nothing if there were none. */
void el_golden_report(const struct el_golden *golden, struct el_buf *out);

void el_golden_free(struct el_golden *golden);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_REPORT_H
#define EL_SWAP_REPORT_H

/*
 * The swap report: for each attempt to bring a version in, one JSON document with all that is known of it at the moment of the decision.
 * docs/admin-api.md has its fields. The journal keeps it as the details of the event that was the decision; the last
 * EL_REPORTS_KEPT are here, for `everlit report`.
 *
 * Made on the swap thread, read on any; one mutex guards the ring. Without memory an attempt has no report.
 */

#include "swap/state.h"

#define EL_REPORTS_KEPT 100

struct el_status *el_reports_new(struct el_reports **reports) EL_MUST_USE;
void el_reports_free(struct el_reports *reports);

/*
 * The document, if event about version is a decision (it serves, or is refused or taken back), for the journal; NULL: it is none. Kept
 * here until EL_REPORTS_KEPT others have come: valid on the swap thread until the next call. text: why.
 */
const char *el_report_decided(struct el_reports *reports, const char *event, const char *by,
                              const struct el_version *version, const char *text);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
#include "swap/policy.h"

static bool is_specific(const struct el_version_policy *policy, int64_t version)
{
    for (size_t i = 0; i < policy->version_count; i++)
        if (policy->versions[i] == version)
            return true;
    return false;
}

size_t el_policy_aspire(const struct el_version_policy *policy, const struct el_candidate *candidates, size_t count,
                        int64_t *aspired)
{
    size_t latest = policy->latest > 0 ? policy->latest : 1;
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (!candidates[i].usable)
            continue;
        if (policy->type == EL_POLICY_SPECIFIC && !is_specific(policy, candidates[i].version))
            continue;
        if (policy->type == EL_POLICY_LATEST && found == latest)
            break;
        aspired[found++] = candidates[i].version;
    }
    return found;
}

bool el_policy_has(const int64_t *versions, size_t count, int64_t version)
{
    for (size_t i = 0; i < count; i++)
        if (versions[i] == version)
            return true;
    return false;
}

/* SPDX-License-Identifier: Apache-2.0 */
#ifndef EL_SWAP_GENERATION_H
#define EL_SWAP_GENERATION_H

/*
 * A generation of a group: which version of each of its models answers, under one number.
 *
 * The number is the client's hold on it: an answer tells it, and a request that names it is answered by these versions and no
 * others. So a number never comes to mean other versions. A model that had no version then has none in it, until it gets its first.
 *
 * Swap thread. Belongs to its group (group.h), and owns the servables of the versions that it means, so that none of them is
 * mistaken for another life of the same number.
 */

#include "swap/state.h"

struct el_generation_member {
    char *model;
    int64_t version;
    char digest[2 * EL_DIGEST_SIZE + 1]; /* "": not known */
    struct el_servable *servable;        /* owned with others; NULL: of a server before this one, not met again yet */
};

struct el_generation {
    uint64_t number;
    struct el_generation_member *members;
    size_t count;
};

/* NULL: no memory. */
struct el_generation *el_generation_new(uint64_t number);
void el_generation_free(struct el_generation *generation, struct el_list *lingering);

struct el_generation_member *el_generation_find(const struct el_generation *generation, const char *model);

/* A version of a model that has none in it. False: no memory. */
bool el_generation_add(struct el_generation *generation, const struct el_version *version);
bool el_generation_add_known(struct el_generation *generation, const char *model, int64_t version, const char *digest);

/* True if member means this life of this version; one that was only known by its content is met with that. */
bool el_generation_means(struct el_generation_member *member, const struct el_version *version);

/* The version of model that it means, if that can answer now; NULL: it cannot, or the model has none in it. */
struct el_version *el_generation_version(const struct el_generation *generation, const struct el_model *model);

#endif

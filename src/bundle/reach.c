/* SPDX-License-Identifier: Apache-2.0 */
#include "bundle/reach.h"

#include <stdlib.h>
#include <string.h>

#define MAX_VERTICES (UINT32_C(1) << 20)
#define MAX_EDGES (UINT32_C(1) << 23)

/* FNV-1a. Two names with one number would at worst cost a load, or save one. */
static uint64_t hash(uint64_t start, const char *text, size_t size)
{
    uint64_t value = UINT64_C(0xcbf29ce484222325) ^ start;
    for (size_t i = 0; i < size; i++)
        value = (value ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
    return value;
}

uint64_t el_reach_node(const char *name, size_t size)
{
    if (size > 0 && name[0] == '^') {
        name++;
        size--;
    }
    const char *colon = memchr(name, ':', size);
    return hash('n', name, colon != NULL ? (size_t)(colon - name) : size);
}

uint64_t el_reach_function(const char *name, size_t size)
{
    return hash('f', name, size);
}

/* Room for one more element, in steps that double. */
static void *grow(void *list, uint32_t count, size_t element)
{
    if (count != 0 && (count & (count - 1)) != 0)
        return list;
    return reallocarray(list, count == 0 ? 1 : 2 * (size_t)count, element);
}

struct el_status *el_reach_begin(struct el_reach *reach)
{
    reach->too_large = reach->too_large || reach->vertex_count == MAX_VERTICES;
    if (reach->too_large)
        return NULL;
    struct el_reach_vertex *grown = grow(reach->vertices, reach->vertex_count, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    reach->vertices = grown;
    grown[reach->vertex_count++] = (struct el_reach_vertex){ .first_edge = reach->edge_count };
    return NULL;
}

void el_reach_name(struct el_reach *reach, uint64_t id)
{
    if (!reach->too_large)
        reach->vertices[reach->vertex_count - 1].id = id;
}

struct el_status *el_reach_leads_to(struct el_reach *reach, uint64_t id)
{
    reach->too_large = reach->too_large || reach->edge_count == MAX_EDGES;
    if (reach->too_large)
        return NULL;
    uint64_t *grown = grow(reach->edges, reach->edge_count, sizeof *grown);
    if (grown == NULL)
        return el_status_no_memory();
    reach->edges = grown;
    grown[reach->edge_count++] = id;
    reach->vertices[reach->vertex_count - 1].edge_count++;
    return NULL;
}

void el_reach_changes(struct el_reach *reach, const char *op)
{
    reach->any_op = op;
    if (!reach->too_large)
        reach->vertices[reach->vertex_count - 1].op = op;
}

static int compare(const void *a_, const void *b_)
{
    const struct el_reach_vertex *a = a_, *b = b_;
    return a->id < b->id ? -1 : a->id > b->id;
}

/* The first vertex of that name; names that stand twice lie side by side. */
static uint32_t find(const struct el_reach *reach, uint64_t id)
{
    uint32_t low = 0, high = reach->vertex_count;
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (reach->vertices[middle].id < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct walk {
    uint32_t *waiting; /* as many as there are vertices: each comes in once */
    uint32_t count;
    bool *seen;
};

static void visit(const struct el_reach *reach, struct walk *walk, uint64_t id)
{
    for (uint32_t at = find(reach, id); at < reach->vertex_count && reach->vertices[at].id == id; at++) {
        if (walk->seen[at])
            continue;
        walk->seen[at] = true;
        walk->waiting[walk->count++] = at;
    }
}

struct el_status *el_reach_find(struct el_reach *reach, const uint64_t *from, size_t count, const char **op)
{
    *op = NULL;
    if (reach->any_op == NULL)
        return NULL;
    if (reach->too_large) {
        *op = reach->any_op;
        return NULL;
    }
    qsort(reach->vertices, reach->vertex_count, sizeof *reach->vertices, compare);
    struct walk walk = { .waiting = calloc(reach->vertex_count, sizeof *walk.waiting),
                         .seen = calloc(reach->vertex_count, sizeof *walk.seen) };
    const bool started = walk.waiting != NULL && walk.seen != NULL;
    for (size_t i = 0; started && i < count; i++)
        visit(reach, &walk, from[i]);
    while (walk.count > 0 && *op == NULL) {
        const struct el_reach_vertex *vertex = &reach->vertices[walk.waiting[--walk.count]];
        *op = vertex->op;
        for (uint32_t i = 0; i < vertex->edge_count; i++)
            visit(reach, &walk, reach->edges[vertex->first_edge + i]);
    }
    free(walk.waiting);
    free(walk.seen);
    return started ? NULL : el_status_no_memory();
}

void el_reach_free(struct el_reach *reach)
{
    free(reach->vertices);
    free(reach->edges);
    *reach = (struct el_reach){ 0 };
}

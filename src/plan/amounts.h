/* plan/amounts.h: quantities of resources by name ("cpu", "requests.nvidia.com/gpu"), and what a
 * pod asks for and may have. Pure.
 *
 * Few names each, so a list is searched from its start. A sum keeps the family of its first part
 * that is not zero, as Kubernetes prints it. */
#ifndef PLAN_AMOUNTS_H
#define PLAN_AMOUNTS_H

#include <yyjson.h>

#include "base/arena.h"
#include "codec/quantity.h"

struct amount {
    struct span name;
    struct quantity value;
};

struct amounts {
    struct amount *at; /* in the arena */
    size_t n, cap;
};

/* *to += v, or -= v. Exact: billions of the largest quantities have room. */
void amount_add(struct quantity *to, const struct quantity *v);
void amount_sub(struct quantity *to, const struct quantity *v);
/* Its canonical text in buf; a sum that no quantity can hold shows as the largest. */
struct span amount_text(const struct quantity *v, char buf[QUANTITY_TEXT_BYTES]);

/* NULL: not there. */
struct quantity *amounts_get(const struct amounts *list, struct span name);
/* Adds to the amount of that name, which begins with nothing. The name is not copied. */
void amounts_add(struct arena *a, struct amounts *list, struct span name,
                 const struct quantity *value);
/* By name. */
void amounts_sort(struct amounts *list);
/* The members of an object of quantities; what is no quantity is left out. */
struct amounts amounts_of(struct arena *a, const yyjson_val *map);

/* What a pod's containers ask for ("requests") or may have ("limits") together: the main ones and
 * sidecars, or the largest init container with the sidecars before it if that is more; of what the
 * pod says for itself as a whole, that. While a resize is under way, the larger of both.
 * with_overhead: and what running it costs. */
struct amounts amounts_of_pod(struct arena *a, const yyjson_val *pod, const char *member,
                              bool with_overhead);

#endif

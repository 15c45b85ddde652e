/* plan/near_plan.h: what pod affinity and topology spread are told of a cluster, and how terms are
 * read. Pure.
 *
 * Which pods the view holds is the shell's matter: at least those that a term of the pod matches
 * and those of which a term matches the pod. Whether one matches is decided here, so further ones
 * change nothing. */
#ifndef PLAN_NEAR_PLAN_H
#define PLAN_NEAR_PLAN_H

#include "base/arena.h"
#include "codec/json.h"
#include "codec/selector.h"

struct near_node {
    struct span name;
    const yyjson_val *labels;
    bool selected; /* nodeSelector and required node affinity of the pod let it there */
    bool tainted;  /* has a taint (or is cordoned) that the pod does not tolerate */
};

struct near_pod {
    const yyjson_val *root;
    struct span ns;
    const yyjson_val *ns_labels; /* of its namespace */
    size_t node;                 /* index of the node where it is */
};

struct near_view {
    struct near_pod pod; /* the one to be placed; its node is not read */
    const struct near_node *nodes;
    size_t node_count;
    const struct near_pod *pods; /* on nodes, in any order, each once */
    size_t pod_count;
};

/* One term of podAffinity or podAntiAffinity. */
struct near_term {
    struct selector pods, namespaces; /* namespaces: by label; nothing when absent */
    const yyjson_val *named;          /* namespaces by name; NULL: none */
    struct span own;                  /* without both: the namespace of the term's pod */
    struct span key;                  /* of the topology */
    int64_t weight;                   /* of a preferred term; 1 otherwise */
};

/* A LabelSelector; NULL or one that cannot be read: nothing. */
void near_selector(struct arena *a, const yyjson_val *object, struct selector *ret);
/* spec.affinity.LIST.(required|preferred)...: the terms of a pod; list "podAffinity" or
 * "podAntiAffinity". Returns their number. */
size_t near_terms(struct arena *a, const struct near_pod *pod, const char *list, bool required,
                  const struct near_term **ret);
/* The pods that spec.topologySpreadConstraints count. action: "DoNotSchedule", or NULL for all. */
size_t near_spread(struct arena *a, const struct near_pod *pod, const char *action,
                   const struct near_term **ret);
bool near_term_matches(const struct near_term *term, const struct near_pod *pod);
bool near_term_covers(const struct near_term *term, struct span ns, const yyjson_val *ns_labels);
/* Has it terms or constraints of its own? */
bool near_pod_has_terms(const yyjson_val *pod_spec);
bool near_pod_has_spread(const yyjson_val *pod_spec);
/* May it be that the pod, which finds no node, finds one when the other comes, goes or changes its
 * labels: do they match in a required term or a constraint? */
bool near_concerns(struct arena *a, const struct near_pod *waiting, const struct near_pod *other);

const yyjson_val *near_labels(const yyjson_val *root);
struct span near_name(const yyjson_val *root);

/* Where the nodes are by one label: domain[node] counts from 0, in the order of the first nodes;
 * NEAR_NOWHERE when the node has no such label. */
enum { NEAR_NOWHERE = -1 };
struct near_domains {
    struct span key;
    const int *domain;
    const struct span *values; /* by domain */
    size_t count;
    struct near_domains *next;
};

/* The domains by a key, made when asked for the first time; known: the list so far. */
struct near_domains *near_domains(struct arena *a, const struct near_view *view,
                                  struct near_domains **known, struct span key);
/* "node", "zone", "region" or "value of label KEY": what pods of one domain share. */
struct span near_place(struct arena *a, struct span key);

#endif

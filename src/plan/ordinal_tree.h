/* plan/ordinal_tree.h: the pods of a set by ordinal, with marks to find and to count them by.
 *
 * A radix tree of 64 children a node, as high as the highest ordinal asks for. Each node keeps, for
 * each mark, one bit a child that has it and the number of pods below that have it; so the first or
 * last pod with a mark, the first or last ordinal without a pod, and counts cost the height (1 to
 * 6), whatever the number of pods. Memory follows the pods: children are packed.
 *
 * Invariants: counts are sums of the children's; a bit is set exactly where the child's count is
 * not 0; a node has at least one pod. */
#ifndef PLAN_ORDINAL_TREE_H
#define PLAN_ORDINAL_TREE_H

#include <stdbool.h>
#include <stdint.h>

enum { ORDINAL_MARKS_MAX = 18 };

struct ordinal_node;
struct ordinal_tree {
    struct ordinal_node *root;
    int height; /* of the root; leaves: 0 */
};

/* A pod's place: what the owner of the tree keeps for it. Fixed once made. */
struct ordinal_entry {
    int32_t ordinal;
    uint32_t marks; /* bit 1 << mark; mark 0 is always set: there is a pod */
};

void ordinal_tree_done(struct ordinal_tree *t, void (*free_fn)(struct ordinal_entry *e));
/* NULL when absent. */
struct ordinal_entry *ordinal_tree_get(const struct ordinal_tree *t, int32_t ordinal);
/* The ordinal is not in the tree. Borrowed until removed. */
void ordinal_tree_add(struct ordinal_tree *t, struct ordinal_entry *e);
/* The entry is in the tree. */
void ordinal_tree_remove(struct ordinal_tree *t, struct ordinal_entry *e);
void ordinal_tree_mark(struct ordinal_tree *t, struct ordinal_entry *e, uint32_t marks);

int32_t ordinal_tree_count(const struct ordinal_tree *t, int mark);
/* Pods with the mark at `from` and above. */
int32_t ordinal_tree_count_from(const struct ordinal_tree *t, int mark, int64_t from);
/* The lowest ordinal >= from, the highest <= to, of a pod with the mark; -1: none. */
int64_t ordinal_tree_first(const struct ordinal_tree *t, int mark, int64_t from);
int64_t ordinal_tree_last(const struct ordinal_tree *t, int mark, int64_t to);
/* The lowest ordinal >= from without a pod (there always is one, at most 2^36), the highest <= to
 * (-1: none). */
int64_t ordinal_tree_first_gap(const struct ordinal_tree *t, int64_t from);
int64_t ordinal_tree_last_gap(const struct ordinal_tree *t, int64_t to);

#endif

/* plan/aggregate_plan.c: see aggregate_plan.h. */
#include "plan/aggregate_plan.h"

#include <stdlib.h>

#include "base/check.h"
#include "codec/selector.h"

static int by_name(const void *x, const void *y)
{
    const struct aggregate_role *const *a = x, *const *b = y;
    return span_cmp((*a)->name, (*b)->name);
}

static bool selects(struct arena *a, const yyjson_val *selector, const yyjson_val *labels)
{
    struct selector s;
    struct err ignored;
    return selector_from_object(a, selector, &s, &ignored) == 0 && selector_matches(&s, labels);
}

bool aggregate_selects(struct arena *a, const yyjson_val *selectors, const yyjson_val *labels)
{
    JSON_EACH(it, selectors)
    {
        if (selects(a, it.val, labels)) {
            return true;
        }
    }
    return false;
}

static bool has_rule(const yyjson_val *const *rules, size_t n, const yyjson_val *rule)
{
    for (size_t i = 0; i < n; i++) {
        if (json_equal(rules[i], rule)) {
            return true;
        }
    }
    return false;
}

static bool are_same(const yyjson_val *const *rules, size_t n, const yyjson_val *now)
{
    size_t i = 0;
    if (json_len(now) != n) {
        return false;
    }
    JSON_EACH(it, now)
    {
        if (!json_equal(rules[i++], it.val)) {
            return false;
        }
    }
    assert(i == n);
    return true;
}

yyjson_mut_val *aggregate_plan(struct arena *a, yyjson_mut_doc *doc,
                               const struct aggregate_view *view)
{
    assert(a);
    assert(doc);
    assert(view);
    const struct aggregate_role **sorted =
        ARENA_ARRAY(a, const struct aggregate_role *, view->role_count + 1);
    size_t all = 0, n = 0;
    for (size_t i = 0; i < view->role_count; i++) {
        sorted[i] = &view->roles[i];
        all += json_len(view->roles[i].rules);
    }
    if (view->role_count) {
        qsort(sorted, view->role_count, sizeof(const struct aggregate_role *), by_name);
    }
    const yyjson_val **rules = ARENA_ARRAY(a, const yyjson_val *, all + 1);
    JSON_EACH(selector, view->selectors)
    {
        for (size_t i = 0; i < view->role_count; i++) {
            bool other = !span_eq(sorted[i]->name, view->self.name);
            if (other && selects(a, selector.val, sorted[i]->labels)) {
                JSON_EACH(rule, sorted[i]->rules)
                {
                    if (!has_rule(rules, n, rule.val)) {
                        rules[n++] = rule.val;
                    }
                }
            }
        }
    }
    assert(n <= all);
    if (are_same(rules, n, view->self.rules)) {
        return NULL;
    }
    yyjson_mut_val *out = yyjson_mut_arr(doc);
    for (size_t i = 0; i < n; i++) {
        (void)yyjson_mut_arr_append(out, json_mut_copy(doc, rules[i]));
    }
    return out;
}

#include "plan/amounts.h"

#include "base/check.h"
#include "base/sort.h"
#include "codec/json.h"

static void add_nano(struct quantity *to, __int128 nano, enum quantity_family family)
{
    assert(family == QUANTITY_DECIMAL || family == QUANTITY_BINARY || family == QUANTITY_EXPONENT);
    if (to->nano == 0) {
        to->family = family;
    }
    to->nano += nano;
}

void amount_add(struct quantity *to, const struct quantity *v)
{
    assert(to);
    assert(v);
    add_nano(to, v->nano, v->family);
}

void amount_sub(struct quantity *to, const struct quantity *v)
{
    assert(to);
    assert(v);
    add_nano(to, -v->nano, v->family);
}

struct span amount_text(const struct quantity *v, char buf[QUANTITY_TEXT_BYTES])
{
    assert(v);
    const __int128 most = (__int128)INT64_MAX * 1000000000;
    struct quantity q = *v;
    q.nano = q.nano > most ? most : q.nano < -most ? -most : q.nano;
    return quantity_format(&q, buf);
}

struct quantity *amounts_get(const struct amounts *list, struct span name)
{
    assert(list);
    for (size_t i = 0; i < list->n; i++) {
        if (span_eq(list->at[i].name, name)) {
            return &list->at[i].value;
        }
    }
    return NULL;
}

/* The amount of that name, which is made when it is not there. */
static struct quantity *amounts_at(struct arena *a, struct amounts *list, struct span name)
{
    struct quantity *known = amounts_get(list, name);
    if (known) {
        return known;
    }
    if (list->n == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 8;
        struct amount *more = ARENA_ARRAY(a, struct amount, cap);
        if (list->n) {
            memcpy(more, list->at, list->n * sizeof *more);
        }
        list->at = more;
        list->cap = cap;
    }
    assert(list->n < list->cap);
    assert(list->at);
    list->at[list->n] = (struct amount){.name = name};
    return &list->at[list->n++].value;
}

void amounts_add(struct arena *a, struct amounts *list, struct span name,
                 const struct quantity *value)
{
    assert(name.n > 0);
    amount_add(amounts_at(a, list, name), value);
}

static int by_name(const void *x, const void *y)
{
    return span_cmp(((const struct amount *)x)->name, ((const struct amount *)y)->name);
}

void amounts_sort(struct amounts *list)
{
    assert(list);
    assert(list->n <= list->cap);
    if (list->n > 1) {
        sort_few(list->at, list->n, sizeof *list->at, by_name);
    }
}

struct amounts amounts_of(struct arena *a, const yyjson_val *map)
{
    assert(a);
    struct amounts out = {0};
    JSON_EACH(it, map)
    {
        struct quantity q;
        if (it.key && json_str(it.key).n && !quantity_parse(json_str(it.val), &q)) {
            amounts_add(a, &out, json_str(it.key), &q);
        }
    }
    return out;
}

/* ---- pods ---- */

static void add_all(struct arena *a, struct amounts *to, const struct amounts *more)
{
    assert(to != more);
    for (size_t i = 0; i < more->n; i++) {
        amounts_add(a, to, more->at[i].name, &more->at[i].value);
    }
}

static void raise_all(struct arena *a, struct amounts *to, const struct amounts *to_at_least)
{
    assert(to != to_at_least);
    for (size_t i = 0; i < to_at_least->n; i++) {
        const struct amount *least = &to_at_least->at[i];
        struct quantity *v = amounts_at(a, to, least->name);
        if (quantity_cmp(v, &least->value) < 0) {
            *v = least->value;
        }
        assert(quantity_cmp(v, &least->value) >= 0);
    }
}

/* What the container has or is to have. */
static struct amounts of_container(struct arena *a, const yyjson_val *container,
                                   const yyjson_val *statuses, const char *member)
{
    struct amounts out = amounts_of(a, json_path(container, "resources", member, NULL));
    JSON_EACH(it, statuses)
    {
        if (!span_eq(json_get_str(it.val, "name"), json_get_str(container, "name"))) {
            continue;
        }
        struct amounts has = amounts_of(a, json_path(it.val, "resources", member, NULL));
        raise_all(a, &out, &has);
        if (span_eq_cstr(span_cstr(member), "requests")) {
            struct amounts given = amounts_of(a, json_get(it.val, "allocatedResources"));
            raise_all(a, &out, &given);
        }
    }
    return out;
}

/* Do the resources of a pod as a whole count for this one? */
static bool is_of_pods(struct span name)
{
    return span_eq_cstr(name, "cpu") || span_eq_cstr(name, "memory") ||
           span_starts(name, SPAN("hugepages-"));
}

struct amounts amounts_of_pod(struct arena *a, const yyjson_val *pod, const char *member,
                              bool with_overhead)
{
    assert(a);
    assert(member);
    const yyjson_val *spec = json_get(pod, "spec"), *status = json_get(pod, "status");
    struct amounts sum = {0}, sidecars = {0}, peak = {0};
    JSON_EACH(it, json_get(spec, "containers"))
    {
        struct amounts one = of_container(a, it.val, json_get(status, "containerStatuses"), member);
        add_all(a, &sum, &one);
    }
    JSON_EACH(it, json_get(spec, "initContainers"))
    {
        struct amounts one =
            of_container(a, it.val, json_get(status, "initContainerStatuses"), member);
        if (span_eq_cstr(json_get_str(it.val, "restartPolicy"), "Always")) {
            add_all(a, &sum, &one);
            add_all(a, &sidecars, &one);
            one = sidecars;
        } else {
            add_all(a, &one, &sidecars);
        }
        raise_all(a, &peak, &one);
    }
    raise_all(a, &sum, &peak);
    struct amounts whole = amounts_of(a, json_path(spec, "resources", member, NULL));
    for (size_t i = 0; i < whole.n; i++) {
        if (is_of_pods(whole.at[i].name)) {
            *amounts_at(a, &sum, whole.at[i].name) = whole.at[i].value;
        }
    }
    struct amounts overhead = {0};
    if (with_overhead) {
        overhead = amounts_of(a, json_get(spec, "overhead"));
    }
    bool limits = span_eq_cstr(span_cstr(member), "limits");
    for (size_t i = 0; i < overhead.n; i++) {
        /* What has no limit has none with it, either. */
        if (!limits || amounts_get(&sum, overhead.at[i].name)) {
            amounts_add(a, &sum, overhead.at[i].name, &overhead.at[i].value);
        }
    }
    return sum;
}

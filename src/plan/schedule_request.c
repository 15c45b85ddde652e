/* plan/schedule_request.c: see schedule_request.h. */
#include "plan/schedule_request.h"

#include "base/check.h"
#include "base/limits.h"
#include "codec/json.h"
#include "codec/quantity.h"
#include "schema/status.h"

enum { NAMES_MAX = 2 };

static const char *const known[NAMES_MAX] = {"cpu", "memory"};

/* Sums of up to NAMES_MAX resources at once. */
struct sums {
    const char *const *names;
    size_t count;
    int64_t mains[NAMES_MAX], sidecars[NAMES_MAX], peak[NAMES_MAX];
    bool more; /* somebody names others */
};

/* So that sums of amounts from outside stay in their range. */
static int64_t bounded(int64_t n)
{
    return n > LIMIT_SCHEDULE_AMOUNT    ? LIMIT_SCHEDULE_AMOUNT
           : n < -LIMIT_SCHEDULE_AMOUNT ? -LIMIT_SCHEDULE_AMOUNT
                                        : n;
}

int64_t schedule_quantity(const yyjson_val *amount, bool millis)
{
    struct quantity q;
    struct span text = json_str(amount);
    if (text.n == 0) {
        int64_t whole = bounded(json_int(amount, 0));
        return bounded(millis ? whole * 1000 : whole);
    }
    if (quantity_parse(text, &q) != NULL) {
        return 0;
    }
    return bounded(millis ? quantity_millis(&q) : quantity_units(&q));
}

/* statuses: where what the container has now counts instead of what it asks for. */
static void requests_of(struct sums *s, const yyjson_val *container, const yyjson_val *statuses,
                        int64_t *ret)
{
    assert(container);
    assert(s->count <= NAMES_MAX);
    const yyjson_val *asked = json_path(container, "resources", "requests", NULL);
    size_t found = 0;
    assert(ret);
    for (size_t i = 0; i < s->count; i++) {
        found += json_get(asked, s->names[i]) != NULL;
    }
    s->more |= json_len(asked) > found;
    JSON_EACH(it, statuses)
    {
        const yyjson_val *has = json_get(it.val, "allocatedResources");
        if (has && span_eq(json_get_str(it.val, "name"), json_get_str(container, "name"))) {
            asked = has;
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        ret[i] = schedule_quantity(json_get(asked, s->names[i]), !strcmp(s->names[i], "cpu"));
    }
}

static void add_up(struct sums *s, const yyjson_val *pod_spec, const yyjson_val *status)
{
    assert(s->count > 0);
    assert(s->count <= NAMES_MAX);
    int64_t one[NAMES_MAX] = {0};
    JSON_EACH(it, json_get(pod_spec, "containers"))
    {
        requests_of(s, it.val, json_get(status, "containerStatuses"), one);
        for (size_t i = 0; i < s->count; i++) {
            s->mains[i] += one[i];
        }
    }
    JSON_EACH(it, json_get(pod_spec, "initContainers"))
    {
        bool stays = span_eq_cstr(json_get_str(it.val, "restartPolicy"), "Always");
        requests_of(s, it.val, json_get(status, "initContainerStatuses"), one);
        for (size_t i = 0; i < s->count; i++) {
            s->sidecars[i] += stays ? one[i] : 0; /* beside the others */
            int64_t now = s->sidecars[i] + (stays ? 0 : one[i]);
            s->peak[i] = now > s->peak[i] ? now : s->peak[i];
        }
    }
}

static int64_t total(const struct sums *s, size_t i)
{
    assert(i < s->count);
    assert(s->count <= NAMES_MAX);
    int64_t later = s->mains[i] + s->sidecars[i];
    return bounded(later > s->peak[i] ? later : s->peak[i]);
}

static struct schedule_needs needs(const yyjson_val *pod_spec, const yyjson_val *status)
{
    struct sums s = {.names = known, .count = NAMES_MAX};
    add_up(&s, pod_spec, status);
    return (struct schedule_needs){total(&s, 0), total(&s, 1), s.more};
}

struct schedule_needs schedule_needs(const yyjson_val *pod_spec)
{
    return needs(pod_spec, NULL);
}

struct schedule_needs schedule_holds(const yyjson_val *pod)
{
    bool waits = status_condition_true(pod, "PodResizePending");
    return needs(json_get(pod, "spec"), waits ? json_get(pod, "status") : NULL);
}

/* ---- the others ---- */

static bool is_new(struct span name, const struct schedule_amount *list, size_t n)
{
    assert(list);
    bool found = span_eq_cstr(name, known[0]) || span_eq_cstr(name, known[1]);
    for (size_t i = 0; i < n && !found; i++) {
        found = span_eq(list[i].name, name);
    }
    return !found;
}

/* How many requests the containers name, repeated names too. */
static size_t count_names(const yyjson_val *containers)
{
    size_t n = 0;
    JSON_EACH(it, containers)
    {
        n += json_len(json_path(it.val, "resources", "requests", NULL));
    }
    return n;
}

/* Adds the names that containers ask for to the list of n, which has room; returns its length. */
static size_t add_names(const yyjson_val *containers, struct schedule_amount *list, size_t n)
{
    JSON_EACH(it, containers)
    {
        JSON_EACH(r, json_path(it.val, "resources", "requests", NULL))
        {
            if (is_new(json_str(r.key), list, n)) {
                list[n++].name = json_str(r.key);
            }
        }
    }
    return n;
}

size_t schedule_more(struct arena *a, const yyjson_val *pod_spec,
                     const struct schedule_amount **ret)
{
    assert(a);
    assert(ret);
    const yyjson_val *mains = json_get(pod_spec, "containers");
    const yyjson_val *inits = json_get(pod_spec, "initContainers");
    size_t most = count_names(mains) + count_names(inits);
    struct schedule_amount *list = ARENA_ARRAY(a, struct schedule_amount, most + 1);
    size_t n = add_names(inits, list, add_names(mains, list, 0));
    assert(n <= most);
    for (size_t i = 0; i < n; i++) {
        const char *name = list[i].name.p;
        struct sums s = {.names = &name, .count = 1};
        add_up(&s, pod_spec, NULL);
        list[i].units = total(&s, 0);
    }
    *ret = list;
    return n;
}

#include "plan/limit_plan.h"

#include "base/check.h"
#include "base/sort.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "plan/amounts.h"

static bool is_for(const yyjson_val *item, const char *type)
{
    return span_eq_cstr(json_get_str(item, "type"), type);
}

/* ---- defaults ---- */

/* What was set, as the annotation tells: "cpu, memory request for container a". */
struct told {
    struct arena *a;
    struct strbuf text;
};

static int by_text(const void *x, const void *y)
{
    return span_cmp(*(const struct span *)x, *(const struct span *)y);
}

/* Members of `defaults` that the container's `member` has not. */
static void fill(struct told *t, yyjson_mut_doc *doc, yyjson_mut_val *container, const char *member,
                 const yyjson_val *defaults, const char *what)
{
    assert(t->a);
    assert(container);
    struct span *set = ARENA_ARRAY(t->a, struct span, json_len(defaults) + 1);
    size_t n = 0;
    yyjson_mut_val *has = json_mut_get(json_mut_get(container, "resources"), member);
    JSON_EACH(it, defaults)
    {
        struct span name = json_str(it.key);
        if (!json_mut_get_span(has, name)) {
            set[n] = arena_dup(t->a, name);
            has = json_mut_obj(doc, json_mut_obj(doc, container, "resources"), member);
            json_put_text(doc, has, set[n++], arena_dup(t->a, json_str(it.val)));
        }
    }
    if (n == 0) {
        return;
    }
    assert(n <= json_len(defaults));
    sort_few(set, n, sizeof *set, by_text);
    for (size_t i = 0; i < n; i++) {
        strbuf_printf(&t->text, "%s%.*s", i ? ", " : t->text.n ? "; " : "", SPAN_ARG(set[i]));
    }
    struct span name = json_mut_str(json_mut_get(container, "name"));
    strbuf_printf(&t->text, " %s for %s %.*s", strcmp(member, "limits") ? "request" : "limit", what,
                  SPAN_ARG(name));
}

void limit_defaults(struct arena *a, yyjson_mut_doc *doc, yyjson_mut_val *pod,
                    const yyjson_val *range)
{
    assert(a);
    assert(doc);
    static const char *const lists[][2] = {{"containers", "container"},
                                           {"initContainers", "init container"}};
    const yyjson_val *item = NULL; /* validation has seen that there is one of a type at most */
    JSON_EACH(it, json_path(range, "spec", "limits", NULL))
    {
        item = is_for(it.val, "Container") ? it.val : item;
    }
    struct told told = {.a = a};
    for (size_t l = 0; l < 2; l++) {
        yyjson_mut_val *list = json_mut_get(json_mut_get(pod, "spec"), lists[l][0]), *c;
        yyjson_mut_arr_iter it = yyjson_mut_arr_iter_with(list);
        while (yyjson_mut_is_arr(list) && (c = yyjson_mut_arr_iter_next(&it))) {
            fill(&told, doc, c, "requests", json_get(item, "defaultRequest"), lists[l][1]);
            fill(&told, doc, c, "limits", json_get(item, "default"), lists[l][1]);
        }
    }
    if (told.text.n) {
        yyjson_mut_val *meta = json_mut_obj(doc, pod, "metadata");
        json_put_str(
            doc, json_mut_obj(doc, meta, "annotations"), "kubernetes.io/limit-ranger",
            arena_printf(a, "LimitRanger plugin set: %.*s", SPAN_ARG(strbuf_span(&told.text))));
    }
    strbuf_done(&told.text);
}

/* ---- bounds ---- */

/* As many as somebody reads. */
enum { REFUSALS_MAX = 32 };

struct refusals {
    struct arena *a;
    struct span text[REFUSALS_MAX];
    size_t n;
};

/* The same sentence twice (of two containers) is told once. */
static void refuse(struct refusals *r, struct span text)
{
    assert(text.n > 0);
    assert(r->n <= REFUSALS_MAX);
    for (size_t i = 0; i < r->n; i++) {
        if (span_eq(r->text[i], text)) {
            return;
        }
    }
    if (r->n < REFUSALS_MAX) {
        r->text[r->n++] = text;
    }
}

static struct span refusals_text(const struct refusals *r)
{
    assert(r->n <= REFUSALS_MAX);
    if (r->n <= 1) {
        return r->n ? r->text[0] : SPAN_NULL;
    }
    struct strbuf all cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0; i < r->n; i++) {
        strbuf_printf(&all, "%s%.*s", i ? ", " : "[", SPAN_ARG(r->text[i]));
    }
    strbuf_puts(&all, "]");
    return arena_dup(r->a, strbuf_span(&all));
}

/* One bound, and what is measured by it. */
struct bound {
    const char *type;                               /* "Container" */
    struct span name;                               /* of the resource */
    const struct quantity *bound, *request, *limit; /* the last two may be NULL */
};

/* "minimum cpu usage per Container is 100m" and what `than` is; NULL: not given. */
static void refuse_amount(struct refusals *r, const struct bound *b, const char *which,
                          const char *what, const struct quantity *than)
{
    char bound[QUANTITY_TEXT_BYTES], buf[QUANTITY_TEXT_BYTES];
    struct span head = arena_printf(r->a, "%s %.*s usage per %s is %.*s", which, SPAN_ARG(b->name),
                                    b->type, SPAN_ARG(amount_text(b->bound, bound)));
    refuse(r, than ? arena_printf(r->a, "%.*s, but %s is %.*s", SPAN_ARG(head), what,
                                  SPAN_ARG(amount_text(than, buf)))
                   : arena_printf(r->a, "%.*s.  No %s is specified", SPAN_ARG(head), what));
}

static bool is_less(const struct quantity *x, const struct quantity *than)
{
    return x && quantity_cmp(x, than) < 0;
}

static bool is_more(const struct quantity *x, const struct quantity *than)
{
    return x && quantity_cmp(x, than) > 0;
}

static void check_min(struct refusals *r, const struct bound *b)
{
    assert(b->bound);
    assert(b->name.n > 0);
    if (!b->request || is_less(b->request, b->bound)) {
        refuse_amount(r, b, "minimum", "request", b->request);
    } else if (is_less(b->limit, b->bound)) {
        refuse_amount(r, b, "minimum", "limit", b->limit);
    }
}

static void check_max(struct refusals *r, const struct bound *b)
{
    assert(b->bound);
    assert(b->name.n > 0);
    if (!b->limit || is_more(b->limit, b->bound)) {
        refuse_amount(r, b, "maximum", "limit", b->limit);
    } else if (is_more(b->request, b->bound)) {
        refuse_amount(r, b, "maximum", "request", b->request);
    }
}

/* Of claims, whose limits are nobody's business. */
static void check_max_request(struct refusals *r, const struct bound *b)
{
    assert(b->bound);
    assert(!b->limit);
    if (!b->request || is_more(b->request, b->bound)) {
        refuse_amount(r, b, "maximum", "request", b->request);
    }
}

static void check_ratio(struct refusals *r, const struct bound *b)
{
    assert(b->bound);
    assert(b->name.n > 0);
    const char *lacks = !b->request || b->request->nano == 0 ? "request"
                        : !b->limit || b->limit->nano == 0   ? "limit"
                                                             : NULL;
    double ratio = lacks ? 0 : (double)b->limit->nano / (double)b->request->nano;
    char buf[QUANTITY_TEXT_BYTES];
    struct span head =
        arena_printf(r->a, "%.*s max limit to request ratio per %s is %.*s", SPAN_ARG(b->name),
                     b->type, SPAN_ARG(amount_text(b->bound, buf)));
    if (lacks) {
        refuse(r, arena_printf(r->a, "%.*s, but no %s is specified or %s is 0", SPAN_ARG(head),
                               lacks, lacks));
    } else if (ratio * 1e9 > (double)b->bound->nano) {
        refuse(r, arena_printf(r->a, "%.*s, but provided ratio is %f", SPAN_ARG(head), ratio));
    }
}

static void check_bounds(struct refusals *r, const char *type, const yyjson_val *bounds,
                         const struct amounts *requests, const struct amounts *limits,
                         void (*check)(struct refusals *r, const struct bound *b))
{
    struct amounts list = amounts_of(r->a, bounds);
    amounts_sort(&list);
    for (size_t i = 0; i < list.n; i++) {
        struct span name = list.at[i].name;
        check(r, &(struct bound){type, name, &list.at[i].value, amounts_get(requests, name),
                                 amounts_get(limits, name)});
    }
}

static void check_item(struct refusals *r, const char *type, const yyjson_val *item,
                       const struct amounts *requests, const struct amounts *limits)
{
    check_bounds(r, type, json_get(item, "min"), requests, limits, check_min);
    check_bounds(r, type, json_get(item, "max"), requests, limits, check_max);
    check_bounds(r, type, json_get(item, "maxLimitRequestRatio"), requests, limits, check_ratio);
}

static void check_containers(struct refusals *r, const yyjson_val *item, const yyjson_val *list)
{
    JSON_EACH(it, list)
    {
        struct amounts requests =
            amounts_of(r->a, json_path(it.val, "resources", "requests", NULL));
        struct amounts limits = amounts_of(r->a, json_path(it.val, "resources", "limits", NULL));
        check_item(r, "Container", item, &requests, &limits);
    }
}

struct span limit_refuses_pod(struct arena *a, const yyjson_val *range, const yyjson_val *pod)
{
    assert(a);
    struct refusals r = {.a = a};
    const yyjson_val *spec = json_get(pod, "spec");
    JSON_EACH(it, json_path(range, "spec", "limits", NULL))
    {
        if (is_for(it.val, "Container")) {
            check_containers(&r, it.val, json_get(spec, "containers"));
            check_containers(&r, it.val, json_get(spec, "initContainers"));
        } else if (is_for(it.val, "Pod")) {
            struct amounts requests = amounts_of_pod(a, pod, "requests", false);
            struct amounts limits = amounts_of_pod(a, pod, "limits", false);
            check_item(&r, "Pod", it.val, &requests, &limits);
        }
    }
    return refusals_text(&r);
}

struct span limit_refuses_claim(struct arena *a, const yyjson_val *range, const yyjson_val *claim)
{
    assert(a);
    struct refusals r = {.a = a};
    struct amounts requests =
        amounts_of(a, json_path(claim, "spec", "resources", "requests", NULL));
    struct amounts none = {0};
    JSON_EACH(it, json_path(range, "spec", "limits", NULL))
    {
        if (is_for(it.val, "PersistentVolumeClaim")) {
            check_bounds(&r, "PersistentVolumeClaim", json_get(it.val, "min"), &requests, &none,
                         check_min);
            check_bounds(&r, "PersistentVolumeClaim", json_get(it.val, "max"), &requests, &none,
                         check_max_request);
        }
    }
    return refusals_text(&r);
}

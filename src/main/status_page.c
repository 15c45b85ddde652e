/* main/status_page.c: see status_page.h.
 *
 * A cause is told once: by the set that it holds up, else by the pod, else by the claim. */
#include "main/status_page.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/strbuf.h"
#include "codec/json.h"
#include "plan/why_plan.h"
#include "schema/status.h"

struct page {
    struct arena *a;
    const struct status_world *w;
    const struct status_view *view;
    struct strbuf out;
    struct strbuf told; /* the causes so far */
};

static struct span meta(const yyjson_val *o, const char *key)
{
    return json_str(json_path(o, "metadata", key, NULL));
}

static bool is_true(const yyjson_val *cond)
{
    return span_eq(json_get_str(cond, "status"), SPAN("True"));
}

static bool contains(struct span text, struct span what)
{
    size_t i = 0;
    while (i + what.n <= text.n && !span_starts(span_from(text, i), what)) {
        i++;
    }
    return i + what.n <= text.n;
}

/* ---- lines ---- */

/* Breaks at blanks; what follows is indented. A word that is too long stays whole. */
static void put_line(struct page *p, struct span text)
{
    enum { INDENT = 4 };
    size_t column = 0;
    while (text.n > 0) {
        size_t n = span_find(text, ' ');
        bool fits = p->view->width == 0 || column + 1 + n <= p->view->width;
        if (column > 0 && fits) {
            strbuf_putc(&p->out, ' ');
            column++;
        } else if (column > 0) {
            strbuf_printf(&p->out, "\n%*s", INDENT, "");
            column = INDENT;
        }
        strbuf_put(&p->out, span_first(text, n));
        column += n;
        text = span_from(text, n < text.n ? n + 1 : n);
    }
    strbuf_putc(&p->out, '\n');
}

static void put_waiting(struct page *p, struct span line, struct span cause)
{
    if (p->told.n == 0) {
        strbuf_puts(&p->out, "\nwaiting:\n");
    }
    strbuf_put(&p->told, cause);
    strbuf_putc(&p->told, '\n');
    put_line(p, line);
}

/* ---- which ---- */

static bool is_chosen(const struct page *p, const yyjson_val *set)
{
    return p->view->set.n == 0 || (span_eq(meta(set, "name"), p->view->set) &&
                                   span_eq(meta(set, "namespace"), p->view->ns));
}

static bool owned_by(const yyjson_val *pod, struct span uid)
{
    JSON_EACH(it, json_path(pod, "metadata", "ownerReferences", NULL))
    {
        if (uid.n && span_eq(json_get_str(it.val, "uid"), uid)) {
            return true;
        }
    }
    return false;
}

static bool is_chosen_pod(const struct page *p, const yyjson_val *pod)
{
    if (p->view->set.n == 0) {
        return true;
    }
    JSON_EACH(it, p->w->sets)
    {
        if (is_chosen(p, it.val)) {
            return owned_by(pod, meta(it.val, "uid"));
        }
    }
    return false;
}

/* Those of the set's templates: TEMPLATE-SET-ORDINAL. */
static bool is_chosen_claim(const struct page *p, const yyjson_val *claim)
{
    struct span name = meta(claim, "name");
    struct span stem = span_first(name, span_rfind(name, '-'));
    return p->view->set.n == 0 ||
           (span_eq(meta(claim, "namespace"), p->view->ns) &&
            span_ends(stem, arena_printf(p->a, "-%.*s", SPAN_ARG(p->view->set))));
}

bool status_has_set(const struct status_world *w, const struct status_view *view)
{
    const struct page p = {.w = w, .view = view};
    JSON_EACH(it, w->sets)
    {
        if (is_chosen(&p, it.val)) {
            return true;
        }
    }
    return false;
}

/* ---- what is there ---- */

static bool has_ended(const yyjson_val *pod)
{
    return status_pod_ended(pod);
}

static const char *pod_word(const yyjson_val *pod)
{
    if (json_path(pod, "metadata", "deletionTimestamp", NULL)) {
        return "ending";
    }
    if (status_condition_true(pod, "Ready")) {
        return "ready";
    }
    struct span phase = status_phase(pod);
    return span_eq(phase, SPAN("Running"))     ? "not ready"
           : span_eq(phase, SPAN("Failed"))    ? "failed"
           : span_eq(phase, SPAN("Succeeded")) ? "finished"
                                               : "starting";
}

static void put_node(struct page *p, const yyjson_val *node)
{
    size_t n = 0;
    JSON_EACH(it, p->w->pods)
    {
        struct span on = json_str(json_path(it.val, "spec", "nodeName", NULL));
        n += span_eq(on, meta(node, "name")) && !has_ended(it.val);
    }
    yyjson_val *ready = status_condition(node, "Ready");
    struct span why = json_get_str(ready, "message");
    why = why.n ? why : SPAN("it has never said that it is ready");
    bool cordoned = json_get_bool(json_get(node, "spec"), "unschedulable", false);
    put_line(p,
             arena_printf(p->a, "node %.*s: %s%s, %zu pod%s%s%.*s", SPAN_ARG(meta(node, "name")),
                          is_true(ready) ? "Ready" : "NotReady",
                          cordoned ? ", takes no new pods (cordoned)" : "", n, n == 1 ? "" : "s",
                          is_true(ready) ? "" : ": ", SPAN_ARG(is_true(ready) ? SPAN("") : why)));
}

struct ordinal {
    int64_t number;
    const char *word;
};

static int by_number(const void *x, const void *y)
{
    const struct ordinal *a = x, *b = y;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* "0-2 ready, 3 starting" */
static struct span pods_of(struct page *p, const yyjson_val *set)
{
    struct ordinal *list = ARENA_ARRAY(p->a, struct ordinal, json_len(p->w->pods) + 1);
    size_t n = 0;
    JSON_EACH(it, p->w->pods)
    {
        struct span name = meta(it.val, "name");
        struct span tail = span_from(name, span_rfind(name, '-') + 1);
        if (owned_by(it.val, meta(set, "uid")) && span_to_i64(tail, &list[n].number)) {
            list[n++].word = pod_word(it.val);
        }
    }
    qsort(list, n, sizeof *list, by_number);
    struct strbuf text cleanup_strbuf = STRBUF_INIT;
    for (size_t i = 0, end; i < n; i = end) {
        end = i + 1;
        while (end < n && list[end].number == list[end - 1].number + 1 &&
               strcmp(list[end].word, list[i].word) == 0) {
            end++;
        }
        strbuf_printf(&text, "%s%lld", i ? ", " : "", (long long)list[i].number);
        if (end - i > 1) {
            strbuf_printf(&text, "-%lld", (long long)list[end - 1].number);
        }
        strbuf_printf(&text, " %s", list[i].word);
    }
    return arena_dup(p->a, strbuf_span(&text));
}

static void put_set(struct page *p, const yyjson_val *set)
{
    struct span pods = pods_of(p, set);
    put_line(p,
             arena_printf(p->a, "set %.*s/%.*s: %lld/%lld ready%s%.*s%s",
                          SPAN_ARG(meta(set, "namespace")), SPAN_ARG(meta(set, "name")),
                          (long long)json_int(json_path(set, "status", "readyReplicas", NULL), 0),
                          (long long)json_int(json_path(set, "spec", "replicas", NULL), 1),
                          pods.n ? " (" : "", SPAN_ARG(pods), pods.n ? ")" : ""));
}

/* ---- what waits ---- */

/* Message of the newest event on the object that is a warning. */
static struct span newest_warning(const struct page *p, const yyjson_val *o)
{
    struct span best = SPAN_NULL, best_time = SPAN("");
    JSON_EACH(it, p->w->events)
    {
        yyjson_val *about = json_get(it.val, "involvedObject");
        struct span when = json_get_str(it.val, "lastTimestamp");
        if (span_eq(json_get_str(about, "uid"), meta(o, "uid")) &&
            span_eq(json_get_str(it.val, "type"), SPAN("Warning")) &&
            span_cmp(when, best_time) >= 0) {
            best = json_get_str(it.val, "message");
            best_time = when;
        }
    }
    return best;
}

static yyjson_val *named(yyjson_val *list, struct span ns, struct span name)
{
    JSON_EACH(it, list)
    {
        if (span_eq(meta(it.val, "name"), name) && span_eq(meta(it.val, "namespace"), ns)) {
            return it.val;
        }
    }
    return NULL;
}

/* Why a pod is not Ready, in words that begin with its name. */
static struct span pod_cause(struct page *p, const yyjson_val *pod)
{
    struct arena *a = p->a;
    yyjson_val *volumes = json_path(pod, "spec", "volumes", NULL);
    struct why_claim *claims = ARENA_ARRAY(a, struct why_claim, json_len(volumes) + 1);
    size_t n = 0;
    JSON_EACH(it, volumes)
    {
        struct span name = json_str(json_path(it.val, "persistentVolumeClaim", "claimName", NULL));
        if (name.n) {
            claims[n++] =
                (struct why_claim){name, named(p->w->claims, meta(pod, "namespace"), name)};
        }
    }
    struct span on = json_str(json_path(pod, "spec", "nodeName", NULL));
    struct why why = why_on_node(a, pod, named(p->w->nodes, SPAN_NULL, on));
    why = why.reason ? why : why_pod(a, pod, claims, n, 0);
    bool plain = span_ends(why.text, SPAN(" is starting"));
    struct span warning = plain ? newest_warning(p, pod) : SPAN_NULL;
    return warning.n ? arena_printf(a, "%.*s: %.*s", SPAN_ARG(why.text), SPAN_ARG(warning))
                     : why.text;
}

static void put_set_waiting(struct page *p, const yyjson_val *set)
{
    yyjson_val *available = status_condition(set, "Available");
    yyjson_val *progressing = status_condition(set, "Progressing");
    bool done = span_ends(json_get_str(progressing, "reason"), SPAN("Complete"));
    if (!available || (is_true(available) && done)) {
        return;
    }
    struct span text = json_get_str(is_true(available) ? progressing : available, "message");
    put_waiting(p,
                arena_printf(p->a, "set %.*s/%.*s: %.*s", SPAN_ARG(meta(set, "namespace")),
                             SPAN_ARG(meta(set, "name")), SPAN_ARG(text)),
                text);
}

static void put_pod_waiting(struct page *p, const yyjson_val *pod)
{
    struct span phase = status_phase(pod);
    bool ending = json_path(pod, "metadata", "deletionTimestamp", NULL) != NULL;
    if (span_eq(phase, SPAN("Succeeded")) || (status_condition_true(pod, "Ready") && !ending)) {
        return;
    }
    struct span text = pod_cause(p, pod);
    if (!contains(strbuf_span(&p->told), text)) {
        put_waiting(
            p,
            arena_printf(p->a, "pod %.*s/%.*s", SPAN_ARG(meta(pod, "namespace")), SPAN_ARG(text)),
            text);
    }
}

static void put_claim_waiting(struct page *p, const yyjson_val *claim)
{
    struct span phase = status_phase(claim);
    struct span name = meta(claim, "name");
    struct span text =
        arena_printf(p->a, "claim %.*s: %.*s", SPAN_ARG(name), SPAN_ARG(why_claim(p->a, claim)));
    if (!span_eq(phase, SPAN("Bound")) && !contains(strbuf_span(&p->told), text)) {
        put_waiting(p,
                    arena_printf(p->a, "claim %.*s/%.*s is %.*s: %.*s",
                                 SPAN_ARG(meta(claim, "namespace")), SPAN_ARG(name),
                                 SPAN_ARG(phase), SPAN_ARG(why_claim(p->a, claim))),
                    text);
    }
}

static void put_claim_growing(struct page *p, const yyjson_val *claim)
{
    struct span why = why_growth(p->a, claim);
    if (why.n) {
        struct span text =
            arena_printf(p->a, "claim %.*s/%.*s %.*s", SPAN_ARG(meta(claim, "namespace")),
                         SPAN_ARG(meta(claim, "name")), SPAN_ARG(why));
        put_waiting(p, text, text);
    }
}

struct span status_page(struct arena *a, const struct status_world *w,
                        const struct status_view *view)
{
    struct page p = {.a = a, .w = w, .view = view, .out = STRBUF_INIT, .told = STRBUF_INIT};
    assert(view->set.n == 0 || view->ns.n > 0);
    JSON_EACH(it, view->set.n ? NULL : w->nodes)
    {
        put_node(&p, it.val);
    }
    JSON_EACH(it, w->sets)
    {
        if (is_chosen(&p, it.val)) {
            put_set(&p, it.val);
        }
    }
    JSON_EACH(it, w->sets)
    {
        if (is_chosen(&p, it.val)) {
            put_set_waiting(&p, it.val);
        }
    }
    JSON_EACH(it, w->pods)
    {
        if (is_chosen_pod(&p, it.val)) {
            put_pod_waiting(&p, it.val);
        }
    }
    JSON_EACH(it, w->claims)
    {
        if (is_chosen_claim(&p, it.val)) {
            put_claim_waiting(&p, it.val);
            put_claim_growing(&p, it.val);
        }
    }
    if (p.told.n == 0) {
        strbuf_puts(&p.out, "\nnothing waits\n");
    }
    struct span page = arena_dup(a, strbuf_span(&p.out));
    strbuf_done(&p.out);
    strbuf_done(&p.told);
    return page;
}

/* plan/why_plan.c: see why_plan.h. */
#include "plan/why_plan.h"

#include "base/check.h"

struct span why_line(struct arena *a, struct span text, size_t max)
{
    assert(max >= 8);
    text = span_trim(text);
    bool cut = text.n > max;
    size_t n = cut ? max - 3 : text.n;
    while (cut && n > 0 && ((unsigned char)text.p[n] & 0xC0) == 0x80) {
        n--;
    }
    char *to = ARENA_ARRAY(a, char, n + 4);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        bool blank = c < 0x20 || c == 0x7F || c == ' ';
        if (!blank) {
            to[at++] = (char)c;
        } else if (at > 0 && to[at - 1] != ' ') {
            to[at++] = ' ';
        }
    }
    for (size_t i = 0; cut && i < 3; i++) {
        to[at++] = '.';
    }
    assert(at <= n + 3);
    return span_of(to, at);
}

static struct span words(struct arena *a, struct span text)
{
    return why_line(a, text, WHY_WORDS_MAX);
}

static struct why why_of(struct arena *a, const char *reason, struct span text)
{
    assert(reason);
    assert(text.n > 0);
    return (struct why){reason, why_line(a, text, WHY_TEXT_MAX)};
}

static yyjson_val *condition(const yyjson_val *o, const char *type)
{
    JSON_EACH(it, json_path(o, "status", "conditions", NULL))
    {
        if (span_eq_cstr(json_get_str(it.val, "type"), type)) {
            return it.val;
        }
    }
    return NULL;
}

static bool is(const yyjson_val *o, const char *key, const char *value)
{
    return span_eq_cstr(json_get_str(o, key), value);
}

static bool is_deleting(const yyjson_val *o)
{
    return json_path(o, "metadata", "deletionTimestamp", NULL) != NULL;
}

/* ---- claims ---- */

struct span why_claim(struct arena *a, const yyjson_val *claim)
{
    assert(a);
    if (!claim) {
        return SPAN("it does not exist");
    }
    yyjson_val *status = json_get(claim, "status");
    if (is_deleting(claim)) {
        return SPAN("it is being deleted");
    }
    if (is(status, "phase", "Bound")) {
        return SPAN_NULL;
    }
    struct span volume = json_str(json_path(claim, "spec", "volumeName", NULL));
    if (is(status, "phase", "Lost")) {
        return arena_printf(a, "its volume %.*s is gone, and the data with it", SPAN_ARG(volume));
    }
    yyjson_val *blocked = condition(claim, WHY_CLAIM_CONDITION);
    if (is(blocked, "status", "True") && json_get_str(blocked, "message").n) {
        return words(a, json_get_str(blocked, "message"));
    }
    struct span maker = json_str(json_path(claim, "metadata", "annotations",
                                           "volume.kubernetes.io/storage-provisioner", NULL));
    if (maker.n && !span_eq_cstr(maker, "berth.dev/local")) {
        return arena_printf(a,
                            "provisioner %.*s, which is no part of Berth, has to make its volume",
                            SPAN_ARG(maker));
    }
    return SPAN("its volume is being made");
}

struct why why_claims(struct arena *a, struct span pod, const struct why_claim *claims, size_t n)
{
    assert(claims || n == 0);
    for (size_t i = 0; i < n; i++) {
        struct span cause = why_claim(a, claims[i].claim);
        if (cause.n) {
            return why_of(a, "ClaimNotBound",
                          arena_printf(a, "%.*s waits for claim %.*s: %.*s", SPAN_ARG(pod),
                                       SPAN_ARG(claims[i].name), SPAN_ARG(cause)));
        }
    }
    return (struct why){0};
}

/* ---- containers ---- */

struct pod_facts {
    struct arena *a;
    const yyjson_val *pod, *ready; /* ready: the condition */
    struct span name;
};

static struct span times(struct arena *a, int64_t n)
{
    return n == 1 ? SPAN("once") : arena_printf(a, "%lld times", (long long)n);
}

/* How a container ended: "exited with code 1, last words: ..." */
static struct span how_ended(struct arena *a, const yyjson_val *ended)
{
    assert(ended);
    long long code = json_get_int(ended, "exitCode", 0), signal = json_get_int(ended, "signal", 0);
    struct span last = words(a, json_get_str(ended, "message"));
    struct span how = is(ended, "reason", "OOMKilled")
                          ? SPAN("was killed for using more memory than its limit")
                      : signal ? arena_printf(a, "was killed by signal %lld", signal)
                               : arena_printf(a, "exited with code %lld", code);
    return last.n ? arena_printf(a, "%.*s, last words: \"%.*s\"", SPAN_ARG(how), SPAN_ARG(last))
                  : how;
}

static struct why crashed(const struct pod_facts *f, const yyjson_val *c, const yyjson_val *ended)
{
    assert(ended);
    int64_t restarts = json_get_int(c, "restartCount", 0);
    struct span again =
        restarts ? arena_printf(f->a, " (restarted %.*s)", SPAN_ARG(times(f->a, restarts)))
                 : SPAN("");
    return why_of(f->a, "ContainerCrashed",
                  arena_printf(f->a, "%.*s is not Ready: container %.*s %.*s%.*s",
                               SPAN_ARG(f->name), SPAN_ARG(json_get_str(c, "name")),
                               SPAN_ARG(how_ended(f->a, ended)), SPAN_ARG(again)));
}

static bool is_image_trouble(struct span reason)
{
    return span_eq_cstr(reason, "ErrImagePull") || span_eq_cstr(reason, "ImagePullBackOff") ||
           span_eq_cstr(reason, "ErrImageNeverPull") || span_eq_cstr(reason, "InvalidImageName");
}

/* "Back-off pulling image "x": ErrImagePull: cause" tells the cause at its end. */
static struct span without_prefix(struct span text, struct span until)
{
    assert(until.n > 0);
    for (size_t i = 0; i + until.n <= text.n; i++) {
        if (span_starts(span_from(text, i), until)) {
            return span_from(text, i + until.n);
        }
    }
    return text;
}

static struct why waits(const struct pod_facts *f, const yyjson_val *c, const yyjson_val *waiting)
{
    assert(waiting);
    struct arena *a = f->a;
    struct span reason = json_get_str(waiting, "reason"), container = json_get_str(c, "name");
    struct span text = words(a, json_get_str(waiting, "message"));
    if (is_image_trouble(reason)) {
        text = without_prefix(text, SPAN("ErrImagePull: "));
        return why_of(a, "ImageNotAvailable",
                      arena_printf(a, "%.*s cannot start: image \"%.*s\" cannot be had: %.*s",
                                   SPAN_ARG(f->name), SPAN_ARG(json_get_str(c, "image")),
                                   SPAN_ARG(text.n ? text : reason)));
    }
    if (text.n) {
        return why_of(a, "ContainerNotStarted",
                      arena_printf(a, "%.*s cannot start container %.*s: %.*s", SPAN_ARG(f->name),
                                   SPAN_ARG(container), SPAN_ARG(text)));
    }
    return (struct why){0};
}

/* What is wrong with one container; reason NULL: nothing that it says. */
static struct why container(const struct pod_facts *f, const yyjson_val *c)
{
    yyjson_val *waiting = json_path(c, "state", "waiting", NULL);
    yyjson_val *ended = json_path(c, "state", "terminated", NULL);
    yyjson_val *last = json_path(c, "lastState", "terminated", NULL);
    bool crash_loop = is(waiting, "reason", "CrashLoopBackOff");
    if (ended && !json_get_bool(c, "ready", false)) {
        return crashed(f, c, ended);
    }
    struct why why = waiting && !crash_loop ? waits(f, c, waiting) : (struct why){0};
    if (!why.reason && last && (waiting || !json_get_bool(c, "started", false))) {
        why = crashed(f, c, last);
    }
    return why;
}

static struct why containers(const struct pod_facts *f, const char *list)
{
    assert(list);
    struct why why = {0};
    JSON_EACH(it, json_path(f->pod, "status", list, NULL))
    {
        if (!why.reason) {
            why = container(f, it.val);
        }
    }
    return why;
}

/* ---- pods ---- */

static struct why stopping(const struct pod_facts *f)
{
    assert(f->pod);
    struct span node = json_str(json_path(f->pod, "spec", "nodeName", NULL));
    if (is(f->ready, "reason", "NodeStatusUnknown")) {
        return why_of(
            f->a, "NodeLost",
            arena_printf(f->a,
                         "%.*s is on node %.*s, which does not answer: it may still run, so "
                         "no other takes its place until the node is back or is deleted",
                         SPAN_ARG(f->name), SPAN_ARG(node)));
    }
    return why_of(f->a, "PodTerminating",
                  arena_printf(f->a, "%.*s is still stopping", SPAN_ARG(f->name)));
}

static struct why over(const struct pod_facts *f, struct span phase)
{
    assert(phase.n > 0);
    yyjson_val *status = json_get(f->pod, "status");
    struct span text = words(f->a, json_get_str(status, "message"));
    text = text.n ? text : json_get_str(status, "reason");
    return why_of(f->a, "PodEnded",
                  arena_printf(f->a, "%.*s has ended (%.*s%s%.*s) and is replaced",
                               SPAN_ARG(f->name), SPAN_ARG(phase), text.n ? ": " : "",
                               SPAN_ARG(text)));
}

/* "containers with unready status: [redis]; redis: readiness probe ... failed": what follows the
 * first "; " is the cause, the name of the only container in front of it adds nothing. */
static struct why not_ready(const struct pod_facts *f)
{
    struct span text = json_get_str(f->ready, "message");
    struct span cause = without_prefix(text, SPAN("; "));
    bool told = cause.n < text.n && cause.n > 0;
    yyjson_val *list = json_path(f->pod, "spec", "containers", NULL);
    if (told && json_len(list) == 1) {
        struct span only = arena_printf(
            f->a, "%.*s: ", SPAN_ARG(json_get_str(yyjson_arr_get_first(list), "name")));
        cause = span_starts(cause, only) ? span_from(cause, only.n) : cause;
    }
    if (is(f->ready, "reason", "ReadinessGatesNotReady")) {
        cause = text;
        told = text.n > 0;
    }
    if (!told) {
        return why_of(f->a, "PodStarting",
                      arena_printf(f->a, "%.*s is starting", SPAN_ARG(f->name)));
    }
    return why_of(f->a, "PodNotReady",
                  arena_printf(f->a, "%.*s is not Ready: %.*s", SPAN_ARG(f->name),
                               SPAN_ARG(words(f->a, cause))));
}

static struct why unscheduled(const struct pod_facts *f, const struct why_claim *claims, size_t n)
{
    yyjson_val *scheduled = condition(f->pod, "PodScheduled");
    struct why why = why_claims(f->a, f->name, claims, n);
    if (!is(scheduled, "status", "False") || json_get_str(scheduled, "message").n == 0) {
        /* Claims on their way to being bound are part of starting. */
        return why.reason && !span_ends(why.text, SPAN("its volume is being made")) ? why
                                                                                    : not_ready(f);
    }
    if (why.reason) {
        return why;
    }
    return why_of(f->a, "Unschedulable",
                  arena_printf(f->a, "%.*s finds no node: %.*s", SPAN_ARG(f->name),
                               SPAN_ARG(words(f->a, json_get_str(scheduled, "message")))));
}

struct why why_pod(struct arena *a, const yyjson_val *pod, const struct why_claim *claims,
                   size_t claim_count, int32_t min_ready_s)
{
    assert(a);
    assert(claims || claim_count == 0);
    assert(pod);
    assert(min_ready_s >= 0);
    struct pod_facts f = {.a = a, .pod = pod, .ready = condition(pod, "Ready")};
    f.name = json_str(json_path(pod, "metadata", "name", NULL));
    struct span phase = json_str(json_path(pod, "status", "phase", NULL));
    if (is_deleting(pod)) {
        return stopping(&f);
    }
    if (span_eq_cstr(phase, "Failed") || span_eq_cstr(phase, "Succeeded")) {
        return over(&f, phase);
    }
    if (json_str(json_path(pod, "spec", "nodeName", NULL)).n == 0) {
        return unscheduled(&f, claims, claim_count);
    }
    if (is(f.ready, "reason", "NodeStatusUnknown")) {
        return why_of(a, "NodeLost",
                      arena_printf(a, "%.*s is not Ready: %.*s", SPAN_ARG(f.name),
                                   SPAN_ARG(words(a, json_get_str(f.ready, "message")))));
    }
    if (is(f.ready, "status", "True")) {
        return why_of(a, "MinReadySeconds",
                      arena_printf(a, "%.*s is Ready, but not yet for minReadySeconds (%d)",
                                   SPAN_ARG(f.name), (int)min_ready_s));
    }
    struct why why = containers(&f, "initContainerStatuses");
    why = why.reason ? why : containers(&f, "containerStatuses");
    return why.reason ? why : not_ready(&f);
}

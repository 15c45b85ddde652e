/* plan/why_plan.c: see why_plan.h. */
#include "plan/why_plan.h"

#include "base/check.h"
#include "plan/why_near.h"
#include "plan/why_priv.h"
#include "schema/status.h"

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

struct span why_words(struct arena *a, struct span text)
{
    return why_line(a, text, WHY_WORDS_MAX);
}

struct why why_of(struct arena *a, const char *reason, struct span text)
{
    assert(reason);
    assert(text.n > 0);
    return (struct why){reason, why_line(a, text, WHY_TEXT_MAX)};
}

static bool is(const yyjson_val *o, const char *key, const char *value)
{
    return span_eq_cstr(json_get_str(o, key), value);
}

static bool is_deleting(const yyjson_val *o)
{
    return json_path(o, "metadata", "deletionTimestamp", NULL) != NULL;
}

/* ---- words ---- */

struct pod_facts {
    struct arena *a;
    const yyjson_val *pod, *spec, *ready; /* ready: the condition */
    struct span name;
};

static size_t find(struct span text, struct span what)
{
    assert(what.n > 0);
    const char *at = text.n ? memmem(text.p, text.n, what.p, what.n) : NULL;
    return at ? (size_t)(at - text.p) : text.n;
}

static bool contains(struct span text, const char *what)
{
    return find(text, span_cstr(what)) < text.n;
}

/* What follows the first `until`; all of it when there is none. */
static struct span after(struct span text, const char *until)
{
    size_t at = find(text, span_cstr(until));
    return at < text.n ? span_from(text, at + span_cstr(until).n) : text;
}

static struct span before(struct span text, const char *until)
{
    return span_first(text, find(text, span_cstr(until)));
}

static struct span times(struct arena *a, int64_t n)
{
    return n == 1 ? SPAN("once") : arena_printf(a, "%lld times", (long long)n);
}

/* A program in the pod may listen where nobody else can reach it. */
static struct span with_hint(struct arena *a, struct span cause)
{
    return span_ends(cause, SPAN("Connection refused\""))
               ? arena_printf(a, "%.*s: nothing listens on that port of the pod's address",
                              SPAN_ARG(cause))
               : cause;
}

static const yyjson_val *container_spec(const struct pod_facts *f, struct span name)
{
    static const char *const lists[] = {"initContainers", "containers"};
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        JSON_EACH(it, json_get(f->spec, lists[i]))
        {
            if (span_eq(json_get_str(it.val, "name"), name)) {
                return it.val;
            }
        }
    }
    return NULL;
}

/* The condition Ready is "containers with unready status: [x y]; x: CAUSE; y: CAUSE": the causes.
 */
static struct span causes(const struct pod_facts *f)
{
    struct span text = json_get_str(f->ready, "message");
    struct span tail = after(text, "; ");
    return tail.n < text.n ? tail : SPAN_NULL;
}

/* What it says of this container; empty: nothing. */
static struct span cause_of(const struct pod_facts *f, struct span container)
{
    assert(f->pod);
    static const char *const lists[] = {"initContainers", "containers"};
    struct span text = causes(f), mark = ARENA_JOIN(f->a, container, SPAN(": "));
    if (!span_starts(text, mark)) {
        mark = ARENA_JOIN(f->a, SPAN("; "), container, SPAN(": "));
        size_t at = find(text, mark);
        text = span_from(text, at < text.n ? at : text.n);
    }
    if (text.n == 0) {
        return SPAN_NULL;
    }
    text = span_from(text, mark.n);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        JSON_EACH(it, json_get(f->spec, lists[i]))
        {
            struct span name = json_get_str(it.val, "name");
            struct span other = ARENA_JOIN(f->a, SPAN("; "), name, SPAN(": "));
            text = span_first(text, find(text, other));
        }
    }
    return text;
}

/* ---- containers ---- */

static const char *signal_name(long long number)
{
    static const struct {
        long long number;
        const char *name;
    } known[] = {{2, " (SIGINT)"},   {3, " (SIGQUIT)"}, {4, " (SIGILL)"},  {6, " (SIGABRT)"},
                 {7, " (SIGBUS)"},   {8, " (SIGFPE)"},  {9, " (SIGKILL)"}, {11, " (SIGSEGV)"},
                 {13, " (SIGPIPE)"}, {15, " (SIGTERM)"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (known[i].number == number) {
            return known[i].name;
        }
    }
    return "";
}

static struct span out_of_memory(const struct pod_facts *f, struct span container)
{
    struct span limit =
        json_str(json_path(container_spec(f, container), "resources", "limits", "memory", NULL));
    return limit.n ? arena_printf(f->a, "was killed for using more memory than its limit (%.*s)",
                                  SPAN_ARG(limit))
                   : SPAN("was killed for using more memory than its limit");
}

/* How a container ended: "exited with code 1, last words: ..." */
static struct span how_ended(const struct pod_facts *f, struct span container,
                             const yyjson_val *ended)
{
    assert(ended);
    struct arena *a = f->a;
    long long code = json_get_int(ended, "exitCode", 0), signal = json_get_int(ended, "signal", 0);
    signal = signal == 0 && code > 128 && code < 128 + 64 ? code - 128 : signal;
    struct span last = why_words(a, json_get_str(ended, "message"));
    struct span told = cause_of(f, container);
    if (contains(told, " (before that: ") && span_ends(told, SPAN(")"))) {
        told = after(told, " (before that: ");
        told = span_first(told, told.n - 1);
    }
    if (is(ended, "reason", "OOMKilled")) {
        return out_of_memory(f, container);
    }
    if (span_starts(told, SPAN("killed "))) {
        return arena_printf(a, "was %.*s", SPAN_ARG(why_words(a, told)));
    }
    last = last.n ? arena_printf(a, "last words: \"%.*s\"", SPAN_ARG(last))
                  : (span_starts(told, SPAN("last words: ")) ? why_words(a, told) : SPAN_NULL);
    struct span how =
        signal ? arena_printf(a, "was killed by signal %lld%s", signal, signal_name(signal))
        : code ? arena_printf(a, "exited with code %lld", code)
               : SPAN("ended by itself (exit code 0), though it has to stay");
    return last.n ? arena_printf(a, "%.*s, %.*s", SPAN_ARG(how), SPAN_ARG(last)) : how;
}

static struct why not_started(const struct pod_facts *f, struct span container, struct span cause)
{
    return why_of(f->a, "ContainerNotStarted",
                  arena_printf(f->a, "%.*s cannot start container %.*s: %.*s", SPAN_ARG(f->name),
                               SPAN_ARG(container), SPAN_ARG(cause)));
}

static struct why crashed(const struct pod_facts *f, const yyjson_val *c, const yyjson_val *ended)
{
    assert(ended);
    int64_t restarts = json_get_int(c, "restartCount", 0);
    struct span name = json_get_str(c, "name");
    struct span again =
        restarts ? arena_printf(f->a, " (restarted %.*s)", SPAN_ARG(times(f->a, restarts)))
                 : SPAN("");
    if (is(ended, "reason", "ContainerCannotRun")) {
        return not_started(f, name, why_words(f->a, json_get_str(ended, "message")));
    }
    return why_of(f->a, "ContainerCrashed",
                  arena_printf(f->a, "%.*s is not Ready: container %.*s %.*s%.*s",
                               SPAN_ARG(f->name), SPAN_ARG(name),
                               SPAN_ARG(how_ended(f, name, ended)), SPAN_ARG(again)));
}

static bool is_image_trouble(struct span reason)
{
    return span_eq_cstr(reason, "ErrImagePull") || span_eq_cstr(reason, "ImagePullBackOff") ||
           span_eq_cstr(reason, "ErrImageNeverPull") || span_eq_cstr(reason, "InvalidImageName");
}

/* "Back-off pulling image "x": ErrImagePull: failed to pull image "x": cause" tells the cause at
 * its end; the image has been named already. */
static struct span image_cause(struct arena *a, struct span reason, struct span text)
{
    if (span_eq_cstr(reason, "ErrImageNeverPull")) {
        return SPAN("it is not on this machine, and imagePullPolicy Never forbids fetching it "
                    "(\"berth image import\" brings it)");
    }
    text = after(text, "ErrImagePull: ");
    text = after(text, "couldn't parse image name: ");
    if (span_starts(text, SPAN("failed to pull image \"")) ||
        span_starts(text, SPAN("invalid image reference \""))) {
        text = after(text, "\": ");
    }
    size_t at = find(text, SPAN(" after ")), end = at;
    while (end < text.n && !span_starts(span_from(text, end), SPAN(" ms: "))) {
        end++;
    }
    if (end < text.n && end - at < 16) { /* "Failed to connect ... after 3 ms": differs each time */
        text = arena_printf(a, "%.*s%.*s", SPAN_ARG(span_first(text, at)),
                            SPAN_ARG(span_from(text, end + 3)));
    }
    if (contains(text, "access denied (HTTP ")) {
        text = arena_printf(a, "%.*s: it does not exist there, or an imagePullSecret is missing",
                            SPAN_ARG(text));
    }
    return text.n ? text : reason;
}

static struct why waits(const struct pod_facts *f, const yyjson_val *c, const yyjson_val *waiting)
{
    assert(waiting);
    struct arena *a = f->a;
    struct span reason = json_get_str(waiting, "reason"), container = json_get_str(c, "name");
    struct span text = why_words(a, json_get_str(waiting, "message"));
    if (is_image_trouble(reason)) {
        return why_of(a, "ImageNotAvailable",
                      arena_printf(a, "%.*s cannot start: image \"%.*s\" cannot be had: %.*s",
                                   SPAN_ARG(f->name), SPAN_ARG(json_get_str(c, "image")),
                                   SPAN_ARG(image_cause(a, reason, text))));
    }
    if (span_starts(text, SPAN("MountVolume."))) {
        struct span volume = before(after(text, "volume \""), "\"");
        return why_of(a, "VolumeNotMounted",
                      arena_printf(a, "%.*s cannot start: volume %.*s: %.*s", SPAN_ARG(f->name),
                                   SPAN_ARG(volume), SPAN_ARG(after(text, "\" : "))));
    }
    if (span_starts(text, SPAN("Failed to create pod sandbox: "))) {
        return why_of(a, "ContainerNotStarted",
                      arena_printf(a, "%.*s cannot start: %.*s", SPAN_ARG(f->name),
                                   SPAN_ARG(after(text, "sandbox: "))));
    }
    if (span_ends(text, SPAN(" is being fetched"))) {
        return why_of(a, "PodStarting",
                      arena_printf(a, "%.*s is starting: %.*s", SPAN_ARG(f->name), SPAN_ARG(text)));
    }
    if (text.n &&
        (is(waiting, "reason", "ContainerCreating") || is(waiting, "reason", "PodInitializing"))) {
        return why_of(a, "PodHeld",
                      arena_printf(a, "%.*s waits: %.*s", SPAN_ARG(f->name), SPAN_ARG(text)));
    }
    if (contains(text, "has runAsNonRoot")) {
        text = arena_printf(a, "%.*s: set securityContext.runAsUser to another user",
                            SPAN_ARG(before(text, " (pod: ")));
    }
    return text.n ? not_started(f, container, text) : (struct why){0};
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

/* Its end is asked for, and only the node could confirm it. */
static struct why lost(struct arena *a, struct span pod, struct span node)
{
    assert(node.n > 0);
    return why_of(
        a, "NodeLost",
        arena_printf(
            a,
            "%.*s is on node %.*s, which does not answer: it may still run, so no other "
            "takes its place until the node is back or, once it is surely off, is deleted "
            "(\"kubectl delete node %.*s\"), or the pod is, by force (\"kubectl delete pod "
            "%.*s --force\")",
            SPAN_ARG(pod), SPAN_ARG(node), SPAN_ARG(node), SPAN_ARG(pod)));
}

static struct why unheard(struct arena *a, struct span pod, struct span text)
{
    return why_of(a, "NodeLost",
                  arena_printf(a, "%.*s is not Ready: %.*s", SPAN_ARG(pod), SPAN_ARG(text)));
}

static struct why stopping(const struct pod_facts *f)
{
    assert(f->pod);
    struct arena *a = f->a;
    struct span node = json_get_str(f->spec, "nodeName");
    yyjson_val *meta = json_get(f->pod, "metadata");
    struct span finalizer = json_str(yyjson_arr_get_first(json_get(meta, "finalizers")));
    long long grace_s = json_get_int(meta, "deletionGracePeriodSeconds", 30);
    if (is(f->ready, "reason", "NodeStatusUnknown")) {
        return lost(a, f->name, node);
    }
    if (finalizer.n && grace_s == 0) {
        return why_of(a, "PodTerminating",
                      arena_printf(a,
                                   "%.*s has stopped, but stays until its finalizer %.*s is taken "
                                   "away by whoever set it",
                                   SPAN_ARG(f->name), SPAN_ARG(finalizer)));
    }
    struct span until =
        grace_s > 30
            ? arena_printf(a, ": it has %lld seconds (terminationGracePeriodSeconds)", grace_s)
            : SPAN("");
    return why_of(
        a, "PodTerminating",
        arena_printf(a, "%.*s is still stopping%.*s", SPAN_ARG(f->name), SPAN_ARG(until)));
}

static struct why over(const struct pod_facts *f, struct span phase)
{
    assert(phase.n > 0);
    yyjson_val *status = json_get(f->pod, "status");
    struct span text = why_words(f->a, json_get_str(status, "message"));
    text = text.n ? text : json_get_str(status, "reason");
    return why_of(f->a, "PodEnded",
                  arena_printf(f->a, "%.*s has ended (%.*s%s%.*s) and is replaced",
                               SPAN_ARG(f->name), SPAN_ARG(phase), text.n ? ": " : "",
                               SPAN_ARG(text)));
}

/* On its way, and what it is at: an init container, a host port that another pod has. */
static struct why starting(const struct pod_facts *f)
{
    struct arena *a = f->a;
    yyjson_val *held = status_condition(f->pod, "PodReadyToStartContainers");
    struct span why = why_words(a, json_get_str(held, "message"));
    if (is(held, "status", "False") && why.n) {
        return why_of(a, "PodHeld",
                      arena_printf(a, "%.*s waits: %.*s", SPAN_ARG(f->name), SPAN_ARG(why)));
    }
    size_t at = 0;
    yyjson_val *inits = json_get(f->spec, "initContainers");
    JSON_EACH(it, json_path(f->pod, "status", "initContainerStatuses", NULL))
    {
        struct span name = json_get_str(it.val, "name");
        at++;
        if (json_path(it.val, "state", "running", NULL) &&
            !is(container_spec(f, name), "restartPolicy", "Always")) {
            return why_of(a, "PodStarting",
                          arena_printf(a, "%.*s is starting: init container %.*s (%zu of %zu) runs",
                                       SPAN_ARG(f->name), SPAN_ARG(name), at, json_len(inits)));
        }
    }
    return why_of(a, "PodStarting", arena_printf(a, "%.*s is starting", SPAN_ARG(f->name)));
}

/* The name of the only container adds nothing to what the condition says of it. */
static struct why not_ready(const struct pod_facts *f)
{
    struct span cause = causes(f);
    yyjson_val *list = json_get(f->spec, "containers");
    if (cause.n && json_len(list) == 1) {
        struct span only = arena_printf(
            f->a, "%.*s: ", SPAN_ARG(json_get_str(yyjson_arr_get_first(list), "name")));
        cause = span_starts(cause, only) ? span_from(cause, only.n) : cause;
    }
    if (is(f->ready, "reason", "ReadinessGatesNotReady")) {
        cause = json_get_str(f->ready, "message");
    }
    if (cause.n == 0) {
        return starting(f);
    }
    /* Nothing has been heard from the program yet, but it may have been tried before. */
    bool early = (contains(cause, "` has not passed yet") ||
                  contains(cause, "its postStart hook has not ended yet")) &&
                 !contains(cause, "failed ") && !contains(cause, "(before that: ");
    bool killed = span_starts(cause, SPAN("killed "));
    return why_of(f->a,
                  early    ? "PodStarting"
                  : killed ? "ContainerCrashed"
                           : "PodNotReady",
                  arena_printf(f->a, "%.*s is %s: %.*s", SPAN_ARG(f->name),
                               early ? "starting" : "not Ready",
                               SPAN_ARG(why_words(f->a, with_hint(f->a, cause)))));
}

/* ---- pods that cannot be made ---- */

struct span why_refused(struct arena *a, struct span pod, struct span answer)
{
    assert(pod.n > 0);
    struct span prefixes[] = {
        arena_printf(a, "pods \"%.*s\" is forbidden: ", SPAN_ARG(pod)),
        arena_printf(a, "Pod \"%.*s\" is invalid: ", SPAN_ARG(pod)),
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        answer = span_starts(answer, prefixes[i]) ? span_from(answer, prefixes[i].n) : answer;
    }
    return why_line(a,
                    arena_printf(a, "%.*s cannot be made: %.*s", SPAN_ARG(pod), SPAN_ARG(answer)),
                    WHY_TEXT_MAX);
}

/* ---- pods without a node ---- */

static struct span pairs(struct arena *a, const yyjson_val *object)
{
    struct span text = SPAN_NULL;
    JSON_EACH(it, object)
    {
        text = arena_printf(a, "%.*s%s%.*s=%.*s", SPAN_ARG(text), text.n ? ", " : "",
                            SPAN_ARG(json_str(it.key)), SPAN_ARG(json_str(it.val)));
    }
    return text;
}

/* What the containers ask for of it together, as far as one can say that in one word. */
static struct span asked(const struct pod_facts *f, const char *resource)
{
    struct span only = SPAN_NULL;
    size_t n = 0;
    JSON_EACH(it, json_get(f->spec, "containers"))
    {
        struct span own = json_str(json_path(it.val, "resources", "requests", resource, NULL));
        only = own.n ? own : only;
        n += own.n > 0;
    }
    return n == 1 ? arena_printf(f->a, "it asks for %s %.*s", resource, SPAN_ARG(only)) : SPAN_NULL;
}

/* Of "... Insufficient RESOURCE, ...": another one than cpu and memory; empty: none. */
static struct span too_little(const struct pod_facts *f, struct span message)
{
    struct span rest = message, before = SPAN("Insufficient ");
    while (rest.n && !span_starts(rest, before)) {
        rest = span_from(rest, 1);
    }
    rest = span_from(rest, rest.n ? before.n : 0);
    struct span name = span_cut(&rest, ' ');
    bool stop = span_ends(name, SPAN(",")) || span_ends(name, SPAN("."));
    name = stop ? span_first(name, name.n - 1) : name;
    if (name.n == 0) {
        return SPAN_NULL;
    }
    struct span ask = asked(f, arena_cstr(f->a, name));
    return arena_printf(f->a, "%.*s%snodes have as much of it as their status.allocatable says",
                        SPAN_ARG(ask), ask.n ? ", and " : "");
}

/* Of "... untolerated taint {KEY: VALUE}...": who put it takes it away. */
static struct span untolerated(struct arena *a, struct span message)
{
    struct span allow = SPAN("tolerations in its spec let a pod onto a node with a taint");
    struct span rest = message;
    while (rest.n && !span_starts(rest, SPAN("untolerated taint {"))) {
        rest = span_from(rest, 1);
    }
    (void)span_cut(&rest, '{');
    struct span key = span_cut(&rest, ':');
    if (key.n == 0 || contains(key, "node.kubernetes.io/")) {
        return allow;
    }
    return arena_printf(a, "%.*s, and \"kubectl taint nodes NODE %.*s-\" takes the taint away",
                        SPAN_ARG(allow), SPAN_ARG(key));
}

/* What in the pod makes the scheduler say that. */
static struct span asks(const struct pod_facts *f, struct span message)
{
    assert(message.n > 0);
    yyjson_val *selector = json_get(f->spec, "nodeSelector");
    if (contains(message, "node affinity/selector")) {
        return selector ? arena_printf(f->a, "it asks for a node with the label %.*s",
                                       SPAN_ARG(pairs(f->a, selector)))
                        : SPAN("its spec.affinity.nodeAffinity asks for another one");
    }
    if (contains(message, "node(s) were unschedulable")) {
        return SPAN("\"kubectl uncordon NODE\" lets pods onto it again");
    }
    if (contains(message, "untolerated taint {node.kubernetes.io/not-ready")) {
        return SPAN("a node with that taint is not Ready");
    }
    if (contains(message, "untolerated taint {node.kubernetes.io/unreachable")) {
        return SPAN("a node with that taint does not answer");
    }
    if (contains(message, "untolerated taint {")) {
        return untolerated(f->a, message);
    }
    if (contains(message, "anti-affinity rules")) {
        return SPAN("add a node or make the rule preferred");
    }
    if (contains(message, "volume node affinity conflict")) {
        return SPAN("the volume of its claim is on another node");
    }
    return contains(message, "Insufficient cpu")      ? asked(f, "cpu")
           : contains(message, "Insufficient memory") ? asked(f, "memory")
                                                      : too_little(f, message);
}

static struct why no_scheduler(const struct pod_facts *f)
{
    struct arena *a = f->a;
    struct span gate =
        json_get_str(yyjson_arr_get_first(json_get(f->spec, "schedulingGates")), "name");
    struct span scheduler = json_get_str(f->spec, "schedulerName");
    if (gate.n) {
        return why_of(a, "Unschedulable",
                      arena_printf(a, "%.*s waits until its scheduling gate %.*s is taken away",
                                   SPAN_ARG(f->name), SPAN_ARG(gate)));
    }
    if (scheduler.n && !span_eq_cstr(scheduler, "default-scheduler")) {
        return why_of(a, "Unschedulable",
                      arena_printf(a,
                                   "%.*s waits for scheduler \"%.*s\" (schedulerName), which is no "
                                   "part of Berth",
                                   SPAN_ARG(f->name), SPAN_ARG(scheduler)));
    }
    return (struct why){0};
}

static struct why unscheduled(const struct pod_facts *f, const struct why_claim *claims, size_t n)
{
    yyjson_val *scheduled = status_condition(f->pod, "PodScheduled");
    struct why why = no_scheduler(f);
    why = why.reason ? why : why_claims(f->a, f->name, claims, n);
    struct span text = json_get_str(scheduled, "message");
    /* Claims that have been bound since: it is looked at again. */
    bool told = is(scheduled, "status", "False") && text.n > 0 &&
                !(n > 0 && contains(text, "unbound immediate PersistentVolumeClaims"));
    if (why.reason) {
        /* Claims on their way to being bound are part of starting. */
        return told || !span_ends(why.text, SPAN("its volume is being made")) ? why : not_ready(f);
    }
    if (!told) {
        return not_ready(f);
    }
    struct span node = json_str(json_path(f->pod, "status", "nominatedNodeName", NULL));
    if (node.n) {
        return why_of(f->a, "Unschedulable",
                      arena_printf(f->a,
                                   "%.*s waits for room on node %.*s, where pods of lower priority "
                                   "are stopping",
                                   SPAN_ARG(f->name), SPAN_ARG(node)));
    }
    text = span_first(text, find(text, SPAN(" preemption: "))); /* nobody gives way */
    struct span near = why_near(f->a, text);
    struct span ask = near.n ? SPAN_NULL : asks(f, text);
    text = why_words(f->a, near.n ? near : text);
    text = ask.n && span_ends(text, SPAN(".")) ? span_first(text, text.n - 1) : text;
    return why_of(f->a, "Unschedulable",
                  arena_printf(f->a, "%.*s finds no node: %.*s%s%.*s", SPAN_ARG(f->name),
                               SPAN_ARG(text), ask.n ? "; " : "", SPAN_ARG(ask)));
}

struct why why_on_node(struct arena *a, const yyjson_val *pod, const yyjson_val *node)
{
    assert(a);
    assert(pod);
    struct span name = json_str(json_path(pod, "metadata", "name", NULL));
    struct span on = json_str(json_path(pod, "spec", "nodeName", NULL));
    if (on.n && is(status_condition(node, "Ready"), "status", "Unknown") &&
        !status_condition_true(pod, "Ready")) {
        if (is_deleting(pod)) {
            return lost(a, name, on);
        }
        if (json_path(pod, "status", "startTime", NULL)) {
            return unheard(a, name, arena_printf(a, "node %.*s does not answer", SPAN_ARG(on)));
        }
    }
    if (on.n == 0 || json_path(pod, "status", "startTime", NULL) || is_deleting(pod) ||
        status_condition_true(node, "Ready")) {
        return (struct why){0};
    }
    return why_of(a, node ? "NodeLost" : "NodeMissing",
                  arena_printf(a, "%.*s waits for node %.*s, which %s", SPAN_ARG(name),
                               SPAN_ARG(on), node ? "is not Ready" : "does not exist"));
}

struct why why_pod(struct arena *a, const yyjson_val *pod, const struct why_claim *claims,
                   size_t claim_count, int32_t min_ready_s)
{
    assert(a);
    assert(claims || claim_count == 0);
    assert(pod);
    assert(min_ready_s >= 0);
    struct pod_facts f = {.a = a,
                          .pod = pod,
                          .spec = json_get(pod, "spec"),
                          .ready = status_condition(pod, "Ready"),
                          .name = json_str(json_path(pod, "metadata", "name", NULL))};
    struct span phase = status_phase(pod);
    if (is_deleting(pod)) {
        return stopping(&f);
    }
    if (status_phase_ended(phase)) {
        return over(&f, phase);
    }
    if (json_get_str(f.spec, "nodeName").n == 0) {
        return unscheduled(&f, claims, claim_count);
    }
    if (is(f.ready, "reason", "NodeStatusUnknown")) {
        return unheard(a, f.name, why_words(a, json_get_str(f.ready, "message")));
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

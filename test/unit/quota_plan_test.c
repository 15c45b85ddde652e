/* test/unit/quota_plan_test.c: what objects use of a quota, what scopes choose, that accounts are
 * the sum of what there is through every history, and that refusals follow from them. */
#include "plan/quota_plan.h"

#include "kit/json_kit.h"
#include "kit/kit.h"

static struct arena *arena(void)
{
    static struct arena *a;
    return a ? a : (a = arena_new());
}

static const yyjson_val *json(const char *text)
{
    return json_kit_parse(arena(), span_cstr(text));
}

static struct quota_account account(const char *spec)
{
    char text[512];
    (void)snprintf(text, sizeof text, "{\"metadata\":{\"name\":\"q\"},\"spec\":{%s}}", spec);
    return quota_account(arena(), json(text));
}

/* ---- names ---- */

TEST(each_name_counts_one_resource)
{
    static const char *const rows[][2] = {
        {"pods", "pods"},
        {"count/pods", "pods"},
        {"cpu", "pods"},
        {"requests.memory", "pods"},
        {"limits.ephemeral-storage", "pods"},
        {"hugepages-2Mi", "pods"},
        {"requests.hugepages-2Mi", "pods"},
        {"requests.nvidia.com/gpu", "pods"},
        {"requests.kubernetes.io/x", ""},
        {"nvidia.com/gpu", ""},
        {"limits.nvidia.com/gpu", ""},
        {"services", "services"},
        {"services.nodeports", "services"},
        {"services.loadbalancers", "services"},
        {"persistentvolumeclaims", "persistentvolumeclaims"},
        {"requests.storage", "persistentvolumeclaims"},
        {"gold.storageclass.storage.k8s.io/requests.storage", "persistentvolumeclaims"},
        {"gold.storageclass.storage.k8s.io/persistentvolumeclaims", "persistentvolumeclaims"},
        {"gold.storageclass.storage.k8s.io/pods", ""},
        {"secrets", "secrets"},
        {"configmaps", "configmaps"},
        {"resourcequotas", "resourcequotas"},
        {"replicationcontrollers", "replicationcontrollers"},
        {"count/deployments.apps", "deployments.apps"},
        {"count/widgets.example.com", "widgets.example.com"},
        {"count/events", ""},
        {"count/events.events.k8s.io", ""},
        {"deployments", ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_SPAN(quota_resource(span_cstr(rows[i][0])), rows[i][1]);
    }
}

/* ---- uses ---- */

static int by_text(const void *x, const void *y)
{
    return span_cmp(((const struct amount *)x)->name, ((const struct amount *)y)->name);
}

static const char *uses(const char *resource, const char *object)
{
    static char out[512];
    struct quota_object o = quota_object(arena(), span_cstr(resource), json(object));
    size_t n = 0;
    qsort(o.uses.at, o.uses.n, sizeof *o.uses.at, by_text);
    out[0] = '\0';
    for (size_t i = 0; i < o.uses.n; i++) {
        char buf[QUANTITY_TEXT_BYTES];
        n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s=%.*s", i ? " " : "",
                              SPAN_ARG(o.uses.at[i].name),
                              SPAN_ARG(amount_text(&o.uses.at[i].value, buf)));
    }
    return out;
}

#define PORTS "\"ports\":[{\"nodePort\":30000},{}]"

TEST(an_object_uses_what_its_kind_says)
{
    static const char *const rows[][3] = {
        {"secrets", "{}", "count/secrets=1 secrets=1"},
        {"deployments.apps", "{}", "count/deployments.apps=1"},
        {"services", "{\"spec\":{\"type\":\"ClusterIP\"," PORTS "}}",
         "count/services=1 services=1"},
        {"services", "{\"spec\":{\"type\":\"NodePort\"," PORTS "}}",
         "count/services=1 services=1 services.nodeports=2"},
        {"services", "{\"spec\":{\"type\":\"LoadBalancer\"," PORTS "}}",
         "count/services=1 services=1 services.loadbalancers=1 services.nodeports=2"},
        {"services",
         "{\"spec\":{\"type\":\"LoadBalancer\",\"allocateLoadBalancerNodePorts\":false," PORTS "}}",
         "count/services=1 services=1 services.loadbalancers=1 services.nodeports=1"},
        {"persistentvolumeclaims", "{\"spec\":{}}",
         "count/persistentvolumeclaims=1 persistentvolumeclaims=1"},
        {"persistentvolumeclaims",
         "{\"spec\":{\"storageClassName\":\"a\",\"resources\":{\"requests\":{\"storage\":\"1500m\"}"
         "}"
         "}}",
         "a.storageclass.storage.k8s.io/persistentvolumeclaims=1 "
         "a.storageclass.storage.k8s.io/requests.storage=2 count/persistentvolumeclaims=1 "
         "persistentvolumeclaims=1 requests.storage=2"},
        {"persistentvolumeclaims",
         "{\"spec\":{\"resources\":{\"requests\":{\"storage\":\"1Gi\"}}},\"status\":{"
         "\"allocatedResources\":{\"storage\":\"2Gi\"}}}",
         "count/persistentvolumeclaims=1 persistentvolumeclaims=1 requests.storage=2Gi"},
        {"pods",
         "{\"spec\":{\"containers\":[{\"resources\":{\"requests\":{\"cpu\":\"1\",\"hugepages-2Mi\":"
         "\"2Mi\",\"a.b/c\":\"3\"},\"limits\":{\"cpu\":\"2\",\"a.b/c\":\"3\"}}}]}}",
         "count/pods=1 cpu=1 hugepages-2Mi=2Mi limits.cpu=2 pods=1 requests.a.b/c=3 requests.cpu=1 "
         "requests.hugepages-2Mi=2Mi"},
        {"pods", "{\"status\":{\"phase\":\"Failed\"}}", "count/pods=1"},
        {"pods", "{\"status\":{\"phase\":\"Succeeded\"}}", "count/pods=1"},
        {"pods", "{\"status\":{\"phase\":\"Running\"}}", "count/pods=1 pods=1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_SPAN(span_cstr(uses(rows[i][0], rows[i][1])), rows[i][2]);
    }
}

/* ---- scopes ---- */

#define AFFINITY(sort, term) "{\"spec\":{\"affinity\":{\"" sort "\":{" term "}}}}"
#define REQUIRED "\"requiredDuringSchedulingIgnoredDuringExecution\":[{},"
#define PREFERRED "\"preferredDuringSchedulingIgnoredDuringExecution\":[{\"podAffinityTerm\":"

TEST(scopes_are_about_pods_and_some_about_claims)
{
    static const struct {
        const char *scope, *pod;
        bool in;
    } rows[] = {
        {"Terminating", "{}", false},
        {"Terminating", "{\"spec\":{\"activeDeadlineSeconds\":0}}", true},
        {"NotTerminating", "{}", true},
        {"NotTerminating", "{\"spec\":{\"activeDeadlineSeconds\":5}}", false},
        {"BestEffort", "{\"status\":{\"qosClass\":\"BestEffort\"}}", true},
        {"BestEffort", "{\"status\":{\"qosClass\":\"Burstable\"}}", false},
        {"NotBestEffort", "{\"status\":{\"qosClass\":\"BestEffort\"}}", false},
        {"NotBestEffort", "{\"status\":{\"qosClass\":\"Guaranteed\"}}", true},
        {"PriorityClass", "{\"spec\":{\"priorityClassName\":\"a\"}}", true},
        {"PriorityClass", "{}", false},
        {"VolumeAttributesClass", "{}", false},
        {"CrossNamespacePodAffinity", "{}", false},
        {"CrossNamespacePodAffinity", AFFINITY("podAffinity", REQUIRED "{}]"), false},
        {"CrossNamespacePodAffinity", AFFINITY("podAffinity", REQUIRED "{\"namespaces\":[\"a\"]}]"),
         true},
        {"CrossNamespacePodAffinity", AFFINITY("podAntiAffinity", PREFERRED "{}}]"), false},
        {"CrossNamespacePodAffinity",
         AFFINITY("podAntiAffinity", PREFERRED "{\"namespaceSelector\":{}}}]"), true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char spec[256];
        (void)snprintf(spec, sizeof spec, "\"hard\":{\"pods\":\"1\"},\"scopes\":[\"%s\"]",
                       rows[i].scope);
        struct quota_account q = account(spec);
        struct quota_object o = quota_object(arena(), SPAN("pods"), json(rows[i].pod));
        CHECK_EQ(quota_covers(&q, &o), rows[i].in);
    }
    struct quota_account q =
        account("\"hard\":{\"secrets\":\"1\"},\"scopes\":[\"NotTerminating\"]");
    struct quota_object o = quota_object(arena(), SPAN("secrets"), json("{}"));
    CHECK(!quota_covers(&q, &o));
    q = account("\"hard\":{\"secrets\":\"1\"}");
    CHECK(quota_covers(&q, &o));
    o = quota_object(arena(), SPAN("pods"), json("{}"));
    CHECK(!quota_covers(&q, &o));
    o = quota_object(arena(), SPAN("secrets"), NULL);
    CHECK(!quota_covers(&q, &o));
}

TEST(classes_are_chosen_as_labels_are)
{
    static const struct {
        const char *op;
        bool none, a, b; /* of a pod without class, with class a, which is in the list, with b */
    } rows[] = {{"In", false, true, false},
                {"NotIn", true, false, true},
                {"Exists", false, true, true},
                {"DoesNotExist", true, false, false}};
    static const char *const pods[] = {"{}", "{\"spec\":{\"priorityClassName\":\"a\"}}",
                                       "{\"spec\":{\"priorityClassName\":\"b\"}}"};
    static const char *const claims[] = {
        "{}", "{\"spec\":{\"volumeAttributesClassName\":\"a\"}}",
        "{\"status\":{\"modifyVolumeStatus\":{\"targetVolumeAttributesClassName\":\"b\"}}}"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const bool want[] = {rows[i].none, rows[i].a, rows[i].b};
        for (size_t k = 0; k < 6; k++) {
            char spec[256];
            (void)snprintf(spec, sizeof spec,
                           "\"hard\":{\"%s\":\"1\"},\"scopeSelector\":{\"matchExpressions\":[{"
                           "\"scopeName\":\"%s\",\"operator\":\"%s\",\"values\":[\"a\"]}]}",
                           k < 3 ? "pods" : "persistentvolumeclaims",
                           k < 3 ? "PriorityClass" : "VolumeAttributesClass", rows[i].op);
            struct quota_account q = account(spec);
            struct quota_object o =
                quota_object(arena(), k < 3 ? SPAN("pods") : SPAN("persistentvolumeclaims"),
                             json(k < 3 ? pods[k] : claims[k - 3]));
            CHECK_EQ(quota_covers(&q, &o), want[k % 3]);
        }
    }
}

/* ---- accounts ---- */

/* A world of two pods, each absent, waiting with a request of 1 or 2, or ended. */
enum { STATES = 4 };
static const int cpu_of[STATES] = {0, 1, 2, 0}, pods_of[STATES] = {0, 1, 1, 0};

static struct quota_object state(int s)
{
    static const char *const forms[STATES] = {NULL,
                                              "{\"spec\":{\"containers\":[{\"name\":\"c\","
                                              "\"resources\":{\"requests\":{\"cpu\":\"1\"}}}]}}",
                                              "{\"spec\":{\"containers\":[{\"name\":\"c\","
                                              "\"resources\":{\"requests\":{\"cpu\":\"2\"}}}]}}",
                                              "{\"spec\":{\"containers\":[{\"name\":\"c\","
                                              "\"resources\":{\"requests\":{\"cpu\":\"2\"}}}]},"
                                              "\"status\":{\"phase\":\"Failed\"}}"};
    return quota_object(arena(), SPAN("pods"), forms[s] ? json(forms[s]) : NULL);
}

static int64_t units(const struct quantity *q)
{
    return quantity_units(q);
}

static const struct quota_line *line(const struct quota_account *q, const char *name)
{
    for (size_t i = 0; i < q->n; i++) {
        if (span_eq_cstr(q->lines[i].name, name)) {
            return &q->lines[i];
        }
    }
    CHECK(!"a line of that name");
    return NULL;
}

TEST(an_account_is_the_sum_of_what_there_is_after_every_history)
{
    /* All histories of four steps, each a pod's change to another state. */
    for (int history = 0; history < 8 * 8 * 8 * 8; history++) {
        struct quota_account q =
            account("\"hard\":{\"pods\":\"9\",\"cpu\":\"9\",\"secrets\":\"1\"}");
        int now[2] = {0, 0};
        for (int step = 0, rest = history; step < 4; step++, rest /= 8) {
            int pod = rest & 1, to = rest / 2 % STATES;
            struct quota_object was = state(now[pod]), is = state(to);
            bool changed = quota_count(&q, &was, &is);
            CHECK_EQ(changed, cpu_of[now[pod]] != cpu_of[to] || pods_of[now[pod]] != pods_of[to]);
            now[pod] = to;
            CHECK_EQ(units(&line(&q, "cpu")->used), cpu_of[now[0]] + cpu_of[now[1]]);
            CHECK_EQ(units(&line(&q, "pods")->used), pods_of[now[0]] + pods_of[now[1]]);
            CHECK_EQ(units(&line(&q, "secrets")->used), 0);
        }
    }
}

TEST(what_is_pledged_and_taken_back_leaves_nothing)
{
    for (int was = 0; was < STATES; was++) {
        for (int is = 1; is < STATES; is++) {
            struct quota_account q = account("\"hard\":{\"pods\":\"9\",\"cpu\":\"9\"}");
            struct quota_object before = state(was), now = state(is);
            int more = cpu_of[is] > cpu_of[was] ? cpu_of[is] - cpu_of[was] : 0;
            quota_pledge(&q, &before, &now, 1);
            quota_pledge(&q, &before, &now, 1);
            CHECK_EQ(units(&line(&q, "cpu")->pledged), 2 * more);
            quota_pledge(&q, &before, &now, -1);
            quota_pledge(&q, &before, &now, -1);
            CHECK_EQ(units(&line(&q, "cpu")->pledged), 0);
            CHECK_EQ(units(&line(&q, "pods")->pledged), 0);
        }
    }
}

TEST(a_change_is_refused_when_it_grows_beyond_what_is_left_and_else_never)
{
    /* hard cpu 0..4, used by others 0..4, pledged by others 0..1. */
    for (int world = 0; world < 5 * 5 * 2 * STATES * STATES; world++) {
        int hard = world % 5, used = world / 5 % 5, pledged = world / 25 % 2;
        int was = world / 50 % STATES, is = world / 200;
        if (is == 0) {
            continue;
        }
        char spec[128], want[128] = "";
        (void)snprintf(spec, sizeof spec, "\"hard\":{\"requests.cpu\":\"%d\"}", hard);
        struct quota_account q = account(spec);
        q.lines[0].used.nano = (__int128)used * 1000000000;
        q.lines[0].pledged.nano = (__int128)pledged * 1000000000;
        struct quota_object before = state(was), now = state(is);
        int more = cpu_of[is] - cpu_of[was];
        if (more > 0 && used + pledged + more > hard) {
            (void)snprintf(want, sizeof want,
                           "exceeded quota: q, requested: requests.cpu=%d, used: requests.cpu=%d, "
                           "limited: requests.cpu=%d",
                           more, used + pledged, hard);
        }
        CHECK_SPAN(quota_refusal(arena(), &q, 1, &before, &now), want);
    }
}

TEST(the_first_quota_that_refuses_is_told_and_what_is_missing_before_what_is_too_much)
{
    struct quota_account q[2] = {account("\"hard\":{\"pods\":\"0\"}"),
                                 account("\"hard\":{\"limits.cpu\":\"9\",\"memory\":\"9\",\"cpu\":"
                                         "\"9\",\"limits.ephemeral-storage\":\"1\"}")};
    struct quota_object none = {.resource = SPAN("pods")};
    struct quota_object o = quota_object(
        arena(), SPAN("pods"),
        json(
            "{\"spec\":{\"containers\":[{\"name\":\"b\",\"resources\":{\"requests\":{\"cpu\":\"1\"}"
            "}},{\"name\":\"a\"}],\"initContainers\":[{\"name\":\"i\",\"resources\":{\"requests\":{"
            "\"cpu\":\"1\",\"memory\":\"1\"},\"limits\":{\"cpu\":\"1\"}}}]}}"));
    CHECK_SPAN(quota_refusal(arena(), q, 2, &none, &o),
               "failed quota: q: must specify cpu for: a; limits.cpu for: a,b; memory for: a,b");
    CHECK_SPAN(quota_refusal(arena(), q, 1, &none, &o),
               "exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0");
    o = quota_object(arena(), SPAN("pods"),
                     json("{\"spec\":{\"resources\":{\"limits\":{\"cpu\":\"1\"}},\"containers\":[{"
                          "\"name\":\"b\"}]}}"));
    CHECK_EQ(quota_refusal(arena(), q + 1, 1, &none, &o).n, 0);
}

/* ---- room ---- */

TEST(only_what_may_give_room_wakes_who_waits)
{
    static const char base[] =
        "{\"spec\":{\"hard\":{\"pods\":\"2\"}},\"status\":{\"hard\":{\"pods\":"
        "\"2\"},\"used\":{\"pods\":\"2\"}}}";
    static const struct {
        const char *now;
        bool room;
    } rows[] = {
        {base, false},
        {NULL, true},
        {"{\"spec\":{\"hard\":{\"pods\":\"3\"}},\"status\":{\"used\":{\"pods\":\"2\"}}}", true},
        {"{\"spec\":{\"hard\":{\"pods\":\"1\"}},\"status\":{\"used\":{\"pods\":\"2\"}}}", true},
        {"{\"spec\":{\"hard\":{\"cpu\":\"3\"}},\"status\":{\"used\":{\"pods\":\"2\"}}}", true},
        {"{\"spec\":{\"hard\":{\"pods\":\"2\"}},\"status\":{\"used\":{\"pods\":\"1\"}}}", true},
        {"{\"spec\":{\"hard\":{\"pods\":\"2\"}},\"status\":{\"used\":{\"pods\":\"3\"}}}", false},
        {"{\"spec\":{\"hard\":{\"pods\":\"2\"},\"scopeSelector\":{}},\"status\":{\"used\":{"
         "\"pods\":"
         "\"2\"}}}",
         true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        CHECK_EQ(quota_gives_room(json(base), rows[i].now ? json(rows[i].now) : NULL),
                 rows[i].room);
    }
    CHECK(quota_gives_room(NULL, json(base)));
    CHECK(quota_refused(SPAN("pods \"x\" is forbidden: exceeded quota: q, requested: pods=1")));
    CHECK(!quota_refused(SPAN("pods \"x\" is forbidden: failed quota: q: must specify cpu")));
    CHECK(!quota_refused(SPAN("")));
}

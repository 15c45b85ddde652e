/* test/unit/limit_plan_test.c: what LimitRanges give to pods and refuse: every small world, and the
 * texts. And what a pod's containers amount to. */
#include "plan/limit_plan.h"

#include "kit/json_kit.h"
#include "kit/kit.h"
#include "plan/amounts.h"

static struct arena *arena(void)
{
    static struct arena *a;
    return a ? a : (a = arena_new());
}

static const yyjson_val *json(const char *text)
{
    return json_kit_parse(arena(), span_cstr(text));
}

/* ---- bounds ---- */

enum { NONE = -1 };

/* As the definition has it: the first thing that is wrong of the minimum, of the maximum, of the
 * ratio. */
static int expect(char *out, size_t cap, int request, int limit, int min, int max, int ratio)
{
    char one[3][160] = {"", "", ""};
    if (min != NONE && request == NONE) {
        (void)snprintf(one[0], 160,
                       "minimum cpu usage per Container is %d.  No request is specified", min);
    } else if (min != NONE && request < min) {
        (void)snprintf(one[0], 160, "minimum cpu usage per Container is %d, but request is %d", min,
                       request);
    } else if (min != NONE && limit != NONE && limit < min) {
        (void)snprintf(one[0], 160, "minimum cpu usage per Container is %d, but limit is %d", min,
                       limit);
    }
    if (max != NONE && limit == NONE) {
        (void)snprintf(one[1], 160, "maximum cpu usage per Container is %d.  No limit is specified",
                       max);
    } else if (max != NONE && limit > max) {
        (void)snprintf(one[1], 160, "maximum cpu usage per Container is %d, but limit is %d", max,
                       limit);
    } else if (max != NONE && request > max) {
        (void)snprintf(one[1], 160, "maximum cpu usage per Container is %d, but request is %d", max,
                       request);
    }
    const char *head = "cpu max limit to request ratio per Container is";
    if (ratio != NONE && request <= 0) {
        (void)snprintf(one[2], 160, "%s %d, but no request is specified or request is 0", head,
                       ratio);
    } else if (ratio != NONE && limit <= 0) {
        (void)snprintf(one[2], 160, "%s %d, but no limit is specified or limit is 0", head, ratio);
    } else if (ratio != NONE && limit > ratio * request) {
        (void)snprintf(one[2], 160, "%s %d, but provided ratio is %f", head, ratio,
                       (double)limit / request);
    }
    int n = 0;
    size_t at = 0;
    for (int i = 0; i < 3; i++) {
        if (one[i][0]) {
            at += (size_t)snprintf(out + at, cap - at, "%s%s", n++ ? ", " : "", one[i]);
        }
    }
    out[at] = '\0';
    return n;
}

static const char *member(char *buf, const char *name, int v)
{
    (void)snprintf(buf, 32, v == NONE ? "\"%s\":{}" : "\"%s\":{\"cpu\":\"%d\"}", name, v);
    return buf;
}

static void check_world(int request, int limit, int min, int max, int ratio)
{
    char b[5][32], text[512], want[512], whole[520];
    (void)snprintf(text, sizeof text,
                   "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{%s,%s}}]}}",
                   member(b[0], "requests", request), member(b[1], "limits", limit));
    const yyjson_val *pod = json(text);
    if (ratio == NONE) {
        (void)snprintf(text, sizeof text,
                       "{\"spec\":{\"limits\":[{\"type\":\"Container\",%s,%s}]}}",
                       member(b[2], "min", min), member(b[3], "max", max));
    } else {
        (void)snprintf(text, sizeof text,
                       "{\"spec\":{\"limits\":[{\"type\":\"Container\",%s,%s,"
                       "\"maxLimitRequestRatio\":{\"cpu\":\"%d\"}}]}}",
                       member(b[2], "min", min), member(b[3], "max", max), ratio);
    }
    struct span got = limit_refuses_pod(arena(), json(text), pod);
    int n = expect(want, sizeof want, request, limit, min, max, ratio);
    (void)snprintf(whole, sizeof whole, n > 1 ? "[%s]" : "%s", want);
    CHECK_SPAN(got, whole);
}

TEST(each_bound_refuses_what_is_beyond_it_and_nothing_else)
{
    for (int request = NONE; request <= 3; request++) {
        for (int limit = NONE; limit <= 4; limit++) {
            for (int min = NONE; min <= 2; min++) {
                for (int max = NONE; max <= 3; max++) {
                    for (int ratio = NONE; ratio <= 2; ratio += ratio == NONE ? 2 : 1) {
                        check_world(request, limit, min, max, ratio);
                    }
                }
            }
        }
    }
}

TEST(a_pod_is_measured_as_a_whole_and_its_init_containers_one_by_one)
{
    const yyjson_val *pod = json(
        "{\"spec\":{\"containers\":[{\"name\":\"a\",\"resources\":{\"requests\":{\"cpu\":"
        "\"100m\"},\"limits\":{\"cpu\":\"1\"}}},{\"name\":\"b\",\"resources\":{\"requests\":"
        "{\"cpu\":\"150m\"}}}],\"initContainers\":[{\"name\":\"i\",\"resources\":{\"requests\":"
        "{\"cpu\":\"50m\"},\"limits\":{\"cpu\":\"3\"}}}]}}");
    CHECK_SPAN(limit_refuses_pod(arena(),
                                 json("{\"spec\":{\"limits\":[{\"type\":\"Pod\",\"min\":{\"cpu\":"
                                      "\"300m\"},\"max\":{\"cpu\":\"2\"}}]}}"),
                                 pod),
               "[minimum cpu usage per Pod is 300m, but request is 250m, maximum cpu usage per Pod "
               "is 2, but limit is 3]");
    CHECK_SPAN(limit_refuses_pod(arena(),
                                 json("{\"spec\":{\"limits\":[{\"type\":\"Container\",\"min\":{"
                                      "\"cpu\":\"100m\"}}]}}"),
                                 pod),
               "minimum cpu usage per Container is 100m, but request is 50m");
    CHECK_EQ(limit_refuses_pod(arena(),
                               json("{\"spec\":{\"limits\":[{\"type\":\"PersistentVolumeClaim\","
                                    "\"min\":{\"storage\":\"1Gi\"}}]}}"),
                               pod)
                 .n,
             0);
}

TEST(what_two_containers_do_wrong_alike_is_told_once)
{
    const char *one = "{\"name\":\"a\"}";
    char text[128];
    (void)snprintf(text, sizeof text, "{\"spec\":{\"containers\":[%s,%s]}}", one, one);
    CHECK_SPAN(limit_refuses_pod(arena(),
                                 json("{\"spec\":{\"limits\":[{\"type\":\"Container\",\"max\":{"
                                      "\"memory\":\"1Gi\"}}]}}"),
                                 json(text)),
               "maximum memory usage per Container is 1Gi.  No limit is specified");
}

TEST(claims_have_bounds_of_what_they_ask_for)
{
    const yyjson_val *range =
        json("{\"spec\":{\"limits\":[{\"type\":\"PersistentVolumeClaim\",\"min\":{\"storage\":"
             "\"1Gi\"},\"max\":{\"storage\":\"2Gi\"}},{\"type\":\"Container\",\"min\":{\"storage\":"
             "\"9Gi\"}}]}}");
    static const struct {
        const char *size, *want;
    } cases[] = {
        {"\"512Mi\"",
         "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 512Mi"},
        {"\"1Gi\"", ""},
        {"\"2Gi\"", ""},
        {"\"3Gi\"", "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"},
        {"null",
         "[minimum storage usage per PersistentVolumeClaim is 1Gi.  No request is specified, "
         "maximum storage usage per PersistentVolumeClaim is 2Gi.  No request is specified]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[128];
        (void)snprintf(text, sizeof text,
                       "{\"spec\":{\"resources\":{\"requests\":{\"storage\":%s}}}}", cases[i].size);
        CHECK_SPAN(limit_refuses_claim(arena(), range, json(text)), cases[i].want);
    }
}

/* ---- defaults ---- */

static struct span defaulted(const char *pod, const char *range)
{
    yyjson_mut_doc *doc = json_mut_new(arena());
    yyjson_mut_val *obj = json_mut_copy(doc, json(pod));
    limit_defaults(arena(), doc, obj, json(range));
    return json_write_mut(arena(), obj);
}

#define RANGE                                                                                      \
    "{\"spec\":{\"limits\":[{\"type\":\"Pod\",\"max\":{\"cpu\":\"9\"}},{\"type\":\"Container\","   \
    "\"defaultRequest\":{\"memory\":\"1Mi\",\"cpu\":\"1m\"},\"default\":{\"cpu\":\"2m\"}}]}}"

TEST(containers_get_what_they_do_not_name_and_the_pod_says_so)
{
    CHECK_SPAN(
        defaulted("{\"metadata\":{},\"spec\":{\"containers\":[{\"name\":\"a\"},{\"name\":\"b\","
                  "\"resources\":{\"requests\":{\"cpu\":\"5\"},\"limits\":{\"cpu\":\"5\"}}}],"
                  "\"initContainers\":[{\"name\":\"i\",\"resources\":{\"requests\":{\"cpu\":\"5\","
                  "\"memory\":\"5\"}}}]}}",
                  RANGE),
        "{\"metadata\":{\"annotations\":{\"kubernetes.io/limit-ranger\":\"LimitRanger plugin set: "
        "cpu, memory request for container a; cpu limit for container a; memory request for "
        "container b; cpu limit for init container i\"}},\"spec\":{\"containers\":[{\"name\":\"a\","
        "\"resources\":{\"requests\":{\"memory\":\"1Mi\",\"cpu\":\"1m\"},\"limits\":{\"cpu\":"
        "\"2m\"}}},{\"name\":\"b\",\"resources\":{\"requests\":{\"cpu\":\"5\",\"memory\":\"1Mi\"},"
        "\"limits\":{\"cpu\":\"5\"}}}],\"initContainers\":[{\"name\":\"i\",\"resources\":{"
        "\"requests\":{\"cpu\":\"5\",\"memory\":\"5\"},\"limits\":{\"cpu\":\"2m\"}}}]}}");
}

TEST(a_pod_that_names_everything_stays_as_it_is)
{
    const char *pod =
        "{\"metadata\":{},\"spec\":{\"containers\":[{\"name\":\"b\",\"resources\":{"
        "\"requests\":{\"cpu\":\"5\",\"memory\":\"5\"},\"limits\":{\"cpu\":\"5\"}}}]}}";
    CHECK_SPAN(defaulted(pod, RANGE), pod);
    CHECK_SPAN(
        defaulted(pod, "{\"spec\":{\"limits\":[{\"type\":\"Pod\",\"max\":{\"cpu\":\"9\"}}]}}"),
        pod);
}

/* ---- amounts ---- */

static int64_t millis(const struct amounts *list, const char *name)
{
    const struct quantity *q = amounts_get(list, span_cstr(name));
    return q ? quantity_millis(q) : NONE;
}

TEST(a_pod_amounts_to_its_containers_and_sidecars_or_to_its_largest_init_container)
{
    /* Two init containers, either of which may be a sidecar, before one container. */
    for (int kind = 0; kind < 4; kind++) {
        for (int amounts = 0; amounts < 27; amounts++) {
            const int main = amounts % 3, first = amounts / 3 % 3, second = amounts / 9;
            const bool side[2] = {kind & 1, kind & 2};
            char text[512];
            (void)snprintf(
                text, sizeof text,
                "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":"
                "\"%d\"}}}],\"initContainers\":[{\"name\":\"x\",\"resources\":{\"requests\":{"
                "\"cpu\":\"%d\"}}%s},{\"name\":\"y\",\"resources\":{\"requests\":{\"cpu\":\"%d\"}}"
                "%s}],\"overhead\":{\"cpu\":\"100m\",\"memory\":\"1\"}}}",
                main, first, side[0] ? ",\"restartPolicy\":\"Always\"" : "", second,
                side[1] ? ",\"restartPolicy\":\"Always\"" : "");
            int running = main + (side[0] ? first : 0) + (side[1] ? second : 0);
            int peak = side[0] ? first + second : first > second ? first : second;
            int want = running > peak ? running : peak;
            struct amounts plain = amounts_of_pod(arena(), json(text), "requests", false);
            struct amounts with = amounts_of_pod(arena(), json(text), "requests", true);
            struct amounts limits = amounts_of_pod(arena(), json(text), "limits", true);
            CHECK_EQ(millis(&plain, "cpu"), want * 1000);
            CHECK_EQ(millis(&with, "cpu"), want * 1000 + 100);
            CHECK_EQ(millis(&with, "memory"), 1000);
            CHECK_EQ(limits.n, 0); /* no limit has no limit with the overhead, either */
        }
    }
}

TEST(a_pod_that_is_being_resized_amounts_to_the_more_of_both)
{
    struct amounts got = amounts_of_pod(
        arena(),
        json(
            "{\"spec\":{\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"1\","
            "\"memory\":\"4\"}}}]},\"status\":{\"containerStatuses\":[{\"name\":\"c\","
            "\"allocatedResources\":{\"cpu\":\"2\",\"memory\":\"3\"},\"resources\":{\"requests\":{"
            "\"cpu\":\"3\"},\"limits\":{\"cpu\":\"9\"}}},{\"name\":\"other\","
            "\"allocatedResources\":"
            "{\"cpu\":\"7\"}}]}}"),
        "requests", false);
    CHECK_EQ(millis(&got, "cpu"), 3000);
    CHECK_EQ(millis(&got, "memory"), 4000);
}

TEST(what_a_pod_says_as_a_whole_counts_of_processor_and_memory)
{
    struct amounts got = amounts_of_pod(
        arena(),
        json("{\"spec\":{\"resources\":{\"requests\":{\"cpu\":\"7\",\"ephemeral-storage\":\"7\"}},"
             "\"containers\":[{\"name\":\"c\",\"resources\":{\"requests\":{\"cpu\":\"1\","
             "\"ephemeral-storage\":\"2\"}}}]}}"),
        "requests", false);
    CHECK_EQ(millis(&got, "cpu"), 7000);
    CHECK_EQ(millis(&got, "ephemeral-storage"), 2000);
}

TEST(sums_keep_the_family_of_what_came_first_and_never_overflow)
{
    struct amounts list = {0};
    struct quantity q;
    char buf[QUANTITY_TEXT_BYTES];
    CHECK(!quantity_parse(SPAN("0"), &q));
    amounts_add(arena(), &list, SPAN("m"), &q);
    CHECK(!quantity_parse(SPAN("1Gi"), &q));
    amounts_add(arena(), &list, SPAN("m"), &q);
    CHECK(!quantity_parse(SPAN("1000M"), &q));
    amount_sub(&q, &q);
    amounts_add(arena(), &list, SPAN("m"), &q);
    CHECK_SPAN(quantity_format(amounts_get(&list, SPAN("m")), buf), "1Gi");
    CHECK(!quantity_parse(SPAN("8E"), &q));
    for (int i = 0; i < 4; i++) {
        amounts_add(arena(), &list, SPAN("m"), &q);
    }
    CHECK_EQ(quantity_units(amounts_get(&list, SPAN("m"))), INT64_MAX);
    CHECK(!quantity_parse(SPAN("-8E"), &q));
    for (int i = 0; i < 8; i++) {
        amounts_add(arena(), &list, SPAN("m"), &q);
    }
    CHECK_EQ(quantity_units(amounts_get(&list, SPAN("m"))), -INT64_MAX);
    amounts_add(arena(), &list, SPAN("a"), &q);
    amounts_sort(&list);
    CHECK_SPAN(list.at[0].name, "a");
}

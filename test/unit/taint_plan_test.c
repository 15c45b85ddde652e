/* test/unit/taint_plan_test.c: how long pods bear taints, and which taints nodes get. */
#include "plan/taint_plan.h"

#include "base/limits.h"
#include "base/strbuf.h"
#include "kit/json_kit.h"
#include "kit/kit.h"
#include "plan/node_plan.h"

/* ---- pods ---- */

/* What one toleration may say about the taint a=1 (first) or b=2; seconds < 0: for ever. */
struct form {
    const char *key, *op, *value, *effect;
    bool first, second; /* matches it */
};
static const struct form forms[] = {
    {"a", "Exists", "", "NoExecute", true, false},
    {"a", "Equal", "1", "", true, false},
    {"a", "Equal", "2", "NoExecute", false, false},
    {"a", "Exists", "", "NoSchedule", false, false},
    {"", "Exists", "", "", true, true},
    {"b", "", "2", "NoExecute", false, true},
};
static const int64_t seconds[] = {-1, -5, 0, 1, 300};
enum { FORMS = sizeof forms / sizeof *forms, TIMES = sizeof seconds / sizeof *seconds };
enum { TOLERATIONS = FORMS * TIMES + 1 }; /* the last: none */

static void put(struct strbuf *b, int one)
{
    if (one == TOLERATIONS - 1) {
        return;
    }
    const struct form *f = &forms[one / TIMES];
    strbuf_printf(b, "%s{\"key\":\"%s\",\"operator\":\"%s\",\"value\":\"%s\",\"effect\":\"%s\"",
                  b->n > 1 ? "," : "", f->key, f->op, f->value, f->effect);
    if (one % TIMES) { /* the first of the times is no member at all */
        strbuf_printf(b, ",\"tolerationSeconds\":%lld", (long long)seconds[one % TIMES]);
    }
    strbuf_puts(b, "}");
}

/* The same from the definition: seconds of the first match, -1 for ever, -2 no match. */
static int64_t bears(const int *ones, int n, bool first)
{
    for (int i = 0; i < n; i++) {
        const struct form *f = ones[i] < TOLERATIONS - 1 ? &forms[ones[i] / TIMES] : NULL;
        if (f && (first ? f->first : f->second)) {
            int64_t s = seconds[ones[i] % TIMES];
            return ones[i] % TIMES == 0 ? -1 : s < 0 ? 0 : s;
        }
    }
    return -2;
}

static void check_pod(const yyjson_val *tolerations, const int *ones, int taints, int64_t now_ms,
                      int64_t placed_ms)
{
    const struct taint all[] = {{SPAN("a"), SPAN("1"), 1000}, {SPAN("b"), SPAN("2"), 200000}};
    const struct taint_view v = {.taints = taints == 2 ? &all[1] : all,
                                 .taint_count = taints == 3 ? 2 : taints > 0,
                                 .tolerations = tolerations,
                                 .placed_ms = placed_ms,
                                 .now_ms = now_ms};
    struct taint_plan plan = taint_plan(&v);
    int64_t least = -1;
    bool evict = false;
    for (int i = 0; i < 2; i++) {
        int64_t s = taints & 1 << i ? bears(ones, 2, i == 0) : -1;
        int64_t from = all[i].since_ms > placed_ms ? all[i].since_ms : placed_ms;
        evict |= s == -2 || s == 0 || (s > 0 && from + s * 1000 <= now_ms);
        if (s > 0 && (least < 0 || from + s * 1000 < least)) {
            least = from + s * 1000;
        }
    }
    CHECK_EQ(plan.verdict, evict ? TAINT_EVICT : least < 0 ? TAINT_STAY : TAINT_WAIT);
    CHECK_EQ(plan.at_ms, plan.verdict == TAINT_WAIT ? least : 0);
}

TEST(taint_plan_holds_for_all_tolerations_taints_and_times)
{
    static const int64_t nows[] = {200000, 201000, 299999, 301000, 500000, 500001, 900000};
    struct arena *a cleanup_arena = arena_new();
    for (int code = 0; code < TOLERATIONS * TOLERATIONS; code++) {
        const int ones[] = {code / TOLERATIONS, code % TOLERATIONS};
        cleanup_strbuf struct strbuf b = STRBUF_INIT;
        strbuf_puts(&b, "[");
        put(&b, ones[0]);
        put(&b, ones[1]);
        strbuf_puts(&b, "]");
        yyjson_val *list = json_kit_parse(a, strbuf_span(&b));
        for (int taints = 0; taints < 4; taints++) {
            for (size_t i = 0; i < sizeof nows / sizeof *nows; i++) {
                check_pod(list, ones, taints, nows[i], 0);
                check_pod(list, ones, taints, nows[i], 200500);
            }
        }
        arena_clear(a);
    }
}

TEST(taint_plan_bounds_the_time_and_takes_no_tolerations_for_none)
{
    struct arena *a cleanup_arena = arena_new();
    const struct taint t = {SPAN("a"), SPAN(""), 5};
    struct taint_view v = {.taints = &t, .taint_count = 1, .now_ms = 10};
    CHECK_EQ(taint_plan(&v).verdict, TAINT_EVICT);
    v.tolerations = json_kit_parse(
        a, SPAN("[{\"operator\":\"Exists\",\"tolerationSeconds\":9223372036854775807}]"));
    CHECK_EQ(taint_plan(&v).verdict, TAINT_WAIT);
    CHECK_EQ(taint_plan(&v).at_ms, 5 + LIMIT_GRACE_S * 1000LL);
}

/* ---- nodes ---- */

static bool has(uint32_t bits, enum node_taint t)
{
    return bits & 1u << t;
}

static void check_node(const struct node_view *v)
{
    struct node_plan p = node_plan(v);
    bool exec_had =
        has(v->has, NODE_TAINT_NOT_READY_EXEC) || has(v->has, NODE_TAINT_UNREACHABLE_EXEC);
    bool not_ready = has(p.want, NODE_TAINT_NOT_READY_EXEC);
    bool unreachable = has(p.want, NODE_TAINT_UNREACHABLE_EXEC);
    CHECK_EQ(has(p.want, NODE_TAINT_MEMORY), v->memory);
    CHECK_EQ(has(p.want, NODE_TAINT_DISK), v->disk);
    CHECK_EQ(has(p.want, NODE_TAINT_PID), v->pid);
    CHECK_EQ(has(p.want, NODE_TAINT_NETWORK), v->network);
    CHECK_EQ(has(p.want, NODE_TAINT_UNSCHEDULABLE), v->unschedulable);
    CHECK_EQ(has(p.want, NODE_TAINT_UNREACHABLE), v->ready == 'U');
    CHECK_EQ(has(p.want, NODE_TAINT_NOT_READY),
             v->ready == 'F' || (v->ready == 0 && has(v->has, NODE_TAINT_NOT_READY)));
    bool lost = v->ready == 'F' || v->ready == 'U';
    CHECK_EQ(p.waits, lost && !v->all_lost && !exec_had && !v->turn);
    CHECK_EQ(p.took_turn, lost && !v->all_lost && !exec_had && v->turn);
    if (v->all_lost || v->ready == 'T') {
        CHECK(!not_ready && !unreachable);
    } else if (lost) {
        CHECK_EQ(not_ready, !p.waits && v->ready == 'F');
        CHECK_EQ(unreachable, !p.waits && v->ready == 'U');
    } else {
        CHECK_EQ(not_ready, has(v->has, NODE_TAINT_NOT_READY_EXEC));
        CHECK_EQ(unreachable, has(v->has, NODE_TAINT_UNREACHABLE_EXEC));
    }
    struct node_view next = *v; /* what is done is done: nothing changes by looking again */
    next.has = p.want;
    next.turn = false;
    CHECK_EQ(node_plan(&next).want, p.want);
}

TEST(node_plan_holds_for_all_conditions_and_taints)
{
    static const char letters[] = {'T', 'F', 'U', 0};
    for (uint32_t code = 0; code < 4u << 7; code++) {
        for (uint32_t bits = 0; bits < 1u << NODE_TAINTS; bits++) {
            const struct node_view v = {.ready = letters[code >> 7],
                                        .memory = code & 1,
                                        .disk = code & 2,
                                        .pid = code & 4,
                                        .network = code & 8,
                                        .unschedulable = code & 16,
                                        .all_lost = code & 32,
                                        .turn = code & 64,
                                        .has = bits};
            check_node(&v);
        }
    }
}

TEST(node_zone_is_what_kubernetes_calls_it)
{
    static const struct {
        size_t ready, nodes;
        enum node_zone zone;
    } cases[] = {{0, 0, NODE_ZONE_NORMAL},     {0, 1, NODE_ZONE_FULL},
                 {1, 1, NODE_ZONE_NORMAL},     {1, 3, NODE_ZONE_NORMAL},
                 {1, 4, NODE_ZONE_PARTIAL},    {2, 5, NODE_ZONE_PARTIAL},
                 {3, 6, NODE_ZONE_NORMAL},     {0, 9, NODE_ZONE_FULL},
                 {45, 100, NODE_ZONE_PARTIAL}, {46, 100, NODE_ZONE_NORMAL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_EQ(node_zone(cases[i].ready, cases[i].nodes), cases[i].zone);
    }
    CHECK_SPAN(span_cstr(node_taint_key(NODE_TAINT_UNREACHABLE_EXEC)),
               "node.kubernetes.io/unreachable");
    CHECK_SPAN(span_cstr(node_taint_effect(NODE_TAINT_UNREACHABLE_EXEC)), "NoExecute");
    CHECK_SPAN(span_cstr(node_taint_effect(NODE_TAINT_UNSCHEDULABLE)), "NoSchedule");
}

/* test/unit/aggregate_plan_test.c: plan/aggregate_plan over all small worlds, and the controller
 * that carries it out against a small API server in memory. */
#include "plan/aggregate_plan.h"

#include "base/strbuf.h"
#include "kit/controller_kit.h"
#include "kit/kit.h"

static yyjson_val *parse(struct arena *a, const char *text)
{
    yyjson_doc *doc = NULL;
    struct err err;
    CHECK_EQ(json_parse(a, span_cstr(text), &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

/* Three roles, each with one of three labels and one of three lists of rules; the first selects by
 * one of three lists of selectors and has one of four lists of rules. */
static const char *const labels[] = {"{}", "{\"to\":\"a\"}", "{\"to\":\"b\"}"};
static const char *const rules[] = {"[]", "[{\"verbs\":[\"get\"]}]",
                                    "[{\"verbs\":[\"get\"]},{\"verbs\":[\"list\"]}]",
                                    "[{\"verbs\":[\"list\"]},{\"verbs\":[\"get\"]}]"};
static const char *const selectors[] = {
    "[]", "[{\"matchLabels\":{\"to\":\"a\"}}]",
    "[{\"matchLabels\":{\"to\":\"b\"}},{\"matchLabels\":{\"to\":\"a\"}}]"};

/* What should come out, told otherwise: the texts of rules in order, each once. */
static struct span expected(struct arena *a, size_t selector, const size_t label[3],
                            const size_t rule[3], const size_t order[3])
{
    static const char *const wants[3][2] = {{NULL, NULL}, {"a", NULL}, {"b", "a"}};
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    bool get = false, list = false;
    for (size_t s = 0; s < 2 && wants[selector][s]; s++) {
        for (size_t i = 0; i < 3; i++) {
            size_t r = order[i];
            if (r == 0 || label[r] == 0 || (label[r] == 1) != (wants[selector][s][0] == 'a')) {
                continue;
            }
            bool list_first = rule[r] == 3;
            for (int k = 0; k < 2; k++) {
                bool is_list = (k == 0) == list_first;
                if (rule[r] >= (is_list ? 2U : 1U) && !(is_list ? list : get)) {
                    strbuf_printf(&out, "%s{\"verbs\":[\"%s\"]}", out.n ? "," : "",
                                  is_list ? "list" : "get");
                    *(is_list ? &list : &get) = true;
                }
            }
        }
    }
    return arena_printf(a, "[%.*s]", SPAN_ARG(strbuf_span(&out)));
}

TEST(a_collecting_role_has_the_rules_of_those_that_it_selects_by_name_and_once)
{
    static const char *const names[] = {"m", "z", "b"};
    static const size_t order[] = {2, 0, 1};
    size_t changes = 0;
    for (size_t i = 0; i < 3 * 3 * 4 * 4 * 4 * 3; i++) {
        struct arena *a cleanup_arena = arena_new();
        const size_t label[] = {1, i % 3, i / 3 % 3}, rule[] = {i / 9 % 4, i / 36 % 4, i / 144 % 4};
        size_t selector = i / 576;
        struct aggregate_role roles[3];
        for (size_t k = 0; k < 3; k++) {
            roles[k] = (struct aggregate_role){span_cstr(names[k]), parse(a, labels[label[k]]),
                                               parse(a, rules[rule[k]])};
        }
        struct aggregate_view view = {parse(a, selectors[selector]), roles[0], roles, 3};
        yyjson_mut_doc *doc = json_mut_new(a);
        yyjson_mut_val *plan = aggregate_plan(a, doc, &view);
        struct span want = expected(a, selector, label, rule, order);
        struct span got = plan ? json_write_mut(a, plan) : json_write(a, roles[0].rules);
        CHECK_SPAN(got, want.p);
        changes += plan != NULL;
        if (plan) { /* once it has them, it is left alone */
            view.self.rules = parse(a, want.p);
            CHECK(!aggregate_plan(a, doc, &view));
        }
        bool any = (selector > 0 && label[1] == 1) || (selector == 2 && label[1] == 2);
        CHECK_EQ(aggregate_selects(a, view.selectors, roles[1].labels), any);
    }
    CHECK(changes > 500);
}

/* ---- the controller ---- */

static void put(struct controller_kit *k, const char *name, const char *label, const char *more)
{
    char text[512];
    (void)snprintf(text, sizeof text,
                   "{\"kind\":\"ClusterRole\",\"apiVersion\":\"rbac.authorization.k8s.io/v1\","
                   "\"metadata\":{\"name\":\"%s\",\"labels\":{\"to\":\"%s\"}},%s}",
                   name, label, more);
    (void)fake_client_create(k->api, text);
}

static struct span rules_of(struct controller_kit *k, struct arena *a, const char *name)
{
    struct object *o =
        fake_client_get(k->api, "rbac.authorization.k8s.io", "ClusterRole", "", name);
    return json_write(a, json_get(object_root(o), "rules"));
}

#define COLLECTS(label)                                                                            \
    "\"aggregationRule\":{\"clusterRoleSelectors\":[{\"matchLabels\":{\"to\":\"" label "\"}}]},"   \
    "\"rules\":[]"

TEST(a_chain_of_collecting_roles_settles_and_follows_each_change)
{
    struct arena *a cleanup_arena = arena_new();
    struct controller_kit k = {0};
    controller_kit_begin(&k, NULL);
    put(&k, "top", "none", COLLECTS("top"));
    put(&k, "middle", "top", COLLECTS("middle"));
    put(&k, "one", "middle", "\"rules\":[{\"verbs\":[\"get\"]}]");
    controller_kit_run(&k, CONTROLLERS(&controller_role));
    CHECK_SPAN(rules_of(&k, a, "middle"), "[{\"verbs\":[\"get\"]}]");
    CHECK_SPAN(rules_of(&k, a, "top"), "[{\"verbs\":[\"get\"]}]");
    put(&k, "two", "middle", "\"rules\":[{\"verbs\":[\"list\"]}]");
    env_sim_run_for(k.env, 0);
    CHECK_SPAN(rules_of(&k, a, "top"), "[{\"verbs\":[\"get\"]},{\"verbs\":[\"list\"]}]");
    fake_client_delete(k.api, "rbac.authorization.k8s.io", "ClusterRole", "", "one", 0,
                       CLIENT_PROPAGATION_BACKGROUND);
    env_sim_run_for(k.env, 0);
    CHECK_SPAN(rules_of(&k, a, "top"), "[{\"verbs\":[\"list\"]}]");
    controller_kit_end(&k);
}

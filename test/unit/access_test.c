/* test/unit/access_test.c: access/: the decision against a naive evaluation over whole worlds, and
 * Kubernetes' texts. */
#include "access/access.h"

#include "base/limits.h"
#include "codec/json.h"
#include "kit/kit.h"

static yyjson_val *parse(struct arena *a, struct span text)
{
    yyjson_doc *doc = NULL;
    struct err err;
    CHECK_EQ(json_parse(a, text, &doc, &err), 0);
    return yyjson_doc_get_root(doc);
}

/* ---- the naive evaluation: C strings, every binding looked at, written from the documentation
 * ---- */

struct plain_rule {
    const char *verb, *group, *resource, *name, *url; /* NULL: the list is empty */
};
struct plain_role {
    const char *ns; /* NULL: ClusterRole; and name */
    const char *name;
    const struct plain_rule *rule; /* NULL: the role is not there */
};
struct plain_subject {
    const char *kind, *name, *ns;
};
struct plain_binding {
    const char *ns; /* NULL: ClusterRoleBinding */
    const char *name;
    const struct plain_role *role;
    struct plain_subject subject;
};
struct plain_request {
    const char *user, *group; /* who: a user and one more group */
    const char *verb, *api, *resource, *sub, *ns, *name, *path;
};

static bool star_or(const char *have, const char *want)
{
    return have && (strcmp(have, "*") == 0 || strcmp(have, want) == 0);
}

static bool naive_rule(const struct plain_rule *r, const struct plain_request *q)
{
    char whole[64], any[64];
    if (!star_or(r->verb, q->verb)) {
        return false;
    }
    if (q->path) {
        size_t n = r->url ? strlen(r->url) : 0;
        return r->url && (strcmp(r->url, q->path) == 0 ||
                          (r->url[n - 1] == '*' && strncmp(r->url, q->path, n - 1) == 0));
    }
    (void)snprintf(whole, sizeof whole, "%s%s%s", q->resource, q->sub[0] ? "/" : "", q->sub);
    (void)snprintf(any, sizeof any, "*/%s", q->sub);
    return star_or(r->group, q->api) && r->resource &&
           (star_or(r->resource, whole) || (q->sub[0] && strcmp(r->resource, any) == 0)) &&
           (!r->name || strcmp(r->name, q->name) == 0);
}

static bool naive_subject(const struct plain_binding *b, const struct plain_request *q)
{
    const struct plain_subject *s = &b->subject;
    char account[128];
    if (strcmp(s->kind, "ServiceAccount") == 0) {
        const char *ns = s->ns ? s->ns : b->ns;
        if (!ns) {
            return false;
        }
        (void)snprintf(account, sizeof account, "system:serviceaccount:%s:%s", ns, s->name);
        return strcmp(account, q->user) == 0;
    }
    return strcmp(s->name, strcmp(s->kind, "User") == 0 ? q->user : q->group) == 0;
}

static bool naive(const struct plain_binding *bindings, size_t n, const struct plain_request *q)
{
    for (size_t i = 0; i < n; i++) {
        const struct plain_binding *b = &bindings[i];
        bool here = !b->ns || (!q->path && strcmp(b->ns, q->ns) == 0);
        if (here && naive_subject(b, q) && b->role->rule && naive_rule(b->role->rule, q)) {
            return true;
        }
    }
    return false;
}

/* ---- the same as objects ---- */

static struct span list_of(struct arena *a, const char *key, const char *one)
{
    return one ? arena_printf(a, "\"%s\":[\"%s\"],", key, one) : SPAN("");
}

static void put_role(struct access *x, struct arena *a, const struct plain_role *role)
{
    const struct plain_rule *r = role->rule;
    enum access_kind kind = role->ns ? ACCESS_ROLE : ACCESS_CLUSTER_ROLE;
    if (!r) {
        access_drop(x, kind, span_cstr(role->ns), span_cstr(role->name));
        return;
    }
    struct span text = arena_printf(
        a, "{\"rules\":[{%s%s%s%s\"verbs\":[\"%s\"]}]}", list_of(a, "apiGroups", r->group).p,
        list_of(a, "resources", r->resource).p, list_of(a, "resourceNames", r->name).p,
        list_of(a, "nonResourceURLs", r->url).p, r->verb);
    access_put(x, kind, span_cstr(role->ns), span_cstr(role->name), parse(a, text));
}

static void put_binding(struct access *x, struct arena *a, const struct plain_binding *b)
{
    struct span text =
        arena_printf(a,
                     "{\"subjects\":[{\"kind\":\"%s\",\"name\":\"%s\"%s%s%s}],\"roleRef\":{"
                     "\"kind\":\"%s\",\"name\":\"%s\"}}",
                     b->subject.kind, b->subject.name, b->subject.ns ? ",\"namespace\":\"" : "",
                     b->subject.ns ? b->subject.ns : "", b->subject.ns ? "\"" : "",
                     b->role->ns ? "Role" : "ClusterRole", b->role->name);
    access_put(x, b->ns ? ACCESS_ROLE_BINDING : ACCESS_CLUSTER_ROLE_BINDING, span_cstr(b->ns),
               span_cstr(b->name), parse(a, text));
}

static struct access_request request_of(struct arena *a, const struct plain_request *q)
{
    struct span *groups = ARENA_ARRAY(a, struct span, 2);
    groups[0] = SPAN("system:authenticated");
    groups[1] = span_cstr(q->group);
    return (struct access_request){.user = {span_cstr(q->user), {groups, 2}},
                                   .verb = span_cstr(q->verb),
                                   .is_resource = !q->path,
                                   .group = span_cstr(q->api),
                                   .resource = span_cstr(q->resource),
                                   .subresource = span_cstr(q->sub),
                                   .ns = span_cstr(q->ns),
                                   .name = span_cstr(q->name),
                                   .path = span_cstr(q->path)};
}

#define COUNT(list) (sizeof(list) / sizeof *(list))

static const char *const verbs[] = {"get", "*"};
static const char *const groups[] = {"", "apps", "*"};
static const char *const resources[] = {"pods", "pods/log", "*/log", "*", "pods/*"};
static const char *const names[] = {NULL, "a"};
static const char *const urls[] = {"/x", "/x/*", "*", "/x*"};
static const char *const ask_verbs[] = {"get", "list"};
static const char *const ask_groups[] = {"", "apps"};
static const char *const ask_resources[] = {"pods", "nodes"};
static const char *const ask_subs[] = {"", "log"};
static const char *const ask_names[] = {"", "a", "b"};
static const char *const ask_paths[] = {"/x", "/x/", "/x/y", "/xy", "/y", "/"};

static size_t check_requests(struct arena *a, const struct plain_rule *rule,
                             const struct access_rules *rules)
{
    size_t allowed = 0;
    for (size_t i = 0; i < 2 * 2 * 2 * 2 * 3 + 2 * COUNT(ask_paths); i++) {
        bool path = i >= 48;
        size_t k = i - (path ? 48 : 0);
        struct plain_request q = {"u", "g", ask_verbs[k % 2], "", "", "", "", "", NULL};
        if (path) {
            q.path = ask_paths[k / 2];
        } else {
            q.api = ask_groups[k / 2 % 2];
            q.resource = ask_resources[k / 4 % 2];
            q.sub = ask_subs[k / 8 % 2];
            q.name = ask_names[k / 16];
        }
        struct access_request r = request_of(a, &q);
        bool want = naive_rule(rule, &q);
        if (access_rule_allows(&rules->at[0], &r) != want) {
            kit_fail(__FILE__, __LINE__,
                     "rule %s %s %s %s %s, request %s %s %s/%s %s %s: wanted %d", rule->verb,
                     rule->group ? rule->group : "-", rule->resource ? rule->resource : "-",
                     rule->name ? rule->name : "-", rule->url ? rule->url : "-", q.verb, q.api,
                     q.resource, q.sub, q.name, path ? q.path : "", want);
        }
        allowed += want;
    }
    return allowed;
}

static struct access_rules rules_of(struct arena *a, const struct plain_rule *r)
{
    return access_rules_read(
        a, parse(a, arena_printf(a, "[{%s%s%s%s\"verbs\":[\"%s\"]}]",
                                 list_of(a, "apiGroups", r->group).p,
                                 list_of(a, "resources", r->resource).p,
                                 list_of(a, "resourceNames", r->name).p,
                                 list_of(a, "nonResourceURLs", r->url).p, r->verb)));
}

TEST(every_small_rule_allows_exactly_what_the_documentation_says)
{
    size_t allowed = 0;
    for (size_t i = 0; i < 2 * 3 * 5 * 2 + 2 * COUNT(urls); i++) {
        struct arena *a cleanup_arena = arena_new();
        struct plain_rule rule = {.verb = verbs[i % 2]};
        if (i < 60) {
            rule.group = groups[i / 2 % 3];
            rule.resource = resources[i / 6 % 5];
            rule.name = names[i / 30];
        } else {
            rule.url = urls[(i - 60) / 2];
        }
        struct access_rules rules = rules_of(a, &rule);
        CHECK_EQ(rules.n, 1);
        allowed += check_requests(a, &rule, &rules);
    }
    CHECK(allowed > 300 && allowed < 3000);
}

/* What one rule covers of another is what all requests say: there is none that the other allows and
 * this does not. Single verbs and resources are what the question is put for. */
TEST(a_rule_covers_another_only_if_it_allows_all_that_the_other_does)
{
    size_t covered = 0;
    for (size_t i = 0; i < 60 * 60; i++) {
        struct arena *a cleanup_arena = arena_new();
        size_t one = i / 60, two = i % 60;
        struct plain_rule p[2] = {
            {verbs[one % 2], groups[one / 2 % 3], resources[one / 6 % 5], names[one / 30], NULL},
            {verbs[two % 2], groups[two / 2 % 3], resources[two / 6 % 5], names[two / 30], NULL}};
        struct access_rules held = rules_of(a, &p[0]), wanted = rules_of(a, &p[1]);
        bool covers = access_rule_covers(&held.at[0], &wanted.at[0]);
        covered += covers;
        for (size_t k = 0; covers && k < 48; k++) {
            struct plain_request q = {"u",
                                      "g",
                                      ask_verbs[k % 2],
                                      ask_groups[k / 2 % 2],
                                      ask_resources[k / 4 % 2],
                                      ask_subs[k / 8 % 2],
                                      "",
                                      ask_names[k / 16],
                                      NULL};
            CHECK(!naive_rule(&p[1], &q) || naive_rule(&p[0], &q));
        }
        CHECK(one != two || covers);
    }
    CHECK(covered > 300 && covered < 2000);
}

TEST(a_path_with_a_star_covers_what_begins_so)
{
    static const char *const held[] = {"*", "/a*", "/a/*", "/a"};
    static const char *const wanted[] = {"/a", "/a/", "/a/b", "/a*", "/ab", "/b", "*"};
    static const char *const want[] = {"1111111", "1111100", "0110000", "1000000"};
    for (size_t i = 0; i < COUNT(held); i++) {
        for (size_t k = 0; k < COUNT(wanted); k++) {
            CHECK_EQ(access_url_covers(span_cstr(held[i]), span_cstr(wanted[k])),
                     want[i][k] == '1');
        }
    }
}

/* ---- worlds ---- */

enum { ROLES = 4, BINDINGS = 5 };

static const struct plain_rule world_rules[] = {{"get", "", "pods", NULL, NULL},
                                                {"*", "*", "*", NULL, NULL},
                                                {"list", "", "*/log", NULL, NULL},
                                                {"get", "apps", "*", "a", NULL},
                                                {"get", NULL, NULL, NULL, "/x*"}};
static const struct plain_subject world_subjects[] = {
    {"User", "u", NULL},  {"User", "system:serviceaccount:n1:s", NULL},
    {"Group", "g", NULL}, {"ServiceAccount", "s", NULL},
    {"Group", "u", NULL}, {"ServiceAccount", "s", "n1"},
    {"User", "g", NULL},  {"ServiceAccount", "s", "n2"}};
static const char *const world_users[] = {"u", "system:serviceaccount:n1:s", "w"};
static const char *const world_groups[] = {"g", "h"};
static const char *const world_ns[] = {"", "n1", "n2"};

struct world {
    struct plain_role roles[ROLES];
    struct plain_binding bindings[BINDINGS];
    bool there[BINDINGS];
};

static void change(struct world *w, struct access *x, struct arena *a)
{
    static const char *const binding_names[] = {"c", "a", "e", "b", "d"};
    uint64_t r = kit_random();
    size_t i = r % (ROLES + BINDINGS), k = i - ROLES;
    r >>= 8;
    if (i < ROLES) {
        size_t rule = r % (COUNT(world_rules) + 1);
        w->roles[i].rule = rule < COUNT(world_rules) ? &world_rules[rule] : NULL;
        put_role(x, a, &w->roles[i]);
        return;
    }
    struct plain_binding *b = &w->bindings[k];
    const char *ns = k == 0 ? NULL : k < 3 ? "n1" : "n2";
    if (w->there[k] && r % 3 == 0) {
        w->there[k] = false;
        access_drop(x, ns ? ACCESS_ROLE_BINDING : ACCESS_CLUSTER_ROLE_BINDING, span_cstr(ns),
                    span_cstr(binding_names[k]));
        return;
    }
    /* roles 0 and 1 are of the cluster, 2 is in n1, 3 in n2 */
    size_t role = (r >> 8) % 3;
    *b = (struct plain_binding){.ns = ns,
                                .name = binding_names[k],
                                .role = &w->roles[role < 2 ? role
                                                  : !ns    ? 0
                                                  : k < 3  ? 2
                                                           : 3],
                                .subject = world_subjects[(r >> 16) % COUNT(world_subjects)]};
    w->there[k] = true;
    put_binding(x, a, b);
}

static size_t compare(const struct world *w, const struct access *x, struct arena *a)
{
    struct plain_binding now[BINDINGS];
    size_t n = 0, allowed = 0;
    for (size_t i = 0; i < BINDINGS; i++) {
        if (w->there[i]) {
            now[n++] = w->bindings[i];
        }
    }
    for (size_t i = 0; i < 3 * 2 * 3 * 6; i++) {
        static const struct plain_request asks[] = {
            {NULL, NULL, "get", "", "pods", "", "", "a", NULL},
            {NULL, NULL, "list", "", "pods", "log", "", "", NULL},
            {NULL, NULL, "get", "apps", "sets", "", "", "a", NULL},
            {NULL, NULL, "get", "apps", "sets", "", "", "b", NULL},
            {NULL, NULL, "get", "", "", "", "", "", "/xy"},
            {NULL, NULL, "delete", "", "pods", "", "", "b", NULL}};
        struct plain_request q = asks[i / 18];
        struct span reason, fault;
        q.user = world_users[i % 3];
        q.group = world_groups[i / 3 % 2];
        q.ns = q.path ? "" : world_ns[i / 6 % 3];
        struct access_request r = request_of(a, &q);
        bool want = naive(now, n, &q);
        if (access_decide(x, a, &r, &reason) != want) {
            kit_fail(__FILE__, __LINE__, "%s %s in \"%s\" as %s/%s: wanted %d (%.*s)", q.verb,
                     q.path ? q.path : q.resource, q.ns, q.user, q.group, want, SPAN_ARG(reason));
        }
        /* All rules of the user together say the same. */
        struct access_rules rules = access_rules_of(x, a, &r.user, r.ns, &fault);
        bool any = false;
        for (size_t k = 0; k < rules.n; k++) {
            any |= access_rule_allows(&rules.at[k], &r);
        }
        CHECK_EQ(any, want);
        CHECK(!want || span_starts(reason, SPAN("RBAC: allowed by ")));
        allowed += want;
    }
    return allowed;
}

TEST_T(a_decision_is_what_looking_at_every_binding_says_however_the_world_came_to_be, 60)
{
    size_t allowed = 0;
    for (size_t round = 0; round < 60; round++) {
        struct arena *a cleanup_arena = arena_new();
        struct access *x = access_new();
        struct world w = {
            .roles = {
                {NULL, "r0", NULL}, {NULL, "r1", NULL}, {"n1", "r", NULL}, {"n2", "r", NULL}}};
        for (size_t step = 0; step < 40; step++) {
            change(&w, x, a);
            allowed += compare(&w, x, a);
        }
        access_free(x);
    }
    CHECK(allowed > 1000);
}

/* ---- texts ---- */

static struct span why(const struct access *x, struct arena *a, const struct plain_request *q)
{
    struct access_request r = request_of(a, q);
    struct span reason;
    (void)access_decide(x, a, &r, &reason);
    return reason;
}

TEST(the_reason_names_the_binding_its_role_and_the_subject)
{
    struct arena *a cleanup_arena = arena_new();
    struct access *x = access_new();
    struct plain_rule pods = {"get", "", "pods", NULL, NULL};
    struct plain_role role = {"n1", "y", &pods}, cluster = {NULL, "z", &pods},
                      none = {"n1", "gone", NULL}, none_too = {NULL, "gone", NULL};
    struct plain_binding one = {"n1", "x", &role, {"User", "jane", NULL}},
                         two = {"n2", "x", &cluster, {"ServiceAccount", "sa", NULL}},
                         three = {NULL, "all", &cluster, {"Group", "ops", NULL}},
                         four = {"n1", "lost", &none, {"User", "bob", NULL}},
                         five = {NULL, "lost", &none_too, {"User", "bob", NULL}};
    put_role(x, a, &role);
    put_role(x, a, &cluster);
    put_binding(x, a, &one);
    put_binding(x, a, &two);
    put_binding(x, a, &three);
    put_binding(x, a, &four);
    CHECK_EQ(access_count(x), 6);
    struct plain_request q = {"jane", "h", "get", "", "pods", "", "n1", "p", NULL};
    CHECK_SPAN(why(x, a, &q),
               "RBAC: allowed by RoleBinding \"x/n1\" of Role \"y\" to User \"jane\"");
    q.group = "ops";
    q.ns = "";
    CHECK_SPAN(why(x, a, &q),
               "RBAC: allowed by ClusterRoleBinding \"all\" of ClusterRole \"z\" to Group \"ops\"");
    q = (struct plain_request){
        "system:serviceaccount:n2:sa", "h", "get", "", "pods", "", "n2", "", NULL};
    CHECK_SPAN(why(x, a, &q), "RBAC: allowed by RoleBinding \"x/n2\" of ClusterRole \"z\" to "
                              "ServiceAccount \"sa/n2\"");
    q = (struct plain_request){"bob", "h", "get", "", "pods", "", "n1", "", NULL};
    CHECK_SPAN(why(x, a, &q), "RBAC: role.rbac.authorization.k8s.io \"gone\" not found");
    put_binding(x, a, &five);
    CHECK_SPAN(why(x, a, &q), "RBAC: [clusterrole.rbac.authorization.k8s.io \"gone\" not found, "
                              "role.rbac.authorization.k8s.io \"gone\" not found]");
    q.ns = "n2";
    access_drop(x, ACCESS_CLUSTER_ROLE_BINDING, SPAN_NULL, SPAN("lost"));
    CHECK_SPAN(why(x, a, &q), "");
    access_free(x);
}

TEST(what_somebody_cannot_do_is_told_as_kubernetes_does)
{
    struct arena *a cleanup_arena = arena_new();
    struct plain_request q = {"jane", "g", "list", "", "pods", "", "default", "", NULL};
    struct access_request r = request_of(a, &q);
    CHECK_SPAN(access_cannot(a, &r),
               "User \"jane\" cannot list resource \"pods\" in API group \"\" "
               "in the namespace \"default\"");
    q = (struct plain_request){"a\"b",  "g", "update", "apps", "statefulsets",
                               "scale", "",  "x",      NULL};
    r = request_of(a, &q);
    CHECK_SPAN(
        access_cannot(a, &r),
        "User \"a\\\"b\" cannot update resource \"statefulsets/scale\" in API group \"apps\" at "
        "the cluster scope");
    q = (struct plain_request){"system:anonymous", "g", "get", "", "", "", "", "", "/x"};
    r = request_of(a, &q);
    CHECK_SPAN(access_cannot(a, &r), "User \"system:anonymous\" cannot get path \"/x\"");
}

static struct span grant(struct arena *a, const char *held_text, const char *wanted_text, bool *ret)
{
    static const struct span names_of[] = {SPAN("dev"), SPAN("system:authenticated")};
    struct access_user user = {SPAN("x"), {names_of, 2}};
    struct access_rules held = access_rules_read(a, parse(a, span_cstr(held_text)));
    struct access_rules wanted = access_rules_read(a, parse(a, span_cstr(wanted_text)));
    struct span fault = SPAN("");
    *ret = access_may_grant(a, &user, &held, SPAN(""), &wanted, &fault);
    return fault;
}

#define ATTEMPT                                                                                    \
    "user \"x\" (groups=[\"dev\" \"system:authenticated\"]) is attempting to grant RBAC "          \
    "permissions not currently held:\n"

TEST(what_is_not_held_cannot_be_given_and_is_told_thing_by_thing)
{
    struct arena *a cleanup_arena = arena_new();
    bool may;
    CHECK_SPAN(grant(a, "[]",
                     "[{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"verbs\":[\"get\"]}]", &may),
               ATTEMPT "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"get\"]}");
    CHECK(!may);
    /* held in two pieces, neither of which is enough alone */
    (void)grant(a,
                "[{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"verbs\":[\"get\",\"list\"]},"
                "{\"apiGroups\":[\"\"],\"resources\":[\"*/log\"],\"verbs\":[\"*\"]}]",
                "[{\"apiGroups\":[\"\"],\"resources\":[\"pods\",\"pods/log\"],\"verbs\":[\"get\","
                "\"list\"]}]",
                &may);
    CHECK(may);
    CHECK_SPAN(grant(a, "[{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"verbs\":[\"get\"]}]",
                     "[{\"apiGroups\":[\"\",\"apps\"],\"resources\":[\"pods\"],\"verbs\":[\"get\","
                     "\"list\"]},{\"nonResourceURLs\":[\"/x\"],\"verbs\":[\"get\",\"put\"]},"
                     "{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"resourceNames\":[\"a\"],"
                     "\"verbs\":[\"get\",\"delete\"]}]",
                     &may),
               ATTEMPT "{APIGroups:[\"\"], Resources:[\"pods\"], ResourceNames:[\"a\"], "
                       "Verbs:[\"delete\"]}\n"
                       "{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"list\"]}\n"
                       "{APIGroups:[\"apps\"], Resources:[\"pods\"], Verbs:[\"get\" \"list\"]}\n"
                       "{NonResourceURLs:[\"/x\"], Verbs:[\"get\"]}\n"
                       "{NonResourceURLs:[\"/x\"], Verbs:[\"put\"]}");
    (void)grant(a, "[{\"apiGroups\":[\"*\"],\"resources\":[\"*\"],\"verbs\":[\"*\"]}]",
                "[{\"apiGroups\":[\"*\"],\"resources\":[\"*\"],\"verbs\":[\"*\"]}]", &may);
    CHECK(may);
    (void)grant(a, "[{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"verbs\":[\"get\"]}]",
                "[{\"apiGroups\":[\"*\"],\"resources\":[\"pods\"],\"verbs\":[\"get\"]}]", &may);
    CHECK(!may);
    (void)grant(a, "[]", "[]", &may);
    CHECK(may);
}

/* As many single permissions as asked for, one more than is looked through, or one rule that holds
 * them all. */
static struct span many(struct arena *a, size_t n)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    strbuf_puts(&out, "[{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"resourceNames\":[");
    for (size_t i = 0; i < n; i++) {
        strbuf_printf(&out, "%s\"n%zu\"", i ? "," : "", i);
    }
    strbuf_puts(&out, "],\"verbs\":[\"get\"]}]");
    return arena_dup(a, strbuf_span(&out));
}

TEST(more_pieces_than_are_looked_through_are_refused_unless_one_rule_holds_them)
{
    struct arena *a cleanup_arena = arena_new();
    static const char gets[] =
        "[{\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\"verbs\":[\"get\"]}]";
    bool may;
    struct span fault = grant(a, "[]", many(a, LIMIT_ACCESS_TUPLES).p, &may);
    CHECK(!may && span_starts(fault, SPAN("user \"x\"")));
    fault = grant(a, "[]", many(a, LIMIT_ACCESS_TUPLES + 1).p, &may);
    CHECK(!may && span_starts(fault, SPAN("these rules name more than 10000 single permissions")));
    (void)grant(a, gets, many(a, LIMIT_ACCESS_TUPLES + 1).p, &may);
    CHECK(may);
}

/* Paths of proxies: what follows belongs to somebody else and is passed on as it is. */
#include "front/route.h"

#include "test/kit/kit.h"

static struct route route(struct arena *a, const char *path)
{
    return route_parse(a, NULL, span_cstr(path));
}

TEST(what_follows_a_proxy_is_cut_off_whatever_it_is)
{
    static const struct {
        const char *path, *name, *rest;
    } cases[] = {
        {"/api/v1/namespaces/n/pods/p/proxy", "p", ""},
        {"/api/v1/namespaces/n/pods/p/proxy/", "p", "/"},
        {"/api/v1/namespaces/n/pods/http:p:80/proxy/a//b/%2f/", "http:p:80", "/a//b/%2f/"},
        {"/api/v1/namespaces/n/pods/http%3Ap%3A80/proxy/x", "http:p:80", "/x"},
        {"/api/v1/namespaces/n/services/s/proxy/proxy/proxy", "s", "/proxy/proxy"},
        {"/api/v1/namespaces/n/services/s/proxy/a/b/c/d/e/f/g/h", "s", "/a/b/c/d/e/f/g/h"},
        {"/api/v1/nodes/edge/proxy/pods", "edge", "/pods"},
    };
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct route r = route(a, cases[i].path);
        CHECK_EQ(r.type, ROUTE_RESOURCE);
        CHECK_SPAN(r.name, cases[i].name);
        CHECK_SPAN(r.rest, cases[i].rest);
        CHECK(r.sub && strcmp(r.sub->name, "proxy") == 0);
    }
    arena_free(a);
}

TEST(nothing_else_is_cut)
{
    static const char *const none[] = {"/api/v1/namespaces/n/configmaps/c/proxy/x",
                                       "/apis/apps/v1/namespaces/n/statefulsets/s/proxy/x",
                                       "/api/v1/namespaces/n/pods/p/log/proxy",
                                       "/api/v1/pods/p/proxy/x", "/api/v1/nodes/proxy/x/y"};
    struct arena *a = arena_new();
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        struct route r = route(a, none[i]);
        CHECK_EQ(r.type, ROUTE_NONE);
        CHECK_EQ(r.rest.n, 0);
    }
    struct route named = route(a, "/api/v1/namespaces/n/pods/proxy");
    CHECK_SPAN(named.name, "proxy");
    CHECK(!named.sub && named.rest.n == 0);
    arena_free(a);
}

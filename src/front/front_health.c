/* /livez, /readyz and /healthz with their checks one by one, laid out as Kubernetes does: `verbose`
 * lists them, `exclude=CHECK` passes over one, and each has a path of its own. */
#include "base/check.h"
#include "front/front_priv.h"

#define PLAIN "text/plain; charset=utf-8"

static const struct health_check {
    const char *name;
    bool only_ready; /* does not say whether the server lives */
} checks[] = {{"ping", false}, {"log", false}, {"etcd", false}, {"bootstrap", true}};

enum { CHECKS = sizeof checks / sizeof *checks };

/* Whoever is asked at all is alive, and has opened its store; the first objects may still be on
 * their way. */
static bool passes(const struct front *f, const struct health_check *c)
{
    return !c->only_ready || f->server->is_ready;
}

static bool applies(const struct front *f, const struct health_check *c)
{
    return !c->only_ready || !span_eq(f->route.word, SPAN("livez"));
}

static void one_check(struct front *f)
{
    for (size_t i = 0; i < CHECKS; i++) {
        if (span_eq_cstr(f->route.name, checks[i].name) && applies(f, &checks[i])) {
            bool ok = passes(f, &checks[i]);
            http_reply(f->x, ok ? 200 : 500, PLAIN,
                       ok ? SPAN("ok")
                          : SPAN("internal server error: the first objects are still being "
                                 "created\n"));
            return;
        }
    }
    http_reply(f->x, 404, PLAIN, SPAN("404 page not found\n"));
}

static bool is_excluded(struct front *f, const char *name)
{
    size_t at = 0;
    struct span key, value;
    while (http_query_next(f->x, &at, &key, &value)) {
        if (span_eq(key, SPAN("exclude")) && span_eq_cstr(value, name)) {
            return true;
        }
    }
    return false;
}

/* Names that were to be passed over and that nothing has. */
static void warn_unknown(struct front *f, struct strbuf *out)
{
    size_t at = 0, n = 0;
    struct span key, value;
    while (http_query_next(f->x, &at, &key, &value)) {
        bool known = !span_eq(key, SPAN("exclude"));
        for (size_t i = 0; i < CHECKS && !known; i++) {
            known = span_eq_cstr(value, checks[i].name) && applies(f, &checks[i]);
        }
        if (!known) {
            strbuf_printf(out, "%s\"%.*s\"",
                          n++ ? ","
                              : "warn: some health checks cannot be excluded: no matches for ",
                          SPAN_ARG(value));
        }
    }
    strbuf_puts(out, n ? "\n" : "");
}

void front_health(struct front *f)
{
    struct strbuf out cleanup_strbuf = STRBUF_INIT;
    struct span verbose;
    bool healthy = true;
    assert(f->route.type == ROUTE_HEALTH);
    if (f->route.name.n) {
        one_check(f);
        return;
    }
    for (size_t i = 0; i < CHECKS; i++) {
        const struct health_check *c = &checks[i];
        bool ok = passes(f, c);
        if (!applies(f, c)) {
            continue;
        }
        if (is_excluded(f, c->name)) {
            strbuf_printf(&out, "[+]%s excluded: ok\n", c->name);
        } else {
            strbuf_printf(&out, "[%c]%s %s\n", ok ? '+' : '-', c->name,
                          ok ? "ok" : "failed: the first objects are still being created");
            healthy &= ok;
        }
    }
    warn_unknown(f, &out);
    strbuf_printf(&out, "%.*s check %s\n", SPAN_ARG(f->route.word), healthy ? "passed" : "failed");
    bool brief = healthy && !http_query_get(f->x, "verbose", &verbose);
    http_reply(f->x, healthy ? 200 : 500, PLAIN, brief ? SPAN("ok") : strbuf_span(&out));
}

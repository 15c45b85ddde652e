/* access/access_rule.c: see access_rule.h. */
#include "access/access_rule.h"

#include "base/check.h"
#include "codec/json.h"

static const struct span any = SPAN("*");
static const struct access_rule everything[] = {
    {.verbs = {&any, 1}, .groups = {&any, 1}, .resources = {&any, 1}},
    {.verbs = {&any, 1}, .urls = {&any, 1}}};
const struct access_rules access_everything = {everything, 2};

static struct access_list read_list(struct arena *a, const yyjson_val *list)
{
    struct access_list out = {0};
    struct span *at = ARENA_ARRAY(a, struct span, json_len(list) + 1);
    JSON_EACH(it, list)
    {
        at[out.n++] = arena_dup(a, json_str(it.val));
    }
    out.at = at;
    return out;
}

struct access_rules access_rules_read(struct arena *a, const yyjson_val *rules)
{
    struct access_rules out = {0};
    struct access_rule *at = ARENA_ARRAY(a, struct access_rule, json_len(rules) + 1);
    JSON_EACH(it, rules)
    {
        at[out.n++] =
            (struct access_rule){.verbs = read_list(a, json_get(it.val, "verbs")),
                                 .groups = read_list(a, json_get(it.val, "apiGroups")),
                                 .resources = read_list(a, json_get(it.val, "resources")),
                                 .names = read_list(a, json_get(it.val, "resourceNames")),
                                 .urls = read_list(a, json_get(it.val, "nonResourceURLs"))};
    }
    out.at = at;
    assert(out.n <= json_len(rules));
    return out;
}

bool access_list_has(struct access_list list, struct span text)
{
    for (size_t i = 0; i < list.n; i++) {
        if (span_eq(list.at[i], text)) {
            return true;
        }
    }
    return false;
}

static bool has_or_all(struct access_list list, struct span text)
{
    return access_list_has(list, SPAN("*")) || access_list_has(list, text);
}

/* Is `rule` the text RESOURCE, or RESOURCE/SUB when there is one? */
static bool names_resource(struct span rule, struct span resource, struct span sub)
{
    if (sub.n == 0) {
        return span_eq(rule, resource);
    }
    return rule.n == resource.n + 1 + sub.n && span_starts(rule, resource) &&
           rule.p[resource.n] == '/' && span_ends(rule, sub);
}

static bool resource_matches(struct access_list list, struct span resource, struct span sub)
{
    for (size_t i = 0; i < list.n; i++) {
        if (span_eq(list.at[i], SPAN("*")) || names_resource(list.at[i], resource, sub) ||
            (sub.n && names_resource(list.at[i], SPAN("*"), sub))) {
            return true;
        }
    }
    return false;
}

bool access_url_covers(struct span held, struct span wanted)
{
    if (!span_ends(held, SPAN("*"))) {
        return span_eq(held, wanted);
    }
    while (span_ends(held, SPAN("*"))) {
        held = span_first(held, held.n - 1);
    }
    return span_starts(wanted, held);
}

static bool url_matches(struct access_list urls, struct span path)
{
    for (size_t i = 0; i < urls.n; i++) {
        if (access_url_covers(urls.at[i], path)) {
            return true;
        }
    }
    return false;
}

bool access_rule_allows(const struct access_rule *rule, const struct access_request *r)
{
    assert(rule);
    assert(r);
    if (!has_or_all(rule->verbs, r->verb)) {
        return false;
    }
    if (!r->is_resource) {
        return url_matches(rule->urls, r->path);
    }
    return has_or_all(rule->groups, r->group) &&
           resource_matches(rule->resources, r->resource, r->subresource) &&
           (rule->names.n == 0 || access_list_has(rule->names, r->name));
}

/* ---- one rule and another ---- */

static bool covers_all(struct access_list held, struct access_list wanted, bool star)
{
    for (size_t i = 0; i < wanted.n; i++) {
        if (!access_list_has(held, wanted.at[i]) && !(star && access_list_has(held, SPAN("*")))) {
            return false;
        }
    }
    return true;
}

/* All of SOMETHING/SUB is held by who holds the SUB of every resource; not the other way round. */
static bool covers_resources(struct access_list held, struct access_list wanted)
{
    for (size_t i = 0; i < wanted.n; i++) {
        struct span w = wanted.at[i];
        size_t slash = span_find(w, '/');
        if (has_or_all(held, w)) {
            continue;
        }
        if (slash == w.n || !resource_matches(held, SPAN("*"), span_from(w, slash + 1))) {
            return false;
        }
    }
    return true;
}

static bool covers_urls(struct access_list held, struct access_list wanted)
{
    for (size_t i = 0; i < wanted.n; i++) {
        if (!url_matches(held, wanted.at[i])) {
            return false;
        }
    }
    return true;
}

bool access_rule_covers(const struct access_rule *held, const struct access_rule *wanted)
{
    assert(held);
    assert(wanted);
    bool names = held->names.n == 0 ||
                 (wanted->names.n > 0 && covers_all(held->names, wanted->names, false));
    return names && covers_all(held->verbs, wanted->verbs, true) &&
           covers_all(held->groups, wanted->groups, true) &&
           covers_resources(held->resources, wanted->resources) &&
           covers_urls(held->urls, wanted->urls);
}

/* ---- as text ---- */

void access_list_text(struct access_list list, struct strbuf *out)
{
    strbuf_putc(out, '[');
    for (size_t i = 0; i < list.n; i++) {
        strbuf_puts(out, i ? " " : "");
        strbuf_put_quoted(out, list.at[i]);
    }
    strbuf_putc(out, ']');
}

void access_rule_text(const struct access_rule *rule, struct strbuf *out)
{
    const struct {
        const char *name;
        const struct access_list *list;
    } members[] = {{"APIGroups", &rule->groups},
                   {"Resources", &rule->resources},
                   {"NonResourceURLs", &rule->urls},
                   {"ResourceNames", &rule->names},
                   {"Verbs", &rule->verbs}};
    const char *between = "{";
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        if (members[i].list->n) {
            strbuf_printf(out, "%s%s:", between, members[i].name);
            access_list_text(*members[i].list, out);
            between = ", ";
        }
    }
    strbuf_puts(out, between[0] == '{' ? "{}" : "}");
}

/* access/access_rule.h: one rule of a role and what it allows, exactly as Kubernetes has it. Pure.
 *
 * A rule speaks of resources (verbs, API groups, resources, names of single objects) or of paths
 * that are no resources (verbs, paths). "*" stands for all verbs, groups, resources or paths;
 * "SOMETHING/SUB" is a subresource, "*" followed by "/SUB" that of every resource; a path may end
 * in "*". No names: all objects. */
#ifndef ACCESS_ACCESS_RULE_H
#define ACCESS_ACCESS_RULE_H

#include <yyjson.h>

#include "base/arena.h"
#include "base/strbuf.h"

struct access_list {
    const struct span *at;
    size_t n;
};

struct access_rule {
    struct access_list verbs, groups, resources, names, urls;
};

struct access_rules {
    const struct access_rule *at;
    size_t n;
};

/* The two rules that allow everything. */
extern const struct access_rules access_everything;

/* Who asks. */
struct access_user {
    struct span name;
    struct access_list groups;
};

/* What somebody wants to do: to a resource, or else to a path. */
struct access_request {
    struct access_user user;
    struct span verb;
    bool is_resource;
    struct span group, resource, subresource; /* group: empty for core */
    struct span ns, name;                     /* empty: the whole cluster; no single object */
    struct span path;
};

/* A copy, in the arena, of the member "rules" of a role; of anything else none. */
struct access_rules access_rules_read(struct arena *a, const yyjson_val *rules);
bool access_list_has(struct access_list list, struct span text);
bool access_rule_allows(const struct access_rule *rule, const struct access_request *r);
/* Every single thing that `wanted`, which names one verb and one resource or path, allows is
 * allowed by `held`. */
bool access_rule_covers(const struct access_rule *held, const struct access_rule *wanted);
/* A path that may end in "*" stands for this one, which may too. */
bool access_url_covers(struct span held, struct span wanted);
/* `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}` */
void access_rule_text(const struct access_rule *rule, struct strbuf *out);
/* `["a" "b"]` */
void access_list_text(struct access_list list, struct strbuf *out);

#endif

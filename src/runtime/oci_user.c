/* Who a container's user is: /etc/passwd and /etc/group of the image are outside bytes. */
#include "base/check.h"
#include "base/limits.h"
#include "runtime/oci_config.h"

static bool to_id(struct span s, uint32_t *ret)
{
    uint64_t n;
    if (s.n == 0 || s.p[0] < '0' || s.p[0] > '9' || !span_to_u64(s, &n) || n > INT32_MAX) {
        return false;
    }
    *ret = (uint32_t)n;
    return true;
}

struct entry {
    struct span name;
    uint32_t id, gid; /* gid: of a user */
    struct span members;
};

/* "name:x:id:rest"; comments and malformed lines are passed over. */
static bool next_entry(struct span *text, bool is_user, struct entry *ret)
{
    while (text->n) {
        struct span line = span_cut(text, '\n');
        struct span id, gid = SPAN("0");
        ret->name = span_cut(&line, ':');
        (void)span_cut(&line, ':');
        id = span_cut(&line, ':');
        if (is_user) {
            gid = span_cut(&line, ':');
        }
        ret->members = line;
        if (ret->name.n && ret->name.p[0] != '#' && to_id(id, &ret->id) && to_id(gid, &ret->gid)) {
            return true;
        }
    }
    return false;
}

static bool is_member(struct span members, struct span name)
{
    while (members.n) {
        if (span_eq(span_trim(span_cut(&members, ',')), name)) {
            return true;
        }
    }
    return false;
}

static bool find(struct span text, bool is_user, struct span key, struct entry *ret)
{
    uint32_t id;
    bool numeric = to_id(key, &id);
    struct span rest = text;
    /* A name of digits wins over the number, as the C library has it. */
    while (next_entry(&rest, is_user, ret)) {
        if (span_eq(ret->name, key)) {
            return true;
        }
    }
    rest = text;
    while (numeric && next_entry(&rest, is_user, ret)) {
        if (ret->id == id) {
            return true;
        }
    }
    return false;
}

static void add_group(uint32_t *groups, size_t *n, uint32_t gid)
{
    for (size_t i = 0; i < *n; i++) {
        if (groups[i] == gid) {
            return;
        }
    }
    if (*n < LIMIT_GROUPS) {
        groups[(*n)++] = gid;
    }
}

bool oci_user_find(struct arena *a, struct span user, struct span passwd, struct span group,
                   const uint32_t *extra, size_t extra_count, struct oci_user *ret,
                   struct span *ret_detail)
{
    struct span group_part = user;
    struct span user_part = span_cut(&group_part, ':');
    struct entry e = {0}, g;
    *ret = (struct oci_user){0};
    if (user_part.n == 0) {
        user_part = SPAN("0");
    }
    bool known = find(passwd, true, user_part, &e);
    if (!known && !to_id(user_part, &e.id)) {
        *ret_detail = arena_printf(
            a, "unable to find user %.*s: no matching entries in passwd file", SPAN_ARG(user_part));
        return false;
    }
    ret->uid = e.id;
    ret->gid = known ? e.gid : 0;
    if (group_part.n) {
        if (find(group, false, group_part, &g)) {
            ret->gid = g.id;
        } else if (!to_id(group_part, &ret->gid)) {
            *ret_detail =
                arena_printf(a, "unable to find group %.*s: no matching entries in group file",
                             SPAN_ARG(group_part));
            return false;
        }
    }
    uint32_t *groups = ARENA_ARRAY(a, uint32_t, LIMIT_GROUPS);
    struct span rest = group;
    while (known && group_part.n == 0 && next_entry(&rest, false, &g)) {
        if (is_member(g.members, e.name)) {
            add_group(groups, &ret->group_count, g.id);
        }
    }
    for (size_t i = 0; i < extra_count; i++) {
        add_group(groups, &ret->group_count, extra[i]);
    }
    ret->groups = groups;
    assert(ret->group_count <= LIMIT_GROUPS);
    return true;
}

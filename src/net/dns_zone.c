#include "net/dns_zone.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/vec.h"
#include "codec/dns.h"

enum { TTL_S = 5, TXT_TTL_S = 28800 };

struct record {
    struct owner *owner;
    uint16_t type, port;
    uint8_t ip[4];
    char *target; /* owned; NULL for A */
};

struct name {
    char *text;
    VEC(struct record) records;
};

struct owner {
    char *key;
    VEC(struct name *) names; /* where it has records, once each */
};

struct dns_zone {
    pthread_mutex_t lock;
    char *domain;
    bool ready;
    struct map names;      /* text -> struct name */
    struct map owners;     /* key -> struct owner */
    struct map namespaces; /* name -> its own copy */
    struct map pods;       /* uid -> struct pod_home */
    struct map addresses;  /* 4 bytes -> struct pod_address */
    uint32_t serial, turn; /* turn rotates the answers */
};

struct pod_home {
    char *uid; /* the key */
    char *ns;
};

struct pod_address {
    uint8_t ip[4]; /* the key */
    char *uid;
};

struct dns_zone *dns_zone_new(struct span domain)
{
    assert(domain.n > 0);
    struct dns_zone *z = MEM_NEW(struct dns_zone);
    (void)pthread_mutex_init(&z->lock, NULL);
    z->domain = strndup(domain.p, domain.n);
    z->serial = 1;
    return z;
}

/* ---- changes ---- */

static void name_drop_owner(struct dns_zone *z, struct name *n, struct owner *o)
{
    for (size_t i = n->records.n; i-- > 0;) {
        if (n->records.at[i].owner == o) {
            free(n->records.at[i].target);
            VEC_REMOVE(&n->records, i);
        }
    }
    if (n->records.n == 0) {
        struct name *known = map_remove(&z->names, span_cstr(n->text));
        assert(known == n);
        VEC_DONE(&n->records);
        free(n->text);
        free(n);
    }
}

static void owner_drop(struct dns_zone *z, struct owner *o)
{
    for (size_t i = 0; i < o->names.n; i++) {
        name_drop_owner(z, o->names.at[i], o);
    }
    (void)map_remove(&z->owners, span_cstr(o->key));
    VEC_DONE(&o->names);
    free(o->key);
    free(o);
}

static void add(struct dns_zone *z, struct owner *o, const struct zone_record *r)
{
    struct name *n = map_get(&z->names, r->name);
    if (!n) {
        n = MEM_NEW(struct name);
        n->text = strndup(r->name.p, r->name.n);
        (void)map_put(&z->names, span_cstr(n->text), n);
    }
    bool first = true;
    for (size_t i = 0; i < n->records.n; i++) {
        first &= n->records.at[i].owner != o;
    }
    if (first) {
        VEC_PUSH(&o->names, n);
    }
    struct record copy = {.owner = o, .type = r->type, .port = r->port};
    memcpy(copy.ip, r->ip, 4);
    copy.target = r->target.n ? strndup(r->target.p, r->target.n) : NULL;
    VEC_PUSH(&n->records, copy);
}

void dns_zone_set(struct dns_zone *z, struct span owner, const struct zone_record *records,
                  size_t count)
{
    assert(owner.n > 0);
    assert(records || count == 0);
    (void)pthread_mutex_lock(&z->lock);
    struct owner *o = map_get(&z->owners, owner);
    if (o) {
        owner_drop(z, o);
    }
    if (count) {
        o = MEM_NEW(struct owner);
        o->key = strndup(owner.p, owner.n);
        (void)map_put(&z->owners, span_cstr(o->key), o);
        for (size_t i = 0; i < count; i++) {
            add(z, o, &records[i]);
        }
    }
    z->serial++;
    (void)pthread_mutex_unlock(&z->lock);
}

void dns_zone_set_namespace(struct dns_zone *z, struct span name, bool exists)
{
    assert(name.n > 0);
    (void)pthread_mutex_lock(&z->lock);
    if (exists && !map_get(&z->namespaces, name)) {
        char *copy = strndup(name.p, name.n);
        (void)map_put(&z->namespaces, span_cstr(copy), copy);
    } else if (!exists) {
        free(map_remove(&z->namespaces, name));
    }
    (void)pthread_mutex_unlock(&z->lock);
}

static void pod_home_free(struct pod_home *p)
{
    if (p) {
        free(p->uid);
        free(p->ns);
        free(p);
    }
}

static void pod_address_free(struct pod_address *p)
{
    if (p) {
        free(p->uid);
        free(p);
    }
}

void dns_zone_set_pod(struct dns_zone *z, struct span uid, struct span ns)
{
    assert(uid.n > 0);
    (void)pthread_mutex_lock(&z->lock);
    pod_home_free(map_remove(&z->pods, uid));
    if (ns.n) {
        struct pod_home *p = MEM_NEW(struct pod_home);
        p->uid = strndup(uid.p, uid.n);
        p->ns = strndup(ns.p, ns.n);
        (void)map_put(&z->pods, span_cstr(p->uid), p);
    }
    (void)pthread_mutex_unlock(&z->lock);
}

/* An address that outlives its pod does no harm: its uid is unknown then, and the next pod there
 * replaces it. There are never more than the node has addresses. */
void dns_zone_set_address(struct dns_zone *z, struct span ip, struct span uid)
{
    char text[16];
    uint8_t raw[4];
    if (ip.n >= sizeof text) {
        return;
    }
    memcpy(text, ip.p, ip.n);
    text[ip.n] = '\0';
    if (inet_pton(AF_INET, text, raw) != 1) {
        return;
    }
    struct pod_address *p = MEM_NEW(struct pod_address);
    memcpy(p->ip, raw, 4);
    p->uid = strndup(uid.p, uid.n);
    (void)pthread_mutex_lock(&z->lock);
    struct pod_address *old = map_remove(&z->addresses, span_of(raw, 4));
    (void)map_put(&z->addresses, span_of(p->ip, 4), p);
    (void)pthread_mutex_unlock(&z->lock);
    pod_address_free(old);
}

void dns_zone_ready(struct dns_zone *z)
{
    (void)pthread_mutex_lock(&z->lock);
    z->ready = true;
    (void)pthread_mutex_unlock(&z->lock);
}

void dns_zone_free(struct dns_zone *z)
{
    if (!z) {
        return;
    }
    for (size_t i = 0; i < z->owners.cap; i++) {
        while (z->owners.slots[i].value) {
            owner_drop(z, z->owners.slots[i].value);
        }
    }
    assert(z->names.n == 0);
    size_t it = 0;
    void *name;
    while ((name = map_next(&z->namespaces, &it, NULL)) != NULL) {
        free(name);
    }
    it = 0;
    while ((name = map_next(&z->pods, &it, NULL)) != NULL) {
        pod_home_free(name);
    }
    it = 0;
    while ((name = map_next(&z->addresses, &it, NULL)) != NULL) {
        pod_address_free(name);
    }
    map_done(&z->addresses);
    map_done(&z->pods);
    map_done(&z->namespaces);
    map_done(&z->owners);
    map_done(&z->names);
    (void)pthread_mutex_destroy(&z->lock);
    free(z->domain);
    free(z);
}

/* ---- answers ---- */

struct answer {
    struct dns_zone *z;
    const struct dns_query *q;
    struct dns_writer w;
};

static void put_target(struct answer *x, const struct record *r, size_t srv_count)
{
    uint8_t data[6 + DNS_NAME_BYTES_MAX] = {0};
    size_t head = r->type == DNS_SRV ? 6 : 0;
    if (head) {
        uint16_t weight = (uint16_t)(srv_count ? 100 / srv_count : 100);
        weight = weight ? weight : 1;
        data[2] = (uint8_t)(weight >> 8);
        data[3] = (uint8_t)weight;
        data[4] = (uint8_t)(r->port >> 8);
        data[5] = (uint8_t)r->port;
    }
    size_t n = dns_name_write(data + head, span_cstr(r->target));
    if (n) {
        dns_put_record(&x->w, DNS_ANSWER, NULL, r->type, TTL_S, span_of(data, head + n));
    }
}

/* The addresses of the SRV targets, as a courtesy. */
static void put_additional(struct answer *x, const struct name *n)
{
    for (size_t i = 0; i < n->records.n; i++) {
        const struct record *r = &n->records.at[i];
        struct span target = span_cstr(r->target);
        const struct name *t = r->type == DNS_SRV ? map_get(&x->z->names, target) : NULL;
        for (size_t j = 0; t && j < t->records.n; j++) {
            if (t->records.at[j].type == DNS_A) {
                dns_put_record(&x->w, DNS_ADDITIONAL, &target, DNS_A, TTL_S,
                               span_of(t->records.at[j].ip, 4));
            }
        }
    }
}

static size_t put_answers(struct answer *x, const struct name *n)
{
    size_t count = 0, total = n->records.n, srv = 0;
    for (size_t i = 0; i < total; i++) {
        srv += n->records.at[i].type == DNS_SRV;
    }
    uint32_t start = total ? x->z->turn++ % (uint32_t)total : 0;
    for (size_t k = 0; k < total; k++) {
        const struct record *r = &n->records.at[(start + k) % total];
        if (r->type != x->q->type && x->q->type != DNS_ANY) {
            continue;
        }
        count++;
        if (r->type == DNS_A) {
            dns_put_record(&x->w, DNS_ANSWER, NULL, DNS_A, TTL_S, span_of(r->ip, 4));
        } else {
            put_target(x, r, srv);
        }
    }
    if (count && x->q->type == DNS_SRV) {
        put_additional(x, n);
    }
    return count;
}

static size_t soa_data(struct dns_zone *z, uint8_t *out)
{
    char text[DNS_NAME_BYTES_MAX + 16];
    (void)snprintf(text, sizeof text, "ns.dns.%s", z->domain);
    size_t n = dns_name_write(out, span_cstr(text));
    (void)snprintf(text, sizeof text, "hostmaster.%s", z->domain);
    n += dns_name_write(out + n, span_cstr(text));
    assert(n <= 2 * DNS_NAME_BYTES_MAX);
    const uint32_t numbers[] = {z->serial, 7200, 1800, 86400, TTL_S};
    for (size_t i = 0; i < 5; i++) {
        uint32_t v = htonl(numbers[i]);
        memcpy(out + n, &v, 4);
        n += 4;
    }
    return n;
}

static void put_soa(struct answer *x, enum dns_section section)
{
    uint8_t data[2 * DNS_NAME_BYTES_MAX + 20];
    struct span zone = span_cstr(x->z->domain);
    size_t n = soa_data(x->z, data);
    dns_put_record(&x->w, section, &zone, DNS_SOA, TTL_S, span_of(data, n));
}

/* Names that exist without records of their own: ZONE, svc.ZONE, pod.ZONE, NS.svc.ZONE,
 * NS.pod.ZONE. */
static bool is_inner_name(struct dns_zone *z, struct span name)
{
    struct span domain = span_cstr(z->domain);
    if (span_eq(name, domain)) {
        return true;
    }
    struct span head = span_first(name, name.n - domain.n - 1);
    if (span_eq(head, SPAN("svc")) || span_eq(head, SPAN("pod")) || span_eq(head, SPAN("dns"))) {
        return true;
    }
    struct span rest = head;
    struct span ns = span_cut(&rest, '.');
    return (span_eq(rest, SPAN("svc")) || span_eq(rest, SPAN("pod"))) &&
           map_get(&z->namespaces, ns);
}

/* "10-42-0-5.NS.pod.ZONE" is the address it spells, in a namespace that exists. */
static bool pod_address(struct dns_zone *z, struct span name, uint8_t ip[4])
{
    struct span rest = span_first(name, name.n - strlen(z->domain) - 1);
    struct span host = span_cut(&rest, '.'), ns = span_cut(&rest, '.');
    char text[16];
    if (!span_eq(rest, SPAN("pod")) || !map_get(&z->namespaces, ns) || host.n >= sizeof text) {
        return false;
    }
    for (size_t i = 0; i < host.n; i++) {
        text[i] = host.p[i] == '-' ? '.' : host.p[i];
    }
    text[host.n] = '\0';
    return inet_pton(AF_INET, text, ip) == 1;
}

static enum dns_rcode answer_apex(struct answer *x, struct span name)
{
    uint8_t data[DNS_NAME_BYTES_MAX];
    char text[DNS_NAME_BYTES_MAX + 16];
    if (span_eq(name, span_cstr(x->z->domain)) && x->q->type == DNS_SOA) {
        put_soa(x, DNS_ANSWER);
    } else if (span_eq(name, span_cstr(x->z->domain)) && x->q->type == DNS_NS) {
        (void)snprintf(text, sizeof text, "ns.dns.%s", x->z->domain);
        size_t n = dns_name_write(data, span_cstr(text));
        dns_put_record(&x->w, DNS_ANSWER, NULL, DNS_NS, TTL_S, span_of(data, n));
    } else {
        put_soa(x, DNS_AUTHORITY);
    }
    return DNS_NOERROR;
}

static enum dns_rcode answer_ours(struct answer *x)
{
    struct dns_zone *z = x->z;
    struct span name = span_of(x->q->name, x->q->name_bytes);
    char version[DNS_NAME_BYTES_MAX + 16];
    (void)snprintf(version, sizeof version, "dns-version.%s", z->domain);
    uint8_t ip[4];
    const struct name *n = map_get(&z->names, name);
    if (x->q->type == DNS_AXFR || x->q->type == DNS_AXFR - 1) {
        return DNS_REFUSED;
    }
    if (n) {
        if (put_answers(x, n) == 0) {
            put_soa(x, DNS_AUTHORITY);
        }
        return DNS_NOERROR;
    }
    if (is_inner_name(z, name)) {
        return answer_apex(x, name);
    }
    if (span_eq_cstr(name, version)) {
        if (x->q->type == DNS_TXT) {
            dns_put_record(&x->w, DNS_ANSWER, NULL, DNS_TXT, TXT_TTL_S, SPAN("\0051.1.0"));
        } else {
            put_soa(x, DNS_AUTHORITY);
        }
        return DNS_NOERROR;
    }
    if (pod_address(z, name, ip)) {
        if (x->q->type == DNS_A) {
            dns_put_record(&x->w, DNS_ANSWER, NULL, DNS_A, TTL_S, span_of(ip, 4));
        } else {
            put_soa(x, DNS_AUTHORITY);
        }
        return DNS_NOERROR;
    }
    put_soa(x, DNS_AUTHORITY);
    return DNS_NXDOMAIN;
}

/* ---- names that lack the asker's search list ---- */

enum { NDOTS = 5 };

/* The name of ours that the asker's search list makes of a short name; NULL when there is none. */
static const struct name *search(struct dns_zone *z, const struct dns_query *q, const uint8_t *from,
                                 char full[2 * DNS_NAME_BYTES_MAX])
{
    const struct pod_address *at = from ? map_get(&z->addresses, span_of(from, 4)) : NULL;
    const struct pod_home *pod = at ? map_get(&z->pods, span_cstr(at->uid)) : NULL;
    size_t dots = 0;
    for (size_t i = 0; i < q->name_bytes; i++) {
        dots += q->name[i] == '.';
    }
    if (!pod || q->name_bytes == 0 || dots >= NDOTS) {
        return NULL;
    }
    const char *const heads[] = {pod->ns, ""};
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(full, 2 * DNS_NAME_BYTES_MAX, "%s.%s%ssvc.%s", q->name, heads[i],
                       heads[i][0] ? "." : "", z->domain);
        const struct name *n = map_get(&z->names, span_cstr(full));
        if (n) {
            return n;
        }
    }
    return NULL;
}

/* An alias to the full name, then that name's records. */
static size_t answer_alias(struct dns_zone *z, const struct dns_query *q, const struct name *n,
                           size_t max, uint8_t *out)
{
    struct answer x = {.z = z, .q = q};
    uint8_t target[DNS_NAME_BYTES_MAX];
    struct span owner = span_cstr(n->text);
    dns_reply_begin(&x.w, out, max, q);
    size_t bytes = dns_name_write(target, owner);
    dns_put_record(&x.w, DNS_ANSWER, NULL, DNS_CNAME, TTL_S, span_of(target, bytes));
    for (size_t i = 0; i < n->records.n && q->type == DNS_A; i++) {
        if (n->records.at[i].type == DNS_A) {
            dns_put_record(&x.w, DNS_ANSWER, &owner, DNS_A, TTL_S, span_of(n->records.at[i].ip, 4));
        }
    }
    return dns_reply_end(&x.w, q, DNS_NOERROR, true, true);
}

size_t dns_zone_error(struct span message, int rcode, uint8_t *out)
{
    assert(out);
    assert(rcode > 0);
    assert(rcode < 16);
    struct dns_query q;
    struct dns_writer w;
    if (message.n < DNS_HEADER_BYTES || ((uint8_t)message.p[2] & 0x80)) {
        return 0;
    }
    (void)dns_query_read(message, &q);
    dns_reply_begin(&w, out, LIMIT_DNS_UDP_BYTES, &q);
    return dns_reply_end(&w, &q, (enum dns_rcode)rcode, false, true);
}

/* ---- aliases ---- */

static const char *alias_of(const struct name *n)
{
    for (size_t i = 0; n && i < n->records.n; i++) {
        if (n->records.at[i].type == DNS_CNAME) {
            return n->records.at[i].target;
        }
    }
    return NULL;
}

/* Where the alias ends, over aliases of ours; NULL when it goes round. */
static const char *alias_end(struct dns_zone *z, const char *target)
{
    enum { HOPS_MAX = 8 };
    for (int i = 0; i < HOPS_MAX; i++) {
        const char *next = alias_of(map_get(&z->names, span_cstr(target)));
        if (!next) {
            return target;
        }
        target = next;
    }
    return NULL;
}

/* Resolvers do not ask again for the target of an alias: they want its addresses with it. */
static enum dns_verdict answer_external(struct dns_zone *z, const struct dns_query *q,
                                        const char *alias, size_t max, uint8_t *out,
                                        size_t *ret_bytes)
{
    const char *end = alias_end(z, alias);
    const struct name *n = end ? map_get(&z->names, span_cstr(end)) : NULL;
    uint8_t target[DNS_NAME_BYTES_MAX];
    bool ours = !end || n || dns_name_is_under(span_cstr(end), span_cstr(z->domain));
    if (!ours) {
        *ret_bytes = dns_query_write(out, q->id, span_cstr(end), q->type);
        if (*ret_bytes) {
            return DNS_ALIAS;
        }
    }
    struct answer x = {.z = z, .q = q};
    struct span owner = span_cstr(end ? end : alias);
    dns_reply_begin(&x.w, out, max, q);
    size_t bytes = dns_name_write(target, owner);
    if (bytes) {
        dns_put_record(&x.w, DNS_ANSWER, NULL, DNS_CNAME, TTL_S, span_of(target, bytes));
    }
    for (size_t i = 0; n && i < n->records.n && q->type == DNS_A; i++) {
        if (n->records.at[i].type == DNS_A) {
            dns_put_record(&x.w, DNS_ANSWER, &owner, DNS_A, TTL_S, span_of(n->records.at[i].ip, 4));
        }
    }
    *ret_bytes = dns_reply_end(&x.w, q, DNS_NOERROR, true, true);
    return DNS_ANSWERED;
}

size_t dns_zone_alias(struct span message, struct span target, struct span answer, bool tcp,
                      uint8_t *out)
{
    assert(out);
    struct dns_query q;
    struct dns_writer w;
    struct dns_answers found;
    struct span rdata;
    uint8_t name[DNS_NAME_BYTES_MAX];
    uint32_t ttl_s;
    if (dns_query_read(message, &q) < 0) {
        return 0;
    }
    dns_reply_begin(&w, out, tcp ? LIMIT_DNS_TCP_BYTES : q.udp_bytes, &q);
    size_t bytes = dns_name_write(name, target);
    if (bytes) {
        dns_put_record(&w, DNS_ANSWER, NULL, DNS_CNAME, TTL_S, span_of(name, bytes));
    }
    enum dns_rcode rcode = DNS_NOERROR;
    if (answer.n && dns_answers_begin(answer, &found) == 0) {
        while (dns_answers_next(&found, q.type, &ttl_s, &rdata)) {
            if (rdata.n == (q.type == DNS_A ? 4 : 16)) {
                dns_put_record(&w, DNS_ANSWER, &target, q.type, ttl_s, rdata);
            }
        }
        rcode = found.rcode == DNS_NXDOMAIN ? DNS_NXDOMAIN : DNS_NOERROR;
        w.truncated |= found.truncated;
    }
    return dns_reply_end(&w, &q, rcode, true, true);
}

enum dns_verdict dns_zone_answer(struct dns_zone *z, struct span message, const uint8_t *from,
                                 bool tcp, uint8_t *out, size_t *ret_bytes)
{
    assert(out);
    assert(ret_bytes);
    struct dns_query q;
    char full[2 * DNS_NAME_BYTES_MAX];
    int code = dns_query_read(message, &q);
    if (code < 0 || q.class != 1) {
        *ret_bytes = dns_zone_error(message, code < 0 ? DNS_FORMERR : DNS_NOTIMP, out);
        return *ret_bytes ? DNS_ANSWERED : DNS_IGNORE;
    }
    struct span name = span_of(q.name, q.name_bytes);
    size_t max = tcp ? LIMIT_DNS_TCP_BYTES : q.udp_bytes;
    (void)pthread_mutex_lock(&z->lock);
    bool ours = dns_name_is_under(name, span_cstr(z->domain)) || map_get(&z->names, name);
    const struct name *found = ours ? NULL : search(z, &q, from, full);
    bool addresses = q.type == DNS_A || q.type == DNS_AAAA;
    const char *alias =
        z->ready && addresses ? alias_of(ours ? map_get(&z->names, name) : found) : NULL;
    enum dns_verdict verdict = ours || found ? DNS_ANSWERED : DNS_FORWARD;
    if (alias) {
        verdict = answer_external(z, &q, alias, max, out, ret_bytes);
    } else if (ours) {
        struct answer x = {.z = z, .q = &q};
        dns_reply_begin(&x.w, out, max, &q);
        enum dns_rcode rcode = z->ready ? answer_ours(&x) : DNS_SERVFAIL;
        *ret_bytes = dns_reply_end(&x.w, &q, rcode, true, true);
    } else if (found) {
        *ret_bytes = answer_alias(z, &q, found, max, out);
    }
    (void)pthread_mutex_unlock(&z->lock);
    return verdict;
}

/* os/os_nft_service_read.c: finds again what a table of services holds. Each chain's last rule, and
 * the first element of a service port without a chain, carries a note (user data, which the kernel
 * keeps and gives back unread). */
#include <arpa/inet.h>
#include <errno.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>

#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/mem.h"
#include "base/vec.h"
#include "os/os_mnl_priv.h"
#include "os/os_nft_priv.h"

enum {
    LAYOUT = 4,     /* counts changes of the table's own chains and sets, and of the notes */
    NOTE_TYPE = 90, /* of user data; nft shows those it knows, which are small numbers */
    NOTE_MAX = 64,
    ATTEMPTS = 5, /* of a reading during which somebody else changes the tables */
};

struct note {
    uint64_t hash;
    uint32_t addr;
    uint16_t port;
    uint8_t protocol, affinity;
    uint32_t direct, host;
};

void os_nft_direct_name(uint32_t count, char name[OS_NFT_DIRECT_NAME])
{
    assert(count > 0);
    assert(count <= OS_NFT_DIRECT_MAX);
    (void)snprintf(name, OS_NFT_DIRECT_NAME, "to-%u", count);
}

static struct nftnl_udata_buf *note_of(const struct os_nft_service *s)
{
    const struct note note = {.hash = s->hash,
                              .addr = s->key.addr,
                              .port = s->key.port,
                              .protocol = s->key.protocol,
                              .affinity = s->affinity_s > 0,
                              .direct = s->direct,
                              .host = s->key.host};
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(NOTE_MAX);
    bool ok = data && nftnl_udata_put(data, NOTE_TYPE, sizeof note, &note);
    assert(ok);
    return data;
}

void os_nft_service_note(struct nftnl_rule *rule, const struct os_nft_service *s)
{
    assert(rule);
    assert(s);
    struct nftnl_udata_buf *data = note_of(s);
    nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(data),
                        nftnl_udata_buf_len(data));
    nftnl_udata_buf_free(data);
}

void os_nft_service_note_element(struct nftnl_set_elem *e, const struct os_nft_service *s)
{
    assert(e);
    assert(s);
    struct nftnl_udata_buf *data = note_of(s);
    nftnl_set_elem_set(e, NFTNL_SET_ELEM_USERDATA, nftnl_udata_buf_data(data),
                       nftnl_udata_buf_len(data));
    nftnl_udata_buf_free(data);
}

uint64_t os_nft_service_layout(const struct os_nft_service_table *t)
{
    assert(t->bridge);
    const uint64_t parts[] = {LAYOUT,      t->pods, t->pods_prefix, t->services, t->services_prefix,
                              t->kept_port};
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        h = (h ^ parts[i]) * 1099511628211u;
    }
    for (const char *p = t->bridge; *p; p++) {
        h = (h ^ (uint8_t)*p) * 1099511628211u;
    }
    return h;
}

struct reading {
    uint64_t layout;
    bool fits;
    VEC(struct os_nft_service) found;
};

/* User data: type, length, bytes. Somebody else's is passed over. */
static void take_note(struct reading *r, const uint8_t *data, uint32_t n)
{
    struct note note;
    if (!data || n < 2 + sizeof note || data[0] != NOTE_TYPE || data[1] != sizeof note) {
        return;
    }
    memcpy(&note, data + 2, sizeof note);
    const struct os_nft_service s = {
        .key = {note.addr, note.port, note.protocol, note.host == 1},
        .hash = note.hash,
        .affinity_s = note.affinity != 0,
        .direct = note.direct <= OS_NFT_DIRECT_MAX ? (uint8_t)note.direct : 0};
    if (s.key.protocol == 0) {
        r->fits = r->fits || note.hash == r->layout;
    } else if ((s.key.protocol == IPPROTO_TCP || s.key.protocol == IPPROTO_UDP) && s.key.port) {
        VEC_PUSH(&r->found, s);
    }
}

static int on_rule(const struct nlmsghdr *h, void *data)
{
    struct nftnl_rule *rule = nftnl_rule_alloc();
    assert(rule);
    if (nftnl_rule_nlmsg_parse(h, rule) == 0) {
        uint32_t n = 0;
        const uint8_t *note = nftnl_rule_get_data(rule, NFTNL_RULE_USERDATA, &n);
        take_note(data, note, n);
    }
    nftnl_rule_free(rule);
    return MNL_CB_OK;
}

static int on_element(struct nftnl_set_elem *e, void *data)
{
    uint32_t n = 0;
    const uint8_t *note = nftnl_set_elem_get(e, NFTNL_SET_ELEM_USERDATA, &n);
    take_note(data, note, n);
    return 0;
}

static int on_elements(const struct nlmsghdr *h, void *data)
{
    struct nftnl_set *set = nftnl_set_alloc();
    assert(set);
    if (nftnl_set_elems_nlmsg_parse(h, set) == 0) {
        (void)nftnl_set_elem_foreach(set, on_element, data);
    }
    nftnl_set_free(set);
    return MNL_CB_OK;
}

static int dump_map(struct mnl_socket *sock, const char *table, const char *name, uint32_t seq,
                    struct reading *r)
{
    char buf[1024];
    struct nftnl_set *set = nftnl_set_alloc();
    assert(set);
    nftnl_set_set_str(set, NFTNL_SET_TABLE, table);
    nftnl_set_set_str(set, NFTNL_SET_NAME, name);
    struct nlmsghdr *h =
        nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETSETELEM, NFPROTO_IPV4, NLM_F_DUMP, seq);
    nftnl_set_elems_nlmsg_build_payload(h, set);
    nftnl_set_free(set);
    return os_mnl_talk(sock, h, on_elements, r);
}

static int dump_all(struct mnl_socket *sock, const char *table, struct reading *r)
{
    char buf[1024];
    struct nlmsghdr *h = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETRULE, NFPROTO_IPV4, NLM_F_DUMP, 1);
    struct nftnl_rule *filter = nftnl_rule_alloc();
    assert(filter);
    nftnl_rule_set_str(filter, NFTNL_RULE_TABLE, table);
    nftnl_rule_nlmsg_build_payload(h, filter);
    nftnl_rule_free(filter);
    int code = os_mnl_talk(sock, h, on_rule, r);
    for (uint32_t n = 1; code == 0 && r->fits && n <= OS_NFT_DIRECT_MAX; n++) {
        char name[OS_NFT_DIRECT_NAME];
        os_nft_direct_name(n, name);
        code = dump_map(sock, table, name, 1 + n, r);
    }
    bool more = code == 0 && r->fits;
    return more ? dump_map(sock, table, OS_NFT_HOST_PORTS, 2 + OS_NFT_DIRECT_MAX, r) : code;
}

int os_nft_service_read(const struct os_nft_service_table *t, struct os_nft_service **ret,
                        size_t *ret_count)
{
    assert(ret);
    assert(ret_count);
    struct reading r = {.layout = os_nft_service_layout(t)};
    int code = -EINTR;
    for (int i = 0; i < ATTEMPTS && code == -EINTR; i++) {
        r.found.n = 0;
        r.fits = false;
        /* A socket of its own: the rest of a dump that was broken off is nobody's. */
        struct mnl_socket *sock;
        code = os_mnl_open(NETLINK_NETFILTER, &sock);
        code = code ? code : dump_all(sock, t->table, &r);
        if (sock) {
            (void)mnl_socket_close(sock);
        }
    }
    if (code == 0 && !r.fits) {
        code = -ENOENT;
    }
    if (code < 0) {
        VEC_DONE(&r.found);
        return code;
    }
    *ret = r.found.at;
    *ret_count = r.found.n;
    return 0;
}

#include "os/os_nft_service.h"

#include <arpa/inet.h>
#include <libnftnl/chain.h>
#include <libnftnl/set.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "os/os_nft_priv.h"

enum {
    IP_SADDR = 12,
    IP_DADDR = 16,
    TH_DPORT = 2,
    PRIORITY_FIRST = -300, /* before connection tracking: what is on the wire */
    PRIORITY_DSTNAT = -100,
    PRIORITY_FILTER = 0,
    PRIORITY_BEFORE_SRCNAT = 90, /* our masquerade for hairpins has the first word */
    ELEMENTS_A_MESSAGE = 128,    /* about 48 bytes each */
    CHAIN_NAME = 64,
    /* nft's numbers for types, so that `nft list` shows what is meant; six bits each when joined */
    TYPE_INTEGER = 4,
    TYPE_ADDRESS = 7,
    TYPE_PROTOCOL = 12,
    TYPE_PORT = 13,
    TYPE_MARK = 19, /* a number of 32 bits; an integer has no size of its own */
    TYPE_KEY = TYPE_ADDRESS << 12 | TYPE_PROTOCOL << 6 | TYPE_PORT,
    TYPE_ENDPOINT = TYPE_ADDRESS << 6 | TYPE_PORT,
    TYPE_PAIR = TYPE_ADDRESS << 6 | TYPE_ADDRESS,
    TYPE_VISIT = TYPE_ADDRESS << 12 | TYPE_ADDRESS << 6 | TYPE_PORT,
    TYPE_NODE_KEY = TYPE_PROTOCOL << 6 | TYPE_PORT,
    MAP_SERVICES = 1, /* numbers of sets within the batch that makes the table */
    SET_HAIRPIN = 2,
    MAP_NODE_PORTS = 3,
    MAP_HOST_PORTS = 4,
    MAP_DIRECT = 16, /* and the number of endpoints */
    TYPE_DRAW = TYPE_KEY << 6 | TYPE_MARK,
    OUTSIDE_MARK = 0x4000, /* of a packet: it came to an address that clients outside use */
    CLIENTS_MAX = 65535,   /* remembered by one service port; the others go anywhere */
};

static const char services_map[] = "services", hairpin_set[] = "hairpin",
                  node_ports_map[] = "node-ports", host_ports_map[] = OS_NFT_HOST_PORTS;

/* Joined keys: each part fills whole words of four bytes. */
struct key {
    uint32_t addr;
    uint8_t protocol, pad1[3];
    uint16_t port, pad2;
};
struct node_key {
    uint8_t protocol, pad1[3];
    uint16_t port, pad2;
};
struct endpoint {
    uint32_t addr;
    uint16_t port, pad;
};
struct draw {
    struct key key;
    uint32_t number; /* as the generator gives it: the machine's byte order */
};
struct visit {
    uint32_t client, to;
    uint16_t port, pad;
};
struct pair {
    uint32_t from, to;
};

static struct nftnl_set *set_of(const char *table, const char *name, uint32_t id)
{
    struct nftnl_set *s = nftnl_set_alloc();
    assert(s);
    nftnl_set_set_str(s, NFTNL_SET_TABLE, table);
    nftnl_set_set_str(s, NFTNL_SET_NAME, name);
    nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_IPV4);
    nftnl_set_set_u32(s, NFTNL_SET_ID, id);
    return s;
}

static void put_set(struct os_nft_batch *b, struct nftnl_set *s)
{
    char buf[OS_NFT_MESSAGE_BYTES];
    struct nlmsghdr *h = os_nft_message(b, buf, NFT_MSG_NEWSET, NLM_F_CREATE);
    nftnl_set_nlmsg_build_payload(h, s);
    os_nft_put(b, h);
}

/* Puts the set's elements as one message and drops the set. */
static void put_elements(struct os_nft_batch *b, struct nftnl_set *s, uint16_t type, uint16_t flags)
{
    char buf[OS_NFT_MESSAGE_BYTES];
    struct nlmsghdr *h = os_nft_message(b, buf, type, flags);
    nftnl_set_elems_nlmsg_build_payload(h, s);
    nftnl_set_free(s);
    os_nft_put(b, h);
}

static struct nftnl_set_elem *element(struct nftnl_set *s, const void *key, uint32_t n)
{
    struct nftnl_set_elem *e = nftnl_set_elem_alloc();
    assert(e);
    nftnl_set_elem_set(e, NFTNL_SET_ELEM_KEY, key, n);
    nftnl_set_elem_add(s, e);
    return e;
}

/* Is what lies at register `from` in the set? */
static void lookup(struct nftnl_rule *rule, const char *set, uint32_t id, uint32_t from)
{
    struct nftnl_expr *e = os_nft_expr(rule, "lookup");
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, from);
    nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SET_ID, id);
}

/* What the map has for it, to register `to`. */
static void lookup_map(struct nftnl_rule *rule, const char *set, uint32_t id, uint32_t from,
                       uint32_t to)
{
    struct nftnl_expr *e = os_nft_expr(rule, "lookup");
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, from);
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, to);
    nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
    nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SET_ID, id);
}

/* Register 1 = register 1 & mask ^ xor. */
static void masked(struct nftnl_rule *rule, uint32_t mask, uint32_t xor)
{
    const uint32_t len = 4;
    struct nftnl_expr *e = os_nft_expr(rule, "bitwise");
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, len);
    nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, &mask, len);
    nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, &xor, len);
}

/* ---- the table ---- */

static void put_verdict_map(struct os_nft_batch *b, const char *table, const char *name,
                            uint32_t id, uint32_t key_type, uint32_t key_len)
{
    struct nftnl_set *s = set_of(table, name, id);
    nftnl_set_set_u32(s, NFTNL_SET_FLAGS, NFT_SET_MAP);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, key_type);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, key_len);
    nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, NFT_DATA_VERDICT);
    nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, 0);
    put_set(b, s);
    nftnl_set_free(s);
}

static void put_hairpin_set(struct os_nft_batch *b, const struct os_nft_service_table *t)
{
    assert(t->pods_prefix >= OS_NFT_PODS_PREFIX_MIN);
    assert(t->pods_prefix <= 32);
    struct nftnl_set *s = set_of(t->table, hairpin_set, SET_HAIRPIN);
    uint32_t count = 1u << (32 - t->pods_prefix);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, TYPE_PAIR);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, sizeof(struct pair));
    put_set(b, s);
    nftnl_set_free(s);
    for (uint32_t i = 0; i < count;) {
        s = set_of(t->table, hairpin_set, SET_HAIRPIN);
        for (uint32_t end = i + ELEMENTS_A_MESSAGE; i < end && i < count; i++) {
            uint32_t addr = htonl(t->pods + i);
            const struct pair p = {addr, addr};
            (void)element(s, &p, sizeof p);
        }
        put_elements(b, s, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
    }
}

static void put_host_map(struct os_nft_batch *b, const char *table)
{
    struct nftnl_set *s = set_of(table, host_ports_map, MAP_HOST_PORTS);
    nftnl_set_set_u32(s, NFTNL_SET_FLAGS, NFT_SET_MAP);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, TYPE_KEY);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, sizeof(struct key));
    nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, TYPE_ENDPOINT);
    nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, sizeof(struct endpoint));
    put_set(b, s);
    nftnl_set_free(s);
}

static void put_direct_maps(struct os_nft_batch *b, const char *table)
{
    for (uint32_t n = 1; n <= OS_NFT_DIRECT_MAX; n++) {
        char name[OS_NFT_DIRECT_NAME];
        os_nft_direct_name(n, name);
        struct nftnl_set *s = set_of(table, name, MAP_DIRECT + n);
        nftnl_set_set_u32(s, NFTNL_SET_FLAGS, NFT_SET_MAP);
        nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, TYPE_DRAW);
        nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, sizeof(struct draw));
        nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, TYPE_ENDPOINT);
        nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, sizeof(struct endpoint));
        put_set(b, s);
        nftnl_set_free(s);
    }
}

static void load_key(struct nftnl_rule *rule)
{
    os_nft_load(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_DADDR, 4, NFT_REG32_00);
    os_nft_meta(rule, NFT_META_L4PROTO, NFT_REG32_01);
    os_nft_load(rule, NFT_PAYLOAD_TRANSPORT_HEADER, TH_DPORT, 2, NFT_REG32_02);
}

/* To the endpoint at two neighbouring registers. */
static void put_nat(struct nftnl_rule *rule, uint32_t addr, uint32_t port)
{
    struct nftnl_expr *e = os_nft_expr(rule, "nat");
    nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
    nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, NFPROTO_IPV4);
    nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, addr);
    nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, port);
}

static void draw(struct nftnl_rule *rule, uint32_t count, uint32_t reg)
{
    struct nftnl_expr *e = os_nft_expr(rule, "numgen");
    nftnl_expr_set_u32(e, NFTNL_EXPR_NG_DREG, reg);
    nftnl_expr_set_u32(e, NFTNL_EXPR_NG_MODULUS, count);
    nftnl_expr_set_u32(e, NFTNL_EXPR_NG_TYPE, NFT_NG_RANDOM);
}

static void put_direct_rules(struct os_nft_batch *b, const char *table, const char *chain)
{
    for (uint32_t n = 1; n <= OS_NFT_DIRECT_MAX; n++) {
        char name[OS_NFT_DIRECT_NAME];
        os_nft_direct_name(n, name);
        struct nftnl_rule *rule = os_nft_rule(table, chain);
        load_key(rule);
        draw(rule, n, NFT_REG32_03);
        lookup_map(rule, name, MAP_DIRECT + n, NFT_REG32_00, NFT_REG_1);
        put_nat(rule, NFT_REG32_00, NFT_REG32_01);
        os_nft_rule_add(b, rule);
    }
}

static void put_constant(struct nftnl_rule *rule, uint32_t reg, const void *data, uint32_t n)
{
    struct nftnl_expr *e = os_nft_expr(rule, "immediate");
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, reg);
    nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, data, n);
}

/* Is the destination an address of this node's own (op NFT_CMP_EQ), or not? Uses register 1. */
static void match_local(struct nftnl_rule *rule, uint32_t op)
{
    const uint32_t local = RTN_LOCAL;
    struct nftnl_expr *e = os_nft_expr(rule, "fib");
    nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
    nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
    os_nft_cmp(rule, op, &local, sizeof local);
}

static void put_host_lookup(struct os_nft_batch *b, const char *table, bool every_address)
{
    const uint32_t zero = 0;
    struct nftnl_rule *rule = os_nft_rule(table, host_ports_map);
    load_key(rule);
    if (every_address) {
        put_constant(rule, NFT_REG32_00, &zero, sizeof zero);
    }
    lookup_map(rule, host_ports_map, MAP_HOST_PORTS, NFT_REG32_00, NFT_REG_1);
    put_nat(rule, NFT_REG32_00, NFT_REG32_01);
    os_nft_rule_add(b, rule);
}

static void put_kept_port(struct os_nft_batch *b, const struct os_nft_service_table *t)
{
    const uint8_t tcp = IPPROTO_TCP;
    const uint16_t port = htons(t->kept_port);
    struct nftnl_rule *rule = os_nft_rule(t->table, host_ports_map);
    os_nft_meta(rule, NFT_META_L4PROTO, NFT_REG_1);
    os_nft_cmp(rule, NFT_CMP_EQ, &tcp, sizeof tcp);
    os_nft_load(rule, NFT_PAYLOAD_TRANSPORT_HEADER, TH_DPORT, 2, NFT_REG_1);
    os_nft_cmp(rule, NFT_CMP_EQ, &port, sizeof port);
    os_nft_verdict(rule, (uint32_t)NFT_RETURN);
    os_nft_rule_add(b, rule);
}

/* Both ways come by this chain; who finds nothing in it goes on where he was. */
static void put_host_chain(struct os_nft_batch *b, const struct os_nft_service_table *t)
{
    const uint32_t loopback = htonl(0x7f000000), one = htonl(0x7f000001), eight = htonl(0xff000000);
    uint32_t mask = htonl(t->services_prefix ? ~0u << (32 - t->services_prefix) : 0);
    os_nft_chain_add(b, t->table, host_ports_map, NULL, 0, 0);
    struct nftnl_rule *rule = os_nft_rule(t->table, host_ports_map);
    match_local(rule, NFT_CMP_NEQ);
    os_nft_verdict(rule, (uint32_t)NFT_RETURN);
    os_nft_rule_add(b, rule);
    put_kept_port(b, t);
    rule = os_nft_rule(t->table, host_ports_map);
    os_nft_match_address(rule, IP_DADDR, mask, NFT_CMP_EQ, htonl(t->services) & mask);
    os_nft_verdict(rule, (uint32_t)NFT_RETURN);
    os_nft_rule_add(b, rule);
    put_host_lookup(b, t->table, false);
    rule = os_nft_rule(t->table, host_ports_map);
    os_nft_match_address(rule, IP_DADDR, eight, NFT_CMP_EQ, loopback);
    os_nft_match_address(rule, IP_DADDR, ~0u, NFT_CMP_NEQ, one);
    os_nft_verdict(rule, (uint32_t)NFT_RETURN);
    os_nft_rule_add(b, rule);
    put_host_lookup(b, t->table, true);
}

static void put_dispatch(struct os_nft_batch *b, const char *table, const char *chain)
{
    struct nftnl_rule *rule = os_nft_rule(table, chain);
    load_key(rule);
    lookup_map(rule, services_map, MAP_SERVICES, NFT_REG32_00, NFT_REG_VERDICT);
    os_nft_rule_add(b, rule);
    rule = os_nft_rule(table, chain);
    struct nftnl_expr *e = os_nft_expr(rule, "immediate");
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t)NFT_JUMP);
    nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, host_ports_map);
    os_nft_rule_add(b, rule);
    rule = os_nft_rule(table, chain);
    match_local(rule, NFT_CMP_EQ);
    os_nft_meta(rule, NFT_META_L4PROTO, NFT_REG32_00);
    os_nft_load(rule, NFT_PAYLOAD_TRANSPORT_HEADER, TH_DPORT, 2, NFT_REG32_01);
    lookup_map(rule, node_ports_map, MAP_NODE_PORTS, NFT_REG32_00, NFT_REG_VERDICT);
    os_nft_rule_add(b, rule);
    put_direct_rules(b, table, chain);
}

/* tcp: with a reset, which no rate limit holds back; else with "port unreachable". */
static void put_refusal(struct os_nft_batch *b, const struct os_nft_service_table *t,
                        const char *chain, bool tcp)
{
    const uint8_t protocol = IPPROTO_TCP;
    uint32_t mask = htonl(t->services_prefix ? ~0u << (32 - t->services_prefix) : 0);
    struct nftnl_rule *rule = os_nft_rule(t->table, chain);
    os_nft_match_address(rule, IP_DADDR, mask, NFT_CMP_EQ, htonl(t->services) & mask);
    os_nft_match_oifname(rule, NFT_CMP_EQ, t->bridge);
    if (tcp) {
        os_nft_meta(rule, NFT_META_L4PROTO, NFT_REG_1);
        os_nft_cmp(rule, NFT_CMP_EQ, &protocol, sizeof protocol);
    }
    struct nftnl_expr *e = os_nft_expr(rule, "reject");
    nftnl_expr_set_u32(e, NFTNL_EXPR_REJECT_TYPE,
                       tcp ? NFT_REJECT_TCP_RST : NFT_REJECT_ICMP_UNREACH);
    nftnl_expr_set_u8(e, NFTNL_EXPR_REJECT_CODE, tcp ? 0 : 3 /* port unreachable */);
    os_nft_rule_add(b, rule);
}

/* A packet's new source is the node where the answer would else miss its way back. */
static void put_masquerades(struct os_nft_batch *b, const struct os_nft_service_table *t)
{
    const uint32_t zero = 0, loopback = htonl(0x7f000000), eight = htonl(0xff000000);
    struct nftnl_rule *rule = os_nft_rule(t->table, "hairpin");
    os_nft_load(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_SADDR, 4, NFT_REG32_00);
    os_nft_load(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_DADDR, 4, NFT_REG32_01);
    lookup(rule, hairpin_set, SET_HAIRPIN, NFT_REG32_00);
    (void)os_nft_expr(rule, "masq");
    os_nft_rule_add(b, rule);
    rule = os_nft_rule(t->table, "hairpin");
    os_nft_meta(rule, NFT_META_MARK, NFT_REG_1);
    masked(rule, OUTSIDE_MARK, 0);
    os_nft_cmp(rule, NFT_CMP_NEQ, &zero, sizeof zero);
    os_nft_match_oifname(rule, NFT_CMP_NEQ, t->bridge);
    (void)os_nft_expr(rule, "masq");
    os_nft_rule_add(b, rule);
    rule = os_nft_rule(t->table, "hairpin");
    os_nft_match_address(rule, IP_SADDR, eight, NFT_CMP_EQ, loopback);
    os_nft_match_oifname(rule, NFT_CMP_EQ, t->bridge);
    (void)os_nft_expr(rule, "masq");
    os_nft_rule_add(b, rule);
}

/* The bridge routes 127.0.0.0/8, so that node ports work there; no pod may use that way. */
static void put_loopback_guard(struct os_nft_batch *b, const struct os_nft_service_table *t)
{
    const uint32_t loopback = htonl(0x7f000000), eight = htonl(0xff000000);
    const uint32_t offsets[] = {IP_SADDR, IP_DADDR};
    for (size_t i = 0; i < 2; i++) {
        char name[sizeof t->bridge] = {0};
        memcpy(name, t->bridge, strlen(t->bridge));
        struct nftnl_rule *rule = os_nft_rule(t->table, "guard");
        os_nft_meta(rule, NFT_META_IIFNAME, NFT_REG_1);
        os_nft_cmp(rule, NFT_CMP_EQ, name, sizeof name);
        os_nft_match_address(rule, offsets[i], eight, NFT_CMP_EQ, loopback);
        os_nft_verdict(rule, NF_DROP);
        os_nft_rule_add(b, rule);
    }
}

void os_nft_service_reset(struct os_nft_batch *b, const struct os_nft_service_table *t)
{
    assert(b);
    assert(t->table);
    static const struct {
        const char *name, *type;
        uint32_t hook;
        int32_t priority;
    } chains[] = {
        {"guard", "filter", NF_INET_PRE_ROUTING, PRIORITY_FIRST},
        {"from-outside", "nat", NF_INET_PRE_ROUTING, PRIORITY_DSTNAT},
        {"from-node", "nat", NF_INET_LOCAL_OUT, PRIORITY_DSTNAT},
        {"hairpin", "nat", NF_INET_POST_ROUTING, PRIORITY_BEFORE_SRCNAT},
        {"refuse-outside", "filter", NF_INET_FORWARD, PRIORITY_FILTER},
        {"refuse-node", "filter", NF_INET_LOCAL_OUT, PRIORITY_FILTER},
    };
    os_nft_table_add(b, t->table, true);
    put_verdict_map(b, t->table, services_map, MAP_SERVICES, TYPE_KEY, sizeof(struct key));
    put_verdict_map(b, t->table, node_ports_map, MAP_NODE_PORTS, TYPE_NODE_KEY,
                    sizeof(struct node_key));
    put_direct_maps(b, t->table);
    put_host_map(b, t->table);
    put_hairpin_set(b, t);
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        os_nft_chain_add(b, t->table, chains[i].name, chains[i].type, chains[i].hook,
                         chains[i].priority);
    }
    put_host_chain(b, t);
    put_dispatch(b, t->table, "from-outside");
    put_dispatch(b, t->table, "from-node");
    put_masquerades(b, t);
    put_loopback_guard(b, t);
    put_refusal(b, t, "refuse-outside", true);
    put_refusal(b, t, "refuse-outside", false);
    put_refusal(b, t, "refuse-node", true);
    put_refusal(b, t, "refuse-node", false);
    os_nft_chain_add(b, t->table, "layout", NULL, 0, 0);
    struct nftnl_rule *rule = os_nft_rule(t->table, "layout");
    os_nft_service_note(rule, &(struct os_nft_service){.hash = os_nft_service_layout(t)});
    os_nft_rule_add(b, rule);
}

/* ---- one service port ---- */

static void chain_name(struct os_nft_service_key k, char name[CHAIN_NAME])
{
    assert(k.protocol == IPPROTO_TCP || k.protocol == IPPROTO_UDP);
    const char *protocol = k.protocol == IPPROTO_TCP ? "tcp" : "udp";
    if (k.addr == 0) {
        (void)snprintf(name, CHAIN_NAME, "node-%s-%u", protocol, (unsigned)k.port);
        return;
    }
    (void)snprintf(name, CHAIN_NAME, "%u.%u.%u.%u-%s-%u", k.addr >> 24, k.addr >> 16 & 255,
                   k.addr >> 8 & 255, k.addr & 255, protocol, (unsigned)k.port);
}

/* The name of the set of an affinity. */
static void memory_name(const char *chain, char name[CHAIN_NAME])
{
    int n = snprintf(name, CHAIN_NAME, "clients-%s", chain);
    assert(n > 0);
    assert(n < CHAIN_NAME);
}

/* The map's element of the key: add or delete. */
static void put_key(struct os_nft_batch *b, const char *table, struct os_nft_service_key k,
                    const char *chain, bool add)
{
    const struct key key = {.addr = htonl(k.addr), .protocol = k.protocol, .port = htons(k.port)};
    const struct node_key node_key = {.protocol = k.protocol, .port = htons(k.port)};
    struct nftnl_set *s = set_of(table, k.addr ? services_map : node_ports_map, 0);
    struct nftnl_set_elem *e =
        k.addr ? element(s, &key, sizeof key) : element(s, &node_key, sizeof node_key);
    if (add) {
        nftnl_set_elem_set_u32(e, NFTNL_SET_ELEM_VERDICT, (uint32_t)NFT_GOTO);
        nftnl_set_elem_set_str(e, NFTNL_SET_ELEM_CHAIN, chain);
    }
    nftnl_set_unset(s, NFTNL_SET_ID);
    put_elements(b, s, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, add ? NLM_F_CREATE : 0);
}

/* Deletes all rules of the chain, or the chain itself. */
static void put_chain_delete(struct os_nft_batch *b, const char *table, const char *chain,
                             bool itself)
{
    char buf[OS_NFT_MESSAGE_BYTES];
    struct nlmsghdr *h;
    if (itself) {
        struct nftnl_chain *c = nftnl_chain_alloc();
        assert(c);
        nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, table);
        nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, chain);
        h = os_nft_message(b, buf, NFT_MSG_DELCHAIN, 0);
        nftnl_chain_nlmsg_build_payload(h, c);
        nftnl_chain_free(c);
    } else {
        struct nftnl_rule *r = os_nft_rule(table, chain);
        h = os_nft_message(b, buf, NFT_MSG_DELRULE, 0);
        nftnl_rule_nlmsg_build_payload(h, r);
        nftnl_rule_free(r);
    }
    os_nft_put(b, h);
}

/* The affinity's memory: who went where. */
static void put_memory(struct os_nft_batch *b, const char *table, const char *chain, bool add)
{
    char name[CHAIN_NAME], buf[OS_NFT_MESSAGE_BYTES];
    memory_name(chain, name);
    struct nftnl_set *s = set_of(table, name, os_nft_batch_id(b));
    if (add) {
        nftnl_set_set_u32(s, NFTNL_SET_FLAGS, NFT_SET_EVAL | NFT_SET_TIMEOUT);
        nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, TYPE_VISIT);
        nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, sizeof(struct visit));
        nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, CLIENTS_MAX);
        put_set(b, s);
    } else {
        nftnl_set_unset(s, NFTNL_SET_ID);
        struct nlmsghdr *h = os_nft_message(b, buf, NFT_MSG_DELSET, 0);
        nftnl_set_nlmsg_build_payload(h, s);
        os_nft_put(b, h);
    }
    nftnl_set_free(s);
}

/* A map without a name, which goes with the rule that uses it: number -> endpoint. */
static void put_endpoints(struct os_nft_batch *b, const char *table, uint32_t id,
                          const struct os_nft_endpoint *endpoints, uint32_t count)
{
    struct nftnl_set *s = set_of(table, "__map%d", id);
    nftnl_set_set_u32(s, NFTNL_SET_FLAGS, NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | NFT_SET_MAP);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, TYPE_INTEGER);
    nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, 4);
    nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, TYPE_ENDPOINT);
    nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, sizeof(struct endpoint));
    nftnl_set_set_u32(s, NFTNL_SET_DESC_SIZE, count);
    put_set(b, s);
    nftnl_set_free(s);
    for (uint32_t i = 0; i < count;) {
        s = set_of(table, "__map%d", id);
        for (uint32_t end = i + ELEMENTS_A_MESSAGE; i < end && i < count; i++) {
            const struct endpoint to = {.addr = htonl(endpoints[i].addr),
                                        .port = htons(endpoints[i].port)};
            struct nftnl_set_elem *e = element(s, &i, sizeof i);
            nftnl_set_elem_set(e, NFTNL_SET_ELEM_DATA, &to, sizeof to);
        }
        put_elements(b, s, NFT_MSG_NEWSETELEM, NLM_F_CREATE);
    }
}

/* ---- the rules of its chain ---- */

static void put_mark(struct os_nft_batch *b, const char *table, const char *chain)
{
    struct nftnl_rule *rule = os_nft_rule(table, chain);
    os_nft_meta(rule, NFT_META_MARK, NFT_REG_1);
    masked(rule, ~(uint32_t)OUTSIDE_MARK, OUTSIDE_MARK);
    struct nftnl_expr *e = os_nft_expr(rule, "meta");
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, NFT_META_MARK);
    nftnl_expr_set_u32(e, NFTNL_EXPR_META_SREG, NFT_REG_1);
    os_nft_rule_add(b, rule);
}

/* The client goes to the endpoint and is remembered for some time more: if it is remembered there
 * already (draw_of 0), or else if the endpoint's number is drawn, of so many. */
static void put_visit(struct os_nft_batch *b, const char *table, const char *chain,
                      uint32_t seconds, const struct os_nft_endpoint *to, uint32_t draw_of)
{
    const uint32_t zero = 0;
    const struct endpoint raw = {.addr = htonl(to->addr), .port = htons(to->port)};
    char memory[CHAIN_NAME];
    memory_name(chain, memory);
    struct nftnl_rule *rule = os_nft_rule(table, chain);
    if (draw_of) {
        draw(rule, draw_of, NFT_REG_1);
        os_nft_cmp(rule, NFT_CMP_EQ, &zero, sizeof zero);
    }
    os_nft_load(rule, NFT_PAYLOAD_NETWORK_HEADER, IP_SADDR, 4, NFT_REG32_00);
    put_constant(rule, NFT_REG32_01, &raw.addr, sizeof raw.addr);
    put_constant(rule, NFT_REG32_02, &raw.port, sizeof raw.port);
    if (!draw_of) {
        lookup(rule, memory, 0, NFT_REG32_00);
    }
    struct nftnl_expr *e = os_nft_expr(rule, "dynset");
    nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG32_00);
    nftnl_expr_set_u32(e, NFTNL_EXPR_DYNSET_OP, NFT_DYNSET_OP_UPDATE);
    nftnl_expr_set_str(e, NFTNL_EXPR_DYNSET_SET_NAME, memory);
    nftnl_expr_set_u64(e, NFTNL_EXPR_DYNSET_TIMEOUT, (uint64_t)seconds * 1000);
    put_nat(rule, NFT_REG32_01, NFT_REG32_02);
    os_nft_rule_add(b, rule);
}

/* A memory that is full ends the rule before the rewriting: the chain's last rule stays. */
static void put_affinity(struct os_nft_batch *b, const char *table, const char *chain,
                         uint32_t seconds, const struct os_nft_endpoint *endpoints, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        put_visit(b, table, chain, seconds, &endpoints[i], 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        put_visit(b, table, chain, seconds, &endpoints[i], count - i);
    }
}

static void set_chain(struct os_nft_batch *b, const char *table, const struct os_nft_service *now,
                      const struct os_nft_service *was, const struct os_nft_endpoint *endpoints,
                      uint32_t count)
{
    char chain[CHAIN_NAME];
    chain_name(now->key, chain);
    if (was) {
        put_chain_delete(b, table, chain, false);
    } else {
        os_nft_chain_add(b, table, chain, NULL, 0, 0);
    }
    bool had_memory = was && was->affinity_s;
    if ((now->affinity_s > 0) != had_memory) {
        put_memory(b, table, chain, now->affinity_s > 0);
    }
    if (now->outside) {
        put_mark(b, table, chain);
    }
    if (now->affinity_s) {
        put_affinity(b, table, chain, now->affinity_s, endpoints, count);
    }
    uint32_t id = os_nft_batch_id(b);
    put_endpoints(b, table, id, endpoints, count);
    struct nftnl_rule *rule = os_nft_rule(table, chain);
    draw(rule, count, NFT_REG_1);
    lookup_map(rule, "__map%d", id, NFT_REG_1, NFT_REG_1);
    put_nat(rule, NFT_REG32_00, NFT_REG32_01);
    os_nft_service_note(rule, now);
    os_nft_rule_add(b, rule);
    if (!was) {
        put_key(b, table, now->key, chain, true);
    }
}

/* ---- without a chain ---- */

/* Its elements: add, to these endpoints, or (endpoints NULL) delete. */
static void put_direct(struct os_nft_batch *b, const char *table, const struct os_nft_service *s,
                       const struct os_nft_endpoint *endpoints)
{
    char name[OS_NFT_DIRECT_NAME];
    os_nft_direct_name(s->direct, name);
    struct nftnl_set *set = set_of(table, name, 0);
    nftnl_set_unset(set, NFTNL_SET_ID);
    for (uint32_t i = 0; i < s->direct; i++) {
        const struct draw at = {.key = {.addr = htonl(s->key.addr),
                                        .protocol = s->key.protocol,
                                        .port = htons(s->key.port)},
                                .number = i};
        struct nftnl_set_elem *e = element(set, &at, sizeof at);
        if (endpoints) {
            const struct endpoint to = {.addr = htonl(endpoints[i].addr),
                                        .port = htons(endpoints[i].port)};
            nftnl_set_elem_set(e, NFTNL_SET_ELEM_DATA, &to, sizeof to);
            if (i == 0) {
                os_nft_service_note_element(e, s);
            }
        }
    }
    put_elements(b, set, endpoints ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
                 endpoints ? NLM_F_CREATE : 0);
}

/* ---- host ports ---- */

/* Its element: add, to this endpoint, or (to NULL) delete. */
static void put_host_port(struct os_nft_batch *b, const char *table, const struct os_nft_service *s,
                          const struct os_nft_endpoint *to)
{
    const struct key key = {
        .addr = htonl(s->key.addr), .protocol = s->key.protocol, .port = htons(s->key.port)};
    struct nftnl_set *set = set_of(table, host_ports_map, 0);
    nftnl_set_unset(set, NFTNL_SET_ID);
    struct nftnl_set_elem *e = element(set, &key, sizeof key);
    if (to) {
        const struct endpoint raw = {.addr = htonl(to->addr), .port = htons(to->port)};
        nftnl_set_elem_set(e, NFTNL_SET_ELEM_DATA, &raw, sizeof raw);
        os_nft_service_note_element(e, s);
    }
    put_elements(b, set, to ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM, to ? NLM_F_CREATE : 0);
}

void os_nft_service_set(struct os_nft_batch *b, const char *table, struct os_nft_service *now,
                        const struct os_nft_service *was, const struct os_nft_endpoint *endpoints,
                        size_t count)
{
    assert(count > 0);
    assert(count <= OS_NFT_ENDPOINTS_MAX);
    assert(!now->key.host || (count == 1 && !now->affinity_s && !now->outside));
    if (now->key.host) {
        if (was) {
            put_host_port(b, table, was, NULL);
        }
        put_host_port(b, table, now, endpoints);
        return;
    }
    bool direct = !now->affinity_s && !now->outside && count <= OS_NFT_DIRECT_MAX;
    now->direct = direct ? (uint8_t)count : 0;
    if (was && (direct || was->direct)) {
        os_nft_service_remove(b, table, was);
        was = NULL;
    }
    if (direct) {
        put_direct(b, table, now, endpoints);
    } else {
        set_chain(b, table, now, was, endpoints, (uint32_t)count);
    }
}

void os_nft_service_remove(struct os_nft_batch *b, const char *table,
                           const struct os_nft_service *was)
{
    assert(b);
    assert(table);
    char chain[CHAIN_NAME];
    if (was->key.host) {
        put_host_port(b, table, was, NULL);
        return;
    }
    if (was->direct) {
        put_direct(b, table, was, NULL);
        return;
    }
    chain_name(was->key, chain);
    put_key(b, table, was->key, chain, false);
    put_chain_delete(b, table, chain, true);
    if (was->affinity_s) {
        put_memory(b, table, chain, false);
    }
}

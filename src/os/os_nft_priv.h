/* os/os_nft_priv.h: what the files of os/os_nft share: messages of a batch and rule expressions. */
#ifndef OS_OS_NFT_PRIV_H
#define OS_OS_NFT_PRIV_H

#include <libmnl/libmnl.h>
#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>

#include "os/os_nft_service.h"

enum { OS_NFT_MESSAGE_BYTES = 16 * 1024 };

/* The head of the batch's next message, in buf (OS_NFT_MESSAGE_BYTES); os_nft_put adds it. */
struct nlmsghdr *os_nft_message(struct os_nft_batch *b, char *buf, uint16_t type, uint16_t flags);
void os_nft_put(struct os_nft_batch *b, const struct nlmsghdr *h);
/* The handle in a message that tells of a table (NFT_MSG_NEWTABLE); *ret stays when it has none. */
void os_nft_table_parse(const struct nlmsghdr *h, uint64_t *ret);
/* A number that names a set within this batch, above 15. */
uint32_t os_nft_batch_id(const struct os_nft_batch *b);

struct nftnl_rule *os_nft_rule(const char *table, const char *chain);
/* Appends an expression of that kind to the rule. */
struct nftnl_expr *os_nft_expr(struct nftnl_rule *rule, const char *kind);
/* Loads `len` bytes of the header `base` (NFT_PAYLOAD_*) at offset into a register. */
void os_nft_load(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t len,
                 uint32_t reg);
void os_nft_meta(struct nftnl_rule *rule, uint32_t key, uint32_t reg);
void os_nft_verdict(struct nftnl_rule *rule, uint32_t verdict);
/* Compares register 1. */
void os_nft_cmp(struct nftnl_rule *rule, uint32_t op, const void *data, uint32_t n);
/* The IP header's 4 bytes at offset (12 source, 16 destination), masked, against value; both in
 * network order. Uses register 1. */
void os_nft_match_address(struct nftnl_rule *rule, uint32_t offset, uint32_t mask, uint32_t op,
                          uint32_t value);
/* The name of the link that a packet leaves by. Uses register 1. */
void os_nft_match_oifname(struct nftnl_rule *rule, uint32_t op, const char *link);

/* os_nft_service_read.c: what os_nft_service_read() finds again, attached to a chain's last rule or
 * to the first element of a direct service port. A key of zeros notes the layout: a fingerprint of
 * the table's own chains and sets. */
void os_nft_service_note(struct nftnl_rule *rule, const struct os_nft_service *s);
void os_nft_service_note_element(struct nftnl_set_elem *e, const struct os_nft_service *s);
uint64_t os_nft_service_layout(const struct os_nft_service_table *t);

enum { OS_NFT_DIRECT_NAME = 16 };
#define OS_NFT_HOST_PORTS "host-ports" /* the name of their map */
/* The name of the map for so many endpoints. */
void os_nft_direct_name(uint32_t count, char name[OS_NFT_DIRECT_NAME]);

#endif

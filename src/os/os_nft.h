/* os/os_nft.h: nftables in small atomic transactions (libnftnl over libmnl). Blocking: worker
 * threads only.
 *
 * A batch collects changes; commit sends them as one transaction in this thread's network
 * namespace: all or nothing. */
#ifndef OS_OS_NFT_H
#define OS_OS_NFT_H

#include <stdbool.h>
#include <stdint.h>

struct nftnl_rule;
struct os_nft_batch;

struct os_nft_batch *os_nft_batch_new(void);
void os_nft_batch_free(struct os_nft_batch *b);

/* Family ip. Adding what exists is fine; with `fresh` the table's old content is dropped in the
 * same transaction. */
void os_nft_table_add(struct os_nft_batch *b, const char *table, bool fresh);
/* A base chain when type is not NULL ("nat", "filter"), with hook (NF_INET_*) and priority; policy
 * accept. */
void os_nft_chain_add(struct os_nft_batch *b, const char *table, const char *chain,
                      const char *type, uint32_t hook, int32_t priority);
/* Appends the rule (consumed), which names its table and chain. */
void os_nft_rule_add(struct os_nft_batch *b, struct nftnl_rule *rule);
/* 0 or the first error. The batch is empty afterwards. All commits of one batch happen in the
 * network namespace of the first. */
int os_nft_commit(struct os_nft_batch *b);
/* The handle (os_nft_table_handle()) of the table that the last commit made `fresh`; 0: none, or it
 * failed. What is read after a commit may be somebody else's already. */
uint64_t os_nft_made(const struct os_nft_batch *b);

/* Removes the table; absent is success. */
int os_nft_table_remove(const char *table);
/* The number that the kernel gave this very table; 0: there is none of that name. Returns 0 or a
 * negative errno. */
int os_nft_table_handle(const char *table, uint64_t *ret);
/* A socket that gets a datagram after each transaction in this network namespace, whoever makes it
 * and whatever it changes. Returns it, not blocking, or a negative errno. */
int os_nft_listen(void);
/* Replaces the table by one that masquerades packets from net/prefix (host byte order) that leave
 * by a link other than `bridge` for a destination outside net/prefix. *ret: its handle, 0 on error.
 */
int os_nft_masquerade(const char *table, uint32_t net, unsigned prefix, const char *bridge,
                      uint64_t *ret);

#endif

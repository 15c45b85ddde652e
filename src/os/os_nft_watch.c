/* Whether a table is still the one that was made. */
#include <arpa/inet.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>
#include <linux/filter.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stddef.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "os/os_mnl_priv.h"
#include "os/os_nft.h"
#include "os/os_nft_priv.h"

void os_nft_table_parse(const struct nlmsghdr *h, uint64_t *ret)
{
    struct nftnl_table *t = nftnl_table_alloc();
    assert(t);
    if (nftnl_table_nlmsg_parse(h, t) == 0) {
        *ret = nftnl_table_get_u64(t, NFTNL_TABLE_HANDLE);
    }
    nftnl_table_free(t);
}

static int on_table(const struct nlmsghdr *h, void *data)
{
    os_nft_table_parse(h, data);
    return MNL_CB_OK;
}

int os_nft_table_handle(const char *table, uint64_t *ret)
{
    assert(ret);
    char buf[1024];
    *ret = 0;
    struct nlmsghdr *h = nftnl_nlmsg_build_hdr(buf, NFT_MSG_GETTABLE, NFPROTO_IPV4, NLM_F_ACK, 1);
    struct nftnl_table *t = nftnl_table_alloc();
    assert(t);
    nftnl_table_set_str(t, NFTNL_TABLE_NAME, table);
    nftnl_table_nlmsg_build_payload(h, t);
    nftnl_table_free(t);
    struct mnl_socket *sock;
    int code = os_mnl_open(NETLINK_NETFILTER, &sock);
    code = code ? code : os_mnl_talk(sock, h, on_table, ret);
    if (sock) {
        (void)mnl_socket_close(sock);
    }
    return code == -ENOENT ? 0 : code;
}

/* Each transaction ends with a datagram of its own that names the new generation of the rules; what
 * it consists of comes in others, which may be many. */
static int only_generations(int fd)
{
    const uint16_t wanted = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htons(wanted), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_fprog filter = {sizeof code / sizeof *code, code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) ? -errno : 0;
}

int os_nft_listen(void)
{
    const struct sockaddr_nl all = {.nl_family = AF_NETLINK};
    const int group = NFNLGRP_NFTABLES;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_NETFILTER);
    if (fd < 0) {
        return -errno;
    }
    int code = only_generations(fd);
    if (code == 0 && (bind(fd, (const struct sockaddr *)&all, sizeof all) ||
                      setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group))) {
        code = -errno;
    }
    if (code < 0) {
        (void)close(fd);
    }
    return code < 0 ? code : fd;
}

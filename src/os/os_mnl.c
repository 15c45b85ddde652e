/* os/os_mnl.c: see os_mnl_priv.h. */
#include "os/os_mnl_priv.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/check.h"

int os_mnl_open(int bus, struct mnl_socket **ret)
{
    assert(ret);
    *ret = mnl_socket_open2(bus, SOCK_CLOEXEC);
    if (!*ret || mnl_socket_bind(*ret, 0, MNL_SOCKET_AUTOPID) < 0) {
        int code = -errno;
        if (*ret) {
            (void)mnl_socket_close(*ret);
        }
        *ret = NULL;
        return code;
    }
    return 0;
}

int os_mnl_talk(struct mnl_socket *sock, const struct nlmsghdr *h, mnl_cb_t on_message, void *data)
{
    char buf[OS_MNL_MESSAGE_BYTES];
    uint32_t seq = h->nlmsg_seq;
    assert(h->nlmsg_len <= OS_MNL_MESSAGE_BYTES);
    if (mnl_socket_sendto(sock, h, h->nlmsg_len) < 0) {
        return -errno;
    }
    for (;;) {
        ssize_t n = mnl_socket_recvfrom(sock, buf, sizeof buf);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        int run =
            n < 0 ? -1
                  : mnl_cb_run(buf, (size_t)n, seq, mnl_socket_get_portid(sock), on_message, data);
        if (run < 0) {
            return -errno;
        }
        if (run == MNL_CB_STOP) {
            return 0;
        }
    }
}

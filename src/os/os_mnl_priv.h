/* os/os_mnl_priv.h: one request over a netlink socket, for the files that wrap libmnl. */
#ifndef OS_OS_MNL_PRIV_H
#define OS_OS_MNL_PRIV_H

#include <libmnl/libmnl.h>

enum { OS_MNL_MESSAGE_BYTES = 32 * 1024 };

/* A socket of that bus (NETLINK_ROUTE, ...) in this thread's network namespace, for
 * mnl_socket_close(). Returns 0 or a negative errno, then *ret is NULL. */
int os_mnl_open(int bus, struct mnl_socket **ret);
/* [blocking] Sends h, at most OS_MNL_MESSAGE_BYTES, and takes the replies up to its acknowledgement
 * or the end of its dump. on_message may be NULL. Returns 0 or a negative errno. */
int os_mnl_talk(struct mnl_socket *sock, const struct nlmsghdr *h, mnl_cb_t on_message, void *data);

#endif
